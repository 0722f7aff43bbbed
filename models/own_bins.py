"""The bins that an owner gives its own rows by the rules of a job."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.binning_rules import BinningRules
from protocols.binning import Floats, bin_index, fit_breaks, given_breaks, width_breaks


def first_breaks(rules: BinningRules, feature: str, values: npt.ArrayLike) -> Floats:
    """Inner edges of the bins of a feature (``party.column``), or of the pre-bins that will be
    merged; from all rows of the owner, which does not know which of them match."""
    if feature in rules.breaks:
        return given_breaks(np.asarray(rules.breaks[feature], np.float64), rules.max_bins)
    if rules.method == "equal-width":
        return width_breaks(values, rules.max_bins, rules.special_values)
    return fit_breaks(values, rules.first, rules.special_values)


def bins_of(
    rules: BinningRules, values: npt.ArrayLike, breaks: npt.ArrayLike, ordinary: int
) -> npt.NDArray[np.int64]:
    """The bin of every value, of so many ordinary ones; missing and special values after those."""
    edges = np.asarray(breaks, dtype=np.float64)
    return bin_index(values, edges, ordinary, rules.special_values)
