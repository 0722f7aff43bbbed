"""What the demo has heard of a job so far, and when that is enough to know how it ended.

A job has succeeded when every party's signed receipt is in. When it fails, the parties stop one
after the other and each says why; the first to know is rarely the one at fault. So the demo
listens until all have stopped, or for a few seconds, and then names the most direct witness.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from parties.envelope import Envelope
from parties.errors import LocalError, as_error
from parties.lifecycle import TERMINAL, State
from parties.manifest import Manifest
from parties.messages import Approval, Body, Failure, Progress, Receipt, Refusal

SETTLE = 15.0


class JobStopped(LocalError):
    """How a job failed: the most direct witness, and beside it how each party ended."""

    def __init__(self, error: LocalError, parties: dict[str, dict[str, Any]]) -> None:
        super().__init__(error.code, error.cause, error.remedy, party=error.party, step=error.step)
        self.parties = parties

    def as_dict(self) -> dict[str, Any]:
        """The error, and under `parties` the error with which each of them stopped."""
        return {**super().as_dict(), "parties": self.parties}


class Watch:
    """Collects messages and node reports about one job. `changed` is called after each."""

    def __init__(self, manifest: Manifest, changed: Callable[[], None] = lambda: None) -> None:
        self.manifest = manifest
        self.approved: dict[str, float] = {}
        self.began: dict[tuple[str, str], float] = {}
        self.ended: dict[tuple[str, str], float] = {}
        self.receipts: dict[str, tuple[Envelope, Receipt]] = {}
        self.stopped: dict[str, LocalError] = {}
        self.gone: dict[str, LocalError] = {}
        self._step: dict[str, str] = {}
        self._fatal: LocalError | None = None
        self._changed = changed
        self._news = asyncio.Event()

    def heard(self, envelope: Envelope, body: Body) -> None:
        """Take note of a message from the bus; what is about another manifest does not count."""
        if envelope.manifest_sha256 != self.manifest.sha256():
            return
        party, now = envelope.sender, time.monotonic()
        match body:
            case Approval():
                self.approved.setdefault(party, now)
            case Progress(step=step, state="start"):
                self.began.setdefault((party, step), now)
                self._step[party] = step
            case Progress(step=step):
                self.ended.setdefault((party, step), now)
            case Receipt():
                self.receipts.setdefault(party, (envelope, body))
            case Failure(error=reason):
                self.stopped.setdefault(party, as_error(reason.model_dump()))
            case Refusal(checks=checks):
                reasons = "; ".join(f"{c.name}: {c.reason}" for c in checks if not c.passed)
                error = LocalError(
                    "refused",
                    f"{party} did not approve: {reasons}",
                    "settle what the checks name",
                    party=party,
                    step="approve",
                )
                self.stopped.setdefault(party, error)
        self._tell()

    def reported(self, party: str | None, event: dict[str, Any]) -> None:
        """Take note of what a node process (or the broker, None) wrote, or that it ended."""
        match event:
            case {"event": "exit", "error": dict() as error} if party is None:
                self._fatal = as_error({**error, "step": error.get("step") or self.step})
            case {"event": "exit", "error": dict() as error} if party is not None:
                step = error.get("step") or self._step.get(party, "approve")
                self.gone.setdefault(party, as_error({**error, "step": step}))
            case {"event": "refused", "error": dict() as error}:
                self._fatal = as_error(error)
            case {"event": "job", "state": state, "error": dict() as error} if party is not None:
                if State(state) in TERMINAL:
                    self.stopped.setdefault(party, as_error(error))
        self._tell()

    @property
    def step(self) -> str:
        """The step that the most advanced party is in."""
        latest = max(self.began, key=lambda key: self.began[key], default=None)
        return latest[1] if latest else "approve"

    async def outcome(self) -> None:
        """Return when all receipts are in; raise what stopped the job otherwise."""
        names = set(self.manifest.names)
        while not (self._fatal or self.stopped or self.gone):
            if set(self.receipts) == names:
                return
            await self._wait()
        try:
            async with asyncio.timeout(SETTLE):
                ended = (self.stopped, self.gone, self.receipts)
                while not self._fatal and names.difference(*ended):
                    if set(self.receipts) == names:
                        return
                    await self._wait()
        except TimeoutError:
            pass  # a party that says nothing is named by the others
        raise self.verdict()

    def verdict(self) -> JobStopped:
        """The most direct witness: a process that ended, then a party about itself, then any."""
        own = [error for party, error in self.stopped.items() if error.party == party]
        witnesses = [*self.gone.values(), *own, *self.stopped.values()]
        error = self._fatal or witnesses[0]
        ends = {party: error.as_dict() for party, error in {**self.stopped, **self.gone}.items()}
        return JobStopped(error, ends)

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()

    def _tell(self) -> None:
        self._news.set()
        self._changed()
