"""CSV and Parquet files before DuckDB sees them, and what its complaints about them mean."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from parties.data.check import DataError, Finding
from parties.data.location import SUFFIXES, Location


def check_path(path: Path) -> None:
    """Whether the path leads to a CSV or Parquet file; DataError if not."""

    def refuse(problem: str, expected: str, remedy: str) -> None:
        raise DataError([Finding(path.name, problem, expected, remedy)])

    if not path.exists():
        refuse("the file is not there", f"a file {path}", "check the path")
    if not path.is_file():
        refuse("this is not a file", "a CSV or Parquet file", "check the path")
    if path.suffix.lower() not in SUFFIXES:
        refuse("the file is of an unknown kind", "a name ending in .csv or .parquet", "export it")
    if path.stat().st_size == 0:
        refuse("the file is empty", "a header and data rows", "export the table again")
    if any(c in str(path) for c in "*?["):
        # DuckDB would read the path as a pattern, and perhaps other files than this one.
        refuse("the path contains one of * ? [", "a path without them", "rename the folder or file")


def csv_header(path: Path) -> tuple[str, list[str]]:
    """The delimiter and the column names of a CSV file; DataError if it cannot be read."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            first = lines.readline()
            lines.seek(0)
            delimiter = max(",;\t|", key=first.count)
            names = next(csv.reader(lines, delimiter=delimiter), [])
    except UnicodeDecodeError:
        raise DataError([unreadable(Location.of(path), "invalid unicode")]) from None
    except (OSError, csv.Error) as error:
        raise DataError([unreadable(Location.of(path), type(error).__name__)]) from None
    return delimiter, [name.strip() for name in names]


def unreadable(location: Location, message: str) -> Finding:
    """What DuckDB's message says, without a word of it: it may quote the offending line."""
    line = re.search(r"Line: (\d+)", message)
    if re.search(r"unicode|utf-8|encod", message, re.IGNORECASE):
        return Finding(
            location.name,
            "the file is not UTF-8 text",
            "CSV in UTF-8",
            "save it again as UTF-8 (in a spreadsheet: “CSV UTF-8”), or as Parquet",
        )
    if line:
        return Finding(
            location.name,
            f"line {line[1]} does not fit the header (number of fields, or an unclosed quotation "
            "mark)",
            "as many fields in every line as in the header",
            "correct the line or export the table again",
        )
    kind = location.path.suffix.lower().lstrip(".") if location.path else "database"
    return Finding(
        location.name,
        "the table cannot be read" if kind == "database" else "the file cannot be read",
        f"a well-formed {kind} file that this user may read"
        if location.path
        else "a table that this user may read",
        "export the table again, and check its permissions",
    )
