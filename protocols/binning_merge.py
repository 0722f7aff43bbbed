"""What the ways of merging pre-bins on shares have in common.

Pre-bins are merged by shared boundary bits (features, pre-bins - 1): 1 where an edge stays. The
bits never open, but those of a feature to its owner, who needs its breaks. Counts of the merged
bins, WOE and IV stay shared, one value per pre-bin.
"""

from __future__ import annotations

import numpy as np

from engine import costs
from protocols.costs import log, products, reciprocal, total
from protocols.woe import woe_terms

CHI_PLACE, IV_PLACE = 2.0**-18, 2.0**-20
"""What a boundary's place counts among equal chi-squares and IVs, so that of equals the first is
taken in spite of the truncation error (and an empty pre-bin joins the one before it)."""
SHARE_UNIT = 10_000
"""A minimum share of the rows is a whole number of ten-thousandths."""


def same_bin(mpc, boundaries):
    """Shared bits (features, pre-bins, pre-bins): whether two pre-bins were merged.

    ceil(log2(pre-bins - 1)) rounds: the product of the dropped boundaries between the two, over
    distances that double.
    """
    features, gaps = boundaries.shape
    bins = gaps + 1
    runs = {1: 1 - boundaries}
    for distance in range(2, bins):
        left, right = runs[-(-distance // 2)], runs[distance // 2]
        shift = -(-distance // 2)
        runs[distance] = left[:, :bins - distance] * right[:, shift:shift + bins - distance]
    place, parts = np.zeros((bins, bins), np.int64), [mpc.array(np.ones((features, 1), np.int64))]
    used = 1
    for distance in range(1, bins):
        first = np.arange(bins - distance)
        place[first, first + distance] = place[first + distance, first] = used + first
        used += len(first)
        parts.append(runs[distance])
    flat = mpc.concatenate(parts, axis=1)
    return flat.take(place.ravel(), axis=1).reshape(features, bins, bins)


def merged_counts(mpc, counts, boundaries):
    """Counts (features, pre-bins, 2) of the merged bin that each pre-bin belongs to.

    One round more than `same_bin`.
    """
    return mpc.matrix_product(same_bin(mpc, boundaries), counts)


def merged_woe(mpc, counts, boundaries, totals):
    """(WOE, IV): the WOE of each bin's merged bin (features, bins), and the IV (features,).

    `counts` (features, bins, 2) hold the pre-bins that `boundaries` merge and after them the bins
    of missing and special values, which stay as they are. Rounds and bytes: `merged_woe_cost`.
    """
    regular = boundaries.shape[1] + 1
    merged = merged_counts(mpc, counts[:, :regular], boundaries)
    woe, terms = woe_terms(mpc, mpc.concatenate([merged, counts[:, regular:]], axis=1), totals)
    # The IV counts every merged bin once, at its first pre-bin.
    once = boundaries * terms[:, 1:regular]
    return woe, terms[:, 0] + once.sum(1) + terms[:, regular:].sum(1)


def merged_woe_cost(features: int, prebins: int, bins: int, m: int, t: int) -> costs.Prediction:
    """Rounds and bytes over all parties of `merged_woe`, `prebins` of `bins` merged."""
    pairs = prebins * (prebins - 1) // 2 - (prebins - 1)
    depth = (prebins - 2).bit_length() if prebins > 2 else 0
    woe = woe_cost(features, bins, m, t)
    return total(depth + 1 + woe.rounds + 1, woe,
                 products(features * (pairs + 2 * prebins + prebins - 1), m, t))


def woe_cost(features: int, bins: int, m: int, t: int) -> costs.Prediction:
    """Rounds and bytes over all parties of `protocols.woe.woe_iv`."""

    cells = features * bins
    less = costs.less_than(2 * cells, m, t)
    return total(less.rounds + log(1, m, t).rounds + 3, less, log(2 * cells + 2, m, t),
                 reciprocal(2, m, t), products(5 * cells, m, t))


def open_boundaries(mpc, boundaries, owner: int):
    """The boundary bits of an owner's features, awaitable: a NumPy array there, None elsewhere.

    They tell the owner its own breaks, and with them what the label says about its bins. One round,
    16 t bytes per bit. `protocols.binning.kept_breaks` applies them.
    """
    return mpc.output(boundaries, owner)


def small_bits(mpc, sizes, rows, min_share: float):
    """Shared bits: which of the bins of so many rows (features, k) have less than a share of `rows`
    (features,), the feature's rows in its regular bins; one comparison each."""
    return SHARE_UNIT * sizes < (round(SHARE_UNIT * min_share) * rows).reshape(-1, 1)
