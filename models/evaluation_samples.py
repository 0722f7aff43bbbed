"""Comparisons of samples on shares: calibration, PSI, and figures by segment.

What opens is for the caller to say; these return shares. Rows carry shared classes (bad, good), and
(0, 0) where they do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from models.evaluation import SecretFigures, figures_of, ranked, separation
from protocols.binning_tables import suppress
from protocols.woe import woe_iv

CELL = 10
"""Rows of either class that a segment needs before anything about it opens."""
_AT_ONCE = 1 << 18
"""Rows times segments whose figures are computed at a time."""


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
class SecretSegments:
    """Figures of k scores in s segments of the rows, zero where the bits `closed` (s,) are 1.

    `counts` (s, 2) bad and good rows, `auc` and `ks` (k, s).
    """

    counts: Any
    auc: Any
    ks: Any
    closed: Any

    async def open(self, mpc, receivers) -> list[dict[str, Any]] | None:
        """Per segment {"bad", "good", "auc" (k), "ks" (k)} or {"suppressed": rule}; None for
        parties that are no receivers."""
        opened = await mpc.output([self.counts, self.auc, self.ks, self.closed], receivers)
        if opened[0] is None:
            return None
        counts, auc, ks, closed = opened
        # The last unit of a fixed-point figure may stand outside its range.
        auc, ks = np.clip([auc, ks], 0.0, 1.0)
        return [{'suppressed': 'minimum-cell'} if closed[k] else
                {'bad': int(counts[k, 0]), 'good': int(counts[k, 1]), 'auc': auc[:, k].tolist(),
                 'ks': ks[:, k].tolist()} for k in range(len(closed))]


async def evaluate_by_segment(mpc, scores, classes, segments, *, points: int, edges,
                              minimum: int = CELL) -> tuple[list[SecretFigures], SecretSegments]:
    """`models.evaluation.evaluate_scores`, and figures of every segment; a sort per score serves
    both.

    `segments` (n, s) are shared indicators, exactly one per row that counts, s at least 2. A
    segment stays closed if it has fewer than `minimum` bad or good rows, an empty one too; and
    since those of all rows are known, so do others, the smallest first, until the closed ones
    together hold twice the minimum of both classes (`protocols.binning_tables.suppress`). That is
    decided before anything opens; what opens of a closed segment is zeros and that it is closed.
    """
    n, s = segments.shape
    bad, good = (classes[:, k:k + 1] * segments for k in (0, 1))
    counts = mpc.stack([bad.sum(0), good.sum(0)], axis=1)
    table = suppress(mpc, counts.reshape(1, s, 2), minimum)
    ordered = await ranked(mpc, scores, mpc.concatenate([classes, bad, good], axis=1))
    whole = [figures_of(mpc, key, rows[:, :2], scores[0].frac, points, edges)
             for key, rows in ordered]
    for one in whole:
        await one.ready()
    parts, width = [], max(1, _AT_ONCE // n)
    for start in range(0, s, width):
        stop = min(start + width, s)
        figures = [separation(mpc, key, rows[:, 2 + start:2 + stop],
                              rows[:, 2 + s + start:2 + s + stop]) for key, rows in ordered]
        both = mpc.stack([mpc.stack([one[k] for one in figures]) for k in (0, 1)])
        await both.ready()
        parts.append(both)
    shown = mpc.concatenate(parts, axis=2) * (1 - table.closed)
    return whole, SecretSegments(table.counts[0], shown[0], shown[1], table.closed[0])
