"""Evaluation on shares: AUC, KS, ROC, lift and score distribution of a shared score.

Rows carry shared 0/1 weights as (bad, good) pairs; rows that count nowhere are (0, 0). They are
sorted by score on shares, so every figure comes from cumulative sums, which are local. Ties are
treated as the textbook does: AUC counts a tied pair half, KS looks only at the ends of groups of
equal scores. Only the final figures open, to the receivers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from protocols.ascending import sums_up_to

FRAC = 24
_ODDS_BITS = 8
_ODDS_BOUND = float((1 << _ODDS_BITS) - 1)


@dataclass
class SecretFigures:
    """Figures of one model, still shared; `open` reveals them to the receivers."""

    auc: Any
    ks: Any
    curve: Any
    histogram: Any

    async def ready(self) -> None:
        """Wait until every figure is computed."""
        for figure in (self.auc, self.ks, self.curve, self.histogram):
            await figure.ready()

    async def open(self, mpc, receivers) -> dict[str, Any] | None:
        """{"auc", "ks", "curve" (points + 1, 2) [bad, good], "histogram" (bins, 2)} or None."""
        opened = await mpc.output([self.auc, self.ks, self.curve, self.histogram], receivers)
        if opened[0] is None:
            return None
        auc, ks, curve, histogram = opened
        # The last unit of a fixed-point figure may stand outside its range.
        auc, ks = np.clip([auc, ks], 0.0, 1.0).tolist()
        return {'auc': auc, 'ks': ks, 'curve': curve, 'histogram': histogram}


async def evaluate(mpc, odds, classes, *, points: int, edges) -> SecretFigures:
    """Figures of the score `odds` (n,) (higher is riskier) for `classes` (n, 2) [bad, good] bits.

    `curve` holds the bad and good rows among the riskiest k/points of all counting rows, for
    k = 0..points; `histogram` the counts between the ascending public `edges` of the log-odds.
    Both classes must occur, or AUC and KS are 0. Log-odds beyond ±255 count as ±255. Opens nothing
    itself beyond the comparisons of the sort, which are those of a random order.
    """
    [figures] = await evaluate_scores(mpc, [odds], classes, points=points, edges=edges)
    return figures


async def evaluate_scores(mpc, scores, classes, *, points: int, edges) -> list[SecretFigures]:
    """`evaluate` for several scores of the same rows, in little more than the rounds of one."""
    frac = scores[0].frac
    return [figures_of(mpc, key, rows, frac, points, edges)
            for key, rows in await ranked(mpc, scores, classes)]


def key_bits(frac: int) -> int:
    """Bits of a score with so many fractional bits, as rows are sorted by it."""
    return frac + _ODDS_BITS


async def ranked(mpc, scores, columns):
    """Per score (n,) the pair (-score as integers (n,), columns (n, k)) in order of the former."""
    n, frac = scores[0].shape[0], scores[0].frac
    tables = []
    for odds in scores:
        odds = mpc.minimum(mpc.maximum(odds.with_frac(frac), -_ODDS_BOUND), _ODDS_BOUND)
        tables.append(mpc.concatenate([(-odds).reinterpret(0).reshape(n, 1), columns], axis=1))
    ordered = await mpc.sort_tables(tables, key_bits=key_bits(frac), fixed_shape=True)
    return [(table[:, 0], table[:, 1:]) for table in ordered]


def figures_of(mpc, key, ranked, frac: int, points: int, edges) -> SecretFigures:
    """The figures of one score from its rows in order: `key` (n,) and `ranked` (n, 2) [bad, good].
    """
    auc, ks = separation(mpc, key, ranked[:, :1], ranked[:, 1:])
    return SecretFigures(auc[0], ks[0], _curve(mpc, ranked.cumsum(0), ranked, points),
                         _histogram(mpc, key, ranked, frac, edges))


def separation(mpc, key, bad, good):
    """(AUC, KS), each (k,), of one score for k sets of rows: (n, k) indicators of their bad and of
    their good rows, in order of `key` (n,). 0 for a set that lacks a class."""
    n, sets = bad.shape
    last = mpc.concatenate([mpc.less(key[:-1], key[1:]), mpc.array(np.ones(1, np.int64))])
    bads, goods = bad.cumsum(0), good.cumsum(0)
    pairs = bads[n - 1] * goods[n - 1]
    none = pairs < 1
    # 70 fractional bits keep the digits of the inverse of as many as 2^48 pairs.
    inverse = mpc.reciprocal(pairs + none, 70)
    before = mpc.last_marked(mpc.concatenate([bads, goods], axis=1), last)
    right, wrong = good * before[:, :sets], bad * before[:, sets:]
    # Pairs ranked right count 2, tied pairs 1.
    auc = mpc.multiply(right.sum(0) - wrong.sum(0) + pairs, inverse, FRAC) * 0.5
    gap = last.reshape(n, 1) * (bads * goods[n - 1] - goods * bads[n - 1])
    return auc, mpc.multiply(mpc.largest(mpc.absolute(gap)), inverse, FRAC)


def _curve(mpc, cumulative, ranked, points):
    """(points + 1, 2): bad and good rows among the riskiest floor(k·rows/points)."""
    rank = cumulative.sum(1)
    n = rank.shape[0]
    total = rank[n - 1]
    inner = sums_up_to(mpc, points * rank, ranked, mpc.stack([total * k for k in range(1, points)]))
    ends = mpc.array(np.zeros((1, 2), np.int64)), cumulative[n - 1].reshape(1, 2)
    return mpc.concatenate([ends[0], inner, ends[1]], axis=0)


def _histogram(mpc, key, ranked, frac, edges):
    """(len(edges) + 1, 2): counting rows below, between and above the edges of the log-odds."""
    # key = -odds, so odds < edge means key > -edge.
    levels = np.array([-round(float(e) * (1 << frac)) for e in edges], dtype=np.int64)
    total = ranked.sum(0).reshape(1, 2)
    below = total - sums_up_to(mpc, key, ranked, levels)
    return mpc.concatenate([below[:1], below[1:] - below[:-1], total - below[-1:]], axis=0)
