"""Matrix products over the field: a matrix streams past columns, a few results at a time.

Sums of products stay in vectors of limbs, without a carry, until a lane is full (`engine.limbs`).
Rows of the matrix are fetched ahead of their use, because a processor's own prefetching stops at
every page.
"""

import numpy as np
from numba import uint64

from engine import element_lanes as lanes
from engine.field_kernels import constant_limbs
from engine.i128 import mac, reduce3
from engine.kernel import kernel
from engine.lanes import WIDTH, prefetch
from engine.limbs import TERMS
from engine.threads import spread

DEPTH = (TERMS - 1) * WIDTH
"""How many products of elements a sum has room for, all lanes together."""
_P = (1 << 127) - 1
_ZERO = uint64(0)
_ROWS = 16  # of a transposed matrix, while the sums of a vector stay in registers
_AHEAD = 128  # elements
_ENOUGH = 1 << 18  # multiply-adds that are worth a thread
_LINE = 4  # elements
_WEIGHTS = np.array([[w & (1 << 64) - 1, w >> 64] for w in (
    pow(2, lanes.BITS * limb, _P) for limb in range(lanes.LIMBS))], np.uint64)


@kernel
def _fetch(a, i):
    """Ask for elements i to i + WIDTH."""
    for k in range(0, WIDTH, _LINE):
        prefetch(a, i + k, 0)


@kernel
def _add_to(out, i, j, total):
    """out[i, j] += the sum over all lanes."""
    limbs = lanes.across(total)
    a0, a1, a2 = out[i, j, 0], out[i, j, 1], _ZERO
    for k in range(lanes.LIMBS):
        a0, a1, a2 = mac(a0, a1, a2, limbs[k], _ZERO, _WEIGHTS[k, 0], _WEIGHTS[k, 1])
    out[i, j, 0], out[i, j, 1] = reduce3(a0, a1, a2)


@kernel
def _stream_rows(a, stride, first, bt, slots, depth, out):
    """out += A[:, first:first + depth] @ B.T for A in rows of `stride` elements.

    B is in rows of `slots` elements. Its last vector meets the last of A, which may begin inside
    the one before: there it has zeros. Results are computed two by two where there are as many.
    """
    n, m = out.shape[:2]
    rows, columns = n - n % 2, m - m % 2
    for i in range(n):
        top, low = i * stride + first, (i + 1) * stride + first
        for j in range(0, columns if i < rows and i % 2 == 0 else 0, 2):
            left, right = j * slots, (j + 1) * slots
            s00 = s01 = s10 = s11 = lanes.no_sum()
            for c in range(0, slots, WIDTH):
                at = min(c, depth - WIDTH)
                _fetch(a, top + at + _AHEAD)
                _fetch(a, low + at + _AHEAD)
                x0, x1 = lanes.load(a, top + at), lanes.load(a, low + at)
                y0, y1 = lanes.load(bt, left + c), lanes.load(bt, right + c)
                s00, s01 = lanes.plus_product(s00, x0, y0), lanes.plus_product(s01, x0, y1)
                s10, s11 = lanes.plus_product(s10, x1, y0), lanes.plus_product(s11, x1, y1)
            _add_to(out, i, j, s00)
            _add_to(out, i, j + 1, s01)
            _add_to(out, i + 1, j, s10)
            _add_to(out, i + 1, j + 1, s11)
        for j in range(columns if i < rows else 0, m):
            total = lanes.no_sum()
            for c in range(0, slots, WIDTH):
                at = min(c, depth - WIDTH)
                _fetch(a, top + at + _AHEAD)
                x = lanes.load(a, top + at)
                total = lanes.plus_product(total, x, lanes.load(bt, j * slots + c))
            _add_to(out, i, j, total)


@kernel
def _stream_columns(a, n, tables, sums, begin, end):
    """sums[j] += A.T @ b_j for A in rows of n elements; `tables` are those of the b_j, in turn.

    For the sums in slots from `begin` to `end`, multiples of WIDTH. A few rows at a time stream by
    while the sums of a vector stay in registers. The last vector of a row may begin inside the one
    before: then both have the same sums of the same elements.
    """
    m, depth = sums.shape[0], a.shape[0] // n
    for k in range(0, depth, _ROWS):
        last = min(k + _ROWS, depth)
        for c in range(begin, end, WIDTH):
            at = min(c, n - WIDTH)
            for r in range(k, last):
                _fetch(a, (r + _ROWS) * n + at)
            for j in range(0, m - 1, 2):
                s0, s1 = lanes.load_sum(sums, j, c), lanes.load_sum(sums, j + 1, c)
                for r in range(k, last):
                    x = lanes.load(a, r * n + at)
                    s0 = lanes.plus_multiple(s0, x, tables, j * depth + r)
                    s1 = lanes.plus_multiple(s1, x, tables, (j + 1) * depth + r)
                lanes.store_sum(sums, j, c, s0)
                lanes.store_sum(sums, j + 1, c, s1)
            if m % 2:
                s0 = lanes.load_sum(sums, m - 1, c)
                for r in range(k, last):
                    x = lanes.load(a, r * n + at)
                    s0 = lanes.plus_multiple(s0, x, tables, (m - 1) * depth + r)
                lanes.store_sum(sums, m - 1, c, s0)
        if (k // _ROWS + 1) % (TERMS // _ROWS - 1) == 0:
            for j in range(m):
                for c in range(begin, end, WIDTH):
                    total = lanes.reduced(lanes.load_sum(sums, j, c))
                    lanes.store_sum(sums, j, c, lanes.summand(total))


@kernel
def _write(sums, n, out):
    """The numbers that the sums stand for, to `out` (m·n, 2)."""
    for j in range(sums.shape[0]):
        for c in range(0, sums.shape[2], WIDTH):
            total = lanes.reduced(lanes.load_sum(sums, j, c))
            lanes.store(out, j * n + min(c, n - WIDTH), total)


def times_columns(a, b_t):
    """a @ b_t.T for matrices of elements (n, k, 2) and (m, k, 2) with k >= WIDTH.

    In pieces of DEPTH terms. A matrix that is not C-contiguous is copied piece by piece.
    """
    (n, k), m = a.shape[:2], len(b_t)
    whole = np.require(a, requirements='W') if a.flags.c_contiguous else None
    out = np.zeros((n, m, 2), np.uint64)
    for first in range(0, k, DEPTH):
        stop = min(k, first + DEPTH)
        depth, rest = stop - first, (stop - first) % WIDTH
        columns = np.zeros((m, _slots(depth), 2), np.uint64)
        columns[:, :depth - rest] = b_t[:, first:stop - rest]
        columns[:, columns.shape[1] - rest:] = b_t[:, stop - rest:stop]
        # A vector may reach back before the piece.
        begin = 0 if whole is not None else min(first, stop - WIDTH)
        rows = whole if whole is not None else np.require(a[:, begin:stop], requirements='CW')

        def some_rows(lo, hi, rows=rows, start=first - begin, columns=columns, depth=depth):
            _stream_rows(rows[lo:hi].reshape(-1, 2), rows.shape[1], start, columns.reshape(-1, 2),
                         columns.shape[1], depth, out[lo:hi])
        spread(n, _ENOUGH // (depth * m), 2, some_rows)
    return out


def transposed_times_columns(a_t, b):
    """a_t.T @ b for matrices of elements (k, n, 2) and (k, m, 2) with n >= WIDTH."""
    a_t = np.require(a_t, requirements='CW')
    (k, n), m = a_t.shape[:2], b.shape[1]
    out = np.empty((m, n, 2), np.uint64)
    sums = np.zeros((m, lanes.VECTORS, _slots(n)), np.uint64)
    tables = constant_limbs(np.require(b.transpose(1, 0, 2), requirements='CW').reshape(-1, 2))
    spread(_slots(n), _ENOUGH // (k * m), WIDTH, lambda lo, hi: _stream_columns(
        a_t.reshape(-1, 2), n, tables, sums, lo, hi))
    _write(sums, n, out.reshape(-1, 2))
    return out.transpose(1, 0, 2)


def _slots(n):
    return -(-n // WIDTH) * WIDTH
