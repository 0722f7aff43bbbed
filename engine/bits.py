"""Boolean computation on secret bits: replicated (CNF) sharing of packed words.

A secret word is the XOR of one component per set of |group| - t active parties; every party of a
set holds that component, every t parties miss at least one. A party keeps its components as a NumPy
array (sets, ...), so all linear work (XOR, shifts, masks) is plain NumPy on that array at every
party, and only AND communicates.

AND (Araki et al., CCS 2016, for three parties; Ito, Saito, Nishizeki 1987 and Beaver, Wool 1998 for
CNF in general): the product of two CNF sharings is locally an additive one; each active party
masks its summand with a pseudorandom sharing of zero and sends it to the parties of one set. For
m = 4 and t = 1 this is one word from each of three parties.
"""

import functools
import itertools
import math

import numpy as np

from engine import field
from engine.dealing import Dealing
from engine.opening import Opening

_OPENING = 0xfff0


class Layout:
    """Who holds which component; a function of the deployment and the active group."""

    def __init__(self, geometry, group: tuple[int, ...]):
        size = len(group) - geometry.t
        self.group, self.t = group, geometry.t
        order = sorted(group)
        self.sets = [frozenset(s) for s in itertools.combinations(order, size)]
        self.keys = geometry.covering_sets(group)
        # The set that receives party group[i]'s summand: it and its successors in the group.
        self.target = {p: self.sets.index(frozenset(group[(i + k) % len(group)]
                                                    for k in range(size)))
                       for i, p in enumerate(group)}
        self.holders = [sorted(s) for s in self.sets]
        # Every set contains a part, so the parts together can speak for all components.
        base = geometry.joint_groups() if geometry.verified else \
            [(i,) for i in range(geometry.t + 1)]
        self.parts = [tuple(group[i] for i in part) for part in base]
        self.part_of = [next(j for j, part in enumerate(self.parts) if set(part) <= s)
                        for s in self.sets]

    @functools.cache
    def mine(self, pid: int) -> list[int]:
        """Indices of the sets that contain a party, in order of its component array."""
        return [k for k, s in enumerate(self.sets) if pid in s]

    @functools.cache
    def pairs(self, pid: int) -> list[tuple[int, int]]:
        """Cross terms (positions in its component array) that a party computes in an AND."""
        mine = self.mine(pid)
        result = []
        for a, b in itertools.product(range(len(self.sets)), repeat=2):
            common = sorted(self.sets[a] & self.sets[b])
            if common and common[(a + b) % len(common)] == pid:
                result.append((mine.index(a), mine.index(b)))
        return result

    @functools.cache
    def free_sets(self) -> list[int]:
        """Sets that receive no summand in an AND; their new component is pseudorandom."""
        return [k for k in range(len(self.sets)) if k not in set(self.target.values())]

    @functools.cache
    def split(self, pid: int, part: int) -> list[int]:
        """Positions, in a member's component array, of what a part contributes to an XOR sharing
        among the parts."""
        mine = self.mine(pid)
        return [mine.index(k) for k in mine if self.part_of[k] == part]


@functools.cache
def layout_of(geometry, group: tuple[int, ...]) -> Layout:
    """The layout of an active group."""
    return Layout(geometry, group)


class BitNetwork:
    """The Boolean steps of one operation; each AND, deal or opening is one round."""

    def __init__(self, op, n: int):
        self.op, self.rt, self.n = op, op.runtime, n
        self.layout = layout_of(self.rt.geometry, op.group)
        self.pid = self.rt.pid
        self.active = self.pid in self.layout.group
        self.mine = self.layout.mine(self.pid) if self.active else []
        self._step = 0x1000

    def _next(self):
        self._step += 1
        return self._step

    def _words(self, draw, key, step, shape, dtype):
        size = math.prod(shape) * np.dtype(dtype).itemsize
        words = draw(key, b'bits', -(-size // 8), step)
        return words.view(np.uint8)[:size].view(dtype).reshape(shape)

    async def deal(self, words: dict[int, np.ndarray], shape,
                   dtype=np.uint64) -> list[np.ndarray]:
        """Component arrays of private words, one per part of the layout; one round.

        `words` are those of the parts (by index) that this party belongs to.
        """
        shape = tuple(shape)
        step = self._next()
        results = []
        lay, pid = self.layout, self.pid
        for j, (dealer,) in enumerate(lay.parts):
            tag = (step << 3) | j
            target = lay.target[dealer]
            out = np.zeros((len(self.mine), *shape), dtype)
            draws = {}
            for position, k in enumerate(self.mine):
                if dealer in lay.sets[k] and k != target:
                    draws[k] = out[position] = self._words(
                        self.op.of_set, lay.keys[k], tag, shape, dtype)
            if pid == dealer:
                masked = functools.reduce(np.bitwise_xor, draws.values(), words[j])
                for peer in lay.sets[target] - {pid}:
                    self.op.send(peer, masked, tag & 0xffff)
                out[self.mine.index(target)] = masked
            results.append((dealer, tag, out))
        for dealer, tag, out in results:
            target = lay.target[dealer]
            if self.active and pid != dealer and pid in lay.sets[target]:
                out[self.mine.index(target)] = await self.op.receive(
                    dealer, shape, dtype, tag & 0xffff)
        self.op.round()
        return [out for _, _, out in results]

    async def open_words(self, share: np.ndarray, offset: int,
                         wide: bool = False) -> dict[int, np.ndarray]:
        """Summands of x + offset mod 2^64, one per part, at the members of the parts; one round.

        With `wide` summands mod 2^128, shape (2, n), low words first.

        c = x + offset + Σ r_A is opened to the first part, which subtracts the masks that it
        knows; the others have the remaining masks with a minus. x + offset must be in [0, 2^64).
        """
        op, g, pid, lay = self.op, self.rt.geometry, self.pid, self.layout
        share = np.ascontiguousarray(share).reshape(self.n, 2)
        assigned = [next(j for j, part in enumerate(lay.parts) if set(part) <= set(s))
                    for s in g.sets]
        roles = [j for j, part in enumerate(lay.parts) if pid in part]
        opening = self._word_opening()
        sends = pid in opening.senders
        needed = [k for k in g.sets_of(pid) if sends or assigned[k] in roles]
        masks = np.empty((len(needed), self.n, 2), np.uint64)
        for j, k in enumerate(needed):
            masks[j] = op.of_set(k, b'open', 2 * self.n).reshape(self.n, 2)
        own, words = None, {j: np.zeros((2, self.n), np.uint64) for j in roles}
        if sends:
            coefs = field.table([g.set_value(k, pid) for k in needed])
            own = await op.compute(6 * self.n, field.add_masks, share, field.limbs(offset), masks,
                                   coefs, 1, g.mask_bits)
            opening.send(own, _OPENING)
        if 0 in roles:
            shares, points = await opening.receive(own, _OPENING, self.n)
            opened = await op.compute(4 * self.n, field.combine, shares,
                                      g.recombination(tuple(points)))
            words[0] += opened.T
        op.round()
        for j, k in enumerate(needed):
            if assigned[k] in roles:
                low, high = words[assigned[k]]
                if wide:  # else the high words are not looked at
                    mask = masks[j, :, 1] & np.uint64((1 << (g.mask_bits - 64)) - 1)
                    high -= mask + (low < masks[j, :, 0])
                low -= masks[j, :, 0]
        return words if wide else {j: low for j, (low, _) in words.items()}

    def _word_opening(self):
        [dealer] = self.layout.parts[0]
        others = [p for p in self.layout.group if p != dealer]
        return Opening(self.op, self.rt.geometry.t, (dealer, *others), receivers=(dealer,))

    def random(self, shape, dtype) -> np.ndarray:
        """Component array of uniformly random words that no t parties know; local."""
        step = self._next()
        out = np.empty((len(self.mine), *shape), dtype)
        for position, k in enumerate(self.mine):
            out[position] = self._words(self.op.of_set, self.layout.keys[k], step, shape, dtype)
        return out

    def xor_public(self, x: np.ndarray, value: int) -> np.ndarray:
        """x ^ value for a public constant."""
        if 0 in self.mine:
            x = x.copy()
            x[self.mine.index(0)] ^= x.dtype.type(value)
        return x

    async def and_(self, x: np.ndarray, y: np.ndarray, bits: int = 64,
                   last: bool = False) -> np.ndarray:
        """x & y of component arrays of one shape, of which the low `bits` count; one round.

        `last` says that an opening comes next, which makes a difference in verified mode only.
        """
        step = self._next()
        lay, pid, dtype, shape = self.layout, self.pid, x.dtype, x.shape[1:]
        work = math.prod(shape)
        self.op.multiplications += work
        if not self.active:
            self.op.round()
            return np.empty((0, *shape), dtype)

        out = np.zeros((len(self.mine), *shape), dtype)

        def summand():
            z = np.zeros(shape, dtype)
            for a, b in lay.pairs(pid):
                z ^= x[a] & y[b]
            for peer in lay.group:
                if peer != pid:
                    z ^= self._words(self.op.of_pair, peer, step, shape, dtype)
            for k in lay.free_sets():
                if k in self.mine:
                    drawn = out[self.mine.index(k)]
                    drawn[...] = self._words(self.op.of_set, lay.keys[k], step, shape, dtype)
                    if lay.holders[k][0] == pid:
                        z ^= drawn
            return z
        own = await self.op.compute(8 * work, summand)
        for peer in sorted(lay.sets[lay.target[pid]] - {pid}):
            self.op.send(peer, own, step)
        for peer in lay.group:
            if lay.target[peer] in self.mine:
                out[self.mine.index(lay.target[peer])] ^= own if peer == pid else \
                    await self.op.receive(peer, shape, dtype, step)
        self.op.round()
        if bits < 8 * dtype.itemsize:
            out &= dtype.type((1 << bits) - 1)
        return out

    async def open(self, bits: np.ndarray) -> np.ndarray:
        """The values of bits (sets, n), given as uint8 components, to all parties; one round.

        t + 1 parties broadcast their parts of the XOR sharing, eight bits to the byte.
        """
        n, lay, step = self.n, self.layout, self._next()
        packed = -(-n // 8)
        total = np.zeros(packed, np.uint8)
        if (self.pid,) in lay.parts:
            part = self._contribution(bits, lay.parts.index((self.pid,)))
            total = np.packbits(part & np.uint8(1))
            for peer in range(self.rt.geometry.m):
                if peer != self.pid:
                    self.op.send(peer, total.copy(), step)
        for (dealer,) in lay.parts:
            if dealer != self.pid:
                total ^= await self.op.receive(dealer, (packed,), np.uint8, step)
        self.op.round()
        return np.unpackbits(total, count=n)

    async def to_field(self, bits: np.ndarray) -> np.ndarray:
        """Shamir shares, as integers 0 or 1, of bits (sets, ...) given as uint8 components.

        The components are locally an XOR sharing among the parts of the layout; each part's share
        is dealt, and these are combined by a + b - 2ab. 1 + ceil(log2(t + 1)) rounds.
        """
        shape = bits.shape[1:]
        n = math.prod(shape)
        parts = await self._deal_contributions(bits, n)
        while len(parts) > 1:
            pairs = len(parts) // 2
            left = np.concatenate(parts[0:2 * pairs:2])
            right = np.concatenate(parts[1:2 * pairs:2])
            both = await self.rt.reduce_product(self.op, left, right)
            merged = field.sub(field.add(left, right), field.affine(both, 2))
            parts = [merged[k * n:(k + 1) * n] for k in range(pairs)] + parts[2 * pairs:]
        return parts[0].reshape(*shape, 2)

    def _contribution(self, bits, part):
        """XOR of the components for which this party's part speaks."""
        return functools.reduce(np.bitwise_xor,
                                [bits[k] for k in self.layout.split(self.pid, part)],
                                np.zeros(bits.shape[1:], np.uint8))

    async def _deal_contributions(self, bits, n):
        """Shamir shares (n, 2) of what each part contributes; one round."""
        step = self._next()
        dealings = [Dealing(self.op, dealer, n, b'to_field%d' % j, (step << 2 | j) & 0xffff, turn=j)
                    for j, (dealer,) in enumerate(self.layout.parts)]
        given = {}
        for j, dealing in enumerate(dealings):
            if dealing.dealer == self.pid:
                values = np.zeros((n, 2), np.uint64)
                values[:, 0] = self._contribution(bits, j).reshape(-1)
                given[j] = await dealing.give(values)
        parts = [given[j] if j in given else await dealing.take()
                 for j, dealing in enumerate(dealings)]
        self.op.round()
        return parts
