"""What the parties of fund tracing share: tables of their own, as rows of numbers.

Accounts and companies are tags under a key that the institutions have and no compute party has. An
account's code is the place of its bank in the manifest, and the tag below it. A bank shares only
the tags of its own accounts, and the compute parties put its place in front: so it can state
payments out of its own accounts alone, and describe no account of another bank. Payees are codes,
since a bank pays into accounts of all banks; one place more stands for all banks that are not in
the manifest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.stats.forms import Claimed, padded
from protocols.stats.joins import company_tags
from protocols.stats.rules import Rules
from protocols.stats.spec import Dimension, Measure, TableSpec
from protocols.stats.submission import Expected, schema_digest
from protocols.tracing import Rule

TAG_BITS = 61
FLOWS = ('lent', 'restricted', 'back')
"""What a loan can count as: that it was lent, that it reached restricted accounts, that it came
back to the borrower."""

Columns = Mapping[str, Any]


@dataclass(frozen=True)
class TracingParameters:
    """What the manifest says; public.

    Days are numbered below `days`. Payments count for `hops` hops, up to `window` days after the
    loan, by `rule` (see `protocols.tracing`). A bank shares at most so many `payments`, `loans` and
    `accounts`. `groups` is a party that says which companies belong together, of at most
    `companies`; without it a company is related to itself only. A loan is flagged if the traced
    amount reaches `percent` (restricted, back) of it. With `by_institution` the table has a
    dimension of institutions, and a contributor is a loan; without, the contributors of a cell are
    the institutions. With `own` every bank learns the flags of its own loans.
    """

    banks: tuple[str, ...]
    regions: tuple[str, ...]
    days: int
    hops: int
    window: int
    payments: int
    loans: int
    accounts: int
    rule: Rule = 'tainted-first'
    percent: tuple[int, int] = (10, 10)
    groups: str | None = None
    companies: int = 0
    by_institution: bool = False
    own: bool = False
    rules: Rules = field(default_factory=Rules)
    amount_bits: int = 36
    unit: str = 'yuan'
    quorum: int | None = None
    period: str = ''

    def __post_init__(self) -> None:
        if not all(1 <= p <= 100 for p in self.percent):
            raise ValueError(f'a loan is flagged from {self.percent} per cent, expected 1 to 100')
        if (self.groups is None) != (self.companies == 0):
            raise ValueError('companies that belong together: expected who says so, and of how '
                             'many companies, or neither')
        count = len(self.banks)
        if (self.hops * count * (self.payments + self.loans)) << self.amount_bits >= 1 << 61:
            raise ValueError(f'{self.hops} hops of {count * self.payments} payments of '
                             f'{self.amount_bits} bits add up to more than 2^61; use a larger unit')
        if (count * self.loans << self.amount_bits) >= 1 << 56:
            raise ValueError('all loans add up to more than 2^56; use a larger unit')
        events = count * (2 * self.payments + self.loans)
        numbers = 2 * (events + count * self.accounts) * self.days
        if numbers.bit_length() + events.bit_length() > 62:
            raise ValueError(f'{events} events in {self.days} days are more than one sort takes; '
                             'ask about fewer days')
        cells = count * len(self.regions) * len(FLOWS) + 1
        if cells << self.amount_bits >= 1 << 62:
            raise ValueError(f'{cells} cells with amounts of {self.amount_bits} bits are more than '
                             'one sort takes; use a larger unit')

    @property
    def code_bits(self) -> int:
        """Bits of an account's tag below its bank's place."""
        return TAG_BITS - len(self.banks).bit_length()

    @property
    def forms(self) -> dict[str, Claimed]:
        """What a bank shares, by name of the part: payments (payer, payee, day, amount), loans
        (account, day, amount, company, region), accounts (account, company, restricted)."""
        own, tag = (1 << self.code_bits) - 1, (1 << TAG_BITS) - 1
        code = ((len(self.banks) + 1) << self.code_bits) - 1
        day, amount = self.days - 1, (1 << self.amount_bits) - 1
        return {'payments': Claimed((self.payments, 4), (own, code, day, amount)),
                'loans': Claimed((self.loans, 5), (own, day, amount, tag, len(self.regions) - 1)),
                'accounts': Claimed((self.accounts, 3), (own, tag, 1))}

    @property
    def group_form(self) -> Claimed:
        """What the party shares that knows which companies belong together: company, group."""
        tag = (1 << TAG_BITS) - 1
        return Claimed((self.companies, 2), (tag, tag))

    def joint(self, institutions: tuple[str, ...]) -> TableSpec:
        """The published table over the institutions that were accepted."""
        region, flow = Dimension('region', self.regions), Dimension('flow', FLOWS, total=False)
        measures = (Measure('amount', bits=self.amount_bits, unit=self.unit),)
        if not self.by_institution:
            return TableSpec((region, flow), measures)
        return TableSpec((region, Dimension('institution', institutions), flow), measures)

    def expected(self, job: str) -> dict[str, list[Expected]]:
        """What the submissions must look like, by part."""
        digest = schema_digest({'banks': self.banks, 'regions': self.regions, 'days': self.days,
                                'bits': self.amount_bits, 'unit': self.unit})
        found = {part: [Expected(bank, job, self.period, f'{part} {digest}', *form.shape)
                        for bank in self.banks] for part, form in self.forms.items()}
        if self.groups:
            found['groups'] = [Expected(self.groups, job, self.period, f'groups {digest}',
                                        *self.group_form.shape)]
        return found


def bank_rows(parameters: TracingParameters, bank: str, key: bytes, *, payments: Columns,
              loans: Columns, accounts: Columns) -> dict[str, npt.NDArray[np.int64]]:
    """What a bank shares, from columns of its own tables.

    `payments` out of its accounts: payer, payee_bank, payee, day, amount; `loans`: account (at this
    bank), region, day, amount, company; `accounts`: account, company, restricted (0 or 1). Accounts
    and companies are texts, the same at all banks, days numbers from 0. Raises ValueError with a
    count of rows and no value for what the manifest does not allow.
    """
    p = parameters
    _limited('payments', payments, day=p.days - 1, amount=(1 << p.amount_bits) - 1)
    _limited('loans', loans, day=p.days - 1, amount=(1 << p.amount_bits) - 1)
    _limited('accounts', accounts, restricted=1)
    here = accounts['account']
    if len(set(here)) < len(here):
        raise ValueError(f'accounts: {len(here) - len(set(here))} are repeated')
    places = {name: k for k, name in enumerate(p.banks)}
    payee = np.array([places.get(name, len(p.banks)) for name in payments['payee_bank']], np.int64)

    def own(ids):
        return _accounts(p, [bank] * len(ids), ids, key)
    columns = {
        'payments': (own(payments['payer']), (payee << p.code_bits) + _accounts(
            p, payments['payee_bank'], payments['payee'], key), payments['day'],
            payments['amount']),
        'loans': (own(loans['account']), loans['day'], loans['amount'],
                  _tags('company', loans['company'], key),
                  Dimension('region', p.regions).codes(loans['region'])),
        'accounts': (own(here), _tags('company', accounts['company'], key),
                     accounts['restricted'])}
    return {part: padded(np.stack([np.asarray(c, np.int64) for c in columns[part]], 1),
                         form.shape, part) for part, form in p.forms.items()}


def group_rows_of(parameters: TracingParameters, key: bytes,
                  groups: Columns) -> npt.NDArray[np.int64]:
    """What the party shares that knows which companies belong together: company, group (texts)."""
    named = groups['company']
    if len(set(named)) < len(named):
        raise ValueError(f'groups: {len(named) - len(set(named))} companies are repeated')
    rows = np.stack([_tags('company', named, key), _tags('group', groups['group'], key)], 1)
    return padded(rows, parameters.group_form.shape, 'companies')


def _limited(part, columns, **limits):
    for name, limit in limits.items():
        values = np.asarray(columns[name], np.int64)
        wrong = int(((values < 0) | (values > limit)).sum())
        if wrong:
            raise ValueError(f'{part}, column {name}: {wrong} are outside of 0 to {limit}')


def _accounts(p, banks: Sequence[str], ids: Sequence[str], key: bytes):
    """Tags of accounts, above zero: that is the account of unused rows."""
    tags = _tags('account', [f'{bank}\0{i}' for bank, i in zip(banks, ids, strict=True)], key)
    return np.maximum(tags >> (TAG_BITS - p.code_bits), 1)


def _tags(kind: str, ids: Sequence[str], key: bytes) -> npt.NDArray[np.int64]:
    """Tags of 61 bits, above zero; the kinds have nothing in common."""
    if not len(ids):
        return np.zeros(0, np.int64)
    return np.maximum(company_tags([f'{kind}\0{i}' for i in ids], key) >> 1, 1)
