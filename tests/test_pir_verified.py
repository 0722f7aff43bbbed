"""Anonymous query in verified mode: right answers or none, whoever cheats."""

from __future__ import annotations

import numpy as np
import pytest
from adversary import Attack, attacked, frames_of
from pir_kit import lists_of, own, some_records

from engine import field
from engine.cluster import run_cluster
from engine.errors import EngineError
from protocols.pir import ask, decide, publish, update
from protocols.pir_book import Book
from protocols.pir_program import publish_program, query_program, update_program
from protocols.pir_table import Entries, Layout

RECORDS = some_records(1, 30, 17)
LAYOUT = Layout(40, 17)
KEYS = ["company-3", "company-7", "nobody"]
OWNER, ASKER = 0, 2


async def asked(mpc):
    lists = await lists_of(mpc, [RECORDS], [LAYOUT])
    return await ask(mpc, lists, ASKER, len(KEYS), own(mpc, ASKER, KEYS))


async def decided(mpc):
    lists = await lists_of(mpc, [RECORDS], [LAYOUT])
    return await decide(mpc, lists, ASKER, len(KEYS), 20, own(mpc, ASKER, KEYS))


RIGHT = {
    asked: [[RECORDS.get(key)] for key in KEYS],
    decided: [key in RECORDS and RECORDS[key].severity >= 20 for key in KEYS],
}


@pytest.mark.parametrize("program", RIGHT, ids=lambda p: p.__name__)
@pytest.mark.parametrize("cheater", [OWNER, 3])
def test_the_asker_gets_the_right_answer_or_none(program, cheater):
    """Lies of the owner and of a helper, in publishing and in answering."""
    sent, stopped = frames_of(program, cheater, verified=True), 0
    for k, at in enumerate(np.linspace(9, sent - 1, 7).astype(int)):
        kind = ("wrong", "random", "equivocate")[k % 3]
        results = attacked(program, Attack(kind, int(at)), cheater, verified=True)
        answer = results[ASKER - (cheater < ASKER)]
        assert isinstance(answer, EngineError) or answer == RIGHT[program], (kind, at)
        stopped += isinstance(answer, EngineError)
    assert stopped >= 3


@pytest.mark.parametrize("when", ["published", "changed"])
def test_an_owner_cannot_share_tags_that_say_where_they_were_found(when, monkeypatch):
    """A tag of 2^100 times its place would show through the masks of the comparison."""
    name = {"published": "sub_table", "changed": "updates"}[when]
    honest = getattr(Book, name)

    def hostile(self, *args):
        values = honest(self, *args).copy()
        values.reshape(-1, 2)[LAYOUT.width] = field.limbs(1 << 100)
        return values
    monkeypatch.setattr(Book, name, hostile)

    async def program(mpc):
        book = Book(Entries.of(RECORDS), LAYOUT) if mpc.pid == OWNER else None
        shared = await publish(mpc, OWNER, LAYOUT, book)
        return await ask(mpc, [shared], ASKER, 1, own(mpc, ASKER, KEYS[:1]))
    with pytest.raises(EngineError, match="out-of-range"):
        run_cluster(program, 4, verified=True)


def test_jobs_publish_change_and_ask():
    """What `sepc pir --verified` runs, with lists that have no payload and shares that are kept."""
    records = some_records(2, 20, 0)
    layout = Layout(30, 0)
    more = {**records, **some_records(3, 1, 0, "late")}
    names = ["a", "b", "c", "d"]

    def at(mpc, **given):
        return {"parties": names, "parameters": None, "progress": lambda name, state: None,
                **{k: v if mpc.pid == OWNER else None for k, v in given.items()}}

    async def program(mpc):
        book = Book(Entries.of(records), layout) if mpc.pid == OWNER else None
        kept = (await publish_program(mpc, **at(mpc, book=book), owner="a", layout=layout))["keep"]
        if book is not None:
            book.put(Entries.of({"late-0": more["late-0"]}))
        changes = await update_program(mpc, **at(mpc, book=book), published=kept)
        keys = ["company-1", "late-0", "nobody"] if mpc.pid == 3 else None
        found = await query_program(
            mpc, **at(mpc), lists=[{**kept, **changes["keep"]}], asker="d", count=3, severity=None,
            keys=keys)
        return found["outputs"]
    *others, outputs = run_cluster(program, 4, verified=True)
    assert others == [{}] * 3
    found = [row[0] and row[0]["severity"] for row in outputs["records"]]
    assert found == [more["company-1"].severity, more["late-0"].severity, None]


def test_update_needs_no_wait():
    async def program(mpc):
        book = Book(Entries.of(RECORDS), LAYOUT) if mpc.pid == OWNER else None
        shared = await publish(mpc, OWNER, LAYOUT, book)
        if book is not None:
            book.remove(KEYS[:1])
        update(mpc, shared)
        return await ask(mpc, [shared], ASKER, 2, own(mpc, ASKER, KEYS[:2]))
    assert run_cluster(program, 4, verified=True)[ASKER] == [[None], [RECORDS[KEYS[1]]]]
