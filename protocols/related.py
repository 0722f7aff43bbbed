"""Related companies: groups, neighbourhoods, and what banks have lent to them.

Companies are numbered 0..n - 1 in a public registry; which ones an edge or a loan is about is
secret. Edges come from the registry (ownership and control), from banks (guarantees) and from
invoices (trade). An edge that does not count, such as a stake below the threshold, becomes an edge
from a company to itself, so nothing shows which ones count. Groups are connected components
(`protocols.components`), over secret edges or, where the registry is known to all, public ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.secret_index import SecretIndex


def counting(mpc, edges, weight, threshold: int):
    """The edges (m, 2) whose shared integer weight (m,) reaches the threshold; the others lead from
    a company to itself. One comparison and one product per edge."""
    counts = weight >= threshold
    first, second = edges[:, 0], edges[:, 1]
    return mpc.stack([first, first + counts * (second - first)], axis=1)


async def neighbourhood(mpc, edges, marks, hops: int):
    """Companies at most `hops` edges from a marked one: shared bits (n,) from marks (n,).

    Secret edges (m, 2) take one sort of 2m + n rows, and per hop four moves of that table and a
    comparison per company; public ones, a NumPy array, the comparisons only.
    """
    nodes, count = marks.shape[0], edges.shape[0]
    if isinstance(edges, np.ndarray):
        ends, others = edges.T.ravel(), edges.T[::-1].ravel()
        for _ in range(hops):
            marks = (_gathered(mpc, marks.take(others), ends, nodes) + marks) >= 1
        return marks
    index = await SecretIndex.of(mpc, edges.T.ravel(), nodes)
    for _ in range(hops):
        here = index.look_up(marks.reshape(nodes, 1))
        across = mpc.concatenate([here[count:], here[:count]])
        marks = (index.totals(across)[:, 0] + marks) >= 1
    return marks


@dataclass(frozen=True)
class Exposure:
    """What the banks together have lent to groups.

    `groups` (n,): the sum per group, at the company whose number is the group's, zero elsewhere;
    `over` (n,): shared bits, whether it exceeds the limit; `companies` (n,): the same bit for each
    company, whose group it is; `loans` (k,): the same bit for each loan, which its bank may learn;
    `owed` (n,): the sum per company.
    """

    groups: Any
    over: Any
    companies: Any
    loans: Any
    owed: Any


async def exposure(mpc, company, amount, group, limit: int, *, before=None) -> Exposure:
    """Sums of loans per group, and which exceed the limit.

    `company` (k,) and `amount` (k,) are the loans' shared integers, `group` (n,) each company's
    group as `components` gives it, or public numbers as `public_components` gives them; `limit` in
    units of `amount` (for example 15 % of net capital). `before` (n,) is what the companies owe
    besides, as `owed` of an earlier period: then the loans are only what has changed since. Amounts
    add up to less than 2^62. One sort of k + n rows, and one more with secret groups.
    """
    nodes = group.shape[0]
    borrowers = await SecretIndex.of(mpc, company, nodes)
    owed = borrowers.totals(amount.reshape(-1, 1))[:, 0]
    if before is not None:
        owed = owed + before
    if isinstance(group, np.ndarray):
        sums = _gathered(mpc, owed, group, nodes)
        over = sums > limit
        flag = over[group]
    else:
        members = await SecretIndex.of(mpc, group, nodes)
        sums = members.totals(owed.reshape(nodes, 1))[:, 0]
        over = sums > limit
        flag = members.look_up(over.reshape(nodes, 1))[:, 0]
    return Exposure(sums, over, flag, borrowers.look_up(flag.reshape(nodes, 1))[:, 0], owed)


async def around(mpc, company, amount, edges, nodes: int, limit: int, hops: int, *,
                 before=None) -> Exposure:
    """Which companies are at most `hops` edges from a borrower that alone exceeds the limit.

    As `exposure`, with every company a group of its own, but for the bits of companies and loans:
    they say who is near such a borrower, or is one. `edges` are shared, or public as a NumPy array.
    One sort of k + n rows, and what `neighbourhood` takes.
    """
    borrowers = await SecretIndex.of(mpc, company, nodes)
    owed = borrowers.totals(amount.reshape(-1, 1))[:, 0]
    if before is not None:
        owed = owed + before
    over = owed > limit
    near = await neighbourhood(mpc, edges, over, hops)
    return Exposure(owed, over, near, borrowers.look_up(near.reshape(nodes, 1))[:, 0], owed)


def _gathered(mpc, values, group: npt.NDArray[np.int64], slots: int):
    """Sums (slots,) of shared values (n,) per public group, at the group's number; local."""
    result = mpc.array(np.zeros(slots, np.int64))
    if not len(group):
        return result
    order = np.argsort(group, kind='stable')
    ends = np.flatnonzero(np.r_[np.diff(group[order]) != 0, True])
    running = values.take(order).cumsum().take(ends)
    none = mpc.array(np.zeros(1, np.int64))
    sums = running - mpc.concatenate([none, running[:-1]])
    result[group[order][ends]] = sums
    return result


async def largest_groups(mpc, groups, count: int, total: int | None = None):
    """The `count` largest exposures in descending order and their companies' numbers, both shared;
    with `total`, also whether they add up to more than that (for example 50 % of net capital)."""
    values, numbers = await mpc.top_k(groups, count)
    return values, numbers, None if total is None else values.sum() > total
