"""Sine series of secret numbers: values, wrapping, the residual's factors, and what they cost."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from engine_kit import measured, secret

from engine import field
from engine.cluster import run_cluster
from engine.waves import _unit, can_wave, waves, waves_cost
from models.logistic_link import sigmoid_series

SERIES = {1: 0.5, 2: -1.25, 7: 0.125}


def series(x, period):
    return sum(c * np.sin(2 * np.pi * k * x / period) for k, c in SERIES.items())


def reduced(mpc, series):
    """Brought back to degree t, so that it can be opened."""
    return mpc.product("multiply", [series], lambda s: s, series.shape, 12, series.frac - 12)


@pytest.mark.parametrize("m", [3, 4])
def test_the_series_has_its_values_and_its_period(m):
    """x is a product of shares; numbers beyond the period wrap around, negative ones too."""
    x = np.array([[0.0, 1.5, -1.5, 7.0], [8.0, -8.0, 1e6 + 3, -3e5]])

    async def program(mpc):
        shares = secret(mpc, x, owner=1)
        ones = secret(mpc, np.ones(x.shape), owner=2)
        return await mpc.output(reduced(mpc, waves(mpc, [shares, ones], field.mul, x.shape, 40 + 4,
                                                 SERIES)))
    for got in run_cluster(program, m):
        np.testing.assert_allclose(got, series(x, 16), atol=1e-4)


def test_the_series_gives_the_logistic_function_within_its_bounds():
    """The stated error within ±24; beyond it bounded."""
    x = np.concatenate([np.linspace(-24, 24, 97), [30.0, -40.0, 1000.0]])

    async def program(mpc):
        block = secret(mpc, x.reshape(-1, 1))
        return await mpc.output(reduced(mpc, sigmoid_series(mpc, block, secret(mpc, np.ones(1)))))
    for got in run_cluster(program, 4):
        assert np.abs(got[:97] + 0.5 - 1 / (1 + np.exp(-x[:97]))).max() < 3e-3
        assert np.abs(got).max() < 0.51


def test_sines_are_the_same_to_the_last_bit_on_every_machine():
    """The parties that compute them locally hold a sharing only if they agree."""
    turns = [np.uint64(k * 0x9E3779B97F4A7C15 % 2**64) for k in range(1000)]
    turns += [np.uint64(v % 2**64) for k in range(64) for v in (1 << k, (1 << k) - 1, -(1 << k))]
    found = np.array([_unit(v) for v in turns])
    with np.errstate(over="ignore"):  # half a turn wraps round, of which NumPy's scalars warn
        assert (found[::50] == [_unit.py_func(v) for v in turns[::50]]).all()
    angles = np.array(turns).view(np.int64) * (np.pi / 2**63)
    np.testing.assert_allclose(found, np.stack([np.cos(angles), np.sin(angles)], 1), atol=1e-14)
    assert hashlib.sha256(found.tobytes()).hexdigest()[:16] == "dad5c24151bbb93a"


@pytest.mark.parametrize("m", [3, 4])
def test_costs_are_those_of_the_formula(m):
    n = 11

    async def program(mpc):
        x = secret(mpc, np.zeros(n))
        await waves(mpc, [x], lambda s: s, (n,), 24, SERIES).ready()
    _, rounds, sent = measured(program, m)["waves"]
    assert (rounds, sent) == waves_cost(n, len(SERIES), m, 1)


def test_other_deployments_are_refused():
    async def program(mpc):
        x = secret(mpc, np.zeros(2))
        with pytest.raises(ValueError, match="expected threshold 1"):
            waves(mpc, [x], lambda s: s, (2,), 24, SERIES)
        return can_wave(mpc)
    assert not any(run_cluster(program, 5))
