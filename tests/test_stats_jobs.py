"""Manifests, ledgers and the life of jobs with input parties, one piece at a time."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.consortium import NOW, identity
from test_job import PASSED, RECEIPT, Ports, approval

from parties.errors import LocalError
from parties.identity import Directory
from parties.job import Checked, FromPeer, Job, PeerLost, Waited, WorkerDone
from parties.learned import learned, learned_zh
from parties.lifecycle import State
from parties.list_work import keep_shares
from parties.manifest import Manifest, Submission
from parties.messages import Check, Error, Failure, Refusal
from parties.policy import Holdings, decide
from parties.programs import PROGRAMS
from parties.stats import inside, outside, world
from parties.stats.keeping import admit_release, commit, release_files
from parties.stats.orders import document_of, read_config
from parties.stats.own import edges_digest, matrices, register_digest, submission
from parties.stats.proposal import statistics_manifest
from parties.stats.stated import problem
from parties.stats.terms import terms_of
from parties.store import Store

BANKS = ("bank-a", "bank-b", "bank-c")
COMPUTE = ("c-one", "c-two", "c-three", "c-four")
NAMES = ("regulator", *COMPUTE, *BANKS, "environment", "registry")
IDENTITIES = {name: identity(name) for name in NAMES}
DIRECTORY = Directory({name: who.public_hex for name, who in IDENTITIES.items()})
REGISTER = ["R1", "R2", "R3"]

FUND_FLOW = {
    "title": "Use", "delivery": "d1", "receiver": "regulator", "banks": [*BANKS], "quorum": 2,
    "regions": ["east", "west"], "periods": ["2025Q1", "2025Q2"],
}  # fmt: skip
GREEN = {
    "title": "Green", "delivery": "d1", "receiver": "regulator", "period": "2025", "loans": 5,
    "kinds": dict.fromkeys(BANKS, "large"), "companies": 4, "carbon_holder": "environment",
}  # fmt: skip
RELATED = {
    "title": "Groups", "delivery": "d1", "receiver": "regulator", "period": "2025Q1",
    "banks": [*BANKS], "companies": 3, "register": register_digest(REGISTER), "loans": 4,
    "guarantees": 2, "edges": {"registry": {"rows": 3, "threshold": 50, "largest": 100}},
    "limit": 10, "bands": [5], "top": [2, 20], "listed": True,
}  # fmt: skip
TRACING = {
    "title": "Tracing", "delivery": "d1", "receiver": "regulator", "period": "2025Q1",
    "banks": [*BANKS], "quorum": 2, "regions": ["east", "west"], "start": "2025-01-01", "days": 90,
    "payments": 4, "loans": 2, "accounts": 3, "groups": {"registry": 2}, "own": True,
}  # fmt: skip
ALL = {"fund-flow": FUND_FLOW, "green-finance": GREEN, "related-loans": RELATED,
       "fund-tracing": TRACING}  # fmt: skip


def manifest_of(
    program: str = "fund-flow", compute: Any = COMPUTE, verified: bool = False, **changes: Any
) -> Manifest:
    return statistics_manifest(
        program, {**ALL[program], **changes}, initiator="regulator", compute=compute,
        parties={name: (key, "127.0.0.1") for name, key in DIRECTORY.items()},
        measurement="ab" * 32, now=NOW, seconds=600, approve_seconds=60,
        verified=verified,
    )  # fmt: skip


@pytest.mark.parametrize("program", ALL)
@pytest.mark.parametrize("compute", [COMPUTE, ("regulator", *COMPUTE[1:])])
def test_a_proposed_manifest_is_what_follows_from_its_parameters(program, compute) -> None:
    manifest = manifest_of(program, compute)
    assert Manifest.read(manifest.document()) == manifest
    assert problem(manifest) is None
    assert (manifest.compute, manifest.threshold) == (compute, 1)
    assert manifest.role("regulator") == ("output" if compute == COMPUTE else "compute")
    optional = set(BANKS) if program in ("fund-flow", "fund-tracing") else set()
    assert set(manifest.optional) == optional
    own = Holdings("c-two", DIRECTORY, "ab" * 32, manifest.inputs["c-two"], PROGRAMS)
    decision = decide(manifest, "regulator", own, NOW)
    assert decision.approved, decision.failed
    for party, sentences in learned(manifest).items():
        received = party == "regulator" or (party in BANKS and program != "fund-flow")
        assert sentences[0].startswith("Outputs:") == received
    assert set(learned_zh(manifest)) == set(manifest.names)


def test_the_bank_that_draws_the_key_is_needed() -> None:
    manifest = manifest_of("fund-tracing", groups={})
    assert set(manifest.optional) == {*BANKS[1:]} and "registry" not in manifest.names
    alone = manifest_of("fund-tracing", own=False)
    assert problem(alone) is None and set(alone.outputs) == {"table"}


@pytest.mark.parametrize("changes", [
    {"start": "9999-12-31"}, {"start": "soon"}, {"days": 0}, {"percent": [0, 1]}, {"hops": 0},
    {"rule": "fifo"}, {"groups": {"registry": 2, "environment": 2}}, {"amount_bits": 40,
                                                                      "payments": 1 << 22},
])  # fmt: skip
def test_traces_that_cannot_be_asked_for(changes: dict[str, Any]) -> None:
    with pytest.raises(LocalError) as raised:
        manifest_of("fund-tracing", **changes)
    assert raised.value.code == "config"


def changed(manifest: Manifest, **changes: Any) -> Manifest:
    return Manifest.read({**manifest.document(), **changes})


def test_a_manifest_cannot_say_other_than_its_parameters() -> None:
    manifest = manifest_of()
    document = manifest.document()
    wider = json.loads(json.dumps(document["inputs"]))
    wider["bank-a"]["parts"][0]["rows"] += 1
    other = json.loads(json.dumps(document["outputs"]))
    other["table"]["receivers"] = ["bank-a"]
    needed = json.loads(json.dumps(document["inputs"]))
    needed["bank-a"]["optional"] = False
    quick = json.loads(json.dumps(document["inputs"]))
    quick["bank-a"]["seconds"] = 5
    for changes, says in [
        ({"inputs": wider}, "inputs are not"), ({"inputs": needed}, "inputs are not"),
        ({"inputs": quick}, "not the same for all"), ({"outputs": other}, "outputs are not"),
        ({"outputs": {}}, "outputs are not"), ({"initiator": "c-one"}, "expected the initiator"),
        ({"parameters": {**FUND_FLOW, "banks": [*BANKS[:2]]}}, "is asked for nothing"),
        ({"parameters": {**FUND_FLOW, "banks": [*BANKS, "x"]}}, "x is asked for data"),
        ({"parameters": {**FUND_FLOW, "receiver": "c-one"}}, "receives nothing"),
        ({"parameters": {**FUND_FLOW, "quorum": 9}}, "a quorum of 9 of 3"),
        ({"parameters": {**FUND_FLOW, "secret": 1}}, "parameters are not valid"),
        ({"parameters": {**FUND_FLOW, "regions": ["total"]}}, "parameters are not valid"),
    ]:
        found = problem(changed(manifest, **changes))
        assert found is not None and says in found, (changes, found)


@pytest.mark.parametrize("changes, code", [
    ({"banks": ["nobody"], "quorum": 1}, "unknown_party"), ({"periods": []}, "config"),
    ({"banks": ["bank-a", "c-one"], "quorum": 1}, "config"), ({"rules": {"floor": 0}}, "config"),
])
def test_proposals_that_cannot_be(changes: dict[str, Any], code: str, tmp_path: Path) -> None:
    with pytest.raises(LocalError) as raised:
        manifest_of(**changes)
    assert raised.value.code == code and raised.value.remedy
    with pytest.raises(LocalError, match="cannot be read"):
        read_config(tmp_path / "nothing.json")


# -- ledgers ---------------------------------------------------------------------------------


class Home:
    """A node's home with a database, in which jobs can be proposed and ended."""

    def __init__(self, path: Path, party: str) -> None:
        self.path, self.party, self.store = path, party, Store(path / "node.db")

    def admit(self, manifest: Manifest) -> dict[str, bool]:
        self.store.add_job(manifest.job_id, manifest.sha256(), manifest.document())
        checks = admit_release(self.store, self.path / "jobs", self.party, manifest)
        return {check.name: check.passed for check in checks}

    def end(self, manifest: Manifest, committed: bool, state: State = State.FINISHED) -> None:
        folder = self.path / "jobs" / manifest.job_id
        folder.mkdir(parents=True)
        if committed:
            commit(folder, BANKS)
        self.store.set_state(manifest.job_id, state)


def test_the_ledger_refuses_differencing_and_lets_the_same_table_pass(tmp_path: Path) -> None:
    home = Home(tmp_path, "c-two")
    failed, first, again = manifest_of(), manifest_of(), manifest_of()
    other = manifest_of(by_institution=True)
    assert home.admit(failed) == {"ledger": True}
    assert home.admit(first) == {"ledger": False}, "the same table is being computed"
    home.end(failed, committed=False, state=State.FAILED)
    # A job that ended before anything could open binds nobody, not even to its own table.
    assert home.admit(other) == {"ledger": True}
    home.end(other, committed=False, state=State.CANCELLED)
    assert home.admit(first) == {"ledger": True}
    home.end(first, committed=True)
    assert home.admit(manifest_of(by_institution=True)) == {"ledger": False}
    assert home.admit(manifest_of(delivery="d2")) == {"ledger": False}, "other data, same rows"
    assert home.admit(manifest_of(regions=["east"])) == {"ledger": False}
    assert home.admit(manifest_of(periods=["2026Q1"])) == {"ledger": True}, "other rows"
    assert home.admit(again) == {"ledger": True}
    (tmp_path / "jobs" / again.job_id).mkdir()
    # What binds is in the database: a folder of jobs that was cleared away changes nothing.
    shutil.rmtree(tmp_path / "jobs" / first.job_id)
    assert home.admit(manifest_of(by_institution=True)) == {"ledger": False}
    counted = release_files(again, tmp_path, home.store)["counted"]
    assert json.loads(Path(counted).read_text())["institutions"] == list(BANKS)
    # A node that has ended in between knows all of it from its disk.
    home.store.close()
    assert Home(tmp_path, "c-two").admit(manifest_of(by_institution=True)) == {"ledger": False}


@pytest.mark.parametrize("program, changes", [
    ("fund-tracing", {"percent": [10, 11]}), ("fund-tracing", {"hops": 4}),
    ("fund-tracing", {"rule": "latest"}), ("fund-tracing", {"start": "2025-01-02"}),
    ("fund-tracing", {"groups": {}}), ("fund-flow", {"threshold": 0.5}),
    ("fund-flow", {"weights": [1.0, 1.0, 1.0, 0.0]}), ("related-loans", {"limit": 11}),
])  # fmt: skip
def test_the_same_table_with_another_threshold_is_another_table(
    program: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    home, first = Home(tmp_path, "c-two"), manifest_of(program)
    assert home.admit(first)["ledger"]
    home.end(first, committed=True)
    assert home.admit(manifest_of(program, **changes))["ledger"] is False
    said = {"title": "Once more", "submit_seconds": 90}
    assert home.admit(manifest_of(program, **said))["ledger"] is True


def test_days_that_were_traced_are_not_traced_again_under_another_name(tmp_path: Path) -> None:
    home, first = Home(tmp_path, "c-two"), manifest_of("fund-tracing")
    assert home.admit(first)["ledger"]
    home.end(first, committed=True)
    assert home.admit(manifest_of("fund-tracing", period="once more"))["ledger"] is False
    for start, allowed in (("2025-03-31", False), ("2025-04-01", True)):
        later = manifest_of("fund-tracing", start=start, period="2025Q2", delivery="d2")
        assert home.admit(later)["ledger"] is allowed


def test_a_bank_submits_no_other_data_under_a_name_it_has_used(tmp_path: Path) -> None:
    home, first = Home(tmp_path, "bank-a"), manifest_of()
    write(tmp_path / "data/fund-flow", "loans", region=["east"], period=["2025Q1"],
          outstanding=[5])  # fmt: skip
    assert home.admit(first) == {"ledger": True, "delivery": True}
    home.end(first, committed=True)
    write(tmp_path / "data/fund-flow", "loans", region=["east"], period=["2025Q1"],
          outstanding=[6])  # fmt: skip
    assert home.admit(manifest_of()) == {"ledger": True, "delivery": False}


def test_a_period_follows_only_what_the_node_holds(tmp_path: Path) -> None:
    home, first = Home(tmp_path, "c-two"), manifest_of("related-loans")
    assert home.admit(first)["ledger"]
    home.end(first, committed=True)
    later = {"period": "2025Q2", "follows": first.sha256()}
    assert home.admit(manifest_of("related-loans", **later))["follows"] is False, "no shares"
    (tmp_path / "jobs" / first.job_id / "shares.npz").touch()
    assert home.admit(manifest_of("related-loans", **later))["follows"] is True
    for change in ({"follows": "cd" * 32}, {"unit": "yuan"}):
        changed = {**later, "period": "2025Q3", **change}
        assert home.admit(manifest_of("related-loans", **changed))["follows"] is False
    other_mode = manifest_of("related-loans", verified=True, **{**later, "period": "2025Q5"})
    assert home.admit(other_mode)["follows"] is False
    reordered = manifest_of("related-loans", COMPUTE[::-1], **{**later, "period": "2025Q4"})
    assert home.admit(reordered)["follows"] is False


# -- a job that can do without a bank ----------------------------------------------------------

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


# -- a party's own data ------------------------------------------------------------------------


PAYMENT: dict[str, list[Any]] = {
    "payer": ["1"], "payee_bank": ["bank-b"], "payee": ["2"], "day": ["2025-02-01"], "amount": [3],
}  # fmt: skip
ACCOUNT: dict[str, list[Any]] = {"account": ["1"], "company": ["R8"], "restricted": [1]}


def write(folder: Path, stem: str, **columns: Any) -> None:
    world.write_table(folder / f"{stem}.csv", columns)


def test_the_matrices_are_what_the_files_say(tmp_path: Path) -> None:
    green = terms_of(manifest_of("green-finance"))
    write(tmp_path, "carbon", company=["C1", "C2"], intensity=[7, 9])
    carbon = matrices(green, "environment", tmp_path, bytes(32))["carbon"]
    assert carbon.shape == (4, 3)
    assert sorted(carbon[:, 2].cumsum().tolist()) == [0, 0, 7, 9]
    np.testing.assert_array_equal(carbon[:, 0], carbon[:, 1].cumsum())
    write(tmp_path, "loans", company=["C1", "C3", "C1"], balance=[10, 20, 30], before=[8, 0, 31],
          green=[1, 0, 1], new=[0, 1, 1], overdue=[0, 0, 1])  # fmt: skip
    own = matrices(green, "bank-a", tmp_path, bytes(32))
    assert own["sums"].tolist() == [[3, 60, 40, 39, 50, 30, 30]]
    assert own["loans"][:, 1].tolist() == [10, 30, 0, 0, 0]
    assert own["loans"][0, 0] == own["loans"][1, 0] in carbon[:, 0]
    assert matrices(green, "bank-a", tmp_path, b"k" * 32)["loans"][0, 0] not in carbon[:, 0]

    related = terms_of(manifest_of("related-loans"))
    write(tmp_path, "companies", company=REGISTER)
    write(tmp_path, "loans", company=["R3", " r1"], lent=[5, 6])
    write(tmp_path, "edges", first=["R1"], second=["R2"], weight=[60])
    found = matrices(related, "bank-a", tmp_path, b"")
    assert found["loans"].tolist() == [[2, 5, 0], [0, 6, 0], [0, 0, 0], [0, 0, 0]]
    assert found["guarantees"].tolist() == [[0, 0], [0, 0]]
    edges = matrices(related, "registry", tmp_path, b"")["edges of registry"]
    assert edges.tolist() == [[0, 1, 60], [0, 0, 0], [0, 0, 0]]


def test_the_payments_of_a_bank_are_what_its_files_say(tmp_path: Path) -> None:
    terms = terms_of(manifest_of("fund-tracing"))
    write(tmp_path, "payments", payer=["1", "2"], payee_bank=["bank-b", "far away"],
          payee=["9", "8"], day=["2025-01-01", "2025-03-31 10:00:00"], amount=[5, 6])  # fmt: skip
    write(tmp_path, "accounts", account=["1", "2", "3"], company=["R1", "R2", "R1"],
          restricted=[0, 1, 0])  # fmt: skip
    write(tmp_path, "groups", company=["R1"], group=["G"])
    found = matrices(terms, "bank-a", tmp_path, bytes(32))
    assert found["payments"][:, 2:].tolist() == [[0, 5], [89, 6], [0, 0], [0, 0]]
    bits = terms.protocol.code_bits
    assert (found["payments"][:2, 1] >> bits).tolist() == [1, len(BANKS)]
    assert (found["accounts"][:2, 0] == found["payments"][:2, 0]).all()
    assert found["accounts"][0, 1] == found["accounts"][2, 1] != found["accounts"][1, 1]
    assert found["accounts"][:, 2].tolist() == [0, 1, 0] and not found["loans"].any()
    # What two banks call alike are two accounts, and one company.
    write(tmp_path, "loans", account=["1"], region=["west"], day=["2025-01-02"], amount=[7],
          company=["r1"])  # fmt: skip
    other = matrices(terms, "bank-b", tmp_path, bytes(32))
    assert other["loans"].tolist() == [
        [other["accounts"][0, 0], 1, 7, found["accounts"][0, 1], 1], [0] * 5]
    assert other["accounts"][0, 0] != found["accounts"][0, 0]
    assert list(matrices(terms, "registry", tmp_path, bytes(32))) == ["groups"]
    groups = matrices(terms, "registry", tmp_path, b"k" * 32)["groups"]
    assert groups.shape == (2, 2) and groups[0, 0] != found["accounts"][0, 1]


@pytest.mark.parametrize("program, party, files, says", [
    ("fund-flow", "bank-a", {}, "there is no file loans.csv"),
    ("fund-flow", "bank-a", {"loans": {"region": ["east"]}}, "no column period"),
    ("fund-flow", "bank-a", {"loans": {"region": ["north"], "period": ["2025Q1"],
                                       "outstanding": [1]}}, "1 values are none of"),
    ("fund-flow", "bank-a", {"loans": {"region": ["east"], "period": ["2025Q1"],
                                       "outstanding": [-77]}}, "1 are not whole numbers"),
    ("fund-flow", "bank-a", {"loans": {"region": ["east"], "period": ["2025Q1"],
                                       "outstanding": ["x"]}}, "1 rows are no numbers"),
    ("fund-flow", "bank-a", {"loans": {"region": ["east"], "period": ["2025Q1"],
                                       "outstanding": [1 << 40]}}, "outside of 0 to"),
    ("green-finance", "environment", {"carbon": {"company": ["A", "A"], "intensity": [1, 1]}},
     "1 are repeated"),
    ("green-finance", "bank-a", {"loans": {"company": ["A"] * 6, "balance": [1] * 6,
                                           "green": [1] * 6, "new": [0] * 6, "overdue": [0] * 6}},
     "6 loans, but at most 5"),
    ("green-finance", "bank-a", {"loans": {"company": ["A"], "balance": [1], "green": [2],
                                           "new": [0], "overdue": [0]}}, "neither 0 nor 1"),
    ("related-loans", "registry", {"companies": {"company": ["R1", "R2", "R9"]}},
     "the register of companies is not the one"),
    ("related-loans", "registry", {"companies": {"company": REGISTER}, "edges": {
        "first": ["R1"], "second": ["R8"], "weight": [1]}}, "1 are not in the register"),
    ("fund-tracing", "bank-a", {}, "there is no file payments.csv"),
    ("fund-tracing", "bank-a", {"payments": PAYMENT}, "there is no file accounts.csv"),
    ("fund-tracing", "bank-a", {"accounts": ACCOUNT, "payments": {**PAYMENT, "day": ["77"]}},
     "column day: 1 are not among the 90 days from 2025-01-01"),
    ("fund-tracing", "bank-a", {"accounts": ACCOUNT, "payments": {
        **PAYMENT, "day": ["2025-04-01"]}}, "column day: 1 are not among the 90 days"),
    ("fund-tracing", "bank-a", {"accounts": {**ACCOUNT, "restricted": [2]}, "payments": PAYMENT},
     "neither 0 nor 1"),
    ("fund-tracing", "bank-a", {"accounts": {k: v * 2 for k, v in ACCOUNT.items()},
                                "payments": PAYMENT}, "accounts: 1 are repeated"),
    ("fund-tracing", "registry", {"groups": {"company": ["A"] * 2, "group": ["B"] * 2}},
     "1 companies are repeated"),
])  # fmt: skip
def test_what_is_wrong_with_the_files_is_said_without_a_value(
    program: str, party: str, files: dict[str, Any], says: str, tmp_path: Path
) -> None:
    for stem, columns in files.items():
        write(tmp_path / "data" / program / "d1", stem, **columns)
    with pytest.raises(LocalError) as raised:
        submission(manifest_of(program), party, tmp_path)
    assert raised.value.code == "own_data" and says in raised.value.cause
    assert "R8" not in raised.value.cause and "-77" not in raised.value.cause


def test_files_of_a_delivery_come_before_those_of_the_program(tmp_path: Path) -> None:
    manifest = manifest_of()
    row = {"region": ["east"], "period": ["2025Q1"]}
    write(tmp_path / "data/fund-flow", "loans", **row, outstanding=["x"])
    write(tmp_path / "data/fund-flow/d1", "loans", **row, outstanding=[3])
    assert isinstance(submission(manifest, "bank-a", tmp_path), Submission)


def test_what_all_know_is_compared_with_the_manifest(tmp_path: Path) -> None:
    first, second = ["R1", "R3"], ["R2", "R1"]
    changes = {"public_edges": edges_digest(first, second), "guarantees": 0, "edges": {}}
    manifest = manifest_of("related-loans", **changes)
    write(tmp_path, "companies", company=REGISTER)
    write(tmp_path, "edges", first=first, second=second)
    files = {"data": str(tmp_path)}
    brought = inside.bring("c-two", manifest, terms_of(manifest), files, None)
    assert brought["known"].tolist() == [[0, 1], [2, 0]] and brought["before"] is None
    write(tmp_path, "edges", first=second, second=first)
    with pytest.raises(LocalError, match="the edges are not those"):
        inside.bring("c-two", manifest, terms_of(manifest), files, None)


def test_the_shares_of_a_period_come_back_as_they_were(tmp_path: Path) -> None:
    first = manifest_of("related-loans")
    kept = {"owed": np.arange(6, dtype=np.uint64).reshape(3, 2),
            "group": np.ones((3, 2), np.uint64)}  # fmt: skip
    keep_shares(tmp_path, first, kept)
    later = manifest_of("related-loans", period="2025Q2", follows=first.sha256())
    files = {"before": str(tmp_path / "shares.npz")}
    before = inside.bring("c-two", later, terms_of(later), files, None)["before"]
    assert set(before) == set(kept)
    for name, share in kept.items():
        np.testing.assert_array_equal(before[name], share)
    other = manifest_of("related-loans", period="2025Q2", follows="ab" * 32)
    with pytest.raises(LocalError, match="another version"):
        inside.bring("c-two", other, terms_of(other), files, None)


def test_what_the_parties_outside_make_of_what_they_are_handed() -> None:
    manifest = manifest_of("fund-tracing")
    terms = terms_of(manifest)
    public = {"institutions": list(BANKS), "refused": {}, "figures": ["rows", "amount"]}
    opened = {"codes": np.zeros((3, 3)), "figures": np.arange(18).reshape(2, 3, 3)}
    document = outside._release(terms, manifest, public, opened)
    assert document["cells"][1]["place"] == {"region": "east", "flow": "restricted"}
    assert document["cells"][1]["values"] == {"rows": 1, "amount": 10}
    assert document["traced"] == {"hops": 3, "window": 30, "rule": "tainted-first",
                                  "restricted": 10, "back": 10}  # fmt: skip
    assert document["record"]["manifest_hash"] == manifest.sha256()
    said = {"accepted": True, "reason": None}
    own = outside._own(terms, said, {"own": np.array([0, 3, 1, 2])})
    assert own == {**said, "own": {"restricted": [2, 3], "back": [2, 4]}}
    assert outside._own(terms, said, {}) == said


def test_lists_of_a_release() -> None:
    table = {"cells": []}
    found = document_of("green-finance", {"table": table, "bands": {"b": 1, "a": 1, "c": 0}}, [])
    assert found["lists"][0]["rows"] == [["c", 1], ["a", 2], ["b", 2]]
    outputs = {"table": table, "groups": [{"companies": [2, 0], "owed": 9}], "top_over_limit": True}
    found = document_of("related-loans", outputs, REGISTER)
    assert found["lists"][0]["rows"] == [["R3, R1", 9]]
    assert found["facts"] == {"top_over_limit": True}
