"""Predicted cost of a table of any dimensions, without percentiles.

As for the other programs (`protocols.stats.job_costs`): exact but for what sorts compare.
"""

from __future__ import annotations

import math

from engine import costs
from engine.costs import Prediction, sequence
from protocols.stats.costs import after_sort_cost, beside, claimed_cost, described_cost
from protocols.stats.job_costs import (
    decided_cost,
    group_sort_cost,
    opened_cost,
    sort_cost,
)
from protocols.stats.joint_table import TAG_BITS, TableParameters


def joint_table_cost(p: TableParameters, m: int, t: int, outside: bool = False) -> Prediction:
    """`joint_table` over all institutions, for a receiver that computes or one `outside`."""
    if p.percentiles:
        raise ValueError('there is no formula for percentiles')
    count, spec = len(p.institutions), p.joint(p.institutions)
    n, ends, largest = count * p.rows, spec.cells + 1, p.rules.largest
    parts = [claimed_cost(p.form, count, m, t)]
    if p.attribute:
        n += p.attribute.companies
        one = costs.product(n, m, t)
        parts += [claimed_cost(p.attribute_form, 1, m, t), sort_cost(n, 2, m, t, table=8),
                  costs.equal(n, m, t), one, Prediction(one.rounds, 2 * one.total_bytes)]
    weighted = costs.product(n, m, t)
    grouped = after_sort_cost(n, ends, spec.cells, m, t, largest=largest, squares=p.variance)
    parts += [weighted, group_sort_cost(n + ends, ends, p.amount_bits, 2, m, t)]
    if p.distinct:
        # The end of the first grouping goes on beside the sort by company.
        tail = [costs.less_than(1, m, t), costs.product(1, m, t)]
        parts += [Prediction(grouped.rounds - sum(c.rounds for c in tail), grouped.total_bytes),
                  sort_cost(n, 2 if TAG_BITS + 1 + n.bit_length() > 62 else 1, m, t),
                  described_cost(n, 0, 1, m, t), beside(weighted, weighted)]
        bits = spec.cells.bit_length() + n.bit_length()
        parts += [sort_cost(n, 2 - (min(62, bits) + n.bit_length() <= 62), m, t, table=3),
                  costs.less_than(n - 1, m, t), _partition_cost(n, 3, m, t), weighted, weighted,
                  group_sort_cost(n + ends, ends, p.amount_bits + n.bit_length(), 2, m, t),
                  after_sort_cost(n, ends, spec.cells, m, t, largest=largest)]
    else:
        parts += [grouped]
    parts += [decided_cost(spec, p.rules, m, t)]
    if p.variance:
        # Sums of squares are one figure more.
        parts += [beside(costs.product(math.prod(spec.extended), m, t))]
    parts += [opened_cost(spec, m, t, 1 + len(spec.measures) + p.variance, outside)]
    return sequence(m, *parts)


def _partition_cost(n, columns, m, t):
    """`partition` of n rows: places, a shuffle, and an opening."""
    return sequence(m, costs.product(n, m, t), costs.shuffle(n * (columns + 1), m, t),
                    costs.open_all(n, m, t))
