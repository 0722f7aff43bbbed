"""Numeric functions: the stated error bounds hold over the whole stated domain, edges included, and
every other argument gives the stated value.
"""

from __future__ import annotations

import pathlib

import numpy as np
import pytest
from engine_kit import SIZES, opened, secret
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.polynomial import chebyshev

from engine.chebyshev import _COEF
from engine.cluster import run_cluster
from engine.numeric import WORK, _coefficients
from engine.shamir import Geometry

LONG = np.longdouble
deployments = pytest.mark.parametrize("m, t", SIZES)
parties = st.sampled_from([1, 3, 4, 5])


def truncation(m, frac=20):
    """The stated error of one truncation."""
    return (len(Geometry(m, (m - 1) // 2).sets) + 1) / 2 * 2.0**-frac


def evaluated(function, units, frac, m):
    """function(mpc, x) for x given in units of 2^-frac, as long doubles."""
    async def program(mpc):
        x = secret(mpc, np.asarray(units, np.int64)).reinterpret(frac)
        y = function(mpc, x)
        return await mpc.output(y, raw=True), y.frac

    raw, result_frac = run_cluster(program, m)[0]
    return np.array([LONG(int(v)) for v in raw.ravel()]).reshape(raw.shape) / LONG(2) ** result_frac


def positive(bits, rng=None):
    """Units over the whole domain 1 <= x < 2^bits: edges of all binades and random ones between."""
    powers = 2 ** np.arange(bits)
    some = 2 ** (rng or np.random.default_rng(bits)).uniform(0, bits, 300)
    values = np.concatenate([powers, powers + 1, powers - 1, powers - 1 + powers,
                             some.astype(np.int64)])
    return values[(values > 0) & (values <= 2**bits - 1)]


def whole_range(rng):
    """Units of every sign and size that an element may have, -2^63 < x < 2^63."""
    values = positive(63, rng)
    return np.concatenate([values, -values, [0]])


def assert_relative(got, want, relative, absolute):
    excess = np.abs(got - want) - relative * np.abs(want)
    assert excess.max() <= absolute, f"{float(excess.max()):.2e} beyond the bound"


@pytest.mark.parametrize("m, t, frac, bits", [
    *[(m, t, 20, 48) for m, t in SIZES],
    *[(4, 1, *domain) for domain in [(28, 48), (0, 28), (20, 54)]]])
def test_reciprocal(m, t, frac, bits):
    units = whole_range(np.random.default_rng(bits))
    got = evaluated(lambda mpc, x: mpc.reciprocal(x, bits=bits), units, frac, m)
    want = np.zeros(units.size, LONG)
    inside = (units != 0) & (np.abs(units) < 2**bits)
    want[inside] = LONG(2) ** frac / units[inside]
    assert_relative(got, want, 5e-7, truncation(m))


lengths = pytest.mark.parametrize("m, t, frac", [
    *[(m, t, 20) for m, t in SIZES], (4, 1, 28), (4, 1, 0), (4, 1, 7)])


@lengths
def test_square_roots(m, t, frac):
    units = whole_range(np.random.default_rng(frac))
    x = np.maximum(units, 0) / LONG(2) ** frac
    root = evaluated(lambda mpc, x: mpc.sqrt(x), units, frac, m)
    assert_relative(root, np.sqrt(x), 5e-7, truncation(m))
    inverse = evaluated(lambda mpc, x: mpc.rsqrt(x), units, frac, m)
    want = np.zeros(units.size, LONG)
    want[x > 0] = 1 / np.sqrt(x[x > 0])
    assert_relative(inverse, want, 5e-7, truncation(m))


@lengths
def test_log(m, t, frac):
    units = whole_range(np.random.default_rng(frac))
    got = evaluated(lambda mpc, x: mpc.log(x, 28), units, frac, m)
    assert_relative(got, np.log(np.maximum(units, 1) / LONG(2) ** frac), 0, 1e-6)


@settings(max_examples=4)
@given(parties, st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=1, max_size=30))
@example(4, [0, 1, -1, 2**48, 2**48 - 1, -(2**48), 2**63 - 1, -(2**63) + 1])
def test_functions_of_any_numbers(m, units):
    x = np.array(units) / LONG(2) ** 20
    got = evaluated(lambda mpc, x: mpc.stack([
        mpc.reciprocal(x, 28), mpc.rsqrt(x, 28), mpc.sqrt(x, 28), mpc.log(x, 28)]), units, 20, m)
    units = np.array(units)
    safe, above = np.where(x == 0, 1, x), x > 0
    for row, want in zip(got, [
            np.where((x != 0) & (np.abs(units) < 2**48), 1 / safe, 0),
            np.where(above, 1 / np.sqrt(np.abs(safe)), 0),
            np.sqrt(np.where(above, x, 0))], strict=False):
        assert_relative(row, want, 5e-7, truncation(m, 28))
    assert_relative(got[3], np.log(np.maximum(units, 1) / LONG(2) ** 20), 0, 1e-6)


@pytest.mark.parametrize("frac", [28, 31, 40])
def test_roots_with_more_digits_than_fit_one_truncation(frac):
    got = evaluated(lambda mpc, x: mpc.sqrt(x, frac), [2, 3, 0, -7], 0, 4)
    assert_relative(got, np.sqrt(LONG([2, 3, 0, 0])), 5e-7, truncation(4, 28))


def test_functions_overflow_for_no_argument():
    """In checking mode, which finds intermediate results that are out of range."""
    edges = [1, 2**20, 2**48 - 1, 2**48, 2**61, 2**62]
    units = np.array([0, *edges, *[-v for v in edges]])

    async def program(mpc):
        x = secret(mpc, units).reinterpret(20)
        most = secret(mpc, [2**63 - 1, -(2**63) + 1]).reinterpret(20)
        await mpc.output([mpc.sigmoid(x), mpc.exp(x)])
        await mpc.output([f(mpc.concatenate([x, most])) for f in (
            mpc.reciprocal, mpc.log, mpc.sqrt, mpc.rsqrt, lambda v: 3.0 / v)])

    for m in (3, 4, 5):
        run_cluster(program, m, checking=True)


@deployments
def test_division(m, t):
    rng = np.random.default_rng(0)
    divisor = positive(48, rng) / 2.0**20
    divisor = np.concatenate([divisor, -divisor])
    quotient = 2 ** rng.uniform(-10, 26.9, divisor.size) * rng.choice([-1, 1], divisor.size)
    quotient = np.where(np.abs(quotient * divisor) < 2**42, quotient, 2.0**-5)
    dividend = np.rint(quotient * divisor * 2**20) / 2**20
    got = opened(lambda mpc, a, b: a / b, dividend, divisor, m=m, t=t)
    assert_relative(got, dividend / divisor, 5e-7, 1.25 * truncation(m))


@deployments
@pytest.mark.parametrize("frac", [0, 5, 12])
def test_large_quotients_by_divisors_with_few_fractional_bits(m, t, frac):
    """In checking mode: what is opened under a mask must fit under it, or the mask hides less."""
    rng = np.random.default_rng(frac)
    bits = 42 - frac
    divisor = np.concatenate([2.0 ** np.arange(bits), np.floor(2 ** rng.uniform(0, bits, 60))])
    quotient = np.minimum(2.0**42 / divisor, 2.0**26.9) * 2 ** -rng.uniform(0, 20, divisor.size)
    divisor *= rng.choice([-1, 1], divisor.size)
    dividend = np.rint(quotient * divisor * 2**20) / 2**20

    async def program(mpc):
        b = secret(mpc, (divisor * 2**frac).astype(np.int64)).reinterpret(frac)
        return await mpc.output(secret(mpc, dividend) / b)
    got = run_cluster(program, m, t, checking=True)[0]
    assert_relative(got, dividend / divisor, 5e-7, 1.5 * truncation(m))


def test_a_divisor_with_far_more_fractional_bits_than_the_dividend():
    async def program(mpc):
        a, units = secret(mpc, np.array([3, -100])), secret(mpc, np.array([1 << 47, 3 << 40]))
        right = await mpc.output(a / units.reinterpret(56))
        with pytest.raises(ValueError, match="57 fractional bits: expected at most 56"):
            a / units.reinterpret(57)
        return right
    np.testing.assert_allclose(run_cluster(program, 4)[0], [3 * 2**9, -100 / 3 * 2**16], 1e-6)


@deployments
def test_division_by_zero_and_by_too_much_gives_zero(m, t):
    dividend = np.array([0, 1.5, -2.0**42, 2.0**42, 3, 3, -3, 2.0**42])
    divisor = np.array([0, 0, 0, 0, 2.0**28, 2.0**42, -(2.0**28), -(2.0**42)])
    got = opened(lambda mpc, a, b: a / b, dividend, divisor, m=m, t=t)
    assert_relative(got, np.zeros(8), 0, 1.25 * truncation(m))


@deployments
def test_a_quotient_that_is_too_large_counts_as_the_largest_one(m, t):
    """Up to 1.4·2^27 it is right, from 1.6·2^27 on ±2^27; no product on the way is out of range."""
    most = 2.0**27
    small = np.array([1, 3, -1, -5, 2**10, -(2**20), 2**30, 2**47]) * 2.0**-20
    a, b = (v.ravel() for v in np.meshgrid(
        [0, 2.0**-20, -3.25, 100.0, -1000.0, 2.0**20, 2.0**42, -(2.0**42), 2.0**43 - 1], small))
    edge = np.array([0.99, 1.38, 1.62, 3, -0.99, -1.38, -1.62, -3]) * most
    a, b = np.concatenate([a, edge * 2.0**-7, edge * 2.0**-20]), np.concatenate(
        [b, np.full(8, 2.0**-7), np.full(8, 2.0**-20)])
    a = np.rint(a * 2**20) / 2**20
    whole = np.array([2**40, -(2**40), 2**20, 5])

    async def program(mpc):
        x, y, n = (secret(mpc, v, k % m) for k, v in enumerate((a, b, whole)))
        return await mpc.output([x / y, n / y[:4], n.reshape(4, 1) / y[:2]])

    for got, x, y in zip(run_cluster(program, m, t, checking=True)[0],
                         [a, whole, whole.reshape(4, 1)], [b, b[:4], b[:2]], strict=True):
        quotient = x / y
        want = np.where(np.abs(quotient) < 1.5 * most, quotient, np.sign(quotient) * most)
        assert_relative(got, want, 5e-7, 1.25 * truncation(m))


@pytest.mark.parametrize("zero", [0, 0.0, [1.0, 0.0]])
def test_division_by_a_public_zero_is_refused(zero):
    async def program(mpc):
        with pytest.raises(ZeroDivisionError, match="public zero"):
            mpc.array([1.0, 2.0]) / zero

    run_cluster(program, 1)


@pytest.mark.parametrize("m, t", [(4, 1)])
def test_division_of_all_kinds(m, t):
    a, b, x = np.array([10, -7, 100]), np.array([3, 2, 7]), np.array([2.5, -0.125, 1e5])
    results = opened(lambda mpc, a, b, x: [a / b, x / b, x / 1000, 1 / b, 2.5 / b, a / 4, x / b[0],
                                           a.reshape(3, 1) / b, x / np.array([1.0, -3, 7])],
                     a, b, x, m=m, t=t)
    expected = [a / b, x / b, x / 1000, 1 / b, 2.5 / b, a / 4, x / b[0], a.reshape(3, 1) / b,
                x / np.array([1, -3, 7])]
    for got, want in zip(results, expected, strict=True):
        assert got.dtype == float and got.shape == want.shape
        assert_relative(got, want, 5e-7, 1.25 * truncation(m))


def wide(low, high, rng):
    """Units from far below to far above an interval."""
    scale = 2.0**20
    edges = np.array([low, high]) * scale
    return np.concatenate([
        rng.integers(int(edges[0] - 2 * scale), int(edges[1] + 2 * scale), 600),
        np.concatenate([edges + d for d in (-1, 0, 1)]).astype(np.int64),
        [0, 1, -1], rng.integers(-(2**61), 2**61, 50), [2**62, -(2**62)]])


@deployments
def test_sigmoid_and_tanh(m, t):
    units = wide(-12, 12, np.random.default_rng(m))
    with np.errstate(over="ignore"):
        want = 1 / (1 + np.exp(-units / LONG(2) ** 20))
    for frac in (20, 28) if m == 4 else (20,):
        got = evaluated(lambda mpc, x, f=frac: mpc.sigmoid(x, f), units, 20, m)
        assert_relative(got, want, 0, 8e-6 + truncation(m, frac))
    units = np.clip(units, -(2**61), 2**61)
    tanh = evaluated(lambda mpc, x: mpc.tanh(x), units, 20, m)
    assert_relative(tanh, np.tanh(units / LONG(2) ** 20), 0, 1.6e-5 + 2 * truncation(m))


@deployments
def test_exp(m, t):
    units = wide(-21, 14, np.random.default_rng(m))
    want = np.exp(np.clip(units / LONG(2) ** 20, -21, 14))
    for frac in (20, 30) if m == 4 else (20,):
        got = evaluated(lambda mpc, x, f=frac: mpc.exp(x, f), units, 20, m)
        assert_relative(got, want, 3e-7, truncation(m, frac))


@pytest.mark.parametrize("frac", [0, 10, 24, 30])
def test_arguments_with_other_fractional_bits(frac):
    units = np.arange(-5, 6) << max(0, frac - 1)
    x = units / 2.0**frac
    for got, want in zip(
            evaluated(lambda mpc, x: mpc.stack([mpc.sigmoid(x), mpc.exp(x), mpc.tanh(x)]),
                      units, frac, 4),
            [1 / (1 + np.exp(-x)), np.exp(x), np.tanh(x)], strict=True):
        assert_relative(got, want, 3e-7, 1.6e-5 + 2 * truncation(4))


@pytest.mark.parametrize("m, t", [(1, 0), (4, 1)])
def test_softmax(m, t):
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(0, 4, (6, 5)), [[0, 0, 0, 0, 0], [900, 0, -900, 899, 1]]])
    powers = np.exp(x - x.max(1, keepdims=True))
    got = opened(lambda mpc, x: mpc.softmax(x), x, m=m, t=t)
    np.testing.assert_allclose(got, powers / powers.sum(1, keepdims=True), rtol=0, atol=2e-5)
    np.testing.assert_allclose(opened(lambda mpc, x: mpc.softmax(x), x[0], m=m, t=t), got[0],
                               rtol=0, atol=4e-5)


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 5, 8, 13, 20, 47])
def test_chebyshev_series_of_any_degree(degree):
    rng = np.random.default_rng(degree)
    coefficients = rng.uniform(-1, 1, degree + 1) / (1 + np.arange(degree + 1))
    x = np.concatenate([np.arange(-64, 65) / 64, [2.0**-20, 1 - 2.0**-20]])
    got = opened(lambda mpc, x: mpc.chebyshev(x.with_frac(WORK), coefficients, 24), x)
    np.testing.assert_allclose(got, chebyshev.chebval(x, coefficients), rtol=0, atol=3e-6)


@pytest.mark.parametrize("bits", [27, 55, 63])
def test_impossible_domains_are_refused(bits):
    async def program(mpc):
        with pytest.raises(ValueError, match="expected 28 to 54"):
            mpc.reciprocal(mpc.array([1.0]), bits=bits)

    run_cluster(program, 1)


def test_any_shape():
    x = np.arange(1, 13).reshape(2, 3, 2) / 4
    results = opened(lambda mpc, x: [mpc.log(x), 1 / x, mpc.rsqrt(x), mpc.sqrt(x), mpc.sigmoid(x),
                                     mpc.exp(x), mpc.log(x[0, 0, 0])], x)
    expected = [np.log(x), 1 / x, x**-0.5, x**0.5, 1 / (1 + np.exp(-x)), np.exp(x),
                np.log(x[0, 0, 0])]
    for got, want in zip(results, expected, strict=True):
        assert got.shape == np.shape(want)
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("m", [1, 4])
@pytest.mark.parametrize("n", [1, 4])
def test_cholesky_and_solve(m, n):
    rng = np.random.default_rng(n)
    root = rng.normal(size=(n, n + 2))
    a = root @ root.T + 0.1 * np.eye(n)
    b, c = rng.normal(size=n), rng.normal(size=(n, 3))
    factor, x, y = opened(lambda mpc, a, b, c: [
        mpc.cholesky(a), mpc.solve(a, b), mpc.solve(a, c)], a, b, c, m=m)
    np.testing.assert_allclose(factor, np.linalg.cholesky(a), atol=3e-5)
    np.testing.assert_array_equal(factor, np.tril(factor))
    condition = np.linalg.cond(a)
    np.testing.assert_allclose(x, np.linalg.solve(a, b), atol=3e-6 * condition)
    np.testing.assert_allclose(y, np.linalg.solve(a, c), atol=3e-6 * condition)


def test_products_along_an_axis():
    x = np.array([[1.5, 2.0, -1.0], [0.5, 3.0, 4.0]])
    for axis in (0, 1):
        np.testing.assert_allclose(opened(lambda mpc, x, a=axis: mpc.prod(x, a), x),
                                   np.prod(x, axis), atol=1e-5)


COSTS = {"mpc.reciprocal": lambda mpc, x: mpc.reciprocal(x), "a / b": lambda mpc, x: x / x,
         "mpc.log": lambda mpc, x: mpc.log(x), "mpc.rsqrt": lambda mpc, x: mpc.rsqrt(x),
         "mpc.sigmoid": lambda mpc, x: mpc.sigmoid(x), "mpc.tanh": lambda mpc, x: mpc.tanh(x),
         "mpc.exp": lambda mpc, x: mpc.exp(x)}


def test_documented_costs_are_the_measured_ones():
    """Rounds, and bytes per element and party on average, of the table in docs/engine.md."""
    n = 32

    async def program(mpc):
        x = secret(mpc, np.linspace(1, 2, n))
        await x.ready()
        costs = []
        for function in COSTS.values():
            mpc.floor = mpc.meter.depth
            with mpc.meter.measure() as cost:
                await function(mpc, x).ready()
            costs.append((cost.rounds, cost.bytes_sent, cost.predicted_total_bytes))
        return costs

    results = run_cluster(program, 4)
    table = (pathlib.Path(__file__).parents[1] / "docs" / "engine.md").read_text()
    rows = {cells[0].split("`")[1]: cells for line in table.splitlines()
            if line.startswith("| `") and len(cells := line[2:].split(" | ")) == 5}
    for k, name in enumerate(COSTS):
        sent = sum(party[k][1] for party in results)
        rounds, _, predicted = results[0][k]
        assert sent == predicted, name
        documented = int(rows[name][3]), float(rows[name][4].rstrip(" |"))
        assert documented == (rounds, sent / 4 / n), name


@pytest.mark.parametrize("name", ["sigmoid", "reciprocal", "log", "sqrt", "exp2", "rsqrt"])
def test_coefficients_are_rounded_alike_on_every_machine(name):
    """Each party computes them, and libraries differ in the last digits of a float."""
    places = np.abs(_coefficients(name)) * 2.0 ** _COEF
    assert np.abs(places - np.floor(places) - 0.5).min() > 1e-3
