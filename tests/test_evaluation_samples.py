"""Calibration, PSI and figures by segment on shares; tables of opened counts."""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import secret
from sklearn.metrics import confusion_matrix, roc_auc_score

from engine.cluster import run_cluster
from models import evaluation_samples
from models.evaluation_samples import CELL, calibration, evaluate_by_segment, psi
from models.evaluation_tables import (
    calibration_table,
    confusion,
    gain_table,
    gini,
    ks_curve,
    psi_band,
)
from models.plain import evaluation as plain

EDGES = np.array([-1.0, 0.25, 1.5])


def sample(n, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    odds = np.round((rng.normal(size=n) + shift) * 8) / 8
    return odds, (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(int)


def test_calibration_is_the_twins():
    odds, label = sample(80, 1)
    counted = np.arange(80) < 60

    async def program(mpc):
        classes = secret(mpc, np.column_stack([label, 1 - label]) * counted[:, None])
        return await mpc.output(calibration(mpc, secret(mpc, odds), classes, EDGES))
    sums = run_cluster(program, 4)[0]
    expected = plain.calibration(label[counted], odds[counted], EDGES)
    np.testing.assert_allclose(sums, expected, atol=1e-3)
    table = calibration_table(sums)
    assert [row["rows"] for row in table] == expected[:, :2].sum(1).astype(int).tolist()
    assert table[1]["expected"] == pytest.approx(expected[1, 2] / expected[1, :2].sum(), abs=1e-4)


@pytest.mark.parametrize("shared", [False, True])
def test_psi_is_the_twins_with_public_and_with_secret_edges(shared):
    before, after = sample(90, 2)[0], sample(50, 3, shift=1.0)[0]

    async def program(mpc):
        edges = secret(mpc, EDGES) if shared else EDGES
        return await mpc.output(psi(
            mpc, (secret(mpc, before), secret(mpc, np.ones(90, int))),
            (secret(mpc, after, 1), secret(mpc, np.ones(50, int), 1)), edges))
    assert run_cluster(program, 4)[0] == pytest.approx(plain.psi(before, after, EDGES), abs=1e-4)
    assert psi_band(0.05) == "stable" and psi_band(0.3) == "shifted"


def test_segments_with_too_few_rows_show_nothing(monkeypatch):
    """Nor can they be had as what is left of the whole: the next smallest is closed too."""
    odds, label = sample(150, 5)
    scores = [odds, np.round(odds) - 1]
    kind = np.repeat([0, 1, 2], [75, 66, 9])
    monkeypatch.setattr(evaluation_samples, "_AT_ONCE", 2 * 150)  # two groups of segments

    async def program(mpc):
        classes = secret(mpc, np.column_stack([label, 1 - label]))
        segments = secret(mpc, (kind[:, None] == np.arange(3)).astype(int), 1)
        whole, found = await evaluate_by_segment(
            mpc, [secret(mpc, s) for s in scores], classes, segments, points=4, edges=EDGES)
        shares = await mpc.output([found.counts, found.auc, found.ks])
        return await found.open(mpc, 2), await whole[1].open(mpc, 2), shares
    results = run_cluster(program, 4)
    assert [r[:2] == (None, None) for r in results] == [True, True, False, True]
    [first, *closed], whole, (counts, *shares) = results[2]
    rows = kind == 0
    assert (first["bad"], first["good"]) == (label[rows].sum(), (1 - label[rows]).sum())
    for score, auc, ks in zip(scores, first["auc"], first["ks"], strict=True):
        assert auc == pytest.approx(roc_auc_score(label[rows], score[rows]), abs=1e-4)
        assert ks == pytest.approx(plain.ks(label[rows], score[rows]), abs=1e-4)
    assert np.bincount(label[kind == 1]).min() >= CELL > np.bincount(label[kind == 2]).min()
    assert closed == [{"suppressed": "minimum-cell"}] * 2
    assert not counts[1:].any() and not np.any([s[:, 1:] for s in shares]), "zeros, to anybody"
    assert whole["auc"] == pytest.approx(roc_auc_score(label, scores[1]), abs=1e-4)


def test_tables_of_counts():
    odds, label = sample(200, 5)
    order = np.argsort(-odds, kind="stable")
    curve = np.vstack([[0, 0], np.cumsum(np.column_stack([label, 1 - label])[order], 0)])[::10]
    twin = plain.lift(label, odds, 10)
    for mine, theirs in zip(gain_table(curve, 10), twin, strict=True):
        assert {k: mine[k] for k in theirs} == pytest.approx(theirs)
    assert gain_table(curve, 10)[-1]["ks"] == 0
    gaps = ks_curve(curve)["gap"]
    assert gaps[0] == gaps[-1] == 0 and max(gaps) <= plain.ks(label, odds) + 0.1
    histogram = np.column_stack([
        np.bincount(np.digitize(odds[label == k], EDGES), minlength=4) for k in (1, 0)])
    for row in confusion(histogram, EDGES):
        tn, fp, fn, tp = confusion_matrix(label, odds >= row["threshold"]).ravel()
        assert (row["tp"], row["fp"], row["fn"], row["tn"]) == (tp, fp, fn, tn)
        assert row["recall"] == pytest.approx(tp / (tp + fn))
    assert gini(0.75) == 0.5
