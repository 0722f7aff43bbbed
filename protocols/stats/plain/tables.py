"""A table with disclosure control in the clear, by NumPy: the twin of `protocols.stats.release`.

Written from the rules, cell by cell; it shares only the public list of boxes with the program on
shares.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from protocols.stats.rules import DOMINANCE, MINIMUM, P_RATIO, SECONDARY, SHOWN, Rules
from protocols.stats.spec import TableSpec
from protocols.stats.suppression import boxes, turns


@dataclass
class PlainTable:
    """Figures and codes over the extended table; `top` (k, *shape) per amount."""

    rows: np.ndarray
    totals: dict[str, np.ndarray]
    top: dict[str, np.ndarray]
    code: np.ndarray


def table(spec: TableSpec, rules: Rules, cell, values: dict[str, np.ndarray],
          contributor=None) -> PlainTable:
    """The table of rows in the clear: `cell` numbers, a column per measure.

    Every row is a contributor of its own, unless contributors are given.
    """
    cell = np.asarray(cell)
    where = np.unravel_index(cell, spec.shape)
    rows = np.zeros(spec.extended, np.int64)
    totals = {m.name: np.zeros(spec.extended, np.int64) for m in spec.measures}
    top = {m.name: np.zeros((rules.largest, *spec.extended), np.int64) for m in spec.amounts}
    for place in np.ndindex(*spec.extended):
        inside = np.ones(len(cell), bool)
        for d, k in enumerate(place):
            if k < spec.shape[d]:
                inside &= where[d] == k
        rows[place] = inside.sum()
        for m in spec.measures:
            totals[m.name][place] = values[m.name][inside].sum()
        for m in spec.amounts:
            each = values[m.name][inside]
            if contributor is not None and len(each):
                each = np.bincount(np.asarray(contributor)[inside], each).astype(np.int64)
            best = np.sort(each)[::-1][:rules.largest]
            top[m.name][(slice(0, len(best)), *place)] = best
    code = codes(spec, rules, rows, totals, top)
    return PlainTable(rows, totals, top, code)


def quick_table(spec: TableSpec, rules: Rules, cell, values: dict[str, np.ndarray]) -> PlainTable:
    """The same for many rows that are all contributors of their own: each cell is visited once."""
    order = np.argsort(cell, kind='stable')
    starts = np.searchsorted(np.asarray(cell)[order], np.arange(spec.cells + 1))
    rows = _summed(spec, np.diff(starts).reshape(spec.shape))
    totals, top = {}, {}
    for m in spec.measures:
        sums = np.zeros(spec.cells, np.int64)
        best = np.zeros((rules.largest, spec.cells), np.int64)
        for c in range(spec.cells):
            own = values[m.name][order[starts[c]:starts[c + 1]]]
            sums[c], largest = own.sum(), np.sort(own)[::-1][:rules.largest]
            best[:len(largest), c] = largest
        totals[m.name] = _summed(spec, sums.reshape(spec.shape))
        if m.kind == 'amount':
            lists = best.reshape(rules.largest, *spec.shape)
            for axis, (n, places) in enumerate(zip(spec.shape, spec.extended, strict=True)):
                if places != n:
                    whole = np.moveaxis(lists, axis + 1, 1).reshape(-1, *np.delete(lists.shape[1:],
                                                                                  axis))
                    whole = np.sort(whole, 0)[::-1][:rules.largest]
                    lists = np.concatenate([lists, np.expand_dims(whole, axis + 1)], axis + 1)
            top[m.name] = lists
    return PlainTable(rows, totals, top, codes(spec, rules, rows, totals, top))


def _summed(spec, x):
    for axis, (n, places) in enumerate(zip(spec.shape, spec.extended, strict=True)):
        if places != n:
            x = np.concatenate([x, x.sum(axis, keepdims=True)], axis)
    return x


def codes(spec: TableSpec, rules: Rules, rows, totals, top) -> np.ndarray:
    """What is withheld, and for which rule."""
    code = np.full(spec.extended, SHOWN)
    small = np.zeros(spec.extended, bool)
    for place in np.ndindex(*spec.extended):
        counted = [rows[place], *[totals[m.name][place] for m in spec.measures
                                  if m.kind == 'count']]
        small[place] = any(0 < n < rules.minimum or (rules.zeros and n == 0) for n in counted)
        amounts = [(totals[m.name][place], top[m.name][(slice(None), *place)])
                   for m in spec.amounts]
        code[place] = _code(rules, small[place], amounts)
    return _with_secondary(spec, rules, code, small, totals, top)


def _code(rules, small, amounts):
    n, k = rules.dominance
    if small:
        return MINIMUM
    if any(100 * int(best[:n].sum()) > k * int(total) for total, best in amounts):
        return DOMINANCE
    for total, best in amounts:
        rest, limit = 100 * int(total - best[0] - best[1]), rules.p_ratio * int(best[0])
        if rest < limit or (rules.zeros and rest == limit):
            return P_RATIO
    return SHOWN


def _with_secondary(spec, rules, code, small, totals, top):
    plan = boxes(spec)
    if not plan.choices:
        return code
    withheld, tiny = (code != SHOWN).ravel(), small.ravel()
    primary = withheld.copy()
    for targets in turns(plan.cells):
        chosen = [_box(spec, rules, plan, target, withheld, tiny, totals, top)
                  for target in targets if primary[target]]
        for corners in chosen:
            withheld[corners] = True
    result = code.ravel().copy()
    result[withheld & ~primary] = SECONDARY
    return result.reshape(code.shape)


def _box(spec, rules, plan, target, withheld, tiny, totals, top):
    """The corners of the box that a cell chooses."""
    best = None
    for choice in itertools.product(*[range(k) for k in plan.choices]):
        cost, corners = 0, []
        for corner in plan.corners:
            at = (target, *[c if j in corner.dimensions else 0 for j, c in enumerate(choice)])
            place = corner.places[at]
            corners.append(place)
            cost += 0 if withheld[place] else plan.weight[place]
            if corner.opposite[at]:
                cost += (int(plan.weight.max()) << len(plan.choices)) * (
                    int(tiny[place]) + _lacking(spec, rules, totals, top, target, place))
        if best is None or cost < best[0]:
            best = cost, corners
    assert best is not None
    return best[1]


def _lacking(spec, rules, totals, top, target, place):
    lacking = 0
    for m in spec.amounts:
        total, largest = totals[m.name].ravel(), top[m.name][0].ravel()
        spare = 100 * int(total[place] - largest[place])
        lacking += int(spare < rules.p_ratio * int(total[target]))
        lacking += int(spare < 100 * rules.floor)
    return lacking
