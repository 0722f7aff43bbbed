"""The owner's keyed list, read from a file. Errors count what is wrong, and name columns only."""

import csv
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from parties.data.load import column_names
from parties.list_keys import SEPARATOR, wrong_list
from protocols.identifiers import PROFILES, normalise
from protocols.pir_table import CATEGORIES, DATES, EPOCH, PAYLOAD_LIMIT, SEVERITIES, Entries


@dataclass(frozen=True)
class Columns:
    """Which columns of a file hold what; severity, category and date may be absent from it."""

    key: str
    severity: str = "severity"
    category: str = "category"
    date: str = "date"
    payload: tuple[str, ...] = ()


def read_list(path: Path, columns: Columns, profile: str) -> Entries:
    """The list in a CSV or Parquet file, its keys normalised by `profile`.

    A file without a column for severity or category means 0, without a date the day 1900-01-01,
    which answers show as no date. Raises `parties.data.DataError` for a file that cannot be read
    and LocalError for what cannot go onto a list.
    """
    if profile not in PROFILES:
        raise wrong_list(f"identifier profile {profile}", f"use one of {', '.join(PROFILES)}")
    names = column_names(path)
    for needed in (columns.key, *columns.payload):
        if needed not in names:
            raise wrong_list(f"{path.name} has no column {needed}", "name one that the file has")
    rows = _rows(path, names)
    keys = normalise(_column(rows, names, columns.key), profile)
    found = {"missing": keys.missing.size, "repeated": keys.duplicates.size}
    found |= {rule: where.size for rule, where in keys.rejected.items()}
    if any(found.values()):
        counts = ", ".join(f"{count} {what}" for what, count in found.items() if count)
        raise wrong_list(
            f"{path.name}, column {columns.key}: keys that cannot be used ({counts})",
            f"every key once: {PROFILES[profile].expected}",
        )
    return Entries(
        keys.ids.tolist(),
        _numbers(rows, names, columns.severity, SEVERITIES),
        _numbers(rows, names, columns.category, CATEGORIES),
        _dates(rows, names, columns.date),
        _payloads(rows, names, columns.payload),
    )


def raw_keys(path: Path, column: str | None) -> list[str | None]:
    """Keys as they are written: a column of a CSV or Parquet file, or the lines of a text."""
    if path.suffix.lower() in (".csv", ".parquet"):
        names = column_names(path)
        if column is not None and column not in names:
            raise wrong_list(f"{path.name} has no column {column}", "name one that the file has")
        return _column(_rows(path, names), names, column or names[0])
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as exc:
        raise wrong_list(f"{path.name} cannot be read ({type(exc).__name__})", "check it") from None


def _rows(path: Path, names: Sequence[str]) -> list[tuple[str | None, ...]]:
    """All rows as text, empty cells as None."""
    try:
        if path.suffix.lower() == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as lines:
                delimiter = max(",;\t|", key=lines.readline().count)
                lines.seek(0)
                rows = list(csv.reader(lines, delimiter=delimiter, strict=True))[1:]
            rows = [row for row in rows if row]
            if any(len(row) != len(names) for row in rows):
                raise csv.Error
            return [tuple(cell or None for cell in row) for row in rows]
        with duckdb.connect(":memory:") as db:
            cells = ", ".join(f"CAST(c{i} AS VARCHAR)" for i in range(len(names)))
            aliases = ", ".join(f"c{i}" for i in range(len(names)))
            query = f"SELECT {cells} FROM read_parquet(?) AS file({aliases})"
            return db.execute(query, [str(path)]).fetchall()
    except (OSError, UnicodeDecodeError, csv.Error, duckdb.Error) as exc:
        raise wrong_list(
            f"{path.name} cannot be read ({type(exc).__name__})",
            "give a well-formed CSV file in UTF-8, or Parquet",
        ) from None


def _column(
    rows: Sequence[tuple[str | None, ...]], names: Sequence[str], name: str
) -> list[str | None]:
    index = names.index(name)
    return [row[index] for row in rows]


def _numbers(rows: Any, names: Sequence[str], name: str, limit: int) -> np.ndarray:
    if name not in names:
        return np.zeros(len(rows), np.int64)
    values = np.full(len(rows), -1)
    for i, text in enumerate(_column(rows, names, name)):
        with suppress(ValueError):
            values[i] = min(int(text or ""), limit)
    wrong = int(((values < 0) | (values >= limit)).sum())
    if wrong:
        raise wrong_list(
            f"column {name}: {wrong} values are not whole numbers from 0 to {limit - 1}",
            "number severities and categories, and say what the numbers mean elsewhere",
        )
    return values


def _dates(rows: Any, names: Sequence[str], name: str) -> np.ndarray:
    if name not in names:
        return np.full(len(rows), np.datetime64(EPOCH))
    days = np.full(len(rows), np.datetime64("NaT"), "datetime64[D]")
    for i, text in enumerate(_column(rows, names, name)):
        with suppress(ValueError):
            days[i] = np.datetime64((text or "")[:10], "D") if text else np.datetime64(EPOCH)
    number = (days - np.datetime64(EPOCH)).astype(np.int64)
    wrong = int((np.isnat(days) | (number < 0) | (number >= DATES)).sum())
    if wrong:
        raise wrong_list(
            f"column {name}: {wrong} values are not dates", "write dates as YYYY-MM-DD"
        )
    return days


def _payloads(rows: Any, names: Sequence[str], wanted: Sequence[str]) -> list[bytes]:
    columns = [[text or "" for text in _column(rows, names, name)] for name in wanted]
    if any(SEPARATOR in text or "\0" in text for column in columns for text in column):
        raise wrong_list("payload values contain control characters", "remove them")
    payloads = [SEPARATOR.join(row).encode() for row in zip(*columns, strict=True)]
    payloads = payloads or [b""] * len(rows)
    too_long = sum(len(p) > PAYLOAD_LIMIT for p in payloads)
    if too_long:
        raise wrong_list(
            f"{too_long} records have more than {PAYLOAD_LIMIT} bytes of payload",
            "name fewer payload columns, or shorten their values",
        )
    return payloads
