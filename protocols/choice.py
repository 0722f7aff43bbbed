"""Which of a few shared numbers is the largest, as shared indicators.

Greedy procedures on shares (merging of bins, elimination of features) choose at every step. A
tournament takes one comparison after the other; here all pairs are compared at once, which costs
more bytes and a fixed, small number of rounds.
"""

from __future__ import annotations

import math

import numpy as np

from engine import costs, field

DIRECT, THRIFTY = 32, 8
"""So many keys are compared all with all: for few rounds, and for fewer bytes in more rounds."""


def first_best(mpc, keys, direct: int = DIRECT):
    """Indicators (..., n) of the first maximum along the last axis of shared `keys` (..., n).

    Keys must differ by less than 2^63 units. Up to `direct` keys: n(n - 1)/2 comparisons and
    n(n - 2) products, 11 + ceil(log2(n - 1)) rounds. More keys are first compared within groups of
    about sqrt(n), then the groups' best ones. Rounds and bytes: `choice_cost`. Nothing is revealed.
    """
    n = keys.shape[-1]
    if n <= direct:
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


def first_one(mpc, bits):
    """Indicators (..., n) of the first 1 along the last axis of shared bits (..., n), n >= 2.

    ceil(log2(n - 1)) + 1 rounds: the products of all complements before a bit, over distances that
    double. At most that many times n products (`first_one_cost`).
    """
    n = bits.shape[-1]
    none = 1 - bits[..., :-1]  # none[k]: no 1 among the bits up to k
    for distance in _distances(n - 1):
        none = mpc.concatenate([none[..., :distance],
                                none[..., distance:] * none[..., :-distance]], axis=-1)
    return mpc.concatenate([bits[..., :1], bits[..., 1:] * none], axis=-1)


def _distances(n):
    return [1 << k for k in range((n - 1).bit_length())]


def first_one_cost(n: int, m: int, t: int) -> costs.Prediction:
    """Rounds and bytes over all parties of `first_one`."""
    steps = _distances(n - 1)
    products = sum(n - 1 - distance for distance in steps) + n - 1
    return costs.Prediction(len(steps) + 1, costs.product(products, m, t).total_bytes)


def choice_rounds(n: int, direct: int = DIRECT) -> int:
    """Rounds of `first_best` among n keys (t = 1)."""
    if n <= direct:
        return 0 if n == 1 else 11 + (n - 2).bit_length()
    groups = math.isqrt(n - 1) + 1
    return _few_rounds(-(-n // groups)) + 1 + _few_rounds(groups) + 1


def _few_rounds(n):
    return choice_rounds(n, n)


def choice_cost(n: int, m: int, t: int, direct: int = DIRECT) -> costs.Prediction:
    """Rounds and bytes over all parties of `first_best` among n keys (t = 1 for the rounds)."""
    if n <= direct:
        sent = (costs.less_than(n * (n - 1) // 2, m, t).total_bytes
                + costs.product(n * max(0, n - 2), m, t).total_bytes)
    else:
        groups = math.isqrt(n - 1) + 1
        size = -(-n // groups)
        sent = (groups * choice_cost(size, m, t, size).total_bytes
                + choice_cost(groups, m, t, groups).total_bytes
                + 2 * costs.product(groups * size, m, t).total_bytes)
    return costs.Prediction(choice_rounds(n, direct), sent)


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
