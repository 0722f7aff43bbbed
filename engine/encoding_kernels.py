"""The kernels of `engine.encoding`: numbers to field elements and back in one pass over the memory.

Each is a plain loop that the compiler turns into vectors, over flat contiguous arrays; elements are
(n, 2). Where a number cannot be converted the kernel says so and the caller raises the error.
"""

import numpy as np
from numba import float64, int64, uint64

from engine.kernel import kernel

_HI_P = uint64((1 << 63) - 1)
FINE, NOT_FINITE, TOO_LARGE = 0, 1, 2
"""What an encoding kernel returns: the worst that it has found."""


@kernel
def from_floats(x, scale, limit, out):
    """out = round(x·scale), halves to even; magnitudes from `limit` on are too large."""
    strange = large = False
    for i in range(x.shape[0]):
        v = np.rint(x[i] * scale)
        # The difference is NaN for what is no finite number, and equal to nothing.
        strange |= (x[i] - x[i]) != 0.0
        large |= not abs(v) < limit
        word = int64(v)
        sign = word >> 63
        out[i, 0] = uint64(word + sign)
        out[i, 1] = uint64(sign) & _HI_P
    return NOT_FINITE if strange else TOO_LARGE if large else FINE


@kernel
def from_ints(x, shift, limit, out):
    """out = x·2^shift; magnitudes above `limit` are too large (x is int64)."""
    large = False
    for i in range(x.shape[0]):
        large |= (x[i] > limit) | (x[i] < -limit)
        word = int64(x[i] << shift)
        sign = word >> 63
        out[i, 0] = uint64(word + sign)
        out[i, 1] = uint64(sign) & _HI_P
    return TOO_LARGE if large else FINE


@kernel
def to_floats(x, high, low, out):
    """out = x·low of the signed x, where `high` is 2^64·low."""
    for i in range(x.shape[0]):
        negative = -(x[i, 1] >> uint64(62))  # all ones, or 0
        lo, hi = x[i, 0] ^ negative, x[i, 1] ^ (negative & _HI_P)
        v = float64(hi) * high + float64(lo) * low
        out[i] = -v if negative else v


@kernel
def to_int64(x, out):
    """out = the signed x; whether all fit, from -2^63 on."""
    beyond = uint64(0)
    for i in range(x.shape[0]):
        negative = -(x[i, 1] >> uint64(62))
        lo, hi = x[i, 0] ^ negative, x[i, 1] ^ (negative & _HI_P)
        beyond |= hi | ((lo + negative) >> uint64(63))
        out[i] = int64((lo ^ negative) - negative)
    return beyond == uint64(0)
