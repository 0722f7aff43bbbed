"""Logistic regression on shares against scikit-learn's on the same rows."""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import secret

from engine.cluster import run_cluster
from models.logistic import fit
from models.plain.evaluation import auc
from models.plain.logistic import fit_logistic


def trained(columns, label, *, weight=None, selected=None, l2=1.0, iterations=30, m=4):
    """Opened (weights per raw column and intercept, log-odds of all rows)."""
    rows, d = columns.shape
    weight = np.ones(rows) if weight is None else weight
    selected = np.ones(d, int) if selected is None else np.asarray(selected)
    table = np.column_stack([columns * weight[:, None], weight])

    async def program(mpc):
        shared = secret(mpc, table, 1 % m, frac=24)
        model = fit(mpc, shared, secret(mpc, label * weight, frac=24), secret(mpc, selected),
                    l2=l2, iterations=iterations)
        return await mpc.output([model.raw, model.decision(mpc, shared)])

    return run_cluster(program, m)[0]


def standardised(raw, plain):
    """(largest error of the standardised weights, error of the intercept)."""
    weights = np.divide(raw[:-1], plain.scale, out=np.zeros(len(plain.scale)),
                        where=plain.scale > 0)
    intercept = raw[-1] + (raw[:-1] * plain.mean).sum()
    return np.abs(weights - plain.weights).max(), abs(intercept - plain.intercept)


def encoded(rows, columns, seed, strength=1.0):
    """Columns like WOE values, exact in 24 fractional bits, and labels that depend on them."""
    rng = np.random.default_rng(seed)
    x = np.rint(rng.normal(size=(rows, columns)) * 2) / 4
    chance = 1 / (1 + np.exp(1 - strength * x @ rng.normal(1, 0.3, columns)))
    return x, (rng.random(rows) < chance).astype(int)


@pytest.mark.parametrize("m", [1, 3, 4, 5])
def test_weights_agree_with_scikit_learn(m):
    """The bound of the arithmetic: with enough steps the error is that of 24 fractional bits."""
    x, y = encoded(150, 3, 1)
    plain = fit_logistic(x, y, 1.0)
    raw, odds = trained(x, y, iterations=30 if m == 4 else 8, m=m)
    bound = 1e-5 if m == 4 else 2e-2
    assert max(standardised(raw, plain)) < bound
    # Scores have 16 fractional bits: 2.5 units of truncation and half a unit of rounding on top.
    np.testing.assert_allclose(odds, plain.log_odds(x), rtol=0, atol=7 * bound)


def test_the_penalty_is_scikit_learns():
    x, y = encoded(120, 4, 2)
    raw, _ = trained(x, y, l2=30.0, iterations=10)
    assert max(standardised(raw, fit_logistic(x, y, 30.0))) < 5e-3


def test_random_labels_give_nothing():
    """No weight beyond what scikit-learn finds in the same noise, and no AUC out of nowhere."""
    rng = np.random.default_rng(3)
    x, _ = encoded(400, 5, 3)
    y = rng.integers(0, 2, 400)
    plain = fit_logistic(x[:200], y[:200], 1.0)
    weight = np.zeros(400)
    weight[:200] = 1
    raw, _ = trained(x, y, weight=weight, iterations=10)
    assert max(standardised(raw, plain)) < 1e-4
    held_out = x[200:] @ raw[:-1] + raw[-1]
    assert auc(y[200:], held_out) == pytest.approx(auc(y[200:], plain.log_odds(x[200:])), abs=2e-3)
    assert 0.35 < auc(y[200:], held_out) < 0.65


def test_columns_that_must_not_count_have_no_weight():
    """Not selected, constant, zero; two equal columns share their weight; unmatched rows."""
    x, y = encoded(240, 3, 4)
    table = np.column_stack([x[:, 0], x[:, 1], np.full(240, 0.75), x[:, 2], np.zeros(240), x[:, 0]])
    weight = (np.random.default_rng(5).random(240) < 0.7).astype(float)
    rows = weight == 1
    raw, odds = trained(table, y, weight=weight, selected=[1, 1, 1, 0, 1, 1], iterations=24)
    plain = fit_logistic(table[rows][:, [0, 1, 2, 4, 5]], y[rows], 1.0)
    assert raw[[2, 3, 4]].tolist() == [0, 0, 0], "or they would decide between equal scores"
    assert max(standardised(raw[[0, 1, 2, 4, 5, 6]], plain)) < 2e-3
    assert raw[0] == pytest.approx(raw[5], abs=1e-4)
    np.testing.assert_allclose(odds[rows], plain.log_odds(table[rows][:, [0, 1, 2, 4, 5]]),
                               rtol=0, atol=1e-2)
    assert not odds[~rows].any()


def test_nothing_selected_leaves_the_rate_of_bad_rows():
    x, y = encoded(100, 2, 6)
    raw, _ = trained(x, y, selected=[0, 0], iterations=8)
    assert raw[:2].tolist() == [0, 0]
    assert raw[2] == pytest.approx(np.log(y.mean() / (1 - y.mean())), abs=1e-3)


def test_equal_rows_have_exactly_equal_scores():
    """Scores are exact products: ties in the data are ties in the ranking."""
    x, y = encoded(60, 2, 7)
    _, odds = trained(np.vstack([x, x]), np.append(y, y), iterations=2)
    np.testing.assert_array_equal(odds[:60], odds[60:])


def test_strong_separation_needs_more_steps_and_gets_there():
    x, y = encoded(100, 1, 8, strength=4.0)
    plain = fit_logistic(x, y, 1.0)
    few, many = (max(standardised(trained(x, y, iterations=n)[0], plain)) for n in (3, 20))
    assert many < few / 5
