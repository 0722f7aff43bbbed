"""Merging of pre-bins by the label, by the rules of a job; on shares."""

from __future__ import annotations

from typing import Any

from engine import costs
from models.binning_rules import BinningRules
from protocols.binning_chi import chi_merge, chi_merge_cost
from protocols.binning_monotone import monotone_merge, monotone_merge_cost
from protocols.binning_tree import tree_merge, tree_merge_cost
from protocols.costs import products, total

_MERGES: dict[str, Any] = {'tree': tree_merge, 'chimerge': chi_merge, 'monotone': monotone_merge}
_AT_ONCE = 1 << 19
"""Features at a time, times triples of pre-bins: what monotone merging compares at once."""


async def merged_boundaries(mpc, counts, rules: BinningRules):
    """Shared boundary bits (features, pre-bins - 1) from shared counts (features, pre-bins, 2).

    All features are merged at once, up to some hundred; more one group after the other. Features
    that lack a class in their pre-bins stay in one bin. The number of steps is public. Rounds and
    bytes: `merged_boundaries_cost`. Nothing is revealed.
    """
    features, prebins, _ = counts.shape
    lacking = counts.sum(1) < 1
    # The protocols need rows of both classes.
    last = counts[:, prebins - 1:] + lacking.reshape(features, 1, 2)
    counts = mpc.concatenate([counts[:, :prebins - 1], last], axis=1)
    known = ((1 - lacking[:, 0]) * (1 - lacking[:, 1])).reshape(features, 1)
    width, parts = _width(prebins), []
    for start in range(0, features, width):
        bits = await _MERGES[rules.method](mpc, counts[start:start + width],
                                           max_bins=rules.max_bins, min_share=rules.min_share)
        parts.append(bits * known[start:start + width])
        await parts[-1].ready()
    return mpc.concatenate(parts)


def _width(prebins):
    return max(1, 6 * _AT_ONCE // prebins**3)


def merged_boundaries_cost(features: int, rules: BinningRules, m: int, t: int) -> costs.Prediction:
    """Rounds (t = 1; of one group of features) and bytes over all parties of `merged_boundaries`.
    """
    def merging(number):
        if rules.method == 'tree':
            return tree_merge_cost(number, rules.prebins, m, t, rules.max_bins)
        cost = chi_merge_cost if rules.method == 'chimerge' else monotone_merge_cost
        return cost(number, rules.prebins, m, t)
    width = _width(rules.prebins)
    groups = [merging(min(width, features - start)) for start in range(0, features, width)]
    lacking = costs.less_than(2 * features, m, t)
    return total(lacking.rounds + groups[0].rounds + 1, lacking, *groups,
                 products(features * rules.prebins, m, t))
