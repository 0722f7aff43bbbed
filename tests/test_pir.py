"""Anonymous query: right answers; deviations and mistakes are refused."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from engine_kit import SIZES
from pir_kit import decide_some, lists_of, own, some_records

from engine import frames
from engine.cluster import run_cluster
from engine.errors import EngineError
from protocols import pir
from protocols.pir import ask, decide, publish
from protocols.pir_book import Book
from protocols.pir_table import (
    EPOCH,
    Entries,
    Layout,
    Record,
)


@pytest.mark.parametrize("m, t, verified", [*[(*s, False) for s in SIZES], (4, 1, True),
                                            (7, 2, False)])
def test_several_lists_of_several_owners(m, t, verified):
    layouts = [Layout(60, 64), Layout(200, 0), Layout(10, 17)]
    contents = [some_records(k, n, y.payload) for k, (n, y) in
                enumerate(zip((60, 150, 0), layouts, strict=True))]
    asker = m - 1
    keys = [f"company-{i}" for i in (0, 59, 60, 149, 150, 3)] + ["", "名字", "company-3"]

    async def program(mpc):
        lists = await lists_of(mpc, contents, layouts)
        found = await ask(mpc, lists, asker, len(keys), own(mpc, asker, keys))
        hits = await decide(mpc, lists, asker, len(keys), 32, own(mpc, asker, keys))
        return found, hits

    results = run_cluster(program, m, t, verified=verified)
    for pid, (found, hits) in enumerate(results):
        if pid != asker:
            assert found is None and hits is None
            continue
        assert found == [[records.get(key) for records in contents] for key in keys]
        assert hits == [any(r is not None and r.severity >= 32 for r in row) for row in found]


@pytest.mark.parametrize("seed", range(3))
def test_batches_of_present_and_absent_keys(seed, monkeypatch):
    monkeypatch.setattr(pir, "BATCH", 100)
    rng = np.random.default_rng(seed)
    contents = [some_records(seed, 300, 20), some_records(seed + 9, 500, 20)]
    layouts = [Layout(300, 20), Layout(600, 20)]
    keys = [f"company-{i}" for i in rng.integers(0, 600, 250)]

    async def program(mpc):
        lists = await lists_of(mpc, contents, layouts)
        return await ask(mpc, lists, 3, len(keys), own(mpc, 3, keys))

    found = run_cluster(program, 4)[3]
    assert found == [[records.get(key) for records in contents] for key in keys]


def test_ten_thousand_queries_half_of_them_for_absent_keys():
    records = some_records(1, 5000, 32)
    keys = np.random.default_rng(1).permutation([f"company-{i}" for i in range(10_000)]).tolist()

    async def program(mpc):
        lists = await lists_of(mpc, [records], [Layout(5000, 32)])
        return await ask(mpc, lists, 1, len(keys), own(mpc, 1, keys))

    found = run_cluster(program, 4)[1]
    assert found == [[records.get(key)] for key in keys]
    assert sum(answer is not None for [answer] in found) == 5000


@pytest.mark.parametrize("severity", [0, 1, 40, 63])
def test_the_decision_is_exact_at_the_limit(severity):
    records = {f"s{s}": Record(s, 4095, datetime.date(4000, 1, 1), b"\xff" * 64)
               for s in range(64)}
    records |= {f"low{s}": Record(s, 0, EPOCH) for s in range(64)}
    keys = [*records, "absent"]

    async def program(mpc):
        lists = await lists_of(mpc, [records, {}], [Layout(128), Layout(5)])
        return await decide(mpc, lists, 1, len(keys), severity, own(mpc, 1, keys))

    hits = run_cluster(program, 4)[1]
    assert hits == [key in records and records[key].severity >= severity for key in keys]


@pytest.mark.parametrize("deviation", ["two rows", "scaled", "none"])
@pytest.mark.parametrize("verified", [False, True])
def test_an_asker_that_selects_no_single_place_gets_nothing(deviation, verified, monkeypatch):
    honest = pir._selectors

    def selectors(keys, lists):
        values = honest(keys, lists)
        [place] = np.flatnonzero(values[1, 1:1 + lists[0].layout.rows, 0])
        values[1, 1 + place, 0] = {"two rows": 1, "scaled": 2, "none": 0}[deviation]
        if deviation == "two rows":
            values[1, 1 + (place + 1) % lists[0].layout.rows, 0] = 1
        return values

    monkeypatch.setattr(pir, "_selectors", selectors)
    records = some_records(1, 50)

    async def program(mpc):
        lists = await lists_of(mpc, [records], [Layout(50)])
        return await ask(mpc, lists, 2, 2, own(mpc, 2, ["company-1", "company-2"]))

    results = run_cluster(program, 4, verified=verified, raw_errors=True)
    assert all(isinstance(r, EngineError) for r in results)
    if verified:  # any of the three that checked may have lied, so nobody is named
        assert "cheating-detected" in {r.code for r in results}
        assert {r.code for r in results} <= {"cheating-detected", "peer-stopped"}
    else:
        assert {(r.code, r.party) for r in results} == {("not-an-indicator", 2)}


@pytest.mark.parametrize("run", [ask, decide_some])
def test_tags_are_not_compared_before_the_check_is_through(run):
    issued = set()

    def tap(source, target, frame, payload):
        if before and source != 2 and frame.kind == frames.ARRAY:
            issued.add(frame.operation - before[0])
        # The query is the next operation, its check the one after: that gets lost.
        lost = before and frame.kind == frames.ARRAY and frame.operation == before[0] + 2
        return [] if lost else [(frame, payload)]

    before = []

    async def program(mpc):
        lists = await lists_of(mpc, [some_records(1, 50)], [Layout(50)])
        before.append(mpc._program_counter[0])
        return await run(mpc, lists, 2, 2, own(mpc, 2, ["company-1", "company-2"]))

    results = run_cluster(program, 4, raw_errors=True, tap=tap, idle_deadline=1)
    assert "peer-silent" in {r.code for r in results}
    # The check and the candidates; the query itself came from the asker.
    assert issued == {2, 3}


@pytest.mark.parametrize("keys", [None, ["a"], ["a", "b", "c"]])
def test_as_many_keys_as_all_parties_expect(keys):
    async def program(mpc):
        lists = await lists_of(mpc, [{}], [Layout(5)])
        return await ask(mpc, lists, 0, 2, own(mpc, 0, keys))

    error = run_cluster(program, 4, raw_errors=True)[0]
    assert isinstance(error, ValueError) and "keys for 2 queries" in str(error)


def test_the_owner_publishes_what_all_parties_state():
    async def program(mpc, book):
        return await publish(mpc, 1, Layout(5), book if mpc.pid == 1 else None)

    for book in (None, Book(Entries.of({}), Layout(6))):
        error = run_cluster(lambda mpc, b=book: program(mpc, b), 4, raw_errors=True)[1]
        assert isinstance(error, ValueError) and "that all parties state" in str(error)
