"""Long outputs: half a share is sent first, and the rest if numbers do not fit 64 bits."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from engine_kit import measured, secret
from hypothesis import given
from hypothesis import strategies as st

from engine import costs, field
from engine import field_reference as reference
from engine.cluster import run_cluster
from engine.costs import LONG_OUTPUT
from engine.costs_verified import predict
from engine.errors import EngineError
from engine.low_words import from_low_words, low_words
from engine.shamir import Geometry, lagrange

SIZES = [0, 1, LONG_OUTPUT - 1, LONG_OUTPUT, LONG_OUTPUT + 1]
MODES = [(3, False), (4, False), (5, False), (4, True), (5, True)]


def shares(numbers, own, at):
    """Shares at the parties' points of numbers, where the first one's are given."""
    line = field.table(lagrange([0, at[0]], at[1]))
    return own, field.combine([field.table(numbers), own], line)


def through_words(numbers, own, at, points, frac=0):
    own, others = shares(numbers, own, at)
    coefs = field.table(lagrange(at, 0))
    words, digests = low_words(others, coefs[1:], points)
    np.testing.assert_array_equal(digests, field.evaluate([others], points)[0])
    return *from_low_words(words, own, coefs, points, frac), digests


elements = st.integers(0, field.P - 1)


@given(st.lists(st.tuples(st.integers(-2**63, 2**63 - 1), elements), max_size=40), elements,
       st.permutations(range(1, 6)))
def test_words_tell_numbers_of_64_bits_and_the_senders_digest(pairs, point, at):
    numbers, own = [x for x, _ in pairs], field.table([s for _, s in pairs])
    coef = lagrange(at[:2], 0)[0]
    found, implied, digests = through_words(numbers, own, at[:2], field.table([point]))
    for x, s, y in zip(numbers, reference.to_ints(own) if pairs else [], found, strict=True):
        a = int(s) * coef % field.P
        if 2**63 < a < field.P - 2**63:
            assert y == x
    if found.tolist() == numbers:
        np.testing.assert_array_equal(implied, digests)


@pytest.mark.parametrize("n", [127, 128, 2047, 2048, 2049, 2048 + 128 + 9, 6000])
@pytest.mark.parametrize("frac", [0, 20])
def test_long_arrays_go_through_in_parts(n, frac):
    rng = np.random.default_rng(n)
    numbers = rng.integers(-2**63, 2**63 - 1, n, endpoint=True)
    own, points = (field.uniform(rng.integers(0, 2**64, (k, 2), dtype=np.uint64)) for k in (n, 3))
    found, implied, digests = through_words([int(x) for x in numbers], own, (4, 1), points, frac)
    np.testing.assert_array_equal(found, numbers * 2.0**-20 if frac else numbers)
    np.testing.assert_array_equal(implied, digests)


@pytest.mark.parametrize("x", [2**63, -2**63 - 1, 2**64, 2**100, -2**126 + 1, 12345 << 64])
def test_a_number_that_does_not_fit_shows_in_the_digest(x):
    rng = np.random.default_rng(1)
    own, points = (field.uniform(rng.integers(0, 2**64, (k, 2), dtype=np.uint64)) for k in (3, 1))
    _, implied, digests = through_words([1, x, 2], own, (2, 3), points)
    assert implied.tobytes() != digests.tobytes()


@pytest.mark.parametrize("own", [0, 1, field.P - 1])
def test_a_share_at_the_border_shows_in_the_digest(own):
    """With a within 2^63 of 0 or p the sum may go around p less or more often than once."""
    x = 5 if own < 5 else -5
    coef = lagrange([2, 3], 0)[0]
    share = field.table([own * pow(coef, -1, field.P)])
    _, implied, digests = through_words([x], share, (2, 3), field.table([7]))
    assert implied.tobytes() != digests.tobytes()


async def opens(mpc, n, receivers=None, whole=False):
    x = secret(mpc, np.arange(n) - 5 if whole else np.arange(n) / 4 - 5)
    result = await mpc.output(x, receivers)
    return None if result is None else (result.dtype.kind, result.tolist())


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("m, verified", MODES)
@pytest.mark.parametrize("receivers", [None, [0, 2], [1]])
def test_receivers_and_only_they_learn_the_values_at_the_predicted_cost(n, m, verified, receivers):
    for whole in (False, True):
        program = functools.partial(opens, n=n, receivers=receivers, whole=whole)
        right = ("i", (np.arange(n) - 5).tolist()) if whole else \
            ("f", (np.arange(n) / 4 - 5).tolist())
        for pid, result in enumerate(run_cluster(program, m, 1, verified=verified)):
            assert result == (right if receivers is None or pid in receivers else None)
    count = m if receivers is None else len(receivers)
    expected = predict("output", n, Geometry(m, 1, verified), receivers=count)
    assert measured(program, m, 1, verified=verified)["output"] == (1, *expected)


def test_a_long_output_sends_half_a_share():
    assert costs.open_all(10**6, 4, 1) == (1, 4 * (8 * 10**6 + 17))
    assert costs.open_all(10**6, 4, 1, raw=True) == (1, 4 * 16 * 10**6)
    assert costs.open_all(10**6, 7, 2) == (1, 7 * 32 * 10**6)


@pytest.mark.parametrize("m, verified", MODES)
def test_large_fixed_point_numbers_are_asked_for(m, verified):
    meters = {}

    async def program(mpc):
        meters[mpc.pid] = mpc.meter
        return await mpc.output(secret(mpc, np.arange(LONG_OUTPUT) / 4) * 2**50, [0, 1])
    for opened in run_cluster(program, m, 1, verified=verified)[:2]:
        np.testing.assert_array_equal(opened, np.arange(LONG_OUTPUT) * 2.0**48)
    costs = [meter.paths["output",] for _, meter in sorted(meters.items())]
    usual = predict("output", LONG_OUTPUT, Geometry(m, 1, verified), receivers=2)
    # The rest of the source's share, and in verified mode one more, for each receiver.
    more = 2 * 16 * LONG_OUTPUT * (2 if verified else 1)
    assert sum(cost.bytes_sent for cost in costs) == usual.total_bytes + more
    assert [cost.calls for cost in costs] == [1] * m
    assert [cost.rounds for cost in costs] == [usual.rounds + 2] * 2 + [usual.rounds] * (m - 2)


@pytest.mark.parametrize("m, verified", MODES)
def test_an_integer_that_does_not_fit_is_an_error_whatever_the_length(m, verified):
    async def program(mpc, n):
        x = secret(mpc, np.full(n, 2**62))
        return (await mpc.output(-2 * x, 0)), await mpc.output(2 * x, 0)
    for n in (1, LONG_OUTPUT):
        results = run_cluster(functools.partial(program, n=n), m, 1, verified=verified,
                              raw_errors=True)
        assert isinstance(results[0], EngineError)
        assert "OverflowError" in str(results[0])


@pytest.mark.parametrize("m, verified", MODES)
def test_raw_numbers_may_be_any_elements(m, verified):
    async def program(mpc):
        x = secret(mpc, np.arange(LONG_OUTPUT)) * 2**60
        return (await mpc.output(x, 0, raw=True))
    opened = run_cluster(program, m, 1, verified=verified)[0]
    assert opened.tolist() == [k << 60 for k in range(LONG_OUTPUT)]


@pytest.mark.parametrize("n", [1, LONG_OUTPUT])
def test_the_least_64_bit_integer_opens(n):
    async def program(mpc):
        return await mpc.output(-2 * secret(mpc, np.full(n, 2**62)))
    assert run_cluster(program, 4)[3].tolist() == [-2**63] * n
