"""Selection on shares against the twin: the same features for the same reasons, at known cost."""

from __future__ import annotations

import json

import numpy as np
import pytest
from engine_kit import secret
from sklearn.linear_model import LogisticRegression

from engine.cluster import run_cluster
from models.logistic_design import Design
from models.plain import selection as plain
from models.plain.selection import FeatureSelector
from models.plain.woe import woe_iv
from models.selection import select_features
from models.selection import wald as shared_wald
from models.selection_rules import REASONS, SelectionRules
from protocols import correlation, stepwise

BINS = 6


def world(seed=5, n=1500, d=14):
    """Features of many kinds: (WOE columns, label, counts, names); bin 5 holds missing values."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.3).astype(int)
    x = rng.normal(size=(n, 14)) + 0.8 * label[:, None] * rng.random(14)
    x[:, 3] = x[:, 2] + 0.2 * rng.normal(size=n)
    x[:, 5] = 0.6 * x[:, 2] + x[:, 4] + x[:, 7] + 0.1 * rng.normal(size=n)
    x[:, 8] = rng.normal(size=n)
    index = np.stack([np.searchsorted(np.quantile(c, [0.2, 0.4, 0.6, 0.8]), c) for c in x.T], 1)
    index[rng.random((n, 14)) < 0.05] = 5
    index[rng.random(n) < 0.98, 9] = 5
    index = index if d == 14 else index[:, [2, 3, 4, 5, 7, 0, 8, 12, 13][:d]]
    counts = np.stack([[np.bincount(c[label == y], minlength=BINS) for y in (1, 0)]
                       for c in index.T]).transpose(0, 2, 1)
    columns = np.stack([woe_iv(*counts[k].T)[0][index[:, k]] for k in range(d)], 1)
    return columns, label, counts, [f"f{k}" for k in range(d)]


STRICT = SelectionRules(exclude=("f1",), p_max=0.05, correlation_max=0.6, vif_max=2.0, vif_steps=3,
                        stepwise="both", criterion="p", stepwise_steps=5)
SHORT = SelectionRules(vif_max=1.5, vif_steps=1, stepwise="forward", stepwise_steps=2)


def selected(rules, columns, label, counts, names, weight=None, **options):
    async def program(mpc):
        x, y, c = secret(mpc, columns, 1, 24), secret(mpc, label), secret(mpc, counts)
        w = secret(mpc, np.ones(len(label), int) if weight is None else weight)
        design = await Design.of(mpc.concatenate([x, w.reshape(-1, 1)], axis=1))
        found = await select_features(mpc, design, y, c, names=names, missing=5, rules=rules)
        return await found.open(mpc, [0], **options), await mpc.output(found.kept)
    results = run_cluster(program, 4)
    assert [r[0] is None for r in results] == [False, True, True, True]
    return results[0]


@pytest.mark.parametrize("rules", [STRICT, SHORT])
def test_the_same_features_for_the_same_reasons(rules):
    columns, label, counts, names = world()
    twin = FeatureSelector(rules=rules).fit(columns, label, counts=counts, missing=[5] * 14,
                                            names=names)
    # Rows that do not count are zero and change nothing.
    more = np.concatenate([columns, np.zeros((50, 14))])
    weight = np.repeat([1, 0], [len(label), 50])
    rows, kept = selected(rules, more, np.append(label, np.zeros(50, int)), counts, names, weight,
                          reveal="values", values=("iv", "missing"))
    assert [r["reason"] for r in rows] == twin.reason_
    assert len(set(twin.reason_)) >= 5
    np.testing.assert_array_equal(kept, twin.kept_)
    assert [r["kept"] for r in rows] == twin.kept_.tolist()
    assert [r["iv"] for r in rows] == pytest.approx(twin.iv_.tolist(), abs=1e-5)
    assert [r["missing"] for r in rows] == counts[:, 5].sum(1).tolist()
    assert rows[0].get("incomplete", []) == twin.incomplete_
    json.dumps(rows)


def test_what_opens_is_a_parameter():
    columns, label, counts, names = world(n=300, d=3)
    rules = SelectionRules(correlation_max=None, vif_max=None)
    bits, _ = selected(rules, columns, label, counts, names, reveal="kept")
    assert [set(r) for r in bits] == [{"feature", "kept"}] * 3
    reasons, _ = selected(rules, columns, label, counts, names)
    assert [set(r) for r in reasons] == [{"feature", "kept", "reason"}] * 3
    with pytest.raises(ValueError, match="reveal"):
        selected(rules, columns, label, counts, names, reveal="all")


def test_wald_is_that_of_the_univariate_regression():
    columns, label, counts, _ = world(n=2000, d=8)
    usable = (counts > 0).all((1, 2))
    assert usable.sum() > 4

    async def program(mpc):
        from protocols.woe import woe_terms
        c = secret(mpc, counts)
        woe, _ = woe_terms(mpc, c, c.sum(1))
        return await mpc.output(list(shared_wald(mpc, c, woe, 0.05)))

    statistic, significant = run_cluster(program, 4)[0]
    twin = np.array([plain.wald(*c.T) for c in counts])
    np.testing.assert_allclose(statistic, twin, atol=1e-3)
    np.testing.assert_array_equal(significant, twin >= plain.chi_limit(0.05))
    for k in np.flatnonzero(usable):
        x = columns[:, k:k + 1]
        model = LogisticRegression(C=np.inf, tol=1e-10).fit(x, label)
        p = model.predict_proba(x)[:, 1]
        full = np.column_stack([np.ones(len(x)), x])
        covariance = np.linalg.inv(full.T @ (full * (p * (1 - p))[:, None]))
        assert twin[k] == pytest.approx(model.coef_[0, 0] ** 2 / covariance[1, 1], rel=1e-4)


def cost_of(program, d=9):
    """(opened result, rounds, bytes) of a part on the correlation matrix of a small world."""
    columns, label, counts, _ = world(3, 400, d)
    matrix = plain.correlation_matrix(np.column_stack([columns, label]))

    async def run(mpc):
        values = [secret(mpc, columns, 0, 24), secret(mpc, matrix, 0, 28),
                  secret(mpc, np.ones(d, np.int64)), secret(mpc, np.array(len(label))),
                  secret(mpc, np.array([woe_iv(*c.T)[1].sum() for c in counts]), 0, 28)]
        for x in values:
            await x.ready()
        mpc.floor = mpc.meter.depth
        with mpc.meter.measure() as cost:
            results = program(mpc, *values)
            results = await results if not hasattr(results, "ready") else results
            results = results if isinstance(results, tuple) else (results,)
            for x in results:
                await x.ready()
        return await mpc.output(list(results)), cost.rounds, cost.bytes_sent
    results = run_cluster(run, 4)
    return results[0][0], (results[0][1], sum(r[2] for r in results)), columns, matrix, counts


def test_correlation_and_its_cost():
    found, cost, columns, _, _ = cost_of(
        lambda mpc, x, matrix, alive, n, iv: correlation.correlation(
            mpc, x.sum(0), mpc.matrix_product(x.T, x, 24), n))
    assert cost == correlation.correlation_cost(9, 4, 1)
    np.testing.assert_allclose(found[0], plain.correlation_matrix(columns), atol=1e-5)


def test_correlation_filter_and_its_cost():
    found, cost, _, matrix, counts = cost_of(
        lambda mpc, x, matrix, alive, n, iv: correlation.drop_correlated(
            mpc, matrix[:9, :9], iv, alive, 0.3))
    assert cost == correlation.drop_correlated_cost(9, 4, 1)
    iv = [woe_iv(*c.T)[1].sum() for c in counts]
    twin = plain.drop_correlated(matrix[:9, :9], iv, np.ones(9), 0.3)
    assert 0 < twin.sum() < 9
    np.testing.assert_array_equal(found[0], twin)


def test_collinear_features_go_and_what_it_costs():
    found, cost, _, matrix, _ = cost_of(
        lambda mpc, x, matrix, alive, n, iv: correlation.drop_collinear(
            mpc, matrix[:9, :9], alive, 1.2, 2))
    assert cost == correlation.drop_collinear_cost(9, 2, 4, 1)
    twin, more = plain.drop_collinear(matrix[:9, :9], np.ones(9), 1.2, 2)
    np.testing.assert_array_equal(found[0], twin)
    assert found[1] == more


def test_exact_copies_are_found():
    matrix = plain.correlation_matrix(np.random.default_rng(1).normal(size=(500, 4)))
    copies = matrix[np.ix_([0, 1, 2, 3, 1], [0, 1, 2, 3, 1])]

    async def program(mpc):
        shared, alive = secret(mpc, copies, 0, 28), mpc.array(np.ones(5, np.int64))
        stay, more = await correlation.drop_collinear(mpc, shared, alive, 10.0, 2)
        return await mpc.output([stay, more])

    stay, more = run_cluster(program, 4)[0]
    assert stay[[0, 2, 3]].all() and stay[1] + stay[4] == 1 and not more


@pytest.mark.parametrize("leave", [None, 3.84])
def test_stepwise_and_its_cost(leave):
    found, cost, _, matrix, _ = cost_of(
        lambda mpc, x, matrix, alive, n, iv: stepwise.stepwise(
            mpc, matrix, alive * 0, alive, n, steps=3, enter=3.84, leave=leave))
    assert cost == stepwise.stepwise_cost(9, 3, 4, 1, enter=3.84, leave=leave)
    twin, more = plain.stepwise(matrix, np.ones(9), 400, steps=3, enter=3.84, leave=leave)
    np.testing.assert_array_equal(found[0], twin)
    assert found[1] == more


def test_backward_steps_from_a_trained_model():
    """Swept for all features, the matrix is that of a fitted model: the weakest leave."""
    columns, label, _, _ = world(3, 400, 6)
    matrix = plain.correlation_matrix(np.column_stack([columns, label]))
    inverse = np.linalg.inv(matrix[:6, :6])
    estimates = inverse @ matrix[:6, 6]
    swept = np.block([[-inverse, estimates[:, None]],
                      [estimates[None], np.array([[1 - estimates @ matrix[:6, 6]]])]])

    async def program(mpc):
        ones = mpc.array(np.ones(6, np.int64))
        inside, more = await stepwise.stepwise(
            mpc, secret(mpc, swept, 0, 28), ones, ones, secret(mpc, np.array(400)), steps=4,
            enter=1e3, leave=6.0)
        return await mpc.output([inside, more])

    inside, more = run_cluster(program, 4)[0]
    stay = np.ones(6, bool)
    while True:
        chosen = np.flatnonzero(stay)
        covariance = np.linalg.inv(matrix[np.ix_(chosen, chosen)])
        statistic = 400 * (covariance @ matrix[chosen, 6]) ** 2 / np.diag(covariance)
        if statistic.min() >= 6.0:
            break
        stay[chosen[int(np.argmin(statistic))]] = False
    assert 0 < stay.sum() < 6
    np.testing.assert_array_equal(inside, stay)
    assert not more


def test_rules_are_checked():
    for options, text in (({"vif_max": 0.5}, "vif_max"), ({"stepwise": "odd"}, "forward"),
                          ({"criterion": "odd"}, "aic"), ({"missing_max": 2}, "missing_max")):
        with pytest.raises(ValueError, match=text):
            SelectionRules(**options)
    assert REASONS[0] == "kept"
