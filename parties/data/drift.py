"""How far a table has moved from a reference: the population stability index per column.

PSI = Σ (a − e) · ln(a / e) over bins, where e and a are the shares of the reference's and of the
table's rows. Numbers fall into ten equal-frequency bins of the reference, text into its twenty
most frequent values and one bin for all others; missing values are a bin of their own. A bin that
is empty on one side counts half a row there. Below 0.1 stable, below 0.25 investigate, above that
shifted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from protocols.binning import bin_index, fit_breaks

BINS = 10
CODES = 20
INVESTIGATE, SHIFTED = 0.1, 0.25


def psi(expected: npt.ArrayLike, actual: npt.ArrayLike) -> float:
    """The index of two vectors of counts, bin by bin."""
    e, a = np.asarray(expected, np.float64), np.asarray(actual, np.float64)
    if e.shape != a.shape or not e.sum() or not a.sum():
        raise ValueError(f"counts of shapes {e.shape} and {a.shape}, expected equal and not empty")
    used = (e > 0) | (a > 0)
    e, a = e[used], a[used]
    e, a = np.where(e > 0, e, 0.5) / e.sum(), np.where(a > 0, a, 0.5) / a.sum()
    return float(((a - e) * np.log(a / e)).sum())


def band(index: float) -> str:
    """What the index says: stable, investigate or shifted."""
    return "stable" if index < INVESTIGATE else "investigate" if index < SHIFTED else "shifted"


def of_numbers(reference: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> float:
    """The index of numbers, NaN for missing."""
    breaks = fit_breaks(reference, BINS)
    counts = [
        np.bincount(bin_index(v, breaks, BINS), minlength=BINS + 1) for v in (reference, values)
    ]
    return psi(*counts)


def of_codes(reference: Mapping[str | None, int], values: Mapping[str | None, int]) -> float:
    """The index of codes, given how often each occurs; None for missing."""
    known = sorted((c for c in reference if c is not None), key=lambda c: (-reference[c], c))
    bins: list[str | None] = [None, *known[:CODES]]
    return psi(_counts(reference, bins), _counts(values, bins))


def _counts(values: Mapping[str | None, int], bins: Sequence[str | None]) -> list[int]:
    inside = [values.get(code, 0) for code in bins]
    return [*inside, sum(values.values()) - sum(inside)]
