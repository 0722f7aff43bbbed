"""The matched lists of two owners: who tags, who matches, and how rows find their partners.

The left owner's list has `slots` places, the right owner's as many as its public number of rows,
each in an order that its owner drew. Both tag their identifiers under a key that the two alone
have, fresh for this pair and job. The other parties help:

- m = 4: H matches the tags and tells Q. The right owner's columns are an additive sharing between H
  and Q; both take the rows at the positions and turn them into shares for everybody.
- m = 4, verified: H and Q both get the lists, agree that they are the same, and match them each by
  itself. Columns are dealt to everybody; the selection is checked (`engine.verified_select`).
- m = 3: there is only H. The right owner pads its list with one zero row for every left slot, and
  H completes the positions to a permutation π of all of that. H and the left owner derive a random
  permutation ρ from their key; H tells the right owner δ with δ[ρ[k]] = π[k], which is uniformly
  random to it. The right owner shares its columns, in the order δ, between H and the left owner,
  and these two take the rows ρ[0], …, ρ[slots - 1]. So no one but H knows which rows match.

Source of the last one: the use of a random permutation that another one corrects follows Chase,
Ghosh, Poburinnaya, "Secret-shared shuffle", ASIACRYPT 2020, with a third party in place of
oblivious transfer.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import field
from engine.array import SecureArray
from engine.errors import LocalProtocolError, RemoteProtocolError
from engine.joint import agree, joint_input
from engine.permutation import random_order
from engine.prss import expand
from engine.verified_select import select_rows
from protocols.join_order import Order, arranged
from protocols.join_plan import helpers
from protocols.tags import Packed, positions, repetitions


class Pair:
    """Two owners' lists in one join; every party makes one and takes the steps `tag`, `send`,
    `receive`, `compare`, `match`, `tell`, `settle`.

    `left` < `right` are the owners, `slots` and `rows` the public sizes of their lists.
    """

    def __init__(self, mpc: Any, left: int, right: int, slots: int, rows: int):
        self.mpc, self.left, self.right, self.slots, self.rows = mpc, left, right, slots, rows
        self.helpers = helpers(right, left, mpc.geometry.m)
        self._own_rows = 0
        # What this party knows, if it is an owner (order, tags) or a helper (matched, index).
        self._order: Any = None
        self._tags: Any = None
        self._matched: Any = None
        self._index: Any = None
        self._lists: list[Any] = []

    @property
    def _owners(self):
        return self.left, self.right

    @property
    def _sizes(self):
        """(owner, public size of its list) for both."""
        return (self.left, self.slots), (self.right, self.rows)

    @property
    def _matching(self):
        """The parties that get the tags."""
        return self.helpers if self.mpc.geometry.verified else self.helpers[:1]

    @property
    def _matches(self):
        return self.mpc.pid in self._matching

    # --- matching: the steps are taken for all pairs of a join together ---

    async def tag(self, packed: Packed | None, order: Order | None) -> None:
        """At the owners, tag the `packed` identifiers in an order; no message.

        Raises LocalProtocolError `repeated-identifiers`.
        """
        mpc, pid = self.mpc, self.mpc.pid
        label = b'join-tags-%d' % mpc.next_operation()
        if pid in self._owners and packed is not None and order is not None:
            self._order, self._own_rows = order, packed.rows
            key = mpc.randomness.pair_secret(self.left + self.right - pid, label)
            self._tags = await asyncio.to_thread(_tags, packed, order, key, pid)
            mpc.check()

    def send(self) -> None:
        """Send the tags to who matches them; one round."""
        self._lists = [[self.mpc.send_private(self._tags, owner, h, (size, 2))
                        for h in self._matching] for owner, size in self._sizes]
        self._tags = None

    async def receive(self) -> None:
        """Wait for the tags."""
        lists: list[Any] = []
        for sent in self._lists:
            got = [await s for s in sent]
            lists.append(got[self._matching.index(self.mpc.pid)] if self._matches else None)
        self._lists = lists

    def compare(self) -> list[Any]:
        """In verified mode, futures of the helpers' agreement on both lists; one round."""
        if not self.mpc.geometry.verified:
            return []
        return [agree(self.mpc, self.helpers, words, (size, 2))
                for words, (_, size) in zip(self._lists, self._sizes, strict=True)]

    async def match(self) -> None:
        """Find the positions, where tags are; no message. Raises RemoteProtocolError
        `repeated-tag`."""
        if self._matches:
            self._matched = await asyncio.to_thread(self._found, *self._lists)
            self.mpc.check()
        self._lists = []

    def tell(self) -> Any:
        """A future of what the first helper tells another party; one round. None in verified mode,
        where both helpers know."""
        mpc, pid = self.mpc, self.mpc.pid
        if mpc.geometry.verified:
            return None
        if len(self.helpers) == 2:
            return mpc.send_private(self._matched, *self.helpers, (self.slots,), np.int64)
        [h] = self.helpers
        size, delta = self.slots + self.rows, None
        label = b'join-order-%d' % mpc.next_operation()
        if pid in (h, self.left):
            key = mpc.randomness.pair_secret(self.left + h - pid, label)[:16]
            rho = random_order(lambda k: expand(key, b'order', k), size)
            self._index = rho[:self.slots]
            if pid == h:
                delta = np.empty(size, np.int64)
                delta[rho] = _completed(self._matched, self.rows)
        return mpc.send_private(delta, h, self.right, (size,), np.int64)

    def settle(self, told: npt.NDArray[np.int64] | None) -> None:
        """Take what `tell` brought. Raises RemoteProtocolError `bad-positions`."""
        if len(self.helpers) == 2:
            if told is not None:
                if len(told) and not (told.min() >= -1 and told.max() < self.rows):
                    raise self._wrong('row positions outside of the list')
                self._matched = told
            self._index = self._matched
        elif told is not None and self._order is not None:
            if not np.array_equal(np.sort(told), np.arange(self.slots + self.rows)):
                raise self._wrong('what should be a permutation is none')
            self._order = np.append(self._order, np.full(self.slots, -1))[told]

    def _wrong(self, cause):
        return RemoteProtocolError('bad-positions', cause, party=self.helpers[0],
                                   remedy='ask that party what it runs')

    def _found(self, left, right):
        for tags, owner in zip((left, right), self._owners, strict=True):
            count = repetitions(tags)
            if count:
                raise RemoteProtocolError(
                    'repeated-tag', f'{count} of {len(tags)} tags repeat', party=owner,
                    remedy='that party must bring each identifier once')
        return positions(left, right)

    # --- what comes out, as shares on the left owner's slots ---

    def left_bits(self) -> SecureArray:
        """Shape (slots, 1): whether the right owner has the row of a slot; one round.

        16 bytes per slot in all.
        """
        return self._bits(self.slots, lambda: self._matched >= 0)

    def right_bits(self) -> SecureArray:
        """Shape (rows, 1), in the right owner's order: whether the left owner has that row."""
        def found():
            bits = np.zeros(self.rows, bool)
            bits[self._matched[self._matched >= 0]] = True
            return bits
        return self._bits(self.rows, found)

    def _bits(self, size, bits):
        def values():
            return field.encode(bits().astype(np.uint8).reshape(size, 1), 0)
        if len(self.helpers) == 2:
            return joint_input(self.mpc, self.helpers, (size, 1), values)
        [h] = self.helpers
        return self.mpc.deal(values() if self.mpc.pid == h else None, h, (size, 1), 0)

    def columns(self, values: npt.ArrayLike | None, width: int) -> SecureArray:
        """The right owner's integer columns on the left owner's slots, shape (slots, width); zero
        where there is no match. `values` (at the right owner) is (own rows, width).
        """
        mpc = self.mpc
        verified, size = mpc.geometry.verified, self.rows
        if len(self.helpers) == 1:
            size += self.slots
        mine = None
        if mpc.pid == self.right:
            mine = arranged(values, self._order, self._own_rows, width)
        if verified:
            table = mpc.deal(mine, self.right, (size, width), 0)
            return select_rows(mpc, table, self.helpers, self._index, self.slots)
        holders = self.helpers if len(self.helpers) == 2 else (self.left, *self.helpers)
        held = mpc.deal_additive(mine, self.right, holders, (size, width), 0)
        return held.take(self._index, self.slots).to_shared()


def _tags(packed: Packed, order: Order, key: bytes, party: int) -> npt.NDArray[np.uint64]:
    """Keyed 128-bit tags of the identifiers in a given order; padding gets random tags."""
    own = packed.tags(key)
    count = repetitions(own)
    if count:
        raise LocalProtocolError(
            'repeated-identifiers', f'{count} of {len(own)} identifiers repeat, expected each once',
            party=party, remedy='agree on an aggregation (count, sum, max, latest) of rows with '
            'the same identifier, or keep one of them')
    tags, real = np.empty((len(order), 2), np.uint64), order >= 0
    tags[real] = own[order[real]]
    padding = secrets.token_bytes(16 * int((~real).sum()))
    tags[~real] = np.frombuffer(padding, np.uint64).reshape(-1, 2)
    return tags


def _completed(matched: npt.NDArray[np.int64], rows: int) -> npt.NDArray[np.int64]:
    """A permutation of all rows and zero rows (from `rows` on) that begins with the positions:
    a slot without a match gets a zero row, and what no slot gets comes last."""
    slots = len(matched)
    whole = np.empty(slots + rows, np.int64)
    missing = matched < 0
    zeros = rows + np.arange(slots)
    whole[:slots] = np.where(missing, zeros, matched)
    left_over = np.ones(rows, bool)
    left_over[matched[~missing]] = False
    whole[slots:] = np.concatenate([np.flatnonzero(left_over), zeros[~missing]])
    return whole
