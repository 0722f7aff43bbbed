"""A table of any dimensions over the rows of many institutions: the table engine as a program.

Institutions share rows: the cell by the dimensions that they know, an amount, and a tag of the
company where companies matter. Another party may know one dimension more, such as the industry, by
company: then rows get it by a join. Per cell: number of rows and sum of amounts; if asked for, the
number of distinct companies over all institutions (which then are the contributors to whom the
rules apply), sums of squares (mean and variance), and percentiles. A company may be in many cells,
so a table with numbers of companies has no totals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.array import constant
from protocols.stats import derived
from protocols.stats.cells import Amount, Cells
from protocols.stats.forms import Claimed, padded
from protocols.stats.grouping import contributors, group_rows, keys
from protocols.stats.handed import handed_over
from protocols.stats.intake import intake, intake_parts
from protocols.stats.joins import attach, company_tags, described, reference
from protocols.stats.perturb import Noise
from protocols.stats.release import Record, about, assembled, check_perturbed, decided
from protocols.stats.rules import Rules
from protocols.stats.spec import Dimension, Measure, TableSpec
from protocols.stats.submission import Expected, schema_digest
from protocols.steps import Progress, Steps

STEPS = ('intake', 'rows', 'cells', 'release')
TAG_BITS = 61
COMPANIES = 'companies'
"""The measure that counts distinct companies."""


@dataclass(frozen=True)
class Attribute:
    """A party that knows a dimension by company, of at most so many companies."""

    holder: str
    dimension: Dimension
    companies: int


@dataclass(frozen=True)
class TableParameters:
    """What the manifest says; public.

    `dimensions` are those that institutions know of their rows, `attribute` one more. Every
    institution shares at most `rows` rows with an `amount` below 2^amount_bits units. With
    `by_institution` the institutions are the last dimension. `distinct` counts companies,
    `variance` adds the sums of squares, `percentiles` are from 1 to 99; neither goes with noise or
    rounding, since they are shown as they are. With so many `periods_per_year` the change against
    the year before is formed along a dimension `period`.

    `noise` protects a row of an institution: it changes the number of rows of one cell by 1, its
    amount by less than 2^amount_bits, and its number of companies by at most 1. It does not protect
    what the holder of the attribute says of a company, which may move all its rows.
    """

    institutions: tuple[str, ...]
    dimensions: tuple[Dimension, ...]
    amount: str
    rows: int
    attribute: Attribute | None = None
    by_institution: bool = False
    distinct: bool = False
    variance: bool = False
    percentiles: tuple[int, ...] = ()
    periods_per_year: int = 0
    rules: Rules = field(default_factory=Rules)
    amount_bits: int = 36
    unit: str = 'yuan'
    quorum: int | None = None
    period: str = ''
    noise: Noise | None = None

    def __post_init__(self) -> None:
        spec, rows = self.joint(self.institutions), len(self.institutions) * self.rows
        if not all(1 <= p <= 99 for p in self.percentiles):
            raise ValueError(f'percentiles {self.percentiles}, expected 1 to 99')
        check_perturbed(spec, self.rules, self.noise,
                        ['variance'] * self.variance + ['percentiles'] * bool(self.percentiles))
        if rows << self.amount_bits >= 1 << 56:
            raise ValueError('all amounts add up to more than 2^56; use a larger unit')
        if (spec.cells + 1) << (self.amount_bits + rows.bit_length()) >= 1 << 62:
            raise ValueError(f'{spec.cells} cells with amounts of {self.amount_bits} bits in '
                             f'{rows} rows are more than one sort takes; use a larger unit')
        if self.variance and rows << 2 * self.amount_bits >= 1 << 63:
            raise ValueError('sums of squares are more than 2^63; use a larger unit')

    @property
    def tagged(self) -> bool:
        """Whether rows have tags of companies."""
        return self.distinct or self.attribute is not None

    @property
    def own(self) -> TableSpec:
        """What an institution knows of its rows."""
        return TableSpec(self.dimensions, (self._measure,))

    @property
    def _measure(self) -> Measure:
        return Measure(self.amount, bits=self.amount_bits, unit=self.unit)

    def joint(self, institutions: tuple[str, ...]) -> TableSpec:
        """The published table over the institutions that were accepted."""
        dimensions = [*([self.attribute.dimension] if self.attribute else []), *self.dimensions]
        if self.by_institution:
            dimensions.append(Dimension('institution', institutions))
        if not self.distinct:
            return TableSpec(tuple(dimensions), (self._measure,))
        apart = tuple(Dimension(d.name, d.categories, total=False) for d in dimensions)
        return TableSpec(apart, (self._measure, Measure(COMPANIES, 'count', unit='')))

    @property
    def form(self) -> Claimed:
        """What an institution shares: cell by its dimensions, amount, whether the row is one, tag.
        """
        limits = self.own.cells - 1, (1 << self.amount_bits) - 1, 1, (1 << TAG_BITS) - 1
        columns = 3 + self.tagged
        return Claimed((self.rows, columns), limits[:columns])

    @property
    def attribute_form(self) -> Claimed:
        """What the party shares that knows a dimension by company (`joins.reference`)."""
        assert self.attribute is not None
        tag = (1 << TAG_BITS) - 1
        last = len(self.attribute.dimension.categories) - 1
        return Claimed((self.attribute.companies, 3), (tag, tag, last), running=(1, 2))

    def expected(self, job: str) -> dict[str, list[Expected]]:
        """What the submissions must look like, by part."""
        digest = schema_digest({'dimensions': [[d.name, d.categories] for d in self.dimensions],
                                'amount': self.amount, 'bits': self.amount_bits,
                                'unit': self.unit})
        found = {'rows': [Expected(name, job, self.period, f'rows {digest}', *self.form.shape)
                          for name in self.institutions]}
        if self.attribute:
            found['attribute'] = [Expected(self.attribute.holder, job, self.period,
                                           f'attribute {digest}', *self.attribute_form.shape)]
        return found


def tags_of(companies, key: bytes) -> npt.NDArray[np.int64]:
    """Tags of companies, above zero: that is the tag of unused rows."""
    return np.maximum(company_tags(companies, key) >> 1, 1) if len(companies) else np.zeros(
        0, np.int64)


def institution_rows(parameters: TableParameters, key: bytes, *, columns: Mapping[str, Any], amount,
                     companies=()) -> npt.NDArray[np.int64]:
    """What an institution shares, from its own rows: texts by dimension, amounts, companies (texts,
    the same at all institutions). ValueError with counts and no value for what does not fit."""
    p = parameters
    amount = np.asarray(amount, np.int64)
    wrong = int(((amount < 0) | (amount >> p.amount_bits > 0)).sum())
    if wrong:
        raise ValueError(f'column {p.amount}: {wrong} are outside of 0 to 2^{p.amount_bits} - 1')
    cell = p.own.cell([d.codes(columns[d.name]) for d in p.dimensions])
    parts = [cell, amount, np.ones(len(amount), np.int64)]
    if p.tagged:
        parts.append(tags_of(companies, key))
    return padded(np.stack(parts, 1), p.form.shape, 'rows')


def attribute_rows(parameters: TableParameters, key: bytes, companies: list[str],
                   categories) -> npt.NDArray[np.int64]:
    """What the party shares that knows the category of companies (texts, every one once)."""
    attribute = parameters.attribute
    assert attribute is not None
    spare = attribute.companies - len(companies)
    if spare < 0:
        raise ValueError(f'{len(companies)} companies, but at most {attribute.companies} are '
                         'agreed')
    # No identifier begins with a zero byte.
    named = [*companies, *[f'\0{k}' for k in range(spare)]]
    codes = np.concatenate([attribute.dimension.codes(categories), np.zeros(spare, np.int64)])
    return reference(tags_of(named, key), codes)


async def joint_table(mpc, *, parameters: TableParameters, job: str,
                      messages: dict[str, dict[str, bytes | None]], record: Record, receivers=None,
                      outside: bool = False,
                      taken: Callable[[tuple[str, ...]], None] | None = None,
                      progress: Progress = lambda name, state: None) -> dict[str, Any]:
    """Run the program at this compute party.

    `messages` holds this party's messages by part, as in `TableParameters.expected`, and by sender.
    `taken` is told which institutions count, before anything of their data opens, and may raise.
    Returns {"steps", "outputs", "public"}: `outputs` at a receiver is the document of `published`;
    with `outside` there is `sealed` for it instead.

    For n rows and k companies: with an attribute a sort of n + k rows by tag, one of n rows by cell
    and amount; with `distinct` one by tag, one by cell and company, and one more by cell and sum.
    Revealed besides the results: nothing but the comparisons of the sorts.
    """
    steps, p = Steps(mpc, progress), parameters
    with steps.step('intake'):
        expected = p.expected(job)
        found = await intake_parts(mpc, {'rows': p.form}, expected, messages, quorum=p.quorum)
        table = None
        if p.attribute:
            table = (await intake(mpc, p.attribute_form, expected['attribute'],
                                  messages['attribute'])).values[0]
        names = tuple(found.institutions)
        if taken:
            taken(names)
    spec = p.joint(names)
    with steps.step('rows'):
        cell, amount, there, tag = await _rows(mpc, p, found.values['rows'], table)
        await there.ready()
    with steps.step('cells'):
        cells = await _cells(mpc, p, spec.cells, cell, amount, there, tag)
        await cells.ready()
    with steps.step('release'):
        made = await decided(mpc, spec, p.rules, cells.reshape(*spec.shape), perturbation=p.noise)
        public = {'institutions': list(names), 'refused': found.refused,
                  'figures': list(made.figures), 'percentiles': list(made.percentiles)}
        result = {'steps': steps.costs, 'public': public}
        return {**result, **await handed_over(
            mpc, made.arrays, outside, receivers,
            lambda opened: published(p, record, public, opened))}


async def _rows(mpc, p, rows, table):
    """(cell of the whole table, amount, bit, tag or None) of all rows."""
    count, n = rows.shape[:2]
    flat = rows.reshape(count * n, rows.shape[2])
    cell, amount, there = flat[:, 0], flat[:, 1], flat[:, 2]
    tag, width = flat[:, 3] if p.tagged else None, p.own.cells
    if p.by_institution:
        cell, width = count * cell + np.repeat(np.arange(count), n), width * count
    if table is not None:
        columns, attributes, known = await attach(
            mpc, tag, mpc.stack([cell, amount, there, tag], 1), table)
        # The attribute is the first dimension, so no row can be put anywhere else by its own cell.
        cell, amount = columns[:, 0] + width * attributes[:, 0], columns[:, 1]
        there, tag = columns[:, 2] * known, columns[:, 3]
    return cell, amount, there, tag


async def _cells(mpc, p, count, cell, amount, there, tag) -> Cells:
    """The cells (count,) of the rows whose bit is 1."""
    key = keys(mpc, cell, amount, cells=count, bits=p.amount_bits, weight=there)
    cells = await group_rows(mpc, key, name=p.amount, cells=count, bits=p.amount_bits,
                             largest=p.rules.largest, spare=True, squares=p.variance,
                             percentiles=p.percentiles)
    if not p.distinct:
        return cells
    n = tag.shape[0]
    number, _, _ = await described(mpc, tag, constant(mpc, np.zeros((0, 2), np.int64)),
                                   bits=TAG_BITS)
    placed = there * (cell - count) + count
    bits = p.amount_bits + n.bit_length()
    own, total, first = await contributors(
        mpc, placed, number, there * amount, contributor_bits=n.bit_length(),
        cell_bits=count.bit_length())
    key = keys(mpc, own, total, cells=count, bits=bits, weight=first)
    each = await group_rows(mpc, key, name=p.amount, cells=count, bits=bits,
                            largest=p.rules.largest, spare=True)
    measures: dict[str, Amount] = {
        p.amount: Amount(cells.measures[p.amount].total, each.measures[p.amount].top),
        COMPANIES: Amount(each.rows)}
    return Cells(cells.rows, measures, cells.extra, cells.percentiles)


def published(parameters: TableParameters, record: Record, public: dict[str, Any],
              opened) -> dict[str, Any]:
    """At the receiver: the document of `release` with `percentiles`, the names of these figures,
    and `derived`: `mean`, `variance`, `share` (of the total over the first dimension that has one),
    and along a dimension `period` `amount_change` and `amount_year_change`."""
    p, spec = parameters, parameters.joint(tuple(public['institutions']))
    found = assembled(spec, p.rules, about(record, public), public['figures'],
                      public['percentiles'], opened, p.noise)
    found['percentiles'] = list(public['percentiles'])
    ratios = {'mean': derived.mean(found, p.amount)}
    if p.variance:
        ratios['variance'] = derived.variance(found, p.amount)
    whole = [d.name for d, n, places in zip(spec.dimensions, spec.shape, spec.extended, strict=True)
             if places > n]
    if whole:
        ratios['share'] = derived.share_of(found, p.amount, whole[0])
    periods = next((len(d.categories) for d in spec.dimensions if d.name == 'period'), 0)
    if periods > 1:
        ratios['amount_change'] = derived.change(found, p.amount, 'period')
        if 0 < p.periods_per_year < periods:
            ratios['amount_year_change'] = derived.change(found, p.amount, 'period',
                                                          p.periods_per_year)
    found['derived'] = ratios
    return found
