"""Quantile bins, run by an owner over its own rows before anything is shared.

The number of bins of a feature is always ``max_bins + 1`` (the last one holds the missing
values), even when ties leave some of them empty: the shape of what a party shares must not
depend on its data.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def fit_breaks(values: npt.ArrayLike, max_bins: int) -> npt.NDArray[np.float64]:
    """Inner edges of at most ``max_bins`` equal-frequency bins, strictly increasing.

    Missing values are ignored.  Edges that ties have made useless (equal to the one before, or
    closing a bin that holds none of ``values``) are left out.
    """
    if max_bins < 1:
        raise ValueError(f"max_bins is {max_bins}, expected at least 1")
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    if known.size == 0 or max_bins == 1:
        return np.empty(0)
    edges = np.unique(np.quantile(known, np.arange(1, max_bins) / max_bins))
    filled = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1) > 0
    edges = edges[filled[:-1]]
    # Nothing lies above an edge at the maximum: it would close the last filled bin for nothing.
    breaks: npt.NDArray[np.float64] = edges[edges < known.max()]
    return breaks


def bin_index(
    values: npt.ArrayLike, breaks: npt.NDArray[np.float64], max_bins: int
) -> npt.NDArray[np.int64]:
    """Bin of every value: 0 … ``max_bins - 1`` (a value equal to an edge goes left of it), and
    ``max_bins`` for a missing value."""
    if len(breaks) >= max_bins:
        raise ValueError(
            f"{len(breaks)} edges make {len(breaks) + 1} bins, expected at most {max_bins}"
        )
    known = np.asarray(values, dtype=np.float64)
    index = np.searchsorted(breaks, known, side="left").astype(np.int64)
    index[np.isnan(known)] = max_bins
    return index


def one_hot(index: npt.NDArray[np.int64], bins: int) -> npt.NDArray[np.uint8]:
    """Indicator matrix of shape (rows, bins): a 1 in each row, at its bin."""
    if index.size and not 0 <= int(index.min()) <= int(index.max()) < bins:
        raise ValueError(f"bin index outside 0..{bins - 1}")
    indicators: npt.NDArray[np.uint8] = (index[:, None] == np.arange(bins)).astype(np.uint8)
    return indicators
