"""Anonymous query: costs as predicted, and what travels to whom."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from engine_kit import OF_PROGRAMS, SIZES
from pir_kit import book_at, decide_some, lists_of, own, record, some_records

from engine import frames
from engine.cluster import run_cluster
from protocols.pir import ask, decide, publish, update
from protocols.pir_book import Book
from protocols.pir_costs import decision_cost, publish_cost, query_cost, update_cost
from protocols.pir_table import (
    Entries,
    Layout,
    hashed,
)


@pytest.mark.parametrize("m, t, verified", [*[(*s, False) for s in (*SIZES, (7, 2), (5, 1))],
                                            (4, 1, True), (5, 1, True)])
@pytest.mark.parametrize("task", ["publish", "ask", "decide", "update"])
def test_rounds_and_bytes_are_those_of_the_formulas(m, t, verified, task):
    layouts, count, spent = [Layout(100, 40), Layout(30, 0)], 3, []

    async def program(mpc):
        lists = await lists_of(mpc, [{}, some_records(1, 30, 0)], layouts)
        mpc.floor = mpc.meter.depth
        keys = own(mpc, 0, ["company-1"] * count)
        with mpc.meter.measure() as cost:
            if task == "publish":
                await publish(mpc, 0, layouts[0], book_at(mpc, 0, {}, layouts[0]))
            elif task == "ask":
                await ask(mpc, lists, 0, count, keys)
            elif task == "decide":
                await decide(mpc, lists, 0, count, 5, keys)
            else:
                update(mpc, lists[0])
                await lists[0].changes.ready()
        spent.append((cost.rounds, cost.bytes_sent, cost.predicted_rounds,
                      cost.predicted_total_bytes))

    run_cluster(program, m, t, verified=verified)
    mode = m, t, verified
    expected = {"publish": publish_cost(layouts[0], *mode),
                "ask": query_cost(layouts, count, *mode),
                "decide": decision_cost(layouts, count, *mode),
                "update": update_cost(layouts[0], *mode)}[task]
    assert {rounds for rounds, *_ in spent} == {expected.rounds}
    assert sum(sent for _, sent, *_ in spent) == expected.total_bytes
    assert {predicted for *_, predicted in spent} == {expected.total_bytes}, "every step is listed"


def test_a_query_of_a_set_of_lists_takes_no_more_rounds():
    one, more = query_cost([Layout(100)], 1, 4, 1), query_cost([Layout(100)] * 9, 200, 4, 1)
    assert one.rounds == more.rounds == 13
    large = query_cost([Layout(10**6, 32)], 1, 4, 1).total_bytes
    assert large < 11 * query_cost([Layout(10**4, 32)], 1, 4, 1).total_bytes, "about √N"


def frames_of(contents, keys, run):
    """{(source, target): [(operation, tag, length)]} of some queries, and all payloads."""
    seen, wire = defaultdict(list), bytearray()

    def tap(source, target, frame, payload):
        if frame.kind in OF_PROGRAMS:
            seen[source, target].append((frame.operation, frame.tag, frame.length))
            wire.extend(payload.tobytes())
        return [(frame, payload)]

    async def program(mpc):
        book = book_at(mpc, 0, contents[0], Layout(50, 30))
        lists = [await publish(mpc, 0, Layout(50, 30), book),
                 *await lists_of(mpc, contents[1:], [Layout(20, 8)])]
        if book is not None:
            book.put(Entries.of({k: record(np.random.default_rng(), 30) for k in keys[:2]}))
        update(mpc, lists[0])
        return await run(mpc, lists, 3, len(keys), own(mpc, 3, keys))

    run_cluster(program, 4, tap=tap)
    return {pair: sorted(sent) for pair, sent in seen.items()}, bytes(wire)


@pytest.mark.parametrize("run", [ask, decide_some])
def test_the_same_frames_whatever_the_keys_and_matches(run):
    cases = [([{}, {}], ["a", "b", "c"]),
             ([some_records(1, 48, 30), some_records(2, 20, 8)], ["company-1"] * 3),
             ([some_records(3, 10, 30), {}], ["company-1", "x" * 1000, "company-9"])]
    first, *others = (frames_of(*case, run)[0] for case in cases)
    assert first and all(other == first for other in others)


def test_the_wire_holds_no_key_tag_or_record():
    records = some_records(1, 48, 30)
    keys = ["company-1", "company-2", "no-company"]
    seeds = []
    known = Book.__init__

    def remember(self, *arguments):
        known(self, *arguments)
        seeds.append(self.seed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Book, "__init__", remember)
        _, wire = frames_of([records, {}], keys, ask)
    for seed in seeds:
        tags, _ = hashed([*records, *keys], seed, Layout(50, 30))
        assert not any(int(tag).to_bytes(8, "little") in wire for tag in tags)
    for key, value in records.items():
        assert key.encode() not in wire
        assert len(value.payload) < 8 or value.payload[2:8] not in wire


@pytest.mark.parametrize("run, last", [(ask, "open_record"), (decide_some, "open_nonzero")])
@pytest.mark.parametrize("asker", [0, 2])
def test_the_answer_reaches_the_asker_and_nothing_else_opens(run, last, asker):
    sent, opening = [], {}

    def tap(source, target, frame, payload):
        if frame.kind == frames.ARRAY:
            sent.append((frame.operation, target))
        return [(frame, payload)]

    async def program(mpc):
        lists = await lists_of(mpc, [some_records(1, 30)], [Layout(30)])
        before = set(mpc.meter.paths)
        opened_before = mpc.meter.paths["output",].calls
        answer = await run(mpc, lists, asker, 2, own(mpc, asker, ["company-1", "x"]))
        # The last operation that takes a number is the opening of the answer.
        opening[mpc.pid] = mpc._program_counter[0]
        assert mpc.meter.paths["output",].calls == opened_before
        return answer, {path[-1] for path in set(mpc.meter.paths) - before}

    results = run_cluster(program, 4, tap=tap)
    assert len(set(opening.values())) == 1
    assert {target for operation, target in sent if operation == opening[0]} == {asker}
    for pid, (answer, operations) in enumerate(results):
        assert (answer is None) == (pid != asker)
        assert last in operations
        assert not {"output", "open_negative", "send_private"} & operations
