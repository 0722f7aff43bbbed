"""Violation statistics: credit funds that went where they must not, over many banks.

Each bank flags its own loans by agreed indicators (securities, property, deposits, back to the
borrower), adds them up per region and period, and shares the cells. The table is region × period,
or region × institution × period; per cell the number of loans, the outstanding amount, the flagged
amount and the number of flagged loans. Shares of outstanding credit and the trend are formed from
what opens. See docs/statistics.md for what each role learns.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.stats import derived
from protocols.stats.forms import CellForm
from protocols.stats.intake import intake
from protocols.stats.perturb import Noise
from protocols.stats.release import Record, release
from protocols.stats.rules import Rules
from protocols.stats.spec import Dimension, Measure, TableSpec
from protocols.stats.submission import Expected, schema_digest

STEPS = ('intake', 'cells', 'release')
INDICATORS = ('securities', 'property', 'deposits', 'back-flow')
_MEASURES = (('outstanding', 'amount'), ('flagged', 'amount'), ('flagged_loans', 'count'))


@dataclass(frozen=True)
class FundFlowParameters:
    """What the manifest says; public.

    With `by_institution` the table has a dimension of institutions, and a contributor is a loan.
    Without, the contributors of a cell are the institutions, and the table shows their
    concentration (HHI). A loan is flagged if the scores of its indicators, with the weights given,
    add up to `threshold` at least. `periods` are balances and are not added up.
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
                    progress: Callable[[str, str], None] = lambda name, state: None
                    ) -> dict[str, Any]:
    """Run the program at this compute party.

    `messages` are those that this party got from the banks. Returns {"steps": {step: cost},
    "outputs": {...}}; at a receiver `outputs` is the document of `release` with `derived`:
    `flagged_share` (of outstanding credit), `loans_share`, `change` (against the period before)
    and, where institutions are the contributors, `concentration`.
    """
    steps = Steps(mpc, progress)
    with steps.step('intake'):
        taken = await intake(mpc, parameters.form, parameters.expected(job), messages,
                             quorum=parameters.quorum)
        await taken.values.ready()
    with steps.step('cells'):
        cells = parameters.form.cells(taken.values)
        spec = parameters.joint(tuple(taken.institutions))
        contributions = None
        if parameters.by_institution:
            cells = cells.apply(lambda x: mpc.moveaxis(x, 0, 1), lambda x: mpc.moveaxis(x, 1, 2))
        else:
            contributions = {m.name: cells.measures[m.name].total for m in spec.amounts}
            cells = cells.apply(lambda x: x.sum(0), lambda x: x[:, 0])
        await cells.ready()
    concentrated = bool(contributions) and parameters.rules.rounding < 2 and not parameters.noise
    with steps.step('release'):
        said = Record(record.what, record.period, tuple(taken.institutions), record.manifest_hash,
                      record.approvals, record.measurement, taken.refused)
        found = await release(mpc, spec, parameters.rules, cells, said, receivers=receivers,
                              contributions=contributions, concentration=concentrated,
                              perturbation=parameters.noise)
    if found is None:
        return {'steps': steps.costs, 'outputs': {}}
    found['derived'] = {
        'flagged_share': derived.ratio(found, 'flagged', 'outstanding'),
        'loans_share': derived.ratio(found, 'flagged_loans', 'rows'),
        'change': derived.change(found, 'flagged', 'period')}
    if concentrated:
        found['derived']['concentration'] = derived.concentration(found, 'outstanding')
    return {'steps': steps.costs, 'outputs': found}


class Steps:
    """Named steps of a program, metered and reported."""

    def __init__(self, mpc, progress) -> None:
        self.mpc, self.progress = mpc, progress
        self.costs: dict[str, dict[str, float]] = {}

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Meter a step, and report its start and end."""
        mpc = self.mpc
        mpc.step, mpc.floor = name, mpc.meter.depth
        self.progress(name, 'start')
        with mpc.meter.open_section(name), mpc.meter.measure() as cost:
            yield
        self.costs[name] = {'seconds': cost.seconds, 'rounds': cost.rounds,
                            'bytes_per_party': cost.bytes_sent,
                            'multiplications': cost.multiplications}
        self.progress(name, 'done')
