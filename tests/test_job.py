"""One job at one node, with everything around it replaced: late, repeated and hostile messages."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fakes.consortium import CERTIFICATE, NAMES, NOW, manifest

from parties.errors import LocalError
from parties.job import (
    Agreed,
    Checked,
    FromPeer,
    Job,
    PeerLost,
    Stop,
    WorkerDone,
    WorkerFailed,
    WorkerProgress,
)
from parties.lifecycle import Event, State
from parties.messages import Approval, Body, Cancel, Check, Error, Failure, Receipt, Refusal
from parties.policy import Decision

PASSED = Decision((Check(name="program", passed=True, reason="installed"),))
FAILED = Decision((Check(name="program", passed=False, reason="not installed"),))
RECEIPT = Receipt(status="finished", outputs_sha256="ab" * 32, steps={}, peak_rss_mb=1.0)
ERROR = LocalError("worker_lost", "the worker ended", "look", party="telecom")


def approval(host: str = "127.0.0.1", port: int = 20_000) -> Approval:
    return Approval(job_key="cd" * 32, certificate=CERTIFICATE, host=host, port=port)


class Ports:
    """Writes down what the job does. `moved` is set at every transition."""

    def __init__(self, decision: Decision | LocalError | None) -> None:
        self.decision = decision
        self.sent: list[tuple[str, Body]] = []
        self.states: list[State] = []
        self.errors: list[dict[str, Any] | None] = []
        self.workers: list[set[str]] = []
        self.stops = 0
        self.taken_over = 0
        self.asked = 0
        self.moved = asyncio.Condition()

    async def send(self, kind: str, body: Body) -> None:
        self.sent.append((kind, body))

    async def check(self) -> Decision:
        if self.decision is None:
            await asyncio.Event().wait()
        if isinstance(self.decision, LocalError):
            raise self.decision
        assert self.decision is not None
        return self.decision

    def waits(self) -> None:
        self.asked += 1

    async def offer(self) -> Approval:
        return approval()

    async def start_worker(self, approvals: dict[str, Approval]) -> None:
        self.workers.append(set(approvals))

    def take_over(self) -> None:
        self.taken_over += 1

    async def stop_worker(self) -> None:
        self.stops += 1

    def changed(self, state: State, event: Event, error: dict[str, Any] | None) -> None:
        self.states.append(state)
        self.errors.append(error)

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.sent]


def play(
    *items: Any,
    decision: Decision | LocalError | None = PASSED,
    now: float = NOW,
    then: Callable[[Job], Awaitable[None]] | None = None,
) -> tuple[Job, Ports]:
    """Run telecom's side of a job that hears `items` in this order."""

    async def run() -> tuple[Job, Ports]:
        ports = Ports(decision)
        job = Job("telecom", manifest(), ports, clock=lambda: now)
        for item in items:
            job.put(item)
        async with asyncio.timeout(20):
            await job.run()
        return job, ports

    return asyncio.run(run())


OTHERS = [FromPeer(name, approval()) for name in NAMES if name != "telecom"]


def test_a_job_that_goes_well_is_told_once() -> None:
    items = [
        *OTHERS,
        *OTHERS,
        Checked(PASSED),
        WorkerProgress("join", "start"),
        WorkerDone(RECEIPT),
    ]
    job, ports = play(*items, decision=None)
    assert ports.states == [
        State.PROPOSED,
        State.APPROVED,
        State.READY,
        State.RUNNING,
        State.FINISHED,
    ]
    assert ports.workers == [set(NAMES)]
    assert ports.kinds() == ["approval", "progress", "progress", "receipt"]
    assert job.error is None


def test_a_job_that_needs_a_person_waits_for_one() -> None:
    waiting = Decision(PASSED.checks, person=True)

    async def run(*, agree: bool) -> Ports:
        ports = Ports(waiting)
        job = Job("telecom", manifest(), ports, clock=lambda: NOW)
        running = asyncio.create_task(job.run())
        async with asyncio.timeout(20):
            while not job.waits_for_person:
                await asyncio.sleep(0)
            assert (ports.sent, ports.states) == ([], [State.PROPOSED])
            for item in OTHERS:
                job.put(item)
            if agree:
                # A second word changes nothing.
                for item in (Agreed(), Agreed(), WorkerDone(RECEIPT)):
                    job.put(item)
            else:
                job.put(Stop(LocalError("cancelled", "the operator said no")))
            await running
        return ports

    agreed = asyncio.run(run(agree=True))
    assert agreed.kinds() == ["approval", "progress", "receipt"]
    assert (len(agreed.workers), agreed.taken_over) == (1, 1)
    refused = asyncio.run(run(agree=False))
    assert (refused.kinds(), refused.workers, refused.taken_over) == (["failure"], [], 0)


def test_no_worker_starts_before_every_approval() -> None:
    _, ports = play(
        *OTHERS[:2], Checked(PASSED), PeerLost("government", "it left the bus"), decision=None
    )
    assert ports.workers == []
    assert ports.states[-1] is State.FAILED


def test_the_first_approval_of_a_party_counts() -> None:
    second = FromPeer("bank", approval(port=30_000))
    _, ports = play(*OTHERS, second, Checked(PASSED), WorkerDone(RECEIPT), decision=None)
    assert ports.states[-1] is State.FINISHED


def test_an_approval_for_another_address_ends_the_job() -> None:
    job, _ = play(FromPeer("bank", approval(host="10.0.0.1")))
    assert job.error is not None
    assert (job.error.code, job.error.party) == ("address", "bank")


def test_a_manifest_that_fails_the_policy_is_refused_with_reasons() -> None:
    job, ports = play(decision=FAILED)
    assert ports.kinds() == ["refusal"]
    assert ports.states == [State.PROPOSED, State.REFUSED]
    assert job.error is not None
    assert "not installed" in job.error.cause


def test_data_that_cannot_be_read_ends_the_job_everywhere() -> None:
    _, ports = play(decision=LocalError("data", "2 problem(s)", "correct it", party="telecom"))
    assert ports.kinds() == ["failure"]
    assert ports.states[-1] is State.FAILED


@pytest.mark.parametrize(
    ("item", "state", "code", "party"),
    [
        (FromPeer("bank", Refusal(checks=FAILED.checks)), State.REFUSED, "refused", "bank"),
        (
            FromPeer(
                "bank",
                Failure(error=Error(code="x", party="fintech", step="join", cause="c", remedy="r")),
            ),
            State.FAILED,
            "x",
            "fintech",
        ),
        (PeerLost("bank", "it left the bus"), State.FAILED, "peer_lost", "bank"),
        (FromPeer("bank", Cancel(reason="no")), State.CANCELLED, "cancelled", "bank"),
        (Stop(ERROR), State.CANCELLED, "worker_lost", "telecom"),
    ],
)
def test_whatever_ends_a_job_stops_the_worker_and_is_told_once(
    item: Any, state: State, code: str, party: str
) -> None:
    job, ports = play(item, item, decision=None)
    assert ports.states == [State.PROPOSED, state]
    assert ports.kinds() == ["failure"]
    assert ports.stops >= 1
    assert job.error is not None
    assert (job.error.code, job.error.party) == (code, party)
    assert job.error.step and job.error.cause and job.error.remedy


def test_only_the_initiator_can_cancel() -> None:
    _, ports = play(
        FromPeer("fintech", Cancel(reason="no")),
        *OTHERS,
        Checked(PASSED),
        WorkerDone(RECEIPT),
        decision=None,
    )
    assert ports.states[-1] is State.FINISHED


def test_a_failing_worker_names_its_step() -> None:
    items = [*OTHERS, Checked(PASSED), WorkerProgress("woe_iv", "start"), WorkerFailed(ERROR)]
    job, ports = play(*items, decision=None)
    assert ports.states[-1] is State.FAILED
    assert job.error is not None
    assert (job.error.party, job.error.step) == ("telecom", "woe_iv")
    body = ports.sent[-1][1]
    assert isinstance(body, Failure)
    assert body.error.step == "woe_iv"


def test_a_job_ends_at_its_expiry_and_names_who_is_missing() -> None:
    job, ports = play(*OTHERS[1:], now=NOW + 600)
    assert ports.states[-1] is State.EXPIRED
    assert job.error is not None
    assert job.error.code == "expired"


def test_what_comes_after_the_end_is_dropped() -> None:
    async def run() -> None:
        ports = Ports(FAILED)
        job = Job("telecom", manifest(), ports, clock=lambda: NOW)
        await job.run()
        for item in OTHERS:
            job.put(item)
        assert job.state is State.REFUSED
        assert job._queue.empty()

    asyncio.run(run())
