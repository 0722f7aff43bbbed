"""Uniformly random orders from pseudorandom words, the same for everybody who has the words."""

import math
from collections.abc import Callable

import numpy as np
from numba import njit, uint64

from engine.i128 import f_add, f_canonical, f_sub
from engine.lanes import prefetch

_SPARE = 16
_AHEAD = 24  # rows; memory is asked for while earlier ones are moved


@njit(cache=True, nogil=True)
def _targets(words, targets):
    """targets[i] uniform in [0, i]; False if the words do not suffice."""
    low = uint64(0xffffffff)
    at = 0
    for i in range(targets.size):
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
        targets[i] = second >> uint64(32)
    return True


@njit(cache=True, nogil=True)
def _fisher_yates(targets, order):
    """Shuffle `order` (n, 1) in place."""
    for i in range(order.shape[0] - 1, 0, -1):
        prefetch(order, targets[max(i - _AHEAD, 0)], 0)
        j = targets[i]
        order[i, 0], order[j, 0] = order[j, 0], order[i, 0]


def random_order(draw: Callable[[int], np.ndarray], n: int) -> np.ndarray:
    """A uniformly random permutation of 0..n-1; `draw(k)` gives k fresh uniform uint64 words."""
    if n >= 1 << 32:
        raise ValueError(f'random_order: {n} rows, expected fewer than 2^32')
    order, targets = np.arange(n), np.empty(n, np.int64)
    # A word is rejected with probability below 2^-32: more spare words are never needed.
    if not _targets(draw(n + _SPARE), targets):
        raise RuntimeError('random_order: the words do not suffice')
    _fisher_yates(targets, order.reshape(n, 1))
    return order


@njit(cache=True, nogil=True)
def _move(rows, order, draws, plus, out):
    n = order.size
    for i in range(n):
        prefetch(rows, order[min(i + _AHEAD, n - 1)], 0)
        at = order[i]
        for j in range(0, rows.shape[1], 2):
            lo, hi = rows[at, j], rows[at, j + 1]
            for k in range(draws.shape[0]):
                dl, dh = f_canonical(
                    draws[k, i, j], draws[k, i, j + 1] & uint64(0x7fffffffffffffff))
                if plus:
                    lo, hi = f_add(lo, hi, dl, dh)
                else:
                    lo, hi = f_sub(lo, hi, dl, dh)
            out[i, j], out[i, j + 1] = lo, hi


def move(rows: np.ndarray, order: np.ndarray, draws: np.ndarray | None = None,
         plus: bool = False) -> np.ndarray:
    """rows[order] plus or minus Σ draws: rows (r, ..., 2) of elements, draws (k, n, ..., 2) of raw
    uniform words, taken as elements as `engine.field.uniform` does; result (n, ..., 2)."""
    n, width = len(order), math.prod(rows.shape[1:])
    out = np.empty((n, *rows.shape[1:]), np.uint64)
    if draws is None:
        draws = np.empty((0, n, width), np.uint64)
    rows = np.require(rows, requirements=['C', 'W']).reshape(len(rows), width)
    _move(rows, order, draws.reshape(len(draws), n, width), plus, out.reshape(n, width))
    return out
