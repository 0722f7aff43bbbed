"""Comparisons of samples on shares: calibration, PSI, and figures by segment.

What opens is for the caller to say; these return shares. Rows carry shared classes (bad, good), and
(0, 0) where they do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.evaluation import SecretFigures, figures_of, ranked
from protocols.woe import woe_iv

CELL = 10
"""Rows of either class that a segment needs before anything about it opens."""
_FIGURES = ('auc', 'ks', 'curve', 'histogram')


def calibration(mpc, odds, classes, edges):
    """Shared (len(edges) + 1, 3): bad, good and predicted bad rows between the edges of the odds.

    `odds` (n,) log-odds, `classes` (n, 2), `edges` ascending and public or shared (k,). Predicted
    rows are sums of chances, with 20 fractional bits. About 21 rounds, a comparison per row and
    edge and a logistic function per row.
    """
    n = odds.shape[0]
    count = classes.sum(1)
    expected = mpc.multiply(mpc.sigmoid(odds, 20), count)
    sums = mpc.concatenate([classes, expected.reshape(n, 1)], axis=1)
    return _between(mpc, odds, sums, edges)


def psi(mpc, expected, actual, edges):
    """Shared population stability index () of two samples of a score.

    `expected` and `actual` are pairs (scores (n,), counting 0/1 (n,)), `edges` ascending, public or
    shared (k,). Σ (A - E) ln(A / E) over the k + 1 bands; a band that is empty in exactly one
    sample gets half a row more in both, as bins do. About 60 rounds.
    """
    counts = [_between(mpc, scores, count.reshape(-1, 1), edges)
              for scores, count in (actual, expected)]
    table = mpc.concatenate(counts, axis=1)
    bands = table.shape[0]
    # The index of two samples is the information value of the band for the sample.
    _, value = woe_iv(mpc, table.reshape(1, bands, 2), table.sum(0))
    return value[0]


def _between(mpc, scores, sums, edges):
    """(k + 1, columns): column sums of the rows below, between and above the edges."""
    n, k = scores.shape[0], edges.shape[0]
    limits = edges.with_frac(scores.frac) if hasattr(edges, 'with_frac') else \
        mpc.array(edges, scores.frac)
    below = scores.reshape(n, 1) < limits.reshape(1, k)
    total = sums.sum(0).reshape(1, -1)
    steps = mpc.concatenate([below.T @ sums, total], axis=0)
    return mpc.concatenate([steps[:1], steps[1:] - steps[:-1]], axis=0)


@dataclass
class SecretSegment:
    """Figures of one segment, zero unless the shared bit `shown` is 1."""

    figures: SecretFigures
    shown: Any

    async def open(self, mpc, receivers) -> dict[str, Any] | None:
        """The figures as `SecretFigures.open`, or {"suppressed": rule}; None for other parties."""
        shown = await mpc.output(self.shown.reshape(1), receivers)
        opened = await self.figures.open(mpc, receivers)
        if opened is None:
            return None
        return opened if shown[0] else {'suppressed': 'minimum-cell'}


async def evaluate_segments(mpc, odds, classes, segments, *, points: int, edges,
                            minimum: int = CELL) -> list[SecretSegment]:
    """Figures of each segment of the rows, and none of those with too few rows.

    `segments` (n, s) are shared indicators. A segment is shown if it has at least `minimum` bad and
    `minimum` good rows; that is decided before anything opens, and what opens of the others is
    zeros and that they are not shown. One sort serves all segments.
    """
    n, s = segments.shape
    columns = [classes * segments[:, k].reshape(n, 1) for k in range(s)]
    [(key, table)] = await ranked(mpc, [odds], mpc.concatenate(columns, axis=1))
    out = []
    for k in range(s):
        rows = table[:, 2 * k:2 * k + 2]
        figures = figures_of(mpc, key, rows, odds.frac, points, edges)
        shown = mpc.all(1 - (rows.sum(0) < minimum))
        hidden = SecretFigures(*(getattr(figures, name) * shown for name in _FIGURES))
        await hidden.ready()
        out.append(SecretSegment(hidden, shown))
    return out

