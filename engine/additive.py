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
from engine.dealing import Dealing
from engine.errors import LocalProtocolError
from engine.operation import Operation
from engine.permutation import absorb, move, random_order
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
        rt, rows = self.runtime, self.shape[0]
        op = Operation(rt, 'permute', self.shape)

        async def body(op, share):
            draws = await common_draws(op, [self.holders])
            if len(self.holders) > 2:
                op.round()
            if not self.held:
                return None
            [draw] = draws.values()
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
            total = await pass_on(op, old, new, size, lambda: share.copy())
            op.round()
            return None if total is None else total.reshape(*self.shape, 2)
        return rt.issue(op, [self], body, AdditiveArray(rt, new, self.shape, self.frac))

    def to_shared(self) -> SecureArray:
        """Shamir shares for all parties: every holder deals its summand; one round."""
        rt = self.runtime
        op = Operation(rt, 'to_shared', self.shape)
        size = math.prod(self.shape)

        async def body(op, share):
            own = None if share is None else share.reshape(size, 2)
            total = await deal_out(op, self.holders, own, size)
            op.round()
            return total.reshape(*self.shape, 2)
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


# --- the steps, inside an operation; the caller counts the rounds ---

async def common_draws(op, groups) -> dict:
    """{index: draw} for the groups that this party is in: draw(k) gives words that only they know.

    Two parties have a pairwise key; among more the first one's seed travels under one-time pads, in
    one round for all groups.
    """
    pid, seeds = op.runtime.pid, {}
    mine = [(k, group) for k, group in enumerate(groups) if pid in group]
    for k, group in mine:
        if len(group) > 2 and group[0] == pid:
            seeds[k] = op.of_pair(pid, b'seed', 2, k)
            for peer in group[1:]:
                op.send(peer, seeds[k] ^ op.of_pair(peer, b'pad', 2, k), k)
    for k, (lead, *rest) in mine:
        if len(rest) > 1 and lead != pid:
            seeds[k] = await op.receive(lead, (2,), tag=k) ^ op.of_pair(lead, b'pad', 2, k)
    draws = {}
    for k, group in mine:
        if k in seeds:
            draws[k] = functools.partial(expand, seeds[k].tobytes(), b'order')
        else:
            peer = group[-1] if pid == group[0] else group[0]
            draws[k] = functools.partial(op.of_pair, peer, b'order', piece=k)
    return draws


async def pass_on(op, old, new, size: int, own, step: int = 0) -> np.ndarray | None:
    """The sum of the summands of the parties `old`, split afresh among `new`; one round.

    `own()` makes the summand of one of the old ones: `size` elements in memory that nothing else
    uses. Returns this party's new summand (size, 2), None at a party that has none. 16 · size bytes
    from each old holder that is not the receiver itself.
    """
    pid, total, drawn, waiting = op.runtime.pid, None, [], []

    def keyed_words(peer, j):
        return op.of_pair(peer, b'hand', 2 * size, step << 4 | j).reshape(size, 2)

    def remaining(keyed, j):
        rest = own().reshape(size, 2)
        for p in keyed:
            absorb(rest, keyed_words(p, j), minus=True)
        return rest
    for j, giver in enumerate(old):
        receiver, *keyed = new[j % len(new):] + new[:j % len(new)]
        if pid == giver:
            rest = await op.compute(4 * size, remaining, keyed, j)
            if receiver != giver:
                op.send(receiver, rest, step << 4 | j)
            else:
                total = rest
        if pid in keyed:
            drawn.append((giver, j))
        elif pid == receiver != giver:
            waiting.append((giver, j))
    for giver, j in waiting:
        part = await op.receive_elements(giver, size, step << 4 | j)
        total = part if total is None else await op.compute(size, field.add_to, total, part)
    for giver, j in drawn:
        base = np.zeros((size, 2), np.uint64) if total is None else total
        total = await op.compute(size, lambda base=base, giver=giver, j=j: absorb(
            base, keyed_words(giver, j)))
    return total


async def deal_out(op, holders, own: np.ndarray | None, size: int, step: int = 0) -> np.ndarray:
    """Shamir shares (size, 2) of the sum of the holders' summands `own`; one round."""
    dealings = [Dealing(op, dealer, size, b'shared%d' % j, step << 4 | j, turn=j)
                for j, dealer in enumerate(holders)]
    parts = []
    if own is not None:
        [dealing] = [dealing for dealing in dealings if dealing.dealer == op.runtime.pid]
        parts.append(await dealing.give(own))
    parts += [await dealing.take() for dealing in dealings if dealing.dealer != op.runtime.pid]
    return await op.compute(size, functools.reduce, field.add, parts)


def _draw(op, peer, purpose, size):
    return field.uniform(op.of_pair(peer, purpose, 2 * size).reshape(size, 2))
