"""What a job that finds common businesses is told, and what follows from it in public.

A task holds what a manifest states, by party numbers; which protocol runs, who helps and who learns
what follow from it. Light to import: nodes read tasks before they approve them.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocols.join_plan import JoinPlan, helpers
from protocols.psi_plan import Plan

MODES = ('shared', 'reveal-size', 'reveal-identifiers', 'ecdh')
COUNTS = ('common', 'each')


@dataclass(frozen=True, kw_only=True)
class JoinTask:
    """A job among m parties, of which `owners` (party 0 and others, ascending) bring a list each.

    `rows` are the public sizes of their lists in that order, `widths` the numbers of features that
    each brings (for a shared result only). `mode` is one of `MODES`; `receivers` learn the result:
    of a shared one the `counts`. `required` are the owners that a row of an inner join must have
    (empty: all). The other fields are those of `JoinPlan` and `psi_plan.Plan`. Raises ValueError or
    LocalProtocolError `bad-plan` for a task that contradicts itself or that nobody can run.
    """

    m: int
    verified: bool
    mode: str
    owners: tuple[int, ...]
    rows: tuple[int, ...]
    widths: tuple[int, ...]
    receivers: tuple[int, ...] = ()
    counts: tuple[str, ...] = ()
    kind: str = 'left'
    required: tuple[int, ...] = ()
    bound: int | None = None
    same_order: bool = True
    size_only: bool = False
    proved: bool = False

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f'mode {self.mode!r}, expected one of {", ".join(MODES)}')
        if len(self.owners) < 2 or self.owners[0] != 0 or list(self.owners) != sorted(
                set(self.owners)) or self.owners[-1] >= self.m:
            raise ValueError(f'owners {self.owners} of {self.m} parties, expected the initiator '
                             'and at least one other')
        if not len(self.owners) == len(self.rows) == len(self.widths):
            raise ValueError('one size and one number of features per owner')
        for check in (self._check_parties, self._check_shared, self._check_revealed):
            wrong = check()
            if wrong:
                raise ValueError(wrong)
        # They refuse what they cannot do.
        _ = self.intersection if self.by_intersection else self.plan

    def _check_parties(self):
        if self.mode == 'ecdh':
            if self.m != 2:
                return f'ecdh among {self.m} parties, expected the two owners alone'
            if self.verified:
                return 'ecdh in verified mode: without a helper nobody checks who computes it; ' \
                       'run it in the default mode'
        elif self.m not in (3, 4):
            return f'{self.m} parties, expected 4 or 3, or two owners in the mode ecdh'
        elif self.verified and self.m != 4:
            return f'verified mode with {self.m} parties, expected 4'
        return None

    def _check_shared(self):
        if self.mode != 'shared':
            odd = self.counts or self.kind != 'left' or self.required or self.bound is not None
            return 'counts, kind, required owners and bound belong to a shared result' if odd \
                else None
        if set(self.counts) - set(COUNTS):
            return f'counts {self.counts}, expected some of {", ".join(COUNTS)}'
        if bool(self.counts) != bool(self.receivers):
            return 'counts need receivers, and receivers counts'
        if self._opens_size and 'common' in self.counts:
            return 'everybody learns the size of an inner join without a bound; no count of it'
        return None

    def _check_revealed(self):
        if self.mode == 'shared':
            return None
        if not self.receivers:
            return 'nobody receives the result, expected receivers'
        if any(self.widths):
            return 'features belong to a shared result'
        outsiders = set(self.receivers) - set(self.owners)
        if outsiders and not self.reveals_size:
            return 'a receiver owns no list: others can only receive the size'
        if self.mode != 'ecdh' and (self.size_only or self.proved):
            return 'size_only and proved belong to the mode ecdh'
        return None

    @property
    def _opens_size(self):
        return self.kind == 'inner' and self.bound is None

    @property
    def reveals_size(self) -> bool:
        """Whether the result is a number."""
        return self.mode == 'reveal-size' or self.size_only

    @property
    def by_intersection(self) -> bool:
        """Whether `protocols.psi` runs; otherwise it is the join."""
        return self.mode == 'ecdh' or (self.mode != 'shared' and len(self.owners) == 2)

    @property
    def outputs(self) -> dict[str, tuple[int, ...]]:
        """What opens, and to whom."""
        if self.mode != 'shared':
            return {'rows_common' if self.reveals_size else 'identifiers': self.receivers}
        named = {'common': 'rows_common', 'each': 'rows_each'}
        found = {named[count]: self.receivers for count in self.counts}
        return found | ({'rows_common': tuple(range(self.m))} if self._opens_size else {})

    @property
    def plan(self) -> JoinPlan:
        """The join's plan; of an intersection of three lists that of the bits it opens."""
        kind = self.kind
        if self.mode == 'reveal-identifiers' and self.receivers != (0,):
            # A partner's own rows are marked against all other lists.
            kind = 'full'
        rows = [0] * self.m
        for owner, size in zip(self.owners, self.rows, strict=True):
            rows[owner] = size
        return JoinPlan(self.m, rows, self.rows[0], kind=kind, partners=self.owners[1:],
                        required=self.required or None, bound=self.bound,
                        same_order=self.same_order)

    @property
    def intersection(self) -> Plan:
        """The plan of an intersection of two lists."""
        found = self.helpers[self.owners[1]]
        return Plan((self.owners[0], self.owners[1]), (self.rows[0], self.rows[1]), self.receivers,
                    size_only=self.reveals_size, helper=found[0] if found else None,
                    proved=self.proved, witness=found[1] if len(found) > 1 else None)

    @property
    def helpers(self) -> dict[int, tuple[int, ...]]:
        """For each owner that joins the initiator, who helps."""
        if self.mode == 'ecdh':
            return {self.owners[1]: ()}
        found = {owner: helpers(owner, m=self.m) for owner in self.owners[1:]}
        if self.by_intersection and not self.verified:
            return {owner: pair[:1] for owner, pair in found.items()}
        return found

    def watchers(self) -> tuple[dict[int, list[tuple[int, int]]], dict[int, list[tuple[int, list[
            int]]]]]:
        """What helpers see: {party: pairs of owners whose number of common rows it learns} and
        {party: (owner, others) such that it learns how many rows of the owner all others have}."""
        pairs: dict[int, list[tuple[int, int]]] = {}
        if self.by_intersection:
            for party in self.intersection.helpers:
                pairs.setdefault(party, []).append((0, self.owners[1]))
            return pairs, {}
        overlaps: dict[int, list[tuple[int, list[int]]]] = {}
        plan = self.plan
        for left, right in plan.pairs:
            for party in helpers(right, left, self.m):
                pairs.setdefault(party, []).append((left, right))
        if self.same_order:
            for party, seen in pairs.items():
                for owner in plan.lists:
                    others = [a + b - owner for a, b in seen if owner in (a, b)]
                    if len(others) > 1:
                        overlaps.setdefault(party, []).append((owner, others))
        return pairs, overlaps
