"""A job that can do without a bank, and the ones it cannot do without."""

import asyncio
from typing import Any

import pytest
from fakes.consortium import NOW
from fakes.statistics_jobs import BANKS, COMPUTE, manifest_of
from test_job import PASSED, RECEIPT, Ports, approval

from parties.job import Checked, FromPeer, Job, PeerLost, Waited, WorkerDone
from parties.lifecycle import State
from parties.manifest import Manifest
from parties.messages import Check, Error, Failure, Refusal

ERROR = Error(code="own_data", party="bank-b", step="load", cause="a file", remedy="correct it")


def play(party: str, manifest: Manifest, *items: Any) -> tuple[Job, Ports]:
    async def run() -> tuple[Job, Ports]:
        ports = Ports(PASSED)
        job = Job(party, manifest, ports, clock=lambda: NOW)
        for item in items:
            job.put(item)
        async with asyncio.timeout(20):
            await job.run()
        return job, ports

    return asyncio.run(run())


REQUIRED = [FromPeer(n, approval()) for n in (*COMPUTE, "regulator") if n != "c-one"]
REFUSAL = Refusal(checks=(Check(name="ledger", passed=False, reason="x"),))


@pytest.mark.parametrize("without", [
    [FromPeer("bank-b", REFUSAL)], [FromPeer("bank-b", Failure(error=ERROR))],
    [PeerLost("bank-b", "gone")], [Waited()], [FromPeer("bank-b", approval("10.0.0.9"))],
])  # fmt: skip
def test_a_job_goes_on_without_a_bank_that_refuses_fails_or_is_late(without: list[Any]) -> None:
    banks = [FromPeer(n, approval()) for n in ("bank-a", "bank-c")]
    job, ports = play("c-one", manifest_of(), Checked(PASSED), *REQUIRED, *banks, *without,
                      PeerLost("bank-a", "gone"), WorkerDone(RECEIPT))  # fmt: skip
    assert (job.state, job.error) == (State.FINISHED, None)
    assert ports.workers == [{*COMPUTE, "regulator", "bank-a", "bank-c"}]


def test_a_compute_party_waits_for_all_banks_and_a_bank_for_none() -> None:
    banks = [FromPeer(n, approval()) for n in BANKS]
    job, ports = play("c-one", manifest_of(), Checked(PASSED), *REQUIRED, *banks,
                      WorkerDone(RECEIPT))  # fmt: skip
    assert ports.workers == [{*COMPUTE, "regulator", *BANKS}]
    job, ports = play("bank-a", manifest_of(), Checked(PASSED), *REQUIRED,
                      FromPeer("c-one", approval()), WorkerDone(RECEIPT))  # fmt: skip
    assert job.state is State.FINISHED
    assert ports.workers == [{*COMPUTE, "regulator", "bank-a"}]


def test_who_holds_the_key_of_the_tags_waits_for_all_who_may_ask_for_it() -> None:
    for program, holder in (("fund-tracing", "registry"), ("green-finance", "environment")):
        manifest = manifest_of(program, quorum=2)
        others = [FromPeer(n, approval()) for n in (*COMPUTE, "regulator", *BANKS[:2])]
        late = FromPeer(BANKS[2], approval())
        _, ports = play(holder, manifest, Checked(PASSED), *others, late, WorkerDone(RECEIPT))
        assert ports.workers == [set(manifest.names)]


def test_no_job_goes_on_without_who_is_needed() -> None:
    for manifest, item in [
        (manifest_of(), FromPeer("c-two", REFUSAL)),
        (manifest_of(), PeerLost("regulator", "gone")),
        (manifest_of(quorum=3), FromPeer("bank-b", REFUSAL)),
        (manifest_of("green-finance"), PeerLost("environment", "gone")),
    ]:
        job, ports = play("c-one", manifest, item)
        assert job.state in (State.REFUSED, State.FAILED) and ports.workers == []


def test_a_bank_whose_data_nobody_fetched_hears_that_it_was_late(monkeypatch: Any) -> None:
    monkeypatch.setattr("parties.job.LATE_SECONDS", 0.0)
    receipts = [FromPeer(n, RECEIPT) for n in COMPUTE]
    job, _ = play("bank-a", manifest_of(), *REQUIRED, FromPeer("c-one", approval()), *receipts)
    assert job.error is not None and (job.error.code, job.error.party) == ("late", "bank-a")
