"""Violation statistics: credit funds that went where they must not, over many banks.

Each bank flags its own loans by agreed indicators (securities, property, deposits, back to the
borrower), adds them up per region and period, and shares the cells. The table is region × period,
or region × institution × period; per cell the number of loans, the outstanding amount, the flagged
amount and the number of flagged loans. Shares of outstanding credit and the trend are formed from
what opens. See docs/statistics.md for what each role learns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.stats import derived
from protocols.stats.forms import CellForm
from protocols.stats.handed import handed_over
from protocols.stats.intake import intake
from protocols.stats.perturb import Noise
from protocols.stats.release import Record, about, assembled, check_perturbed, decided
from protocols.stats.rules import Rules
from protocols.stats.spec import Dimension, Measure, TableSpec
from protocols.stats.submission import Expected, schema_digest
from protocols.steps import Progress, Steps

STEPS = ('intake', 'cells', 'release')
INDICATORS = ('securities', 'property', 'deposits', 'back-flow')
_MEASURES = (('outstanding', 'amount'), ('flagged', 'amount'), ('flagged_loans', 'count'))


@dataclass(frozen=True)
class FundFlowParameters:
    """What the manifest says; public.

    With `by_institution` the table has a dimension of institutions, and a contributor is a loan.
    Without, the contributors of a cell are the institutions, and the table shows their
    concentration (HHI). A loan is flagged if the scores of its indicators, with the weights given,
    add up to `threshold` at least. `periods` are balances and are not added up; with so many
    `periods_per_year` the change against the same period a year before is formed, too.
    """

    institutions: tuple[str, ...]
    regions: tuple[str, ...]
    periods: tuple[str, ...]
    by_institution: bool = True
    rules: Rules = field(default_factory=Rules)
    weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    threshold: float = 1.0
    amount_bits: int = 36
    largest_cell: int = 1 << 20
    quorum: int | None = None
    noise: Noise | None = None
    unit: str = 'yuan'
    periods_per_year: int = 0

    def __post_init__(self) -> None:
        check_perturbed(self.joint(self.institutions), self.rules, self.noise, [])

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What is added up."""
        return tuple(Measure(name, kind, self.amount_bits, self.unit if kind == 'amount' else '')
                     for name, kind in _MEASURES)

    @property
    def own(self) -> TableSpec:
        """A bank's own table."""
        return TableSpec((Dimension('region', self.regions),
                          Dimension('period', self.periods, total=False)), self.measures)

    @property
    def form(self) -> CellForm:
        """What a bank shares."""
        return CellForm(self.own, self.largest_cell, self.rules.largest)

    @property
    def concentrated(self) -> bool:
        """Whether the concentration among the institutions is shown."""
        return not self.by_institution and self.rules.rounding < 2 and not self.noise

    def joint(self, institutions: tuple[str, ...]) -> TableSpec:
        """The published table over the institutions that were accepted."""
        region, period = self.own.dimensions
        if not self.by_institution:
            return self.own
        return TableSpec((region, Dimension('institution', institutions), period), self.measures)

    def expected(self, job: str) -> list[Expected]:
        """What the submissions of all institutions must look like."""
        digest = schema_digest({'regions': self.regions, 'periods': self.periods,
                                'weights': self.weights, 'threshold': self.threshold,
                                'bits': self.amount_bits, 'largest': self.rules.largest,
                                'cell': self.largest_cell, 'unit': self.unit})
        return [Expected(name, job, f'{self.periods[0]}..{self.periods[-1]}', digest,
                         *self.form.shape) for name in self.institutions]


def bank_cells(parameters: FundFlowParameters, *, region, period, outstanding,
               scores) -> npt.NDArray[np.int64]:
    """What a bank shares, from its own loans: a row each of region, period, balance, and scores
    (loans, indicators) in [0, 1]."""
    spec = parameters.own
    cell = spec.cell([d.codes(values) for d, values in
                      zip(spec.dimensions, (region, period), strict=True)])
    balance = np.asarray(outstanding, np.int64)
    weight = np.asarray(scores, float) @ np.asarray(parameters.weights)
    flag = (weight >= parameters.threshold - 1e-12).astype(np.int64)
    return parameters.form.encode(cell, {'outstanding': balance, 'flagged': balance * flag,
                                         'flagged_loans': flag})


async def fund_flow(mpc, *, parameters: FundFlowParameters, job: str,
                    messages: dict[str, bytes | None], record: Record, receivers=None,
                    outside: bool = False, taken: Callable[[tuple[str, ...]], None] | None = None,
                    progress: Progress = lambda name, state: None) -> dict[str, Any]:
    """Run the program at this compute party.

    `messages` are those that this party got from the banks. `taken` is told which banks count,
    before anything of their data opens, and may raise. Returns {"steps": {step: cost},
    "outputs": {...}, "public": {...}}; at a receiver `outputs` is the document of `published`.
    With `outside` nothing opens: `sealed` holds shares for a receiver outside, who makes the
    document of them with `published`.
    """
    steps = Steps(mpc, progress)
    with steps.step('intake'):
        found = await intake(mpc, parameters.form, parameters.expected(job), messages,
                             quorum=parameters.quorum)
        await found.values.ready()
        names = tuple(found.institutions)
        if taken:
            taken(names)
    with steps.step('cells'):
        cells = parameters.form.cells(found.values)
        spec = parameters.joint(names)
        contributions = None
        if parameters.by_institution:
            cells = cells.apply(lambda x: mpc.moveaxis(x, 0, 1), lambda x: mpc.moveaxis(x, 1, 2))
        else:
            contributions = {m.name: cells.measures[m.name].total for m in spec.amounts}
            cells = cells.apply(lambda x: x.sum(0), lambda x: x[:, 0])
        await cells.ready()
    with steps.step('release'):
        table = await decided(mpc, spec, parameters.rules, cells, contributions=contributions,
                              concentration=parameters.concentrated,
                              perturbation=parameters.noise)
        public = {'institutions': list(names), 'refused': found.refused,
                  'figures': list(table.figures)}
        result = {'steps': steps.costs, 'public': public}
        return {**result, **await handed_over(
            mpc, table.arrays, outside, receivers,
            lambda opened: published(parameters, record, public, opened))}


def published(parameters: FundFlowParameters, record: Record, public: dict[str, Any],
              opened) -> dict[str, Any]:
    """At the receiver: the document of `release` with `derived`.

    Derived are `flagged_share` (of outstanding credit), `loans_share`, `region_share` (of the
    flagged amount of all regions), `change` (against the period before), `year_change` and, where
    institutions are the contributors, `concentration` and `largest_share` (HHI and C4).
    """
    names = tuple(public['institutions'])
    found = assembled(parameters.joint(names), parameters.rules, about(record, public),
                      public['figures'], (), opened, parameters.noise)
    found['derived'] = {
        'flagged_share': derived.ratio(found, 'flagged', 'outstanding'),
        'loans_share': derived.ratio(found, 'flagged_loans', 'rows'),
        'region_share': derived.share_of(found, 'flagged', 'region'),
        'change': derived.change(found, 'flagged', 'period')}
    if 0 < parameters.periods_per_year < len(parameters.periods):
        found['derived']['year_change'] = derived.change(found, 'flagged', 'period',
                                                         parameters.periods_per_year)
    if parameters.concentrated:
        found['derived']['concentration'] = derived.concentration(found, 'outstanding')
        found['derived']['largest_share'] = derived.largest_share(found, 'outstanding')
    return found
