"""One job at one node: an actor that turns messages and local events into lifecycle transitions.

Everything that happens to a job goes through one queue and is handled one after the other, so
there are no races between a late approval, a dying worker and the deadline. What the job needs
from the outside (sending, checking, running the worker, recording) is the `Ports` protocol; the
node implements it, and tests replace it.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from parties.errors import LocalError, PartiesError, as_error
from parties.lifecycle import TERMINAL, Event, State, transition
from parties.manifest import Manifest
from parties.messages import (
    Approval,
    Body,
    Cancel,
    Failure,
    Progress,
    Receipt,
    Refusal,
)
from parties.messages import Error as ErrorBody
from parties.policy import Decision

LATE_SECONDS = 10.0
"""How long a worker may need to end after the last receipt of the others has come."""


class Ports(Protocol):
    """What a job uses of its node."""

    async def send(self, kind: str, body: Body) -> None:
        """Send to every other party of the job, and to the node's observers."""

    async def check(self) -> Decision:
        """Compare the manifest with what this node holds."""

    def waits(self) -> None:
        """Tell the operator that the job waits for their word."""

    async def offer(self) -> Approval:
        """Draw the job key and reserve the port that the approval states."""

    async def start_worker(self, approvals: dict[str, Approval]) -> None:
        """Start the worker; its events then come to `Job.put`."""

    def take_over(self) -> None:
        """Record what a worker that reached its end has left for later jobs."""

    async def stop_worker(self) -> None:
        """Have no worker running when this returns."""

    def changed(self, state: State, event: Event, error: dict[str, Any] | None) -> None:
        """Record a transition."""


@dataclass(frozen=True)
class FromPeer:
    """A verified message of another party about this job."""

    sender: str
    body: Body


@dataclass(frozen=True)
class PeerLost:
    """Another party's node is gone."""

    party: str
    cause: str


@dataclass(frozen=True)
class Checked:
    """The node has compared the manifest, or could not."""

    decision: Decision | None
    error: LocalError | None = None


@dataclass(frozen=True)
class Agreed:
    """The operator approves a job that waits for a person's word."""


@dataclass(frozen=True)
class Waited:
    """The time is over in which parties that the job can do without may approve."""


@dataclass(frozen=True)
class WorkerProgress:
    """The worker began or finished a step."""

    step: str
    state: Literal["start", "done"]


@dataclass(frozen=True)
class WorkerDone:
    """The worker reached the end."""

    receipt: Receipt


@dataclass(frozen=True)
class WorkerFailed:
    """The worker ended before the end."""

    error: LocalError


@dataclass(frozen=True)
class Stop:
    """The node is asked to end this job."""

    error: LocalError


Item = (
    FromPeer | PeerLost | Checked | Agreed | Waited
    | WorkerProgress | WorkerDone | WorkerFailed | Stop
)  # fmt: skip


class Job:
    """The actor. `put` what happens, and `run` it to its end."""

    def __init__(
        self,
        party: str,
        manifest: Manifest,
        ports: Ports,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.party = party
        self.manifest = manifest
        self.state = State.NEW
        self.step = "approve"
        self.error: LocalError | None = None
        self.ended = asyncio.Event()
        self.waits_for_person = False
        self._ports = ports
        self._clock = clock
        self._queue: asyncio.Queue[Item] = asyncio.Queue()
        self._approvals: dict[str, Approval] = {}
        # Parties that this one waits for, but that the job can do without: its worker has to know
        # them, if it computes or may hold the key of the others' tags.
        self._awaited = set(manifest.optional)
        if party in manifest.optional or manifest.role(party) == "output":
            self._awaited = set()
        self._receipts: set[str] = set()
        self._timers: list[asyncio.Task[None]] = []

    def put(self, item: Item) -> None:
        """Say that something happened; never blocks. What comes after the end is dropped."""
        if self.state not in TERMINAL:
            self._queue.put_nowait(item)

    async def run(self) -> None:
        """Take the job from its proposal to a terminal state, before the manifest expires."""
        checking: asyncio.Task[None] | None = None
        try:
            self._move(Event.PROPOSE)
            checking = asyncio.create_task(self._check())
            if self._awaited:
                last = self.manifest.created + max(self.manifest.optional.values())
                self._later(last - self._clock(), Waited())
            async with asyncio.timeout(max(0.0, self.manifest.expires - self._clock())):
                while self.state not in TERMINAL:
                    await self._handle(await self._queue.get())
        except TimeoutError:
            await self._fail(Event.DEADLINE, self._expired())
        except PartiesError as exc:
            # Our own bus or disk: tell the others if that is still possible.
            error = exc if isinstance(exc, LocalError) else as_error(exc.as_dict())
            await self._fail(Event.NODE_FAILED, error)
        except OSError as exc:
            cause = f"the node cannot use its own folder ({exc.strerror})"
            await self._fail(
                Event.NODE_FAILED,
                self._error("disk", cause, "make room, or fix its mode", self.party),
            )
        finally:
            if checking is not None:
                checking.cancel()
            for timer in self._timers:
                timer.cancel()
            await self._ports.stop_worker()
            self.ended.set()

    def _later(self, seconds: float, item: Item) -> None:
        async def wait() -> None:
            await asyncio.sleep(max(0.0, seconds))
            self.put(item)

        self._timers.append(asyncio.create_task(wait()))

    async def _check(self) -> None:
        try:
            self.put(Checked(await self._ports.check()))
        except LocalError as exc:
            self.put(Checked(None, exc))
        except Exception as exc:
            # Unforeseen: its message may quote data, its type does not.
            cause = f"the manifest could not be checked ({type(exc).__name__})"
            error = self._error("node_error", cause, "see the node's log", self.party)
            self.put(Checked(None, error))
            raise

    async def _handle(self, item: Item) -> None:
        match item:
            case Checked():
                await self._decide(item)
            case Agreed():
                if self.waits_for_person:
                    await self._approve()
            case Waited():
                self._awaited.clear()
                await self._start_when_ready()
            case FromPeer(sender, Refusal() | Failure()) | PeerLost(sender) if (
                sender in self.manifest.optional
            ):
                self._awaited.discard(sender)
                await self._start_when_ready()
            case FromPeer(sender, Receipt()):
                self._finished_elsewhere(sender)
            case FromPeer(sender, Approval() as approval):
                await self._approved(sender, approval)
            case FromPeer(sender, Refusal() as refusal):
                await self._fail(Event.PEER_REFUSED, self._refused(sender, refusal))
            case FromPeer(sender, Failure() as failure):
                await self._fail(Event.PEER_FAILED, self._peer_failed(sender, failure.error))
            case FromPeer(sender, Cancel() as cancel) if sender == self.manifest.initiator:
                error = self._error("cancelled", cancel.reason, "propose a new job", sender)
                await self._fail(Event.CANCEL, error)
            case PeerLost(party, cause):
                error = self._error(
                    "peer_lost", cause, "have that party's node checked, then propose again", party
                )
                await self._fail(Event.PEER_LOST, error)
            case WorkerProgress(step, state):
                if state == "start":
                    self.step = step
                await self._ports.send("progress", Progress(step=step, state=state))
            case WorkerDone(receipt):
                self._ports.take_over()
                await self._ports.send("receipt", receipt)
                self._move(Event.WORKER_DONE)
            case WorkerFailed(error):
                await self._fail(Event.WORKER_FAILED, error)
            case Stop(error):
                await self._fail(Event.CANCEL, error)

    def _finished_elsewhere(self, sender: str) -> None:
        """All that compute are done: a party that may be absent, and still waits, was too late."""
        self._receipts.add(sender)
        if self.party in self.manifest.optional and self._receipts >= set(self.manifest.compute):
            error = self._error(
                "late",
                "the job was done without this party's data",
                "approve sooner next time, or agree on more time with the initiator",
                self.party,
            )
            self._later(LATE_SECONDS, Stop(error))

    async def _approved(self, sender: str, approval: Approval) -> None:
        stated = self.manifest.parties[self.manifest.names.index(sender)]
        if approval.host != stated.host or stated.port not in (None, approval.port):
            if sender in self.manifest.optional:
                self._awaited.discard(sender)
                await self._start_when_ready()
                return
            cause = f"{sender} approved, but for another address than the manifest states"
            error = self._error("address", cause, "correct the manifest or that node", sender)
            await self._fail(Event.PEER_FAILED, error)
            return
        # The first approval counts: a second one could only be meant to confuse.
        self._approvals.setdefault(sender, approval)
        self._awaited.discard(sender)
        self._move(Event.PEER_APPROVED)
        await self._start_when_ready()

    async def _decide(self, item: Checked) -> None:
        if item.decision is None:
            assert item.error is not None
            await self._fail(Event.NODE_FAILED, item.error)
        elif item.decision.approved:
            self.waits_for_person = item.decision.person
            if self.waits_for_person:
                self._ports.waits()
            else:
                await self._approve()
        else:
            refusal = Refusal(checks=item.decision.checks)
            await self._ports.send("refusal", refusal)
            await self._fail(Event.REFUSE, self._refused(self.party, refusal), tell=False)

    async def _approve(self) -> None:
        self.waits_for_person = False
        approval = await self._ports.offer()
        self._approvals[self.party] = approval
        await self._ports.send("approval", approval)
        self._move(Event.APPROVE)
        await self._start_when_ready()

    async def _start_when_ready(self) -> None:
        needed = set(self.manifest.names) - set(self.manifest.optional)
        if self.state is State.APPROVED and needed <= set(self._approvals) and not self._awaited:
            self._move(Event.ALL_APPROVED)
            self.step = "load"
            await self._ports.start_worker(self._approvals)
            self._move(Event.START)
            await self._ports.send("progress", Progress(step=self.step, state="start"))

    async def _fail(self, event: Event, error: LocalError, tell: bool = True) -> None:
        """Stop our own part at once, then say why; only the first reason is ever said."""
        if self.state in TERMINAL:
            return
        step, party = error.step or self.step, error.party or self.party
        error = LocalError(error.code, error.cause, error.remedy, party=party, step=step)
        self.error = error
        await self._ports.stop_worker()
        self._move(event, error)
        if tell:
            body = Failure(error=ErrorBody.model_validate(error.as_dict()))
            await self._ports.send("failure", body)

    def _move(self, event: Event, error: LocalError | None = None) -> None:
        after = transition(self.state, event)
        if after is not self.state:
            self.state = after
            self._ports.changed(after, event, None if error is None else error.as_dict())

    # -- reasons ----------------------------------------------------------------------------

    def _error(self, code: str, cause: str, remedy: str, party: str) -> LocalError:
        return LocalError(code, cause, remedy, party=party, step=self.step)

    def _refused(self, party: str, refusal: Refusal) -> LocalError:
        reasons = "; ".join(f"{c.name}: {c.reason}" for c in refusal.checks if not c.passed)
        return self._error(
            "refused",
            f"{party} did not approve: {reasons or 'no reason was given'}"[:2000],
            "settle what the checks name, then propose a new job",
            party,
        )

    def _peer_failed(self, sender: str, error: ErrorBody) -> LocalError:
        """The peer's own reason, with the party and step that it names."""
        return LocalError(
            error.code,
            error.cause,
            error.remedy,
            party=error.party or sender,
            step=error.step or self.step,
        )

    def _expired(self) -> LocalError:
        needed = set(self.manifest.names) - set(self.manifest.optional)
        missing = sorted(needed - set(self._approvals))
        if self.state in (State.PROPOSED, State.APPROVED) and missing:
            return self._error(
                "expired",
                f"no approval came from {', '.join(missing)} before the manifest expired",
                "check that their nodes run and can be reached, then propose again",
                missing[0],
            )
        return self._error(
            "expired",
            "the manifest expired before the job was done",
            "propose the job again with a later expiry",
            self.party,
        )
