"""Anonymous query: records as field elements, places of keys, layouts."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pir_kit import some_records

from engine import field
from protocols.pir_book import Book
from protocols.pir_table import (
    EPOCH,
    Entries,
    Layout,
    Record,
    decode,
    hashed,
    place,
    severity_head,
)

records_strategy = st.builds(
    Record, st.integers(0, 63), st.integers(0, 4095),
    st.dates(EPOCH, EPOCH + datetime.timedelta((1 << 20) - 1)), st.binary(max_size=64))


@settings(max_examples=60)
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


@settings(max_examples=40)
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
