"""How the features of a model are binned; part of a manifest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

METHODS = ("quantile", "equal-width", "given", "tree", "chimerge", "monotone")
MERGED = METHODS[3:]
"""Those that merge pre-bins by the label, on shares; edges then open to a feature's owner."""
MOST_SPECIAL = 16


@dataclass(frozen=True, kw_only=True)
class BinningRules:
    """Rules of one job, for all its features.

    ``method``: `quantile` (equal frequency), `equal-width`, or `given` edges; or ``prebins``
    equal-frequency pre-bins that are merged by label (`tree`, `chimerge`, `monotone`) until there
    are at most ``max_bins`` of at least ``min_share`` of a feature's known training rows each.
    ``breaks`` gives inner edges by feature (``party.column``) for `given`; a feature without any
    has equal-frequency bins. Missing values and each of ``special_values`` have a bin of their
    own, which nothing merges.

    The bins of a feature are always ``bins`` in number: ``max_bins``, some of which may be empty,
    then that of missing values at ``missing``, then the special values.
    """

    method: str = "quantile"
    max_bins: int = 10
    min_share: float = 0.05
    prebins: int = 20
    special_values: tuple[float, ...] = ()
    breaks: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(
                f"parameter binning is {self.method!r}, expected one of {', '.join(METHODS)}"
            )
        if self.merges and self.prebins < self.max_bins:
            raise ValueError(
                f"parameter prebins is {self.prebins}, expected at least max_bins, {self.max_bins}"
            )
        values = self.special_values
        once = len(set(values)) == len(values) <= MOST_SPECIAL
        if not once or not all(math.isfinite(v) for v in values):
            raise ValueError(
                f"parameter special_values: expected at most {MOST_SPECIAL} finite numbers, each "
                "once"
            )
        if bool(self.breaks) != (self.method == "given"):
            raise ValueError(
                f"parameter breaks names {len(self.breaks)} features, expected some for binning "
                "given, and none for any other"
            )
        for feature, edges in self.breaks.items():
            ascending = all(a < b for a, b in pairwise(edges))
            if not (ascending and all(math.isfinite(edge) for edge in edges)):
                raise ValueError(
                    f"parameter breaks of {feature}: expected finite numbers in ascending order"
                )
            if len(edges) >= self.max_bins:
                raise ValueError(
                    f"parameter breaks of {feature}: {len(edges)} edges make {len(edges) + 1} "
                    f"bins, expected at most max_bins, {self.max_bins}"
                )

    @property
    def merges(self) -> bool:
        """Whether bins are merged by the label."""
        return self.method in MERGED

    @property
    def missing(self) -> int:
        """The bin of missing values."""
        return self.max_bins

    @property
    def bins(self) -> int:
        """Bins per feature, those of missing and special values included."""
        return self.max_bins + 1 + len(self.special_values)

    @property
    def first_bins(self) -> int:
        """As `bins`, of the pre-bins that an owner begins with where they are merged."""
        return self.first + 1 + len(self.special_values)

    @property
    def first(self) -> int:
        """Ordinary bins that an owner begins with."""
        return self.prebins if self.merges else self.max_bins
