"""The rules that data must meet, as functions from columns to findings.

A finding names file, column and row numbers, never a value: findings end up in terminals, logs
and support threads, and an identifier or a figure of a customer must not.
Rows are counted as data rows: row 1 is the first one below the header.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

MIN_ROWS = 50
MAX_IDENTIFIER = 64
MAX_COLUMN_NAME = 128
_SHOWN_ROWS = 5


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with the data, where, and what to do about it."""

    file: str
    problem: str
    expected: str
    remedy: str
    column: str | None = None
    rows: list[int] = field(default_factory=list)
    count: int = 0

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


def located(positions: npt.ArrayLike) -> dict[str, Any]:
    """The ``rows`` and ``count`` of a finding from zero-based positions."""
    numbers = np.asarray(positions, dtype=np.int64) + 1
    return {"rows": numbers[:_SHOWN_ROWS].tolist(), "count": int(numbers.size)}


def normalise_identifier(text: str) -> str:
    """The form in which identifiers are compared: full width to half width (NFKC), no
    surrounding white space, upper case."""
    return unicodedata.normalize("NFKC", text).strip().upper()


def check_names(file: str, names: Sequence[str]) -> Iterable[Finding]:
    """Column names are there, unique and printable."""
    for position, name in enumerate(names, 1):
        if not name:
            yield Finding(
                file,
                f"column number {position} has no name",
                "a header row that names every column",
                "add a header row or name the column",
            )
        elif not name.isprintable() or len(name) > MAX_COLUMN_NAME:
            yield Finding(
                file,
                f"the name of column number {position} is malformed",
                f"at most {MAX_COLUMN_NAME} printable characters",
                "rename the column",
            )
    for name in dict.fromkeys(n for n in names if n and names.count(n) > 1):
        yield Finding(
            file,
            f"the column name occurs {names.count(name)} times",
            "every column name once",
            "rename or remove the repeated columns",
            column=name,
        )


def check_row_count(file: str, rows: int) -> Iterable[Finding]:
    """There are enough rows for statistics that say nothing about a single one."""
    if rows < MIN_ROWS:
        yield Finding(
            file,
            f"{rows} rows",
            f"at least {MIN_ROWS} rows",
            "bring a larger table: so few rows neither train a model nor hide in a total",
        )


def check_identifiers(
    file: str, column: str, raw: Sequence[str | None]
) -> tuple[npt.NDArray[np.object_], list[Finding]]:
    """Normalised identifiers, and what is wrong with them."""
    ids = np.array([normalise_identifier(i) if i is not None else "" for i in raw], dtype=object)
    missing, malformed, repeated = [], [], []
    seen: dict[str, int] = {}
    for row, identifier in enumerate(ids):
        if not identifier:
            missing.append(row)
        elif _is_malformed(identifier):
            malformed.append(row)
        elif seen.setdefault(identifier, row) != row:
            repeated.append(row)
    findings = []
    if missing:
        findings.append(
            Finding(
                file,
                "the identifier is missing",
                "an identifier in every row",
                "fill in the identifier or remove the row",
                column=column,
                **located(missing),
            )
        )
    if malformed:
        findings.append(
            Finding(
                file,
                "the identifier is malformed",
                f"at most {MAX_IDENTIFIER} characters, without white space or control characters "
                "inside",
                "correct the identifier or remove the row",
                column=column,
                **located(malformed),
            )
        )
    if repeated:
        findings.append(
            Finding(
                file,
                "the identifier occurs in an earlier row already (compared in half width and "
                "upper case, without surrounding white space)",
                "one row per identifier",
                "keep one row per business, for instance the latest",
                column=column,
                **located(repeated),
            )
        )
    return ids, findings


def _is_malformed(identifier: str) -> bool:
    if len(identifier) > MAX_IDENTIFIER:
        return True
    if identifier.isascii() and identifier.isalnum():
        return False
    return any(c.isspace() or unicodedata.category(c).startswith("C") for c in identifier)


def check_label(
    file: str, column: str, values: npt.NDArray[np.float64], not_numeric: npt.NDArray[np.int64]
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
            **located(missing),
        )
    if wrong.size:
        yield Finding(
            file,
            "the label is neither 0 nor 1",
            rule,
            "recode the label, or name another label column",
            column=column,
            **located(wrong),
        )
    known = values[(values == 0) | (values == 1)]
    if known.size and known.min() == known.max():
        yield Finding(
            file,
            f"every label is {known[0]:.0f}",
            "both classes, 0 and 1",
            "bring rows of the other class: there is nothing to tell apart",
            column=column,
        )


def check_feature(
    file: str, column: str, values: npt.NDArray[np.float64], not_numeric: npt.NDArray[np.int64]
) -> Iterable[Finding]:
    """A feature is numeric and finite, and varies."""
    if not_numeric.size:
        yield Finding(
            file,
            "the value is not a number",
            "plain decimal numbers; empty, NA, N/A, NaN, null and none mean missing",
            "remove the column, turn its categories into numbers, or strip units and thousands "
            "separators",
            column=column,
            **located(not_numeric),
        )
        return
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        yield Finding(
            file,
            "the value is infinite",
            "finite numbers",
            "leave the value empty or correct it",
            column=column,
            **located(infinite),
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
        )
    elif values.size > 1 and known.size == values.size and known.min() == known.max():
        # One value beside missing ones still varies: missing is a bin of its own.
        yield Finding(
            file,
            f"the column is constant in all {values.size} rows",
            "at least two different values, or some missing ones",
            "remove the column: it cannot tell businesses apart",
            column=column,
        )
