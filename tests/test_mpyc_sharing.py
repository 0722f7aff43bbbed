"""MPyC's sharing by NumPy: shares, bytes and results of MPyC's own functions."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpyc_kit import run_mpyc

from engine import mpyc_sharing
from engine._mpyc import finfields, thresha

PRIMES = [2, 3, 101, 257, 65_537, 16_777_259, 2**31 - 1, 2**31 + 11, 2**61 - 1, 2**127 - 1]
FIELDS = [finfields.GF(p) for p in PRIMES]
SIZES = [1, 31, 32, 33, 400]


@functools.cache
def numbers(field, n):
    rng = np.random.default_rng(n)
    return [int(a) * int(b) % int(field.modulus) for a, b in
            rng.integers(0, 2**63, (n, 2)).tolist()]


def forms(field, values):
    """The same numbers in all the forms that MPyC hands over."""
    return [values, np.array(values, object), field.array(np.array(values, object)),
            [field(v) for v in values]]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("field", FIELDS[2:], ids=lambda f: f"{f.modulus}")
def test_shares_of_every_form_recombine(field, n):
    values = numbers(field, n)
    for s in forms(field, values):
        shares = thresha.random_split(field, s, 2, 5)
        assert len(shares) == 5 and {len(row) for row in shares} == {n}
        points = [(x, shares[x - 1]) for x in (1, 3, 5)]
        for recombine in (mpyc_sharing._recombine, mpyc_sharing._recombine_each):
            assert [v % field.modulus for v in recombine(field, points)] == values
        # A sharing of degree 2 on five points: any three determine the others.
        [there] = thresha.recombine(field, points, [4])
        assert [v % field.modulus for v in there] == list(shares[3])
        assert thresha.recombine(field, points, 4) == list(shares[3]) or n < 32


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("field", FIELDS, ids=lambda f: f"{f.modulus}")
def test_bytes_are_mpycs(field, n):
    values = numbers(field, n)
    for x in (values, np.array(values, object)):
        data = field.to_bytes(x)
        assert data == mpyc_sharing._write_each(field, values)
        assert field.from_bytes(data) == mpyc_sharing._read_each(field, data) == values


@settings(max_examples=60)
@given(st.binary(max_size=400), st.sampled_from(FIELDS))
def test_any_bytes_are_read_as_mpyc_reads_them(data, field):
    assert field.from_bytes(data) == mpyc_sharing._read_each(field, data)


def test_what_is_no_element_is_refused_as_by_mpyc():
    field = finfields.GF(101)
    for wrong in ([5] * 40 + [256], [5] * 40 + [-1]):
        with pytest.raises(OverflowError):
            field.to_bytes(wrong)
    shares = thresha.random_split(field, [5] * 40, 1, 3)
    with pytest.raises(IndexError):
        thresha.recombine(field, [(1, shares[0]), (2, shares[1][:39])])


def test_random_numbers_are_uniform_and_fresh():
    for p in (2, 3, 2**31 - 1):
        one, other = (mpyc_sharing._uniform(p, 30_000, np.int64) for _ in range(2))
        assert one.min() >= 0 and one.max() < p and (one != other).any()
        # The mean of 30,000 uniform numbers is off by more than 8 deviations once in 10^15 runs.
        assert abs(one.mean() - (p - 1) / 2) < 8 * p / np.sqrt(12 * 30_000)


@pytest.mark.parametrize("m, t, verified", [(3, 1, False), (5, 2, False), (4, 1, True)])
@pytest.mark.parametrize("p", [101, 2**61 - 1])
def test_arrays_over_other_fields(m, t, verified, p):
    async def program(mpc):
        field = mpc.SecFld(p)
        x = mpc.input(field.array(np.arange(100) % 97), senders=1)
        opened = await mpc.output(x * x + 1)
        lists = await mpc.output(mpc.schur_prod(list(x[:50]), list(x[:50])))
        return [int(v) for v in opened], [int(v) for v in lists]

    squares = [k * k % p for k in (np.arange(100) % 97).tolist()]
    assert run_mpyc(program, m, t, verified=verified) == [
        ([(v + 1) % p for v in squares], squares[:50])] * m
