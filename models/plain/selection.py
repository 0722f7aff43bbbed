"""Selection of features in the clear: the twin of `models.selection`, and an estimator.

The rules apply one after the other, each to what the ones before have left; a feature's reason is
the first that it fails. The same rules, on shares, are in `protocols.correlation` and
`protocols.stepwise`, where their sources are named.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from models.plain.woe import woe_iv
from models.selection_rules import REASONS, SelectionRules, chi_limit
from protocols.correlation import RIDGE

Floats = npt.NDArray[np.float64]
Bits = npt.NDArray[np.bool_]


def wald(bad: npt.ArrayLike, good: npt.ArrayLike) -> float:
    """Wald's chi-square of the univariate logistic regression on the feature's WOE.

    On its own WOE the maximum-likelihood slope is 1 (exactly, if every bin has both classes), so
    the statistic is the slope's information: the variance of the WOE weighted by bad·good / n.
    """
    bads, goods = np.asarray(bad, dtype=np.float64), np.asarray(good, dtype=np.float64)
    woe, _ = woe_iv(bads, goods)
    size = bads + goods
    weight = np.divide(bads * goods, size, out=np.zeros_like(size), where=size > 0)
    if weight.sum() == 0:
        return 0.0
    return float((weight * woe**2).sum() - (weight * woe).sum() ** 2 / weight.sum())


def correlation_matrix(columns: npt.ArrayLike) -> Floats:
    """Pearson's correlation of the columns (n, d); constant columns correlate with nothing."""
    x = np.asarray(columns, dtype=np.float64)
    centred = x - x.mean(0)
    deviation = np.sqrt((centred**2).mean(0))
    usable = deviation**2 >= 1e-5
    scaled = np.where(usable, centred / np.where(usable, deviation, 1), 0)
    matrix: Floats = scaled.T @ scaled / len(x)
    np.fill_diagonal(matrix, 1)
    return matrix


def drop_correlated(matrix: Floats, ranking: npt.ArrayLike, alive: npt.ArrayLike,
                    limit: float) -> Bits:
    """Which features stay when, from the highest ranking down, each drops the later ones that it
    correlates with by more than the limit."""
    stay = np.array(alive, dtype=bool)
    order = np.argsort(-np.asarray(ranking, dtype=np.float64), kind="stable")
    for place, k in enumerate(order):
        if stay[k]:
            later = order[place + 1:]
            stay[later[np.abs(matrix[k, later]) > limit]] = False
    return stay


def vif(matrix: Floats, alive: Bits) -> Floats:
    """Variance inflation factors of the living features, 0 for the others."""
    result = np.zeros(len(matrix))
    part = matrix[np.ix_(alive, alive)]
    result[alive] = np.diag(np.linalg.inv(part + RIDGE * np.eye(len(part))))
    return result


def drop_collinear(matrix: Floats, alive: npt.ArrayLike, limit: float,
                   steps: int) -> tuple[Bits, bool]:
    """(stay, more): the largest factor goes while it exceeds the limit, at most ``steps`` times."""
    stay = np.array(alive, dtype=bool)
    for _ in range(steps):
        factors = vif(matrix, stay)
        if not stay.any() or factors.max() <= limit:
            return stay, False
        stay[int(np.argmax(factors))] = False
    return stay, bool(stay.any() and vif(matrix, stay).max() > limit)


def stepwise(matrix: Floats, allowed: npt.ArrayLike, total: float, *, steps: int, enter: float,
             leave: float | None, tolerance: float = 0.1) -> tuple[Bits, bool]:
    """(inside, more): stepwise selection by score tests from the model without features.

    ``matrix`` (d + 1, d + 1) is the correlation of features and label (last). For the rules see
    `protocols.stepwise.stepwise`.
    """
    d = len(matrix) - 1
    inside, may = np.zeros(d, bool), np.array(allowed, dtype=bool)
    for _ in range(steps):
        move = _move(matrix, inside, may, total, enter, leave, tolerance)
        if move is None:
            return inside, False
        inside[move] ^= True
    return inside, _move(matrix, inside, may, total, enter, leave, tolerance) is not None


def _move(matrix: Floats, inside: Bits, may: Bits, total: float, enter: float,
          leave: float | None, tolerance: float) -> int | None:
    """The feature that a step removes or adds, None when it is done."""
    d = len(inside)
    chosen = np.flatnonzero(inside)
    covariance = np.linalg.inv(matrix[np.ix_(chosen, chosen)])
    estimates = covariance @ matrix[chosen, d]
    if leave is not None and len(chosen):
        statistic = total * estimates**2 / np.diag(covariance)
        if statistic.min() < leave:
            return int(chosen[int(np.argmin(statistic))])
    best, largest = None, -np.inf
    for k in np.flatnonzero(may & ~inside):
        given = matrix[k, chosen]
        information = matrix[k, k] - given @ covariance @ given
        if information < tolerance:
            continue
        value = total * (matrix[k, d] - given @ estimates) ** 2 / information
        if value >= enter and value > largest:
            best, largest = int(k), value
    return best


class FeatureSelector:
    """Selection of WOE-encoded features with the conventions of scikit-learn.

    Learned: ``kept_`` (d,), ``reason_`` (names of `models.selection_rules.REASONS`),
    ``correlation_`` (features and label), ``incomplete_`` (rules that ran out of steps).
    """

    def __init__(self, *, rules: SelectionRules | None = None) -> None:
        self.rules = rules

    def fit(self, columns: npt.ArrayLike, label: npt.ArrayLike, *,
            counts: Sequence[npt.ArrayLike], missing: Sequence[int],
            names: Sequence[str] | None = None) -> Self:
        """Select among ``columns`` (n, d), WOE-encoded, against ``label`` (n,), 1 for bad.

        ``counts`` are every feature's bins (bins, 2) [bad, good], ``missing`` the place of its
        missing-value bin, ``names`` what the rules' ``exclude`` refers to.
        """
        rules = self.rules or SelectionRules()
        x, y = np.asarray(columns, dtype=np.float64), np.asarray(label, dtype=np.float64)
        d = x.shape[1]
        names = [str(k) for k in range(d)] if names is None else list(names)
        tables = [np.asarray(c, dtype=np.float64) for c in counts]
        iv = np.array([woe_iv(*c.T)[1].sum() for c in tables])
        rows = np.array([c.sum() for c in tables])
        empty = np.array([c[m].sum() for c, m in zip(tables, missing, strict=True)])
        alive, code = np.ones(d, bool), np.zeros(d, int)
        self.incomplete_: list[str] = []
        self.correlation_ = matrix = correlation_matrix(np.column_stack([x, y]))

        def stay(reason: str, bits: npt.ArrayLike) -> None:
            nonlocal alive
            after = alive & np.asarray(bits, dtype=bool)
            code[alive & ~after] = REASONS.index(reason)
            alive = after
        stay("excluded", [n not in rules.exclude for n in names])
        stay("missing", 10_000 * empty <= round(10_000 * rules.missing_max) * rows)
        if rules.iv_min is not None:
            stay("iv", iv >= rules.iv_min)
        if rules.p_max is not None:
            stay("p_value", [wald(*c.T) >= chi_limit(rules.p_max) for c in tables])
        features = matrix[:d, :d]
        if rules.correlation_max is not None:
            stay("correlation", drop_correlated(features, iv, alive, rules.correlation_max))
        if rules.vif_max is not None:
            bits, more = drop_collinear(features, alive, rules.vif_max, rules.vif_steps)
            stay("vif", bits)
            self.incomplete_ += ["vif"] if more else []
        if rules.stepwise is not None:
            bits, more = stepwise(matrix, alive, len(y), steps=rules.stepwise_steps,
                                  enter=rules.enter, leave=rules.leave)
            stay("stepwise", bits)
            self.incomplete_ += ["stepwise"] if more else []
        self.kept_, self.iv_ = alive, iv
        self.reason_ = [REASONS[k] for k in code]
        return self

    def transform(self, columns: npt.ArrayLike) -> Floats:
        """The kept columns."""
        kept: Floats = np.asarray(columns, dtype=np.float64)[:, self.kept_]
        return kept
