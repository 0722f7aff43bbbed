"""Following credit funds across accounts, on secret transactions.

A loan is paid out to an account. Hop 1 are the payments that leave this account afterwards, within
the window, as far as the loan covers them; hop 2 are the payments out of the accounts that these
reached, and so on. Every transaction and every loan is one event where money comes in, every
transaction also one where it goes out. The events are sorted once by (account, day, in before out)
and the order is kept; a hop then is one scan along the accounts. No account, day, amount or flow
opens, and traffic depends on the numbers of transactions and loans alone.

How much of a payment counts as coming from the loan (`rule`):

- 'latest': the payment follows the most recent tainted inflow of its account, at most in that
  inflow's amount. Several payments may follow one inflow, so the sum can exceed the loan.
- 'tainted-first': the account holds a balance of tainted money, which payments spend before any
  other money. The sum never exceeds the loan.

In either case the payment's loan is that of the most recent tainted inflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from engine.scan import scan

Rule = Literal['latest', 'tainted-first']


@dataclass(frozen=True)
class Transactions:
    """Shared integer columns (n,): numbers of accounts, day, amount, and what the payee's bank
    knows: the number of the company that owns the account (or of its group), and whether it
    belongs to a restricted sector (bit). Padding is amount 0."""

    payer: Any
    payee: Any
    day: Any
    amount: Any
    company: Any
    restricted: Any


@dataclass(frozen=True)
class Loans:
    """Shared integer columns (n,): the account paid to, day, amount, and the borrower's company (or
    group) in the numbering of `Transactions.company`. Padding is amount 0."""

    account: Any
    day: Any
    amount: Any
    company: Any


@dataclass(frozen=True)
class Hop:
    """Shared columns, one row per transaction: the amount that comes from a loan, the loan's
    position plus one (0: none), the part that comes back to the borrower, and the part that goes to
    a restricted sector."""

    amount: Any
    loan: Any
    back: Any
    restricted: Any


async def trace(mpc, transactions: Transactions, loans: Loans, *, accounts: int, days: int,
                hops: int, window: int, rule: Rule = 'latest',
                fixed_shape: bool = False) -> list[Hop]:
    """Follow the loans for `hops` hops, payments at most `window` days after the loan.

    Accounts are numbered below `accounts`, days below `days`; amounts are non-negative and add up
    to less than 2^61 over all rows. One sort of 2n + k events for n transactions and k loans; per
    hop a scan (`engine.scan`) of as many rows by products ('tainted-first': a second one, by
    comparisons) and ten moves of the table. Nothing opens but the comparisons of the sort, which
    are those of a random order; with `fixed_shape` their number depends on the number of events
    alone.
    Raises ValueError for an unknown rule or numbers that do not fit.
    """
    n, k = transactions.amount.shape[0], loans.amount.shape[0]
    if rule not in ('latest', 'tainted-first') or hops < 1 or window < 0:
        raise ValueError(f'trace: rule {rule!r}, {hops} hops, a window of {window} days')
    events = await _Events.of(mpc, transactions, loans, accounts, days, fixed_shape)
    none = mpc.array(np.zeros((n, 4), np.int64))
    # What has come in: its tainted amount, its loan, and the loan's day and borrower.
    fresh = mpc.stack([loans.amount, mpc.array(np.arange(1, k + 1)), loans.day, loans.company],
                      axis=1)
    inflow = mpc.concatenate([none, fresh])
    found = []
    for _ in range(hops):
        tainted = events.follow(inflow, transactions, window, rule)
        inflow = mpc.concatenate([tainted, 0 * fresh])
        found.append(_hop(mpc, tainted, transactions))
        await found[-1].amount.ready()
    return found


def _hop(mpc, tainted, transactions):
    """What a hop's tainted payments (n, 4) [amount, loan, loan's day, borrower] come to."""
    amount, loan, borrower = tainted[:, 0], tainted[:, 1], tainted[:, 3]
    home = mpc.equal(borrower, transactions.company)
    parts = mpc.stack([home, transactions.restricted], axis=1) * amount.reshape(-1, 1)
    return Hop(amount, loan, parts[:, 0], parts[:, 1])


class _Events:
    """Inflows (n transactions, then k loans) and outflows (n), in the order of the accounts."""

    def __init__(self, mpc, ordering, starts, n, k):
        self.mpc, self.ordering, self.starts, self.n, self.k = mpc, ordering, starts, n, k

    @classmethod
    async def of(cls, mpc, transactions, loans, accounts, days, fixed_shape):
        n, k = transactions.amount.shape[0], loans.amount.shape[0]
        bits = (2 * accounts * days).bit_length()
        if bits + (2 * n + k).bit_length() > 62:
            raise ValueError(f'trace: {accounts} accounts over {days} days for {2 * n + k} events '
                             'need more than 62 bits; number the accounts densely')
        account = mpc.concatenate([transactions.payee, loans.account, transactions.payer])
        day = mpc.concatenate([transactions.day, loans.day, transactions.day])
        out = np.r_[np.zeros(n + k, np.int64), np.ones(n, np.int64)]
        ordering = await mpc.ordering(2 * (days * account + day) + out, bits, fixed_shape)
        account = ordering.sort(account.reshape(-1, 1))[:, 0]
        first = mpc.array(np.ones(1, np.int64))
        starts = mpc.concatenate([first, account[:-1] < account[1:]])
        return cls(mpc, ordering, starts.reshape(-1, 1), n, k)

    def follow(self, inflow, transactions, window, rule):
        """Tainted payments (n, 4) that follow the inflows (n + k, 4)."""
        mpc, n = self.mpc, self.n
        paid = mpc.stack([transactions.amount, transactions.day], axis=1)
        wide = mpc.concatenate([
            mpc.concatenate([inflow, mpc.array(np.zeros((n + self.k, 2), np.int64))], axis=1),
            mpc.concatenate([mpc.array(np.zeros((n, 4), np.int64)), paid], axis=1)])
        table = self.ordering.sort(wide)
        inflow, amount, day = table[:, :4], table[:, 4], table[:, 5]
        marked = (inflow[:, 0] >= 1).reshape(-1, 1)
        last = self._before(marked * inflow, marked)
        cover = last[:, 0] if rule == 'latest' else self._balance(inflow[:, 0] - amount)
        covered = mpc.minimum(cover, amount)
        # An account without a tainted inflow has no cover; its loan's day does not matter.
        timely = day - last[:, 2] <= window
        counts = timely * (covered >= 1)
        result = counts.reshape(-1, 1) * mpc.concatenate(
            [covered.reshape(-1, 1), last[:, 1:]], axis=1)
        return self.ordering.restore(result)[n + self.k:]

    def _before(self, values, marks):
        """The values of the last marked row before each row, of the same account; else zero."""
        mpc, starts = self.mpc, self.starts
        # An account's first row is marked too, with what it has, so that nothing crosses it.
        passed = mpc.last_marked(values, (starts + marks - starts * marks)[:, 0])
        return (1 - starts) * passed

    def _balance(self, change):
        """The tainted balance before each row: b = max(0, b + change) along an account."""
        mpc = self.mpc
        running = change.cumsum()
        zero = mpc.array(np.zeros(1, np.int64))
        before = mpc.concatenate([zero, running[:-1]])

        def lower(earlier, later):
            lowest, crossed = later[:, 0], later[:, 1]
            kept = mpc.where(crossed, lowest, mpc.minimum(lowest, earlier[:, 0]))
            both = crossed + earlier[:, 1] - crossed * earlier[:, 1]
            return mpc.stack([kept, both], axis=1)
        # b before a row is the running sum less its lowest value since the account's first row.
        state = mpc.stack([before, self.starts[:, 0]], axis=1)
        lowest = scan(mpc, state, lower)[:, 0]
        return before - lowest
