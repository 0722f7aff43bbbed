"""Matrix products over the field of p = 2^127 - 1: which kernel for which shape.

Tiny products take a scalar kernel, others stream their left matrix through vectors of limbs
(`engine.products`). Without AVX-512 IFMA, large ones are faster modulo small primes with BLAS
(`engine.multi_modular`); with it they are not. The results are the same integers.
"""

import numpy as np
from numba import uint64

from engine import multi_modular
from engine.i128 import mac, reduce3
from engine.kernel import kernel
from engine.lanes import WIDTH
from engine.limbs import IFMA
from engine.products import times_columns, transposed_times_columns

_ZERO = uint64(0)
_TINY = 1 << 8
_COLUMNS = 8
"""Up to how many columns a transposed view is multiplied without a copy."""
_LARGE, _WIDE = 1 << 22, 64
"""From how many products, and from what shortest side, BLAS pays."""


@kernel
def _rows_by_rows(a, bt, out):
    """out = a @ bt.T; both operands are read along their rows."""
    n, d = a.shape[0], a.shape[1]
    for i in range(n):
        for j in range(bt.shape[0]):
            a0 = a1 = a2 = _ZERO
            for k in range(d):
                a0, a1, a2 = mac(a0, a1, a2, a[i, k, 0], a[i, k, 1], bt[j, k, 0], bt[j, k, 1])
            out[i, j, 0], out[i, j, 1] = reduce3(a0, a1, a2)


def matmul(a, b):
    """a @ b for matrices of elements, shapes (..., n, k, 2) and (..., k, m, 2).

    Leading axes broadcast as in NumPy. Beside the operands and the result it holds a piece of each:
    other layouts than C's are copied a piece at a time.
    """
    if a.ndim > 3 or b.ndim > 3:
        lead = np.broadcast_shapes(a.shape[:-3], b.shape[:-3])
        out = np.empty((*lead, a.shape[-3], b.shape[-2], 2), dtype=np.uint64)
        a = np.broadcast_to(a, lead + a.shape[-3:])
        b = np.broadcast_to(b, lead + b.shape[-3:])
        for place in np.ndindex(*lead):
            out[place] = matmul(a[place], b[place])
        return out
    n, k, m = a.shape[0], a.shape[1], b.shape[1]
    if not IFMA and n * k * m >= _LARGE and min(n, k, m) >= _WIDE:
        return multi_modular.product(a, b)
    a_t, b_t = a.transpose(1, 0, 2), b.transpose(1, 0, 2)
    if m > n:
        return matmul(b_t, a_t).transpose(1, 0, 2)
    if k < WIDTH or n * k * m < _TINY:
        out = np.empty((n, m, 2), np.uint64)
        _rows_by_rows(np.require(a, requirements='CW'), np.require(b_t, requirements='CW'), out)
        return out
    if m <= _COLUMNS and n >= WIDTH and not a.flags.c_contiguous and a_t.flags.c_contiguous:
        return transposed_times_columns(a_t, b)
    return times_columns(a, b_t)
