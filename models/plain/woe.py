"""Weight of evidence and information value from counts.

WOE = ln(%bad / %good), IV = Σ (%bad − %good) · WOE.  A bin that lacks exactly one of the classes
gets +0.5 on both; a bin without rows contributes nothing.  The class totals stay as counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.binning import bin_index, fit_breaks

Floats = npt.NDArray[np.float64]


def woe_iv(bad: npt.ArrayLike, good: npt.ArrayLike) -> tuple[Floats, Floats]:
    """WOE and IV contribution of each bin, from the bins' counts of bad and good rows."""
    bads = np.asarray(bad, dtype=np.float64)
    goods = np.asarray(good, dtype=np.float64)
    if bads.sum() <= 0 or goods.sum() <= 0:
        raise ValueError(
            f"{bads.sum():.0f} bad and {goods.sum():.0f} good rows, expected some of both: "
            "weight of evidence compares the two"
        )
    half = 0.5 * ((bads == 0) ^ (goods == 0))
    share_bad = (bads + half) / bads.sum()
    share_good = (goods + half) / goods.sum()
    filled = (bads > 0) | (goods > 0)
    woe = np.zeros(bads.shape)
    woe[filled] = np.log(share_bad[filled] / share_good[filled])
    return woe, (share_bad - share_good) * woe


@dataclass(frozen=True)
class WoeTable:
    """The bin table of one feature: regular bins first, the missing-value bin last."""

    breaks: Floats
    max_bins: int
    bad: Floats
    good: Floats
    woe: Floats
    bin_iv: Floats

    @property
    def iv(self) -> float:
        """Information value of the feature."""
        return float(self.bin_iv.sum())

    def encode(self, values: npt.ArrayLike) -> Floats:
        """Replace every value by the WOE of its bin."""
        encoded: Floats = self.woe[bin_index(values, self.breaks, self.max_bins)]
        return encoded


def woe_table(
    values: npt.ArrayLike,
    label: npt.ArrayLike,
    max_bins: int,
    breaks: Floats | None = None,
) -> WoeTable:
    """Bin table of ``values`` against ``label``; ``breaks`` when they were fitted elsewhere."""
    if breaks is None:
        breaks = fit_breaks(values, max_bins)
    classes = np.asarray(label)
    index = bin_index(values, breaks, max_bins)
    bad = np.bincount(index[classes == 1], minlength=max_bins + 1).astype(np.float64)
    good = np.bincount(index[classes == 0], minlength=max_bins + 1).astype(np.float64)
    woe, bin_iv = woe_iv(bad, good)
    return WoeTable(breaks, max_bins, bad, good, woe, bin_iv)
