"""Predicted costs of whole programs: fund flow, green finance, and fund tracing.

Rounds are those of the longest chain of steps that wait for each other. Sorts take as many
comparisons and levels as a random order lets expect (`sort_cost`), so programs with sorts are
predicted on average only; everything else is exact.
"""

from __future__ import annotations

import math

from engine import costs
from engine.costs import Prediction, sequence
from engine.scan import scan_sizes
from engine.shamir import Geometry
from protocols.costs import divide
from protocols.stats.costs import (
    after_sort_cost,
    beside,
    claimed_cost,
    described_cost,
    intake_cost,
    move_cost,
)
from protocols.stats.forms import CellForm
from protocols.stats.fund_flow import FundFlowParameters
from protocols.stats.green_finance import INDICATORS, GreenParameters, table_of
from protocols.stats.perturb import Noise, perturbed_cost, rounded_cost
from protocols.stats.rules import Rules
from protocols.stats.spec import TableSpec
from protocols.stats.suppression import boxes, turns
from protocols.stats.tracing_data import FLOWS, TracingParameters


def fund_flow_cost(p: FundFlowParameters, m: int, t: int, outside: bool = False) -> Prediction:
    """`fund_flow` over all institutions, for a receiver that computes or one `outside`."""
    count, form = len(p.institutions), p.form
    taken = intake_cost(form, count, Geometry(m, t), *_cell_claims(form))
    spec = p.joint(p.institutions)
    contributors = None if p.by_institution else count
    return sequence(m, taken, decided_cost(spec, p.rules, m, t, contributors=contributors,
                                           concentration=p.concentrated, perturbation=p.noise),
                    opened_cost(spec, m, t, _figures(spec, p.concentrated), outside))


def green_finance_cost(p: GreenParameters, m: int, t: int, outside: bool = False) -> Prediction:
    """`green_finance` over all institutions, for a receiver that computes or one `outside`; its one
    sort on average."""
    k = len(p.institutions)
    sums, loans, carbon = p.forms
    parts = [claimed_cost(form, count, m, t)
             for form, count in ((sums, k), (loans, k), (carbon, 1))]
    # Loans get the intensities of their companies, and are added up by institution.
    rows, one = k * p.loans + p.companies, costs.product(k * p.loans + p.companies, m, t)
    parts += [sort_cost(rows, 2, m, t, table=5 + k), costs.equal(rows, m, t), one,
              Prediction(one.rounds, 2 * one.total_bytes), one, costs.product(2 * k, m, t)]
    count = len(INDICATORS) * k
    scaled = [s for s in p.scales.values() if not (1.0 / (s.best - s.worst)).is_integer()]
    clipped = [costs.less_than(count, m, t), costs.product(count, m, t)]
    parts += [divide(count, m, t), *[costs.truncate(len(scaled) * k, m, t)] * bool(scaled),
              *clipped, *clipped, costs.product(count, m, t), costs.truncate(k, m, t),
              costs.less_than(k * k, m, t), costs.less_than(k * (len(p.bands) - 1), m, t)]
    # Beside these: whether there was something to divide by, and each institution's own figures.
    parts += [beside(costs.equal(count, m, t), costs.product(count + k, m, t))]
    spec = table_of(p, p.institutions)
    last = costs.product(k, m, t) if outside else costs.open_all(k, m, t, 1)
    parts += [decided_cost(spec, p.rules, m, t, contributors=k), beside(last),
              opened_cost(spec, m, t, _figures(spec, False), outside)]
    return sequence(m, *parts)


def fund_tracing_cost(p: TracingParameters, m: int, t: int, outside: bool = False) -> Prediction:
    """`fund_tracing` over all banks, for a receiver that computes or one `outside`; sorts on
    average."""
    count = len(p.banks)
    n, k, a = count * p.payments, count * p.loans, count * p.accounts
    parts = [claimed_cost(form, count, m, t) for form in p.forms.values()]
    if p.groups:
        parts += [intake_cost(p.group_form, 1, Geometry(m, t), 4 * p.companies),
                  sort_cost(a + k + p.companies, 2, m, t),
                  described_cost(a + k, p.companies, 1, m, t), costs.product(a + k, m, t)]
    parts += [sort_cost(2 * n + k + a, 2, m, t), described_cost(2 * n + k, a, 2, m, t),
              trace_cost(n, k, p.hops, p.rule, m, t)]
    # What becomes of each loan, and the table.
    rows = p.hops * n + k + 1
    parts += [sort_cost(rows, 1, m, t), move_cost(2 * rows, m, t), move_cost(2 * rows, m, t),
              costs.less_than(2 * k, m, t), costs.product(2 * k, m, t),
              costs.less_than(3 * k, m, t), costs.product(2 * k, m, t)]
    cells, spec = count * len(p.regions) * len(FLOWS), p.joint(p.banks)
    ends = 3 * k + cells + 1
    parts += [costs.product(3 * k, m, t), sort_cost(ends, 1, m, t, table=2),
              after_sort_cost(3 * k, cells + 1, cells, m, t, largest=p.rules.largest),
              decided_cost(spec, p.rules, m, t,
                           contributors=None if p.by_institution else count),
              opened_cost(spec, m, t, _figures(spec, False), outside)]
    if p.own:
        parts += [costs.product(k, m, t)]
    return sequence(m, *parts)


def sort_cost(n: int, columns: int, m: int, t: int, *, table: int = 0) -> Prediction:
    """`ordering` of n rows by one key that is compared by so many columns (1, or 2 where key and
    place do not fit a word), or `sort_rows` of a `table` of so many columns by such a key.

    A quicksort in random order makes 2 (n + 1) H_n - 4 n comparisons on average; levels are the
    height of a random search tree, about 4.31 ln n - 1.95 ln ln n less a constant (Reed, J. ACM 50,
    2003).
    """
    moved = (table + 1 if table else 2) * n
    start = costs.shuffle(moved, m, t)
    return start if n < 2 else sequence(m, start, compared_cost(n, columns, m, t))


def compared_cost(n: int, columns: int, m: int, t: int) -> Prediction:
    """The comparisons of such a sort, on average."""
    harmonic = math.log(n) + 0.5772 + 1 / (2 * n)
    compared = round(2 * (n + 1) * harmonic - 4 * n)
    levels = max(1, round(4.311 * math.log(n) - 1.953 * math.log(max(1.0, math.log(n))) - 4))
    each = level_cost(compared, columns, m, t)
    return Prediction(levels * each.rounds, each.total_bytes)


def group_sort_cost(n: int, groups: int, bits: int, columns: int, m: int, t: int) -> Prediction:
    """The sort of `group_rows`: n rows, ends included, of so many columns beside the key; amounts
    of so many bits, `groups` with the spare one."""
    key = ((groups << bits) - 1).bit_length()
    return sort_cost(n, 2 - (key + n.bit_length() <= 62), m, t, table=columns)


def level_cost(compared: int, columns: int, m: int, t: int) -> Prediction:
    """One batch of comparisons of a sort."""
    first = [costs.less_than(compared, m, t)] if columns > 1 else []
    return sequence(m, *first, costs.open_negative(compared, m, t))


def trace_cost(n: int, k: int, hops: int, rule: str, m: int, t: int) -> Prediction:
    """`trace` of n payments and k loans; its sort on average, and with packed keys."""
    rows = 2 * n + k
    sizes = scan_sizes(rows)
    first = sequence(m, sort_cost(rows, 1, m, t), move_cost(rows, m, t),
                     costs.less_than(rows - 1, m, t))
    less, one = costs.less_than(rows, m, t), costs.product(rows, m, t)
    four = costs.product(4 * rows, m, t)
    scan = [four, *[costs.product(5 * size, m, t) for size in sizes]]
    chain = [move_cost(6 * rows, m, t), less, four, *scan, four, less, one, less, one, four,
             move_cost(4 * rows, m, t)]
    # Beside the chain: marks at the first rows of accounts, and the test of the window.
    hidden = [one, less]
    if rule == 'tainted-first':
        # The balance is there before or after the last inflow is, whatever takes longer.
        levels = [(costs.less_than(size, m, t), costs.product(size, m, t)) for size in sizes]
        hidden += [part for low, kept in levels for part in (low, kept, kept, kept)]
        longer = sum(low.rounds + 2 for low, _ in levels)
        chain += [Prediction(max(0, longer - 2 - sum(c.rounds for c in (less, *scan))), 0)]
    hop = sequence(m, *chain)
    hidden += [costs.equal(n, m, t), costs.product(2 * n, m, t)]
    last = costs.equal(n, m, t).rounds + 1
    return Prediction(first.rounds + hops * hop.rounds + last,
                      first.total_bytes + hops * (hop.total_bytes + beside(*hidden).total_bytes))


def decided_cost(spec: TableSpec, rules: Rules, m: int, t: int, *,
                 contributors: int | None = None, concentration: bool = False,
                 perturbation: Noise | None = None) -> Prediction:
    """`decided` on cells whose contributors are their rows, or so many contributors of all.

    Without any amount rounds are at most these: boxes are chosen sooner.
    """
    cells, amounts = math.prod(spec.extended), len(spec.amounts)
    parts, hidden = [], []
    if contributors is None:
        one = _totals_cost(spec, rules.largest, m, t)
    else:
        one = tournament_cost(contributors, cells, rules.largest, m, t)
        if concentration:
            hidden = [costs.product(cells, m, t), tournament_cost(contributors, cells, 4, m, t)]
    parts.append(Prediction(one.rounds, amounts * beside(one, *hidden).total_bytes))
    parts += [_primary_cost(spec, rules, m, t)]
    if spec.extended != spec.shape:
        parts += [secondary_cost(spec, m, t)]
    figures = _figures(spec, concentration and contributors is not None) * cells
    chain, drawn = sequence(m, *parts), _perturbed_cost(spec, rules, figures, perturbation, m, t)
    last = costs.product(figures, m, t)
    # Noise and rounding do not wait for what the rules decide.
    return Prediction(max(chain.rounds, drawn.rounds) + last.rounds,
                      chain.total_bytes + drawn.total_bytes + last.total_bytes)


def _perturbed_cost(spec, rules, figures, perturbation, m, t):
    """Noise for the cells, measure by measure at the same time, then rounding of all figures."""
    drawn = []
    if perturbation:
        changes = (1, *[measure.sensitivity for measure in spec.measures])
        drawn = [perturbed_cost(spec.cells, most, perturbation, m, t) for most in changes]
    last = rounded_cost(figures, rules.rounding, m, t)
    return Prediction(max((d.rounds for d in drawn), default=0) + last.rounds,
                      sum(d.total_bytes for d in drawn) + last.total_bytes)


def opened_cost(spec: TableSpec, m: int, t: int, figures: int,
                outside: bool = False) -> Prediction:
    """Codes and figures of a decided table, opened to one receiver that computes, or shared anew
    for one `outside` (to whom the shares then go is not metered)."""
    cells = math.prod(spec.extended)
    if outside:
        return costs.product((1 + figures) * cells, m, t)
    both = [costs.open_all(n * cells, m, t, 1, raw=True) for n in (1, figures)]
    return Prediction(both[0].rounds, sum(c.total_bytes for c in both))


def tournament_cost(n: int, lists: int, k: int, m: int, t: int) -> Prediction:
    """`largest` of n descending lists of k each, for so many places at once."""
    rounds, total = 0, 0
    while n > 1:
        sizes = [k * (n // 2) * lists] + [k // 2 * (n // 2) * lists] * (k.bit_length() - 1)
        for size in sizes:
            both = costs.less_than(size, m, t), costs.product(size, m, t)
            rounds += sum(c.rounds for c in both)
            total += sum(c.total_bytes for c in both)
        n -= n // 2
    return Prediction(rounds, total)


def secondary_cost(spec: TableSpec, m: int, t: int) -> Prediction:
    """`secondary` for a table with totals; what corners can give away is compared beside the
    primary rules, and takes no rounds."""
    plan = boxes(spec)
    width, amounts = math.prod(plan.choices), len(spec.amounts)
    opposite = sum(int(corner.opposite.sum()) for corner in plan.corners)
    floor, below = costs.less_than(plan.cells, m, t), costs.less_than(opposite, m, t)
    parts = [beside(*[floor, below] * amounts)]
    for targets in turns(plan.cells):
        count = len(targets)
        parts += [*_argmin(width, count, m, t), costs.equal(count * width, m, t),
                  costs.product(count * width, m, t), costs.less_than(plan.cells, m, t),
                  costs.product(plan.cells, m, t)]
    return sequence(m, *parts)


def _argmin(n, count, m, t):
    parts = []
    while n > 1:
        parts += [costs.less_than(n // 2 * count, m, t), costs.product(n // 2 * count * 2, m, t)]
        n -= n // 2
    return parts


def _primary_cost(spec, rules, m, t):
    cells, amounts = math.prod(spec.extended), len(spec.amounts)
    counted = 1 + len(spec.measures) - amounts
    zero = 0 if rules.zeros or not rules.minimum else counted
    compared = costs.less_than((counted + 2 * amounts + zero) * cells, m, t)
    one = costs.product(cells, m, t)
    products = counted - 1
    depth = (counted - 1).bit_length()
    if amounts:
        # Small, dominated, near; both of the latter; the code; withheld at all.
        products += 2 * (amounts - 1) + 3
        depth = max(depth, (amounts - 1).bit_length() + 1) + 1
    return Prediction(compared.rounds + depth, compared.total_bytes + products * one.total_bytes)


def _totals_cost(spec, largest, m, t):
    """The largest contributions of totals: a tournament per dimension that has them."""
    shape, parts = list(spec.shape), []
    for axis, places in enumerate(spec.extended):
        if places != shape[axis]:
            others = math.prod(shape) // shape[axis]
            parts.append(tournament_cost(shape[axis], others, largest, m, t))
            shape[axis] = places
    return sequence(m, *parts)


def _figures(spec, concentration):
    return 1 + len(spec.measures) + 2 * len(spec.amounts) * concentration


def _cell_claims(form: CellForm) -> tuple[int, int]:
    """(claims, products) of a bank's cells."""
    cells, amounts = form.spec.cells, len(form.spec.amounts)
    counts = len(form.spec.measures) - amounts
    each = 2 + 2 * counts + amounts * (2 + form.largest - 1 + 1 + 1)
    return each * cells, amounts * cells
