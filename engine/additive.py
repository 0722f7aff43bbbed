"""Additive sharings among a few holders: the form in which whole tables change hands.

An `AdditiveArray` is the sum of one summand per holder; other parties hold nothing. Its rows can be
selected by an order that the holders know (`take`), handed over to other holders with fresh
randomness (`hand_over`), and turned into a SecureArray (`to_shared`). The join and the shuffle are
built from these steps. t parties that do not include all holders learn nothing.
"""

import functools
import math

import numpy as np

from engine import field
from engine._mpyc import asyncoro
from engine.array import SecureArray
from engine.base import RuntimeBase
from engine.dealing import deal_roles, deal_shares
from engine.errors import LocalProtocolError
from engine.operation import Operation
from engine.permutation import move, random_order
from engine.prss import expand


class AdditiveArray(asyncoro.SecureObject):
    """Array of field elements, additively shared among `holders`; rows are the first axis."""

    __slots__ = ('depth', 'frac', 'holders', 'runtime', 'shape')

    def __init__(self, runtime, holders, shape, frac):
        self.runtime, self.holders, self.frac = runtime, tuple(holders), frac
        self.shape = tuple(shape)
        self.depth = 0
        self.share = None

    @property
    def held(self) -> bool:
        """Whether this party is a holder."""
        return self.runtime.pid in self.holders

    async def ready(self):
        """This party's summand (None at parties that hold none)."""
        return await self.share if hasattr(self.share, '__await__') else self.share

    def take(self, index: np.ndarray | None, rows: int) -> 'AdditiveArray':
        """Rows at the positions `index` (given at the holders, `rows` of them); -1 is a zero row.

        Local. The order is whatever the holders agree on; the others do not learn it.
        """
        op = Operation(self.runtime, 'take_rows', (rows, *self.shape[1:]))
        out = AdditiveArray(self.runtime, self.holders, (rows, *self.shape[1:]), self.frac)

        async def body(op, share):
            if not self.held:
                return None
            if len(index) != rows:
                raise LocalProtocolError('bad-positions', f'{len(index)} row positions, expected '
                                         f'{rows}', party=self.runtime.pid)

            def pick():
                result = share[index]
                result[index < 0] = 0
                return result
            return await op.compute(2 * rows * share[:1].size, pick)
        return self.runtime.issue(op, [self], body, out)

    def permute(self) -> 'AdditiveArray':
        """Rows in a uniformly random order that all holders, and nobody else, know.

        Two holders derive it from their pairwise key, without a message; among more the first
        one's seed travels under one-time pads, in one round.
        """
        rt, lead, rows = self.runtime, self.holders[0], self.shape[0]
        op = Operation(rt, 'permute', self.shape)

        async def body(op, share):
            if len(self.holders) > 2:
                op.round()
            if not self.held:
                return None
            if len(self.holders) <= 2:
                peer = self.holders[-1] if rt.pid == lead else lead
                draw = functools.partial(op.of_pair, peer, b'order')
            else:
                seed = op.of_pair(rt.pid, b'seed', 2)
                if rt.pid == lead:
                    for peer in self.holders[1:]:
                        op.send(peer, seed ^ op.of_pair(peer, b'pad', 2))
                else:
                    seed = await op.receive(lead, (2,)) ^ op.of_pair(lead, b'pad', 2)
                draw = functools.partial(expand, seed.tobytes(), b'order')
            return await op.compute(20 * rows, lambda: move(share, random_order(draw, rows)))
        return rt.issue(op, [self], body,
                        AdditiveArray(rt, self.holders, self.shape, self.frac))

    def hand_over(self, holders) -> 'AdditiveArray':
        """The same values shared afresh among other holders; one round.

        Each holder splits its summand among the new holders: all but one part come from pairwise
        keys. Sends 16 bytes per element from each old holder that is not the receiver itself.
        """
        rt, old, new = self.runtime, self.holders, tuple(holders)
        op = Operation(rt, 'hand_over', self.shape)
        size = math.prod(self.shape)

        async def body(op, share):
            total = None
            for j, giver in enumerate(old):
                order = new[j % len(new):] + new[:j % len(new)]
                receiver, keyed = order[0], order[1:]
                if rt.pid == giver:
                    drawn = {p: _draw(op, p, b'hand%d' % j, size) for p in keyed}
                    rest = functools.reduce(field.sub, drawn.values(), share.reshape(size, 2))
                    if receiver != giver:
                        op.send(receiver, rest, j)
                if rt.pid == receiver:
                    part = rest if rt.pid == giver else await op.receive_elements(giver, size, j)
                elif rt.pid in keyed:
                    part = _draw(op, giver, b'hand%d' % j, size)
                else:
                    continue
                total = part if total is None else field.add(total, part)
            op.round()
            return None if total is None else total.reshape(*self.shape, 2)
        return rt.issue(op, [self], body, AdditiveArray(rt, new, self.shape, self.frac))

    def to_shared(self) -> SecureArray:
        """Shamir shares for all parties: every holder deals its summand; one round."""
        rt = self.runtime
        op = Operation(rt, 'to_shared', self.shape)
        size = math.prod(self.shape)

        async def body(op, share):
            parts = []
            for j, dealer in enumerate(self.holders):
                seeded, sent = deal_roles(rt.geometry, dealer, op.rotation + j)
                purpose = b'shared%d' % j
                if rt.pid == dealer:
                    dealt = await op.compute(4 * size, deal_shares, op, rt,
                                             share.reshape(size, 2), seeded, sent, purpose)
                    for peer in sent:
                        op.send(peer, dealt[peer], j)
                    parts.append(dealt[rt.pid])
                elif rt.pid in seeded:
                    parts.append(_draw(op, dealer, purpose, size))
                else:
                    parts.append(await op.receive_elements(dealer, size, j))
            op.round()
            return functools.reduce(field.add, parts).reshape(*self.shape, 2)
        return rt.issue(op, [self], body, SecureArray(rt, self.shape, self.frac))


class AdditiveOperations(RuntimeBase):
    """Conversions to and from additive sharings (a mix-in of `engine.runtime.Runtime`)."""

    def _refuse_verified(self, what):
        if self.geometry.verified:
            raise LocalProtocolError(
                'not-verifiable', f'{what}: what a single holder does cannot be checked',
                remedy='use secure arrays in verified mode, or run this job in the default mode')

    def deal_additive(self, values, owner: int, holders, shape, frac: int) -> AdditiveArray:
        """Split the owner's field elements among holders; all but one part come from keys."""
        self._refuse_verified('input of an additive sharing')
        op = Operation(self, 'input_additive', shape)
        size = math.prod(shape)
        *keyed, receiver = holders

        async def body(op):
            if self.pid == owner:
                drawn = [_draw(op, p, b'additive', size) for p in keyed]
                rest = functools.reduce(field.sub, drawn, values.reshape(size, 2))
                if receiver != owner:
                    op.send(receiver, rest)
            op.round()
            if self.pid == receiver:
                part = rest if owner == receiver else await op.receive_elements(owner, size)
            elif self.pid in keyed:
                part = _draw(op, owner, b'additive', size)
            else:
                return None
            return part.reshape(*shape, 2)
        return self.issue(op, [], body, AdditiveArray(self, holders, shape, frac))

    def to_additive(self, x: SecureArray, holders) -> AdditiveArray:
        """The summands λ_i s_i of t + 1 holders; local."""
        self._refuse_verified('an additive sharing')
        holders = tuple(holders)
        op = Operation(self, 'to_additive', x.shape)

        async def body(op, share):
            if self.pid not in holders:
                return None
            weight = self.geometry.recombination(holders)[holders.index(self.pid)]
            return field.affine(np.ascontiguousarray(share), int(field.to_ints(weight)))
        return self.issue(op, [x], body, AdditiveArray(self, holders, x.shape, x.frac))

    def send_private(self, values, sender: int, receiver: int, shape, dtype=np.uint64):
        """Future of a private array that goes from one party to another, None elsewhere.

        For data that the protocol lets the receiver see, such as keyed tags. It travels under a
        one-time pad from the pairwise key, so no third party on the wire reads it. One round.
        """
        op = Operation(self, 'send_private', shape)

        async def body(op):
            op.round()
            if self.pid not in (sender, receiver):
                return None
            other = receiver if self.pid == sender else sender
            size = math.prod(shape) * np.dtype(dtype).itemsize
            pad = op.of_pair(other, b'private', -(-size // 8)).view(np.uint8)[:size]
            if self.pid == sender:
                plain = np.ascontiguousarray(values, dtype).reshape(shape)
                op.send(receiver, plain.reshape(-1).view(np.uint8) ^ pad)
                return None
            return (await op.receive(sender, (size,), np.uint8) ^ pad).view(dtype).reshape(shape)
        return self.issue_value(op, [], body)


def _draw(op, peer, purpose, size):
    return field.uniform(op.of_pair(peer, purpose, 2 * size).reshape(size, 2))
