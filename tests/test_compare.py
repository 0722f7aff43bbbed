"""Comparisons: exact over the whole stated range, edges included."""

from __future__ import annotations

import operator

import numpy as np
import pytest
from engine_kit import SIZES, opened, secret
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine import compare
from engine.bits import Layout
from engine.cluster import run_cluster
from engine.operation import Operation
from engine.shamir import Geometry
from engine.verified_bits import bit_network

TOP = 2**63 - 1
EDGES = [0, 1, -1, 2, -2, TOP, -TOP, TOP - 1, 1 - TOP, 2**62, -(2**62), 2**32, -(2**32), 2**32 - 1,
         2**31, -(2**31), 2**16, 255, -256, 5, -5]
deployments = pytest.mark.parametrize("m, t", [*SIZES, (2, 0), (3, 0), (5, 1), (7, 3)])
OPERATORS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]


@deployments
def test_signs_and_zeros_of_edge_values(m, t):
    values = np.array(EDGES)
    negative, zero, open_sign = opened(
        lambda mpc, x: [mpc.negative(x), x == 0, mpc.negative(x.reshape(3, 7)).ravel()],
        values, m=m, t=t)
    np.testing.assert_array_equal(negative, values < 0)
    np.testing.assert_array_equal(zero, values == 0)
    np.testing.assert_array_equal(open_sign, values < 0)


@deployments
def test_opened_signs(m, t):
    async def program(mpc):
        return await mpc.open_negative(secret(mpc, np.array(EDGES), m - 1))

    for result in run_cluster(program, m, t):
        assert result.dtype == bool
        np.testing.assert_array_equal(result, np.array(EDGES) < 0)


@settings(max_examples=12)
@given(st.sampled_from([1, 3, 4, 5]),
       st.lists(st.integers(-TOP, TOP), min_size=1, max_size=40))
@example(4, [2**k for k in range(63)] + [-(2**k) for k in range(63)])
@example(5, [2**k - 1 for k in range(64)] + [1 - 2**k for k in range(64)])
@example(3, [TOP - 2**k for k in range(63)])
def test_signs_and_zeros_of_any_values(m, values):
    x = np.array(values)
    negative, zero = opened(lambda mpc, x: [mpc.negative(x), mpc.equal(x, 0)], x, m=m)
    np.testing.assert_array_equal(negative, x < 0)
    np.testing.assert_array_equal(zero, x == 0)


@pytest.mark.parametrize("m, t", SIZES)
def test_all_operators_and_operands(m, t):
    x = np.array([1.5, -2.25, 3.0, 0.0, 7.0])
    y = np.array([1.5, -2.5, 4.0, 2.0**-20, -7.0])
    k = np.array([1, -2, 3, 0, 7])

    def every(x, y, k):
        pairs = [(x, y), (k, 2.5), (x.reshape(5, 1), k)]
        if m == 4:
            pairs += [(x, k), (k, x), (k, k), (x, 3.0), (k, 3), (x, 0), (x, y[2])]
        return [op(a, b) for op in OPERATORS for a, b in pairs]
    results = opened(lambda mpc, *arrays: every(*arrays), x, y, k, m=m, t=t)
    for got, want in zip(results, every(x, y, k), strict=True):
        assert got.dtype == np.int64 and got.shape == want.shape
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("op", OPERATORS)
def test_public_operands_on_the_left(op):
    x, public = np.array([1, -2, 3]), np.array([1, 1, 5])
    np.testing.assert_array_equal(opened(lambda mpc, x: op(public, x), x), op(public, x))
    np.testing.assert_array_equal(opened(lambda mpc, x: op(2, x), x), op(2, x))


@pytest.mark.parametrize("m, t", SIZES)
def test_selection(m, t):
    x = np.array([1.5, -2.25, 3.0, -0.5])
    y = np.array([1.25, -2.0, 3.0, 0.5])
    results = opened(lambda mpc, x, y: [
        mpc.maximum(x, y), mpc.minimum(x, y), mpc.maximum(x, 0.0), mpc.minimum(x, 1),
        mpc.absolute(x), mpc.where(x < y, x, y), mpc.where(x < 0, 0.0, x), mpc.where(x < 0, 1, 2),
        mpc.select(y < 0, x, y)], x, y, m=m, t=t)
    expected = [np.maximum(x, y), np.minimum(x, y), np.maximum(x, 0), np.minimum(x, 1), np.abs(x),
                np.where(x < y, x, y), np.where(x < 0, 0, x), np.where(x < 0, 1, 2),
                np.where(y < 0, x, y)]
    for got, want in zip(results, expected, strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 16])
def test_extremes_and_their_positions(n):
    rng = np.random.default_rng(n)
    x = rng.integers(-4, 5, n) / 2
    results = opened(lambda mpc, x: [mpc.max(x), mpc.min(x), mpc.argmax(x), mpc.argmin(x),
                                     mpc.largest(x)], x)
    assert [r.item() for r in results] == [x.max(), x.min(), x.argmax(), x.argmin(), x.max()]
    columns = np.stack([x, -x], axis=1)
    [most] = opened(lambda mpc, x: [mpc.largest(x)], columns)
    np.testing.assert_array_equal(most, columns.max(axis=0))


def test_any_and_all():
    bits = np.array([[0, 1, 0], [1, 1, 1], [0, 0, 0]])
    results = opened(lambda mpc, b: [mpc.any(b), mpc.all(b), mpc.any(b, 1), mpc.all(b, 1),
                                     mpc.any(b, 0)], bits)
    for got, want in zip(results, [1, 0, [1, 1, 0], [0, 1, 0], [1, 1, 1]], strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("m", [4, 5])
def test_large_batches_are_split_into_blocks(m, monkeypatch):
    monkeypatch.setattr(compare, "_BLOCK", 16)
    x = np.arange(-25, 25)

    async def program(mpc):
        array = secret(mpc, x)
        opened_signs = await mpc.open_negative(array)
        return [opened_signs, *await mpc.output([array < 0, array == 3])]

    for signs, below, equal in run_cluster(program, m):
        np.testing.assert_array_equal(signs, x < 0)
        np.testing.assert_array_equal(below, x < 0)
        np.testing.assert_array_equal(equal, x == 3)


@pytest.mark.parametrize("m", [1, 4])
def test_empty_arrays(m):
    x = np.empty(0)
    below, same, empty = opened(lambda mpc, x: [x < 0, x == 1.0, x * x], x, m=m)
    assert below.shape == same.shape == empty.shape == (0,)


def test_comparisons_run_in_the_worker_thread_too():
    x = np.arange(-15_000, 15_000)
    np.testing.assert_array_equal(opened(lambda mpc, x: x < 0, x), x < 0)


# --- Boolean networks ---

@pytest.mark.parametrize("m, t", [*SIZES, (2, 0), (5, 1), (6, 2), (7, 3)])
@pytest.mark.parametrize("rotation", [0, 1])
def test_layouts(m, t, rotation):
    g = Geometry(m, t)
    layout = Layout(g, g.active_group(rotation))
    for pid in layout.group:
        assert all(pid in layout.sets[k] for k in layout.mine(pid))
        assert pid in layout.sets[layout.target[pid]]
    terms = [(layout.mine(p)[a], layout.mine(p)[b]) for p in layout.group
             for a, b in layout.pairs(p)]
    assert sorted(terms) == [(a, b) for a in range(len(layout.sets))
                             for b in range(len(layout.sets))], "each cross term exactly once"
    parts = [layout.mine(p)[k] for j, (p,) in enumerate(layout.parts)
                 for k in layout.split(p, j)]
    assert sorted(parts) == list(range(len(layout.sets)))
    for k, index in enumerate(layout.keys):
        # The key's holders among the active parties are the set; the rest are outsiders.
        assert set(g.sets[index]) & set(layout.group) == layout.sets[k]


@pytest.mark.parametrize("m, t, verified", [
    *[(m, t, False) for m, t in [*SIZES, (2, 0), (5, 1), (7, 3)]],
    (2, 0, True), (4, 1, True), (5, 1, True), (7, 2, True)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_and_of_dealt_words(m, t, verified, dtype):
    rng = np.random.default_rng(m)
    top = np.iinfo(dtype).max
    a, b = (rng.integers(0, top, 9, dtype=dtype, endpoint=True) for _ in range(2))
    a[0], b[0], a[1] = 0, top, top

    async def program(mpc):
        op = Operation(mpc, "test", (9,))
        net = bit_network(op, 9)
        last = len(net.layout.parts) - 1
        values = {0: a, last: b} if last else {0: a}
        dealt = await net.deal({j: values.get(j, np.zeros(9, dtype))
                                for j, part in enumerate(net.layout.parts) if mpc.pid in part},
                               (9,), dtype)
        x, y = (dealt[0], dealt[-1]) if last else (dealt[0], net.xor_public(dealt[0], 0b101))
        z = await net.and_(x, net.xor_public(y, 0b11))
        return net.mine, net.layout.sets, z

    parties = run_cluster(program, m, t, verified=verified)
    sets = parties[0][1]
    components = {}
    for mine, _, z in parties:
        for k, component in zip(mine, z, strict=True):
            components.setdefault(k, []).append(component.tolist())
    assert len(components) == len(sets)
    assert all(c == same[0] for same in components.values() for c in same), "holders agree"
    result = np.bitwise_xor.reduce([np.array(same[0], dtype) for same in components.values()])
    second = b if t else a ^ dtype(0b101)
    np.testing.assert_array_equal(result, a & (second ^ dtype(0b11)))


@pytest.mark.parametrize("m, t", SIZES)
def test_bits_of_numbers_and_back(m, t):
    values = np.array([0, 1, -1, 5, 2**62, -(2**62), TOP, -TOP])

    def expressions(mpc, x):
        bits = mpc.to_bits(x, 64)
        return [bits, mpc.from_bits(mpc.to_bits(x, 60)), mpc.to_bits(x.reshape(2, 4), 3)]
    bits, low, shaped = opened(expressions, values, m=m, t=t)
    np.testing.assert_array_equal(bits, (values[:, None] >> np.arange(64)) & 1)
    np.testing.assert_array_equal(low, values & (2**60 - 1))
    np.testing.assert_array_equal(shaped, (values.reshape(2, 4, 1) >> np.arange(3)) & 1)


@pytest.mark.parametrize("m, t", SIZES)
def test_random_bits_and_integers(m, t):
    async def program(mpc):
        bits = mpc.random_bits((20, 30))
        integers = await mpc.random_integers(6, 400)
        same = await mpc.random_integers(1, 5)
        return await mpc.output([bits, integers, same])

    bits, integers, same = run_cluster(program, m, t)[0]
    assert bits.shape == (20, 30) and set(bits.ravel()) == {0, 1}
    assert 200 < bits.sum() < 400  # six standard deviations and more
    assert set(integers) == set(range(6))
    assert np.bincount(integers, minlength=6).min() > 25
    assert same.tolist() == [0] * 5


def test_one_hot():
    index = np.array([0, 2, 3, -1])
    np.testing.assert_array_equal(
        opened(lambda mpc, i: mpc.one_hot(i, 3), index), index[:, None] == np.arange(3))
