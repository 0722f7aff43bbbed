"""What a node's operator may order: the commands of its socket, and of a supervised node's input.

Each takes the fields of a command and returns the fields of its answer, or raises LocalError.
Answers hold what the operator may know; neither commands nor answers are logged.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from parties.errors import LocalError, as_error
from parties.job import Agreed, Stop
from parties.lifecycle import TERMINAL, State
from parties.list_commands import ListCommands
from parties.manifest import Manifest, explain
from parties.measurement import measurement
from parties.messages import Cancel
from parties.model_commands import ModelCommands
from parties.resume import continuation
from parties.session_commands import SessionCommands
from parties.stats.commands import StatsCommands

if TYPE_CHECKING:
    from parties.node import Node

Fields = dict[str, Any]


class Commands:
    """The commands of one node."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        lists, models = ListCommands(node), ModelCommands(node)
        sessions = SessionCommands(node, models)
        self._known: dict[str, Callable[[Fields], Awaitable[Fields]]] = {
            "status": self._status,
            "doctor": node.doctor.examine,
            "propose": self._propose,
            "resume": self._resume,
            "jobs": self._jobs,
            "job": self._job,
            "outcome": self._outcome,
            "approve": self._approve,
            "cancel": self._cancel,
            "lists": lists.show,
            "quotas": lists.set_quotas,
            "publish": lists.publish,
            "query": lists.query,
            "model_state": models.change,
            "model_score": models.score,
            "session_open": sessions.open,
            "session_ask": sessions.ask,
            "session_show": sessions.show,
            "session_close": sessions.close,
            "statistics": StatsCommands(node).release,
        }

    async def obey(self, command: Fields) -> Fields:
        """Do what a command says."""
        known = self._known.get(str(command.get("command")))
        if known is None:
            raise LocalError(
                "command",
                "the node does not know this command",
                f"send one of {', '.join(self._known)}",
                party=self._node.name,
            )
        if command["command"] not in ("status", "doctor"):
            await self._node.online.wait()
        try:
            return await known({k: v for k, v in command.items() if k != "command"})
        except ValidationError as exc:
            raise LocalError("command", explain(exc), "correct the command") from None
        except KeyError as exc:
            raise LocalError("command", f"the field {exc.args[0]} is missing", "add it") from None

    async def _status(self, fields: Fields) -> Fields:
        node = self._node
        open_jobs = [j for j in node.jobs.values() if j.state not in TERMINAL]
        return {
            "name": node.name,
            "bus": "connected" if node.online.is_set() else "connecting",
            "seconds": int(time.time()) - node.started,
            "measurement": measurement(),
            "parties": {
                name: "online" if name in node.roster.online else "offline"
                for name in sorted(node.directory)
                if name != node.name
            },
            "jobs": {
                "open": len(open_jobs),
                "waiting": sum(job.waits_for_person for job in open_jobs),
            },
            "lists": len(node.store.lists.held()),
        }

    async def _propose(self, fields: Fields) -> Fields:
        job = await self._node.propose(Manifest.read(fields["manifest"]))
        return {"job_id": job.manifest.job_id}

    async def _resume(self, fields: Fields) -> Fields:
        job_id = str(fields["job_id"])
        record = self._node.store.job(job_id)
        if record is None:
            raise _unknown(job_id)
        manifest = continuation(record, self._node.programs, time.time(), fields.get("seconds"))
        job = await self._node.propose(manifest)
        return {"job_id": job.manifest.job_id, "continues": job_id}

    async def _jobs(self, fields: Fields) -> Fields:
        records = self._node.store.jobs()
        return {
            "jobs": [
                {
                    "job_id": record.job_id,
                    "program": record.manifest["program"]["name"],
                    "initiator": record.manifest["initiator"],
                    "state": self._state(record.job_id, record.state),
                }
                for record in records
            ]
        }

    async def _job(self, fields: Fields) -> Fields:
        job_id = str(fields["job_id"])
        record = self._node.store.job(job_id)
        if record is None:
            raise _unknown(job_id)
        return {
            "job_id": job_id,
            "state": self._state(job_id, record.state),
            "error": record.error,
            "manifest_sha256": record.manifest_sha256,
            "manifest": record.manifest,
            "receipts": sorted(self._node.store.receipts(job_id)),
        }

    def _state(self, job_id: str, state: State) -> str:
        job = self._node.jobs.get(job_id)
        return "waiting for approval" if job is not None and job.waits_for_person else str(state)

    async def _outcome(self, fields: Fields) -> Fields:
        """Wait until a job has ended here; LocalError with the reason if it did not end well."""
        job_id, seconds = str(fields["job_id"]), fields.get("seconds")
        job = self._node.jobs.get(job_id)
        if job is not None:
            try:
                async with asyncio.timeout(None if seconds is None else float(seconds)):
                    await job.ended.wait()
            except TimeoutError:
                raise LocalError(
                    "not_ended",
                    f"the job {job_id} is {self._state(job_id, job.state)}",
                    "wait longer, or see sepc job show",
                ) from None
        record = self._node.store.job(job_id)
        if record is None:
            raise _unknown(job_id)
        if record.state is not State.FINISHED:
            raise as_error(record.error or {"code": "not_finished", "cause": record.state})
        return {"job_id": job_id, "state": str(record.state)}

    async def _approve(self, fields: Fields) -> Fields:
        job = self._node.jobs.get(str(fields["job_id"]))
        if job is None or not job.waits_for_person:
            raise LocalError(
                "not_waiting",
                f"the job {fields['job_id']} does not wait for this node's approval",
                "see sepc job list",
                party=self._node.name,
            )
        self._node.audit.append("operator_approved", job_id=job.manifest.job_id)
        job.put(Agreed())
        return {"job_id": job.manifest.job_id}

    async def _cancel(self, fields: Fields) -> Fields:
        node = self._node
        job = node.jobs.get(str(fields["job_id"]))
        if job is None or job.state in TERMINAL:
            raise _unknown(str(fields["job_id"]), "open ")
        manifest = job.manifest
        reason = f"the operator of {node.name} called the job off"
        job.put(Stop(LocalError("cancelled", reason, "propose it again", party=node.name)))
        if manifest.initiator == node.name:
            await node.send(manifest, "cancel", Cancel(reason=reason))
        await job.ended.wait()
        return {"job_id": manifest.job_id, "state": str(job.state)}


def _unknown(job_id: str, kind: str = "") -> LocalError:
    return LocalError("unknown_job", f"there is no {kind}job {job_id}", "see sepc job list")
