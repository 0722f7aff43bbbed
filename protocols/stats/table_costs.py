"""Predicted cost of a table of any dimensions, without percentiles.

As for the other programs (`protocols.stats.job_costs`): exact but for what sorts compare.
"""

from __future__ import annotations

import math

from engine import costs
from engine.costs import Prediction, sequence
from engine.shamir import Geometry
from protocols.stats.costs import after_sort_cost, described_cost, intake_cost
from protocols.stats.job_costs import decided_cost, opened_cost, sort_cost
from protocols.stats.joint_table import TAG_BITS, TableParameters


def joint_table_cost(p: TableParameters, m: int, t: int, outside: bool = False) -> Prediction:
    """`joint_table` over all institutions, for a receiver that computes or one `outside`."""
    if p.percentiles:
        raise ValueError('there is no formula for percentiles')
    count, spec = len(p.institutions), p.joint(p.institutions)
    n, ends, largest = count * p.rows, spec.cells + 1, p.rules.largest
    parts = [_taken(p.form, count, m, t)]
    if p.attribute:
        n += p.attribute.companies
        one = costs.product(n, m, t)
        parts += [_taken(p.attribute_form, 1, m, t), sort_cost(n, 2, m, t, table=8),
                  costs.equal(n, m, t), one, Prediction(one.rounds, 2 * one.total_bytes)]
    weighted = costs.product(n, m, t)
    grouped = after_sort_cost(n, ends, spec.cells, m, t, largest=largest, squares=p.variance)
    parts += [weighted, _sorted(n + ends, ends, p.amount_bits, 2, m, t)]
    if p.distinct:
        # The end of the first grouping goes on beside the sort by company.
        tail = [costs.less_than(1, m, t), costs.product(1, m, t)]
        parts += [Prediction(grouped.rounds - sum(c.rounds for c in tail), grouped.total_bytes),
                  sort_cost(n, 2 if TAG_BITS + 1 + n.bit_length() > 62 else 1, m, t),
                  described_cost(n, 0, 1, m, t), _beside(weighted, weighted)]
        bits = spec.cells.bit_length() + n.bit_length()
        parts += [sort_cost(n, 2 - (min(62, bits) + n.bit_length() <= 62), m, t, table=3),
                  costs.less_than(n - 1, m, t), _partition_cost(n, 3, m, t), weighted, weighted,
                  _sorted(n + ends, ends, p.amount_bits + n.bit_length(), 2, m, t),
                  after_sort_cost(n, ends, spec.cells, m, t, largest=largest)]
    else:
        parts += [grouped]
    parts += [decided_cost(spec, p.rules, m, t)]
    if p.variance:
        # Sums of squares are one figure more.
        parts += [_beside(costs.product(math.prod(spec.extended), m, t))]
    parts += [opened_cost(spec, m, t, 1 + len(spec.measures) + p.variance, outside)]
    return sequence(m, *parts)


def _taken(form, count, m, t):
    return intake_cost(form, count, Geometry(m, t), 2 * form.shape[0] * form.shape[1])


def _sorted(rows, groups, bits, columns, m, t):
    """The sort of `group_rows`."""
    key = ((groups << bits) - 1).bit_length()
    return sort_cost(rows, 2 - (key + rows.bit_length() <= 62), m, t, table=columns)


def _partition_cost(n, columns, m, t):
    """`partition` of n rows: places, a shuffle, and an opening."""
    return sequence(m, costs.product(n, m, t), costs.shuffle(n * (columns + 1), m, t),
                    costs.open_all(n, m, t))


def _beside(*parts):
    """What takes no time of its own."""
    return Prediction(0, sum(part.total_bytes for part in parts))
