"""MPyC's secure arrays on the engine: values, shapes and types as MPyC's."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from mpyc_kit import opened, plain, run_mpyc

from engine import field
from engine.mpyc_arrays import accelerated
from engine.mpyc_field import FIELD, ShareArray

SIZES = [(1, 0), (3, 1), (4, 1), (5, 2)]


def secint(bits: int) -> Any:
    return lambda mpc: mpc.SecInt(bits)


def secfxp(bits: int, frac: int | None = None) -> Any:
    return lambda mpc: mpc.SecFxp(bits, frac)


# --- which types are accelerated ---

def test_types_with_room_get_the_field_and_others_keep_their_own():
    async def program(mpc):
        k = mpc.options.sec_param
        assert k == 30
        fast = [mpc.SecInt(), mpc.SecInt(64), mpc.SecInt(96), mpc.SecFxp(), mpc.SecFxp(64),
                mpc.SecFxp(64, 20), mpc.SecInt(32, p=field.P)]
        slow = [mpc.SecInt(97), mpc.SecFxp(66, 31), mpc.SecInt(32, n=7), mpc.SecFld(field.P),
                mpc.SecInt(32, p=2**89 - 1)]
        assert {s.field.modulus for s in fast} == {field.P} and all(s.field is FIELD for s in fast)
        assert all(s.field is not FIELD for s in slow)
        assert [s.__name__ for s in fast[:5]] == ["SecInt32", "SecInt64", "SecInt96",
                                                  "SecFxp32:16", "SecFxp64:32"]
        assert accelerated(fast[0].array(np.array([1]))) and not accelerated(fast[0](1))
        # The masked opening of the largest type fits: MPyC's bound on the sum of its summands.
        bits, frac = 64, 32
        assert (1 << (bits + frac + k)) + (1 << (bits + frac)) + (1 << frac) < field.P

    run_mpyc(program, 1)


# --- values ---

X = np.array([[3, -4, 0], [1 << 20, -(1 << 19), 7]])
Y = np.array([[-2, 5, 1], [9, 0, 7]])
INTEGERS = {
    "add": lambda np, a, b: a + b * 2 - 1, "multiply": lambda np, a, b: a * b,
    "scalar": lambda np, a, b: a * b[0, 1] + 3, "public": lambda np, a, b: a * np.arange(3),
    "matmul": lambda np, a, b: a @ b.T, "inner": lambda np, a, b: a[0] @ b[1],
    "outer": lambda np, a, b: np.outer(a, b[0]), "power": lambda np, a, b: b**3,
    "less": lambda np, a, b: a < b, "greater": lambda np, a, b: a >= 1,
    "equal": lambda np, a, b: a == b, "unequal": lambda np, a, b: a != 0,
    "absolute": lambda np, a, b: np.absolute(a), "minimum": lambda np, a, b: np.minimum(a, b),
    "maximum": lambda np, a, b: np.maximum(a, 2), "sort": lambda np, a, b: np.sort(a, axis=1),
    "flat sort": lambda np, a, b: np.sort(a, axis=None),
    "columns": lambda np, a, b: np.sort(a, axis=0),
    "prod": lambda np, a, b: np.prod(b, axis=0), "max": lambda np, a, b: np.amax(a, axis=1),
    "convolve": lambda np, a, b: np.convolve(a[1], b[1]), "roll": lambda np, a, b: np.roll(a, 1),
    "argmin": lambda np, a, b: np.argmin(a, axis=1), "where": lambda np, a, b: np.where(
        a < b, a, b), "sum": lambda np, a, b: np.sum(a, axis=0), "update": lambda np, a, b: a[::-1],
    "elements": lambda np, a, b: np.concatenate((Y if a is X else ShareArray(Y), a)),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_integer_arrays_are_exact(name):
    fn = functools.partial(INTEGERS[name], np)
    result = np.asarray(opened(lambda mpc, a, b: fn(a, b), X, Y, stype=secint(48)), dtype=object)
    expected = np.asarray(fn(X, Y), dtype=object)
    assert result.shape == expected.shape and all(type(v) is int for v in result.ravel())
    assert (result == expected.astype(int)).all()


@pytest.mark.parametrize("m, t", SIZES)
def test_every_size_of_the_consortium(m, t):
    async def program(mpc):
        a = mpc.input(mpc.SecInt(32).array(X), senders=0)
        f = mpc.input(mpc.SecFxp(64).array(X / 8), senders=m - 1)
        bits = mpc.np_random_bits(mpc.SecInt(32), 200)
        signs = mpc.np_random_bits(mpc.SecFxp(32), 200, signed=True)
        return [await mpc.output(v) for v in (
            a * a, a < 5, a @ a.T, mpc.np_to_bits(a, 8), f * f, f @ f.T, f < 0.5, 1 / (f + 1e5),
            bits, signs, mpc.np_sgn(a), np.sort(f, axis=1))]

    for square, less, gram, bits, f2, fgram, fless, inverse, drawn, signs, sgn, ordered in \
            run_mpyc(program, m, t):
        f = X / 8
        assert (square == X * X).all() and (less == (X < 5)).all() and (gram == X @ X.T).all()
        assert (bits == (X[..., None] >> np.arange(8)) & 1).all() and (sgn == np.sign(X)).all()
        np.testing.assert_allclose(f2, f * f, atol=2.0**-28)
        np.testing.assert_allclose(fgram, f @ f.T, atol=2.0**-28)
        np.testing.assert_allclose(inverse, 1 / (f + 1e5), atol=1e-8)
        assert (fless == (f < 0.5)).all() and (ordered == np.sort(f, axis=1)).all()
        assert set(drawn) == {0, 1} and set(signs) == {-1.0, 1.0}


@pytest.mark.parametrize("bits, frac", [(64, 32), (64, 20), (32, 16), (40, 8), (62, 31)])
def test_products_are_right_over_the_whole_range_of_the_type(bits, frac):
    """Also where the engine's own arrays would have no room (64 + 32 bits of product)."""
    top = 2.0 ** (bits - frac - 1)
    a = np.array([top - 1, -top + 1, top / 2, 1.5, -0.75, 2.0**-frac, top / 3, 0.0])
    b = np.array([1.0, 1.0, -1.9375, 2.5, 3.0, 1.0, 2.75, top - 1])
    result = opened(lambda mpc, x, y: x * y, a + 2.0**-frac * 0, b, stype=secfxp(bits, frac))
    np.testing.assert_allclose(result, a * b, atol=3 * 2.0**-frac, rtol=2.0**-50)


def test_products_with_whole_numbers_are_exact():
    """MPyC's `integral` arrays need no truncation, and neither do integer factors."""
    halves = np.array([0.5, -1.25, 3.0, 1000.0625])

    def program(mpc, x):
        whole = mpc.SecFxp(64).array(np.array([3, -2, 7, 0]))
        assert whole.integral and not x.integral and (whole * whole).integral
        assert (x < 0).integral and not (x * x).integral and (x * 4).integral is False
        return np.concatenate((x * whole, x * 4, x * np.arange(4), (x < 1) * x, whole * whole,
                               np.outer(x, whole).flatten()))

    w = np.array([3, -2, 7, 0])
    expected = np.concatenate((halves * w, halves * 4, halves * np.arange(4), (halves < 1) * halves,
                               w * w, np.outer(halves, w).ravel()))
    assert (opened(program, halves, stype=secfxp(64)) == expected).all()


@pytest.mark.parametrize("bits", [8, 62, 63, 64])
def test_comparisons_are_right_at_the_ends_of_the_range(bits):
    top = 1 << (bits - 1)
    ends = np.array([-top, -top + 1, -1, 0, 1, top - 2, top - 1], dtype=object)
    a, b = (x.ravel() for x in np.meshgrid(ends, ends))

    def program(mpc, x, y):
        return np.stack((x < y, x > y, x <= y, x == y, mpc.np_sgn(x) + 0 * y))

    result = opened(program, a, b, stype=secint(bits))
    expected = [a < b, a > b, a <= b, a == b, np.sign(a)]
    assert (result == np.array(expected, dtype=object).astype(int)).all()


def test_numbers_too_long_for_a_word_go_mpycs_way():
    a = np.array([2**90, -2**90, 5], dtype=object)

    async def program(mpc):
        names = []
        mpc.meter.record = lambda path, *args: names.append(path[-1])
        x = mpc.input(mpc.SecInt(95).array(a), senders=0)
        result = await mpc.output(np.stack((x < 7, x == 5, x * 2, mpc.np_to_bits(x, 3)[:, 0])))
        assert "less_than" not in names and "equal" not in names and "random_bits" in names
        big = mpc.input(mpc.SecInt(128).array(a), senders=1)
        small = mpc.input(mpc.SecFld(101).array(np.array([100, 2])), senders=2)
        poly = mpc.input(mpc.SecFld(2**8).array(np.array([3, 255])), senders=1)
        field = mpc.SecFld(2**8).field
        return (result, await mpc.output(big * 3 < 1), await mpc.output(small * small),
                await mpc.output(poly**254 * poly) == field(1))

    for result, big, small, one in run_mpyc(program):
        assert result.tolist() == [[0, 1, 1], [0, 0, 1], [2**91, -2**91, 10], [0, 0, 1]]
        assert big.tolist() == [0, 1, 0] and small.value.tolist() == [1, 4] and one.all()


def test_fractions_too_long_for_the_field_go_mpycs_way():
    a = np.array([2.5, -0.75, 2.0**20])

    async def program(mpc):
        x = mpc.input(mpc.SecFxp(100, 32).array(a), senders=0)
        assert not accelerated(x)
        near = [x * x, x @ x, np.outer(x, x[:2]), abs(x)]
        return [await mpc.output(v) for v in (*near, np.sort(x), x < 2, mpc.np_trunc(x, 4))]

    ends = [np.sort(a), a < 2, a / 16]
    expected = [a * a, a @ a, np.outer(a, a[:2]), abs(a), *ends]
    for result in run_mpyc(program):
        for found, exact in zip(result, expected, strict=True):
            assert np.allclose(np.asarray(found, float), exact, rtol=1e-6, atol=1e-6)


def test_what_comes_out_has_mpycs_types():
    async def program(mpc):
        secint, secfxp = mpc.SecInt(), mpc.SecFxp()
        a, f = secint.array(X), secfxp.array(X / 2)
        assert type(a * a) is type(a) and (a @ a.T).shape == (2, 2)
        assert type(a[0] @ a[1]) is secint and type(f[0] @ f[1]) is secfxp
        assert type(a[0, 0]) is secint and isinstance(a, mpc.SecureArray)
        opened = [await mpc.output(v)
                  for v in (a, f, a[0, 0], f[0, 0], np.sum(f), a.reshape(6)[:0])]
        raw = await mpc.output(a, raw=True)
        assert isinstance(raw, ShareArray) and (plain(raw) == X).all()
        both = await mpc.output([a, a + 1])
        assert [(v == X + k).all() for k, v in enumerate(both)] == [True, True]
        one = await mpc.output(f, receivers=1)
        assert (one is None) == (mpc.pid != 1)
        twice = mpc.input([a, a], senders=[0, 2])
        assert [len(s) for s in twice] == [2, 2] and (await mpc.output(twice[1][1]) == X).all()
        return [type(v) for v in opened], opened[0].dtype, opened[1].dtype

    for types, first, second in run_mpyc(program):
        assert types == [np.ndarray, np.ndarray, int, float, float, np.ndarray]
        assert (first, second) == (object, float)
