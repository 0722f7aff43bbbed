"""Sums over the beginning of a sorted sequence, where it ends being secret.

A comparison of every value with every limit would cost n·k comparisons. As the values ascend, the
last value of each of √n blocks says which blocks lie below a limit, and only the one block in which
the limit falls is looked into: about 2 k √n comparisons.
"""

from __future__ import annotations

import math

import numpy as np


def sums_up_to(mpc, values, rows, limits):
    """Shared (k, c): column sums of those `rows` (n, c) whose value is at most a limit.

    `values` (n,) are shared integers in ascending order, `limits` (k,) integers, shared or public.
    Nothing opens. Rounds: a comparison, a product, a comparison, a product. For blocks of b = √n
    rows k (n / b + b) comparisons and k (b + 2 b c + c) products. Raises ValueError for no rows.
    """
    (n, columns), k = rows.shape, limits.shape[0]
    size = math.isqrt(n - 1) + 1
    count = -(-n // size)
    spare = count * size - n
    values = values.take(np.minimum(np.arange(count * size), n - 1)).reshape(count, size)
    rows = mpc.concatenate([rows, mpc.array(np.zeros((spare, columns), np.int64))])
    limits = limits.reshape(k, 1)
    below = values[:, -1].reshape(1, count) <= limits
    first = mpc.array(np.ones((k, 1), np.int64))
    here = mpc.concatenate([first, below[:, :-1]], axis=1) - below
    inside = here @ values <= limits
    looked_into = (here @ rows.reshape(count, size * columns)).reshape(k, size, columns)
    partly = (inside.reshape(k, size, 1) * looked_into).sum(1)
    return below @ rows.reshape(count, size, columns).sum(1) + partly
