"""Look-ups, sums and picks by a secret index, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import SIZES, secret
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cluster import run_cluster
from protocols.secret_index import SecretIndex


def expected_picks(keys, marks, values, slots):
    picked = np.zeros_like(marks)
    found, chosen = np.zeros((2, slots, marks.shape[1]), int)
    for column in range(marks.shape[1]):
        for slot in range(slots):
            rows = np.flatnonzero((keys == slot) & (marks[:, column] == 1))
            if len(rows):
                picked[rows[0], column] = found[slot, column] = 1
                chosen[slot, column] = values[rows[0]]
    return picked, found, chosen


def check(keys, slots, seed, m=4, t=None):
    rng = np.random.default_rng(seed)
    n = len(keys)
    values, by_slot = rng.integers(-50, 50, (n, 2)), rng.integers(-50, 50, (slots, 2))
    marks = rng.integers(0, 2, (n, 2))

    async def program(mpc):
        index = await SecretIndex.of(mpc, secret(mpc, keys), slots)
        parts = index.pick(secret(mpc, marks), secret(mpc, values[:, 0]))
        return await mpc.output([index.look_up(secret(mpc, by_slot)),
                                 index.totals(secret(mpc, values)), *parts])

    looked, sums, *picks = run_cluster(program, m, t)[0]
    np.testing.assert_array_equal(looked, by_slot[keys])
    totals = np.zeros((slots, 2), int)
    np.add.at(totals, keys, values)
    np.testing.assert_array_equal(sums, totals)
    for got, want in zip(picks, expected_picks(keys, marks, values[:, 0], slots), strict=True):
        np.testing.assert_array_equal(got, want)


@settings(max_examples=8)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=25), st.integers(0, 9))
def test_any_rows_and_slots(keys, seed):
    check(np.array(keys), 7, seed)


@pytest.mark.parametrize("m, t", SIZES)
def test_every_deployment(m, t):
    check(np.array([3, 0, 3, 3, 1, 0]), 5, 1, m, t)


@pytest.mark.parametrize("keys, slots", [([0], 1), ([0] * 9, 1), ([4] * 5, 5), (range(6), 6)])
def test_edges(keys, slots):
    check(np.array(list(keys)), slots, 2)


def test_fixed_point_values():
    async def program(mpc):
        index = await SecretIndex.of(mpc, secret(mpc, np.array([1, 0, 1])), 2)
        return await mpc.output(index.totals(secret(mpc, np.array([[0.5], [2.25], [-1.0]]))))

    assert run_cluster(program, 4)[0][:, 0].tolist() == [2.25, -0.5]
