"""What a manifest states about a join: sizes, kind, partners; and who learns what from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.errors import LocalProtocolError

KINDS = ('left', 'inner', 'full')


def helpers(partner: int, other: int = 0, m: int = 4) -> tuple[int, ...]:
    """The parties that help two owners: (H, Q) of four parties, (H,) of three.

    In the joins with party 0 each of the others is H once and Q once.
    """
    left, right = sorted((partner, other))
    rest = [p for p in range(m) if p not in (left, right)]
    if m == 4 and left == 0:
        first = right % 3 + 1
        return first, first % 3 + 1
    # Between two partners the initiator is the second helper: matching is the greater part.
    return tuple(rest[::-1])


@dataclass(frozen=True)
class JoinPlan:
    """The public side of a join of `m` parties (3 or 4).

    `rows` are the public numbers of rows of all parties, at most so many each, and `slots` that of
    the initiator's places. `partners` are the parties that are joined to party 0, `required` those
    that an inner join asks for; None for all. `bound` pads an inner join. `same_order` keeps one
    order of a list for all its joins. Raises LocalProtocolError `bad-plan` for a plan that
    contradicts itself.
    """

    m: int
    rows: Sequence[int]
    slots: int
    kind: str = 'left'
    partners: Sequence[int] | None = None
    required: Sequence[int] | None = None
    bound: int | None = None
    same_order: bool = True
    lists: list[int] = field(init=False)
    """The owners, the initiator first."""
    asked: list[int] = field(init=False)
    """The partners that a row of an inner join must have."""

    def __post_init__(self) -> None:
        partners = list(range(1, self.m)) if self.partners is None else sorted(self.partners)
        asked = partners if self.required is None else sorted(self.required)
        object.__setattr__(self, 'lists', [0, *partners])
        object.__setattr__(self, 'asked', asked)
        wrong = None
        if len(self.rows) != self.m or not partners or \
                not set(partners) <= set(range(1, self.m)) or len(set(partners)) < len(partners):
            wrong = f'{len(self.rows)} sizes and the partners {partners} among {self.m} parties'
        elif self.kind not in KINDS:
            wrong = f'a join of the kind {self.kind!r}, expected one of {", ".join(KINDS)}'
        elif not asked or not set(asked) <= set(partners):
            wrong = f'required partners {asked}, expected some of {partners}'
        elif self.required is not None and self.kind != 'inner':
            wrong = f'required partners for a join of the kind {self.kind}, expected inner'
        elif self.bound is not None and (self.kind != 'inner' or
                                         not 0 < self.bound <= self.slots):
            wrong = f'a bound of {self.bound} rows for a join of the kind {self.kind} with ' \
                    f'{self.slots} slots, expected 1 to {self.slots}, and an inner join'
        if wrong:
            raise LocalProtocolError('bad-plan', wrong, remedy='correct the manifest')

    def slots_of(self, party: int) -> int:
        """The public size of a party's list."""
        return self.slots if party == 0 else self.rows[party]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The pairs of owners whose lists are matched."""
        lefts = self.lists if self.kind == 'full' else self.lists[:1]
        return [(left, right) for left in lefts for right in self.lists if left < right]

    def own_orders(self, left: int, right: int) -> list[int]:
        """The owners whose list has an order of its own in a pair, and is brought back from it."""
        if self.same_order:
            return []
        # The right owner's order matters only where its own bits are asked for.
        return [left, right] if self.kind == 'full' else [left]

    def disclosures(self, names: Sequence[str]) -> dict[str, list[str]]:
        """For every party that learns something, by name: what, one sentence each."""
        told: dict[str, list[str]] = {}
        seen: dict[int, dict[int, list[str]]] = {}
        for left, right in self.pairs:
            for party in helpers(right, left, self.m):
                told.setdefault(names[party], []).append(
                    f'learns how many businesses {names[left]} and {names[right]} have in common, '
                    'not which')
                for owner, other in ((left, right), (right, left)):
                    seen.setdefault(party, {}).setdefault(owner, []).append(names[other])
        for party, by_owner in seen.items():
            for owner, others in by_owner.items():
                if len(others) > 1 and owner not in self._reordered:
                    told[names[party]].append(
                        f'learns how many of the businesses of {names[owner]} '
                        f'{" and ".join(others)} have both, not which')
        if self.kind == 'inner' and self.bound is None:
            who = ', '.join(names[p] for p in [0, *self.asked])
            for name in names:
                told.setdefault(name, []).append(
                    f'learns how many businesses {who} have in common, not which')
        return told

    @property
    def _reordered(self):
        """Owners whose list has another order in every pair."""
        return set() if self.same_order else set(self.lists)
