"""Bin tables that open: small cells and what would give them away stay closed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from adversary import Attack, attacked, frames_of
from engine_kit import OF_PROGRAMS, secret
from hypothesis import given
from hypothesis import strategies as st

from engine.cluster import run_cluster
from engine.errors import EngineError
from models.plain.woe import closed_bins as plain_closed
from models.plain.woe import woe_iv
from protocols.binning_tables import (
    OpenedTable,
    closed_bins,
    open_tables,
    open_tables_cost,
    pooled_table,
)
from protocols.binning_tree import tree_merge


def tables():
    rng = np.random.default_rng(3)
    counts = rng.integers(0, 60, (14, 6, 2))
    counts[1] = rng.integers(10, 60, (6, 2))  # nothing is small
    counts[2] = 1                             # everything is
    counts[3, 2:] = 0                         # two bins have all rows
    counts[4, :, 1] += 200
    return counts


@pytest.mark.parametrize("zeros_disclosive", [True, False])
def test_what_opens_and_what_it_costs(zeros_disclosive):
    counts = tables()

    async def program(mpc):
        shared = secret(mpc, counts)
        await shared.ready()
        mpc.floor = mpc.meter.depth
        with mpc.meter.measure() as cost:
            found = await open_tables(mpc, shared, [0, 2], zeros_disclosive=zeros_disclosive)
        return found, cost.rounds, cost.bytes_sent

    results = run_cluster(program, 4)
    assert [r[0] is None for r in results] == [False, True, False, True]
    opened = results[2][0]
    closed = np.stack([plain_closed(c, 10, zeros_disclosive) for c in counts])
    np.testing.assert_array_equal(opened.closed, closed)
    np.testing.assert_array_equal(opened.counts, counts * ~closed[..., None])
    sums = (counts * closed[..., None]).sum(1)
    np.testing.assert_array_equal(opened.closed_sums,
                                  sums * (sums >= 20).all(1, keepdims=True))
    assert (results[0][1], sum(r[2] for r in results)) == open_tables_cost(
        14, 6, 2, 4, 1, zeros_disclosive)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=2, max_size=7))
def test_a_small_cell_may_have_any_small_value(cells):
    """Whoever knows the open cells and the totals can exclude no value below the minimum."""
    counts, minimum = np.array(cells), 10
    closed = plain_closed(counts, minimum)
    assert closed[counts.min(1) < minimum].all()
    if not closed.any() or (counts[closed].sum(0) < 2 * minimum).any():
        return  # nothing is closed, or everything
    assert closed.sum() >= 2
    for c, value in itertools.product((0, 1), range(minimum)):
        # The others can take up the rest of what the totals leave, in a bin that is not small.
        assert counts[closed][:, c].sum() - value >= minimum


def test_the_receiver_computes_woe_with_the_closed_bins_as_one():
    counts = np.array([[[30, 50], [20, 80], [3, 40], [40, 90]]])
    opened = OpenedTable(counts * [[[1], [0], [0], [1]]], np.array([[False, True, True, False]]),
                         np.array([[23, 120]]))
    bad, good, names = pooled_table(opened, 0)
    assert names == ["0", "3", "suppressed"]
    assert (bad.tolist(), good.tolist()) == ([30, 40, 23], [50, 90, 120])
    assert np.isfinite(woe_iv(bad, good)[1].sum())


def test_a_minimum_is_needed():
    async def program(mpc):
        with pytest.raises(ValueError, match="at least 1"):
            await open_tables(mpc, secret(mpc, tables()), 0, minimum=0)
    run_cluster(program, 1)


COUNTS = np.array([[[30, 50], [20, 80], [3, 40], [40, 90]], [[5, 9], [30, 40], [50, 60], [8, 0]]])


async def suppress(mpc):
    return await mpc.output(closed_bins(mpc, secret(mpc, COUNTS), 10))


async def merge(mpc):
    return await mpc.output(await tree_merge(mpc, secret(mpc, COUNTS), max_bins=3))


@pytest.mark.parametrize("program", [suppress, merge])
def test_in_verified_mode_a_lie_changes_nothing_or_ends_the_run(program):
    honest = run_cluster(program, 4, verified=True)[0]
    sent = frames_of(program, 2, verified=True)
    for k, kind in enumerate(("wrong", "random", "equivocate")):
        attack = Attack(kind, at=(2 * k + 1) * sent // 6, onwards=k == 1)
        for result in attacked(program, attack, 2, verified=True):
            assert isinstance(result, EngineError) or np.array_equal(result, honest)


@pytest.mark.parametrize("program", [suppress, merge])
def test_the_traffic_is_the_same_for_any_counts(program, monkeypatch):
    def shapes(counts):
        seen = []

        def tap(source, target, frame, payload):
            if frame.kind in OF_PROGRAMS:
                seen.append((source, target, frame.kind, len(payload)))
            return [(frame, payload)]
        monkeypatch.setitem(globals(), "COUNTS", counts)
        run_cluster(program, 4, tap=tap)
        return sorted(seen)
    assert shapes(COUNTS) == shapes(np.ones_like(COUNTS)) == shapes(COUNTS[::-1, ::-1] * 100)
