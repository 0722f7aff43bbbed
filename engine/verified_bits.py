"""Boolean computation in verified mode: every word that travels is known to t + 1 parties.

With m >= 3t + 1 the intersection K of two sets of m - t parties has t + 1 members or more, so a
product of two components is known to a group with an honest member. The group shares it anew among
the components of the sets that contain K: all but one of the new summands come from those sets'
keys, and the last one is sent to the parties of its set outside K by one member of K and vouched
for by t others, as in `engine.verified.send_jointly`. Nobody computes anything alone, so nobody can
be wrong unnoticed. For m = 4 and t = 1 an AND is six words in all, in three messages.

They vouch once for all words of a group, in the last step before anything opens to all or leaves
the Boolean world. What is sent in between is masked by keys that its receivers lack, so it says
nothing, be it right or wrong; and whether a lie is found does not depend on what the words are.
Source: the joint messages of Dalskov, Escudero, Keller, "Fantastic Four", USENIX Security 2021, and
their batched check, for any m and t.
"""

import functools
import itertools
import math

import numpy as np

from engine import field
from engine.bits import BitNetwork
from engine.checked_opening import CheckedOpening, cheating
from engine.verified import confirm, receive_jointly, send_jointly, speakers


class Common:
    """What a group K of parties knows together, and how it becomes a sharing.

    `drawn` are the indices of the sets (containing K) whose summand comes from their key, `target`
    that of the set whose summand is sent to its members outside K, the `receivers`, by the first of
    the `speakers`. `kind` and `number` tell it from all others of a layout.
    """

    def __init__(self, layout, group, kind: int, number: int, sender: int, target: int):
        self.kind, self.number, self.group, self.target = kind, number, group, target
        self.drawn = [k for k in _over(layout, group) if k != target]
        self.receivers = sorted(layout.sets[target] - set(group))
        self.speakers = speakers(group, layout.t, group.index(sender))
        # Products of components (a, b), as indices of sets, that exactly this group knows.
        self.terms = [(a, b) for a, b in itertools.product(range(len(layout.sets)), repeat=2)
                      if a != b and layout.sets[a] & layout.sets[b] == set(group)]


def _over(layout, group):
    return [k for k, s in enumerate(layout.sets) if s.issuperset(group)]


def _commons(layout, groups, kind) -> list[Common]:
    """The groups with senders and receivers, such that few pairs of parties have words to send.

    What one party sends to the same others goes in one message: for m = 4 and t = 1 the six groups
    of an AND need three. Who they are goes round with the roles of the parties. The largest choices
    first; of equal ones not those between parties that another one is between, because what is left
    then falls into more pieces.
    """
    place = {p: i for i, p in enumerate(layout.group)}
    groups = [tuple(sorted(group, key=place.__getitem__)) for group in groups]
    choices: dict = {}
    for group in sorted(groups, key=lambda group: [place[p] for p in group]):
        targets = {tuple(sorted(layout.sets[k].difference(group), key=place.__getitem__)): k
                   for k in _over(layout, group)}
        for sender, receivers in itertools.product(group, sorted(
                targets, key=lambda receivers: [place[p] for p in receivers])):
            choices.setdefault((sender, receivers), {})[group] = targets[receivers]
    left, made, between = set(groups), {}, set()
    while left:
        (sender, receivers), covered = max(choices.items(), key=lambda choice: (
            len(left & choice[1].keys()), -sum({choice[0][0], r} in between for r in choice[0][1])))
        made.update({group: (sender, covered[group]) for group in left & covered.keys()})
        left -= covered.keys()
        between |= {frozenset((sender, r)) for r in receivers}
    return [Common(layout, group, kind, j, *made[group]) for j, group in enumerate(groups)]


@functools.cache
def _intersections(layout) -> list[Common]:
    return _commons(layout, sorted({tuple(sorted(a & b)) for a, b in
                                    itertools.combinations(layout.sets, 2)}), 0)


@functools.cache
def _parts(layout) -> list[Common]:
    return _commons(layout, layout.parts, 1)


class CheckedBitNetwork(BitNetwork):
    """The Boolean steps of one operation in verified mode."""

    def __init__(self, op, n: int):
        super().__init__(op, n)
        self._vouching: _Vouching | None = None

    async def _share_anew(self, groups, own, draw, minus, add, shape, dtype, last=False):
        """What groups know, as sharings that no t other parties can read; one round.

        `own[j]` is what this party knows as a member of groups[j]. `draw(key, label)` gives a
        summand from a set's key, `minus(a, b)` takes it off, and `add(j, k, summand)` adds to
        component k of the j-th result. In the `last` step all that was sent so far is checked.
        """
        if self._vouching is None:
            self._vouching = _Vouching(self.op, _tag(self._next()), _tag(self._next()))
        vouching, step = self._vouching, self._next()
        for j, common in enumerate(groups):
            draws = {k: draw(self.layout.keys[k], (step << 8) | j)
                     for k in common.drawn if k in self.mine}
            for k, drawn in draws.items():
                add(j, k, drawn)
            if j in own:
                summand = functools.reduce(minus, draws.values(), own[j])
                add(j, common.target, summand)
                vouching.put(common, summand)
        vouching.send(_tag(step))
        if last:
            vouching.vouch()
        for common, summand in await vouching.receive(groups, shape, dtype, _tag(step),
                                                      elements=minus is field.sub):
            add(common.number, common.target, summand)
        if last:
            await vouching.check()
            self._vouching = None
        self.op.round()

    def _draw_words(self, shape, dtype):
        size = math.prod(shape) * np.dtype(dtype).itemsize

        def draw(key, label):
            words = self.op.of_set(key, b'joint', -(-size // 8), label)
            return words.view(np.uint8)[:size].view(dtype).reshape(shape)
        return draw

    def _next(self):
        step = super()._next() & 0xfff
        if step >= 0xf0:  # a step's number is part of the tags, which name one-time keys
            raise ValueError(f'verified mode: {step} Boolean steps in one operation')
        return step

    def _word_opening(self):
        return CheckedOpening(self.op, self.rt.geometry.t, self.layout.parts[0])

    async def deal(self, words, shape, dtype=np.uint64):
        """As in the default mode; a part is a group of t + 1 parties that hold the same words."""
        shape, groups = tuple(shape), _parts(self.layout)
        results = [np.zeros((len(self.mine), *shape), dtype) for _ in groups]

        def add(j, k, summand):
            results[j][self.mine.index(k)] ^= summand
        await self._share_anew(groups, words, self._draw_words(shape, dtype), np.bitwise_xor, add,
                               shape, dtype)
        return results

    async def and_(self, x, y, bits: int = 64, last: bool = False):
        """x & y of component arrays of one shape, of which the low `bits` count; one round.

        What comes next may be an opening only if this is said to be the `last` step before it.
        """
        shape, work = x.shape[1:], math.prod(x.shape[1:])
        self.op.multiplications += work
        place = {k: j for j, k in enumerate(self.mine)}
        groups = _intersections(self.layout)

        def known():
            return x & y, {
                j: functools.reduce(np.bitwise_xor,
                                    [x[place[a]] & y[place[b]] for a, b in common.terms])
                for j, common in enumerate(groups) if self.pid in common.group}
        out, own = await self.op.compute(8 * work, known)

        def add(j, k, summand):
            out[place[k]] ^= summand
        await self._share_anew(groups, own, self._draw_words(shape, x.dtype), np.bitwise_xor, add,
                               shape, x.dtype, last)
        if bits < 8 * out.dtype.itemsize:
            out &= out.dtype.type((1 << bits) - 1)
        return out

    async def open(self, bits):
        """The values of bits (sets, n), given as uint8 components, to all parties; two rounds.

        All parties confirm that they have come here; then every party is told the components that
        it does not hold.
        """
        step, lay, t = self._next(), self.layout, self.rt.geometry.t
        assert self._vouching is None or not t, 'the step before an opening is the last one'
        await confirm(self.op)
        total = np.packbits(functools.reduce(np.bitwise_xor, bits) & np.uint8(1))
        waiting = []
        for k, holders in enumerate(lay.holders):
            tag = _tag(step) | k
            group = speakers(holders, t, k)
            outside = [p for p in lay.group if p not in lay.sets[k]]
            if self.pid in group:
                component = np.packbits(bits[self.mine.index(k)] & np.uint8(1))
                send_jointly(self.op, group, outside, component, tag)
            if self.pid in outside:
                waiting.append((group, tag))
        for group, tag in waiting:
            total = total ^ await receive_jointly(self.op, group, total.shape, np.uint8, tag)
        self.op.round()
        return np.unpackbits(total, count=self.n)

    async def _deal_contributions(self, bits, n):
        """As in the default mode: the numbers of each part are shared anew over the field, and the
        components of that sharing give Shamir shares locally (share conversion, TCC 2005)."""
        g, groups = self.rt.geometry, _parts(self.layout)
        parts = [np.zeros((n, 2), np.uint64) for _ in groups]
        own = {}
        for j, common in enumerate(groups):
            if self.pid in common.group:
                own[j] = np.zeros((n, 2), np.uint64)
                own[j][:, 0] = self._contribution(bits, j).reshape(-1)

        def draw(key, label):
            return field.uniform(self.op.of_set(key, b'joint', 2 * n, label).reshape(n, 2))

        def add(j, k, summand):
            factor = g.set_value(self.layout.keys[k], self.pid)
            parts[j] = field.add(parts[j], field.affine(summand, factor))
        await self._share_anew(groups, own, draw, field.sub, add, (n, 2), np.uint64, last=True)
        return parts


class _Vouching:
    """What t members of each group vouch for together: all that one sends until `vouch`.

    `tags` are those of the two kinds of groups.
    """

    def __init__(self, op, *tags: int):
        self.op, self.tags, self.pid = op, tags, op.runtime.pid
        self._outgoing: dict = {}
        self._given: dict = {}
        self._taken: dict = {}

    def put(self, common, words):
        """At a member of a group: its words, to be sent or vouched for if it is a speaker."""
        sender, *vouchers = common.speakers
        for receiver in common.receivers:
            if self.pid == sender:
                self._outgoing.setdefault(receiver, []).append(words)
            elif self.pid in vouchers:
                self._digest(self._given, common, self.pid, receiver).add(words)

    def send(self, tag):
        """Send all words that were put, to each receiver in one message."""
        for receiver, words in self._outgoing.items():
            self.op.send(receiver, words[0] if len(words) == 1 else np.stack(words), tag)
        self._outgoing = {}

    async def receive(self, groups, shape, dtype, tag, elements):
        """(group, words) of those groups of which this party is a receiver; to be checked later."""
        by_sender: dict = {}
        for common in groups:
            if self.pid in common.receivers:
                by_sender.setdefault(common.speakers[0], []).append(common)
        found = []
        for sender, commons in by_sender.items():
            words = await self.op.receive(sender, (len(commons), *shape), dtype, tag)
            if elements:
                self.op.check_elements(sender, words)
            found += zip(commons, words, strict=True)
        for common, words in found:
            for voucher in common.speakers[1:]:
                self._digest(self._taken, common, voucher, voucher).add(words)
        return found

    def _digest(self, digests, common, voucher, peer):
        found = digests.get((common, peer))
        if found is None:
            found = digests[common, peer] = self.op.long_digest(voucher, peer, self._tag(common))
        return found

    def _tag(self, common):
        return self.tags[common.kind] | common.number

    def vouch(self):
        """Send the digests; nothing can be sent afterwards."""
        for (common, receiver), digest in self._given.items():
            self.op.send_long_digest(receiver, digest, self._tag(common))

    async def check(self):
        """Compare the digests of all that was received."""
        for (common, voucher), digest in self._taken.items():
            if not digest.equals(await self.op.receive_digest(voucher, self._tag(common))):
                raise cheating(self.op, 'two parties that know the same words sent different ones',
                               {common.speakers[0], voucher})


def _tag(step):
    """Tag of the first message of a step; up to 128 have one."""
    return 0x8000 | step << 7


def bit_network(op, n: int) -> BitNetwork:
    """The Boolean steps of an operation on n elements, in the mode of its runtime."""
    return (CheckedBitNetwork if op.runtime.geometry.verified else BitNetwork)(op, n)
