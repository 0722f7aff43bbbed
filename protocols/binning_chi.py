"""ChiMerge on shares, for many features at once.

A feature's groups stand in a list of fixed length. Every step removes one boundary or does nothing;
which, stays secret: two groups are added and the later ones move up, by one product per entry.
The rules are those of `models.plain.binning.chi_merge`. Statistics within 10^-5 of each other
count as equal, and either may be merged first.

Source: Kerber, "ChiMerge: discretization of numeric attributes", AAAI 1992.
"""

from __future__ import annotations

import numpy as np

from engine import costs, field
from protocols.binning_merge import CHI_PLACE, small_bits
from protocols.choice import (
    THRIFTY,
    choice_cost,
    choice_rounds,
    first_best,
    first_one,
    first_one_cost,
    inner,
)
from protocols.costs import products, reciprocal, total

_RATE, _CHI = 40, 24
_NEVER = 1 << 30


async def chi_merge(mpc, counts, *, threshold: float = 2.705543454095404, max_bins: int = 8,
                    min_share: float = 0.05, kept=None):
    """Shared boundary bits (features, pre-bins - 1) from shared counts (features, pre-bins, 2).

    Up to 2^22 rows. `kept` (features, pre-bins - 1) are boundary bits that others have given up
    where they are 0. pre-bins - 1 steps of a fixed shape: rounds and bytes as in
    `chi_merge_cost`. Nothing is revealed.
    """
    features, bins, _ = counts.shape
    if not 0 < min_share < 1 or max_bins < 1 or threshold < 0:
        raise ValueError(f'min_share {min_share}, max_bins {max_bins}, threshold {threshold}: '
                         'expected a share between 0 and 1, at least 1, at least 0')
    if bins < 2:
        return mpc.array(np.zeros((features, 0), np.int64))
    rows = counts.sum(2).sum(1)
    ends = mpc.array(np.broadcast_to(np.arange(bins).reshape(1, bins, 1), (features, bins, 1)))
    drop = 1 - kept if kept is not None else mpc.array(np.zeros((features, bins - 1), np.int64))
    last = mpc.array(np.zeros((features, 1), np.int64))
    # Per group: bad, good, its last pre-bin, and whether the boundary after it is given up.
    table = mpc.concatenate([counts, ends, mpc.concatenate([drop, last], axis=1)
                             .reshape(features, bins, 1)], axis=2)
    alive = mpc.array(np.ones((features, bins), np.int64))
    for _ in range(bins - 1):
        table, alive = _step(mpc, table, alive, rows, threshold, max_bins, min_share)
        await table.ready()  # a step is one block: the next one would only wait beside it
    # A boundary stays where a living group, but not the last one, ends.
    after = mpc.equal(table[:, :, 2].reshape(features, bins, 1), np.arange(bins - 1))
    return (after * alive.reshape(features, bins, 1)).sum(1)


def _step(mpc, table, alive, rows, threshold, max_bins, min_share):
    features, bins, _ = table.shape
    groups = table[:, :, :2]
    pair = alive[:, 1:]  # the living groups come first, so the left one of a pair lives too
    given_up = table[:, :-1, 3] * pair
    forced = first_one(mpc, given_up) if bins > 2 else given_up
    # The reasons to merge, the first that holds: given up, weak, small, many.
    sizes = groups.sum(2)
    least = first_best(mpc, -sizes - _NEVER * (1 - alive), THRIFTY)
    small = inner(mpc, least, small_bits(mpc, sizes, rows, min_share))
    count = alive.sum(1)
    limits = mpc.stack([count, count], axis=1) < np.array([2, max_bins + 1])
    any_forced = inner(mpc, forced, given_up)
    rest = (1 - any_forced) * (1 - limits[:, 0])
    for_size = rest * small
    for_number = (rest - for_size) * (1 - limits[:, 1])
    # Which boundary: the lowest chi-square, and the lower one beside the smallest group.
    chi = pair * (_chi_square(mpc, groups) + CHI_PLACE * np.arange(bins - 1))
    keys = -chi - _NEVER * (1 - pair)
    best = first_best(mpc, keys, THRIFTY)
    left = inner(mpc, least[:, 1:], keys) - _NEVER * least[:, 0]
    right = inner(mpc, least[:, :-1], keys) - _NEVER * inner(mpc, least, _last(mpc, alive))
    to_right = (left < right).reshape(-1, 1)
    beside = least[:, 1:] + to_right * (least[:, :-1] - least[:, 1:])
    if threshold > 0:
        weak = inner(mpc, best, keys > -threshold).reshape(-1, 1)
        reasons = mpc.stack([rest, for_size, for_number], axis=1)
        held = weak * reasons
        for_size, for_number = for_size - held[:, 1], for_number - held[:, 2] + held[:, 0]
    forced_now = any_forced * (1 - limits[:, 0])
    weights = mpc.stack([forced_now, for_size, for_number], axis=1)
    removed = inner(mpc, mpc.stack([forced, beside, best], axis=2),
                    weights.reshape(features, 1, 3))
    return _merged(mpc, table, removed), \
        alive - _last(mpc, alive) * removed.sum(1).reshape(-1, 1)


def _last(mpc, alive):
    """Indicator of the last living group."""
    features = alive.shape[0]
    after = mpc.concatenate([alive[:, 1:], mpc.array(np.zeros((features, 1), np.int64))], axis=1)
    return alive - after


def _merged(mpc, table, removed):
    """The list of groups without the boundaries whose bit is 1 (at most one per feature).

    From there on every group becomes the next one; the counts of the two beside it are added.
    """
    features = table.shape[0]
    nothing = mpc.array(np.zeros((features, 1, 4), np.int64))
    following = mpc.concatenate([table[:, 1:], nothing], axis=1)
    at = mpc.concatenate([removed, nothing[:, :, 0]], axis=1)
    behind = at.cumsum(1)

    def kernel(table, following, behind, at):
        change = field.mul(behind[:, :, None], field.sub(following, table))
        counts = field.mul(at[:, :, None], table[:, :, :2])
        change[:, :, :2] = field.add(change[:, :, :2], counts)
        return change
    return table + mpc.product('multiply', [table, following, behind, at], kernel, table.shape,
                               0, 0)


def _chi_square(mpc, groups):
    """Chi-square (features, bins - 1) of neighbouring groups, 0 where it is not defined.

    N · (ad - bc) / (r1 r2) · (ad - bc) / (c1 c2): each quotient is at most 1.
    """
    first, second = groups[:, :-1], groups[:, 1:]

    def cross(first, second):
        return field.sub(field.mul(first[:, :, 0], second[:, :, 1]),
                         field.mul(first[:, :, 1], second[:, :, 0]))
    both = first + second
    shape = both.shape[:2]
    difference = mpc.product('multiply', [first, second], cross, shape, 0, 0)
    sizes, columns = groups.sum(2), both
    inverse = mpc.reciprocal(mpc.concatenate([sizes.ravel(), columns.ravel()]), _RATE)
    size = inverse[:sizes.size].reshape(sizes.shape)
    column = inverse[sizes.size:].reshape(columns.shape)
    twice = mpc.stack([difference, difference], axis=2)
    once = mpc.multiply(twice, mpc.stack([size[:, :-1], column[:, :, 0]], axis=2), _CHI)
    rates = mpc.multiply(once, mpc.stack([size[:, 1:], column[:, :, 1]], axis=2), _RATE)
    square = mpc.multiply(rates[:, :, 0], rates[:, :, 1], _RATE)
    return mpc.multiply(square, both.sum(2), _CHI)


def chi_merge_cost(features: int, prebins: int, m: int, t: int,
                   threshold: float = 2.705543454095404) -> costs.Prediction:
    """Rounds (t = 1) and bytes over all parties of `chi_merge`."""
    if prebins < 2:
        return costs.Prediction(0, 0)
    b, g, weak = prebins, prebins - 1, threshold > 0
    step = total(
        30 + 1 + choice_rounds(g, THRIFTY) + (2 if weak else 0) + 2,
        choice_cost(b, m, t, THRIFTY), choice_cost(g, m, t, THRIFTY),
        first_one_cost(g, m, t) if g > 1 else costs.Prediction(0, 0),
        costs.less_than(b + 2 + 1 + (g if weak else 0), m, t), reciprocal(b + 2 * g, m, t),
        # Chi-square 7, given up, living pairs, beside, removed; the table and who lives.
        products(11 * g + 5 * b + 9 + (4 if weak else 0), m, t))
    last = total(costs.equal(1, m, t).rounds + 1, costs.equal(b * g, m, t),
                 products(b * g, m, t))
    return costs.Prediction(g * step.rounds + last.rounds,
                            features * (g * step.total_bytes + last.total_bytes))
