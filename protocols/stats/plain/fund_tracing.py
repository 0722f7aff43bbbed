"""Fund tracing in the clear, on the pooled tables of all banks that count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from protocols.plain.tracing import trace_plain
from protocols.stats.plain.tables import PlainTable, table
from protocols.stats.tracing_data import FLOWS, TracingParameters


@dataclass
class Traced:
    """The twin's results: the published table, and per loan of each bank the amounts (lent,
    restricted, back) and whether it counts as such, both (loans, 3)."""

    table: PlainTable
    amounts: dict[str, np.ndarray]
    counts: dict[str, np.ndarray]

    def flags(self, bank: str) -> dict[str, list[int]]:
        """What a bank learns of its own loans, as `flags_of`."""
        return {flow: (np.flatnonzero(self.counts[bank][:, 1 + j]) + 1).tolist()
                for j, flow in enumerate(FLOWS[1:])}


def fund_tracing_table(parameters: TracingParameters, rows: Mapping[str, Mapping[str, Any]],
                       groups: Mapping[str, Any] | None = None) -> Traced:
    """The twin of `fund_tracing`: `rows` maps each accepted bank to the columns of its tables, as
    `tracing_data.bank_rows` takes them, and `groups` are those of `tracing_data.group_rows_of`."""
    p = parameters
    group = dict(zip(groups['company'], groups['group'], strict=True)) if groups else {}

    def related(company):
        return ('group', group[company]) if company in group else ('company', company)
    owner: dict[Any, Any] = {}
    for bank, own in rows.items():
        told = own['accounts']
        for account, company, restricted in zip(told['account'], told['company'],
                                                told['restricted'], strict=True):
            owner[bank, account] = related(company), int(restricted)
    payments, loans, lender = _pooled(rows)
    numbers: dict[Any, int] = {}

    def number(items):
        return [numbers.setdefault(item, len(numbers)) for item in items]
    company, restricted = zip(*[owner.get(a, ('nobody', 0)) for a in payments['payee']],
                              strict=True) if payments['payee'] else ((), ())
    transactions = (number(payments['payer']), number(payments['payee']), payments['day'],
                    payments['amount'], number(company), restricted)
    lent = (number(loans['account']), loans['day'], loans['amount'],
            number(map(related, loans['company'])))
    hops = trace_plain([np.array(c, np.int64) for c in transactions],
                       [np.array(c, np.int64) for c in lent],
                       hops=p.hops, window=p.window, rule=p.rule)
    k = len(lender)
    amounts = np.zeros((k + 1, len(FLOWS)), np.int64)
    for _, loan, back, into in hops:
        np.add.at(amounts[:, 1], loan, into)
        np.add.at(amounts[:, 2], loan, back)
    amounts = amounts[1:]
    amounts[:, 0] = loans['amount']
    amounts = np.minimum(amounts, amounts[:, :1])
    real = amounts[:, :1] > 0
    counts = real & (100 * amounts >= np.array([0, *p.percent]) * amounts[:, :1])
    found = _table(p, tuple(rows), loans['region'], lender, amounts, counts)
    own = {bank: np.array([b == bank for b in lender], bool) for bank in rows}
    return Traced(found, {bank: amounts[where] for bank, where in own.items()},
                  {bank: counts[where] for bank, where in own.items()})


def _pooled(rows):
    """Payments and loans of all banks, accounts as (bank, account), and the loans' banks."""
    payments: dict[str, list[Any]] = {name: [] for name in ('payer', 'payee', 'day', 'amount')}
    loans: dict[str, list[Any]] = {name: [] for name in ('account', 'region', 'day', 'amount',
                                                         'company')}
    lender: list[str] = []
    for bank, own in rows.items():
        paid, made = own['payments'], own['loans']
        payments['payer'] += [(bank, a) for a in paid['payer']]
        payments['payee'] += list(zip(paid['payee_bank'], paid['payee'], strict=True))
        loans['account'] += [(bank, a) for a in made['account']]
        for name in ('day', 'amount'):
            payments[name] += list(paid[name])
        for name in ('region', 'day', 'amount', 'company'):
            loans[name] += list(made[name])
        lender += [bank] * len(made['amount'])
    return payments, loans, lender


def _table(p, names, region, lender, amounts, counts):
    spec = p.joint(names)
    loan, flow = np.nonzero(counts)
    owner = np.array([names.index(b) for b in lender], np.int64)
    codes = {'region': spec.dimensions[0].codes(region)[loan], 'institution': owner[loan],
             'flow': flow}
    cell = spec.cell([codes[d.name] for d in spec.dimensions])
    return table(spec, p.rules, cell, {'amount': amounts[loan, flow]},
                 None if p.by_institution else owner[loan])
