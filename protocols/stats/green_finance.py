"""Green finance: one evaluation of many institutions by common indicators.

Every institution shares a few sums over its own loans, and its green loans as rows (company tag,
balance). Another party holds carbon intensities of companies. On shares: ratio, growth, share of
new loans, quality, and the balance-weighted carbon intensity of the loans; points on public scales;
a score with public weights. An institution learns its own indicators and score; the regulator a
table of balances by kind of institution, under the rules, and the band into which each institution
ranks. Nobody learns an institution's figures but itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.array import constant
from protocols.stats import derived
from protocols.stats.cells import Amount, Cells
from protocols.stats.forms import Claimed
from protocols.stats.handed import handed_over, sealed
from protocols.stats.intake import Intake, Parts, intake, intake_parts
from protocols.stats.joins import attach
from protocols.stats.release import Record, about, assembled, decided
from protocols.stats.rules import Rules
from protocols.stats.spec import Dimension, Measure, TableSpec
from protocols.stats.submission import Expected, schema_digest
from protocols.steps import Progress, Steps

STEPS = ('intake', 'carbon', 'indicators', 'release')
FIGURES = ('loans', 'all_balance', 'green_balance', 'green_before', 'new_loans', 'new_green',
           'green_overdue')
INDICATORS = ('ratio', 'growth', 'new_share', 'quality', 'carbon')
TAG_BITS, INTENSITY_BITS = 62, 20


@dataclass(frozen=True)
class Scale:
    """Points of an indicator: 0 at `worst`, 1 at `best` and beyond, linear between; and weight."""

    worst: float
    best: float
    weight: float


@dataclass(frozen=True)
class GreenParameters:
    """What the manifest says; public.

    `kinds` maps each institution to its kind, by which the regulator's table adds up; `bands` are
    the upper ends of the ranking bands as parts of all institutions. Balances are integers in
    `unit` below 2^amount_bits per loan; an intensity is an integer below 2^20 (such as grams of CO2
    per yuan). `loans` green loans at most per institution, `companies` companies in the carbon
    table.
    """

    kinds: dict[str, str]
    loans: int
    companies: int
    carbon_holder: str
    scales: dict[str, Scale] = field(default_factory=lambda: {
        'ratio': Scale(0.0, 0.3, 0.3), 'growth': Scale(-0.1, 0.4, 0.2),
        'new_share': Scale(0.0, 0.4, 0.2), 'quality': Scale(0.9, 1.0, 0.2),
        'carbon': Scale(400.0, 50.0, 0.1)})
    bands: tuple[float, ...] = (0.2, 0.5, 0.8, 1.0)
    rules: Rules = field(default_factory=Rules)
    amount_bits: int = 36
    largest_rows: int = 1 << 20
    unit: str = 'yuan'
    quorum: int | None = None
    period: str = ''

    def __post_init__(self) -> None:
        if set(self.scales) != set(INDICATORS):
            raise ValueError(f'scales for {sorted(self.scales)}, expected {sorted(INDICATORS)}')
        if any(s.best == s.worst for s in self.scales.values()):
            raise ValueError('a scale has no width')

    @property
    def institutions(self) -> tuple[str, ...]:
        """All institutions, in order."""
        return tuple(self.kinds)

    @property
    def total_bits(self) -> int:
        """Bits of an institution's sums."""
        return min(47, self.amount_bits + 11)

    @property
    def forms(self) -> tuple[Claimed, Claimed, Claimed]:
        """What is shared: sums and loans of an institution, and the carbon table."""
        total = (1 << self.total_bits) - 1
        sums = Claimed((1, len(FIGURES)), (self.largest_rows, *[total] * (len(FIGURES) - 1)))
        rows = Claimed((self.loans, 2), ((1 << TAG_BITS) - 1, (1 << self.amount_bits) - 1))
        signed = (1 << TAG_BITS) - 1, (1 << INTENSITY_BITS) - 1
        carbon = Claimed((self.companies, 3), ((1 << TAG_BITS) - 1, *signed), running=(1, 2))
        return sums, rows, carbon

    def expected(self, job: str) -> tuple[list[Expected], list[Expected], list[Expected]]:
        """What the submissions must look like: sums, loans, carbon table."""
        digest = schema_digest({'figures': FIGURES, 'bits': self.amount_bits, 'unit': self.unit,
                                'rows': self.largest_rows})
        sums, rows, carbon = self.forms
        return ([Expected(i, job, self.period, f'sums {digest}', *sums.shape)
                 for i in self.institutions],
                [Expected(i, job, self.period, f'loans {digest}', *rows.shape)
                 for i in self.institutions],
                [Expected(self.carbon_holder, job, self.period, f'carbon {digest}',
                          *carbon.shape)])


def loan_rows(parameters: GreenParameters, tags, balances) -> npt.NDArray[np.int64]:
    """What an institution shares of its green loans; the unused rows are zero."""
    if len(tags) > parameters.loans:
        raise ValueError(f'{len(tags)} loans, but at most {parameters.loans} are agreed')
    out = np.zeros((parameters.loans, 2), np.int64)
    out[:len(tags)] = np.column_stack([tags, balances])
    return out


async def green_finance(mpc, *, parameters: GreenParameters, job: str,
                        messages: dict[str, dict[str, bytes | None]], record: Record,
                        receivers=None, outside: bool = False,
                        taken: Callable[[tuple[str, ...]], None] | None = None,
                        progress: Progress = lambda name, state: None) -> dict[str, Any]:
    """Run the program at this compute party.

    `messages` holds this party's messages by kind: `sums` and `loans` by institution, `carbon` by
    its holder. `taken` is told which institutions count, before anything of their data opens, and
    may raise. Returns {"steps", "outputs", "own", "public"}. `outputs` at a receiver is that of
    `published`; with `outside` nothing opens, and `sealed` holds shares for a receiver outside.
    `own` maps each institution to this party's shares of its `INDICATORS` and score, with 20
    fractional bits, to be sent to it.
    """
    steps = Steps(mpc, progress)
    p = parameters
    with steps.step('intake'):
        found, carbon = await _taken(mpc, p, job, messages)
        names, figures = found.institutions, found.values['sums'][:, 0]
        if taken:
            taken(tuple(names))
    with steps.step('carbon'):
        emission, covered = await _carbon(mpc, found.values['loans'], carbon.values[0])
    with steps.step('indicators'):
        indicators, there = _indicators(mpc, figures, emission, covered)
        score = _score(mpc, p, indicators, there)
        bands = _bands(mpc, p, score)
        await bands.ready()
        own = mpc.concatenate([indicators, score.reshape(-1, 1).with_frac(indicators.frac)], 1)
        shares, _ = (await sealed(mpc, {'own': own}))['own']
    with steps.step('release'):
        table = await _table(mpc, p, names, figures)
        public = {'institutions': names, 'refused': found.refused,
                  'figures': list(table.figures)}
        arrays = {**table.arrays, 'bands': bands}
        result = {'steps': steps.costs, 'public': public,
                  'own': {i: np.ascontiguousarray(shares[k]) for k, i in enumerate(names)}}
        return {**result, **await handed_over(
            mpc, arrays, outside, receivers,
            lambda opened: published(p, record, public, opened))}


def published(parameters: GreenParameters, record: Record, public: dict[str, Any],
              opened) -> dict[str, Any]:
    """At the receiver: `table`, the document of `release` with `derived` (`green_share`), and
    `bands` {institution: 0 is best}."""
    names = public['institutions']
    table = assembled(table_of(parameters, names), parameters.rules, about(record, public),
                      public['figures'], (), opened)
    table['derived'] = {
        'green_share': derived.ratio(table, 'green_balance', 'all_balance')}
    return {'table': table,
            'bands': {i: int(b) for i, b in zip(names, opened['bands'], strict=True)}}


async def _taken(mpc, p, job, messages) -> tuple[Parts, Intake]:
    kinds = ('sums', 'loans', 'carbon')
    forms, expected = (dict(zip(kinds, each, strict=True)) for each in (p.forms, p.expected(job)))
    carbon = forms.pop('carbon')
    found = await intake_parts(mpc, forms, expected, messages, quorum=p.quorum)
    return found, await intake(mpc, carbon, expected['carbon'], messages['carbon'])


async def _carbon(mpc, rows, companies):
    """Per institution: Σ balance · intensity, and the balance of loans with a known intensity."""
    k, n = rows.shape[:2]
    owner = np.repeat(np.eye(k, dtype=np.int64), n, axis=0)
    flat = rows.reshape(k * n, 2)
    columns = mpc.concatenate([flat[:, 1:], constant(mpc, owner)], 1)
    columns, intensity, found = await attach(mpc, flat[:, 0], columns, companies)
    balance = columns[:, 0] * found
    # A matrix product per institution: the rows' order is secret, their owners are shared bits.
    weighted = mpc.stack([balance * intensity[:, 0], balance], 1)
    both = columns[:, 1:].T @ weighted
    return both[:, 0], both[:, 1]


def _indicators(mpc, figures, emission, covered):
    """(institutions, 5) in fixed point, the quotients 0 where there is nothing to divide by; and
    bits, whether there is something."""
    column = {name: figures[:, j] for j, name in enumerate(FIGURES)}
    over = mpc.stack([column['green_balance'], column['green_balance'] - column['green_before'],
                      column['new_green'], column['green_overdue'], emission], 1)
    under = mpc.stack([column['all_balance'], column['green_before'], column['new_loans'],
                       column['green_balance'], covered], 1)
    found = over / under
    quality = 1 - found[:, 3]
    indicators = mpc.stack([found[:, 0], found[:, 1], found[:, 2], quality, found[:, 4]], 1)
    return indicators, 1 - mpc.equal(under, 0)


def _score(mpc, p, indicators, there):
    """Σ weight · points, each point clipped to [0, 1]; none for an indicator of nothing: without
    green loans, or with companies that nobody knows, quality and carbon would be the best."""
    scales = [p.scales[name] for name in INDICATORS]
    points = mpc.stack([(indicators[:, j] - s.worst) * (1.0 / (s.best - s.worst))
                        for j, s in enumerate(scales)], 1)
    points = mpc.minimum(mpc.maximum(points, 0.0), 1.0)
    return (points * there) @ np.array([s.weight for s in scales])


def _bands(mpc, p, score):
    """The band of each institution by the number of those with a higher score; equals share one."""
    k = score.shape[0]
    higher = mpc.less(score.reshape(k, 1), score.reshape(1, k)).sum(1)
    ends = np.ceil(np.array(p.bands[:-1]) * k - 1e-9).astype(np.int64)
    return (1 - mpc.less(higher.reshape(k, 1), ends.reshape(1, -1))).sum(1)


def table_of(p: GreenParameters, names) -> TableSpec:
    """The regulator's table, over the institutions that count."""
    kinds = tuple(dict.fromkeys(p.kinds[i] for i in names))
    measures = tuple(Measure(name, bits=p.amount_bits, unit=p.unit)
                     for name in ('all_balance', 'green_balance'))
    return TableSpec((Dimension('kind', kinds),), measures)


async def _table(mpc, p, names, figures):
    """Balances by kind of institution; the institutions are the contributors."""
    spec = table_of(p, names)
    kinds = spec.dimensions[0].categories
    member = np.array([[p.kinds[i] == kind for kind in kinds] for i in names], np.int64)

    def spread(name):
        return figures[:, FIGURES.index(name)].reshape(-1, 1) * member
    loans, contributions = spread('loans'), {m.name: spread(m.name) for m in spec.measures}
    cells = Cells(loans.sum(0), {name: Amount(x.sum(0)) for name, x in contributions.items()})
    return await decided(mpc, spec, p.rules, cells, contributions=contributions)
