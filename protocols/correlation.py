"""Correlation of shared columns, and what is dropped because of it, on shares.

The correlation matrix of n rows follows from their Gram matrix, whose traffic does not depend on n
(with many rows it is summed up from some blocks of them). Which
features are dropped stays secret: the greedy filter walks down the shared ranking and the
elimination by variance inflation (VIF) makes a public number of steps, so that the traffic is the
same for any data.

Sources: Schulz 1933 (inverse by iteration); Marquardt, Technometrics 12 (1970) (variance
inflation); the inverse without one variable by a rank-one update as in Efroymson 1960.
"""

from __future__ import annotations

import math

import numpy as np

from engine import costs
from protocols.choice import choice_cost, choice_rounds, first_best, inner
from protocols.costs import products, reciprocal, rsqrt, total

FRAC = 28
_COUNT = 40
_SMALLEST_VARIANCE = 1e-5
RIDGE = 2.0**-13
"""Added to the diagonal before VIF: no factor exceeds 2^13, and one of 10 is 10 within 0.5 %."""


def correlation(mpc, sums, gram, rows):
    """Correlation matrix (d, d) of columns over the rows that count, from their shared `sums` (d,)
    and the sums of their products `gram` (d, d), with 24 fractional bits.

    Rows that do not count must have been zero throughout; `rows` is the shared number of those that
    do, from 1 on. Columns that are constant (variance below 1e-5) correlate with nothing. 69 rounds
    and 4 d^2 products; with the product that makes the Gram matrix `correlation_cost`. Absolute
    error 1e-5 for variances above 0.01, values below 16.
    """
    d = len(sums)
    # Of one place each: a mean square keeps all its digits when the sum is scaled by 1 / total.
    inverse = mpc.reciprocal(rows, _COUNT)
    mean = mpc.multiply(sums, inverse, FRAC)
    square = mpc.multiply(gram, inverse, FRAC)
    covariance = square - mpc.multiply(mean.reshape(d, 1), mean.reshape(1, d), FRAC)
    variance = _diagonal(covariance)
    usable = 1 - (variance < _SMALLEST_VARIANCE)
    scale = usable * mpc.rsqrt(usable * variance + (1 - usable), FRAC)
    once = mpc.multiply(covariance, scale.reshape(d, 1), FRAC)
    off = (1 - np.eye(d, dtype=np.int64)) * mpc.multiply(once, scale.reshape(1, d), FRAC)
    return off + np.eye(d)


def drop_correlated(mpc, matrix, ranking, alive, limit: float):
    """Shared bits (d,): the living features that stay when, from the highest `ranking` (d,) down,
    each drops the ones after it whose |correlation| exceeds `limit`.

    Of equal rankings the first comes first. 2 d + 22 rounds; d^2 comparisons and as many tests of
    equality (`drop_correlated_cost`). Nothing is revealed.
    """
    d = len(alive)
    if d < 2:
        return alive
    first, second = np.triu_indices(d, 1)
    pairs = matrix.reshape(d * d).take(first * d + second)
    near = mpc.multiply(pairs, pairs, FRAC) > limit**2
    behind = ranking.take(first) < ranking.take(second)
    place = np.zeros((d, d), np.int64)
    place[first, second] = np.arange(len(first))
    place[second, first] = len(first) + np.arange(len(first))
    off = ~np.eye(d, dtype=bool)
    # rank[i] = how many come before i.
    before = mpc.concatenate([behind, 1 - behind]).take(place[off]).reshape(d, d - 1)
    order = mpc.equal(before.sum(1).reshape(1, d), np.arange(d).reshape(d, 1))
    diagonal = mpc.array(np.zeros(1, np.int64))
    place[second, first] = place[first, second]
    place[~off] = len(first)
    symmetric = mpc.concatenate([near, diagonal]).take(place.ravel()).reshape(d, d)
    ordered = mpc.matrix_product(mpc.matrix_product(order, symmetric), order.T)
    living = mpc.matrix_product(order, alive)
    done = []
    for k in range(d):
        done.append(living[:1])
        if k < d - 1:
            living = living[1:] * (1 - living[:1] * ordered[k, k + 1:])
    return mpc.matrix_product(order.T, mpc.concatenate(done))


async def drop_collinear(mpc, matrix, alive, limit: float, steps: int):
    """(stay, more): the living features whose variance inflation stays within `limit`.

    `steps` times the living feature with the largest factor goes, if that exceeds the limit; `more`
    is 1 if one still does. The factors are the diagonal of the inverse of the living features'
    correlation matrix, by Newton-Schulz iteration. Rounds and bytes: `drop_collinear_cost`; d^2
    products per step, and 2 d^2 for each of log2(d 2^13) + 4 iterations. Nothing is revealed.
    """
    d = len(alive)
    living = alive.reshape(d, 1) * alive.reshape(1, d)
    off = mpc.multiply(living * (1 - np.eye(d, dtype=np.int64)), matrix, FRAC)
    inverse = await _inverse(mpc, off + np.eye(d) * (1 + RIDGE), d)
    for _ in range(steps):
        factors = _diagonal(inverse)
        reciprocals = mpc.reciprocal(factors, FRAC)
        keys = mpc.multiply(alive, factors)
        best = first_best(mpc, keys)
        worst = inner(mpc, best, keys)
        gone = best * (worst > limit)
        column = inner(mpc, inverse, gone.reshape(1, d))
        scaled = mpc.multiply(column, inner(mpc, gone, reciprocals), FRAC)
        inverse = inverse - mpc.multiply(column.reshape(d, 1), scaled.reshape(1, d), FRAC)
        alive = alive - gone
        await inverse.ready()
    factors = _diagonal(inverse)
    above = alive * (factors > limit)
    return alive, 1 - (above.sum() < 1)


def _iterations(d):
    return math.ceil(math.log2((d + 1) / RIDGE)) + 4


async def _inverse(mpc, matrix, d):
    """Inverse of a symmetric matrix with eigenvalues between RIDGE and d + 1."""
    bound = d + 1
    inverse = mpc.array(np.eye(d) / bound, FRAC)
    twice = mpc.array(2 * np.eye(d), FRAC)
    for _ in range(_iterations(d)):
        inverse = mpc.matrix_product(
            inverse, twice - mpc.matrix_product(matrix, inverse, FRAC), FRAC)
        await inverse.ready()
    return inverse


def _diagonal(matrix):
    places = np.arange(matrix.shape[0])
    return matrix[places, places]


def correlation_cost(d: int, m: int, t: int) -> costs.Prediction:
    """Rounds (t = 1) and bytes over all parties of `correlation`, whatever the number of rows."""
    return total(70, reciprocal(1, m, t), costs.less_than(d, m, t), rsqrt(d, m, t),
                 products(3 * d + 5 * d * d, m, t))


def drop_correlated_cost(d: int, m: int, t: int) -> costs.Prediction:
    """Rounds (t = 1) and bytes over all parties of `drop_correlated`."""
    if d < 2:
        return costs.Prediction(0, 0)
    pairs = d * (d - 1) // 2
    return total(2 * d + 22, costs.less_than(2 * pairs, m, t), costs.equal(d * d, m, t),
                 products(3 * pairs + 2 * d * d + 2 * d, m, t))


def drop_collinear_cost(d: int, steps: int, m: int, t: int) -> costs.Prediction:
    """Rounds (t = 1) and bytes over all parties of `drop_collinear`."""
    turns = _iterations(d)
    step = total(max(choice_rounds(d) + 14, 26) + 3, reciprocal(d, m, t), choice_cost(d, m, t),
                 costs.less_than(1, m, t), products(4 * d + 2 + d * d, m, t))
    return costs.Prediction(
        2 + 2 * turns + steps * step.rounds + 23,
        steps * step.total_bytes + costs.less_than(d + 1, m, t).total_bytes
        + costs.product(d + (2 + 2 * turns) * d * d, m, t).total_bytes)
