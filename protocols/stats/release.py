"""From cells on shares to a table that may be published.

Which cells may be shown is decided on shares (`primary`, `secondary`). Two things then open, to the
receivers only: per cell the code of the rule that withholds it, or that it is shown; and the
figures of the shown cells, zeros in place of the others. Ratios are formed in the clear from what
opened (`derived`), so they can show nothing more.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from engine.array import SecureArray
from protocols.stats.cells import Amount, Cells, by_contributor, extend, squares
from protocols.stats.handed import opened_by
from protocols.stats.perturb import Noise, perturbed, rounded
from protocols.stats.primary import primary
from protocols.stats.rules import MINIMUM, REASONS, SECONDARY, SHOWN, Rules
from protocols.stats.spec import TableSpec
from protocols.stats.suppression import secondary


@dataclass(frozen=True)
class Record:
    """What a published table says about its making; given by the caller, who checked it.

    `institutions` are names, or only their number where the manifest keeps the names; `refused`
    maps an institution to the reason why its data does not count.
    """

    what: str
    period: str
    institutions: tuple[str, ...] | int
    manifest_hash: str = ''
    approvals: tuple[str, ...] = ()
    measurement: str = ''
    refused: dict[str, str] = field(default_factory=dict)


def about(record: Record, public: dict[str, Any]) -> Record:
    """A record with the institutions that counted, which approved, and those that did not."""
    names = tuple(public['institutions'])
    return replace(record, institutions=names, refused=dict(public['refused']),
                   approvals=tuple(dict.fromkeys([*record.approvals, *names])))


@dataclass(frozen=True)
class Decided:
    """A table whose rules have been applied and that may open as it stands.

    `arrays` are what a receiver sees: `codes` (extended shape), `figures` (names, *extended shape)
    with zeros where withheld, and `ranks` if there are percentiles. `figures` names the figures.
    """

    arrays: dict[str, SecureArray]
    figures: tuple[str, ...]
    percentiles: tuple[str, ...]


async def release(mpc, spec: TableSpec, rules: Rules, cells: Cells, record: Record, *,
                  receivers=None, **options) -> dict[str, Any] | None:
    """Apply the rules to cells (spec.shape) and open the table; None at who does not receive it.

    `options` are those of `decided`. Result: see `document`. Revealed to the receivers (all
    parties, unless named): the document's cells and statuses, and nothing to anybody else.
    """
    table = await decided(mpc, spec, rules, cells, **options)
    opened = await opened_by(mpc, table.arrays, receivers)
    if opened is None:
        return None
    return assembled(spec, rules, record, table.figures, table.percentiles, opened,
                     options.get('perturbation'))


async def decided(mpc, spec: TableSpec, rules: Rules, cells: Cells, *,
                  contributions: dict[str, SecureArray] | None = None,
                  concentration: bool = False, perturbation: Noise | None = None) -> Decided:
    """Apply the rules to cells (spec.shape); what may be shown stays shared.

    The largest contributions of amounts come with the cells, or from `contributions`: per measure
    the sums (contributors, *shape) of institutions or other contributors that are in several cells.
    With `concentration` the sums of their squares and the sum of the four largest are shown with
    each cell. Percentiles are shown for cells (not for totals) with at least `rules.minimum` rows
    on both sides. Squares, percentiles and other extras are shown as they are, and so cannot be
    combined with rounding or noise. Nothing opens.
    """
    if cells.shape != spec.shape:
        raise ValueError(f'cells of shape {cells.shape}, expected {spec.shape}')
    check_perturbed(spec, rules, perturbation,
                    [*cells.extra, *cells.percentiles, *['concentration'] * concentration])
    missing = [m.name for m in spec.measures if m.name not in cells.measures]
    if missing:
        raise ValueError(f'no cells for the measures {", ".join(missing)}')
    unknown = [m.name for m in spec.amounts if cells.measures[m.name].top is None
               and m.name not in (contributions or {})]
    if unknown:
        raise ValueError(f'amounts {", ".join(unknown)}: the largest contributions are not known, '
                         'so no rule of dominance can be applied')
    extended = _extended(mpc, spec, rules, cells, contributions or {}, concentration)
    first = primary(mpc, spec, rules, extended)
    code, withheld = first.code, first.withheld
    if spec.extended != spec.shape:
        second = await secondary(mpc, spec, rules, extended, first)
        code, withheld = code + SECONDARY * second, withheld + second
    figures = _figures(mpc, spec, rules, cells, extended, perturbation)
    shown = 1 - withheld
    arrays = {'codes': code, 'figures': figures * shown}
    if cells.percentiles:
        arrays['ranks'] = _percentiles(mpc, spec, rules, cells, shown)
    names = ('rows', *[m.name for m in spec.measures], *extended.extra)
    return Decided(arrays, names, tuple(cells.percentiles))


def check_perturbed(spec: TableSpec, rules: Rules, perturbation: Noise | None,
                    exact: list[str]) -> None:
    """ValueError for rounding or noise that does not go with what is shown `exact`, or together."""
    if exact and (rules.rounding > 1 or perturbation):
        raise ValueError(f'{", ".join(exact)}: exact figures would undo rounding or noise; leave '
                         'them out')
    if perturbation and rules.rounding > 1:
        most = max(perturbation.largest(n) for n in (1, *[m.sensitivity for m in spec.measures]))
        if spec.cells * most >= 1 << 52:
            raise ValueError('noise of 2^52 or more in the total cannot be rounded; leave out the '
                             'rounding, or use a larger unit or epsilon')


def assembled(spec: TableSpec, rules: Rules, record: Record, figures, percentiles, opened,
              perturbation: Noise | None = None) -> dict[str, Any]:
    """The document of a decided table, from what its arrays opened to."""
    found = document(spec, rules, record, opened['codes'],
                     dict(zip(figures, opened['figures'], strict=True)), perturbation)
    if 'ranks' in opened:
        _add_percentiles(found, spec, list(percentiles), opened['ranks'])
    return found


def _percentiles(mpc, spec, rules, cells, shown):
    """Per percentile, stacked: whether it is shown, and its value if it is."""
    inner = shown[tuple(slice(0, n) for n in spec.shape)]
    levels = np.array([int(name.rpartition('.p')[2]) for name in cells.percentiles])
    sides = np.minimum(levels, 100 - levels).reshape(-1, *[1] * len(spec.shape))
    few = mpc.negative(cells.rows * sides - 100 * rules.minimum)
    bits = (1 - few) * inner
    return mpc.stack([bits, bits * mpc.stack(list(cells.percentiles.values()))], 1)


def _add_percentiles(found, spec, names, opened):
    places = list(np.ndindex(*spec.extended))
    for cell, place in zip(found['cells'], places, strict=True):
        if all(k < n for k, n in zip(place, spec.shape, strict=True)):
            for name, (shown, value) in zip(names, opened, strict=True):
                if shown[place]:
                    cell['values'][name] = int(value[place])
                elif cell['values']:
                    cell.setdefault('withheld', {})[name] = REASONS[MINIMUM]


def _extended(mpc, spec, rules, cells, contributions, concentration):
    if not contributions:
        return extend(mpc, cells, spec.extended)
    plain = Cells(cells.rows, {name: Amount(a.total, None if name in contributions else a.top)
                               for name, a in cells.measures.items()}, cells.extra)
    extended = extend(mpc, plain, spec.extended)
    for name, sums in contributions.items():
        whole = extend(mpc, Cells(sums, {}), (sums.shape[0], *spec.extended)).rows
        extended.measures[name].top = by_contributor(mpc, whole, rules.largest)
        if concentration:
            extended.extra[f'{name}.contributor_squares'] = squares(mpc, whole)
            extended.extra[f'{name}.largest_4'] = by_contributor(mpc, whole, 4).sum(0)
    return extended


def _figures(mpc, spec, rules, cells, extended, perturbation):
    """What is shown of every cell, stacked (figures, *extended shape)."""
    if perturbation:
        # Drawn for the cells; totals are sums of noisy cells, so the table adds up.
        inner = [perturbed(mpc, cells.rows, 1, perturbation)]
        inner += [perturbed(mpc, cells.measures[m.name].total, m.sensitivity, perturbation)
                  for m in spec.measures]
        shown = [extend(mpc, Cells(x, {}), spec.extended).rows for x in inner]
    else:
        shown = [extended.rows, *[extended.measures[m.name].total for m in spec.measures],
                 *extended.extra.values()]
    figures = mpc.stack(shown)
    return rounded(mpc, figures, rules.rounding)


def noise_deviations(spec: TableSpec, perturbation: Noise) -> dict[str, float]:
    """Standard deviation of the noise of each figure of a cell; of a total of n cells, √n times it.
    """
    changes = {'rows': 1, **{m.name: m.sensitivity for m in spec.measures}}
    return {name: perturbation.deviation(change) for name, change in changes.items()}


def document(spec: TableSpec, rules: Rules, record: Record, codes, values,
             perturbation: Noise | None = None) -> dict[str, Any]:
    """The published table, ready for JSON.

    `dimensions` [{name, categories}], `measures` [{name, kind, unit}]; `cells`, one per place of
    the extended table in row-major order: {place: {dimension: category or "total"}, status: "shown"
    or the rule, values: {figure: integer}}, values being empty unless shown, and for percentiles of
    a shown cell that are not shown themselves `withheld` {figure: rule}; `record`: what, period,
    institutions, refused, rules, noise (with the unit that it protects, how many figures of a cell
    have it, and its standard deviation there by figure), manifest hash, approvals, measurement, and
    how many cells each rule withholds.
    """
    cells = []
    counts = dict.fromkeys(REASONS.values(), 0)
    for place in np.ndindex(*spec.extended):
        status = REASONS[int(codes[place])]
        counts[status] += 1
        cells.append({'place': spec.labels(place), 'status': status,
                      'values': {name: int(figure[place]) for name, figure in values.items()}
                      if status == REASONS[SHOWN] else {}})
    said = asdict(record)
    if not isinstance(record.institutions, int):
        said['institutions'] = list(record.institutions)
    said['approvals'] = list(record.approvals)
    withheld = {k: v for k, v in counts.items() if k != REASONS[SHOWN]}
    noise = None
    if perturbation:
        deviations = noise_deviations(spec, perturbation)
        noise = {**asdict(perturbation), 'unit': 'row', 'figures': len(deviations),
                 'deviations': deviations}
    return {'dimensions': [{'name': d.name, 'categories': list(d.categories)}
                           for d in spec.dimensions],
            'measures': [{'name': m.name, 'kind': m.kind, 'unit': m.unit} for m in spec.measures],
            'cells': cells,
            'record': {**said, 'rules': rules.describe(), 'noise': noise, 'cells': len(cells),
                       'withheld': withheld}}
