"""One job's hold on its node: the offer it makes, its worker process, its messages.

Implements `job.Ports`. The job's private key is drawn here when the node approves, goes to the
worker through a pipe, and is never written anywhere.
"""

import asyncio
import base64
import json
import os
import time
from collections.abc import Callable, Coroutine, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import ValidationError

from engine.credentials import job_key, self_signed
from parties import canonical
from parties.child import Child, describe_exit
from parties.config import NodeConfig
from parties.errors import LocalError, as_error
from parties.holdings import Order, own_inputs
from parties.identity import Directory
from parties.job import Item, WorkerDone, WorkerFailed, WorkerProgress
from parties.join_terms import reveals
from parties.lifecycle import Event, State
from parties.lifeline import ReservedPort
from parties.list_keeping import (
    ENTRIES_FILE,
    admit,
    complete,
    files_of,
    held_after,
    take_over,
    today,
)
from parties.manifest import Manifest, explain
from parties.measurement import measurement
from parties.messages import Approval, Body, Progress, Receipt
from parties.model_quota import admit_scores
from parties.model_terms import Models, held_models, scored
from parties.policy import Decision, Holdings, decide
from parties.programs import Programs
from parties.resume import interrupted_work
from parties.room import Room
from parties.sessions import OpenSession
from parties.spare import Spare
from parties.stats.keeping import admit_release, release_files, remember
from parties.store import Store
from parties.worker import JOB_FILE, LOG_FILE, Job, Outside


@dataclass(frozen=True)
class Surroundings:
    """What a runner uses of its node."""

    home: Path
    config: NodeConfig
    directory: Directory
    store: Store
    worker: Sequence[str]
    spare: Spare
    programs: Programs
    send: Callable[[Manifest, str, Body], Coroutine[Any, Any, None]]
    changed: Callable[[Manifest, State, Event, dict[str, Any] | None], None]
    decided: Callable[[Manifest, Decision], None]
    waits: Callable[[Manifest], None]
    scored: Callable[[Manifest, dict[str, Any]], None]
    in_session: Callable[[], Set[str]]
    room: Room
    spawn: Callable[[Coroutine[Any, Any, None]], object]


class Runner:
    """The ports of one job. `put` is where worker events go; the node sets it to the job's.

    `order` is what this node's operator gave for the job, if it was this operator who proposed it.
    """

    def __init__(
        self, node: Surroundings, manifest: Manifest, proposer: str, order: Order | None = None
    ) -> None:
        self._node = node
        self._manifest = manifest
        self._proposer = proposer
        self._order = order
        # The versions of lists that the decision was about are those that the worker reads.
        self._held = node.store.lists.held()
        self._key: X25519PrivateKey | None = None
        self._port: ReservedPort | None = None
        self._worker: Child | None = None
        # What the audit log says of a request of a session.
        self._models: Models = {}
        known = node.programs.get(manifest.program.name)
        serves = known is not None and known.serves
        self.session = OpenSession(manifest, self._scored) if serves else None
        self.put: Callable[[Item], None] = lambda item: None

    @property
    def _jobs(self) -> Path:
        return self._node.home / "jobs"

    async def send(self, kind: str, body: Body) -> None:
        """Send to the other parties and the observers."""
        await self._node.send(self._manifest, kind, body)

    async def check(self) -> Decision:
        """The node's policy on this manifest; what passes is counted against its quotas."""
        node, manifest = self._node, self._manifest
        config = node.config
        interrupted, busy = interrupted_work(node.store, manifest), node.in_session()

        def compare() -> tuple[Decision, Models]:
            models = {
                identity: replace(model, in_session=identity in busy)
                for identity, model in held_models(node.home).items()
            }
            known = node.programs.get(manifest.program.name)
            own = Holdings(
                party=config.name,
                directory=node.directory,
                measurement=measurement(),
                inputs=own_inputs(known, manifest, config, node.home, self._order),
                programs=node.programs,
                lists=self._held,
                models=models,
                interrupted=interrupted,
            )
            return decide(manifest, self._proposer, own, time.time()), models

        try:
            decision, models = await asyncio.to_thread(compare)
        except LocalError as exc:
            raise LocalError(
                exc.code, exc.cause, exc.remedy, party=config.name, step=exc.step
            ) from None
        self._models = models
        # Whether others learn anything of this party's list is for a person to say.
        foreign = decision.approved and manifest.initiator != config.name
        asks = foreign and (
            config.approval == "person" or reveals(manifest, manifest.inputs[config.name])
        )
        if decision.approved and not asks:
            # First of all: what is counted against a quota stays counted.
            room = node.room.admit(manifest.job_id)
            decision = replace(decision, checks=(*decision.checks, room))
        if decision.approved:
            quotas = (
                admit(node.store.lists, config.name, manifest, today()),
                admit_scores(node.store.scores, models, manifest, today()),
            )
            checks = [quota for quota in quotas if quota is not None]
            checks += admit_release(
                node.store, self._jobs, config.name, manifest, config.noise_budget
            )
            decision = replace(decision, checks=(*decision.checks, *checks))
        decision = replace(decision, person=asks and decision.approved)
        node.decided(manifest, decision)
        return decision

    def waits(self) -> None:
        """Have the node report that its operator is asked."""
        self._node.waits(self._manifest)

    async def offer(self) -> Approval:
        """A fresh key, a certificate and a free port for this job's worker."""
        self._node.room.enter(self._manifest.job_id)
        host = self._node.config.host
        self._key = X25519PrivateKey.generate()
        self._port = ReservedPort(host)
        public = self._key.public_key().public_bytes_raw().hex()
        certificate = self_signed(job_key(self._key.private_bytes_raw()))
        return Approval(
            job_key=public,
            certificate=base64.b64encode(certificate).decode(),
            host=host,
            port=self._port.port,
        )

    async def start_worker(self, approvals: dict[str, Approval]) -> None:
        """Write the job's folder and start the worker on it."""
        assert self._key is not None
        assert self._port is not None
        config, names = self._node.config, self._manifest.compute
        folder = self._jobs / self._manifest.job_id
        folder.mkdir(parents=True, mode=0o700)
        files = files_of(self._manifest, config.name, self._jobs, self._held)
        files["home"] = str(self._node.home)
        files |= release_files(self._manifest, self._node.home, self._node.store)
        if self._order is not None and self._order.staged is not None:
            os.replace(self._order.staged, folder / ENTRIES_FILE)
            files["own"] = str(folder / ENTRIES_FILE)
        job = Job(
            manifest=self._manifest.document(),
            party=config.name,
            files=files,
            addresses=tuple((approvals[name].host, approvals[name].port) for name in names),
            peer_keys=tuple(approvals[name].job_key for name in names),
            certificates=tuple(approvals[name].certificate for name in names),
            outside=tuple(
                Outside(name=name, host=a.host, port=a.port, certificate=a.certificate)
                for name, a in approvals.items()
                if name not in names
            ),
            connect_deadline=config.connect_deadline,
        )
        handle = os.open(folder / JOB_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(canonical.canonical(job.model_dump(mode="json")))
        self._port.lend()
        self._worker = await self._node.spare.take(str(folder))
        if self._worker is None:
            command = [*self._node.worker, "--job", str(folder)]
            self._worker = await Child.start(command, folder / LOG_FILE)
        await self._worker.send(self._key.private_bytes_raw().hex())
        await self._worker.send(json.dumps(self._order.keys if self._order else None))
        self._key = None
        if self.session is not None:
            self.session.serve(self._worker.send)
        self._node.spawn(self._listen(self._worker))

    async def stop_worker(self) -> None:
        """Kill the worker if it runs: it has nothing to save that anybody may use."""
        if self._port is not None:
            self._port.close()
        if self.session is not None:
            self.session.end()
        if self._worker is not None:
            await self._worker.stop()

    def take_over(self) -> None:
        """Hold what the worker has left, lists and releases; before anybody hears that it did."""
        remember(self._node.store, self._jobs)
        version = held_after(self._manifest, self._held)
        if version is not None:
            take_over(self._node.store.lists, self._jobs, version)
            complete(self._node.store, self._manifest, self._node.config.name)

    def changed(self, state: State, event: Event, error: dict[str, Any] | None) -> None:
        """Have the node record a transition."""
        self._node.changed(self._manifest, state, event, error)

    def _scored(self, applicants: int, used: int) -> None:
        """Have a request of a session recorded; without a record the session does not go on."""
        about = scored(self._manifest, self._models, applicants)
        try:
            self._node.scored(self._manifest, {**about, "used": used})
        except OSError as exc:
            cause = f"the node cannot write its audit log ({exc.strerror})"
            name = self._node.config.name
            self.put(WorkerFailed(LocalError("disk", cause, "make room", party=name)))

    async def _listen(self, worker: Child) -> None:
        """Turn the worker's lines into items for the job; its silence at the end too.

        What it says of a session is for this node alone: answers are among it.
        """
        said_goodbye = False
        async for event in worker.events():
            if self.session is not None and event.get("event") == "session":
                self.session.heard(event)
                continue
            try:
                item = _read(event)
            except ValidationError as exc:
                item = WorkerFailed(
                    LocalError(
                        "worker_output",
                        f"the worker reported something malformed: {explain(exc)}",
                        "this is a defect: please report it with worker.log",
                        party=self._node.config.name,
                    )
                )
            said_goodbye = said_goodbye or not isinstance(item, WorkerProgress)
            self.put(item)
        status = await worker.wait()
        if not said_goodbye:
            name = self._node.config.name
            self.put(
                WorkerFailed(
                    LocalError(
                        "worker_lost",
                        f"the MPC worker of {name} {describe_exit(status)}",
                        f"look at worker.log in the job's folder of {name}, and at its machine's "
                        "memory",
                        party=name,
                    )
                )
            )


def _read(event: dict[str, Any]) -> Item:
    match event:
        case {"event": "progress"}:
            progress = Progress.model_validate({k: v for k, v in event.items() if k != "event"})
            return WorkerProgress(progress.step, progress.state)
        case {"event": "error", "error": dict() as error}:
            return WorkerFailed(as_error(error))
        case _:
            fields = {key: value for key, value in event.items() if key != "event"}
            return WorkerDone(Receipt.model_validate({"status": "finished", **fields}))
