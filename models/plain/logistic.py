"""Logistic regression in the clear, by scikit-learn: the twin of `models.logistic`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

Floats = npt.NDArray[np.float64]
_SMALLEST_VARIANCE = 1e-5


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

    @property
    def raw(self) -> tuple[Floats, float]:
        """The weights of the columns as they are, and the intercept."""
        weights: Floats = self.weights * self.scale
        return weights, float(self.intercept - weights @ self.mean)


@dataclass(frozen=True)
class Inference:
    """Per weight of the raw columns and for the intercept: what a regression table shows."""

    weights: Floats
    errors: Floats
    z: Floats
    p: Floats
    low: Floats
    high: Floats


class PlainLogisticRegression:
    """The same parameters and attributes as `models.logistic.LogisticRegression`, without shares.

    `fit(columns, label)` takes rows as they are, (n, d) and (n,); `raw_` (d + 1,) are the weights
    of the columns and the intercept, `state_` the same standardised.
    """

    def __init__(
        self,
        *,
        C: float = 1.0,
        l1_ratio: float = 0.0,
        class_weight: Any = None,
        standardize: bool = True,
        tol: float = 1e-8,
    ) -> None:
        self.C, self.l1_ratio, self.class_weight = C, l1_ratio, class_weight
        self.standardize, self.tol = standardize, tol

    def fit(
        self, columns: Floats, label: npt.ArrayLike, sample_weight: Floats | None = None
    ) -> PlainLogisticRegression:
        """Train; a column that does not vary (variance below 1e-5) has weight zero."""
        variance = columns.var(axis=0)
        varies = variance >= _SMALLEST_VARIANCE
        scale = np.where(varies, 1.0, 0.0)
        mean = np.zeros(columns.shape[1])
        if self.standardize:
            scale = np.where(varies, 1 / np.sqrt(np.where(varies, variance, 1.0)), 0.0)
            mean = columns.mean(axis=0)
        standard = (columns - mean) * scale
        model = LogisticRegression(
            C=self.C, class_weight=self.class_weight, tol=self.tol, max_iter=100_000
        )
        _fit(model, self.l1_ratio, standard, label, sample_weight)
        self.state_ = np.append(model.coef_[0], model.intercept_[0])
        weights = self.state_[:-1] * scale
        self.raw_ = np.append(weights, self.state_[-1] - weights @ mean)
        self._inverse = _covariance(self, columns, label, sample_weight, varies)
        return self

    def decision_function(self, columns: Floats) -> Floats:
        """ln(odds of bad) of each row."""
        odds: Floats = columns @ self.raw_[:-1] + self.raw_[-1]
        return odds

    def inference(self, level: float = 0.95) -> Inference:
        """Wald statistics from the inverse Hessian of the penalised loss; zero where no weight."""
        errors = np.sqrt(np.diag(self._inverse))
        z = np.divide(self.raw_, errors, out=np.zeros_like(errors), where=errors > 0)
        width = norm.ppf(0.5 + level / 2) * errors
        return Inference(
            self.raw_, errors, z, 2 * norm.sf(np.abs(z)), self.raw_ - width, self.raw_ + width
        )


def _fit(model, l1_ratio, columns, label, sample_weight=None):
    """Fit with ridge, and from there with a lasso's part of the penalty: started at zero weights,
    saga stops there if the first pass does not leave them."""
    model.fit(columns, label, sample_weight)
    if l1_ratio:
        model.set_params(solver="saga", l1_ratio=l1_ratio, warm_start=True, random_state=0)
        model.fit(columns, label, sample_weight)


def _covariance(model, columns, label, sample_weight, varies):
    """Inverse Hessian in the raw columns; rows and columns without a weight are zero."""
    used = np.append(varies, True)
    design = np.column_stack([columns, np.ones(len(columns))])[:, used]
    chance = 1 / (1 + np.exp(-model.decision_function(columns)))
    weight = np.ones(len(columns)) if sample_weight is None else np.asarray(sample_weight)
    if model.class_weight == "balanced":
        bad = np.asarray(label) == 1
        share = weight[bad].sum() / weight.sum()
        weight = weight * np.where(bad, 0.5 / share, 0.5 / (1 - share))
    elif model.class_weight is not None:
        weight = weight * np.where(np.asarray(label) == 1, *(model.class_weight[k] for k in (1, 0)))
    hessian = (design * (weight * chance * (1 - chance))[:, None]).T @ design
    variance = columns.var(axis=0) if model.standardize else np.ones(columns.shape[1])
    ridge = np.append(variance * (1 - model.l1_ratio) / model.C, 0.0)[used]
    inverse = np.zeros((len(used), len(used)))
    inverse[np.ix_(used, used)] = np.linalg.inv(hessian + np.diag(ridge))
    return inverse


def fit_logistic(
    columns: Floats,
    label: npt.ArrayLike,
    l2: float,
    l1_ratio: float = 0.0,
    class_weight: str | None = None,
    sample_weight: Floats | None = None,
) -> PlainLogistic:
    """Fit on ``columns`` (rows, features) with penalty ``l2 / 2 * |weights|²`` on the summed loss,
    of which ``l1_ratio`` is ``l2 * |weights|₁`` instead; the intercept is free.  A column that does
    not vary is standardised to zero; ``sample_weight`` (rows,) weighs the losses alone."""
    bad = np.asarray(label)
    mean = columns.mean(axis=0)
    deviation = columns.std(axis=0)
    # Rounding leaves a constant column with a deviation of a few ulps instead of zero.
    varies = deviation > 1e-12 * (1.0 + np.abs(mean))
    scale = np.where(varies, 1.0 / np.where(varies, deviation, 1.0), 0.0)
    if not varies.any():
        rate = np.average(bad, weights=sample_weight) if class_weight is None else 0.5
        odds = float(np.log(rate / (1.0 - rate)))
        return PlainLogistic(mean, scale, np.zeros(columns.shape[1]), odds)
    model = LogisticRegression(C=1.0 / l2, class_weight=class_weight, tol=1e-10, max_iter=100_000)
    _fit(model, l1_ratio, (columns - mean) * scale, bad, sample_weight)
    return PlainLogistic(mean, scale, model.coef_[0], float(model.intercept_[0]))
