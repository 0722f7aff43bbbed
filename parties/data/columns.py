"""What one column looks like: its kind, missing values, distribution, outliers, special values.

The figures are for the owner's own report: they contain values (extremes, quantiles, frequent
codes) and are never sent anywhere. Of an identifier column, and of text with more than 50
different values, no value is shown even there.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from parties.data.reader import Reader

FENCE = 3.0
"""Outliers lie more than this many interquartile ranges outside of the quartiles (Tukey's outer
fences); a column whose quartiles coincide has none."""

_NINES = [10.0**digits for digits in range(2, 10)]
SPECIAL = (
    *(-1.0, -7.0, -8.0, -9.0),
    *(below - power for power in _NINES for below in (1, 2, 3)),
    *(power - 1 for power in _NINES),
)
"""Codes that often stand for “unknown”: −1, −7, −8, −9, −97, −98, −99, 99, −997, … 999999999."""

SPECIAL_ROWS, SPECIAL_SHARE = 5, 0.001
SHOWN_CODES = 10
MAX_CODES = 50
QUANTILES = {"q01": 0.01, "q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95,
             "q99": 0.99}
_BARS = 24
_GROUP = 32


def kinds(reader: Reader, agreed: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Per column its kind (`agreed` overrules what the values look like) and how many rows are
    known, and not numbers although nearly all others are.

    Kinds: number, integer, boolean, date, text; mixed for text of which 90 % are numbers.
    """
    found: dict[str, dict[str, Any]] = {}
    for first in range(0, len(reader.names), _GROUP):
        part = reader.names[first : first + _GROUP]
        cells = []
        for name in part:
            number, date, known = reader.number(name), reader.date(name), reader.known(name)
            cells += [
                f"count(*) FILTER (WHERE {known})",
                f"count({number})",
                f"count(*) FILTER (WHERE {number} = floor({number}) AND NOT isinf({number}))",
                f"count(*) FILTER (WHERE {number} IN (0, 1))",
                f"count({date})",
            ]
        counts = iter(reader.one(f"SELECT {', '.join(cells)} FROM cells"))
        for name in part:
            known, numbers, whole, binary, dates = (next(counts) for _ in range(5))
            kind = _kind(known, numbers, whole, binary, dates)
            kind = agreed.get(name, kind)
            found[name] = {"kind": kind, "known": known, "not_numbers": 0}
            if kind == "mixed" or (kind in ("number", "integer") and name in agreed):
                found[name]["not_numbers"] = known - numbers
    return found


def _kind(known: int, numbers: int, whole: int, binary: int, dates: int) -> str:
    if known and numbers == known:
        return "boolean" if binary == known else "integer" if whole == known else "number"
    if known and dates == known:
        return "date"
    return "mixed" if numbers >= 0.9 * known and known else "text"


def of_numbers(
    values: npt.NDArray[np.float64], special: tuple[float, ...] | None
) -> dict[str, Any]:
    """Figures of a numeric column, NaN for missing.

    `special` are the agreed special values (None: none are agreed, look for suspects); quantiles,
    mean and outliers are over the other values.
    """
    known = np.sort(values[~np.isnan(values)])
    infinite = int(np.isinf(known).sum())
    known = known[np.isfinite(known)]
    codes = suspects(known) if special is None else [v for v in special if (known == v).any()]
    found = [{"value": float(v), "count": int((known == v).sum())} for v in codes]
    figures: dict[str, Any] = {
        "infinite": infinite,
        "special": found,
        "special_agreed": special is not None,
        "zeros": int((known == 0).sum()),
        "negative": int((known < 0).sum()),
        "distinct": int((np.diff(known) > 0).sum()) + 1 if known.size else 0,
    }
    known = known[~np.isin(known, codes)]
    if not known.size:
        return figures
    quantiles = dict(
        zip(QUANTILES, map(float, np.quantile(known, [*QUANTILES.values()])), strict=True)
    )
    low, high = quantiles["q25"], quantiles["q75"]
    fences = (low - FENCE * (high - low), high + FENCE * (high - low)) if high > low else None
    return {
        **figures,
        "min": float(known[0]),
        "max": float(known[-1]),
        "mean": _finite(known.mean()),
        "std": _finite(known.std()),
        **quantiles,
        "outliers": {
            "low": int((known < fences[0]).sum()) if fences else 0,
            "high": int((known > fences[1]).sum()) if fences else 0,
            "fences": [*fences] if fences else None,
        },
        "bars": _bars(known, quantiles["q01"], quantiles["q99"]),
    }


def suspects(known: npt.NDArray[np.float64]) -> list[float]:
    """Values of `SPECIAL` in a sorted column that look like codes: in at least five rows and
    0.1 % of them, at an end of the column, and standing apart: the only negative ones, or further
    from all others than these are spread."""
    found: list[float] = []
    floor = max(SPECIAL_ROWS, SPECIAL_SHARE * known.size)
    # A column of a few values is a code list, in which nothing stands apart.
    if known.size == 0 or (np.diff(known) > 0).sum() < 3:
        return found
    negative = known[known < 0]
    if known[-1] >= 0 and np.isin(negative, SPECIAL).all():
        values, counts = np.unique(negative, return_counts=True)
        found += [float(v) for v, n in zip(values, counts, strict=True) if n >= floor]
        known = known[known >= 0]
    for end in (known[0], known[-1]):
        rest = known[known != end]
        apart = rest.size and min(abs(rest[[0, -1]] - end)) > rest[-1] - rest[0]
        if end in SPECIAL and end not in found and (known == end).sum() >= floor and apart:
            found.append(float(end))
    return sorted(found)


def of_codes(reader: Reader, name: str) -> dict[str, Any]:
    """How many different texts a column holds, and the most frequent if there are few."""
    text = f"trim({reader.text(name)})"
    distinct = reader.one(f"SELECT count(DISTINCT {text}) FROM cells")[0]
    top = []
    if distinct <= MAX_CODES:
        rows = reader.all(
            f"SELECT {text} AS t, count(*) AS n FROM cells WHERE t IS NOT NULL GROUP BY t "
            f"ORDER BY n DESC, t LIMIT {SHOWN_CODES}"
        )
        top = [{"value": value, "count": count} for value, count in rows]
    return {"distinct": distinct, "top": top}


def of_dates(reader: Reader, name: str) -> dict[str, Any]:
    """The first and the last date of a column."""
    date = reader.date(name)
    first, last, distinct = reader.one(
        f"SELECT min({date}), max({date}), count(DISTINCT {date}) FROM cells"
    )
    return {
        "distinct": distinct,
        "min": first.isoformat(" ") if first else None,
        "max": last.isoformat(" ") if last else None,
    }


def _bars(known: npt.NDArray[np.float64], low: float, high: float) -> list[int]:
    """A histogram between the outer quantiles; what lies outside counts to the ends."""
    if not high > low:
        return []
    counts, _ = np.histogram(np.clip(known, low, high), bins=_BARS, range=(low, high))
    return [int(c) for c in counts]


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
