"""Logistic regression on shares: accelerated gradient with a fixed curvature bound.

Minimises Σ_i m_i log-loss_i + (l2 / 2) |w|² over standardised columns with a free intercept, as
scikit-learn's `LogisticRegression(C=1/l2)` does on the rows with m_i = 1. Böhning and Lindsay's
bound H = XᵀX/4 + l2 dominates the Hessian everywhere, so one secure inverse of H, made once by
Newton-Schulz iteration, preconditions every step; Nesterov's momentum does the rest. Nothing opens:
neither weights nor losses. Sources: Böhning, Lindsay, Ann. Inst. Statist. Math. 40 (1988);
Schulz 1933; Nesterov 1983.

Standardisation happens in weight space: with A the secret affine map of the columns,
X_std = [X, m] A, so the n-by-d matrix is read and never rewritten. Columns that are not selected,
or constant, are scaled to zero and keep zero weights; so the traffic does not depend on the
selection.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine import field

_STATE, _WEIGHTS, _SCORING = 30, 24, 16
_DAMPING = 1e-3
_SMALLEST_VARIANCE = 1e-5


@dataclass
class SecretLogistic:
    """A trained model whose weights are shared: `raw` acts on the columns [X, m].

    `scoring` are the same weights with 16 fractional bits: a score of that length and a tie-break
    fit into one comparison for up to 2^14 rows.
    """

    raw: object
    scoring: object

    def decision(self, mpc, columns):
        """Log-odds of bad for rows of [X, m], as exact products without truncation.

        Equal rows get exactly equal scores. Fractional bits: those of the columns plus 16.
        """
        return mpc.matrix_product(columns, self.scoring, columns.frac + _SCORING)


def fit(mpc, columns, label, selected, *, l2: float, iterations: int) -> SecretLogistic:
    """Train on shared `columns` (n, d + 1) = [X, m] and `label` (n,) (m_i·y_i).

    m is the 0/1 weight of a row; rows with m = 0 must be zero throughout. `selected` (d,) are
    shared bits. Per iteration: one pass over the data in each direction, one sigmoid per row, about
    26 rounds. Memory: the shares of `columns` once.
    """
    n, d = columns.shape[0], columns.shape[1] - 1
    affine, ridge, used = _standardise(mpc, columns, selected, l2 / n)
    gram = mpc.matrix_product(columns.T, columns, columns.frac)
    scaled = mpc.multiply(gram, 1.0 / n, 28)
    curvature = mpc.matrix_product(
        mpc.matrix_product(affine.T, scaled, 28), affine, 28) * 0.25 + ridge
    inverse = _inverse(mpc, curvature, d + 1)

    penalty = np.full(d + 1, l2 / n)
    penalty[d] = 0.0
    state = previous = ahead = mpc.array(np.zeros(d + 1), _STATE)
    for k in range(iterations):
        raw = mpc.matrix_product(affine, ahead, _STATE)
        odds = mpc.matrix_product(columns, raw, columns.frac)
        residual = mpc.sigmoid(odds, columns.frac) - label
        slope = mpc.matrix_product(columns.T, residual, columns.frac)
        gradient = mpc.matrix_product(affine.T, mpc.multiply(slope, 1.0 / n, 36), 36) \
            + mpc.multiply(ahead, penalty, 36)
        state = ahead - mpc.matrix_product(inverse, gradient, _STATE)
        momentum = k / (k + 3)
        ahead = state + mpc.multiply(state - previous, momentum, _STATE)
        previous = state
    # What a truncation leaves of a zero weight would decide between rows of equal score.
    return SecretLogistic(used * mpc.matrix_product(affine, state, _WEIGHTS),
                          used * mpc.matrix_product(affine, state, _SCORING))


def _standardise(mpc, columns, selected, penalty):
    """(A, ridge, used): the affine map to standardised columns, the diagonal added to the
    curvature, and shared bits of the columns (and the intercept) that have a weight.

    The ridge holds the penalty, a small damping against collinear columns, and 1 for unused ones.
    """
    d = columns.shape[1] - 1
    weight = columns[:, d]
    count = weight.reinterpret(0)
    total = mpc.scale(count.sum(), _unit_inverse(columns.frac))
    inverse = mpc.reciprocal(total, 40)
    x = columns[:, :d]
    mean = mpc.multiply(x.sum(0), inverse, 28)
    squares = mpc.column_squares(x, 28)
    variance = mpc.multiply(squares, inverse, 28) - mpc.multiply(mean, mean, 28)
    usable = 1 - (variance < _SMALLEST_VARIANCE)
    safe = usable * variance + (1 - usable)
    used = usable * selected
    scale = used * mpc.rsqrt(safe, 24)
    offset = -mpc.multiply(scale, mean, 24)
    # A = [[diag(scale), 0], [-mean∘scale, 1]]
    diagonal = scale.reshape(d, 1) * np.eye(d, d + 1, dtype=np.int64)
    last = mpc.concatenate([offset, mpc.array(np.ones(1), 24)]).reshape(1, d + 1)
    affine = mpc.concatenate([diagonal, last], axis=0)
    eye = np.eye(d + 1, dtype=np.int64)
    used = mpc.concatenate([used, mpc.array(np.ones(1, np.int64))])
    ridge = (1 - used).reshape(d + 1, 1) * eye + np.eye(d + 1) * (_DAMPING + penalty)
    return affine, ridge, used


def _unit_inverse(frac):
    return pow(1 << frac, -1, field.P)


def _inverse(mpc, h, size):
    """Approximate inverse of a positive definite H with eigenvalues in [damping, size/4 + 2]."""
    bound = size / 4 + 2
    y = mpc.array(np.eye(size) / bound, 28)
    steps = int(np.ceil(np.log2(bound / _DAMPING))) + 3
    eye = mpc.array(2 * np.eye(size), 28)
    for _ in range(steps):
        y = mpc.matrix_product(y, eye - mpc.matrix_product(h, y, 28), 28)
    return y
