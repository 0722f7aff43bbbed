"""The operator's commands about scoring sessions: open one, ask in it, look, close it."""

import json
import math
import time
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from parties import canonical
from parties.errors import LocalError
from parties.holdings import Order
from parties.job import Job
from parties.list_commands import Seconds
from parties.manifest import Applicants, Hex32, Strict
from parties.model_commands import ModelCommands
from parties.model_proposal import session_manifest
from parties.sessions import OpenSession

if TYPE_CHECKING:
    from parties.node import Node

JobId = Annotated[str, Field(max_length=100)]
Text = Annotated[str, Field(max_length=1000)]


class _Open(Strict):
    identity: Hex32
    count: Annotated[int, Field(ge=1, le=100_000)]
    reasons: Annotated[int, Field(ge=1, le=20)]
    idle: Seconds
    seconds: Annotated[int, Field(ge=60, le=24 * 3600)]


class _Ask(Strict):
    """`applicant` of the node's own table, or `ids` and the card's own columns (null: missing)."""

    session: JobId
    applicant: Text | None = None
    ids: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    columns: dict[str, tuple[float | None, ...]] | None = None
    seconds: Annotated[int, Field(ge=1, le=24 * 3600)]


class SessionCommands:
    """Commands about sessions, of one node."""

    def __init__(self, node: "Node", models: ModelCommands) -> None:
        self._node, self._models = node, models

    async def open(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Propose a session; returns when all parties are connected and wait for requests."""
        wanted = _Open.model_validate_json(canonical.canonical(fields))
        model = self._models.own(wanted.identity)
        manifest = session_manifest(
            model, wanted.count, wanted.reasons, wanted.idle,
            **self._models.common(model, wanted.seconds),
        )  # fmt: skip
        job = await self._node.propose(manifest, Order(Applicants(count=wanted.count)))
        session = self._node.sessions[manifest.job_id]
        await session.settled.wait()
        if not session.is_open:
            await job.ended.wait()
            raise _closed(job, session)
        return {
            "session": manifest.job_id,
            "manifest_sha256": manifest.sha256(),
            "model": model.name,
            "version": model.version,
            "left_in_session": session.left,
            "left_today": self._models.left_today(model),
            "expires": manifest.expires,
        }

    async def ask(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Scores and reasons of one request, with how many the session may still score."""
        wanted = _Ask.model_validate_json(json.dumps(fields))
        job, session = self._found(wanted.session)
        if wanted.applicant is not None:
            request: dict[str, Any] = {"applicant": wanted.applicant}
        elif wanted.ids is not None and wanted.columns is not None:
            request = {"ids": wanted.ids, "columns": wanted.columns}
        else:
            raise LocalError("command", "nobody to score", "give applicant, or ids and columns")
        began = time.monotonic()
        answer = await session.ask(request, wanted.seconds)
        if answer is None:
            await job.ended.wait()
            raise _closed(job, session)
        seconds = round(time.monotonic() - began, 4)
        return {**answer, "seconds": seconds, "left_in_session": session.left}

    async def show(self, fields: dict[str, Any]) -> dict[str, Any]:
        """What the session is for, and what is left of it."""
        job, session = self._found(str(fields["session"]), asker=False)
        return {
            "session": job.manifest.job_id,
            "identity": session.identity,
            "asker": job.manifest.initiator,
            "state": "open" if session.is_open else str(job.state),
            "scored": session.used,
            "left_in_session": session.left if session.is_open else 0,
            "seconds_left": max(0, math.floor(job.manifest.expires - time.time())),
        }

    async def close(self, fields: dict[str, Any]) -> dict[str, Any]:
        """End a session in order; returns when every party has signed that it is over."""
        job, session = self._found(str(fields["session"]))
        if not session.over:
            await session.settled.wait()
            await session.close()
        await self._node.outcome(job, everybody=True)
        return {"session": job.manifest.job_id, "state": str(job.state), "scored": session.used}

    def _found(self, session: str, asker: bool = True) -> tuple[Job, OpenSession]:
        found = self._node.sessions.get(session)
        if found is None:
            raise LocalError(
                "unknown_session",
                "this node knows no such session since it was started",
                "open one with sepc model session open",
                party=self._node.name,
            )
        job = self._node.jobs[session]
        if asker and job.manifest.initiator != self._node.name:
            raise LocalError(
                "not_owner",
                f"the session is {job.manifest.initiator}'s",
                f"have {job.manifest.initiator} ask",
                party=self._node.name,
            )
        return job, found


def _closed(job: Job, session: OpenSession) -> LocalError:
    """Why a session takes no requests any more."""
    if job.error is not None:
        return job.error
    idle = job.manifest.parameters["idle"]
    why = f"nobody asked for {idle} s, or its time was over"
    if session.closed:
        why = "its operator closed it"
    if not session.left:
        why = f"all {session.most} of its scores are used"
    return LocalError(
        "session_closed", f"the session has ended: {why}", "open another session", step="serve"
    )
