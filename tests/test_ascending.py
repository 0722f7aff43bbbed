"""Sums over the beginning of a sorted sequence against plain NumPy, and what they cost."""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import SIZES, secret
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import costs
from engine.cluster import run_cluster
from protocols.ascending import sums_up_to


def found(values, rows, limits, m=4, t=None, verified=False):
    async def program(mpc):
        v, r = secret(mpc, values), secret(mpc, rows, 1 % m)
        cut = secret(mpc, limits)
        await mpc.output([v[:1], r[:1], cut[:1]])
        mpc.floor = mpc.meter.depth
        with mpc.meter.measure() as cost:
            sums = sums_up_to(mpc, v, r, cut)
            await sums.ready()
        return await mpc.output(sums), cost.rounds, cost.bytes_sent

    results = run_cluster(program, m, t, verified=verified)
    return results[0][0], results[0][1], sum(r[2] for r in results)


def expected(values, rows, limits):
    return np.array([rows[values <= limit].sum(0) for limit in limits])


@settings(max_examples=15)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=20),
       st.lists(st.integers(-6, 6), min_size=1, max_size=4), st.integers(1, 3))
def test_sums_are_those_of_numpy(values, limits, columns):
    values = np.sort(np.array(values))
    rows = np.random.default_rng(len(values)).integers(-9, 10, (len(values), columns))
    sums, *_ = found(values, rows, np.array(limits))
    np.testing.assert_array_equal(sums, expected(values, rows, limits))


@pytest.mark.parametrize("m, t", SIZES)
def test_long_runs_of_equal_values_across_blocks_and_the_cost(m, t):
    values = np.repeat([-3, 0, 7], [23, 31, 10])
    rows = np.random.default_rng(m).integers(0, 2, (64, 2))
    limits = np.array([-4, -3, 0, 6, 7, 8])
    sums, rounds, sent = found(values, rows, limits, m, t)
    np.testing.assert_array_equal(sums, expected(values, rows, limits))
    k, size = 6, 8
    t = (m - 1) // 2 if t is None else t
    parts = [costs.less_than(k * size, m, t), costs.product(k * size, m, t),
             costs.less_than(k * size, m, t), costs.product(2 * k * size, m, t)]
    assert rounds == sum(p.rounds for p in parts)
    others = costs.product(2 * k * size, m, t), costs.product(2 * k, m, t)
    assert sent == sum(p.total_bytes for p in (*parts, *others))
