"""Left, inner and full joins against pandas, in every deployment and with adversarial tables."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from join_kit import Case, names, overlapping

from engine.cluster import run_cluster
from engine.errors import EngineError
from protocols.column_source import ArrayColumns
from protocols.join import SecureJoin
from protocols.join_order import shuffled

DEPLOYMENTS = {"four": (4, {}), "three": (3, {}), "verified": (4, {"verified": True})}
KINDS = {
    "left": {}, "left, own orders": {"same_order": False},
    "inner": {"kind": "inner"}, "inner, bound": {"kind": "inner", "bound": 3},
    "inner, own orders": {"kind": "inner", "bound": 3, "same_order": False},
    "full": {"kind": "full"}, "full, own orders": {"kind": "full", "same_order": False},
}
TABLES = {
    "some": [names(*range(8)), names(*range(5, 13)), names(2, 6, 7, 20), names(20, 7, 6, 1)],
    "all": [names(0, 1, 2), names(1, 2, 0), names(2, 1, 0), names(0, 2, 1)],
    "none": [names(0, 1, 2), names(3, 4), names(5, 6, 7, 8), names(9, 10, 11)],
    "one row": [names(1), names(1), names(1), names(1)],
    "empty": [[], names(1, 2), [], names(2)],
    "a hundred times more rows": [names(7, 300, 1), names(*range(300)), names(1), names(300, 7)],
}
deployments = pytest.mark.parametrize("deployment", DEPLOYMENTS)


def combinations():
    """All of them with four parties; the others have the same owners' code on fewer tables."""
    for deployment in DEPLOYMENTS:
        tables = TABLES if deployment == "four" else ("some", "one row", "empty")
        yield from ((table, kind, deployment) for table in tables for kind in KINDS)


@pytest.mark.parametrize("table, kind, deployment", combinations())
def test_what_pandas_finds(table, kind, deployment):
    m, more = DEPLOYMENTS[deployment]
    case = Case(TABLES[table][:m], KINDS[kind], slack=0 if table == "one row" else 2, width=1)
    if KINDS[kind].get("bound"):
        case.options = {**KINDS[kind], "bound": min(3, case.rows[0])}
    opened = case.check(m, **more)
    expected = {"left": case.rows[0], "full": sum(case.rows),
                "inner": case.options.get("bound", len(case.expected()))}
    assert len(opened) == expected[case.options.get("kind", "left")]


@settings(max_examples=6)
@given(st.integers(0, 2**32), st.sampled_from(sorted(KINDS)), st.booleans())
def test_random_tables(seed, kind, three):
    rng = np.random.default_rng(seed)
    m, rows = 3 if three else 4, rng.integers(0, 14, 4)
    case = Case(overlapping(rng, rows[:m].tolist(), 16), dict(KINDS[kind]), int(rng.integers(1, 4)))
    if "bound" in case.options:
        case.options["bound"] = case.rows[0]
    case.check(m)


@deployments
def test_some_partners_only(deployment):
    m, more = DEPLOYMENTS[deployment]
    ids = TABLES["some"][:m]
    for options in ({"partners": [2]}, {"kind": "full", "partners": [2]},
                    {"kind": "inner", "partners": [1, 2], "required": [2]}):
        Case(ids, options, slack=1).check(m, **more)


@deployments
def test_more_joint_rows_than_the_bound_stop_all_parties(deployment):
    m, more = DEPLOYMENTS[deployment]
    case = Case([names(*range(6))] * m, {"kind": "inner", "bound": 5})
    results = run_cluster(case.opened, m, raw_errors=True, **more)
    assert {r.code for r in results} <= {"too-many-joint-rows", "peer-stopped"}
    assert any("more than 5 rows in common" in str(r) for r in results)
    case.options["bound"] = 6
    assert len(case.check(m, **more)) == 6


def test_a_party_that_is_not_joined_has_no_columns():
    async def program(mpc):
        join = SecureJoin(mpc, [2] * 4, 2, partners=[1])
        await join.match(names(1, 2) if mpc.pid < 2 else None,
                         [0, 1] if mpc.pid == 0 else None)
        join.columns(3, None, 1)

    with pytest.raises(EngineError, match="not-joined"):
        run_cluster(program, 4)


# --- columns in blocks ---

@deployments
@pytest.mark.parametrize("kind", ["left", "inner, bound", "full"])
def test_blocks_are_the_columns(kind, deployment):
    m, more = DEPLOYMENTS[deployment]
    case = Case(TABLES["some"][:m], KINDS[kind], slack=1, width=5)

    async def program(mpc):
        own = case.ids[mpc.pid]
        join = SecureJoin(mpc, case.rows, case.rows[0], **case.options)
        await join.match(own, shuffled(len(own), case.rows[0]) if mpc.pid == 0 else None)
        opened = []
        for party in range(m):
            source = ArrayColumns(case.values(party)) if mpc.pid == party else None
            blocks = [b async for b in join.blocks(party, source, 5, count=2)]
            assert [b.shape[1] for b in blocks] == [2, 2, 1]
            opened += await mpc.output(blocks)
        whole = [join.columns(p, case.values(p) if mpc.pid == p else None, 5) for p in range(m)]
        return np.concatenate(opened, axis=1), np.concatenate(await mpc.output(whole), axis=1)

    for blocks, whole in run_cluster(program, m, **more):
        np.testing.assert_array_equal(blocks, whole)


class _Watched:
    """A source that knows how many of its blocks have been read and not come out yet."""

    def __init__(self, rows, width):
        self.rows, self.read_so_far, self.out, self.most = rows, 0, 0, 0
        self.width = width

    def read(self, first, count):
        assert first == self.read_so_far
        self.read_so_far += count
        self.most = max(self.most, self.read_so_far - self.out)
        return np.full((self.rows, count), first)


def test_an_owner_reads_two_blocks_ahead_at_most():
    rows, width, count = 50, 40, 4

    async def program(mpc):
        join = SecureJoin(mpc, [rows] * 4, rows, partners=[1])
        own = names(*range(rows)) if mpc.pid < 2 else None
        await join.match(own, np.arange(rows) if mpc.pid == 0 else None)
        source = _Watched(rows, width)
        async for block in join.blocks(1, source if mpc.pid == 1 else None, width, count):
            source.out += block.shape[1]
            await asyncio.sleep(0)
        return source.most, source.read_so_far

    most, read = run_cluster(program, 4)[1]
    assert read == width and most == 2 * count


class _Made:
    """Columns that are made when they are read, so that no party ever holds all of them."""

    def __init__(self, rows):
        self.rows = rows

    def read(self, first, count):
        return np.arange(self.rows)[:, None] + np.arange(first, first + count)


@pytest.mark.parametrize("more", [{}, {"verified": True}], ids=["default", "verified"])
def test_memory_does_not_grow_with_the_number_of_columns(more):
    rows = 800

    def peak(width):
        async def program(mpc):
            join = SecureJoin(mpc, [rows] * 4, rows, partners=[1])
            await join.match(names(*range(rows)) if mpc.pid < 2 else None,
                             np.arange(rows) if mpc.pid == 0 else None)
            gc.collect()
            tracemalloc.reset_peak()
            total = mpc.array(np.zeros(rows, np.int64))
            async for block in join.blocks(1, _Made(rows) if mpc.pid == 1 else None, width, 4):
                total = total + block.sum(1)
                await total.ready()
            return (await mpc.output(total)).sum()

        tracemalloc.start()
        try:
            sums = run_cluster(program, 4, **more)
            assert sums == [(np.arange(rows)[:, None] + np.arange(width)).sum()] * 4
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(4)
    assert peak(48) < 2 * peak(12)


def test_columns_of_another_shape_and_missing_sources_are_refused():
    async def program(mpc, source):
        join = SecureJoin(mpc, [2] * 4, 2)
        await join.match(names(1, 2), [0, 1] if mpc.pid == 0 else None)
        async for block in join.blocks(1, source if mpc.pid == 1 else None, 2):
            await block.ready()

    wrong = ArrayColumns(np.zeros((3, 2), int))
    for source, code in ((wrong, "wrong-shape"), (None, "no-columns")):
        errors = run_cluster(lambda mpc, s=source: program(mpc, s), 4, raw_errors=True)
        assert errors[1].code == code
