"""Stepwise selection on shares: forward, backward or both, on a quadratic approximation.

A stepwise logistic regression fits hundreds of models. Near one point, though, the log-likelihood
is a quadratic form, and on that all the models are known from one symmetric matrix: with the
features of a model swept, it holds minus the covariance of its estimates, the estimates, and for
every other feature its score and information given those in the model. A step looks for the weakest
feature inside and the strongest outside, and sweeps one of them. This is what SAS calls the FAST
elimination of PROC LOGISTIC. The matrix at the model without features is the correlation matrix of
features and label, so that nothing has to be trained; at a trained model it is made of its weights
and covariance, which then decide the backward steps exactly as Wald tests do.

A public number of steps of a fixed shape, so the traffic does not depend on what is selected.

Sources: Efroymson 1960 (the sweep operator); Rao 1948 (score test); Lawless, Singhal, Biometrics
34 (1978) (stepwise screening by the quadratic approximation).
"""

from __future__ import annotations

import numpy as np

from engine import costs
from protocols.choice import choice_cost, choice_rounds, first_best, inner
from protocols.costs import products, reciprocal
from protocols.costs import total as summed

FRAC = 30
_STATISTIC = 40
_NEVER = 32
"""More than any statistic, in units of the correlation."""
AIC = 2.0
"""The statistic at which a feature pays for itself by Akaike's criterion."""


async def stepwise(mpc, matrix, inside, allowed, total, *, steps: int, enter: float = AIC,
                   leave: float | None = None, tolerance: float = 0.1):
    """(inside, more): shared bits (d,) of the selected features, and whether a step was missing.

    `matrix` (d + 1, d + 1) is the swept matrix in units of correlation, the label last; `inside`
    (d,) the features that it is swept for; `allowed` (d,) those that may enter or stay; `total` the
    shared number of rows. A step removes the feature inside with the lowest statistic, if that is
    below `leave` (never if None), else adds the allowed one outside with the highest, if that is at
    least `enter` and at least `tolerance` of its variance is not explained by the features inside.
    The statistic is total·m_jy² / |m_jj|: chi-square with one degree of freedom, so that 2 is AIC
    and 3.84 is p = 0.05. Rounds and bytes: `stepwise_cost`; (d + 1)^2 products per step.
    Nothing is revealed.
    """
    d = len(inside)
    inverse_total = mpc.reciprocal(total, _STATISTIC)
    limits = mpc.stack([mpc.multiply(inverse_total, leave or 0.0, _STATISTIC),
                        mpc.multiply(inverse_total, enter, _STATISTIC)])
    matrix = matrix.with_frac(FRAC)
    for _ in range(steps):
        gone, come, inverse = _moves(mpc, matrix, inside, allowed, limits, leave, tolerance)
        # The pivot of a feature inside is negative.
        sign = gone - come
        scale = inner(mpc, -sign, inverse)
        column = inner(mpc, matrix[:, :d], (gone + come).reshape(1, d))
        nothing = mpc.array(np.zeros(1, np.int64))
        signed = mpc.concatenate([sign, nothing])
        u = column + signed
        scaled = mpc.multiply(u, scale, FRAC)
        matrix = matrix - mpc.multiply(u.reshape(d + 1, 1), scaled.reshape(1, d + 1), FRAC) \
            + 2 * np.eye(d + 1, dtype=np.int64) * signed.reshape(1, d + 1)
        inside = inside - sign
        await matrix.ready()
    gone, come, _ = _moves(mpc, matrix, inside, allowed, limits, leave, tolerance)
    return inside, (gone + come).sum()


def _moves(mpc, matrix, inside, allowed, limits, leave, tolerance):
    """Indicators of the feature to remove and of the one to add, of which at most one is not 0, and
    the reciprocals of the diagonal's magnitudes."""
    d = len(inside)
    diagonal, effect = matrix[np.arange(d), np.arange(d)], matrix[:d, d]
    magnitude = diagonal - 2 * mpc.multiply(inside, diagonal)
    inverse = mpc.reciprocal(magnitude, FRAC)
    statistic = mpc.multiply(mpc.multiply(effect, effect, _STATISTIC), inverse, _STATISTIC)
    able = allowed * (1 - inside) * (1 - (diagonal < tolerance))
    # Those that may not move are far below all others.
    masks = mpc.stack([inside, able])
    keys = masks * mpc.stack([-statistic, statistic]) - _NEVER * (1 - masks)
    best = first_best(mpc, keys)
    found = inner(mpc, best, masks)
    value = mpc.stack([inner(mpc, best[0], statistic), inner(mpc, best[1], statistic)])
    below = (value < limits) * found
    gone = below[0] if leave is not None else below[0] * 0
    come = (1 - gone) * (found[1] - below[1])
    return best[0] * gone, best[1] * come, inverse


def stepwise_cost(d: int, steps: int, m: int, t: int, *, enter: float = AIC,
                  leave: float | None = None) -> costs.Prediction:
    """Rounds (t = 1) and bytes over all parties of `stepwise`."""
    moves = summed(44 + choice_rounds(d), reciprocal(d, m, t), costs.less_than(d + 2, m, t),
                  products(9 * d + 7, m, t), choice_cost(d, m, t), choice_cost(d, m, t))
    sweep = products(1 + 2 * (d + 1) + (d + 1) ** 2, m, t)
    limits = costs.truncate(sum(float(x or 0) % 1 > 0 for x in (enter, leave)), m, t)
    return costs.Prediction((steps + 1) * moves.rounds + 3 * steps, (
        (steps + 1) * moves.total_bytes + steps * sweep.total_bytes + limits.total_bytes
        + reciprocal(1, m, t).total_bytes))
