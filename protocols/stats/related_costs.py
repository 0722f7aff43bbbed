"""Predicted cost of related loans: groups over secret edges, exposures, and the table of groups.

As for the other programs (`protocols.stats.job_costs`): exact but for what sorts compare, which is
that of a random order on average, and for the iterations where `stop_early` ends them.
"""

from __future__ import annotations

from engine import costs
from engine.costs import Prediction, sequence
from protocols.components import iterations
from protocols.stats.costs import after_sort_cost, beside, claimed_cost, move_cost
from protocols.stats.job_costs import (
    decided_cost,
    group_sort_cost,
    opened_cost,
    sort_cost,
)
from protocols.stats.related_loans import GROUP_BITS, RelatedParameters


def related_loans_cost(p: RelatedParameters, m: int, t: int, outside: bool = False, *,
                       follows: bool = False, taken: int | None = None) -> Prediction:
    """`related_loans` over all banks, for a receiver that computes or one `outside`; with `follows`
    after an earlier period.

    With `stop_early` `taken` iterations, or, if it is not known, as many as there may be.
    """
    n, banks, loans = p.companies, len(p.banks), len(p.banks) * p.loans
    parts = [claimed_cost(form, banks, m, t) for form in p.forms.values()]
    parts += [claimed_cost(p.edge_form(holder), 1, m, t) for holder in p.edges]
    edges = banks * p.guarantees * bool(p.guarantees)
    for number, terms in enumerate(p.edges.values(), 1):
        edges += terms.rows
        both = [costs.less_than(terms.rows, m, t), costs.product(terms.rows, m, t)]
        # Only the last holder's edges are waited for, and where groups come first.
        parts += both if number == len(p.edges) and not p.hops else [beside(*both)]
    if not p.public and not p.hops:
        parts += [components_cost(n, max(1, edges) + n * follows, m, t, stop_early=p.stop_early,
                                  taken=taken)]
    parts += [_around_cost(p, loans, max(1, edges), m, t) if p.hops else
              _exposure_cost(p, loans, m, t), _table_cost(p, m, t)]
    # What else leaves: bits of loans, what is kept, and what the receiver gets besides the table.
    kept = loans + n * (1 if p.public or p.hops else 2)
    parts += [beside(costs.product(kept + 2 * n * p.listed, m, t))]
    more = (p.top is not None) + 2 * n * p.listed
    parts += [beside(costs.product(more, m, t) if outside else costs.open_all(more, m, t, 1)),
              opened_cost(p.spec, m, t, 1 + len(p.spec.measures), outside)]
    return sequence(m, *parts)


def components_cost(nodes: int, edges: int, m: int, t: int, *, stop_early: bool = False,
                    taken: int | None = None) -> Prediction:
    """`components` of so many edges; `taken` as for `related_loans_cost`."""
    many = iterations(nodes)
    count = min(taken or many, many) if stop_early else many
    rows = 2 * edges + nodes
    parts = [_index_cost(rows, nodes, m, t), _index_cost(2 * nodes, nodes, m, t)]
    for number in range(1, count + 1):
        parts += [_hook_cost(nodes, edges, m, t)]
        if stop_early:
            parts += [beside(costs.less_than(1, m, t), costs.open_all(1, m, t))]
            if number == taken:
                break
        stars = _stars_cost(nodes, m, t)
        # Nothing waits for the stars after the last iteration.
        parts += [_index_cost(2 * nodes, nodes, m, t), *_moved(2 * nodes, 1, 1, m=m, t=t),
                  _index_cost(2 * nodes, nodes, m, t), stars if number < many else beside(stars)]
    return sequence(m, *parts)


def _hook_cost(nodes, edges, m, t):
    """One turn of the stars."""
    rows, both = 2 * edges + nodes, 2 * edges
    alone, one = costs.equal(nodes, m, t), costs.product(nodes, m, t)
    return sequence(
        m, *_moved(rows, 2, 2, m=m, t=t), costs.less_than(both, m, t),
        costs.product(2 * both, m, t), _pick_cost(rows, both, 2, m, t),
        # Two kinds of marks at the roots, side by side.
        _pick_cost(2 * nodes, nodes, 1, m, t), beside(_pick_cost(2 * nodes, nodes, 1, m, t)),
        *_moved(rows, 1, 1, m=m, t=t), costs.product(both, m, t), *_moved(rows, 1, 1, m=m, t=t),
        *_moved(2 * nodes, 1, 1, m=m, t=t), alone, one, one, costs.product(2 * nodes, m, t))


def _pick_cost(rows, marked, kinds, m, t):
    """`SecretIndex.pick` of so many marked rows among all rows and slots."""
    return sequence(m, *_moved(rows, kinds + 1, kinds, kinds, m=m, t=t),
                    costs.equal(rows * kinds, m, t), costs.product(rows * kinds, m, t),
                    costs.product(rows * kinds, m, t), *_moved(rows, 3 * kinds, m=m, t=t))


def _stars_cost(nodes, m, t):
    each = _moved(2 * nodes, 1, 1, m=m, t=t)
    zero, one = costs.equal(nodes, m, t), costs.product(nodes, m, t)
    return sequence(m, zero, *each, costs.less_than(nodes, m, t), one, *each, zero, one, *each)


def _exposure_cost(p, loans, m, t):
    n, rows = p.companies, loans + p.companies
    sums = _moved(rows, 1, 1, m=m, t=t)
    flags = [costs.less_than(n, m, t), *([] if p.public else _moved(2 * n, 1, 1, m=m, t=t)),
             *_moved(rows, 1, 1, m=m, t=t)]
    # With secret groups what companies owe is added up while their groups are sorted.
    parts = [_index_cost(rows, n, m, t)]
    parts += sums if p.public else [beside(*sums), _index_cost(2 * n, n, m, t),
                                    *_moved(2 * n, 1, 1, m=m, t=t)]
    if p.top is None:
        return sequence(m, *parts, *flags)
    # The largest groups are sorted out while banks' bits are found.
    return sequence(m, *parts, beside(*flags), _largest_cost(n, m, t))


def _around_cost(p, loans, edges, m, t):
    """Who is near a borrower over the limit, and the largest borrowers."""
    n, rows, ends = p.companies, loans + p.companies, 2 * edges + p.companies
    less, sums = costs.less_than(n, m, t), _moved(rows, 1, 1, m=m, t=t)
    start = [_index_cost(rows, n, m, t)]
    if p.public:
        start += sums
        near = [less] * (1 + p.hops)
    else:
        # What companies owe is added up while the ends of edges are sorted.
        start += [beside(*sums, less), _index_cost(ends, n, m, t)]
        near = [*_moved(ends, 1, 1, 1, 1, m=m, t=t), less] * p.hops
    found = sequence(m, *near, *_moved(rows, 1, 1, m=m, t=t))
    if p.top is not None:
        largest = _largest_cost(n, m, t)
        found = Prediction(max(found.rounds, largest.rounds),
                           found.total_bytes + largest.total_bytes)
    return sequence(m, *start, found)


def _largest_cost(n, m, t):
    """`largest_groups`, and whether they exceed their limit."""
    return sequence(m, sort_cost(n, 2, m, t, table=2), costs.less_than(1, m, t))


def _table_cost(p, m, t):
    """Groups, or companies, by bands of exposure, with the rules applied."""
    n, spec = p.companies, p.spec
    less, one = costs.less_than(n, m, t), costs.product(n, m, t)
    ends = spec.cells + 1
    bands = [costs.less_than(n, m, t), beside(*[less] * (len(p.bands) - 1))] if p.bands else []
    return sequence(
        m, less, one, less, one, *bands, one, group_sort_cost(n + ends, ends, GROUP_BITS, 2, m, t),
        after_sort_cost(n, ends, spec.cells, m, t, largest=p.rules.largest),
        decided_cost(spec, p.rules, m, t))


def _index_cost(rows, slots, m, t):
    """`SecretIndex.of` with so many rows and slots together."""
    packed = (2 * slots + 1).bit_length() + rows.bit_length() <= 62
    return sort_cost(rows, 2 - packed, m, t)


def _moved(rows, *columns, m, t):
    """Moves one after the other, of tables of so many columns."""
    return [move_cost(rows * k, m, t) for k in columns]
