"""Comparison of secret numbers: the sign bit by one masked opening and a carry network.

For x with |x| < 2^63 the parties open c = x + 2^63 + Σ r_A to one dealer. Each r_A is known to a
whole set of parties, so x + 2^63 = u_0 + ... + u_t mod 2^64 where u_j is known to dealer j: the
first dealer subtracts from c the masks it knows, the others take the remaining masks with a minus.
For t = 1 only two summands are left and no carry-save adder is needed. (In verified mode groups of
t + 1 parties stand for the dealers.) The dealers share their words in replicated form
(`engine.bits`), and a tree of generate/propagate pairs computes the one carry that matters. Only
the result, a shared bit, leaves the operation; the opening to one dealer hides x within
2^-(mask_bits - 64) (2^-60 for m = 4).

Sources: the masked opening is that of Damgård et al., TCC 2006; the prefix tree of Ladner, Fischer
1980. Structure and costs are discussed in docs/engine.md.
"""

import numpy as np

from engine.array import SecureArray
from engine.base import RuntimeBase
from engine.bits import BitNetwork
from engine.kernel import kernel
from engine.operation import Operation
from engine.verified_bits import bit_network

_BLOCK = 1 << 16
_WIDTHS = {32: np.uint64, 16: np.uint32, 8: np.uint16, 4: np.uint8, 2: np.uint8, 1: np.uint8}


class CompareOperations(RuntimeBase):
    """Comparisons (a mix-in of `engine.runtime.Runtime`)."""

    def less(self, a: SecureArray, b) -> SecureArray:
        """Shared bits [a < b], broadcasting; |a - b| < 2^63 units of the larger `frac`."""
        return self.negative(a - b)

    def equal(self, a: SecureArray, b) -> SecureArray:
        """Shared bits [a = b], broadcasting."""
        return self._blockwise('equal', a - b, _zero_bit)

    def negative(self, x: SecureArray) -> SecureArray:
        """Shared bits [x < 0] for |x| < 2^63 units.

        Rounds: 2 (opening, sharing) + 7 (carry) + 2 (to the field) for t = 1. For m = 4 about 67
        bytes per party and element.
        """
        return self._blockwise('less_than', x, _sign_bit)

    async def open_negative(self, x: SecureArray) -> np.ndarray:
        """Booleans [x < 0] of a vector, opened to all parties.

        Cheaper than opening `negative(x)`: the bit never becomes a field element. 10 rounds
        (t = 1).
        """
        pending = []
        for start in range(0, max(1, x.size), _BLOCK):
            piece = x[start:start + _BLOCK] if x.size > _BLOCK else x
            op = Operation(self, 'open_negative', piece.shape)
            pending.append(self.issue_value(op, [piece], _open_sign))
        return np.concatenate([await p for p in pending]).astype(bool)

    def _blockwise(self, name, x, protocol):
        flat = x.ravel()
        parts = []
        for start in range(0, max(1, flat.size), _BLOCK):
            piece = flat[start:start + _BLOCK] if flat.size > _BLOCK else flat
            op = Operation(self, name, piece.shape)
            out = SecureArray(self, piece.shape, 0)
            parts.append(self.issue(op, [piece], protocol, out))
        return self.concatenate(parts).reshape(x.shape)

    def maximum(self, a: SecureArray, b) -> SecureArray:
        """Element-wise maximum: one comparison and one product."""
        return self.select(self.less(a, b), b, a)

    def minimum(self, a: SecureArray, b) -> SecureArray:
        """Element-wise minimum: one comparison and one product."""
        return self.select(self.less(a, b), a, b)

    def absolute(self, a: SecureArray) -> SecureArray:
        """|a|: one comparison and one product."""
        return a - 2 * (self.negative(a) * a)

    def largest(self, x: SecureArray) -> SecureArray:
        """Maximum along the first axis by a tournament: ceil(log2 n) comparisons deep."""
        while x.shape[0] > 1:
            half = x.shape[0] // 2
            best = self.maximum(x[:half], x[half:2 * half])
            x = best if x.shape[0] % 2 == 0 else self.concatenate([best, x[2 * half:]])
        return x[0]


async def summands(net: BitNetwork, share, offset: int):
    """Component arrays of at most two words whose sum mod 2^64 is x + offset."""
    words = await net.deal(await net.open_words(share, offset), (net.n,))
    while len(words) > 2:
        a, b, c, *rest = words
        carry = await net.and_(a ^ c, b ^ c) ^ c
        words = [a ^ b ^ c, carry << np.uint64(1), *rest]
    return words


async def _sign_bit(op, share):
    """Field shares of [x < 0]."""
    net = bit_network(op, len(share))
    return await net.to_field(await _sign_components(net, share))


async def _open_sign(op, share):
    """The opened bits [x < 0]."""
    net = bit_network(op, len(share))
    return await net.open(await _sign_components(net, share, last=True))


async def _sign_components(net, share, last=False):
    """Component array of the bits [x < 0], for an opening if it is the `last` step."""
    words = await summands(net, share, 1 << 63)
    top = words[0] >> np.uint64(63)
    if len(words) == 2:
        u, v = words
        top = ((u ^ v) >> np.uint64(63)) ^ await carry_into_top(net, u, v, last)
    return net.xor_public(top.astype(np.uint8), 1)


async def carry_into_top(net, u, v, last=False):
    """Component array of the carry of u + v into bit 63.

    Generate and propagate pairs of neighbouring bit ranges are merged level by level: 63 to 1 in
    six levels, each one AND on words of half the width of the level before.
    """
    keep = np.uint64((1 << 63) - 1)
    generate = _interleave(await net.and_(u, v) & keep)
    # Bit 63 must not count: it neither generates nor stops the carry from below.
    propagate = _interleave(net.xor_public((u ^ v) & keep, 1 << 63))
    words, split = (generate, propagate), _first_level
    for half, dtype in _WIDTHS.items():
        left, right = np.empty(u.shape, dtype), np.empty(u.shape, dtype)
        above = np.empty(u.shape, _WIDTHS[max(1, half // 2)])
        split(*[w.reshape(-1) for w in (*words, left, right, above)], half)
        both = await net.and_(left, right, 2 * half if half > 1 else 1, last and half == 1)
        words, split = (above, both), _next_level
    return (above ^ both).astype(np.uint64)


@kernel
def _halves(generate, propagate, half):
    """(what is multiplied: twice the upper propagate bits, the lower generate and propagate bits;
    and the upper generate bits); at the last level the lower propagate bit is not asked for."""
    mask = (np.uint64(1) << half) - np.uint64(1)
    over = propagate >> half
    if half == 1:
        return over, generate & mask, generate >> half
    return over | over << half, generate & mask | (propagate & mask) << half, generate >> half


@kernel
def _first_level(generate, propagate, left, right, above, half):
    """The halves of words, in one pass over them."""
    half = np.uint64(half)
    for i in range(left.size):
        left[i], right[i], above[i] = _halves(generate[i], propagate[i], half)


@kernel
def _next_level(high, both, left, right, above, half):
    """Merge what the level before has multiplied with its upper generate bits; the halves of that.
    """
    half = np.uint64(half)
    width = half << np.uint64(1)
    mask = (np.uint64(1) << width) - np.uint64(1)
    for i in range(left.size):
        merged = np.uint64(both[i])
        left[i], right[i], above[i] = _halves(np.uint64(high[i]) ^ merged & mask, merged >> width,
                                              half)


async def _zero_bit(op, share):
    """Field shares of [x = 0]."""
    net = bit_network(op, len(share))
    parts = net.layout.parts
    if len(parts) > 2:
        u, v = await summands(net, share, 1 << 63)
        # u + v = 2^63: while the bits of the sum are zero, a place passes on a carry unless both
        # its bits are zero, so the carries that come in, u ^ v, are u | v shifted by one place.
        z = u ^ v
        z = net.xor_public(z ^ ((z ^ await net.and_(u, v)) << np.uint64(1)), 1 << 63)
    else:
        # One summand, negated, against the other.
        mine = await net.open_words(share, 1 << 63)
        mine = {j: np.uint64(0) - word if j else word - np.uint64(1 << 63)
                for j, word in mine.items()}
        words = await net.deal(mine, (net.n,))
        z = words[0] ^ words[1] if len(words) == 2 else words[0]
    z = net.xor_public(z, (1 << 64) - 1)
    half = 32
    for dtype in (np.uint32, np.uint16, np.uint8, np.uint8, np.uint8, np.uint8):
        z = await net.and_((z >> z.dtype.type(half)).astype(dtype),
                           (z & z.dtype.type((1 << half) - 1)).astype(dtype), half)
        half //= 2
    return await net.to_field(z)


@kernel
def _interleave_kernel(x, out):
    for i in range(x.size):
        v = x[i]
        # Reverse the six bits of every bit's index: three delta swaps.
        t = ((v >> np.uint64(31)) ^ v) & np.uint64(0x00000000aaaaaaaa)
        v ^= t ^ (t << np.uint64(31))
        t = ((v >> np.uint64(14)) ^ v) & np.uint64(0x0000cccc0000cccc)
        v ^= t ^ (t << np.uint64(14))
        t = ((v >> np.uint64(4)) ^ v) & np.uint64(0x00f000f000f000f0)
        v ^= t ^ (t << np.uint64(4))
        out[i] = v


def _interleave(x):
    """Reorder bits so that, level by level, neighbours meet as the two halves of a word."""
    out = np.empty_like(x)
    _interleave_kernel(x.reshape(-1), out.reshape(-1))
    return out
