"""Monotone merging on shares: bad rates that only rise or only fall, for many features at once.

Pooling adjacent violators is sequential, but its result has a closed form: the boundaries that stay
are the corners of the greatest convex minorant of the points (rows so far, bad rows so far). A
point k is a corner unless for some i < k < j it lies on or above the line from i to j, which is a
comparison of whole numbers. So the pools are exact, ties included, in a constant number of rounds.
Merging them further by size and number (`protocols.binning_chi`) keeps them monotone.

Sources: Ayer, Brunk, Ewing, Reid, Silverman, Ann. Math. Statist. 26 (1955); Robertson, Wright,
Dykstra, "Order restricted statistical inference" (1988), chapter 1.
"""

from __future__ import annotations

import numpy as np

from engine import costs
from protocols.binning_chi import chi_merge, chi_merge_cost
from protocols.costs import products, total


async def monotone_merge(mpc, counts, *, max_bins: int = 8, min_share: float = 0.05):
    """Shared boundary bits (features, pre-bins - 1) from shared counts (features, pre-bins, 2).

    Pools of monotone bad rate, merged further until there are at most `max_bins` of at least
    `min_share` of the rows each. Rounds and bytes: `monotone_merge_cost`. Nothing is revealed.
    """
    return await chi_merge(mpc, counts, threshold=0.0, max_bins=max_bins, min_share=min_share,
                           kept=pooled(mpc, counts))


def pooled(mpc, counts):
    """Shared boundary bits of the pools with monotone bad rate; exact below 2^30 rows.

    The direction is that of the feature's Gini; neighbours of equal rate are one pool. 38 rounds
    (t = 1); pre-bins^3 / 6 comparisons per feature.
    """
    features, bins, _ = counts.shape
    if bins < 2:
        return mpc.array(np.zeros((features, 0), np.int64))
    counts = _rising(mpc, counts)
    start = mpc.array(np.zeros((features, 1), np.int64))
    size = mpc.concatenate([start, counts.sum(2).cumsum(1)], axis=1)
    bad = mpc.concatenate([start, counts[:, :, 0].cumsum(1)], axis=1)
    # Whether there are rows between two points.
    first, second = np.triu_indices(bins + 1, 1)
    rows = size.take(first, axis=1) < size.take(second, axis=1)
    place = np.zeros((bins + 1, bins + 1), np.int64)
    place[first, second] = np.arange(len(first))
    i, k, j = _triples(bins)
    below = (bad.take(k, axis=1) - bad.take(i, axis=1), size.take(j, axis=1) - size.take(k, axis=1))
    above = (bad.take(j, axis=1) - bad.take(k, axis=1), size.take(k, axis=1) - size.take(i, axis=1))
    both = mpc.multiply(mpc.concatenate([below[0], above[0]], axis=1),
                        mpc.concatenate([below[1], above[1]], axis=1))
    steep = 1 - (both[:, :len(i)] < both[:, len(i):])
    counted = rows.take(place[i, k], axis=1) * rows.take(place[k, j], axis=1)
    violations = (steep * counted) @ (k[:, None] == np.arange(1, bins)).astype(np.int64)
    corner = violations < 1
    # A point after an empty pre-bin, or with no rows beyond it, repeats another one.
    gaps = np.arange(1, bins)
    real = rows.take(place[gaps - 1, gaps], axis=1) * rows.take(place[gaps, bins], axis=1)
    return corner * real


def _rising(mpc, counts):
    """The counts with the classes exchanged where bad rows tend to lie in earlier pre-bins."""
    bad, good = counts[:, :, 0], counts[:, :, 1]
    earlier = mpc.stack([good.cumsum(1) - good, -(bad.cumsum(1) - bad)], axis=2)
    weighted = mpc.multiply(mpc.stack([bad, good], axis=2), earlier)
    falling = (weighted.sum(2).sum(1) < 0).reshape(-1, 1)
    change = falling * (good - bad)
    return mpc.stack([bad + change, good - change], axis=2)


def _triples(bins):
    """All places i < k < j of points 0 … bins."""
    i, k, j = np.meshgrid(*[np.arange(bins + 1)] * 3, indexing='ij')
    chosen = (i < k) & (k < j)
    return i[chosen], k[chosen], j[chosen]


def monotone_merge_cost(features: int, prebins: int, m: int, t: int) -> costs.Prediction:
    """Rounds (t = 1) and bytes over all parties of `monotone_merge`."""
    if prebins < 2:
        return costs.Prediction(0, 0)
    b, triples = prebins, (prebins + 1) * prebins * (prebins - 1) // 6
    pairs = b * (b + 1) // 2
    merging = chi_merge_cost(features, b, m, t, threshold=0.0)
    return total(merging.rounds + 38, merging,
                 costs.less_than(features * (1 + pairs + triples + b - 1), m, t),
                 products(features * (2 * b + b + 4 * triples + 2 * (b - 1)), m, t))
