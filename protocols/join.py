"""Secure join with shared output: common rows of several owners, and nobody learns which.

Party 0 is the initiator; each partner's list is matched with its list by keyed tags in secret
orders (`protocols.join_pair`). What comes out is one table in shares:

- `left` (default): the initiator's rows in the order that it drew for this job; a partner without a
  row has zeros there and a shared match bit 0.
- `inner`: only rows that all required partners have. The matching rows move to the front by a
  secret shuffle; what follows is cut off. Either their number opens to everybody, or it stays
  secret and the table is padded with zero rows to a public `bound`.
- `full`: the initiator's rows, then for every partner its list in its own secret order. A row that
  an earlier owner has too is a row of zeros there, so each business occurs once. Padded to
  the public sum of all sizes. Here the partners' lists are matched with each other, too.

Revealed: the helpers of two owners learn which positions of two secretly ordered lists match, that
is, how many; and, since a party's list has one order for all its joins, how far the matches of the
joins that they help with overlap. With `same_order=False` every join gets an order of its own and
its rows are brought back by a secret shuffle, so not even that. No identifier and no value in any
mode. docs/intersection.md says exactly who learns what. Linear cost, symmetric cryptography only.
"""

from __future__ import annotations

import asyncio
import functools
import operator
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import field
from engine.array import SecureArray, constant
from engine.errors import LocalProtocolError
from protocols.arrange import arrange, front_places
from protocols.column_source import ColumnSource
from protocols.join_order import (
    arranged,
    checked_order,
    permutation,
    shuffled,
    split_order,
    training_slots,
)
from protocols.join_pair import Pair
from protocols.join_plan import JoinPlan, helpers
from protocols.tags import Packed

__all__ = ['ColumnSource', 'JoinPlan', 'SecureJoin', 'helpers', 'split_order', 'training_slots']


class SecureJoin:
    """The joined rows; `columns` and `blocks` bring columns in, `presence` the shared bits.

    The arguments are those of `JoinPlan`. `size` is the number of joined rows, known after `match`.
    m = 4 with t = 1, also in verified mode, or m = 3 with t = 1.
    """

    def __init__(self, mpc: Any, rows: Sequence[int], slots: int, **options: Any):
        g = mpc.geometry
        if g.m not in (3, 4) or g.t != 1:
            raise LocalProtocolError(
                'wrong-deployment', f'join with shared output among {g.m} parties with threshold '
                f'{g.t}: expected 4 with threshold 1, or 3 with threshold 1')
        self.mpc, self.plan = mpc, JoinPlan(g.m, list(rows), slots, **options)
        self.size = slots
        # What is known here, or shared, after `match`: see the methods that set it.
        self._home: Any = None
        self._own_rows = 0
        self._pairs: dict[tuple[int, int], Pair] = {}
        self._places: dict[tuple[int, int, int], SecureArray] = {}
        self._bits: dict[tuple[int, int, int], SecureArray] = {}
        self._first: dict[int, SecureArray] = {}
        self._front: Any = None
        self._joint: Any = None

    # --- matching ---

    async def match(self, ids: Any, order: npt.ArrayLike | None = None) -> None:
        """Tag, match and agree on the positions for every pair of owners.

        `ids` are this party's identifiers (unique, normalised; sliced, so a lazy sequence will do;
        `Packed` if they are joined more than once);
        `order` at the initiator gives, for every slot, the row that goes there or -1 for padding.
        Rounds and bytes: `protocols.join_costs`. Raises LocalProtocolError `too-many-rows`,
        `repeated-identifiers`, `bad-order`, and `too-many-joint-rows` at all parties.
        """
        pid = self.mpc.pid
        packed = None
        if pid in self.plan.lists:
            ids, most = [] if ids is None else ids, self.plan.rows[pid]
            self._own_rows = len(ids)
            if len(ids) > most:
                raise LocalProtocolError(
                    'too-many-rows', f'{len(ids)} rows, but the manifest states at most {most}',
                    party=pid, remedy='state a larger size in the manifest, or bring fewer rows')
            self._home = checked_order(order, len(ids), self.plan.slots) if pid == 0 else \
                shuffled(len(ids), most)
            packed = ids if isinstance(ids, Packed) else await asyncio.to_thread(Packed, ids)
        for left, right in self.plan.pairs:
            await self._begin(left, right, packed)
        packed = None  # as large as all tags together
        await self._settle()
        if self.plan.kind == 'inner':
            await self._cut()
        elif self.plan.kind == 'full':
            self.size = sum(self.plan.slots_of(p) for p in self.plan.lists)

    async def _begin(self, left, right, packed):
        """Start a pair; where it has an order of its own, its owners share the way back."""
        plan, order = self.plan, self._home
        pair = Pair(self.mpc, left, right, plan.slots_of(left), plan.slots_of(right))
        for owner in plan.own_orders(left, right):
            count, way = plan.slots_of(owner), None
            if self.mpc.pid == owner:
                way = permutation(count)
                order = self._home[way]
                way = field.encode(way, 0)
            self._places[left, right, owner] = self.mpc.deal(way, owner, (count,), 0)
        await pair.tag(packed, order)
        self._pairs[left, right] = pair

    async def _settle(self):
        """The steps of matching, each for all pairs, so that they share their rounds."""
        pairs = list(self._pairs.values())
        for pair in pairs:
            pair.send()
        for pair in pairs:
            await pair.receive()
        for outcome in [agreed for pair in pairs for agreed in pair.compare()]:
            await outcome
        for pair in pairs:
            await pair.match()
        told = [pair.tell() for pair in pairs]
        for pair, outcome in zip(pairs, told, strict=True):
            pair.settle(await outcome if outcome is not None else None)

    def _home_again(self, table, left, right, owner):
        """Rows in the owner's order in a pair, back in its order in the joined table."""
        place = self._places.get((left, right, owner))
        return table if place is None else arrange(self.mpc, table, place, owner=owner)

    def _match_bits(self, owner, other):
        """Shared bits on the owner's list: whether another owner has the row too."""
        left, right = sorted((owner, other))
        if (left, right, owner) not in self._bits:
            pair = self._pairs[left, right]
            bits = pair.left_bits() if owner == left else pair.right_bits()
            self._bits[left, right, owner] = self._home_again(bits, left, right, owner)
        return self._bits[left, right, owner]

    def _real(self, owner):
        """Shared bits on the owner's list: 0 for its padding."""
        if (owner, owner, owner) not in self._bits:
            size, bits = self.plan.slots_of(owner), None
            if self.mpc.pid == owner:
                bits = field.encode((self._home >= 0).astype(np.uint8).reshape(size, 1), 0)
            self._bits[owner, owner, owner] = self.mpc.deal(bits, owner, (size, 1), 0)
        return self._bits[owner, owner, owner]

    async def _cut(self):
        """The places of the joint rows, and how many rows of the table are kept."""
        mpc = self.mpc
        joint = self.joint()
        self._front = front_places(mpc, joint.reshape(self.plan.slots))
        total = joint.sum()
        if self.plan.bound is None:
            self.size = int(await mpc.output(total))
            self._joint = constant(mpc, np.ones((self.size, 1), np.int64))
        elif (await mpc.open_negative((self.plan.bound - total).reshape(1)))[0]:
            raise LocalProtocolError(
                'too-many-joint-rows', f'more than {self.plan.bound} rows in common, expected at '
                'most that many, as the manifest states', remedy='state a larger bound')
        else:
            self.size = self.plan.bound
            self._joint = arrange(mpc, joint, self._front, self.plan.bound)

    def _is_first(self, party):
        """Shared bits on a partner's list: 1 for a row that no earlier owner has."""
        if party not in self._first:
            bits = self._real(party)
            for earlier in self.plan.lists[:self.plan.lists.index(party)]:
                bits = bits * (1 - self._match_bits(party, earlier))
            self._first[party] = bits
        return self._first[party]

    # --- what comes out ---

    def presence(self, party: int) -> SecureArray:
        """Shared bits (size, 1): whether a party has the row. For a left join a partner's bits cost
        one round and 16 bytes per slot (m = 4), the initiator's those of an input."""
        self._check_owner(party)
        if self.plan.kind == 'full':
            return self._sections(party, lambda p: self._is_first(p) if p else self._real(0),
                                  lambda p: self._match_bits(p, party), 1)
        if self.plan.kind == 'inner' and party in [0, *self.plan.asked]:
            return self._joint
        bits = self._match_bits(0, party) if party else self._real(0)
        return self._cut_off(bits) if self.plan.kind == 'inner' else bits

    def matches(self, party: int, other: int) -> SecureArray:
        """Shared bits on an owner's list, in its secret order: whether another owner has the row.

        Of a partner's list only in a full join. One round and 16 bytes per slot (m = 4).
        """
        self._check_owner(party)
        self._check_owner(other)
        return self._match_bits(party, other)

    def joint(self, party: int = 0) -> SecureArray:
        """Shared bits on an owner's list, in its secret order: whether all owners have the row; of
        an inner join, the required ones. A round and a product for each owner after the second."""
        others = [p for p in [0, *self.plan.asked] if p != party]
        return functools.reduce(operator.mul, [self.matches(party, p) for p in others])

    def own_rows(self, bits: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """This party's rows, ascending, where bits on its list, opened to it, are 1."""
        rows = self._home[np.asarray(bits).reshape(-1) != 0]
        return np.sort(rows[rows >= 0])

    def columns(self, owner: int, values: npt.ArrayLike | None, width: int) -> SecureArray:
        """Columns of one owner on the joined rows, as shared integers of shape (size, width).

        `values` (at the owner) is an integer array (rows, width) in the order of its identifiers.
        A left join takes two rounds; per element 16 bytes from the partner and 64 from its helpers
        together, for m = 4. In verified mode the selection is checked before it goes on.
        """
        self._check_owner(owner)
        if self.plan.kind == 'full':
            own = self._own(owner, values, width)
            return self._sections(
                owner, lambda p: self._is_first(p) * own if p else own,
                lambda p: self._of_partner(p, owner, values, width), width)
        table = self._of_partner(0, owner, values, width) if owner else \
            self._own(0, values, width)
        return self._cut_off(table) if self.plan.kind == 'inner' else table

    async def blocks(self, owner: int, source: ColumnSource | None, width: int,
                     count: int = 8) -> AsyncIterator[SecureArray]:
        """All columns of one owner in blocks of `count`, each of shape (size, count or the rest).

        At the owner one block is read while the one before travels, and no third one exists: memory
        is that of two blocks, whatever `width` is. `source` is read at the owner only.
        """
        before: SecureArray | None = None
        for first in range(0, width, count):
            size, values = min(count, width - first), None
            if self.mpc.pid == owner:
                if source is None:
                    raise LocalProtocolError('no-columns', f'the columns of party {owner}',
                                             party=owner, remedy='give their source')
                values = await asyncio.to_thread(source.read, first, size)
                self.mpc.check()
            block = self.columns(owner, values, size)
            del values
            if before is not None:
                await before.ready()
                yield before
            before = block
        if before is not None:
            yield before

    def _check_owner(self, party):
        if party not in self.plan.lists:
            raise LocalProtocolError('not-joined', f'party {party} is none of the owners '
                                     f'{self.plan.lists}', remedy='correct the manifest')

    def _own(self, owner, values, width):
        """Columns on their owner's own list."""
        size, mine = self.plan.slots_of(owner), None
        if self.mpc.pid == owner:
            mine = arranged(values, self._home, self._own_rows, width)
        return self.mpc.deal(mine, owner, (size, width), 0)

    def _of_partner(self, left, right, values, width):
        """Columns of the right owner on the left owner's list."""
        found = self._pairs[left, right].columns(values, width)
        return self._home_again(found, left, right, left)

    def _cut_off(self, table):
        """The joint rows, and zero rows up to a bound."""
        kept = arrange(self.mpc, table, self._front, self.size)
        return kept if self.plan.bound is None else self._joint * kept

    def _sections(self, party, own, earlier, width):
        """The lists of all owners one below the other, for what one party has."""
        parts = []
        for p in self.plan.lists:
            if p == party:
                parts.append(own(p))
            elif p < party:
                found = earlier(p)
                parts.append(self._is_first(p) * found if p else found)
            else:
                parts.append(constant(self.mpc, np.zeros((self.plan.slots_of(p), width), np.int64)))
        return self.mpc.concatenate(parts)
