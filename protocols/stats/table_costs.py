"""Predicted cost of a table of any dimensions.

As for the other programs (`protocols.stats.job_costs`): exact but for what sorts compare.
"""

from __future__ import annotations

import math

from engine import costs
from engine.costs import Prediction, sequence
from protocols.stats.costs import (
    after_sort_cost,
    beside,
    claimed_cost,
    described_cost,
    percentile_cost,
)
from protocols.stats.job_costs import (
    decided_cost,
    group_sort_cost,
    opened_cost,
    sort_cost,
)
from protocols.stats.joint_table import TAG_BITS, TableParameters


def joint_table_cost(p: TableParameters, m: int, t: int, outside: bool = False) -> Prediction:
    """`joint_table` over all institutions, for a receiver that computes or one `outside`."""
    count, spec = len(p.institutions), p.joint(p.institutions)
    n, ends, largest = count * p.rows, spec.cells + 1, p.rules.largest
    parts = [claimed_cost(p.form, count, m, t)]
    if p.attribute:
        n += p.attribute.companies
        one = costs.product(n, m, t)
        parts += [claimed_cost(p.attribute_form, 1, m, t), sort_cost(n, 2, m, t, table=8),
                  costs.equal(n, m, t), one, Prediction(one.rounds, 2 * one.total_bytes)]
    weighted, levels = costs.product(n, m, t), len(p.percentiles)
    grouped = after_sort_cost(n, ends, spec.cells, m, t, largest=largest, squares=p.variance)
    # The largest contributions and all percentiles are found at once, from the sums.
    largest_rounds = costs.less_than(1, m, t).rounds + costs.product(1, m, t).rounds
    ranked = [percentile_cost(n + ends, spec.cells, m, t)] * levels
    parts += [weighted, group_sort_cost(n + ends, ends, p.amount_bits, 2, m, t),
              Prediction(grouped.rounds - largest_rounds, grouped.total_bytes), beside(*ranked)]
    if p.distinct:
        # They go on beside the sort by company.
        parts += [sort_cost(n, 2 if TAG_BITS + 1 + n.bit_length() > 62 else 1, m, t),
                  described_cost(n, 0, 1, m, t), beside(weighted, weighted)]
        bits = spec.cells.bit_length() + n.bit_length()
        parts += [sort_cost(n, 2 - (min(62, bits) + n.bit_length() <= 62), m, t, table=3),
                  costs.less_than(n - 1, m, t), _partition_cost(n, 3, m, t), weighted, weighted,
                  group_sort_cost(n + ends, ends, p.amount_bits + n.bit_length(), 2, m, t),
                  after_sort_cost(n, ends, spec.cells, m, t, largest=largest)]
    else:
        parts += [Prediction(max([largest_rounds, *[c.rounds for c in ranked]]), 0)]
    parts += [decided_cost(spec, p.rules, m, t, perturbation=p.noise)]
    if p.variance:
        # Sums of squares are one figure more.
        parts += [beside(costs.product(math.prod(spec.extended), m, t))]
    if levels:
        parts += [_ranks_cost(spec, levels, m, t, outside)]
    parts += [opened_cost(spec, m, t, 1 + len(spec.measures) + p.variance, outside)]
    return sequence(m, *parts)


def _ranks_cost(spec, levels, m, t, outside):
    """Which percentiles have enough rows on both sides, those that have, and their opening: a round
    more than for the other figures."""
    count = levels * spec.cells
    one = costs.product(count, m, t)
    last = costs.product(2 * count, m, t) if outside else costs.open_all(2 * count, m, t, 1)
    return Prediction(one.rounds, 2 * one.total_bytes
                      + beside(costs.less_than(count, m, t), last).total_bytes)


def _partition_cost(n, columns, m, t):
    """`partition` of n rows: places, a shuffle, and an opening."""
    return sequence(m, costs.product(n, m, t), costs.shuffle(n * (columns + 1), m, t),
                    costs.open_all(n, m, t))
