"""Thin matrix products over the field: a tall matrix streams once past a few columns.

A word of the matrix meets a column's element as 22-bit limbs, so sums need no carries for up to
1,024 terms (`engine.lanes`); then they are put together modulo p. Rows of the matrix are fetched
ahead of their use, because a processor's own prefetching stops at every page.
"""

import numpy as np
from numba import njit, uint64

from engine.i128 import f_mul, mac, reduce3
from engine.lanes import (
    LIMB_BITS,
    LIMBS,
    ROOM,
    WIDTH,
    across,
    add_products,
    high_halves,
    load,
    load_sums,
    no_sums,
    prefetch,
    store_sums,
)

COLUMNS = 8
"""Columns whose limbs are kept at a time."""
_P = (1 << 127) - 1
_ZERO = uint64(0)
_LIMB = uint64((1 << LIMB_BITS) - 1)
_ROWS = 16  # of a transposed matrix, while the sums of a vector stay in registers
_AHEAD = 256  # words
_WEIGHTS = np.array([[w & (1 << 64) - 1, w >> 64] for w in (
    pow(2, LIMB_BITS * limb + 32 * half + 64 * word, _P)
    for word in range(2) for half in range(2) for limb in range(LIMBS))], np.uint64)


def _jit(fn):
    return njit(fn, cache=True, nogil=True, boundscheck=False)


@_jit
def _split(lo, hi, limbs, i, j):
    """Write the limbs of an element to limbs[i:i + LIMBS, j]."""
    for limb in range(LIMBS):
        limbs[i + limb, j] = lo & _LIMB
        lo = (lo >> uint64(LIMB_BITS)) | (hi << uint64(64 - LIMB_BITS))
        hi >>= uint64(LIMB_BITS)


@_jit
def _slot(word, words):
    """Where the products of a word are summed: the last vector may begin inside the one before."""
    tail = words % WIDTH
    return word if word < words - tail else word + WIDTH - tail


@_jit
def _stream_rows(a, first, bt, limbs, out):
    """out += a[:, first:first + 2d] @ bt.T for matrices of words a and of elements bt (m, d).

    An element x = lo + hi 2^64 times y is lo times y plus hi times (2^64 y), so that all words of a
    row are treated alike.
    """
    words = 2 * bt.shape[1]
    limbs[:] = 0
    for j in range(bt.shape[0]):
        for k in range(bt.shape[1]):
            lo, hi = bt[j, k, 0], bt[j, k, 1]
            _split(lo, hi, limbs, LIMBS * j, _slot(2 * k, words))
            lo, hi = f_mul(lo, hi, _ZERO, uint64(1))
            _split(lo, hi, limbs, LIMBS * j, _slot(2 * k + 1, words))
    for i in range(a.shape[0]):
        for j in range(bt.shape[0]):
            low = high = no_sums()
            for c in range(0, limbs.shape[1], WIDTH):
                at = first + min(c, words - WIDTH)
                prefetch(a, i, at + _AHEAD)
                x = load(a, i, at)
                low = add_products(low, x, limbs, LIMBS * j, c)
                high = add_products(high, high_halves(x), limbs, LIMBS * j, c)
            a0, a1, a2 = out[i, j, 0], out[i, j, 1], _ZERO
            totals = (*across(low), *across(high))
            for s in range(2 * LIMBS):
                a0, a1, a2 = mac(a0, a1, a2, totals[s], _ZERO, _WEIGHTS[s, 0], _WEIGHTS[s, 1])
            out[i, j, 0], out[i, j, 1] = reduce3(a0, a1, a2)


@_jit
def _stream_columns(a, first, b, limbs, sums, out):
    """out += a[first:first + d].T @ b for a matrix of words a and a column of elements b (d,).

    A few rows at a time stream by while the sums of a column's words stay in registers.
    """
    words, d = a.shape[1], b.shape[0]
    sums[:] = 0
    for k in range(d):
        _split(b[k, 0], b[k, 1], limbs, LIMBS * k, 0)
        for limb in range(LIMBS):
            limbs[LIMBS * k + limb] = limbs[LIMBS * k + limb, 0]
    for k in range(0, d, _ROWS):
        for c in range(0, sums.shape[1], WIDTH):
            at = min(c, words - WIDTH)
            low, high = load_sums(sums, 0, c), load_sums(sums, LIMBS, c)
            for r in range(k, min(k + _ROWS, d)):
                prefetch(a, first + r + _ROWS, at)
                x = load(a, first + r, at)
                low = add_products(low, x, limbs, LIMBS * r, 0)
                high = add_products(high, high_halves(x), limbs, LIMBS * r, 0)
            store_sums(sums, 0, c, low)
            store_sums(sums, LIMBS, c, high)
    for i in range(out.shape[0]):
        a0, a1, a2 = out[i, 0], out[i, 1], _ZERO
        for s in range(4 * LIMBS):
            v = sums[s % (2 * LIMBS), _slot(2 * i + s // (2 * LIMBS), words)]
            a0, a1, a2 = mac(a0, a1, a2, v, _ZERO, _WEIGHTS[s, 0], _WEIGHTS[s, 1])
        out[i, 0], out[i, 1] = reduce3(a0, a1, a2)


def times_columns(a, b_t):
    """a @ b_t.T for matrices of elements (n, k, 2) and (m, k, 2) with k >= 4.

    In blocks of columns whose limbs stay in cache, and of terms that a lane can sum.
    """
    a = np.require(a, requirements='CW')
    (n, k), m, depth = a.shape[:2], len(b_t), ROOM // 2
    out = np.zeros((n, m, 2), np.uint64)
    for j in range(0, m, COLUMNS):
        block = np.zeros((n, min(m - j, COLUMNS), 2), np.uint64)
        for start in range(0, k, depth):
            piece = np.require(b_t[j:j + COLUMNS, start:start + depth], requirements='CW')
            limbs = np.empty((LIMBS * len(piece), _slots(2 * piece.shape[1])), np.uint64)
            _stream_rows(a.reshape(n, 2 * k), 2 * start, piece, limbs, block)
        out[:, j:j + COLUMNS] = block
    return out


def transposed_times_columns(a_t, b):
    """a_t.T @ b for matrices of elements (k, n, 2) and (k, m, 2) with n >= 4.

    A column of b after the other, in blocks of rows that a lane can sum.
    """
    a_t = np.require(a_t, requirements='CW')
    k, n = a_t.shape[:2]
    out = np.empty((n, b.shape[1], 2), np.uint64)
    sums = np.empty((2 * LIMBS, _slots(2 * n)), np.uint64)
    limbs = np.empty((LIMBS * ROOM, WIDTH), np.uint64)
    for j in range(b.shape[1]):
        column = np.zeros((n, 2), np.uint64)
        for start in range(0, k, ROOM):
            piece = np.require(b[start:start + ROOM, j], requirements='CW')
            _stream_columns(a_t.reshape(k, 2 * n), start, piece, limbs, sums, column)
        out[:, j] = column
    return out


def _slots(words):
    return -(-words // WIDTH) * WIDTH
