"""AUC, KS, curve and histogram of shared scores against the twin in the clear; many ties."""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import SIZES, secret
from sklearn.metrics import roc_auc_score

from engine.cluster import run_cluster
from models.evaluation import evaluate
from models.plain.evaluation import auc, ks, roc

EDGES = np.array([-1.5, -0.5, 0.0, 0.25, 2.0])


def figures(odds, bad, good, points=10, m=4, t=None, frac=48):
    """Opened figures; (bad, good) are 0/1 per row, (0, 0) for rows that do not count."""
    async def program(mpc):
        score = secret(mpc, np.asarray(odds), frac=20).with_frac(frac)
        classes = secret(mpc, np.column_stack([bad, good]).astype(int))
        result = await evaluate(mpc, score, classes, points=points, edges=EDGES)
        return await result.open(mpc, [0])

    first, *others = run_cluster(program, m, t)
    assert others == [None] * (m - 1)
    return first


def reference_curve(odds, bad, good, points):
    order = np.argsort(-odds, kind="stable")
    counted = order[(bad + good)[order] == 1]
    places = [k * len(counted) // points for k in range(points + 1)]
    return np.array([[bad[counted[:p]].sum(), good[counted[:p]].sum()] for p in places])


def check(odds, bad, good, **options):
    odds, bad, good = np.asarray(odds, float), np.asarray(bad), np.asarray(good)
    result = figures(odds, bad, good, **options)
    counted = bad + good == 1
    assert result["auc"] == pytest.approx(auc(bad[counted], odds[counted]), abs=2e-6)
    assert result["ks"] == pytest.approx(ks(bad[counted], odds[counted]), abs=2e-6)
    np.testing.assert_array_equal(
        result["curve"], reference_curve(odds, bad, good, options.get("points", 10)))
    for column, rows in enumerate((bad, good)):
        inside = np.digitize(odds[rows == 1], EDGES)
        np.testing.assert_array_equal(result["histogram"][:, column],
                                      np.bincount(inside, minlength=len(EDGES) + 1))
    return result


@pytest.mark.parametrize("m, t", SIZES)
def test_scores_with_many_ties(m, t):
    rng = np.random.default_rng(m)
    odds = rng.integers(-6, 7, 30) / 4
    bad = (rng.random(30) < 1 / (1 + np.exp(-odds))).astype(int)
    check(odds, bad, 1 - bad, m=m, t=t)


def test_rows_that_do_not_count_are_nowhere():
    rng = np.random.default_rng(1)
    odds = rng.integers(-4, 5, 50) / 4
    kind = rng.integers(0, 3, 50)
    odds[kind == 2] = 0  # as unmatched rows have
    check(odds, kind == 0, kind == 1, points=7)


@pytest.mark.parametrize("odds, bad", [
    ([1, 2, 3, 4], [0, 0, 1, 1]),             # perfect
    ([4, 3, 2, 1], [0, 0, 1, 1]),             # upside down
    ([5, 5, 5, 5, 5], [0, 1, 0, 1, 1]),       # says nothing
    ([1, 0], [1, 0]),                         # the smallest
    ([0, 0, 1, 1, 1, 2], [0, 1, 1, 0, 0, 1]),
    ([-250.0, 0, 250, 254.5], [0, 1, 0, 1]),  # the ends of the range
], ids=["perfect", "reversed", "equal", "two rows", "groups", "extremes"])
def test_small_cases(odds, bad):
    bad = np.array(bad)
    result = check(odds, bad, 1 - bad)
    assert result["auc"] == pytest.approx(roc_auc_score(bad, odds), abs=2e-6)


def test_scores_beyond_the_range_count_as_its_ends():
    result = figures([1000.0, 300, 255, -300, -1000], np.array([1, 1, 0, 0, 1]),
                     np.array([0, 0, 1, 1, 0]))
    expected = auc([1, 1, 0, 0, 1], np.clip([1000, 300, 255, -300, -1000], -255, 255))
    assert result["auc"] == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("bad, good", [([1, 1, 0], [0, 0, 0]), ([0, 0, 0], [1, 0, 1]),
                                       ([0, 0, 0], [0, 0, 0])])
def test_without_both_classes_the_figures_are_zero(bad, good):
    result = figures([0.5, 0.25, -1], np.array(bad), np.array(good))
    assert max(result["auc"], result["ks"]) < 1e-6
    assert result["curve"][-1].tolist() == [sum(bad), sum(good)]


def test_the_curve_is_the_roc_of_the_twin_where_scores_differ():
    rng = np.random.default_rng(4)
    odds = rng.permutation(60) / 16 - 2
    bad = (rng.random(60) < 0.4).astype(int)
    curve = figures(odds, bad, 1 - bad, points=12)["curve"]
    plain = roc(bad, odds, 12)
    np.testing.assert_allclose(curve[:, 0] / bad.sum(), plain["tpr"])
    np.testing.assert_allclose(curve[:, 1] / (60 - bad.sum()), plain["fpr"])


def test_differences_in_the_last_bit_are_no_ties():
    """Scores are compared with all their fractional bits."""
    odds = np.array([3, 2, 1, 0]) * 2.0**-20
    bad = np.array([1, 0, 1, 0])
    check(odds, bad, 1 - bad, frac=20)
