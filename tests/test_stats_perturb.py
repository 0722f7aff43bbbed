"""Noise and rounding on shares: exact rounding, the stated distributions, checked parameters."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import chisquare
from stats_kit import secret

from engine.cluster import run_cluster
from protocols.stats.perturb import Noise, gaussian, laplace, perturbed, quotient, rounded

N = 3000


def drawn(expression):
    async def program(mpc):
        return await mpc.output(expression(mpc))

    first, *others = run_cluster(program)
    assert all((o == first).all() for o in others)
    return first


def fits(sample, weight):
    """Whether a sample has the probabilities of a weight; wrong less than once in ten million runs.

    What few draws are expected of is counted together, with so much of the common values that it is
    common, too: where 0.35 draws are expected, four of them pass for a wrong distribution once in a
    few thousand runs. The limit is below 1e-7, as the tails of counts of 8 are longer than those of
    chi-square.
    """
    reach = 200
    values = np.arange(-reach, reach + 1)
    share = weight(values.astype(float))
    expected = share / share.sum() * len(sample)
    common = expected >= 8
    while expected[~common].sum() < 8:
        common[expected == expected[common].min()] = False
    seen = np.array([(sample == v).sum() for v in values])
    observed = [*seen[common], seen[~common].sum() + (np.abs(sample) > reach).sum()]
    wanted = np.array([*expected[common], expected[~common].sum()])
    return chisquare(observed, wanted * sum(observed) / wanted.sum()).pvalue > 1e-9


@pytest.mark.parametrize("rate", [Fraction(1, 4), Fraction(3, 2)])
def test_discrete_laplace(rate):
    sample = drawn(lambda mpc: laplace(mpc, (N,), rate))
    assert fits(sample, lambda k: np.exp(-float(rate) * np.abs(k)))
    assert not fits(sample, lambda k: np.exp(-1.3 * float(rate) * np.abs(k)))


@pytest.mark.parametrize("sigma", [0.7, 6.0])
def test_discrete_gaussian(sigma):
    sample = drawn(lambda mpc: gaussian(mpc, (N,), sigma))
    assert fits(sample, lambda k: np.exp(-k * k / (2 * sigma * sigma)))
    assert not fits(sample, lambda k: np.exp(-k * k / (2 * (1.3 * sigma) ** 2)))


def test_noise_grows_with_the_sensitivity():
    laplace_, gaussian_ = Noise("laplace", epsilon=1.0), Noise("gaussian", rho=0.5)

    def noisy(n, x, sensitivity, spec):
        found = drawn(lambda mpc: perturbed(mpc, secret(mpc, [x] * n), sensitivity, spec)) - x
        assert np.abs(found).max() < spec.largest(sensitivity) + sensitivity <= 71 * sensitivity
        return found

    assert np.abs(noisy(400, 7, 1, laplace_)).max() < 60
    assert 2**29 < np.abs(noisy(150, 1 << 40, 1 << 30, laplace_)).mean() < 2**31
    for x in (1 << 40, (1 << 40) + 12_345_678):
        grid = noisy(200, x, 1 << 30, gaussian_)
        assert 0.7 < grid.std() / 2**30 < 1.4
        assert not ((grid + x) % (1 << 24)).any(), "the last digits would tell x from others"
    assert {0, 1} <= set(np.diff(np.sort(noisy(200, 5, 1, gaussian_)))), "counts have no grid"


@pytest.mark.parametrize("spec, change, weight", [
    (Noise("laplace", epsilon=1.0), 1, lambda k: np.exp(-np.abs(k))),
    (Noise("laplace", epsilon=0.5), 5, lambda k: np.exp(-np.abs(k) / 10)),
    (Noise("laplace", epsilon=100.0), 1, lambda k: np.exp(-100 * np.abs(k))),
    (Noise("gaussian", rho=0.5), 1, lambda k: np.exp(-k * k / 2)),
    (Noise("gaussian", rho=0.125), 20, lambda k: np.exp(-k * k / 3200))])
def test_the_stated_deviation_is_that_of_the_distribution(spec, change, weight):
    values = np.arange(-700.0, 701.0)
    share = weight(values)
    deviation = np.sqrt((values**2 * share).sum() / share.sum())
    assert spec.deviation(change) == pytest.approx(deviation, rel=1e-3)


def test_the_stated_deviation_of_a_sum_is_that_of_its_grid():
    large = (1 << 40) - 1
    assert Noise("laplace", epsilon=0.001).deviation(large) == pytest.approx(
        2**0.5 * 1000 * large, rel=1e-3)
    assert Noise("gaussian", rho=0.5).deviation(large) == pytest.approx(large, rel=0.02)


def test_two_draws_differ():
    first, second = drawn(lambda mpc: mpc.stack([laplace(mpc, (50,), Fraction(1, 50))
                                                 for _ in range(2)]))
    assert (first != second).mean() > 0.8


@pytest.mark.parametrize("base", [2, 3, 5, 10, 1000])
def test_rounding_is_exact(base):
    rng = np.random.default_rng(base)
    x = np.concatenate([np.arange(-25, 26), base * np.arange(-9, 10) + base // 2,
                        rng.integers(-(2**52), 2**52, 60), [2**53 - 1, 1 - 2**53]])
    by, near = drawn(lambda mpc: mpc.stack([quotient(mpc, secret(mpc, x), base),
                                            rounded(mpc, secret(mpc, x), base)]))
    np.testing.assert_array_equal(by, x // base)
    np.testing.assert_array_equal(near, (x + base // 2) // base * base)


@pytest.mark.parametrize("wrong", [
    {"kind": "uniform"}, {"kind": "laplace"}, {"kind": "laplace", "epsilon": -1.0},
    {"kind": "gaussian", "epsilon": 1.0}, {"kind": "gaussian", "rho": float("nan")}])
def test_parameters_are_checked(wrong):
    with pytest.raises(ValueError, match="expected"):
        Noise(**wrong)
