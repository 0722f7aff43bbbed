"""What the initiator gets of a credit job: tables and curves from what opened to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.evaluation_tables import calibration_table, confusion, gain_table, gini, psi_band
from models.parameters import Scaling
from protocols.binning_tables import OpenedTable

LEVEL = 0.95
"""Confidence level of the bounds of weights."""
_STEP = 20


def score_edges(scaling: Scaling) -> tuple[np.ndarray, np.ndarray]:
    """Score points, and the log-odds of bad that they stand for in ascending order.

    The points are multiples of a round step, from nine doublings of the odds below the scaling's
    own to five above.
    """
    step = max(1, round(scaling.pdo / _STEP)) * _STEP
    middle = round(scaling.points / step) * step
    points = np.arange(middle - 9 * step, middle + 5 * step + 1, step)
    return points, ((scaling.offset - points) / scaling.factor)[::-1]


def band_edges(scaling: Scaling) -> np.ndarray:
    """The log-odds between the bands of calibration and PSI: every second of `score_edges`."""
    return score_edges(scaling)[1][::2]


def figures(opened: dict[str, dict[str, Any]], scaling: Scaling, bands: int) -> dict[str, Any]:
    """Outputs by name and model from what `SecretFigures.open` gave for each model."""
    points, odds = score_edges(scaling)
    outputs: dict[str, dict[str, Any]] = {
        key: {} for key in ('auc', 'ks', 'gini', 'roc', 'lift', 'scores', 'cutoffs')}
    for name, one in opened.items():
        outputs['auc'][name], outputs['ks'][name] = one['auc'], one['ks']
        outputs['gini'][name] = gini(one['auc'])
        outputs['roc'][name] = _roc(one['curve'])
        outputs['lift'][name] = gain_table(one['curve'], bands)
        outputs['scores'][name] = _scores(one['histogram'], points)
        cutoffs = confusion(one['histogram'], odds)
        for row, point in zip(cutoffs, points[::-1].tolist(), strict=True):
            row['threshold'] = point
        outputs['cutoffs'][name] = cutoffs[::-1]
    return outputs


def calibration_bands(sums: np.ndarray, scaling: Scaling) -> list[dict[str, Any]]:
    """Calibration by bands of the score, the riskiest first; bands are named by their points."""
    points = score_edges(scaling)[0][::2].tolist()
    rows = calibration_table(np.asarray(sums)[::-1])
    ends = [None, *points, None]
    named = [{**row, 'from': low, 'to': high}
             for row, low, high in zip(rows, ends[:-1], ends[1:], strict=True)]
    return [row for row in named if row['rows']]


def bin_table(opened: OpenedTable, feature: int) -> list[dict[str, Any]]:
    """One opened table: rows of `bins` (their places) with `bad` and `good`; at last the closed
    bins as one row, with None where their sums stay closed too."""
    closed, sums = np.flatnonzero(opened.closed[feature]), opened.closed_sums[feature]
    counts = opened.counts[feature]
    rows: list[dict[str, Any]] = [
        {'bins': [int(k)], 'bad': int(counts[k, 0]), 'good': int(counts[k, 1])}
        for k in np.flatnonzero(~opened.closed[feature])]
    if len(closed):
        bad, good = (int(n) if sums.any() else None for n in sums)
        rows.append({'bins': closed.tolist(), 'bad': bad, 'good': good})
    return rows


def segment_table(values: Sequence[float | None], opened: Sequence[Mapping[str, Any]],
                  models: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of `value` (None for missing) with `rows`, `bad`, and `auc` and `ks` by model, or with
    the rule by which they are `suppressed`."""
    return [{'value': value, **one} if 'suppressed' in one else
            {'value': value, 'rows': one['bad'] + one['good'], 'bad': one['bad'],
             **{key: dict(zip(models, one[key], strict=True)) for key in ('auc', 'ks')}}
            for value, one in zip(values, opened, strict=True)]


def regression_table(features: list[str], opened: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Rows of the regression table from what `SecretInference.open` gave; the intercept comes last,
    with None as its feature."""
    rows = zip(*(opened[key].tolist() for key in opened), strict=True)
    return [{'feature': name, **dict(zip(opened, row, strict=True))}
            for name, row in zip([*features, None], rows, strict=True)]


def stability(value: float) -> dict[str, Any]:
    """PSI and what it means."""
    return {'psi': value, 'band': psi_band(value)}


def _roc(curve):
    bad, good = curve[:, 0], curve[:, 1]
    return {'fpr': (good / max(1, good[-1])).tolist(), 'tpr': (bad / max(1, bad[-1])).tolist()}


def _scores(histogram, points):
    step = int(points[1] - points[0])
    edges = [int(points[0]) - step, *points.tolist(), int(points[-1]) + step]
    ascending = histogram[::-1]
    return {'edges': edges, 'good': ascending[:, 1].tolist(), 'bad': ascending[:, 0].tolist()}
