"""Between numbers and bits: decomposition, random bits and integers, indicator vectors.

Bits in the field are SecureArrays of integers 0 and 1. Nothing is revealed.
"""

import math

import numpy as np

from engine.array import SecureArray
from engine.base import RuntimeBase
from engine.bits import BitNetwork
from engine.compare import summands
from engine.costs_verified import predict
from engine.operation import Operation
from engine.verified_bits import bit_network

_BLOCK = 1 << 17
"""Bits that one operation makes."""


class BitOperations(RuntimeBase):
    """Bits of secret numbers (a mix-in of `engine.runtime.Runtime`)."""

    def to_bits(self, x: SecureArray, bits: int) -> SecureArray:
        """The low `bits` bits of x mod 2^64 in units, lowest first, shape (*x.shape, bits).

        For |x| < 2^63 units; negative numbers in two's complement. 2 + 7 rounds for the sum and 2
        to the field (t = 1).
        """
        if not 0 < bits <= 64:
            raise ValueError(f'to_bits: {bits} bits, expected 1 to 64')
        flat, step = x.ravel(), max(1, _BLOCK // bits)
        pieces = [self._bits_of(flat[start:start + step], bits)
                  for start in range(0, max(1, flat.size), step)]
        return self.concatenate(pieces).reshape((*x.shape, bits))

    def _bits_of(self, flat, bits):
        op = Operation(self, 'to_bits', (flat.size, bits))
        op.expected = predict('to_bits', flat.size, self.geometry, bits=bits)

        async def body(op, share):
            net = bit_network(op, flat.size)
            word = net.xor_public(await binary_value(net, share, 1 << 63), 1 << 63)
            planes = np.stack([(word >> np.uint64(j)) & np.uint64(1) for j in range(bits)], axis=2)
            return await net.to_field(planes.astype(np.uint8))
        return self.issue(op, [flat], body, SecureArray(self, (flat.size, bits), 0))

    def from_bits(self, bits: SecureArray) -> SecureArray:
        """Integers from bits along the last axis, lowest first; local."""
        weights = np.array([1 << j for j in range(bits.shape[-1])], dtype=object)
        if bits.shape[-1] > 62:
            raise ValueError(f'from_bits: {bits.shape[-1]} bits, expected at most 62')
        return (bits * weights.astype(np.int64)).sum(bits.ndim - 1)

    def random_bits(self, shape) -> SecureArray:
        """Uniformly random shared bits that no t parties know; 2 rounds (t = 1)."""
        shape = tuple(np.atleast_1d(shape).tolist())
        total = math.prod(shape)
        pieces = [self._drawn_bits(min(_BLOCK, total - start))
                  for start in range(0, max(1, total), _BLOCK)]
        return self.concatenate(pieces).reshape(shape)

    def _drawn_bits(self, n):
        op = Operation(self, 'random_bits', (n,))

        async def body(op):
            net = bit_network(op, n)
            return await net.to_field(net.random((n,), np.uint8) & np.uint8(1))
        return self.issue(op, [], body, SecureArray(self, (n,), 0))

    async def random_integers(self, bound: int, n: int) -> SecureArray:
        """n independent uniform integers in [0, bound), 1 <= bound < 2^60.

        Draws of the next power of two that are too large are opened as such and drawn again, which
        reveals nothing about the ones that are kept.
        """
        bits = max(1, (bound - 1).bit_length())
        kept, missing = [], n
        while missing:
            draw = self.from_bits(self.random_bits((2 * missing + 8, bits)))
            good = np.flatnonzero(await self.output(draw < bound))[:missing] \
                if bound != 1 << bits else np.arange(missing)
            kept.append(draw.take(good))
            missing -= len(good)
        return kept[0] if len(kept) == 1 else self.concatenate(kept)

    def one_hot(self, index: SecureArray, size: int) -> SecureArray:
        """Indicators (n, size) of shared integers: [index = j]; all zero out of range."""
        return self.equal(index.reshape(-1, 1), np.arange(size).reshape(1, -1))


async def binary_value(net: BitNetwork, share, offset: int) -> np.ndarray:
    """Component array of x + offset mod 2^64: all carries by a Kogge-Stone network."""
    words = await summands(net, share, offset)
    if len(words) == 1:
        return words[0]
    u, v = words
    p, g = u ^ v, await net.and_(u, v)
    total = p
    for shift in (1, 2, 4, 8, 16, 32):
        s = np.uint64(shift)
        both = await net.and_(np.stack([p, p], 1), np.stack([g << s, p << s], 1))
        g, p = g ^ both[:, 0], both[:, 1]
    return total ^ (g << np.uint64(1))
