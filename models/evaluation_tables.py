"""Tables from the figures that an evaluation opened: arithmetic on public counts.

`curve` and `histogram` are those of `models.evaluation.SecretFigures.open`: cumulative counts at an
agreed resolution, and counts between agreed edges of the log-odds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


def gini(auc: float) -> float:
    """2·AUC - 1."""
    return 2 * auc - 1


def gain_table(curve: Counts, bands: int) -> list[dict[str, Any]]:
    """Bands of equal frequency, band 1 the riskiest, with lift and the gap between the classes.

    The curve's points must be a multiple of `bands`, or its nearest points serve as ends.
    """
    places = np.round(np.linspace(0, len(curve) - 1, bands + 1)).astype(int)
    bad_total, good_total = (max(1, int(v)) for v in curve[-1])
    base = curve[-1, 0] / max(1, int(curve[-1].sum()))
    table = []
    for band in range(bands):
        bad, good = (int(v) for v in curve[places[band + 1]] - curve[places[band]])
        seen_bad, seen_good = (int(v) for v in curve[places[band + 1]])
        rate = bad / max(1, bad + good)
        table.append({
            'band': band + 1, 'rows': bad + good, 'bad': bad, 'good': good, 'bad_rate': rate,
            'lift': rate / base if base else 0.0, 'cum_bad_share': seen_bad / bad_total,
            'cum_good_share': seen_good / good_total,
            'cum_lift': seen_bad / max(1, seen_bad + seen_good) / base if base else 0.0,
            'ks': abs(seen_bad / bad_total - seen_good / good_total)})
    return table


def ks_curve(curve: Counts) -> dict[str, list[float]]:
    """Cumulative shares of bad and good rows and their gap, at every point of the curve."""
    bad = curve[:, 0] / max(1, int(curve[-1, 0]))
    good = curve[:, 1] / max(1, int(curve[-1, 1]))
    return {'bad': bad.tolist(), 'good': good.tolist(), 'gap': np.abs(bad - good).tolist()}


def confusion(histogram: Counts, edges: npt.ArrayLike) -> list[dict[str, Any]]:
    """Per edge of the log-odds: rows at or above it are called bad, the others good."""
    above = histogram[::-1].cumsum(0)[::-1][1:]
    bad_total, good_total = (int(v) for v in histogram.sum(0))
    table = []
    for edge, (tp, fp) in zip(np.asarray(edges).tolist(), above.tolist(), strict=True):
        fn, tn = bad_total - tp, good_total - fp
        table.append({'threshold': edge, 'tp': tp, 'fp': fp, 'fn': fn, 'tn': tn,
                      'accuracy': (tp + tn) / max(1, bad_total + good_total),
                      'precision': tp / max(1, tp + fp), 'recall': tp / max(1, bad_total),
                      'specificity': tn / max(1, good_total)})
    return table


def calibration_table(sums: npt.NDArray[np.float64]) -> list[dict[str, Any]]:
    """Bands of the log-odds from (bands, 3) sums of bad, good and predicted bad rows."""
    return [{'band': k + 1, 'rows': int(bad + good), 'bad': int(bad),
             'observed': bad / max(1.0, bad + good), 'expected': expected / max(1.0, bad + good)}
            for k, (bad, good, expected) in enumerate(np.asarray(sums, float).tolist())]


def psi_band(value: float) -> str:
    """What a PSI means: stable below 0.1, investigate below 0.25, shifted from there on."""
    return 'stable' if value < 0.1 else 'investigate' if value < 0.25 else 'shifted'
