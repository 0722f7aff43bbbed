"""Predicted cost of a join: rounds, and payload bytes over all parties.

From the public plan alone, for estimates before a job and for the tests, which assert that it is
what the meter measures. See `protocols.join` for the steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine import costs
from engine.costs import Prediction
from engine.costs_verified import DIGEST, predict
from engine.joint import joint_input_cost
from engine.verified_select import select_rows_cost
from protocols.arrange import arrange_cost
from protocols.join_plan import JoinPlan

_TAG, _POSITION = 16, 8
"""Bytes."""


def join_cost(plan: JoinPlan, geometry: Any, widths: Mapping[int, int | Sequence[int]],
              size: int | None = None) -> Prediction:
    """`match`, then `presence` of all owners and `columns` of as many columns each (`widths`: one
    number per owner, or those of its blocks).

    All of it issued at once after `match`. `size` is the opened number of rows of an inner join
    without a bound.
    """
    return JoinCosts(plan, geometry, widths, size).total()


class JoinCosts:
    """Adds up bytes, and follows the depth of what depends on each other."""

    def __init__(self, plan, geometry, widths, size):
        self.plan, self.g, self.widths = plan, geometry, widths
        self.verified, self.m = geometry.verified, geometry.m
        self.size = plan.bound if size is None else size
        self.bytes = 0
        self.bits: dict[tuple[int, int], int] = {}

    def total(self) -> Prediction:
        self._matching()
        kind = {'left': self._left, 'inner': self._inner, 'full': self._full}[self.plan.kind]
        return Prediction(kind(), self.bytes)

    def _add(self, cost: Prediction, depth: int = 0) -> int:
        """Count a step that begins at a depth; the depth at which it ends."""
        self.bytes += cost.total_bytes
        return depth + cost.rounds

    def _matching(self):
        """Two rounds: tags, and the agreement on them or the positions."""
        for left, right in self.plan.pairs:
            slots, rows = self.plan.slots_of(left), self.plan.slots_of(right)
            if self.verified:
                self.bytes += 2 * _TAG * (slots + rows) + 4 * DIGEST
            else:
                told = slots if self.m == 4 else slots + rows
                self.bytes += _TAG * (slots + rows) + _POSITION * told
            for owner in self.plan.own_orders(left, right):
                self._add(predict('input', self.plan.slots_of(owner), self.g))

    def _left(self):
        ends = [self._columns_of(p, w, 2) for p in self.plan.lists for w in self._blocks(p)]
        ends += [self._match_bits(0, p) for p in self.plan.lists[1:]]
        return max(*ends, self._real(0))

    def _inner(self):
        plan, n = self.plan, self.plan.slots
        asked = [self._match_bits(0, p) for p in plan.asked]
        joint = asked[0]
        for other in asked[1:]:
            joint = self._add(predict('multiply', n, self.g), max(joint, other))
        front = self._add(predict('multiply', n, self.g), joint)
        floor = self._add(predict('open_negative', 1, self.g) if plan.bound else
                          predict('output', 1, self.g), joint)
        end = floor
        if plan.bound:
            end = self._add(arrange_cost(n, 1, self.g), front)
        marked, ends = end, [end]
        for p in plan.lists:
            for w in self._blocks(p):
                ends.append(self._cut(self._columns_of(p, w, floor), w, front, marked))
            if p and p not in plan.asked:
                bits = self._match_bits(0, p, floor)
                ends.append(self._cut(bits, 1, front, marked))
        return max(ends)

    def _cut(self, depth, width, front, marked):
        end = self._add(arrange_cost(self.plan.slots, width, self.g), max(depth, front))
        if self.plan.bound:
            end = self._add(predict('multiply', self.size * width, self.g), max(end, marked))
        return end

    def _full(self):
        lists, first = self.plan.lists, {}
        for k, p in enumerate(lists[1:]):
            depth, n = self._real(p), self.plan.slots_of(p)
            for earlier in lists[:k + 1]:
                depth = self._add(predict('multiply', n, self.g),
                                  max(depth, self._match_bits(p, earlier)))
            first[p] = depth
        ends = [self._real(0)]
        for party in lists:
            for p in lists:
                if p > party:
                    continue
                n = self.plan.slots_of(p)
                for w in self._blocks(party):
                    depth = self._own(p, w, 2) if p == party else self._selected(p, party, w, 2)
                    ends.append(self._masked(n * w, depth, first[p]) if p else depth)
                if p < party:
                    depth = self._match_bits(p, party)
                    ends.append(self._masked(n, depth, first[p]) if p else depth)
        return max(ends)

    # --- the parts ---

    def _blocks(self, party):
        """The widths of an owner's blocks of columns."""
        widths = self.widths.get(party, 0)
        return [w for w in ([widths] if isinstance(widths, int) else widths) if w]

    def _masked(self, elements, depth, first):
        """Rows that an earlier owner has become zero."""
        return self._add(predict('multiply', elements, self.g), max(depth, first))

    def _columns_of(self, party, width, depth):
        return self._selected(0, party, width, depth) if party else self._own(0, width, depth)

    def _own(self, party, width, depth):
        return self._add(predict('input', self.plan.slots_of(party) * width, self.g), depth)

    def _selected(self, left, right, width, depth):
        """A right owner's columns on a left owner's list."""
        slots, rows = self.plan.slots_of(left), self.plan.slots_of(right)
        if self.verified:
            depth = self._own(right, width, depth)
            depth = self._add(select_rows_cost(rows, width, slots, self.g), depth)
        else:
            dealt = rows if self.m == 4 else rows + slots
            depth = self._add(costs.input_additive(dealt * width, self.m, 1), depth)
            depth = self._add(costs.to_shared(slots * width, self.m, 1, holders=2), depth)
        return self._brought_back(left, right, left, width, depth)

    def _brought_back(self, left, right, owner, width, depth):
        if owner not in self.plan.own_orders(left, right):
            return depth
        return self._add(arrange_cost(self.plan.slots_of(owner), width, self.g), depth)

    def _match_bits(self, owner, other, depth=2):
        """The depth of match bits; they are made once."""
        if (owner, other) not in self.bits:
            n = self.plan.slots_of(owner)
            cost = joint_input_cost(n, 4, self.verified) if self.m == 4 else \
                predict('input', n, self.g)
            end = self._add(cost, depth)
            left, right = sorted((owner, other))
            self.bits[owner, other] = self._brought_back(left, right, owner, 1, end)
        return self.bits[owner, other]

    def _real(self, party):
        if (party, party) not in self.bits:
            cost = predict('input', self.plan.slots_of(party), self.g)
            self.bits[party, party] = self._add(cost, 2)
        return self.bits[party, party]
