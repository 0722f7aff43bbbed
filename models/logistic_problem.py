"""What logistic regression on shares minimises, and the pieces that every solver takes steps with.

    Σ_i s_i log-loss_i + (l2 / 2) |w|² + l1 |w|₁     over standardised weights w, the intercept free

divided by the number of rows, which is public. Standardisation happens in weight space: with A the
secret affine map of the columns, X_std = [X, m] A, so the matrix is read and never rewritten.
Columns that are not selected, or constant, are scaled to zero and keep zero weights; so the traffic
does not depend on the selection.

A *model* of the loss around a point is a secret curvature H: the Hessian, or Böhning and Lindsay's
bound XᵀX/4 that dominates it everywhere (Ann. Inst. Statist. Math. 40, 1988). Its inverse comes
from Newton-Schulz iteration, a few dozen products whatever the size, or from a Cholesky
factorisation, with fewer products and many more rounds. With an l1 penalty the model is minimised
by the alternating direction method (Boyd et al. 2011), whose soft threshold gives exact zeros.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine import field
from engine.query import can_collapse, collapse
from engine.waves import can_wave
from models.logistic_design import SLOPE, Design
from models.logistic_link import Precision, sigmoid, sigmoid_series, variance

STATE = 30
"""Fractional bits of standardised weights."""
GRADIENT = 36
MODEL = 28
DAMPING = 3e-5
"""Added to a curvature before it is inverted: what collinear columns lack."""
_SMALLEST_VARIANCE = 1e-5
ROWS, SERIES_ROWS = 1 << 17, 1 << 14
"""Rows under way at once. The series holds 300 bytes per row, and takes few rounds."""


@dataclass
class Problem:
    """The data and the penalty; sums over rows are divided by `rows`.

    `affine` (d + 1, d + 1) is A, `penalty` the public l2 / rows per weight (0 for the intercept),
    `used` (d + 1,) shared bits, `ridge` what keeps the curvature of unused columns from vanishing.
    """

    mpc: Any
    design: Design
    label: Any
    weight: Any
    affine: Any
    used: Any
    ridge: Any
    penalty: np.ndarray
    l1: float

    @property
    def size(self) -> int:
        """Number of weights, the intercept included."""
        return self.design.columns

    def on(self, design: Design, places) -> Problem:
        """The same problem on a sample of its rows."""
        weight = None if self.weight is None else self.weight.take(places)
        return Problem(self.mpc, design, self.label.take(places), weight, self.affine, self.used,
                       self.ridge, self.penalty, self.l1)

    def raw(self, state, frac: int = STATE):
        """Weights of the columns [X, m] from standardised ones."""
        return self.mpc.matrix_product(self.affine, state, frac)

    def from_raw(self, raw):
        """Standardised weights from those of the columns [X, m], zero for unused columns: the
        inverse of `raw`. 29 rounds."""
        mpc, d = self.mpc, self.size - 1
        used, eye = self.used[:d], np.eye(d, dtype=np.int64)
        scale = (self.affine[:d, :d] * eye).sum(0)
        inverse = mpc.reciprocal(scale + (1 - used), 24)
        weights = used * mpc.multiply(raw[:d], inverse, STATE)
        shift = mpc.matrix_product(self.affine[d:, :d], weights, STATE)
        return mpc.concatenate([weights, raw[d:].with_frac(STATE) - shift])

    def slope(self, block, rows: slice, raw, precision: Precision, frac: int = SLOPE):
        """Σ x_i s_i (p_i - y_i) over some rows x_i, the block of the matrix; shape (d + 1,).

        By the series 3 rounds, with weights 4; by the cheap logistic function 19, with weights 20.
        """
        mpc, label = self.mpc, self.label[rows]
        weight = None if self.weight is None else self.weight[rows]
        if precision == 'series' and can_wave(mpc) and can_collapse(mpc, 3):
            return _slope_by_series(mpc, block, raw, label, weight, frac)
        odds = mpc.matrix_product(block, raw, 20)
        error = sigmoid(mpc, odds, SLOPE, fine=precision == 'fine') - label
        if weight is not None:
            error = mpc.multiply(error, weight, SLOPE)
        return mpc.matrix_product(block.T, error, frac)

    async def gradient(self, state, precision: Precision):
        """Gradient of the smooth part at standardised weights; one pass."""
        raw = self.raw(state)

        def part(block, rows):
            return self.slope(block, rows, raw, precision)
        most = SERIES_ROWS if precision == 'series' else ROWS
        slope = await self.design.pass_over(part, most)
        mean = self.mpc.multiply(slope, 1.0 / self.design.rows, GRADIENT)
        return self.mpc.matrix_product(self.affine.T, mean, GRADIENT) \
            + self.mpc.multiply(state, self.penalty, GRADIENT)

    async def hessian(self, state, fine: bool = False):
        """Hessian of the smooth part at standardised weights, unused columns filled up; one pass.
        """
        def weights(odds, rows, frac):
            chance = variance(self.mpc, odds, frac, fine=fine)
            return chance if self.weight is None else \
                self.mpc.multiply(chance, self.weight[rows], frac)
        return self._standardised(await self.design.curvature(self.raw(state), weights))

    async def bound(self):
        """A matrix that dominates the Hessian everywhere (Böhning, Lindsay); one pass."""
        if self.weight is None:
            return self._standardised(await self.design.gram(), 0.25)

        def weights(odds, rows, frac):
            return self.weight[rows].with_frac(frac)
        zero = self.mpc.array(np.zeros(self.size), STATE)
        return self._standardised(await self.design.curvature(zero, weights), 0.25)

    def _standardised(self, sums, factor=1.0):
        mpc = self.mpc
        scaled = mpc.multiply(sums, factor / self.design.rows, MODEL)
        half = mpc.matrix_product(self.affine.T, scaled, MODEL)
        return mpc.matrix_product(half, self.affine, MODEL) + self.ridge + np.diag(self.penalty)


def _slope_by_series(mpc, block, raw, label, weight, frac):
    (n, size), series = block.shape, sigmoid_series(mpc, block, raw)
    half, shift = 1 << series.frac - 1, series.frac - label.frac

    def residual(series, label):
        return field.sub(field.affine(series, 1, half), field.affine(label, 1 << shift))

    def slope(x, series, label):
        return field.matmul(x.transpose(1, 0, 2), residual(series, label)[:, None])[:, 0]
    if weight is None:
        return collapse(mpc, 'slope', [block, series, label], slope, (size,), 3,
                        work=4 * n * size, shift=block.frac + series.frac - frac, frac=frac)

    def weighted(w, series, label):
        return field.mul(w, residual(series, label))
    error = collapse(mpc, 'weighted_residual', [weight, series, label], weighted, (n,), 3,
                     shift=weight.frac + series.frac - SLOPE, frac=SLOPE)
    return mpc.matrix_product(block.T, error, frac)


def standardise(mpc, sums, squares, selected, frac: int, scaled: bool):
    """(A, used, ridge) from the sums of the columns [X, m] and of the squares of X.

    A column is used if it is selected and varies (variance 1e-5 at least). Without `scaled` the map
    is that of the used columns as they are.
    """
    d = squares.shape[0]
    total = mpc.scale(sums[d].reinterpret(0), pow(1 << frac, -1, field.P))
    inverse = mpc.reciprocal(total, 40)
    mean = mpc.multiply(sums[:d], inverse, MODEL)
    variances = mpc.multiply(squares, inverse, MODEL) - mpc.multiply(mean, mean, MODEL)
    usable = 1 - (variances < _SMALLEST_VARIANCE)
    used = usable if selected is None else usable * selected
    if scaled:
        safe = usable * variances + (1 - usable)
        scale = used * mpc.rsqrt(safe, 24)
        offset = -mpc.multiply(scale, mean, 24)
    else:
        scale = used.with_frac(24)
        offset = mpc.array(np.zeros(d), 24)
    # A = [[diag(scale), 0], [-mean∘scale, 1]]
    diagonal = scale.reshape(d, 1) * np.eye(d, d + 1, dtype=np.int64)
    last = mpc.concatenate([offset, mpc.array(np.ones(1), 24)]).reshape(1, d + 1)
    affine = mpc.concatenate([diagonal, last], axis=0)
    used = mpc.concatenate([used, mpc.array(np.ones(1, np.int64))])
    ridge = (1 - used).reshape(d + 1, 1) * np.eye(d + 1, dtype=np.int64)
    return affine, used, ridge
