"""Scans of shared rows against plain ones, short and long, with what they cost."""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import SIZES, opened, secret

from engine import costs, scan
from engine.cluster import run_cluster


def running(mpc, state):
    """Row i: the product of all first columns up to it, and of sums: no commutative operation."""
    def combine(earlier, later):
        # (a, b) stands for x -> a x + b.
        product = later[:, :1] * earlier
        return mpc.concatenate([product[:, :1], product[:, 1:] + later[:, 1:]], axis=1)
    return scan.scan(mpc, state, combine)


def plain(state):
    rows, (a, b) = [], (1, 0)
    for first, second in state.tolist():
        a, b = first * a, first * b + second
        rows.append((a, b))
    return np.array(rows)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 37])
@pytest.mark.parametrize("short", [1, 4, 1024])
def test_a_scan_of_maps_is_their_composition(n, short, monkeypatch):
    monkeypatch.setattr(scan, "SHORT", short)
    state = np.random.default_rng(n).integers(-1, 2, (n, 2))
    np.testing.assert_array_equal(opened(running, state), plain(state))


@pytest.mark.parametrize("m, t", SIZES)
def test_levels_cost_what_their_sizes_say(m, t, monkeypatch):
    monkeypatch.setattr(scan, "SHORT", 8)
    n = 45

    async def program(mpc):
        state = secret(mpc, np.ones((n, 2), np.int64))
        await state.ready()
        mpc.floor = mpc.meter.depth
        with mpc.meter.measure() as cost:
            await running(mpc, state).ready()
        return cost.rounds, cost.bytes_sent

    results = run_cluster(program, m, t)
    sizes = scan.scan_sizes(n)
    levels = [costs.product(2 * size, m, t) for size in sizes]
    assert results[0][0] == sum(p.rounds for p in levels)
    assert sum(sent for _, sent in results) == sum(p.total_bytes for p in levels)


def test_a_long_scan_takes_two_operations_per_row():
    sizes = scan.scan_sizes(1 << 20)
    assert sum(sizes) < 2.1 * (1 << 20) and len(sizes) == 10 + 2 * 10
