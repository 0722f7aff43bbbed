"""MPyC's secure arrays on the engine: values, shapes and types as MPyC's, costs as the engine's."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpyc_kit import opened, run_mpyc

from engine import costs, field, frames
from engine._mpyc import finfields, sectypes
from engine.array import SecureArray
from engine.errors import LocalProtocolError
from engine.field import P
from engine.mpyc_arrays import accelerated
from engine.mpyc_field import FIELD, ShareArray, shares_of
from engine.shamir import lagrange

SIZES = [(1, 0), (3, 1), (4, 1), (5, 2)]


def secint(bits: int) -> Any:
    return lambda mpc: mpc.SecInt(bits)


def secfxp(bits: int, frac: int | None = None) -> Any:
    return lambda mpc: mpc.SecFxp(bits, frac)


# --- the arrays of shares, without any parties ---

A = np.arange(-6, 18).reshape(2, 3, 4)


def plain(x: Any) -> np.ndarray:
    """The integers behind a ShareArray or an element, signed."""
    values = np.asarray(x.value, dtype=object)
    return np.where(values > field.P // 2, values - field.P, values)


@pytest.mark.parametrize("fn", [
    lambda a: a + a, lambda a: a - 3, lambda a: 3 - a, lambda a: -a, lambda a: a * a,
    lambda a: a * np.arange(4), lambda a: np.arange(4) + a, lambda a: a << 5, lambda a: a[1],
    lambda a: a[..., 0], lambda a: a[:, [0, 2]], lambda a: a[A > 3], lambda a: a[0, 1, 2],
    lambda a: a[None, ::-1], lambda a: a.reshape(4, 6), lambda a: a.flatten("F"),
    lambda a: a.transpose(2, 0, 1), lambda a: a.T, lambda a: a.swapaxes(0, 2), lambda a: a.copy(),
    lambda a: np.concatenate((a, a), axis=1), lambda a: np.stack((a, a), axis=-1),
    lambda a: np.block([[a[0, 0, 0]]]), lambda a: np.block([a[0], a[1, :, :1]]),
    lambda a: np.vstack((a[0], a[1])), lambda a: np.hstack((a[0], np.ones((3, 1), int))),
    lambda a: np.roll(a, 2, axis=2), lambda a: np.flip(a, axis=0), lambda a: np.rot90(a),
    lambda a: np.expand_dims(a, 1), lambda a: np.squeeze(a[:, :1]), lambda a: np.diag(a[0, :, :3]),
    lambda a: np.diag(a[0, 0]), lambda a: np.diagflat(a[0, 0], 1), lambda a: np.append(a, a[0]),
    lambda a: np.diagonal(a, axis1=0, axis2=1), lambda a: np.sum(a), lambda a: np.sum(a, axis=1),
    lambda a: np.sum(a, axis=(0, 2), keepdims=True), lambda a: np.cumsum(a),
    lambda a: np.cumsum(a, axis=2), lambda a: np.trace(a[0]), lambda a: a[0] @ a[1].T,
    lambda a: a[0, 0] @ a[1].T, lambda a: a @ np.arange(4), lambda a: A @ a[0].T,
    lambda a: a[0, 0] @ a[0, 1], lambda a: a[0] @ np.swapaxes(a, 1, 2),
    lambda a: np.convolve(a[0, 0], a[0, 1]), lambda a: np.outer(a[0, 0], a[0, 1]),
])
@pytest.mark.parametrize("form", ["limbs", "integers"])
def test_share_arrays_do_as_numpy_does(fn, form):
    share = ShareArray(A)
    if form == "integers":
        share.value  # noqa: B018 (reading it changes the form)
    expected = np.asarray(fn(A), dtype=object)
    result = fn(share)
    assert isinstance(result, (ShareArray, FIELD))
    assert np.shape(result.value) == expected.shape and (plain(result) == expected).all()
    # The operand is as it was.
    assert (plain(share) == A).all()


@pytest.mark.parametrize("key, value", [
    (0, 5), ((1, 2, 3), -7), ((slice(None), 0), A[:, 1]), ((..., [0, 2]), 9), (A > 3, 0),
    (0, ShareArray(A[1])), ((0, 0, 0), FIELD(-1))])
def test_updates_change_the_array_and_nothing_else(key, value):
    share, expected = ShareArray(A), A.copy()
    view, before = share[0], share.limbs
    kept = before.copy()
    share[key] = value
    expected[key] = plain(value) if isinstance(value, (ShareArray, FIELD)) else value
    assert (plain(share) == expected).all()
    assert (plain(view) == A[0]).all() and (before == kept).all()


def test_operators_in_place_work_on_either_form():
    share = ShareArray(A)
    share += 3
    share *= 4
    share -= A
    share <<= 2
    assert (plain(share) == ((A + 3) * 4 - A) * 4).all()
    share >>= 2
    assert (plain(share) == (A + 3) * 4 - A).all() and (plain(share**2) == (3 * A + 12)**2).all()
    assert ((share == 0) == (A == -4)).all() and share.tolist()[0][0][0] == FIELD(-6)


def test_updates_of_the_wrong_shape_are_refused():
    share = ShareArray(A)
    with pytest.raises(ValueError, match="broadcast"):
        share[0] = np.arange(5)
    with pytest.raises(IndexError):
        share[9] = 1
    assert (plain(share) == A).all()


@given(st.lists(st.integers(0, field.P - 1), min_size=1, max_size=20))
def test_both_forms_of_shares_hold_the_same_elements(values):
    share = ShareArray(np.array(values, dtype=object))
    limbs = share.limbs
    assert (field.to_ints(limbs) == np.array(values, dtype=object)).all()
    assert share.value.tolist() == values and (shares_of(share) == limbs).all()
    # Python code may write to what it reads; the limbs must not stay behind.
    share.value[0] = 12345
    assert int(field.to_ints(share.limbs)[0]) == 12345


def test_arrays_over_the_field_meet_no_others():
    with pytest.raises(TypeError):
        ShareArray(A) + 0.5
    with pytest.raises(TypeError):
        ShareArray(A) * "x"
    assert finfields.GF(field.P) is not FIELD and FIELD.is_signed


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


# --- the engine does the work ---

def measured_by_the_engine(program, m=4):
    """Per operation name: rounds, and bytes over all parties."""
    meters = []

    async def run(mpc):
        meters.append(mpc.meter)
        await program(mpc)

    run_mpyc(run, m)
    total: dict[str, list[int]] = {}
    for meter in meters:
        for path, cost in meter.paths.items():
            entry = total.setdefault(path[-1], [0, 0])
            entry[0], entry[1] = entry[0] + cost.rounds, entry[1] + cost.bytes_sent
    return {name: (rounds // m, sent) for name, (rounds, sent) in total.items() if rounds}


@pytest.mark.parametrize("m, t", [(3, 1), (4, 1), (5, 2)])
@pytest.mark.parametrize("name, fn, size", [
    ("multiply", lambda mpc, a: a * a, 60), ("matmul", lambda mpc, a: a @ a.T, 36),
    ("less_than", lambda mpc, a: a < 1, 60), ("equal", lambda mpc, a: a == 1, 60),
    ("truncate", lambda mpc, a: a * 0.3, 60),
    ("random_bits", lambda mpc, a: mpc.np_random_bits(mpc.SecFxp(48), 60), 60)])
def test_operations_cost_what_the_engines_cost(name, fn, size, m, t):
    async def program(mpc):
        a = mpc.input(mpc.SecFxp(48).array(np.arange(60).reshape(6, 10) / 4), senders=0)
        await mpc.output(fn(mpc, a))

    measured = measured_by_the_engine(program, m)
    assert measured[name] == tuple(costs.COSTS[name](size, m, t))
    assert measured["input"] == tuple(costs.share(60, m, t))
    assert measured["output"] == tuple(costs.open_all(size, m, t))
    assert set(measured) == {name, "input", "output"}


def test_nothing_is_sent_as_mpyc_sends_it(monkeypatch):
    async def program(mpc):
        monkeypatch.setattr(type(mpc), "_send_message", None)
        a = mpc.input(mpc.SecFxp(64).array(Y / 2), senders=0)
        b = (a * a < 3) * a + a @ np.eye(3)
        return await mpc.output(np.amax(b, axis=1) / (1 + np.sum(a * a, keepdims=True)[0]))

    for result in run_mpyc(program):
        a = Y / 2
        b = (a * a < 3) * a + a
        np.testing.assert_allclose(result, b.max(1) / (1 + (a * a).sum()), atol=1e-6)


def test_both_kinds_of_arrays_live_side_by_side():
    async def program(mpc):
        theirs = mpc.input(mpc.SecInt(32).array(X), senders=0)
        ours = mpc.input(mpc.array(X), senders=0)
        assert isinstance(ours, SecureArray) and accelerated(theirs)
        return [await mpc.output(v) for v in (theirs * theirs, ours * ours)]

    for theirs, ours in run_mpyc(program):
        assert (theirs == ours).all() and (ours == X * X).all()


def test_verified_mode_covers_accelerated_arrays():
    async def program(mpc):
        a = mpc.input(mpc.SecFxp(64).array(np.array([1.5, -2.25, 1e9])), senders=0)
        return [await mpc.output(v) for v in (a * 2.5, a < 0, a[:2] * a[:2])]

    for scaled, negative, square in run_mpyc(program, 4, 1, verified=True):
        np.testing.assert_allclose(scaled, [3.75, -5.625, 2.5e9], atol=1e-8)
        assert negative.tolist() == [0, 1, 0]
        np.testing.assert_allclose(square, [2.25, 5.0625], atol=1e-8)


def test_the_threshold_is_set_before_the_start():
    async def program(mpc):
        with pytest.raises(LocalProtocolError, match="late-threshold"):
            mpc.threshold = 0
        mpc.threshold = mpc.geometry.t
        assert mpc.threshold == 1

    run_mpyc(program, 3)
    assert sectypes.runtime is not None


def test_what_opens_of_a_product_does_not_tell_its_factors():
    """An inverse opens r·x. Without a sharing of zero the polynomial's roots would be those of the
    factors' lines, and a party that knows a point of x's line could work out x."""
    shares, own = {}, {}

    def tap(source, target, frame, payload):
        if started and frame.kind == frames.SCALAR and len(payload) == 16:
            shares[source] = int.from_bytes(payload.tobytes(), "little")
        return [(frame, payload)]
    started = []

    async def inverse(mpc):
        x = mpc.input(mpc.SecInt(32)(20), senders=2)
        own[mpc.pid] = int((await mpc.gather(x)).value)
        await mpc.transfer(0)
        started.append(mpc.pid)
        await mpc.gather(mpc.reciprocal(x))
    run_mpyc(inverse, 4, tap=tap)
    points = {p + 1: s for p, s in list(shares.items())[:3]}
    # g = a X² + b X + c through three of the shares.
    c, *_ = interpolated = [combined(points, at) for at in (0, 1, P - 1)]
    a = ((interpolated[1] + interpolated[2]) * pow(2, -1, P) - c) % P
    b = (interpolated[1] - a - c) % P
    root = pow((b * b - 4 * a * c) % P, (P + 1) // 4, P)
    places = [(-b + sign * root) * pow(2 * a, -1, P) % P for sign in (1, -1)]
    guesses = [own[0] * -r * pow(1 - r, -1, P) % P for r in places]
    assert 20 not in guesses


def combined(points, at):
    """The value of the polynomial through the points."""
    weights = lagrange(list(points), at % P)
    return sum(w * s for w, s in zip(weights, points.values(), strict=True)) % P
