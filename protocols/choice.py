"""Which of a few shared numbers is the largest, as shared indicators.

Greedy procedures on shares (merging of bins, elimination of features) choose at every step. A
tournament takes one comparison after the other; here all pairs are compared at once, which costs
more bytes and a fixed, small number of rounds.
"""

from __future__ import annotations

import math

import numpy as np

from engine import costs, field

_DIRECT = 32


def first_best(mpc, keys):
    """Indicators (..., n) of the first maximum along the last axis of shared `keys` (..., n).

    Keys must differ by less than 2^63 units. Up to 32 keys: n(n - 1)/2 comparisons and n(n - 2)
    products, 11 + ceil(log2(n - 1)) rounds. More keys are first compared within groups of about
    sqrt(n), then the groups' best ones: `choice_rounds(n)` rounds. Nothing is revealed.
    """
    n = keys.shape[-1]
    if n <= _DIRECT:
        return _best_of_few(mpc, keys)
    groups = math.isqrt(n - 1) + 1
    size = -(-n // groups)
    lead = keys.shape[:-1]
    flat = keys.reshape(-1, n)
    # The first keys once more: they come after their originals, so that they never win a tie.
    padded = mpc.concatenate([flat, flat[:, :groups * size - n]], axis=1)
    grouped = padded.reshape(-1, groups, size)
    inner = _best_of_few(mpc, grouped)
    tops = mpc.multiply(inner, grouped).sum(2)
    outer = _best_of_few(mpc, tops)
    chosen = inner * outer.reshape(-1, groups, 1)
    return chosen.reshape(-1, groups * size)[:, :n].reshape(*lead, n)


def choice_rounds(n: int) -> int:
    """Rounds of `first_best` among n keys (t = 1)."""
    if n <= _DIRECT:
        return 0 if n == 1 else 11 + (n - 2).bit_length()
    groups = math.isqrt(n - 1) + 1
    return choice_rounds(-(-n // groups)) + 1 + choice_rounds(groups) + 1


def choice_cost(n: int, m: int, t: int) -> costs.Prediction:
    """Rounds and bytes over all parties of `first_best` among n keys (t = 1 for the rounds)."""
    if n <= _DIRECT:
        sent = (costs.less_than(n * (n - 1) // 2, m, t).total_bytes
                + costs.product(n * max(0, n - 2), m, t).total_bytes)
    else:
        groups = math.isqrt(n - 1) + 1
        size = -(-n // groups)
        sent = (groups * choice_cost(size, m, t).total_bytes + choice_cost(groups, m, t).total_bytes
                + 2 * costs.product(groups * size, m, t).total_bytes)
    return costs.Prediction(choice_rounds(n), sent)


def inner(mpc, a, b):
    """Sums over the last axis of a·b for integers or fixed point times integers; one round.

    The traffic is that of the sums, not of the products.
    """
    shape = np.broadcast_shapes(a.shape, b.shape)

    def kernel(x, y):
        return field.total(field.mul(x, y), len(shape) - 1)
    return mpc.product('multiply', [a, b], kernel, shape[:-1], 0, max(a.frac, b.frac),
                       work=8 * math.prod(shape))


def _best_of_few(mpc, keys):
    n = keys.shape[-1]
    lead = keys.shape[:-1]
    if n == 1:
        return mpc.array(np.ones(keys.shape, np.int64))
    flat = keys.reshape(-1, n)
    first, second = np.triu_indices(n, 1)
    later = flat.take(first, axis=1) < flat.take(second, axis=1)
    # wins[i, j] = [i beats j]; of equal ones the first wins.
    both = mpc.concatenate([1 - later, later], axis=1)
    place = np.zeros((n, n), np.int64)
    place[first, second] = np.arange(len(first))
    place[second, first] = len(first) + np.arange(len(first))
    others = place[~np.eye(n, dtype=bool)].reshape(n, n - 1)
    wins = both.take(others.ravel(), axis=1).reshape(-1, n, n - 1)
    return mpc.prod(wins, 2).reshape(*lead, n)
