"""Anonymous query: right answers, updates, costs as predicted, and what travels to whom."""

from __future__ import annotations

import datetime
from collections import defaultdict

import numpy as np
import pytest
from engine_kit import SIZES
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import field, frames
from engine.cluster import run_cluster
from engine.errors import EngineError
from protocols import pir
from protocols.pir import ask, decide, publish, update
from protocols.pir_book import Book
from protocols.pir_costs import decision_cost, publish_cost, query_cost, update_cost
from protocols.pir_store import keep, resume
from protocols.pir_table import (
    EPOCH,
    PAYLOAD_LIMIT,
    Entries,
    Layout,
    Record,
    decode,
    hashed,
    place,
    severity_head,
)


def record(rng, payload=PAYLOAD_LIMIT):
    return Record(int(rng.integers(64)), int(rng.integers(4096)),
                  EPOCH + datetime.timedelta(int(rng.integers(1 << 20))),
                  rng.bytes(int(rng.integers(payload + 1))))


def some_records(seed, count, payload=PAYLOAD_LIMIT, prefix="company"):
    rng = np.random.default_rng(seed)
    return {f"{prefix}-{i}": record(rng, payload) for i in range(count)}


def book_at(mpc, owner, records, layout):
    return Book(Entries.of(records), layout) if mpc.pid == owner else None


async def lists_of(mpc, contents, layouts):
    """One list per dictionary of records; list k belongs to party k mod m."""
    return [await publish(mpc, k % mpc.geometry.m, layout,
                          book_at(mpc, k % mpc.geometry.m, records, layout))
            for k, (records, layout) in enumerate(zip(contents, layouts, strict=True))]


def own(mpc, asker, keys):
    return keys if mpc.pid == asker else None


async def decide_some(mpc, lists, asker, count, keys):
    return await decide(mpc, lists, asker, count, 9, keys)


# --- the table ---

records_strategy = st.builds(
    Record, st.integers(0, 63), st.integers(0, 4095),
    st.dates(EPOCH, EPOCH + datetime.timedelta((1 << 20) - 1)), st.binary(max_size=64))


@settings(max_examples=60, deadline=None)
@given(st.lists(records_strategy, max_size=5), st.integers(0, 64))
def test_records_come_back_as_they_went_in(records, payload):
    layout = Layout(10, payload)
    entries = Entries.of({str(i): r for i, r in enumerate(records)})
    if max((len(r.payload) for r in records), default=0) > payload:
        with pytest.raises(ValueError, match="payload length"):
            entries.encode(layout)
        return
    elements = entries.encode(layout)
    assert elements.shape == (len(records), layout.record, 2)
    for row, expected in zip(field.to_ints(elements), records, strict=True):
        assert row[0] < 1 << 62 and all(v < 1 << 120 for v in row[1:])
        assert decode(row, layout) == expected
        assert (row[0] >= severity_head(33)) == (expected.severity >= 33)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 400), st.integers(0, 2**32))
def test_every_key_has_one_of_its_places(count, seed):
    layout = Layout(max(1, count), 10)
    records = some_records(seed, count, 10)
    book = Book(Entries.of(records), layout)
    cells = np.stack([book.sub_table(k).reshape(-1, layout.width, 2) for k in range(3)])
    tags, places = hashed(list(records), book.seed, layout)
    assert len(set(tags.tolist())) == count and (tags > 0).all() and (tags < 1 << 62).all()
    for tag, where, expected in zip(tags, places, records.values(), strict=True):
        rows = [field.to_ints(cells[k, where[k]]) for k in range(3)]
        [row] = [r for r in rows if r[0] == int(tag)]
        assert decode(row[1:], layout) == expected
    assert (cells[..., 0, 0] != 0).sum() == count and not cells[cells[..., 0, 0] == 0].any()


@pytest.mark.parametrize("count", [1, 2, 30, 64, 65, 100, 333, 1000, 4096])
def test_a_full_list_has_room(count):
    layout = Layout(count)
    assert 3 * layout.rows * layout.columns >= count
    rng = np.random.default_rng(count)
    failed = sum(place(rng.integers(0, layout.rows * layout.columns, (count, 3)),
                       layout.rows * layout.columns) is None for _ in range(30))
    assert failed <= 2


def test_what_does_not_fit_is_not_placed():
    assert place(np.zeros((4, 3), np.int64), 5) is None
    assert (place(np.zeros((3, 3), np.int64), 5) >= 0).sum() == 3
    assert (place(np.zeros((0, 3), np.int64), 5) == -1).all()


@pytest.mark.parametrize("change, message", [
    ({"severity": [64]}, "severity: 1 values outside 0..63"),
    ({"category": [-1]}, "category: 1 values outside 0..4095"),
    ({"date": [datetime.date(1899, 12, 31)]}, "date, in days since 1900,: 1 values outside"),
    ({"payload": [b"x" * 11]}, "payload length: 1 values outside 0..10"),
    ({"severity": [1, 2]}, "severity: .2,. values for 1 keys"),
    ({"severity": [0.5]}, "got values of type float64, expected integers")])
def test_records_out_of_range_are_refused(change, message):
    good = {"severity": [1], "category": [2], "date": [EPOCH], "payload": [b"x"]}
    with pytest.raises(ValueError, match=message):
        Entries(["secret-key"], **{**good, **change}).encode(Layout(5, 10))


def test_lists_that_do_not_fit_their_layout_are_refused():
    with pytest.raises(ValueError, match="3 records for a list of at most 2"):
        Book(Entries.of(some_records(0, 3)), Layout(2))
    twice = Entries(["a", "a"], [1, 1], [1, 1], [EPOCH] * 2, [b""] * 2)
    with pytest.raises(ValueError, match="1 keys are there twice"):
        Book(twice, Layout(2))
    for arguments in ((0,), (1, 65), (1, -1)):
        with pytest.raises(ValueError, match="expected"):
            Layout(*arguments)


def test_an_impossible_answer_is_not_taken_for_a_record():
    layout = Layout(1, 17)
    good = [int(v) for v in field.to_ints(Entries.of(some_records(1, 1, 17)).encode(layout)[0])]
    assert decode([0, 0], layout) is None
    for bad in ([good[0] + (1 << 61), good[1]], [good[0], 1 << 120], [0, 5],
                [good[0] | 0x7f << 16, good[1]]):
        with pytest.raises(ValueError, match="neither a record nor zero"):
            decode(bad, layout)


def test_nothing_of_a_list_is_printed():
    records = {"secret-key": Record(3, 4, EPOCH, b"secret-payload")}
    book = Book(Entries.of(records), Layout(5))
    assert "secret" not in repr([Entries.of(records), book, *records.values()])


# --- queries ---

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


# --- updates ---

@pytest.mark.parametrize("m, t", [(4, 1), (3, 1)])
def test_added_changed_removed_and_back_again(m, t):
    layout, owner, asker = Layout(120, 20), 1, 2
    before = some_records(1, 100, 20)
    other = some_records(2, 120, 20)
    steps = [
        ({f"company-{i}": other[f"company-{i}"] for i in (3, 4, 100, 101)}, ["company-5"]),
        ({"company-5": other["company-5"]}, ["company-3", "company-100"]),
        ({"company-3": before["company-3"], "company-4": before["company-4"],
          "company-5": before["company-5"]}, ["company-101"]),
    ]
    keys = [f"company-{i}" for i in (3, 4, 5, 6, 100, 101, 102)]

    async def program(mpc):
        book = book_at(mpc, owner, before, layout)
        shared = await publish(mpc, owner, layout, book)
        answers = [await ask(mpc, [shared], asker, len(keys), own(mpc, asker, keys))]
        for put, gone in steps:
            if book is not None:
                book.put(Entries.of(put))
                book.remove(gone)
            update(mpc, shared)
            answers.append(await ask(mpc, [shared], asker, len(keys), own(mpc, asker, keys)))
        return answers, book and book.updates().any()

    results = run_cluster(program, m, t)
    now = dict(before)
    for step, answers in zip([({}, []), *steps], results[asker][0], strict=True):
        now |= step[0]
        for key in step[1]:
            del now[key]
        assert answers == [[now.get(key)] for key in keys]
    assert results[owner][1] is np.False_, "what is back as it was published is no change"


def test_as_many_changes_as_are_stated_and_no_more():
    layout = Layout(400, 10)
    book = Book(Entries.of(some_records(1, 100, 10)), layout)
    assert layout.updates >= 16
    book.put(Entries.of(some_records(2, layout.updates, 10, "new")))
    filled = book.updates()[..., 0, 0] != 0
    assert filled.sum() == layout.updates
    book.put(Entries.of(some_records(3, 1, 10, "more")))
    with pytest.raises(ValueError, match="publish it anew"):
        book.updates()


def test_updates_that_cannot_be_are_refused_whole():
    book = Book(Entries.of(some_records(1, 3, 10)), Layout(4, 10))
    with pytest.raises(ValueError, match="1 of 2 keys to remove are not in the list"):
        book.remove(["company-1", "company-9"])
    with pytest.raises(ValueError, match="5 records for a list of at most 4"):
        book.put(Entries.of(some_records(2, 5, 10)))
    assert not book.updates().any()
    book.remove(["company-1", "company-1"])
    book.put(Entries.of(some_records(5, 2, 10, "new")))
    with pytest.raises(ValueError, match="1 of 1 keys to remove"):
        book.remove(["company-1"])
    assert (book.updates()[..., 0, 0] != 0).sum() == 3


def test_two_keys_of_one_tag_are_noticed():
    book = Book(Entries.of(some_records(1, 3, 10)), Layout(4, 10))
    book._first += 1  # as if the keys that have these tags were others
    for change in (lambda: book.put(Entries.of(some_records(1, 1, 10))),
                   lambda: book.remove(["company-2"])):
        with pytest.raises(ValueError, match="the tag of another key"):
            change()


@pytest.mark.parametrize("m, t", [(4, 1), (3, 1)])
def test_a_list_goes_on_in_another_session(m, t):
    layout, records = Layout(50, 20), some_records(1, 40, 20)
    more, seeds = some_records(2, 2, 20, "new"), []

    async def first(mpc):
        book = book_at(mpc, 1, records, layout)
        if book is not None:
            seeds.append(book.seed)
        return await keep(mpc, await publish(mpc, 1, layout, book))

    kept = run_cluster(first, m, t)
    keys = ["company-3", "new-1", "company-40"]

    async def later(mpc):
        book = Book(Entries.of(records), layout, seeds[0]) if mpc.pid == 1 else None
        shared = resume(mpc, kept[mpc.pid], book)
        before = await ask(mpc, [shared], 0, 3, own(mpc, 0, keys))
        if book is not None:
            book.put(Entries.of(more))
        update(mpc, shared)
        return before, await ask(mpc, [shared], 0, 3, own(mpc, 0, keys))

    before, after = run_cluster(later, m, t)[0]
    assert before == [[records["company-3"]], [None], [None]]
    assert after == [[records["company-3"]], [more["new-1"]], [None]]

    async def wrong(mpc):
        if mpc.pid != 1:
            with pytest.raises(ValueError, match="kept by party 1 of"):
                resume(mpc, kept[1])
        else:
            with pytest.raises(ValueError, match="another layout or seed"):
                resume(mpc, kept[1], Book(Entries.of(records), layout))
        with pytest.raises(ValueError, match=r"changes has shape \(0,\)"):
            resume(mpc, {**kept[mpc.pid], "changes": np.zeros(0)})

    run_cluster(wrong, m, t)


# --- deviations and mistakes ---

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


# --- costs ---

@pytest.mark.parametrize("m, t", [*SIZES, (7, 2), (5, 1)])
@pytest.mark.parametrize("task", ["publish", "ask", "decide", "update"])
def test_rounds_and_bytes_are_those_of_the_formulas(m, t, task):
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

    run_cluster(program, m, t)
    expected = {"publish": publish_cost(layouts[0], m, t),
                "ask": query_cost(layouts, count, m, t),
                "decide": decision_cost(layouts, count, m, t),
                "update": update_cost(layouts[0], m, t)}[task]
    assert {rounds for rounds, *_ in spent} == {expected.rounds}
    assert sum(sent for _, sent, *_ in spent) == expected.total_bytes
    assert {predicted for *_, predicted in spent} == {expected.total_bytes}, "every step is listed"


def test_a_query_of_a_set_of_lists_takes_no_more_rounds():
    one, more = query_cost([Layout(100)], 1, 4, 1), query_cost([Layout(100)] * 9, 200, 4, 1)
    assert one.rounds == more.rounds == 13
    large = query_cost([Layout(10**6, 32)], 1, 4, 1).total_bytes
    assert large < 11 * query_cost([Layout(10**4, 32)], 1, 4, 1).total_bytes, "about √N"


# --- what travels ---

def frames_of(contents, keys, run):
    """{(source, target): [(operation, tag, length)]} of some queries, and all payloads."""
    seen, wire = defaultdict(list), bytearray()

    def tap(source, target, frame, payload):
        if frame.kind != frames.BYE:
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
