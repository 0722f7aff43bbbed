"""The cheap logistic function and the soft threshold: errors, exact zeros, and what they cost."""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import measured, opened, secret

from engine import costs
from engine.chebyshev import _COEF
from engine.cluster import run_cluster
from engine.query import collapse_cost
from engine.waves import waves_cost
from models.logistic_design import Design
from models.logistic_inference import _tail
from models.logistic_link import _quotient, sigmoid, variance
from models.logistic_problem import Problem
from models.logistic_steps import soft_threshold

ODDS = np.concatenate([np.linspace(-9, 9, 181), [-1e6, -8, 8, 500.0, 2.0**40]])


def logistic(x):
    return 1 / (1 + np.exp(-np.clip(x, -500, 500)))


@pytest.mark.parametrize("series", [_quotient, _tail])
def test_coefficients_are_rounded_alike_on_every_machine(series):
    """Each party computes them, and libraries differ in the last digits of a float."""
    places = np.abs(series()) * 2.0 ** _COEF
    assert np.abs(places - np.floor(places) - 0.5).min() > 1e-3


@pytest.mark.parametrize("m", [3, 4])
def test_the_cheap_function_is_bounded_for_every_argument(m):
    got = opened(lambda mpc, x: sigmoid(mpc, x, 24, fine=False), ODDS, m=m)
    assert np.abs(got - logistic(ODDS)).max() < 2e-3


def test_the_variance_is_that_of_the_chance():
    got = opened(lambda mpc, x: variance(mpc, x, 20, fine=True), ODDS)
    p = logistic(np.clip(ODDS, -12, 12))
    assert np.abs(got - p * (1 - p)).max() < 2e-5


def test_costs_are_those_of_the_page():
    """Two comparisons and seven products per element in 17 rounds; a soft threshold in 12."""
    n, depths = 50, {}

    async def link(mpc):
        await sigmoid(mpc, secret(mpc, np.zeros(n)), 24, fine=False).ready()
        depths[link] = mpc.meter.depth - 1

    async def threshold(mpc):
        await soft_threshold(mpc, secret(mpc, np.zeros(n)), 0.5).ready()
        depths[threshold] = mpc.meter.depth - 1
    for program, products in ((link, 7), (threshold, 1)):
        found = measured(program, 4)
        total = sum(sent for name, (_, _, sent) in found.items() if name != "input")
        assert total == costs.less_than(2 * n, 4, 1).total_bytes \
            + costs.product(products * n, 4, 1).total_bytes
    assert (depths[link], depths[threshold]) == (17, 12)


def test_the_threshold_gives_exact_zeros():
    x = np.array([-2.0, -0.5, -0.25, 0, 0.4999, 0.5, 0.75, 30])
    got = opened(lambda mpc, v: soft_threshold(mpc, v, 0.5), x)
    np.testing.assert_array_equal(got != 0, np.abs(x) > 0.5)
    np.testing.assert_allclose(got, np.sign(x) * np.maximum(np.abs(x) - 0.5, 0), atol=1e-5)


def batch(mpc_weight):
    """A program that gives the slope of a batch of 40 rows by 3 columns, and its value."""
    rng = np.random.default_rng(3)
    x = rng.integers(-3, 4, (40, 3)) / 2
    y, raw = rng.integers(0, 2, 40), np.array([1.5, -0.75, 0.25])
    weight = rng.integers(0, 8, 40) / 4 if mpc_weight else np.ones(40)

    async def program(mpc):
        shared, label, w, state = (secret(mpc, v, frac=f) for v, f in (
            (x, 20), (y * 1.0, 24), (weight, 24), (raw, 30)))
        problem = Problem(mpc, await Design.of(shared), label, w if mpc_weight else None,
                          None, None, None, np.zeros(3), 0.0)
        depth = mpc.meter.depth
        slope = problem.slope(shared, slice(0, 40), state, "series")
        await slope.ready()
        assert slope.depth - depth == (4 if mpc_weight else 3) or mpc.geometry.m == 3
        return await mpc.output(slope)
    return program, x.T @ (weight * (logistic(x @ raw) - y))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("m", [3, 4])
def test_the_slope_of_a_batch_is_the_gradient(m, weighted):
    """Within the error of the sine series, or of the cheap function where there is none."""
    program, expected = batch(weighted)
    for got in run_cluster(program, m):
        assert np.abs(got - expected).max() < 40 * 3e-3


def test_the_slope_of_a_batch_costs_three_rounds():
    program, _ = batch(False)
    found = measured(program, 4)
    assert found["waves"][1:] == waves_cost(40, 9, 4, 1)
    assert found["slope"][1:] == collapse_cost(3, 4, 1, 3)
    assert set(found) == {"input", "waves", "slope", "output"}
