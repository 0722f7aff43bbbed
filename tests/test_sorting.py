"""Shuffle and sort: right, and the opened comparisons tell nothing, not even about ties."""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import SIZES, secret
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import sorting
from engine.cluster import run_cluster

deployments = pytest.mark.parametrize("m, t", [*SIZES, (5, 1), (7, 2)])


def shuffled(values, m=4, t=None):
    async def program(mpc):
        return await mpc.output(mpc.shuffle(secret(mpc, values)))

    return run_cluster(program, m, t)[0]


@deployments
def test_a_shuffle_keeps_the_rows_in_another_order(m, t):
    table = np.arange(60).reshape(20, 3) + 0.25
    first, second = shuffled(table, m, t), shuffled(table, m, t)
    for result in (first, second):
        np.testing.assert_array_equal(result[np.argsort(result[:, 0])], table)
        # 20! orders: the old one or a repetition would be a wonder.
        assert (result != table).any()
    assert (first != second).any()


def test_every_order_of_a_small_table_occurs():
    async def program(mpc):
        x = secret(mpc, np.arange(3).reshape(3, 1))
        return await mpc.output([mpc.shuffle(x) for _ in range(150)])

    seen = {}
    for result in run_cluster(program, 4)[0]:
        order = tuple(result.ravel().tolist())
        seen[order] = seen.get(order, 0) + 1
    assert len(seen) == 6 and min(seen.values()) > 3


def test_a_shuffle_is_fresh_shares():
    async def program(mpc):
        x = secret(mpc, np.zeros((4, 1)))
        return (await mpc.gather(mpc.shuffle(x))).tolist(), (await mpc.gather(x)).tolist()

    for after, before in run_cluster(program, 4):
        assert after != before


def test_random_permutations():
    async def program(mpc):
        return await mpc.output([mpc.random_permutation(20) for _ in range(2)])

    first, second = run_cluster(program, 4)[0]
    assert sorted(first) == sorted(second) == list(range(20)) and first.tolist() != second.tolist()


def sorted_rows(table, key=0, m=4, t=None, **options):
    async def program(mpc):
        return await mpc.output(await mpc.sort_rows(secret(mpc, table), key, **options))

    results = run_cluster(program, m, t)
    for result in results:
        np.testing.assert_array_equal(result, results[0])
    return results[0]


@pytest.mark.parametrize("m, t, key", [
    *[(m, t, [2, 0]) for m, t in SIZES], (4, 1, 0), (4, 1, 1), (4, 1, [0, 1])])
def test_rows_with_many_ties_are_sorted_and_stable(m, t, key):
    rng = np.random.default_rng(3)
    table = np.column_stack([rng.integers(-2, 3, 30), rng.integers(0, 2, 30),
                             rng.integers(0, 4, 30), np.arange(30)]) * 1.0
    keys = [key] if isinstance(key, int) else key
    order = np.lexsort([table[:, k] for k in reversed(keys)])
    np.testing.assert_array_equal(sorted_rows(table, key, m, t), table[order])


@settings(max_examples=8)
@given(st.lists(st.integers(-(2**62), 2**62 - 1), max_size=25))
def test_any_integers(values):
    x = np.array(values, np.int64).reshape(-1, 1)
    np.testing.assert_array_equal(sorted_rows(x), np.sort(x, axis=0))


@pytest.mark.parametrize("options", [{"key_bits": 40}, {"fixed_shape": True},
                                     {"key_bits": 30, "fixed_shape": True}])
@pytest.mark.parametrize("n", [0, 1, 2, 25])
def test_options_change_the_cost_and_not_the_result(n, options):
    rng = np.random.default_rng(n)
    table = np.column_stack([rng.integers(-3, 4, n) * 2**26, np.arange(n)])
    order = np.argsort(table[:, 0], kind="stable")
    np.testing.assert_array_equal(sorted_rows(table, **options), table[order])


def test_the_largest_keys_of_the_stated_width():
    top = 2**57 - 1
    x = np.array([[top], [-top], [0], [top], [-top], [1 - top]])
    np.testing.assert_array_equal(sorted_rows(x, key_bits=57), np.sort(x, axis=0))


def opened_order(values, monkeypatch, **options):
    """The order of the shuffled rows that the opened comparisons show."""
    orders = []
    real = sorting.SortOperations._quicksort

    async def watched(self, *rest):
        order = await real(self, *rest)
        orders.append(order)
        return order

    monkeypatch.setattr(sorting.SortOperations, "_quicksort", watched)
    sorted_rows(np.array(values).reshape(-1, 1), **options)
    monkeypatch.undo()
    return orders[0]


@pytest.mark.parametrize("values, options", [
    ([0] * 200, {}), ([0] * 200, {"key_bits": 20}), ([0, 1] * 100, {}), (range(200), {})],
    ids=["equal", "equal, narrow", "two values", "ascending"])
def test_the_opened_order_is_a_random_one_whatever_the_keys(values, options, monkeypatch):
    """Ties decided by the place in the shuffled table would show as ascending runs: the number of
    descents of a random order of 200 rows is 99.5, with a standard deviation of 4.1."""
    order = opened_order(list(values), monkeypatch, **options)
    assert sorted(order) == list(range(200))
    assert 99.5 - 33 < (np.diff(order) < 0).sum() < 99.5 + 33


@pytest.mark.parametrize("n", [2, 10, 100, 1000, 10_000])
def test_the_fixed_depth_covers_random_orders(n):
    rng = np.random.default_rng(n)
    for _ in range(5):
        depth, segments = 0, [rng.permutation(n)]
        while segments:
            depth += 1
            segments = [part for s in segments for part in (s[s < s[0]], s[s > s[0]])
                        if len(part) > 1]
        assert depth <= sorting.usual_depth(n)


@pytest.mark.parametrize("m, t", SIZES)
def test_group_sums(m, t):
    keys = np.array([3, 1, 3, 7, 1, 3])
    values = np.column_stack([np.arange(6) / 4, np.ones(6)])

    async def program(mpc):
        return await mpc.output(list(await mpc.group_sums(secret(mpc, keys), secret(mpc, values))))

    ends, found, sums, counts = run_cluster(program, m, t)[0]
    rows = ends.astype(bool)
    assert found[rows].tolist() == [1, 3, 7] and counts[rows].tolist() == [2, 3, 1]
    np.testing.assert_array_equal(sums[rows], [[1.25, 2], [1.75, 3], [0.75, 1]])
    for column in (found, sums, counts):
        assert not column[~rows].any()
