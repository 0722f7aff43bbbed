"""Ridge logistic regression on standardised columns, by scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PlainLogistic:
    """A fitted model: standardisation of the training rows, weights and intercept."""

    mean: Floats
    scale: Floats
    weights: Floats
    intercept: float

    def log_odds(self, columns: Floats) -> Floats:
        """ln(odds of bad) of each row."""
        standard = (columns - self.mean) * self.scale
        odds: Floats = standard @ self.weights + self.intercept
        return odds


def fit_logistic(columns: Floats, label: npt.ArrayLike, l2: float) -> PlainLogistic:
    """Fit on ``columns`` (rows, features) with penalty ``l2 / 2 * |weights|²`` on the summed loss;
    the intercept is free.  A column that does not vary is standardised to zero."""
    bad = np.asarray(label)
    mean = columns.mean(axis=0)
    deviation = columns.std(axis=0)
    # Rounding leaves a constant column with a deviation of a few ulps instead of zero.
    varies = deviation > 1e-12 * (1.0 + np.abs(mean))
    scale = np.where(varies, 1.0 / np.where(varies, deviation, 1.0), 0.0)
    if not varies.any():
        rate = bad.mean()
        odds = float(np.log(rate / (1.0 - rate)))
        return PlainLogistic(mean, scale, np.zeros(columns.shape[1]), odds)
    model = LogisticRegression(C=1.0 / l2, tol=1e-10, max_iter=10_000)
    model.fit((columns - mean) * scale, bad)
    return PlainLogistic(mean, scale, model.coef_[0], float(model.intercept_[0]))
