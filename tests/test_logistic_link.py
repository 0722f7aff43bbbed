"""The cheap logistic function and the soft threshold: errors, exact zeros, and what they cost."""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import measured, opened, secret

from engine import costs
from models.logistic_link import sigmoid, variance
from models.logistic_steps import soft_threshold

ODDS = np.concatenate([np.linspace(-9, 9, 181), [-1e6, -8, 8, 500.0, 2.0**40]])


def logistic(x):
    return 1 / (1 + np.exp(-np.clip(x, -500, 500)))


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
