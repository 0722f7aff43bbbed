"""Comparisons and bits of MPyC's secure numbers and arrays, by the engine's protocols.

For `SecInt` and `SecFxp` of up to 64 bits over the engine's field (`engine.mpyc_field`), single
numbers and arrays alike; everything that MPyC composes of them (minimum, sorting, argmax, absolute
value, secret indices, powers with secret exponents) follows. Other types keep MPyC's own code.

Results are MPyC's. Costs are those of the engine's operations `less_than`, `equal` and `to_bits`,
under whose names they are metered; what each reveals is said there.
"""

import numpy as np

from engine import field
from engine._mpyc import asyncoro, mpyc_runtime, sectypes
from engine.array import SecureArray, constant
from engine.base import RuntimeBase
from engine.mpyc_field import FIELD, scalar_or_array, shares_of

WORD_BITS = 64
"""Longest numbers whose bits the engine works on."""
_NUMBERS = (sectypes.SecureInteger, sectypes.SecureFixedPoint)
_ARRAYS = (sectypes.SecureIntegerArray, sectypes.SecureFixedPointArray)


class MpycBits(RuntimeBase, mpyc_runtime.Runtime):
    """MPyC's methods of comparisons and bits, accelerated (a mix-in of
    `engine.runtime.Runtime`)."""

    # --- comparisons: the bits 0 and 1, as numbers of the type ---

    def sgn(self, a, l=None, LT=False, EQ=False):  # noqa: E741 (MPyC's name)
        """The sign -1, 0, 1; with LT the bit [a < 0], with EQ the bit [a = 0]. For -2^l <= a < 2^l,
        as differences of numbers of l bits are."""
        if (l or _length(a)) <= WORD_BITS and _ours(a):
            return self._fast_sign(a, LT, EQ, (l or _length(a)) == WORD_BITS)
        return super().sgn(a, l, LT, EQ)

    def np_sgn(self, a, l=None, LT=False, EQ=False):  # noqa: E741
        """The same for arrays; of 64-bit numbers for -2^63 <= a < 2^63."""
        if (l or _length(a)) <= WORD_BITS and _ours(a):
            return self._fast_sign(a, LT, EQ)
        return super().np_sgn(a, l, LT, EQ)

    def is_zero(self, a):
        """The bit [a = 0]. Of long numbers MPyC's, which holds for all elements of the field."""
        if _ours(a) and _length(a) <= 2 * self.options.sec_param:
            return self._fast_sign(a, False, True)
        return super().is_zero(a)

    def np_equal(self, a, b):
        """Bits [a = b]."""
        d = a - b
        if _ours(d) and _length(d) <= WORD_BITS:
            return self._fast_sign(d, False, True)
        return super().np_equal(a, b)

    @asyncoro.mpc_coro
    async def _fast_sign(self, a, LT, EQ, longest=False):
        await self.returnType(_integral(a))
        x = await self._secure(a)
        out = self.equal(x, constant(self, np.zeros((), np.int64))) if not LT else None
        if not EQ:
            negative = self.negative(await self._halved(a, x) if longest else x)
            out = negative if LT else 1 - 2 * negative - out
        return await numbers(out, type(a))

    async def _halved(self, a, x):
        """x / 2 rounded down, which has the sign of x and one bit less."""
        odd = shares_of(await self.gather(self.lsb(a)))
        odd = field.affine(odd, pow(2, -type(a).frac_length, field.P))
        half = field.affine(field.sub(x.share, odd), pow(2, -1, field.P))
        return SecureArray(self, x.shape, 0, half)

    def np_less(self, a, b):
        """Bits [a < b]."""
        known = a if _ours(a) else b
        if not _ours(known) or _length(known) != WORD_BITS:
            return super().np_less(a, b)
        # Differences of 64-bit numbers may need one bit more than the sign of a word tells.
        difference = a - b
        nothing = difference - difference
        return self._fast_less(nothing + a, nothing + b, difference)

    @asyncoro.mpc_coro
    async def _fast_less(self, a, b, difference):
        await self.returnType(_integral(a))
        words = [await self._secure(x) for x in (a, b, difference)]
        # The difference mod 2^64 has the right sign where a and b have the same; elsewhere a's
        # sign decides. Both is the majority of [a < 0], [b >= 0] and that sign.
        signs = self.negative(self.stack(words))
        x, y, z = signs[0], 1 - signs[1], signs[2]
        both = x * y
        return await numbers(both + z * (x + y - 2 * both), type(a))

    # --- bits ---

    def to_bits(self, a, l=None):  # noqa: E741
        """A list of the low l bits (default: all), lowest first."""
        count = _length(a) if l is None else l
        if _ours(a) and count and max(count, _length(a)) <= WORD_BITS:
            return self._fast_bit_list(a, count)
        return super().to_bits(a, l)

    def np_to_bits(self, a, l=None):  # noqa: E741
        """The same of arrays, along a new last axis."""
        count = _length(a) if l is None else l
        if _ours(a) and count and max(count, _length(a)) <= WORD_BITS:
            return self._fast_bits(a, count)
        return super().np_to_bits(a, l)

    @asyncoro.mpc_coro
    async def _fast_bit_list(self, a, count):
        await self.returnType(_integral(a), count)
        return list(await numbers(self.to_bits(await self._secure(a), count), type(a)))

    @asyncoro.mpc_coro
    async def _fast_bits(self, a, count):
        await self.returnType((type(a), True, (*a.shape, count)))
        return await numbers(self.to_bits(await self._secure(a), count), type(a))

    async def _secure(self, a) -> SecureArray:
        """MPyC's number or array as an array of the engine's, in units."""
        limbs = shares_of(await self.gather(a))
        return SecureArray(self, limbs.shape[:-1], 0, limbs)


async def numbers(bits: SecureArray, stype):
    """Shares of small integers as those of a number or an array of MPyC's type."""
    share = await bits.ready()
    return scalar_or_array(field.affine(share, 1 << stype.frac_length) if stype.frac_length
                           else share)


def _ours(x) -> bool:
    return isinstance(x, _NUMBERS + _ARRAYS) and _number(x).field is FIELD


def _number(x):
    """The type of a number, or of an array's numbers."""
    return getattr(x, 'sectype', type(x))


def _length(x) -> int:
    return _number(x).bit_length


def _integral(a):
    """MPyC's return type for bits of a number or an array."""
    return (type(a), True, *((a.shape,) if isinstance(a, _ARRAYS) else ()))
