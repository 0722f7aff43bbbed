"""The rules that data must meet, as functions from columns to findings.

A finding names file, column and row numbers, never a value: findings end up in terminals, logs
and support threads, and an identifier or a figure of a customer must not.
Rows are counted as data rows: row 1 is the first one below the header. Where rows of one business
are aggregated, a finding about the result names the business's first row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.identifiers import PROFILES, Identifiers

MIN_ROWS = 50
MAX_COLUMN_NAME = 128
SHOWN_ROWS = 5


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with the data, where, and what to do about it.

    `rule` is a key for the sentence in other languages, `limit` what the rule demands, in signs.
    """

    file: str
    problem: str
    expected: str
    remedy: str
    column: str | None = None
    rows: list[int] = field(default_factory=list)
    count: int = 0
    rule: str = ""
    limit: str = ""

    def __str__(self) -> str:
        where = self.file
        if self.column is not None:
            where += f", column {self.column}"
        if self.count:
            numbers = ", ".join(map(str, self.rows))
            where += f", row {numbers}" if self.count == 1 else f", rows {numbers}"
            if self.count > len(self.rows):
                where += f", … ({self.count} rows)"
        lines = [
            f"{where}: {self.problem}.",
            f"Expected: {self.expected}.",
            f"Remedy: {self.remedy}.",
        ]
        return "\n     ".join(lines)


class DataError(Exception):
    """The data cannot be used; ``findings`` says everything that is wrong at once."""

    code = "data"

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = list(findings)
        super().__init__(self.findings)

    def __str__(self) -> str:
        n = len(self.findings)
        lines = [f"The data cannot be used: {n} problem{'s' if n > 1 else ''}."]
        lines += [f"  {i}. {finding}" for i, finding in enumerate(self.findings, 1)]
        if any(f.count for f in self.findings):
            lines.append("Row 1 is the first row below the header.")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The error as a JSON document."""
        return {"code": self.code, "findings": [asdict(f) for f in self.findings]}


Origin = npt.NDArray[np.int64] | None
"""For values that were aggregated: the first row behind each of them."""


def located(positions: npt.ArrayLike, origin: Origin = None) -> dict[str, Any]:
    """The ``rows`` and ``count`` of a finding from zero-based positions."""
    found = np.asarray(positions, dtype=np.int64)
    shown = found[:SHOWN_ROWS] if origin is None else origin[found[:SHOWN_ROWS]]
    return {"rows": (shown + 1).tolist(), "count": int(found.size)}


def check_names(file: str, names: Sequence[str]) -> Iterable[Finding]:
    """Column names are there, unique and printable."""
    for position, name in enumerate(names, 1):
        if not name:
            yield Finding(
                file,
                f"column number {position} has no name",
                "a header row that names every column",
                "add a header row or name the column",
                rule="column-name",
            )
        elif not name.isprintable() or len(name) > MAX_COLUMN_NAME:
            yield Finding(
                file,
                f"the name of column number {position} is malformed",
                f"at most {MAX_COLUMN_NAME} printable characters",
                "rename the column",
                rule="column-name",
            )
    for name in dict.fromkeys(n for n in names if n and names.count(n) > 1):
        yield Finding(
            file,
            f"the column name occurs {names.count(name)} times",
            "every column name once",
            "rename or remove the repeated columns",
            column=name,
            rule="column-repeated",
        )


def check_row_count(file: str, rows: int) -> Iterable[Finding]:
    """There are enough rows for statistics that say nothing about a single one."""
    if rows < MIN_ROWS:
        yield Finding(
            file,
            f"{rows} rows",
            f"at least {MIN_ROWS} rows",
            "bring a larger table: so few rows neither train a model nor hide in a total",
            rule="few-rows",
            limit=f"≥ {MIN_ROWS}",
        )


def check_identifiers(
    file: str,
    column: str,
    found: Identifiers,
    profiles: Sequence[str] = ("plain",),
    *,
    unique: bool = True,
) -> Iterable[Finding]:
    """Every row has an identifier that its profile accepts, and none has it twice.

    With ``unique`` off, rows of one identifier are left to an agreed aggregation.
    """
    if found.missing.size:
        yield Finding(
            file,
            "the identifier is missing",
            "an identifier in every row",
            "fill in the identifier or remove the row",
            column=column,
            rule="identifier-missing",
            **located(found.missing),
        )
    rejected = {rule: rows for rule, rows in found.rejected.items() if rows.size}
    if rejected:
        counts = ", ".join(f"{rule}: {rows.size}" for rule, rows in rejected.items())
        yield Finding(
            file,
            f"the identifier is malformed ({counts})",
            "; ".join(dict.fromkeys(PROFILES[profile].expected for profile in profiles)),
            "correct the identifier or remove the row",
            column=column,
            rule="identifier-malformed",
            limit=", ".join(profiles),
            **located(np.sort(np.concatenate(list(rejected.values())))),
        )
    if unique and found.duplicates.size:
        yield Finding(
            file,
            "the identifier occurs in an earlier row already (compared by the profile "
            f"{', '.join(profiles)})",
            "one row per identifier, or an agreed aggregation per column",
            "keep one row per business, for instance the latest, or agree on an aggregation",
            column=column,
            rule="identifier-repeated",
            **located(found.duplicates),
        )


def check_label(
    file: str,
    column: str,
    values: npt.NDArray[np.float64],
    not_numeric: npt.NDArray[np.int64],
    origin: Origin = None,
) -> Iterable[Finding]:
    """The label is 0 or 1 in every row, and both occur."""
    rule = "0 (repaid) or 1 (defaulted) in every row"
    wrong = np.union1d(
        not_numeric, np.flatnonzero(~np.isnan(values) & (values != 0) & (values != 1))
    )
    missing = np.setdiff1d(np.flatnonzero(np.isnan(values)), not_numeric)
    if missing.size:
        yield Finding(
            file,
            "the label is missing",
            rule,
            "fill in the outcome or remove the rows whose outcome is not known yet",
            column=column,
            rule="label-missing",
            **located(missing, origin),
        )
    if wrong.size:
        yield Finding(
            file,
            "the label is neither 0 nor 1",
            rule,
            "recode the label, or name another label column",
            column=column,
            rule="label-wrong",
            **located(wrong, origin),
        )
    known = values[(values == 0) | (values == 1)]
    if known.size and known.min() == known.max():
        yield Finding(
            file,
            f"every label is {known[0]:.0f}",
            "both classes, 0 and 1",
            "bring rows of the other class: there is nothing to tell apart",
            column=column,
            rule="label-one-class",
        )


def not_a_number(file: str, column: str, positions: npt.ArrayLike) -> Finding:
    """A column that should be numeric holds something else in these rows."""
    return Finding(
        file,
        "the value is not a number",
        "plain decimal numbers; empty, NA, N/A, NaN, null and none mean missing",
        "remove the column, turn its categories into numbers, or strip units and thousands "
        "separators",
        column=column,
        rule="not-a-number",
        **located(positions),
    )


def check_feature(
    file: str,
    column: str,
    values: npt.NDArray[np.float64],
    not_numeric: npt.NDArray[np.int64],
    origin: Origin = None,
) -> Iterable[Finding]:
    """A feature is numeric and finite, and varies."""
    if not_numeric.size:
        yield not_a_number(file, column, not_numeric)
        return
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        yield Finding(
            file,
            "the value is infinite",
            "finite numbers",
            "leave the value empty or correct it",
            column=column,
            rule="infinite",
            **located(infinite, origin),
        )
        return
    known = values[~np.isnan(values)]
    if values.size and not known.size:
        yield Finding(
            file,
            f"the column is empty in all {values.size} rows",
            "some values",
            "remove the column or fill it",
            column=column,
            rule="empty",
        )
    elif values.size > 1 and known.size == values.size and known.min() == known.max():
        # One value beside missing ones still varies: missing is a bin of its own.
        yield Finding(
            file,
            f"the column is constant in all {values.size} rows",
            "at least two different values, or some missing ones",
            "remove the column: it cannot tell businesses apart",
            column=column,
            rule="constant",
        )
