"""Proof that shared numbers are in their range, for inputs of parties that may lie.

Comparisons and truncated products hide what they open only while their arguments are in range. A
consistent sharing of a number far outside, multiplied with somebody else's secret, would show bits
of that secret. `check_range` can be applied to anything: it opens one bit per number, which is the
same for all honest inputs, and what it masks is the input alone.

For x + 2^63 = U + V mod 2^128, in shared bits, the number is in range if and only if the sum is
below 2^64, that is A + B + c = 0 mod 2^64 for the high words A, B and the carry c of the low ones.
While the bits of that sum are zero, a place passes on a carry unless both its bits are zero; so it
is zero exactly if A ^ B is ((A | B) << 1) + c. If the masked opening wrapped around p, U + V would
be off by p and not below 2^64. For a narrower range, x < 2^b, both x and 2^(63 - b) x are in range.
"""

import numpy as np

from engine import field
from engine.array import SecureArray
from engine.base import RuntimeBase
from engine.compare import carry_into_top
from engine.costs import Prediction
from engine.costs_verified import predict
from engine.errors import RemoteProtocolError
from engine.operation import Operation
from engine.shamir import Geometry
from engine.verified_bits import bit_network

_BLOCK = 1 << 15
_ONE, _TOP, _ONES = np.uint64(1), np.uint64(63), np.uint64((1 << 64) - 1)


class RangeOperations(RuntimeBase):
    """Proofs of range (a mix-in of `engine.runtime.Runtime`)."""

    async def check_range(self, x: SecureArray, bits: int = 63) -> None:
        """Go on only if every number of x is at least -2^bits and below 2^bits units (bits <= 63).

        Opens one bit per number to all parties (two for bits < 63): nothing but that all are in
        range, or which are not. Raises RemoteProtocolError `out-of-range` at all parties. For t = 1
        18 rounds, 19 in verified mode; bits < 63 cost twice the bytes.
        """
        for outcome in self._range_proofs(x, bits):
            _refuse(await outcome, bits)

    def proven(self, x: SecureArray, bits: int = 63) -> SecureArray:
        """x, which no operation begins to use before `check_range` has succeeded for it.

        If it does not the run ends with RemoteProtocolError `out-of-range`. Costs as there.
        """
        proofs = self._range_proofs(x, bits)
        op = Operation(self, 'proven', x.shape, local=True)

        async def body(op, share):
            for outcome in proofs:
                _refuse(await outcome, bits)
            return share
        return self.issue(op, [x], body, SecureArray(self, x.shape, x.frac))

    def _range_proofs(self, x, bits):
        """Futures of the opened bits, all of which must be set."""
        if not 0 < bits <= 63:
            raise ValueError(f'check_range: {bits} bits, expected 1 to 63')
        flat, pending = x.ravel().reinterpret(0), []
        if bits < 63:
            flat = self.concatenate([flat, self.scale(flat, 1 << (63 - bits))])
        for start in range(0, max(1, flat.size), _BLOCK):
            piece = flat[start:start + _BLOCK]
            op = Operation(self, 'check_range', piece.shape)
            pending.append(self.issue_value(op, [piece], _in_range))
        return pending


def check_range_cost(n: int, bits: int, geometry: Geometry) -> Prediction:
    """`check_range` of n numbers: blocks at the same time."""
    n = 2 * n if bits < 63 else n
    parts = [predict('check_range', min(_BLOCK, n - start), geometry)
             for start in range(0, max(1, n), _BLOCK)]
    return Prediction(max(p.rounds for p in parts if p),
                      sum(p.total_bytes for p in parts if p))


def refuse_outside(values: np.ndarray, bits: int) -> None:
    """OverflowError where one of this party's own values is not in [-2^bits, 2^bits) units."""
    if not 0 < bits <= 63:
        raise ValueError(f'input: {bits} bits, expected 1 to 63')
    moved = field.affine(values, 1, 1 << bits)
    outside = (moved[..., 1] != 0) | ((moved[..., 0] >> np.uint64(bits)) > 1)
    if outside.any():
        raise OverflowError(f'input: {int(outside.sum())} of {outside.size} values need more than '
                            f'{bits} bits and a sign; expected what the program states')


def _refuse(inside, bits):
    if not inside.all():
        raise RemoteProtocolError(
            'out-of-range', f'{int((~inside.astype(bool)).sum())} numbers need more than {bits} '
            'bits and a sign', remedy='ask the party that shared them')


async def _in_range(op, share):
    """Opened bits [-2^63 <= x < 2^63]."""
    net = bit_network(op, len(share))
    mine = await net.open_words(share, 1 << 63, wide=True)
    if len(net.layout.parts) == 1:
        [high] = await net.deal({j: w[1] for j, w in mine.items()}, (net.n,))
        return await net.open(await _all_ones(net, net.xor_public(high, int(_ONES))))
    words = await net.deal(mine, (2, net.n))
    while len(words) > 2:
        a, b, c, *rest = words
        carries = await net.and_(a ^ c, b ^ c) ^ c
        doubled = carries << _ONE
        doubled[:, 1] |= carries[:, 0] >> _TOP
        words = [a ^ b ^ c, doubled, *rest]
    u, v = words
    inner = await carry_into_top(net, u[:, 0], v[:, 0])
    inner, *top = [(w & _ONE).astype(np.uint8) for w in (inner, u[:, 0] >> _TOP, v[:, 0] >> _TOP)]
    # The carry out of bit 63 is the majority of its two bits and the carry into it.
    carry = inner ^ await net.and_(top[0] ^ inner, top[1] ^ inner, 1)
    either = u[:, 1] ^ v[:, 1] ^ await net.and_(u[:, 1], v[:, 1])
    z = u[:, 1] ^ v[:, 1] ^ (either << _ONE) ^ carry.astype(np.uint64)
    return await net.open(await _all_ones(net, net.xor_public(z, int(_ONES))))


async def _all_ones(net, z):
    """Component array, uint8, of whether all 64 bits of each word are ones, for an opening."""
    half = 32
    for dtype in (np.uint32, np.uint16, np.uint8, np.uint8, np.uint8, np.uint8):
        z = await net.and_((z >> z.dtype.type(half)).astype(dtype),
                           (z & z.dtype.type((1 << half) - 1)).astype(dtype), half,
                           last=half == 1)
        half //= 2
    return z
