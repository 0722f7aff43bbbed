"""The node of one organisation, in the process that `node_process.py` starts.

It shows its presence on the bus, receives proposals, checks them against its policy, approves,
runs its worker, relays the worker's progress, and signs a receipt or says why it stopped. The
folder `home` holds everything it owns: `node.json`, its identity, its database, its audit log,
its data and a folder per job.
"""

import asyncio
import contextlib
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from parties import bus
from parties.afterwards import Afterwards
from parties.audit import AuditLog
from parties.commands import Commands as Operator
from parties.config import NodeConfig
from parties.control import serve
from parties.doctor import Doctor
from parties.errors import LocalError, PartiesError, RemoteProtocolError, as_error
from parties.holdings import Order
from parties.identity import Directory, Identity
from parties.inbox import Inbox, Letter
from parties.job import FromPeer, Job, PeerLost, Stop
from parties.lifecycle import TERMINAL, Event, State
from parties.list_commands import STAGED
from parties.list_keeping import complete, query_details
from parties.manifest import Manifest
from parties.messages import Body, Failure, Ping, Pong, Proposal, Receipt, subscriptions
from parties.model_terms import SCORED, held_models, model_event
from parties.policy import Decision
from parties.post import Post
from parties.presence import Roster
from parties.programs import PROGRAMS, Programs
from parties.room import Room
from parties.runner import Runner, Surroundings
from parties.sessions import OpenSession
from parties.spare import Spare
from parties.store import Store

MAX_EARLY = 256
LEAVE_DEADLINE = 3.0
WORKER = (sys.executable, "-m", "parties.worker")

Commands = asyncio.Queue[dict[str, Any] | None]


class Node:
    """A running node. `report` is told what its operator should see."""

    def __init__(
        self,
        home: Path,
        *,
        report: Callable[..., None] = lambda **_: None,
        worker: Sequence[str] = WORKER,
        programs: Programs = PROGRAMS,
    ) -> None:
        home = home.absolute()
        self.home = home
        self.config = NodeConfig.load(home)
        self.name = self.config.name
        self.identity = Identity.load(self.name, home)
        self.directory = Directory(self.config.directory)
        if self.directory.get(self.name) != self.identity.public_hex:
            raise LocalError(
                "node_config",
                "the directory of parties does not list this node's own public key",
                "give every node the same directory, with this node's key in it",
                party=self.name,
            )
        self.store = Store(home / "node.db")
        self.audit = AuditLog(home / "audit.jsonl", self.identity)
        self._report = report
        self.programs = programs
        self.session = secrets.token_hex(16)
        self.started = int(time.time())
        self.online = asyncio.Event()
        broker = self.config.broker
        self._bus = bus.Bus(
            bus.Address(broker.host, broker.port, self.name, broker.password),
            subscriptions(self.name),
        )
        self._post = Post(self.identity, self.store, self._bus, self.session)
        self.roster = Roster(self.config.presence_grace, self._lost)
        self._inbox = Inbox(self.name, self.directory, self.store, self.roster, self._refuse)
        self.jobs: dict[str, Job] = {}
        self.sessions: dict[str, OpenSession] = {}
        self._afterwards: dict[str, Afterwards] = {}
        self._early: list[Letter] = []
        self._group: asyncio.TaskGroup | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.doctor = Doctor(self)
        self._spare = Spare(worker, home)
        self._surroundings = Surroundings(
            home=home,
            config=self.config,
            directory=self.directory,
            store=self.store,
            worker=worker,
            spare=self._spare,
            programs=programs,
            send=self.send,
            changed=self._changed,
            decided=self._decided,
            waits=self._waits,
            scored=self._scored,
            in_session=self._in_session,
            room=Room(self.config.max_jobs, lambda job: self.jobs[job].state in TERMINAL),
            spawn=self._spawn,
        )

    async def run(self, commands: Commands) -> None:
        """Serve until cancelled, or until None arrives among the commands."""
        operator = Operator(self)
        # First of all, because it refuses a second node on this home.
        async with serve(self.home, operator.obey):
            self._end_interrupted_jobs()
            self.audit.append("node_started", session=self.session)
            try:
                await self._serve(operator, commands)
            finally:
                self.audit.append("node_stopped", session=self.session)
                self.store.close()

    async def _serve(self, operator: Operator, commands: Commands) -> None:
        async with asyncio.TaskGroup() as self._group:
            self._spawn(self._bus.run(self._receive, self._post.announce))
            await self._bus.wait_connected()
            self.online.set()
            self._report(event="online")
            await self._prepare_spare()
            while (command := await commands.get()) is not None:
                try:
                    await operator.obey(command)
                except PartiesError as exc:
                    self._report(event="refused", error=exc.as_dict())
            await self._spare.stop()
            await self._leave()
            for task in self._tasks:
                task.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._group is not None
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(self._group.create_task(work))

    # -- the operator ------------------------------------------------------------------------

    async def propose(self, manifest: Manifest, order: Order | None = None) -> Job:
        """Make a job known to everybody, this node included; `order` is what this node brings.

        Raises LocalError if this node is not the initiator, if a party's node is not on the bus,
        or if a job of that id was proposed before.
        """
        if manifest.initiator != self.name:
            raise LocalError(
                "not_initiator",
                f"the manifest's initiator is {manifest.initiator}, this node is {self.name}",
                "propose it from the initiator's node",
            )
        # A birth that was missed is repeated soon.
        others = set(manifest.names) - {self.name} - set(manifest.optional)
        if missing := await self.roster.wait_for(others, 3 * bus.HEARTBEAT):
            raise LocalError(
                "peer_offline",
                f"the node of {', '.join(missing)} is not on the bus",
                "have it started, then propose again",
                party=missing[0],
                step="approve",
            )
        if not self._open_job(manifest, self.name, order):
            raise LocalError(
                "known_job", f"the job {manifest.job_id} was proposed before", "draw another job id"
            )
        await self.send(manifest, "proposal", Proposal(manifest=manifest.document()))
        return self.jobs[manifest.job_id]

    async def outcome(self, job: Job, everybody: bool = False) -> None:
        """Return once the job has ended well here, or at `everybody`; raise what stopped it."""
        await job.ended.wait()
        if job.error is not None:
            raise job.error
        if not everybody:
            return
        manifest = job.manifest
        others = set(manifest.names) - {self.name}
        await self._afterwards[manifest.job_id].all_signed(
            lambda: others - set(self.store.receipts(manifest.job_id)),
            max(1.0, manifest.expires - time.time()),
        )

    async def _leave(self) -> None:
        """End the jobs that still run, and say goodbye."""
        open_jobs = [job for job in self.jobs.values() if job.state not in TERMINAL]
        for job in open_jobs:
            job.put(
                Stop(
                    LocalError(
                        "node_stopped",
                        f"the node of {self.name} was stopped",
                        "start the node, then propose the job again",
                        party=self.name,
                        step=job.step,
                    )
                )
            )
        with contextlib.suppress(TimeoutError, PartiesError):
            async with asyncio.timeout(LEAVE_DEADLINE):
                for job in open_jobs:
                    await job.ended.wait()
                await self._post.leave()

    # -- the bus -----------------------------------------------------------------------------

    async def send(self, manifest: Manifest, kind: str, body: Body) -> None:
        """Send a message about a job to its other parties and to this node's observers."""
        others = [name for name in manifest.names if name != self.name]
        for recipient in (*others, *self.config.observers):
            await self._post.send(recipient, kind, body, manifest)
        if kind != "progress":
            self.audit.append("sent", kind=kind, job_id=manifest.job_id)

    async def send_alone(self, recipient: str, kind: str, body: Body) -> None:
        """Send a message that is about no job to one party."""
        await self._post.send(recipient, kind, body)

    async def _receive(self, topic: str, payload: bytes) -> None:
        letter = self._inbox.receive(topic, payload)
        if letter is None:
            return
        envelope, job_id = letter.envelope, str(letter.envelope.job_id)
        if isinstance(letter.body, Pong):
            self.doctor.heard(envelope.sender, letter.body)
            return
        if isinstance(letter.body, Ping):
            self._spawn(self.doctor.answer(envelope.sender, letter.body))
            return
        if envelope.kind != "progress":
            self.audit.append(
                "received",
                kind=envelope.kind,
                sender=envelope.sender,
                job_id=job_id,
                id=envelope.id,
            )
        job = self.jobs.get(job_id)
        if isinstance(letter.body, Proposal):
            self._proposed(letter, letter.body)
        elif job is not None:
            self._deliver(job, letter)
        elif len(self._early) < MAX_EARLY:
            # An approval may overtake the proposal: they come from different senders.
            self._early.append(letter)

    def _proposed(self, letter: Letter, proposal: Proposal) -> None:
        envelope = letter.envelope
        try:
            manifest = Manifest.read(proposal.manifest)
        except RemoteProtocolError as exc:
            self._refuse(exc)
            return
        about = (manifest.job_id, manifest.sha256()) == (envelope.job_id, envelope.manifest_sha256)
        if not about or self.name not in manifest.names:
            self._foreign(letter, "a proposal whose envelope is not about its manifest")
            return
        self._open_job(manifest, envelope.sender)

    def _deliver(self, job: Job, letter: Letter) -> None:
        envelope = letter.envelope
        if envelope.sender not in job.manifest.names:
            self._foreign(letter, "the sender is not a party of the job")
        elif envelope.manifest_sha256 != job.manifest.sha256():
            self._foreign(letter, "the message refers to another manifest")
        else:
            after = self._afterwards[job.manifest.job_id]
            if isinstance(letter.body, Receipt):
                self.store.add_receipt(job.manifest.job_id, envelope.sender, letter.payload)
                complete(self.store, job.manifest, self.name)
            if isinstance(letter.body, Failure):
                after.failed(as_error({"party": envelope.sender, **letter.body.error.model_dump()}))
            after.heard()
            job.put(FromPeer(envelope.sender, letter.body))

    def _foreign(self, letter: Letter, cause: str) -> None:
        sender = letter.envelope.sender
        self._refuse(RemoteProtocolError("foreign_message", cause, party=sender))

    def _refuse(self, exc: RemoteProtocolError) -> None:
        self.audit.append("message_refused", code=exc.code, cause=exc.cause, party=exc.party)

    def _lost(self, party: str, cause: str) -> None:
        for job in self.jobs.values():
            if party in job.manifest.names:
                job.put(PeerLost(party, cause))
                self._afterwards[job.manifest.job_id].failed(
                    LocalError("peer_lost", cause, "have that party's node checked", party=party)
                )

    # -- jobs --------------------------------------------------------------------------------

    def _open_job(self, manifest: Manifest, sender: str, order: Order | None = None) -> bool:
        """Start the actor of a newly proposed job; False if the job is known already."""
        if self.store.job(manifest.job_id) is not None:
            return False
        self.store.add_job(manifest.job_id, manifest.sha256(), manifest.document())
        runner = Runner(self._surroundings, manifest, sender, order)
        job = Job(self.name, manifest, runner)
        runner.put = job.put
        self.jobs[manifest.job_id] = job
        self._afterwards[manifest.job_id] = Afterwards()
        for letter in self._early:
            if letter.envelope.job_id == manifest.job_id:
                self._deliver(job, letter)
        self._early = [item for item in self._early if item.envelope.job_id != manifest.job_id]
        self._spawn(self._run_job(job))
        if runner.session is not None:
            self.sessions[manifest.job_id] = runner.session
            self._spawn(self._spare_beside(runner.session))
        return True

    async def _run_job(self, job: Job) -> None:
        await job.run()
        await self._prepare_spare()

    async def _spare_beside(self, session: OpenSession) -> None:
        """A session keeps its worker for long: have another one ready."""
        await session.settled.wait()
        if session.is_open:
            await self._prepare_spare()

    def _in_session(self) -> set[str]:
        """Identities of the models that sessions score with, or may: a worker loads the shares
        before its session is open."""
        return {one.identity for one in self.sessions.values() if not one.over}

    async def _prepare_spare(self) -> None:
        """Where lists or live models are held the next job may be one whose asker waits for it."""
        live = any(model.state == "live" for model in held_models(self.home).values())
        if self.config.spare_worker and (live or self.store.lists.held()):
            await self._spare.prepare()

    def _decided(self, manifest: Manifest, decision: Decision) -> None:
        checks = [check.model_dump() for check in decision.checks]
        self.audit.append(
            "decided", job_id=manifest.job_id, approved=decision.approved, checks=checks
        )

    def _scored(self, manifest: Manifest, details: dict[str, Any]) -> None:
        self.audit.append(SCORED, job_id=manifest.job_id, **details)

    def _waits(self, manifest: Manifest) -> None:
        self._report(event="waiting", job_id=manifest.job_id)

    def _changed(
        self, manifest: Manifest, state: State, event: Event, error: dict[str, Any] | None
    ) -> None:
        """Record a job's new state: database, audit log, operator."""
        job_id = manifest.job_id
        self.store.set_state(job_id, state, error)
        self.audit.append(
            "job", job_id=job_id, manifest_sha256=manifest.sha256(), state=state, cause=event,
            error=error,
        )  # fmt: skip
        query = query_details(manifest) if state is State.RUNNING else None
        if query is not None:
            # From here on the asker may get its answer: this is a query made, whatever follows.
            self.audit.append("query", job_id=job_id, **query)
        if state is State.FINISHED and (event_of := model_event(manifest, held_models(self.home))):
            self.audit.append(event_of[0], job_id=job_id, **event_of[1])
        self._report(event="job", job_id=job_id, state=state, error=error)

    def _end_interrupted_jobs(self) -> None:
        """A job key lives in memory only, so a job cannot go on after its node has ended."""
        error = LocalError(
            "node_restarted",
            f"the node of {self.name} ended while the job was open",
            "propose the job again",
            party=self.name,
        )
        for record in self.store.unfinished():
            self.store.set_state(record.job_id, State.FAILED, error.as_dict())
        shutil.rmtree(self.home / STAGED, ignore_errors=True)
