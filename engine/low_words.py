"""An opening in half the bytes, for t = 1 and numbers that fit 64 bits: the lower words of a share.

The receiver's own share and the sender's, each times its Lagrange coefficient, are a and b, with
a + b = x + k·p for the opened number x. The receiver knows a, so the lower 64 bits of b give it
those of x: k is 1, as |x| < 2^63 is small beside p, unless a happens to lie within 2^63 of 0 or p.
With that x it knows b, and so the sender's share. Whether it was right about k and the size of x
is for a digest of that share to tell, or for one of another share, which follows from these two.
"""

import numpy as np
from numba import float64, int64, uint64

from engine import element_lanes as lanes
from engine import field
from engine.field_kernels import STEP, add_last, add_steps, constant_limbs, powers
from engine.i128 import f_mul, f_sub
from engine.kernel import kernel
from engine.lanes import WIDTH

_HI_P = uint64((1 << 63) - 1)
_PART = 16 * STEP
"""Elements that all is done with while they are near."""


def low_words(share: np.ndarray, coef: np.ndarray, points: np.ndarray):
    """At the sender: the words (n,) of its share (n, 2), whose coefficient is (1, 2); and the
    share's linear digests (k, 2) at the points (k, 2)."""
    words, digests = np.empty(len(share), np.uint64), np.empty(points.shape, np.uint64)
    _low_words(share, share.ctypes.data, coef, points, words, digests)
    return words, digests


def from_low_words(words: np.ndarray, own: np.ndarray, coefs: np.ndarray, points: np.ndarray,
                   frac: int):
    """At the receiver: numbers (n,), int64 or with `frac` fractional bits float64; and what they
    imply for the sender's share, which is its linear digests (k, 2) at the points (k, 2).

    `coefs` (2, 2) are the coefficients of its own share and of the sender's.
    """
    numbers, digests = np.empty(len(own), np.int64), np.empty(points.shape, np.uint64)
    part, scale = np.empty((_PART, 2), np.uint64), 2.0 ** -frac if frac else 0.0
    words = np.require(words, requirements=['C', 'W'])  # as Numba compiles for
    _from_low_words(words, own, coefs[:1], points, scale, numbers,
                    part, part.ctypes.data, digests)
    digests = field.affine(digests, pow(int(field.to_ints(coefs[1])), -1, field.P))
    return numbers.view(np.float64) if frac else numbers, digests


@kernel
def _low_words(x, place, coef, points, out, digests):
    """out = the lower words of coef·x, and digests of x, whose address is `place`."""
    n, whole, end = x.shape[0], 0, 0
    table, own_table = powers(points), constant_limbs(coef)
    sums = np.zeros((points.shape[0] * WIDTH, 2), np.uint64)
    for first in range(0, n, _PART):
        end = min(n, first + _PART)
        whole = end - (end - first) % STEP
        for i in range(first, whole, WIDTH):
            z = lanes.plus_multiple(lanes.no_sum(), lanes.load(x, i), own_table, 0)
            lanes.store_words(out, i, lanes.reduced(z)[0])
        for i in range(whole, end):
            out[i] = f_mul(x[i, 0], x[i, 1], coef[0, 0], coef[0, 1])[0]
        add_steps(sums, place, first, whole, table)
    add_last(sums, place, whole, end, points, digests)


@kernel
def _from_low_words(words, own, coef, points, scale, out, part, place, digests):
    """out = words + coef·own + 1, and digests of b = out - coef·own, which is made in `part`, whose
    address is `place`. Numbers are multiplied by `scale` unless it is 0."""
    n, whole, size = own.shape[0], 0, 0
    table, own_table = powers(points), constant_limbs(coef)
    sums = np.zeros((points.shape[0] * WIDTH, 2), np.uint64)
    floats = out.view(np.float64)
    for first in range(0, n, _PART):
        size = min(_PART, n - first)
        whole = size - size % STEP
        for k in range(0, whole, WIDTH):
            a = lanes.load(own, first + k)
            a = lanes.reduced(lanes.plus_multiple(lanes.no_sum(), a, own_table, 0))
            x = lanes.successor(lanes.sum_of_words(a[0], lanes.load_words(words, first + k)))
            lanes.store_words(out, first + k, x)
            lanes.store(part, k, lanes.sub(lanes.signed(x), a))
        for k in range(whole, size):
            i = first + k
            lo, hi = f_mul(own[i, 0], own[i, 1], coef[0, 0], coef[0, 1])
            x = words[i] + lo + uint64(1)
            out[i] = int64(x)
            sign = uint64(0) - (x >> uint64(63))
            part[k, 0], part[k, 1] = f_sub(x + sign, sign & _HI_P, lo, hi)
        add_steps(sums, place, 0, whole, table)
        if scale != 0.0:
            for i in range(first, first + size):
                floats[i] = float64(out[i]) * scale
    add_last(sums, place, whole, size, points, digests)
