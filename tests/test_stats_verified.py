"""Regulator statistics in verified mode: the same tables, and compute parties that cheat."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import numpy as np
import pytest
import test_stats_related as related
import tracing_kit
from adversary import Attack, attacked, frames_of
from fakes.statistics_jobs import manifest_of
from stats_kit import RECORD, own_figures
from test_stats_programs import green, loans_of

from engine import frames
from engine.cluster import run_cluster
from engine.errors import EngineError
from engine.shamir import Geometry
from parties.errors import LocalError
from parties.stats import outside
from protocols.stats import suppression
from protocols.stats.fund_flow import FundFlowParameters, bank_cells, fund_flow
from protocols.stats.fund_flow import published as release_of
from protocols.stats.green_finance import green_finance
from protocols.stats.handed import pack, put_together
from protocols.stats.plain.programs import green_indicators
from protocols.stats.plain.related_loans import RelatedTwin
from protocols.stats.rules import Rules
from protocols.stats.submission import prepare

GEOMETRY = Geometry(4, 1, verified=True)
LAX = Rules(minimum=1, dominance=(2, 100), p_ratio=0, zeros=False)
FLOW = FundFlowParameters(("a", "b", "c"), ("east", "west"), ("Q1",), by_institution=False,
                          rules=LAX, quorum=2)


@pytest.fixture(autouse=True)
def one_turn(monkeypatch):
    """Secondary suppression in its shortest form; what it decides is tested elsewhere."""
    monkeypatch.setattr(suppression, "TURNS", 1)


def fund_flow_of(loans):
    """A program, and the messages of all banks."""
    messages = {e.institution: prepare(bank_cells(FLOW, **loans[e.institution]), e, GEOMETRY)
                for e in FLOW.expected("job")}

    async def program(mpc):
        found = await fund_flow(mpc, parameters=FLOW, job="job", record=RECORD, outside=True,
                                messages={name: m[mpc.pid] for name, m in messages.items()})
        return found["public"], found["sealed"]
    return program


def released(results, job="job"):
    """The document at the receiver outside."""
    messages = [pack(sealed, public, job, GEOMETRY, p) for p, (public, sealed) in
                enumerate(results)]
    return release_of(FLOW, RECORD, *put_together(messages, job, GEOMETRY))


def figures(document, loans):
    """The table, and the one that counting gives for the banks that are left."""
    names = document["record"]["institutions"]
    found, expected = [], []
    for cell in document["cells"]:
        place = cell["place"]
        rows = [sum((loans[n]["region"] == place["region"]) | (place["region"] == "total"))
                for n in names]
        found.append(cell["values"]["rows"])
        expected.append(sum(rows))
    return found, expected


def test_fund_flow_and_a_compute_party_that_cheats():
    """Right figures of the banks that count, a bank refused by name, or an error."""
    loans = loans_of(FLOW, 15, 3)
    program, cheater = fund_flow_of(loans), 2
    document = released(run_cluster(program, 4, verified=True))
    found, expected = figures(document, loans)
    assert found == expected and document["record"]["institutions"] == ["a", "b", "c"]
    sent, stopped = frames_of(program, cheater, verified=True), 0
    for at in np.linspace(9, sent - 1, 5).astype(int):
        results = attacked(program, Attack("wrong", int(at)), cheater, verified=True)
        if any(isinstance(r, EngineError) for r in results):
            stopped += 1
            assert all(isinstance(r, EngineError) for r in results), at
        else:
            public = [said for said, _ in results]
            assert public[0] == public[1] == public[2]
            counted = public[0]["institutions"]
            assert all(name in FLOW.institutions for name in counted) and len(counted) >= 2
    assert stopped >= 3


def test_green_finance():
    parameters, sums, loans, intensities, messages = green(2)

    async def program(mpc):
        return await green_finance(
            mpc, parameters=parameters, job="job", record=RECORD, receivers=3,
            messages={kind: {name: m[mpc.pid] for name, m in each.items()}
                      for kind, each in messages.items()})
    results = run_cluster(program, 4, verified=True)
    indicators, scores, bands = green_indicators(parameters, sums, loans, intensities)
    assert list(results[3]["outputs"]["bands"].values()) == bands.tolist()
    for k, name in enumerate(parameters.institutions):
        own = own_figures({p: r["own"][name] for p, r in enumerate(results)}, GEOMETRY)
        np.testing.assert_allclose(list(own.values()), [*indicators[k], scores[k]], atol=1e-4)


def test_related_loans():
    parameters = related.consortium()
    rows = related.period(parameters, 0)
    results = related.run(parameters, rows, verified=True)
    twin = RelatedTwin(parameters)
    twin.add(*related.counted(parameters, rows))
    related.same(results[2]["outputs"], twin)


@pytest.mark.parametrize("changes", [{"rule": "tainted-first", "own": True},
                                     {"groups": "registry", "companies": 4}])
def test_fund_tracing(changes):
    p = tracing_kit.consortium(**changes)
    rows = tracing_kit.random_rows(p, 0)
    results = tracing_kit.run(p, tracing_kit.matrices(p, rows), verified=True)
    assert tracing_kit.check(p, rows, results).table.rows[..., 1:].any(), "something is flagged"


# --- what parties tell each other ---

def test_a_party_that_shows_two_others_different_words_is_found():
    """The numbers of the submissions, told to party 3 otherwise than to the rest."""
    program = fund_flow_of(loans_of(FLOW, 5, 4))
    first = []

    def tap(source, target, frame, payload):
        if (source, target) == (1, 3) and frame.kind == frames.ARRAY and len(payload) == 72:
            first.append(target)
            if len(first) == 1:
                payload = payload.copy()
                payload[8] ^= 1
        return [(frame, payload)]
    results = run_cluster(program, 4, tap=tap, verified=True, raw_errors=True)
    assert first and all(isinstance(r, EngineError) for r in results)
    codes = {r.code for r in results}
    assert "cheating-detected" in codes <= {"cheating-detected", "peer-stopped"}


def test_shares_do_not_leave_before_all_have_confirmed():
    """One party stops before it confirms; no other has shares to hand over."""
    program = fund_flow_of(loans_of(FLOW, 5, 5))

    def tap(source, target, frame, payload):
        seen.append((source, frame))
        return [(frame, payload)]
    seen = []
    run_cluster(program, 4, tap=tap, verified=True)
    last = [frame for source, frame in seen if source == 2 and frame.kind == frames.ARRAY][-3:]
    assert {(frame.length, frame.operation) for frame in last} == {(0, last[0].operation)}

    def silent(source, target, frame, payload):
        drop = source == 2 and (frame.kind, frame.operation) == (frames.ARRAY, last[0].operation)
        return [] if drop else [(frame, payload)]
    results = run_cluster(program, 4, tap=silent, verified=True, raw_errors=True,
                          idle_deadline=0.5)
    assert all(isinstance(r, EngineError) for r in results)


def test_a_receiver_outside_names_the_party_that_does_not_fit():
    results = run_cluster(fund_flow_of(loans_of(FLOW, 5, 6)), 4, verified=True)
    messages = [pack(sealed, public, "job", GEOMETRY, p) for p, (public, sealed) in
                enumerate(results)]
    for spoilt in (messages[1][:-16] + bytes(16),
                   pack(results[1][1], {**results[1][0], "refused": {"a": "x"}}, "job", GEOMETRY,
                        1)):
        with pytest.raises(EngineError) as raised:
            put_together([messages[0], spoilt, *messages[2:]], "job", GEOMETRY)
        assert (raised.value.code, raised.value.party) == ("results-disagree", 1)


# --- parties ---

def test_manifests_in_verified_mode():
    manifest = manifest_of(verified=True)
    assert (manifest.verified, manifest.threshold) == (True, 1)
    five = manifest_of(compute=("regulator", "c-one", "c-two", "c-three", "c-four"), verified=True)
    assert five.threshold == 1
    with pytest.raises(LocalError, match="too_few_parties"):
        manifest_of(compute=("c-one", "c-two", "c-three"), verified=True)


def test_the_key_of_tags_is_for_institutions_alone():
    """Not for the regulator, where it does not compute."""
    manifest = manifest_of("fund-tracing")
    told = [SimpleNamespace(name=n, certificate="AAAA") for n in manifest.names
            if manifest.role(n) != "compute"]
    assert "regulator" in {peer.name for peer in told}
    job = SimpleNamespace(party="registry", outside=told)
    assert set(outside._others(manifest, job)) == {"bank-a", "bank-b", "bank-c"}


def test_a_receiver_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr(outside, "GRACE_SECONDS", 0.01)
    manifest = manifest_of()
    desk = SimpleNamespace(all_results=asyncio.Event(), results={"c-one": b""})
    late = manifest.model_copy(update={"expires": int(time.time()) - 10})
    with pytest.raises(LocalError) as raised:
        asyncio.run(outside._all_results(desk, late))
    assert (raised.value.code, raised.value.party) == ("deadline", "c-two")
    assert "c-two, c-three, c-four" in raised.value.cause
