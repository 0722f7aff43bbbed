"""Related loans in the clear, on the pooled rows of all holders, period by period."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from protocols.stats.plain.tables import PlainTable, table
from protocols.stats.related_loans import GROUP_BITS, RelatedParameters


@dataclass
class RelatedTwin:
    """The twin of `related_loans`: `add` the rows of a period, then ask for what is published."""

    parameters: RelatedParameters
    parent: list[int] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)
    owed: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.parent = list(range(self.parameters.companies))
        self.owed = [0] * self.parameters.companies

    def add(self, loans: Any, edges: Any) -> None:
        """`loans` (company, lent, repaid) and `edges` (company, company) that count."""
        for company, lent, repaid in loans:
            self.owed[company] += int(lent) - int(repaid)
        for a, b in edges:
            self.edges.append((int(a), int(b)))
            if self.parameters.hops:
                continue
            self.parent[self.group(a)] = self.group(b)

    def group(self, company: int) -> int:
        """The company that stands for a company's group."""
        while self.parent[company] != company:
            company = self.parent[company]
        return company

    def sums(self) -> dict[int, int]:
        """What each group owes."""
        sums: dict[int, int] = {}
        for company, owed in enumerate(self.owed):
            sums[self.group(company)] = sums.get(self.group(company), 0) + owed
        return sums

    def near(self) -> set[int]:
        """Companies at most `hops` edges from one that owes more than the limit."""
        found = {c for c, owed in enumerate(self.owed) if owed > self.parameters.limit}
        for _ in range(self.parameters.hops):
            found |= {b for edge in self.edges for a, b in (edge, edge[::-1]) if a in found}
        return found

    def over(self, company: int) -> bool:
        """Whether the company's group owes more than the limit; with `hops`, whether it is near."""
        if self.parameters.hops:
            return company in self.near()
        return self.sums()[self.group(company)] > self.parameters.limit

    def groups(self) -> list[dict[str, Any]]:
        """The groups over the limit, or companies near one, as `published` lists them."""
        if self.parameters.hops:
            listed = [{'companies': [c], 'owed': self.owed[c]} for c in self.near()]
            return sorted(listed, key=lambda g: -g['owed'])
        found = [{'companies': [c for c in range(self.parameters.companies) if self.group(c) == g],
                  'owed': owed} for g, owed in self.sums().items()
                 if owed > self.parameters.limit]
        return sorted(found, key=lambda g: -g['owed'])

    def top_over_limit(self) -> bool:
        """Whether the largest groups, or companies, together owe more than their limit."""
        assert self.parameters.top is not None
        count, limit = self.parameters.top
        return sum(sorted(self.sums().values())[::-1][:count]) > limit

    def table(self) -> PlainTable:
        """Groups or companies that owe something, by what they owe."""
        sums = {g: x for g, x in self.sums().items() if x > 0}
        owed = np.array([min(x, (1 << GROUP_BITS) - 1) for x in sums.values()], np.int64)
        cell = np.searchsorted(np.array(self.parameters.bands, np.int64), owed)
        if self.parameters.hops:
            near = self.near()
            cell = 2 * cell + np.array([c not in near for c in sums], np.int64)
        return table(self.parameters.spec, self.parameters.rules, cell, {'owed': owed})
