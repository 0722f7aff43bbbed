"""Inclusive scans: every row combined with all rows before it, by an associative operation.

Short arrays double the reach of every row per level (Hillis, Steele 1986): log2 n levels, n
operations each. Longer ones are first halved by combining neighbours, level by level, and filled up
on the way back (Ladner, Fischer 1980): two levels more per halving, but 2n operations in all.
"""

from __future__ import annotations

import numpy as np

SHORT = 1 << 10
"""Rows from which halving is worth its two levels: what they take in rounds, the operations of a
doubled level take in bytes and arithmetic."""


def scan(mpc, state, combine):
    """Rows s_0, combine(s_0, s_1), combine(combine(s_0, s_1), s_2), … of a shared `state` (n, k).

    `combine(earlier, later)` takes two arrays of as many rows and returns one, row by row; it must
    be associative. It is called once per size of `scan_sizes(n)`, one after the other.
    """
    n = state.shape[0]
    if n <= SHORT:
        step = 1
        while step < n:
            reached = combine(state[:-step], state[step:])
            state = mpc.concatenate([state[:step], reached], axis=0)
            step *= 2
        return state
    odd = scan(mpc, combine(state[:-1:2], state[1::2]), combine)
    even = mpc.concatenate([state[:1], combine(odd[:(n - 1) // 2], state[2::2])], axis=0)
    places = np.empty(n, np.int64)
    places[::2], places[1::2] = np.arange(n - n // 2), np.arange(n - n // 2, n)
    return mpc.concatenate([even, odd], axis=0).take(places, axis=0)


def scan_sizes(n: int) -> list[int]:
    """The numbers of rows that a scan of n rows combines, level by level."""
    if n <= SHORT:
        return [n - (1 << j) for j in range((n - 1).bit_length())]
    return [n // 2, *scan_sizes(n // 2), (n - 1) // 2]
