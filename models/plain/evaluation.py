"""How well a score separates bad from good rows; a higher score means a riskier row."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from models.plain.woe import woe_iv

Floats = npt.NDArray[np.float64]


def auc(label: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Probability that a bad row outranks a good one; ties count half."""
    bad, values = _checked(label, score)
    positives = int(bad.sum())
    negatives = bad.size - positives
    ranks = rankdata(values)
    return float((ranks[bad].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def ks(label: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Largest gap between the cumulative shares of bad and good rows over all thresholds."""
    fpr, tpr = _cumulative(*_checked(label, score))
    return float(np.max(np.abs(tpr - fpr)))


def roc(label: npt.ArrayLike, score: npt.ArrayLike, points: int = 50) -> dict[str, list[float]]:
    """ROC curve on a population grid: the shares of good (fpr) and bad (tpr) rows among the
    riskiest k / points of all rows, k = 0 … points.  Within tied scores rows count in
    proportion."""
    bad, values = _checked(label, score)
    fpr, tpr = _cumulative(bad, values)
    share = np.append(0.0, np.cumsum(_group_sizes(values))) / values.size
    grid = np.linspace(0.0, 1.0, points + 1)
    return {
        "fpr": np.interp(grid, share, fpr).tolist(),
        "tpr": np.interp(grid, share, tpr).tolist(),
    }


def lift(label: npt.ArrayLike, score: npt.ArrayLike, bands: int = 10) -> list[dict[str, Any]]:
    """Equal-frequency score bands, band 1 the riskiest; ties keep the order of the rows."""
    bad, values = _checked(label, score)
    order = np.argsort(-values, kind="stable")
    edges = np.round(np.linspace(0, bad.size, bands + 1)).astype(int)
    base = bad.mean()
    table, seen = [], 0
    for band in range(bands):
        members = bad[order[edges[band] : edges[band + 1]]]
        count = int(members.sum())
        seen += count
        rate = count / members.size if members.size else 0.0
        table.append(
            {
                "band": band + 1,
                "rows": int(members.size),
                "bad": count,
                "bad_rate": float(rate),
                "lift": float(rate / base),
                "cum_bad_share": float(seen / bad.sum()),
            }
        )
    return table


def psi(expected: npt.ArrayLike, actual: npt.ArrayLike, edges: npt.ArrayLike) -> float:
    """Population stability index of two samples of a score over the bands between the edges."""
    limits = np.asarray(edges, dtype=np.float64)
    counts = [
        np.bincount(np.digitize(np.asarray(sample), limits), minlength=len(limits) + 1)
        for sample in (actual, expected)
    ]
    return float(woe_iv(*counts)[1].sum())


def calibration(label: npt.ArrayLike, score: npt.ArrayLike, edges: npt.ArrayLike) -> Floats:
    """(bands, 3): bad, good and predicted bad rows between the edges of the log-odds."""
    bad, odds = np.asarray(label) == 1, np.asarray(score, dtype=np.float64)
    band = np.digitize(odds, np.asarray(edges, dtype=np.float64))
    rows = np.column_stack([bad, ~bad, 1 / (1 + np.exp(-odds))]).astype(np.float64)
    sums = np.zeros((np.size(edges) + 1, 3))
    np.add.at(sums, band, rows)
    return sums


def _checked(label: npt.ArrayLike, score: npt.ArrayLike) -> tuple[npt.NDArray[np.bool_], Floats]:
    bad = np.asarray(label) == 1
    values = np.asarray(score, dtype=np.float64)
    if bad.shape != values.shape or bad.ndim != 1:
        raise ValueError(f"{bad.shape} labels but {values.shape} scores")
    if not np.isfinite(values).all():
        raise ValueError("a score is missing or infinite")
    if bad.all() or not bad.any():
        raise ValueError(f"{bad.sum()} bad of {bad.size} rows: both classes are needed")
    return bad, values


def _group_sizes(values: Floats) -> npt.NDArray[np.int64]:
    """Sizes of the groups of equal scores, riskiest first."""
    return np.unique(-values, return_counts=True)[1].astype(np.int64)


def _cumulative(bad: npt.NDArray[np.bool_], values: Floats) -> tuple[Floats, Floats]:
    """Cumulative shares of good and of bad rows after each group of equal scores, from 0."""
    last = np.append(0, np.cumsum(_group_sizes(values)))
    hits = np.append(0, np.cumsum(bad[np.argsort(-values, kind="stable")]))
    tpr = hits[last] / bad.sum()
    fpr = (last - hits[last]) / (bad.size - bad.sum())
    return fpr.astype(np.float64), tpr.astype(np.float64)
