"""Anonymous query: changes of a list, and a list in a later session."""

from __future__ import annotations

import numpy as np
import pytest
from pir_kit import book_at, own, some_records

from engine.cluster import run_cluster
from protocols.pir import ask, publish, update
from protocols.pir_book import Book
from protocols.pir_store import keep, resume
from protocols.pir_table import (
    Entries,
    Layout,
)


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
