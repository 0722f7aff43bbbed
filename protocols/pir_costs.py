"""Predicted costs of anonymous queries: rounds, and payload bytes over all parties.

From public layouts alone, for estimates before a job and for the tests, which assert that they are
what the meter measures. In either mode; see `protocols.pir` for the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from engine import costs
from engine.costs_verified import predict
from engine.query import check_indicators_cost, collapse_cost, open_expression_cost
from engine.ranges import check_range_cost
from engine.shamir import Geometry
from protocols.pir_table import CANDIDATES, TABLES, Layout

_WORDS = 2
"""Elements of a row that are compared: tag and head."""


def publish_cost(layout: Layout, m: int, t: int, verified: bool = False) -> costs.Prediction:
    """`publish`: the seed is put in and opened, the sub-tables follow one after the other."""
    g = Geometry(m, t, verified)
    seed = [_cost(g, 'input', 8), _cost(g, 'output', 8)]
    rows = [*[layout.rows * layout.columns] * TABLES, TABLES * layout.rows]
    dealt = [_dealt_cost(g, n, layout.width) for n in rows]
    if not verified:
        # Nothing opens between them, so they take one round together.
        dealt = [costs.Prediction(0, each.total_bytes) for each in dealt] + [
            costs.Prediction(1, 0)]
    return costs.sequence(m, *seed, *dealt)


def update_cost(layout: Layout, m: int, t: int, verified: bool = False) -> costs.Prediction:
    """`update`."""
    return costs.sequence(m, _dealt_cost(Geometry(m, t, verified), TABLES * layout.rows,
                                         layout.width))


def query_cost(layouts: Sequence[Layout], count: int, m: int, t: int,
               verified: bool = False) -> costs.Prediction:
    """`ask` of up to `BATCH` queries, all of them together."""
    g, record = Geometry(m, t, verified), sum(y.record for y in layouts)
    return costs.sequence(m, _matching_cost(layouts, count, g), *_open_cost(g, count * record))


def decision_cost(layouts: Sequence[Layout], count: int, m: int, t: int,
                  verified: bool = False) -> costs.Prediction:
    """`decide` of up to `BATCH` queries, all of them together."""
    g, heads = Geometry(m, t, verified), count * len(layouts)
    return costs.sequence(m, _matching_cost(layouts, count, g), _cost(g, 'matmul', heads),
                          _cost(g, 'less_than', heads), *_open_cost(g, count))


def _cost(g, name, n, **more):
    found = predict(name, n, g, **more)
    assert found is not None
    return found


def _dealt_cost(g, rows, width):
    """Rows that the owner deals, and in verified mode the proof of their tags and heads."""
    dealt = _cost(g, 'input', rows * width)
    return costs.sequence(g.m, dealt, check_range_cost(rows * _WORDS, 63, g)) if g.verified \
        else dealt


def _open_cost(g, n):
    """n products that open to the asker."""
    if g.verified:
        return [_cost(g, 'multiply', n), _cost(g, 'output', n, receivers=1, raw=True)]
    return [open_expression_cost(n, g.m, 2 * g.t)]


def _matching_cost(layouts, count, g):
    cost = partial(_cost, g)
    dealt = cost('input', count * sum(y.selectors for y in layouts))
    tags = cost('equal', CANDIDATES * len(layouts) * count)
    size = count * sum(CANDIDATES * y.width for y in layouts)
    if g.m > 3 * g.t and not g.verified:
        found = [collapse_cost(size, g.m, g.t, 3 * g.t)]
    else:
        middle = count * sum(TABLES * (y.columns + 1) * y.width for y in layouts)
        found = [cost('matmul', middle), cost('matmul', size)]
    # The check goes with the candidates and takes no rounds of its own.
    check = check_indicators_cost(g.m, g.t).total_bytes if g.t == 1 and g.m >= 4 else 0
    return costs.sequence(g.m, dealt, *found, tags, costs.Prediction(0, check))
