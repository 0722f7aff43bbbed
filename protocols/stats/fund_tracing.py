"""Fund tracing: credit funds followed across the accounts of many banks, and what becomes of them.

Banks share the payments out of their accounts, their loans, and what they know of their accounts:
the company that owns it, and whether it is of a restricted sector (securities, property); a
registry may say which companies belong together. On shares: tags of accounts become numbers,
payees get their owners, the loans are followed (`protocols.tracing`), and per loan it is added up
what reached restricted accounts and what came back to the borrower or a related company, each at
most the loan. The regulator gets a table under the rules of disclosure control, region × flow or
region × institution × flow: number and amount of the loans, of those flagged for restricted
accounts, and of those flagged for coming back; the amounts of the latter are those that arrived.
If the manifest says so, a bank gets the flags of its own loans.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from protocols.secret_index import SecretIndex
from protocols.stats import derived
from protocols.stats.cells import Cells
from protocols.stats.grouping import group_rows, keys
from protocols.stats.handed import handed_over, sealed
from protocols.stats.intake import Parts, intake, intake_parts
from protocols.stats.joins import described
from protocols.stats.release import Decided, Record, about, assembled, decided
from protocols.stats.tracing_data import FLOWS, TAG_BITS, TracingParameters
from protocols.steps import Progress, Steps
from protocols.tracing import Loans, Transactions, trace

STEPS = ('intake', 'accounts', 'trace', 'loans', 'release')


async def fund_tracing(mpc, *, parameters: TracingParameters, job: str,
                       messages: dict[str, dict[str, bytes | None]], record: Record,
                       receivers=None, outside: bool = False,
                       taken: Callable[[tuple[str, ...]], None] | None = None,
                       progress: Progress = lambda name, state: None) -> dict[str, Any]:
    """Run the program at this compute party.

    `messages` holds this party's messages by part, as in `TracingParameters.expected`, and by
    sender. `taken` is told which banks count, before anything of their data opens, and may raise.
    Returns {"steps", "outputs", "public", "own"}: `outputs` at a receiver is the document of
    `published` (with `outside` there is `sealed` for it instead), `own` maps each bank to this
    party's shares of the flags of its loans, 1 for restricted accounts and 2 for coming back, added
    up; it is empty where the manifest does not grant them.

    For n payments, k loans, a accounts: a sort of 2n + k + a rows by tags of 61 bits, the trace, a
    sort of hops · n + k rows by loan, and one of 3k rows with `group_rows`. Revealed besides the
    results: nothing but the comparisons of the sorts.
    """
    steps, p = Steps(mpc, progress), parameters
    with steps.step('intake'):
        found, groups = await _taken(mpc, p, job, messages)
        names = found.institutions
        if taken:
            taken(tuple(names))
    with steps.step('accounts'):
        transactions, loans, numbers = await _accounts(mpc, p, found, groups)
        await transactions.restricted.ready()
    with steps.step('trace'):
        hops = await trace(mpc, transactions, loans, accounts=numbers, days=p.days, hops=p.hops,
                           window=p.window, rule=p.rule)
    with steps.step('loans'):
        amounts, weights = await _outcomes(mpc, p, loans.amount, hops)
        await weights.ready()
    with steps.step('release'):
        table = await _table(mpc, p, names, found.values['loans'][:, :, 4], amounts, weights)
        public = {'institutions': names, 'refused': found.refused, 'figures': list(table.figures)}
        result = {'steps': steps.costs, 'public': public, 'own': {}}
        if p.own:
            flags = (weights[:, 1] + 2 * weights[:, 2]).reshape(len(names), p.loans)
            own = await sealed(mpc, {name: flags[k] for k, name in enumerate(names)})
            result['own'] = {name: share for name, (share, _) in own.items()}
        return {**result, **await handed_over(
            mpc, table.arrays, outside, receivers,
            lambda opened: published(p, record, public, opened))}


def published(parameters: TracingParameters, record: Record, public: dict[str, Any],
              opened) -> dict[str, Any]:
    """At the receiver: the document of `release` with `traced`, how far loans were followed and
    from which part on they are flagged, and `derived`: a cell's amount and number of loans as parts
    of what was lent there."""
    names = tuple(public['institutions'])
    found = assembled(parameters.joint(names), parameters.rules, about(record, public),
                      public['figures'], (), opened)
    p = parameters
    found['traced'] = {'hops': p.hops, 'window': p.window, 'rule': p.rule,
                       **dict(zip(FLOWS[1:], p.percent, strict=True))}
    found['derived'] = {'lent_share': derived.share_of(found, 'amount', 'flow', FLOWS[0]),
                        'lent_loans': derived.share_of(found, 'rows', 'flow', FLOWS[0])}
    return found


async def _taken(mpc, p, job, messages) -> tuple[Parts, Any]:
    """The parts of the banks that count, and companies with their groups, or None."""
    expected = p.expected(job)
    found = await intake_parts(mpc, p.forms, expected, messages, quorum=p.quorum)
    if not p.groups:
        return found, None
    groups = await intake(mpc, p.group_form, expected['groups'], messages['groups'])
    return found, groups.values[0]


async def _accounts(mpc, p, found, groups) -> tuple[Transactions, Loans, int]:
    """Payments and loans with numbered accounts and their owners, and how many numbers there are.

    One sort of all payers, payees, accounts of loans and described accounts by their codes, and one
    of companies where there are groups.
    """
    places = np.array([p.banks.index(name) for name in found.institutions], np.int64)
    payments, loans, accounts = (found.values[part] for part in p.forms)

    def own(tags):
        """Codes of a bank's own accounts: its place before the tag."""
        return (tags + (places << p.code_bits)[:, None]).reshape(-1)
    company, borrower = accounts[:, :, 1].reshape(-1), loans[:, :, 3].reshape(-1)
    if groups is not None:
        both = mpc.concatenate([company, borrower])
        _, group, there = await described(mpc, both, groups, bits=TAG_BITS)
        # A company that nobody put into a group is related to itself.
        both = both + there * (group[:, 0] - both)
        company, borrower = both[:company.size], both[company.size:]
    table = mpc.stack([own(accounts[:, :, 0]), company, accounts[:, :, 2].reshape(-1)], 1)
    payee, account = payments[:, :, 1].reshape(-1), own(loans[:, :, 0])
    codes = mpc.concatenate([own(payments[:, :, 0]), payee, account])
    number, told, _ = await described(mpc, codes, table, bits=TAG_BITS)
    n = payee.size
    transactions = Transactions(
        number[:n], number[n:2 * n], payments[:, :, 2].reshape(-1), payments[:, :, 3].reshape(-1),
        told[n:2 * n, 0], told[n:2 * n, 1])
    lent = Loans(number[2 * n:], loans[:, :, 1].reshape(-1), loans[:, :, 2].reshape(-1), borrower)
    return transactions, lent, codes.size + table.shape[0]


async def _outcomes(mpc, p, lent, hops):
    """Per loan and flow (k, 3): the amount, at most that of the loan, and the bit that it counts.
    """
    k = lent.size
    index = await SecretIndex.of(mpc, mpc.concatenate([hop.loan for hop in hops]), k + 1)
    parts = mpc.concatenate([mpc.stack([hop.restricted, hop.back], 1) for hop in hops])
    reached = mpc.minimum(index.totals(parts)[1:], lent.reshape(k, 1))
    short = 100 * reached - lent.reshape(k, 1) * np.array(p.percent)
    below = mpc.negative(mpc.concatenate([lent.reshape(k, 1) - 1, short], 1))
    there = 1 - below[:, :1]
    weights = mpc.concatenate([there, there * (1 - below[:, 1:])], 1)
    return mpc.concatenate([lent.reshape(k, 1), reached], 1), weights


async def _table(mpc, p, names, region, amounts, weights) -> Decided:
    """The table with the rules applied, from regions (banks, loans) and what loans count as."""
    sizes = len(names), len(p.regions), len(FLOWS)
    first = np.arange(sizes[0])[:, None] * sizes[1]
    base = ((region + first) * sizes[2]).reshape(-1, 1)
    cell, count = base + np.arange(sizes[2])[None, :], int(np.prod(sizes))
    key = keys(mpc, cell.reshape(-1), amounts.reshape(-1), cells=count, bits=p.amount_bits,
               weight=weights.reshape(-1))
    flat = await group_rows(mpc, key, name='amount', cells=count, bits=p.amount_bits,
                            largest=p.rules.largest, spare=True)
    cells: Cells = flat.reshape(*sizes)
    if p.by_institution:
        cells = cells.apply(lambda x: mpc.moveaxis(x, 0, 1), lambda x: mpc.moveaxis(x, 1, 2))
        return await decided(mpc, p.joint(tuple(names)), p.rules, cells)
    contributions = {'amount': cells.measures['amount'].total}
    cells = cells.apply(lambda x: x.sum(0), lambda x: x[:, 0])
    return await decided(mpc, p.joint(tuple(names)), p.rules, cells, contributions=contributions)


def flags_of(values) -> dict[str, list[int]]:
    """At a bank: the numbers of its flagged loans, from 1 in its own order, by flow, from what
    `own` opened to."""
    return {flow: [k for k, v in enumerate(values, 1) if int(v) >> j & 1]
            for j, flow in enumerate(FLOWS[1:])}
