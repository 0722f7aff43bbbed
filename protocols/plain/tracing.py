"""Plaintext twin of `protocols.tracing`: the same flows by walking through the events."""

from __future__ import annotations

import numpy as np


def trace_plain(transactions, loans, *, hops: int, window: int, rule: str = 'latest'):
    """As `protocols.tracing.trace`, on columns in the order of its classes; per hop
    (amount, loan, back, restricted), each (n,)."""
    payer, payee, day, amount, company, restricted = (np.asarray(c) for c in transactions)
    lent_to, lent_day, lent, borrower = (np.asarray(c) for c in loans)
    n, k = len(amount), len(lent)
    inflow = [(int(lent_to[i]), int(lent_day[i]), 0, n + i) for i in range(k)]
    inflow += [(int(payee[i]), int(day[i]), 0, i) for i in range(n)]
    outflow = [(int(payer[i]), int(day[i]), 1, n + k + i) for i in range(n)]
    events = sorted(inflow + outflow, key=lambda e: (*e[:3], e[3]))
    tainted = {n + i: (int(lent[i]), i + 1, int(lent_day[i])) for i in range(k) if lent[i]}
    result = []
    for _ in range(hops):
        found: dict[int, tuple[int, int, int]] = {}
        account, last, balance = None, None, 0
        for owner, when, out, event in events:
            if owner != account:
                account, last, balance = owner, None, 0
            if not out:
                if event in tainted:
                    last = tainted[event]
                    balance += last[0]
                continue
            i = event - n - k
            paid = int(amount[i])
            if last is not None:
                covered = min(paid, last[0] if rule == 'latest' else balance)
                if covered and when - last[2] <= window:
                    found[i] = (covered, last[1], last[2])
            balance = max(0, balance - paid)
        tainted = found
        columns = np.zeros((4, n), np.int64)
        for i, (covered, loan, _) in found.items():
            home = borrower[loan - 1] == company[i]
            columns[:, i] = covered, loan, covered * home, covered * restricted[i]
        result.append(tuple(columns))
    return result
