"""Related loans: what all banks together have lent to groups of related companies.

Banks share loans and guarantees as rows; further holders share edges with a weight, such as stakes
from a registry or trade from invoices, which count from a threshold on. Companies are numbered by a
register that everybody knows. On shares: groups as connected components, what each group owes, and
whether that exceeds the limit for a single group. The regulator gets a table of groups by exposure,
under the rules of disclosure control, whether the largest groups together exceed their limit, and,
if the manifest says so, the list of the groups over the limit; a bank the bit whether the group of
its own borrower is over the limit, for each of its loans. With public edges everybody knows the
groups, and only the loans are secret.

Where trade links nearly everybody a group says little. With `hops` it is asked instead who is near
a borrower that exceeds the limit by itself, over all banks: at most so many edges away. The table
is one of companies by what they owe and whether they are near; a bank learns of each of its loans
whether its borrower is.

Periods follow each other: groups and what every company owes stay with the compute parties as
shares (`keep`), and a later job adds only what has changed since: new edges, and what was lent and
repaid. Edges are not taken away that way; for that, start anew with all edges. Neighbourhoods
over secret edges need all edges in every period.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.array import SecureArray, constant
from protocols.components import components, public_components, with_edges
from protocols.related import around, counting, exposure, largest_groups
from protocols.stats import derived
from protocols.stats.forms import Claimed
from protocols.stats.grouping import group_rows, keys
from protocols.stats.handed import handed_over, sealed
from protocols.stats.intake import intake, intake_parts
from protocols.stats.release import Record, about, assembled, decided
from protocols.stats.rules import Rules
from protocols.stats.spec import Dimension, Measure, TableSpec
from protocols.stats.submission import Expected, schema_digest
from protocols.steps import Progress, Steps

STEPS = ('intake', 'groups', 'exposure', 'release')
GROUP_BITS = 40
MOST_HOPS = 16
NEAR = ('near', 'elsewhere')


@dataclass(frozen=True)
class Edges:
    """What a holder of edges shares: at most `rows` edges with weights up to `largest`, of which
    those count that reach `threshold`."""

    rows: int
    threshold: int = 1
    largest: int = 1


@dataclass(frozen=True)
class RelatedParameters:
    """What the manifest says; public.

    `companies` is the number of companies in the register. `edges` are holders besides the banks.
    Every bank shares at most `loans` rows (company, lent, repaid) and `guarantees` rows (company,
    company). `limit` is that of a single group, `bands` are lower ends of the bands of exposure
    besides zero, and `top` is (number of groups, limit of their sum), all in `unit`. `public` says
    that all parties know the edges, and nobody shares any. With `listed` the regulator gets the
    list of the groups over the limit. With `hops` of 1 or more everything is about companies near
    one that is over the limit, in place of groups.
    """

    banks: tuple[str, ...]
    companies: int
    loans: int
    guarantees: int
    limit: int
    bands: tuple[int, ...]
    edges: dict[str, Edges] = field(default_factory=dict)
    top: tuple[int, int] | None = None
    public: bool = False
    listed: bool = False
    stop_early: bool = False
    rules: Rules = field(default_factory=Rules)
    amount_bits: int = 36
    unit: str = 'thousand yuan'
    quorum: int | None = None
    period: str = ''
    hops: int = 0

    def __post_init__(self) -> None:
        if list(self.bands) != sorted(set(self.bands)) or not all(b > 0 for b in self.bands):
            raise ValueError('bands of exposure: expected positive numbers in ascending order')
        if self.public and (self.edges or self.guarantees):
            raise ValueError('where the edges are public nobody shares edges or guarantees')
        if self.companies < 2:
            raise ValueError(f'{self.companies} companies, expected 2 or more')
        if not 0 <= self.hops <= MOST_HOPS:
            raise ValueError(f'neighbourhoods of {self.hops} edges, expected 1 to {MOST_HOPS}, '
                             'or 0 for groups')

    @property
    def spec(self) -> TableSpec:
        """Groups that owe something, by what they owe; or companies, and whether they are near."""
        ends = ['0', *[f'{b:,}'.replace(',', ' ') for b in self.bands]]
        names = [f'{a}–{b}' for a, b in itertools.pairwise(ends)] + [f'> {ends[-1]}']
        dimensions = [Dimension('exposure', tuple(names))]
        if self.hops:
            dimensions.append(Dimension('neighbourhood', NEAR))
        return TableSpec(tuple(dimensions), (Measure('owed', bits=GROUP_BITS, unit=self.unit),))

    @property
    def forms(self) -> dict[str, Claimed]:
        """What a bank shares, by name of the part."""
        last, amount = self.companies - 1, (1 << self.amount_bits) - 1
        found = {'loans': Claimed((self.loans, 3), (last, amount, amount))}
        if self.guarantees:
            found['guarantees'] = Claimed((self.guarantees, 2), (last, last))
        return found

    def edge_form(self, holder: str) -> Claimed:
        """What a holder of edges shares."""
        last, terms = self.companies - 1, self.edges[holder]
        return Claimed((terms.rows, 3), (last, last, terms.largest))

    def expected(self, job: str) -> dict[str, list[Expected]]:
        """What the submissions must look like: `loans`, `guarantees`, and the edges by holder."""
        digest = schema_digest({'companies': self.companies, 'bits': self.amount_bits,
                                'unit': self.unit})
        found = {part: [Expected(bank, job, self.period, f'{part} {digest}', *form.shape)
                        for bank in self.banks] for part, form in self.forms.items()}
        for holder in self.edges:
            found[f'edges of {holder}'] = [Expected(holder, job, self.period, f'edges {digest}',
                                                    *self.edge_form(holder).shape)]
        return found


async def related_loans(mpc, *, parameters: RelatedParameters, job: str,
                        messages: dict[str, dict[str, bytes | None]], record: Record,
                        known: npt.NDArray[np.int64] | None = None,
                        before: dict[str, npt.NDArray[np.uint64]] | None = None,
                        receivers=None, outside: bool = False,
                        taken: Callable[[tuple[str, ...]], None] | None = None,
                        progress: Progress = lambda name, state: None) -> dict[str, Any]:
    """Run the program at this compute party.

    `messages` holds this party's messages by part, as in `RelatedParameters.expected`, and by
    sender; `known` are the public edges; `before` is what an earlier job kept. `taken` is told
    which banks count, before anything opens, and may raise. Returns {"steps", "outputs", "public",
    "own", "keep"}: `outputs` at a receiver is that of `published` (with `outside` there is `sealed`
    for it instead), `own` maps each bank to this party's shares of its bits, and `keep` is what the
    next period's job starts from.

    Revealed besides the results: with `stop_early` the number of iterations.
    """
    steps, p = Steps(mpc, progress), parameters
    with steps.step('intake'):
        names, refused, loans, edges = await _taken(mpc, p, job, messages)
        if taken:
            taken(tuple(names))
    start = {name: SecureArray(mpc, share.shape[:-1], 0, share)
             for name, share in (before or {}).items()}
    company, amount = loans[:, :, 0].reshape(-1), (loans[:, :, 1] - loans[:, :, 2]).reshape(-1)
    with steps.step('groups'):
        group: Any = np.arange(p.companies)
        if not p.hops:
            group = await _groups(mpc, p, edges, known, start.get('group'))
        if isinstance(group, SecureArray):
            await group.ready()
    with steps.step('exposure'):
        if p.hops:
            links = known if p.public else _or_none(mpc, edges)
            found = await around(mpc, company, amount, links, p.companies, p.limit, p.hops,
                                 before=start.get('owed'))
        else:
            found = await exposure(mpc, company, amount, group, p.limit, before=start.get('owed'))
        many = None
        if p.top:
            count = min(p.top[0], p.companies)
            many = (await largest_groups(mpc, found.groups, count, p.top[1]))[2]
            await many.ready()
        await found.loans.ready()
    with steps.step('release'):
        table = await _table(mpc, p, found)
        arrays = dict(table.arrays)
        if many is not None:
            arrays['top'] = many.reshape(1)
        if p.listed:
            numbered = mpc.array(group) if isinstance(group, np.ndarray) else group
            arrays['groups'] = found.companies * (numbered + 1)
            arrays['owed'] = found.groups * found.companies
        public = {'institutions': names, 'refused': refused, 'figures': list(table.figures)}
        bits = found.loans.reshape(len(names), p.loans)
        own = await sealed(mpc, {name: bits[k] for k, name in enumerate(names)})
        keep = {'owed': found.owed}
        if isinstance(group, SecureArray):
            keep['group'] = group
        kept = {name: share for name, (share, _) in (await sealed(mpc, keep)).items()}
        result = {'steps': steps.costs, 'public': public, 'keep': kept,
                  'own': {name: share for name, (share, _) in own.items()}}
        return {**result, **await handed_over(
            mpc, arrays, outside, receivers,
            lambda opened: published(p, record, public, opened))}


def published(parameters: RelatedParameters, record: Record, public: dict[str, Any],
              opened) -> dict[str, Any]:
    """At the receiver: `table`, `top_over_limit` and `groups`.

    `table` is the document of `release`, with what part of all groups and of all they owe a band
    has as `derived`, or with `hops` what part of a band is near; `top_over_limit` says whether the
    largest groups together exceed their limit, or is None; `groups` are those over the limit (with
    `hops` the companies near one) as {companies: numbers in the register, owed}, or None where the
    manifest does not grant the list.
    """
    table = assembled(parameters.spec, parameters.rules, about(record, public), public['figures'],
                      (), opened)
    shares, over = (('owed_share', 'groups_share'), 'exposure') if not parameters.hops else \
        (('band_owed_share', 'band_companies_share'), 'neighbourhood')
    table['derived'] = {name: derived.share_of(table, figure, over)
                        for name, figure in zip(shares, ('owed', 'rows'), strict=True)}
    groups: Any = None
    if parameters.listed:
        group = opened['groups'].astype(np.int64)
        groups = [{'companies': np.flatnonzero(group == g).tolist(), 'owed': int(
            sum(opened['owed'][group == g]))} for g in np.unique(group[group > 0])]
        groups.sort(key=lambda g: g['owed'], reverse=True)
    return {'table': table, 'groups': groups,
            'top_over_limit': bool(opened['top'][0]) if parameters.top else None}


async def _taken(mpc, p, job, messages):
    """(banks that count, refused ones, loans (banks, rows, 3), all edges with weights resolved)."""
    expected = p.expected(job)
    parts = await intake_parts(mpc, p.forms, expected, messages, quorum=p.quorum)
    edges = [parts.values['guarantees'].reshape(-1, 2)] if p.guarantees else []
    for holder, terms in p.edges.items():
        part = f'edges of {holder}'
        found = await intake(mpc, p.edge_form(holder), expected[part], messages[part])
        own = found.values[0]
        edges.append(counting(mpc, own[:, :2], own[:, 2], terms.threshold))
    return (parts.institutions, parts.refused, parts.values['loans'],
            mpc.concatenate(edges) if edges else None)


async def _groups(mpc, p, edges, known, group):
    """Each company's group: public numbers if the edges are known, else shared."""
    if p.public:
        return public_components(known, p.companies)
    edges = _or_none(mpc, edges)
    if group is None:
        return await components(mpc, edges, p.companies, stop_early=p.stop_early)
    return await with_edges(mpc, group, edges, stop_early=p.stop_early)


def _or_none(mpc, edges):
    """Edges, or one from a company to itself where nobody shares any."""
    return mpc.array(np.zeros((1, 2), np.int64)) if edges is None else edges


async def _table(mpc, p, found):
    """What is in the cells of `RelatedParameters.spec`, with the rules applied."""
    spec, groups = p.spec, found.groups
    positive = groups >= 1
    most = constant(mpc, np.full(groups.shape, (1 << GROUP_BITS) - 1))
    owed = mpc.minimum(groups * positive, most)
    above = mpc.stack([owed > end for end in p.bands]).sum(0) if p.bands else 0 * owed
    if p.hops:
        above = len(NEAR) * above + 1 - found.companies
    key = keys(mpc, above, owed, cells=spec.cells, bits=GROUP_BITS, weight=positive)
    cells = await group_rows(mpc, key, name='owed', cells=spec.cells, bits=GROUP_BITS,
                             largest=p.rules.largest, spare=True)
    return await decided(mpc, spec, p.rules, cells.reshape(*spec.shape))
