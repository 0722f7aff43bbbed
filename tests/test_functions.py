"""The NumPy-named functions of secure arrays against NumPy, for every deployment."""

import asyncio
from fractions import Fraction

import numpy as np
import pytest
from engine_kit import SIZES, opened, secret

from engine.cluster import run_cluster

RNG = np.random.default_rng(5)
A = RNG.normal(size=(7, 3))
B = A.T @ A + np.eye(3)
K = RNG.integers(-1000, 1000, 20)
KEYS = RNG.integers(0, 4, 30)
VALUES = RNG.normal(size=(30, 2))
UNIT = 2.0**-20


@pytest.mark.parametrize('m, t', SIZES)
@pytest.mark.parametrize('expression, value, expected, tolerance', [
    (lambda mpc, a: mpc.prod(a, 0), A, A.prod(0), 60 * UNIT),
    (lambda mpc, a: mpc.prod(a, 1), A, A.prod(1), 60 * UNIT),
    (lambda mpc, a: mpc.any(a > 1, axis=0), A, (A > 1).any(0), 0),
    (lambda mpc, a: mpc.all(a > -2, axis=1), A, (A > -2).all(1), 0),
    (lambda mpc, a: mpc.max(a), A, A.max(), UNIT),
    (lambda mpc, a: mpc.min(a), A, A.min(), UNIT),
    (lambda mpc, k: mpc.argmax(k), K, K.argmax(), 0),
    (lambda mpc, k: mpc.argmin(k), K, K.argmin(), 0),
    (lambda mpc, a: mpc.argmax(a, axis=0), A, A.argmax(0), 0),
    (lambda mpc, a: mpc.argmin(a, axis=1), A, A.argmin(1), 0),
    (lambda mpc, a: mpc.max(a, axis=1), A, A.max(1), UNIT),
    (lambda mpc, a: a.cumsum(axis=1), A, A.cumsum(1), 4 * UNIT),
    (lambda mpc, a: a.reshape(7, 1, 3) @ a.reshape(7, 3, 1), A, (A**2).sum(1).reshape(7, 1, 1),
     8 * UNIT),
    (lambda mpc, a: mpc.where(a > 0, a, -a), A, np.abs(A), 4 * UNIT),
    (lambda mpc, a: mpc.where(a > 0, 1.5, 0.5), A, np.where(A > 0, 1.5, 0.5), 0),
    (lambda mpc, a: mpc.outer(a[:, 0], a[0]), A, np.outer(A[:, 0], A[0]), 8 * UNIT),
    (lambda mpc, a: mpc.dot(a.T, a), A, A.T @ A, 20 * UNIT),
    (lambda mpc, a: a.cumsum(), A, A.cumsum(), 12 * UNIT),
    (lambda mpc, a: a.cumsum(0), A, A.cumsum(0), 8 * UNIT),
    (lambda mpc, a: a.cumsum(-1), A, A.cumsum(1), 8 * UNIT),
    (lambda mpc, a: a.take([[9, 2]]), A, A.take([[9, 2]]), UNIT),
    (lambda mpc, a: a.take([4, 0], axis=0), A, A[[4, 0]], UNIT),
    (lambda mpc, a: a / 3.0, A, A / 3, 6 * UNIT),
    (lambda mpc, b: 1 / b[0, 0], B, 1 / B[0, 0], 6 * UNIT),
    (lambda mpc, b: b / b[0, 0], B, B / B[0, 0], 12 * UNIT),
    (lambda mpc, b: mpc.cholesky(b), B, np.linalg.cholesky(B), 2e-5),
    (lambda mpc, b: mpc.solve(b, b[0]), B, [1, 0, 0], 2e-5),
    (lambda mpc, b: mpc.solve(b, B[1]), B, [0, 1, 0], 2e-5),
    (lambda mpc, k: mpc.to_bits(k, 12), K, (K[:, None] >> np.arange(12)) & 1, 0),
    (lambda mpc, k: mpc.from_bits(mpc.to_bits(k + 2000, 12)), K, K + 2000, 0),
    (lambda mpc, k: mpc.one_hot(k, 4), KEYS, np.eye(4)[KEYS], 0),
    (lambda mpc, a: mpc.softmax(a), A, np.exp(A) / np.exp(A).sum(1, keepdims=True), 2e-5),
    (lambda mpc, a: mpc.softmax(a, 0), A, np.exp(A) / np.exp(A).sum(0), 2e-5),
])
def test_against_numpy(m, t, expression, value, expected, tolerance):
    result = opened(expression, value, m=m, t=t)
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance)


def changed(x, index, value):
    x = x.copy()
    x[index] = value
    return x


CUBE = RNG.normal(size=(2, 3, 2))
EMPTY = np.zeros((0, 3))
FORMS = [
    lambda n, a, k, e: [a.sum((0, -1)), a.sum(1, keepdims=True), a.sum(keepdims=True)],
    lambda n, a, k, e: [a.mean((0, 2)), a.mean(1, keepdims=True)],
    lambda n, a, k, e: [a.max((1, 2)), a.min(1, keepdims=True), a.max()],
    lambda n, a, k, e: [n.prod(k[:4]), a.prod((0, 1)), n.prod(a), a.prod(2, keepdims=True)],
    lambda n, a, k, e: [e.sum(), e.prod(0), e * e, n.sort(e), n.argsort(e)],
    lambda n, a, k, e: [(k > 0).all(), (a < 9).all((0, 1)), (a > 1).any(2, keepdims=True)],
    lambda n, a, k, e: [k.argmin(), a.argmax(1), n.abs(a), abs(k), +k],
    lambda n, a, k, e: [k**0, k**1, k**3, a**2, a[0]**0],
    lambda n, a, k, e: [(k > 0) & (k < 9), (k > 0) | (k < -9), (k > 0) ^ (K < 9), 1 - (k > 0)],
    lambda n, a, k, e: [a.transpose(2, 0, 1), a.transpose(), a.flatten(), a.reshape([4, 3])],
    lambda n, a, k, e: [n.sort(a), n.sort(a, axis=1), n.argsort(a), n.argsort(a, axis=0)],
    lambda n, a, k, e: [n.concatenate([k, K[:2]], axis=-1), n.stack([CUBE, a], axis=-1)],
    lambda n, a, k, e: [changed(a, (..., 0), 5.0), changed(a[0], ..., [1.5, 2.5])],
    lambda n, a, k, e: [changed(k, slice(None, None, -7), [1, 2, 3.0]), changed(k, K < 0, 9)],
    lambda n, a, k, e: [changed(a, (np.array([True, False]), slice(None), 1), 9), k.dot(k)],
]


def test_forms_of_numpy():
    """What an array's methods, operators and assignments give in NumPy they give here."""
    async def program(mpc):
        secrets = secret(mpc, CUBE), secret(mpc, K, 1), secret(mpc, EMPTY, 2)
        found = [x for form in FORMS for x in form(mpc, *secrets)]
        return [await mpc.output(await x if asyncio.iscoroutine(x) else x) for x in found]
    expected = [np.asarray(x) for form in FORMS for x in form(np, CUBE, K, EMPTY)]
    for found, wanted in zip(run_cluster(program, 4)[0], expected, strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=0, atol=60 * UNIT)


def test_public_operands_of_any_type_and_copies():
    halves, small = np.array([0.5, 3, Fraction(1, 4)], object), np.array([0, 2, 200], np.uint8)

    async def program(mpc):
        a, k = secret(mpc, A[0]), secret(mpc, K[:3])
        copies = [+a, a**1, mpc.concatenate([a])]
        for copy in copies:
            copy[0] = 9.0
        found = [a * halves, k * halves, k + halves, k > small, k <= small, a, *copies]
        return [await mpc.output(x) for x in found]
    other = changed(A[0], 0, 9.0)
    expected = [A[0] * halves, K[:3] * halves, K[:3] + halves, K[:3] > small, K[:3] <= small, A[0],
                other, other, other]
    for found, wanted in zip(run_cluster(program, 3)[0], expected, strict=True):
        np.testing.assert_allclose(found, wanted.astype(float), rtol=0, atol=2000 * UNIT)


@pytest.mark.parametrize('m, t', SIZES)
def test_order_statistics(m, t):
    async def program(mpc):
        k, keys = secret(mpc, K), secret(mpc, KEYS)
        largest, places = await mpc.top_k(k, 5)
        return [await mpc.output(x) for x in (
            await mpc.sort(k), await mpc.argsort(keys), await mpc.quantiles(k, [0.1, 0.5, 1.0]),
            largest, places)]
    for ordered, places, quantiles, largest, where in run_cluster(program, m, t):
        assert (ordered == np.sort(K)).all()
        assert (places == np.argsort(KEYS, kind='stable')).all()
        assert (quantiles == np.sort(K)[[1, 9, 19]]).all()
        assert (largest == np.sort(K)[::-1][:5]).all()
        assert (K[where] == largest).all()


def test_the_order_of_equal_elements_and_the_sort_column_of_a_table():
    table = np.stack([KEYS, np.arange(30)], axis=1)

    async def program(mpc):
        rows = secret(mpc, table)
        largest, places = await mpc.top_k(rows[:, 0], 12)
        return [await mpc.output(x) for x in
                (largest, places, await mpc.sort_rows(rows[:, ::-1], -1))]
    largest, places, ordered = run_cluster(program, 4)[0]
    assert (places == np.argsort(-KEYS, kind='stable')[:12]).all()
    assert (largest == KEYS[places]).all()
    assert (ordered == table[np.argsort(KEYS, kind='stable'), ::-1]).all()


@pytest.mark.parametrize('m, t', SIZES)
def test_group_sums(m, t):
    async def program(mpc):
        found = await mpc.group_sums(secret(mpc, KEYS), secret(mpc, VALUES, mpc.geometry.m - 1))
        return [await mpc.output(x) for x in found]
    ends, keys, sums, counts = run_cluster(program, m, t)[0]
    held = ends == 1
    assert (keys[held] == np.unique(KEYS)).all()
    assert (counts[held] == np.bincount(KEYS)[np.unique(KEYS)]).all()
    expected = [VALUES[k == KEYS].sum(0) for k in np.unique(KEYS)]
    np.testing.assert_allclose(sums[held], expected, atol=40 * UNIT)
    assert not keys[~held].any() and not counts[~held].any() and not sums[~held].any()


def test_long_arrays_are_processed_in_blocks(monkeypatch):
    from engine import functions
    monkeypatch.setattr(functions, 'BLOCK', 16)
    x = np.linspace(-6, 6, 150).reshape(3, 50)
    result = opened(lambda mpc, x: [mpc.sigmoid(x), mpc.exp(x), mpc.log(mpc.exp(x))], x)
    np.testing.assert_allclose(result[0], 1 / (1 + np.exp(-x)), atol=2e-5)
    np.testing.assert_allclose(result[1], np.exp(x), rtol=4e-6, atol=6 * UNIT)
    np.testing.assert_allclose(result[2], x, atol=4e-3)


def test_assignment_changes_only_what_it_names():
    async def program(mpc):
        a = secret(mpc, A)
        before = a * 2
        a[1] = 0.5
        a[2:4, 1] = a[0:2, 1] * 2
        a[A[:, 0] > 1] = 0
        return [await mpc.output(x) for x in (before, a)]
    expected = A.copy()
    expected[1] = 0.5
    expected[2:4, 1] = expected[0:2, 1] * 2
    expected[A[:, 0] > 1] = 0
    for before, after in run_cluster(program, 4):
        np.testing.assert_allclose(before, 2 * A, atol=2 * UNIT)
        np.testing.assert_allclose(after, expected, atol=2 * UNIT)


def test_randomness_is_in_range_fair_and_agreed():
    async def program(mpc):
        bits = mpc.random_bits((2000,))
        numbers = await mpc.random_integers(10, 2000)
        order = mpc.random_permutation(50)
        return [await mpc.output(x) for x in (bits, numbers, order)]
    results = run_cluster(program, 4)
    bits, numbers, order = results[0]
    for other in results[1:]:
        for mine, theirs in zip(results[0], other, strict=True):
            assert (mine == theirs).all()
    assert set(bits.tolist()) == {0, 1} and abs(bits.mean() - 0.5) < 0.08
    assert (np.bincount(numbers, minlength=10) > 120).all() and numbers.max() == 9
    assert sorted(order.tolist()) == list(range(50)) and (order != np.arange(50)).any()


async def no_array():
    """An operation that must be awaited."""


MISTAKES = [
    (lambda mpc, x: mpc.cholesky(x.reshape(2, 2)[:1]), ValueError, 'square matrix'),
    (lambda mpc, x: mpc.to_bits(x, 70), ValueError, 'to_bits: 70 bits'),
    (lambda mpc, x: mpc.assign(x, 9, 1), IndexError, 'out of bounds'),
    (lambda mpc, x: mpc.assign(x, 1, 0.5), TypeError, 'fractions to an array of integers'),
    (lambda mpc, x: mpc.assign(x, 1, mpc.array(1.0)), TypeError, 'expected integers'),
    (lambda mpc, x: mpc.max(x[:0]), ValueError, 'expected one element or more'),
    (lambda mpc, x: x[:0].mean(), ValueError, 'mean of an array of shape'),
    (lambda mpc, x: mpc.concatenate([x, x.reshape(2, 2)]), ValueError, r'shapes \[\(4,\), \(2, 2'),
    (lambda mpc, x: mpc.stack([x, x[:2]]), ValueError, 'expected one shape'),
    (lambda mpc, x: mpc.solve(x.reshape(2, 2), x), ValueError, r'expected \(2,\) or'),
    (lambda mpc, x: x ** -1, TypeError, 'public integer of 0 or more'),
    (lambda mpc, x: ~mpc.array(1.0), TypeError, 'expected shared bits'),
    (lambda mpc, x: x & mpc.array(1.0), TypeError, 'expected shared bits'),
    (lambda mpc, x: x | 2, TypeError, 'other public values than 0 and 1'),
    (lambda mpc, x: mpc.assign(x, 1, Fraction(1, 2)), TypeError, 'fractions to an array of'),
    (lambda mpc, x: x * None, TypeError, 'expected numbers'),
    (lambda mpc, x: x * 2**70, OverflowError, 'outside the fixed-point range'),
    (lambda mpc, x: x[x], TypeError, 'mpc.output'),
    (lambda mpc, x: np.concatenate([x, x]), TypeError, 'of mpc where there is one'),
    (lambda mpc, x: len(x[0]), TypeError, 'expected one axis'),
    (lambda mpc, x: mpc.output([x, no_array()]), TypeError, 'no_array is a coroutine'),
    (lambda mpc, x: mpc.output(no_array()), TypeError, 'no_array is a coroutine'),
]
MISTAKES_IN_ORDERS = [
    (lambda mpc, x: mpc.top_k(x, 9), 'top_k: k = 9 of 4'),
    (lambda mpc, x: mpc.top_k(x.reshape(2, 2), 1), 'expected a vector'),
    (lambda mpc, x: mpc.quantiles(x, [1.5]), 'levels from 0 to 1'),
    (lambda mpc, x: mpc.sort_rows(x), r'expected \(n, k\)'),
    (lambda mpc, x: mpc.sort_rows(x.reshape(2, 2), 2), r'columns \[2\] of a table of 2'),
    (lambda mpc, x: mpc.group_sums(x, x), r'expected integers of shape \(n,\)'),
]


def test_bad_arguments_are_named():
    async def program(mpc):
        x = mpc.array(np.arange(4))
        for mistake, error, message in MISTAKES:
            with pytest.raises(error, match=message):
                mistake(mpc, x)
        for mistake, message in MISTAKES_IN_ORDERS:
            with pytest.raises(ValueError, match=message):
                await mistake(mpc, x)
    run_cluster(program, 3)
