"""Proof that shared numbers are in their range, for inputs of parties that may lie.

Comparisons and truncated products hide what they open only while their arguments are in range. A
consistent sharing of a number far outside, multiplied with somebody else's secret, would show bits
of that secret. `check_range` can be applied to anything: it opens one bit per number, which is the
same for all honest inputs, and what it masks is the input alone.

For x + 2^63 = U + V mod 2^128, where U and V are known to one group each, the number is in
range if and only if the sum is below 2^64, that is U_high + V_high + carry = 0 mod 2^64: either the
carry of the low words is 1 and U_high is the complement of V_high, or it is 0 and U_high = -V_high.
If the masked opening wrapped around p, U + V would be off by p and not below 2^64.
"""

import numpy as np

from engine.array import SecureArray
from engine.base import RuntimeBase
from engine.compare import carry_into_top
from engine.errors import LocalProtocolError, RemoteProtocolError
from engine.operation import Operation
from engine.verified_bits import bit_network

_BLOCK = 1 << 15
_ONES = np.uint64((1 << 64) - 1)


class RangeOperations(RuntimeBase):
    """Proofs of range (a mix-in of `engine.runtime.Runtime`)."""

    async def check_range(self, x: SecureArray, bits: int = 63) -> None:
        """Go on only if every number of x is at least -2^bits and below 2^bits units (bits <= 63).

        Opens one bit per number to all parties (two more for bits < 63): nothing but that all are
        in range, or which are not. Raises RemoteProtocolError `out-of-range` at all parties, and
        LocalProtocolError `not-available` for t > 1. For t = 1 18 rounds, 19 in verified mode; 10
        or 11 more for bits < 63.
        """
        if not 0 < bits <= 63:
            raise ValueError(f'check_range: {bits} bits, expected 1 to 63')
        if self.geometry.t > 1:
            raise LocalProtocolError('not-available', f'check_range with t = {self.geometry.t}',
                                     remedy='use t = 1')
        flat, pending = x.ravel(), []
        for start in range(0, max(1, flat.size), _BLOCK):
            piece = flat[start:start + _BLOCK]
            op = Operation(self, 'check_range', piece.shape)
            pending.append(self.issue_value(op, [piece], _in_range))
        for outcome in pending:
            _refuse(await outcome, bits)
        if bits < 63:
            units = flat.reinterpret(0)
            both = self.concatenate([units + (1 << bits), (1 << bits) - 1 - units])
            _refuse(~await self.open_negative(both), bits)


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
    # The second part's high words come once as they are, and once negated.
    dealt = {j: np.stack([w[0], w[1], np.uint64(0) - w[1] if j else w[1]])
             for j, w in mine.items()}
    u, v = await net.deal(dealt, (3, net.n))
    low = u[:, 0], v[:, 0]
    inner = await carry_into_top(net, *low)
    top = [(w >> np.uint64(63)) & np.uint64(1) for w in low]
    # The carry out of bit 63 is the majority of its two bits and the carry into it.
    carry = top[1] ^ await net.and_(top[0] ^ top[1], inner ^ top[1], 1)
    ones = await _all_ones(net, np.stack(
        [u[:, 1] ^ v[:, 1], net.xor_public(u[:, 2] ^ v[:, 2], int(_ONES))], 1))
    cases = np.stack([carry.astype(np.uint8), net.xor_public(carry.astype(np.uint8), 1)], 1)
    either = await net.and_(cases, ones, 1)
    return await net.open(either[:, 0] ^ either[:, 1])


async def _all_ones(net, z):
    """Component array, uint8, of whether all 64 bits of each word are ones."""
    half = 32
    for dtype in (np.uint32, np.uint16, np.uint8, np.uint8, np.uint8, np.uint8):
        z = await net.and_((z >> z.dtype.type(half)).astype(dtype),
                           (z & z.dtype.type((1 << half) - 1)).astype(dtype), half)
        half //= 2
    return z
