"""Uniformly random orders from pseudorandom words, the same for everybody who has the words."""

import math
from collections.abc import Callable

import numpy as np
from numba import uint64

from engine.kernel import kernel
from engine.lanes import prefetch

_SPARE = 16
_AHEAD = 24  # rows; memory is asked for while earlier ones are moved
_ALL, _TOP = np.uint64((1 << 64) - 1), np.uint64((1 << 63) - 1)


@kernel
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


@kernel
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


def inverse(order: np.ndarray) -> np.ndarray:
    """The permutation that undoes an order."""
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    return back


@kernel
def _move(rows, order, out):
    n = order.size
    for i in range(n):
        prefetch(rows, order[min(i + _AHEAD, n - 1)], 0)
        for j in range(rows.shape[1]):
            out[i, j] = rows[order[i], j]


def move(rows: np.ndarray, order: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """rows[order] for rows of any shape (r, ...) of words; into `out`, contiguous, if given."""
    if out is None:
        out = np.empty((len(order), *rows.shape[1:]), np.uint64)
    width = math.prod(rows.shape[1:])
    rows = np.require(rows, requirements=['C', 'W']).reshape(len(rows), width)
    _move(rows, order, out.reshape(len(order), width))
    return out


@kernel
def _absorb(x, draw, flip):
    for i in range(x.shape[0]):
        # The complement of d is p - d, and s = x + d reaches p exactly if s + 1 has bit 127.
        lo, hi = draw[i, 0] ^ flip, (draw[i, 1] ^ flip) & _TOP
        lo += x[i, 0]
        hi += x[i, 1] + uint64(lo < x[i, 0])
        wrapped = (hi + uint64(lo == _ALL)) >> uint64(63)
        lo += wrapped
        x[i, 0], x[i, 1] = lo, (hi + uint64(lo < wrapped)) & _TOP


def absorb(x: np.ndarray, draw: np.ndarray, minus: bool = False) -> np.ndarray:
    """x, in place, plus or minus raw uniform words, read as elements as `field.uniform` does."""
    _absorb(x.reshape(-1, 2), draw.reshape(-1, 2), _ALL if minus else np.uint64(0))
    return x
