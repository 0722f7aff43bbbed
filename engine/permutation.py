"""Uniformly random orders from pseudorandom words, the same for everybody who has the words."""

from collections.abc import Callable

import numpy as np
from numba import njit, uint64

from engine.i128 import f_add, f_canonical, f_sub

_SPARE = 16


@njit(cache=True, nogil=True)
def _fisher_yates(words, order):
    """Shuffle `order` in place; False if the words do not suffice."""
    low = uint64(0xffffffff)
    at = 0
    for i in range(order.size - 1, 0, -1):
        bound = uint64(i + 1)
        while True:
            if at == words.size:
                return False
            w = words[at]
            at += 1
            # w·bound in 128 bits, for a bound below 2^32: its top word is uniform in [0, bound)
            # unless its low word is among the first 2^64 mod bound values (Lemire 2019).
            first = (w & low) * bound
            second = (w >> uint64(32)) * bound + (first >> uint64(32))
            rest = (second << uint64(32)) | (first & low)
            if rest >= bound or rest >= (uint64(0) - bound) % bound:
                break
        j = second >> uint64(32)
        order[i], order[j] = order[j], order[i]
    return True


def random_order(draw: Callable[[int], np.ndarray], n: int) -> np.ndarray:
    """A uniformly random permutation of 0..n-1; `draw(k)` gives k fresh uniform uint64 words."""
    if n >= 1 << 32:
        raise ValueError(f'random_order: {n} rows, expected fewer than 2^32')
    order = np.arange(n)
    # A word is rejected with probability below 2^-32: more spare words are never needed.
    if not _fisher_yates(draw(n + _SPARE), order):
        raise RuntimeError('random_order: the words do not suffice')
    return order


@njit(cache=True, nogil=True)
def _move(rows, order, draws, plus, out):
    for i in range(order.size):
        for j in range(rows.shape[1]):
            lo, hi = rows[order[i], j, 0], rows[order[i], j, 1]
            for k in range(draws.shape[0]):
                dl, dh = f_canonical(
                    draws[k, i, j, 0], draws[k, i, j, 1] & uint64(0x7fffffffffffffff))
                if plus:
                    lo, hi = f_add(lo, hi, dl, dh)
                else:
                    lo, hi = f_sub(lo, hi, dl, dh)
            out[i, j, 0], out[i, j, 1] = lo, hi


def move(rows: np.ndarray, order: np.ndarray, draws: np.ndarray, plus: bool) -> np.ndarray:
    """rows[order] plus or minus Σ draws: rows (r, c, 2) of elements, draws (k, n, c, 2) of raw
    uniform words, taken as elements as `engine.field.uniform` does; result (n, c, 2)."""
    out = np.empty((len(order), *rows.shape[1:]), np.uint64)
    _move(np.ascontiguousarray(rows), order, draws, plus, out)
    return out
