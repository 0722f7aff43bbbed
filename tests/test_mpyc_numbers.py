"""Single numbers of MPyC's types on the engine's comparisons and bits: values and costs."""

from __future__ import annotations

import traceback

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpyc_kit import run_mpyc

from engine.costs_verified import predict
from engine.errors import EngineError
from engine.shamir import Geometry

SIZES = [(1, 0, False), (3, 1, False), (4, 1, False), (4, 1, True), (7, 2, True)]
LONG = st.integers(-2**63, 2**63 - 1)


async def shared(mpc, stype, *values):
    return mpc.input([stype(v) for v in values], senders=0)


@pytest.mark.parametrize("m, t, verified", SIZES)
def test_comparisons_and_bits_are_those_of_integers(m, t, verified):
    async def program(mpc):
        secint = mpc.SecInt(16)
        a, b = await shared(mpc, secint, -7, 5)
        found = [a < b, b <= a, a == b, a == -7, a != b, mpc.sgn(a), mpc.sgn(a - a), abs(a),
                 mpc.is_zero(a + 7), b > 3, mpc.max([a, b]), *mpc.sorted([b, a, b + 1])]
        bits = mpc.to_bits(a) + mpc.to_bits(b, 3)
        assert all(isinstance(x, secint) for x in found + bits) and len(bits) == 19
        return [int(v) for v in await mpc.output(found + bits)]

    expected = [1, 0, 0, 1, 1, -1, 0, 7, 1, 1, 5, -7, 5, 6,
                *[(-7 >> k) & 1 for k in range(16)], 1, 0, 1]
    assert run_mpyc(program, m, t, verified=verified) == [expected] * m


@pytest.mark.parametrize("frac", [16, 32])
@pytest.mark.parametrize("verified", [False, True], ids=["default", "verified"])
def test_of_fractions_too(verified, frac):
    async def program(mpc):
        a, b, whole = await shared(mpc, mpc.SecFxp(2 * frac, frac), -0.25, 1.5, 6)
        assert whole.integral is False
        found = [a < b, a >= b, mpc.sgn(a), a == -0.25, abs(a), mpc.min([a, b]), b - (a < b)]
        assert all(x.integral for x in found[:4])
        return await mpc.output([*found, *mpc.to_bits(b, frac + 2)])

    values = [1, 0, -1, 1, 0.25, -0.25, 0.5, *[0] * (frac - 1), 1, 1, 0]
    assert run_mpyc(program, 4, verified=verified) == [values] * 4


@given(LONG, LONG)
@settings(max_examples=25, deadline=None)
def test_the_longest_numbers_compare_rightly(x, y):
    """Differences of 64-bit numbers have 65 bits."""
    async def program(mpc):
        a, b = await shared(mpc, mpc.SecInt(64), x, y)
        return await mpc.output([a < b, b < a, a == b, a <= y, x > b])

    assert run_mpyc(program, 3) == [[x < y, y < x, x == y, x <= y, x > y]] * 3


@pytest.mark.parametrize("x, y", [(-2**63, 2**63 - 1), (2**63 - 1, -2**63), (0, -2**63), (5, 5),
                                  (2**64 - 1, 0), (2**64 - 2, 2**64 - 1), (0, 2**64 - 1)])
def test_extremes(x, y):
    """Of signed and of unsigned numbers, as MPyC's own protocol allows."""
    async def program(mpc):
        a, b = await shared(mpc, mpc.SecInt(64), x, y)
        bits = await mpc.output(mpc.to_bits(b))
        assert sum(int(v) << k for k, v in enumerate(bits)) == y % 2**64
        return await mpc.output([a < b, a == b])

    assert run_mpyc(program, 4) == [[x < y, x == y]] * 4


def test_equality_of_long_numbers_is_that_of_the_field():
    """A product of numbers may have any size, and be a multiple of 2^64."""
    async def program(mpc):
        [x] = await shared(mpc, mpc.SecInt(64), 2**40)
        return await mpc.output([x * x == 0, x * x - 2**80 == 0])

    assert run_mpyc(program, 4) == [[0, 1]] * 4


def test_they_are_the_engines_operations():
    meters = []

    async def program(mpc):
        a, b = await shared(mpc, mpc.SecInt(32), 3, 4)
        meters.append(mpc.meter)
        await mpc.output([a < b, a == b, *mpc.to_bits(a, 8)])

    run_mpyc(program, 4)
    for name, more in (("less_than", {}), ("equal", {}), ("to_bits", {"bits": 8})):
        costs = [cost for meter in meters for path, cost in meter.paths.items() if path[-1] == name]
        formula = predict(name, 1, Geometry(4, 1), **more)
        assert len(costs) == 4 and {c.rounds for c in costs} == {formula.rounds}
        assert sum(c.bytes_sent for c in costs) == formula.total_bytes


def test_numbers_without_room_keep_mpycs_protocols():
    async def program(mpc):
        a, b = await shared(mpc, mpc.SecInt(80), -2**70, 5)
        assert {"less_than"}.isdisjoint(path[-1] for path in mpc.meter.paths)
        return await mpc.output([a < b, mpc.sgn(a), mpc.sgn(b, l=8)])

    assert run_mpyc(program, 3) == [[1, -1, 1]] * 3


@pytest.mark.parametrize("count", [None, 0, 3])
def test_no_bits_of_a_number_or_a_type(count):
    async def program(mpc):
        nothing, number = mpc.SecInt(0)(0), mpc.SecInt(8)(5)
        assert mpc.to_bits(nothing) == []
        bits = mpc.to_bits(number, count)
        return await mpc.output(bits) if bits else bits

    assert run_mpyc(program, 3) == [[1, 0, 1, 0, 0, 0, 0, 0][:count]] * 3


def test_an_error_does_not_tell_of_all_the_coroutines_that_it_passed():
    async def program(mpc):
        @mpc.coroutine
        async def failing(x):
            await mpc.returnType(type(x))
            if mpc.pid == 1:
                raise KeyError("here")
            return await mpc.gather(x)

        x, y = await shared(mpc, mpc.SecInt(32), 1, 2)
        y = failing(y)
        for _ in range(100):
            y = y * x
        return await mpc.output(y)

    errors = run_mpyc(program, 3, raw_errors=True)
    assert all("KeyError at party 1" in str(error) for error in errors)
    assert max(len(traceback.extract_tb(error.__traceback__)) for error in errors) < 20
    cause = errors[1].__cause__
    assert isinstance(cause, KeyError)
    assert traceback.extract_tb(cause.__traceback__)[-1].name == "failing"


NOBODY = [
    lambda mpc, x: mpc.input(x, senders=[0, 7]),
    lambda mpc, x: mpc.input([x], 7),
    lambda mpc, x: mpc.input(type(x).array(np.arange(3)), senders=7),
    lambda mpc, x: mpc.output(x, receivers=[0, 7]),
    lambda mpc, x: mpc.output([x], -1),
    lambda mpc, x: mpc.output(type(x).array(np.arange(3)), receivers=7),
    lambda mpc, x: mpc.transfer(1, senders=[0, 7]),
    lambda mpc, x: mpc.transfer(1, receivers=7),
    lambda mpc, x: mpc.transfer(1, sender_receivers=[(0, 1), (7, 0)]),
    lambda mpc, x: mpc.transfer(1, sender_receivers={0: [1, 2, 7]}),
]


@pytest.mark.parametrize("verified", [False, True], ids=["default", "verified"])
@pytest.mark.parametrize("call", NOBODY)
def test_who_is_no_party_is_named_and_nobody_waits(call, verified):
    async def program(mpc):
        await call(mpc, mpc.SecInt(32)(3))

    m = 4 if verified else 3
    for error in run_mpyc(program, m, 0 if verified else 1, verified=verified, raw_errors=True):
        assert isinstance(error, ValueError | EngineError)
        while not isinstance(error, ValueError):
            error = error.__cause__
            assert error is not None or "ValueError" in str(error)
        assert f"expected numbers of parties, 0 to {m - 1}" in str(error)


def test_alone_others_receive_nothing():
    async def program(mpc):
        x = mpc.SecInt(32)(3)
        a = mpc.input(type(x).array(np.arange(2)), senders=0)
        opened = [await mpc.output(x, 2), await mpc.output(x, [0, 2]), await mpc.output(a, [1]),
                  await mpc.output(mpc.array(np.ones(1)), 3), await mpc.transfer(5, 0, [1])]
        with pytest.raises(ValueError, match=r"^senders 1: expected numbers of parties, 0 to 0"):
            mpc.input(x, senders=1)
        return [None if v is None else int(v) for v in opened]

    assert run_mpyc(program, 1) == [[None, 3, None, None, None]]
