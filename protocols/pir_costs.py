"""Predicted costs of anonymous queries: rounds, and payload bytes over all parties.

From public layouts alone, for estimates before a job and for the tests, which assert that they are
what the meter measures. Default mode; see `protocols.pir` for the steps.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine import costs
from engine.query import check_indicators_cost, collapse_cost, open_expression_cost
from protocols.pir_table import CANDIDATES, TABLES, Layout


def publish_cost(layout: Layout, m: int, t: int) -> costs.Prediction:
    """`publish`: the seed is put in and opened, the sub-tables follow one after the other."""
    sub_table = layout.rows * layout.columns * layout.width
    changes = TABLES * layout.rows * layout.width
    return costs.sequence(m, costs.share(8, m, t), costs.open_all(8, m, t),
                          *[costs.Prediction(0, costs.share(n, m, t).total_bytes)
                            for n in (*[sub_table] * TABLES, changes)],
                          costs.Prediction(1, 0))


def update_cost(layout: Layout, m: int, t: int) -> costs.Prediction:
    """`update`."""
    return costs.share(TABLES * layout.rows * layout.width, m, t)


def query_cost(layouts: Sequence[Layout], count: int, m: int, t: int) -> costs.Prediction:
    """`ask` of up to `BATCH` queries, all of them together."""
    record = sum(y.record for y in layouts)
    return costs.sequence(m, _matching_cost(layouts, count, m, t),
                          open_expression_cost(count * record, m, 2 * t))


def decision_cost(layouts: Sequence[Layout], count: int, m: int, t: int) -> costs.Prediction:
    """`decide` of up to `BATCH` queries, all of them together."""
    heads = count * len(layouts)
    return costs.sequence(m, _matching_cost(layouts, count, m, t), costs.product(heads, m, t),
                          costs.less_than(heads, m, t), open_expression_cost(count, m, 2 * t))


def _matching_cost(layouts, count, m, t):
    dealt = costs.share(count * sum(y.selectors for y in layouts), m, t)
    tags = costs.equal(CANDIDATES * len(layouts) * count, m, t)
    size = count * sum(CANDIDATES * y.width for y in layouts)
    if m > 3 * t:
        found = [collapse_cost(size, m, t, 3 * t)]
    else:
        middle = count * sum(TABLES * (y.columns + 1) * y.width for y in layouts)
        found = [costs.product(middle, m, t), costs.product(size, m, t)]
    # The check goes with the candidates and takes no rounds of its own.
    check = check_indicators_cost(m, t).total_bytes if t == 1 and m >= 4 else 0
    return costs.sequence(m, dealt, *found, tags, costs.Prediction(0, check))
