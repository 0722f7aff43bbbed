"""One CSV or Parquet file to a checked ``PartyTable``, read by DuckDB.

Everything is read as text first and cast column by column, so that a value that does not fit can
be named by its row, and identifiers keep their leading zeros.  DuckDB's own messages quote the
offending line; they are never passed on.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from parties.data.check import (
    DataError,
    Finding,
    check_feature,
    check_identifiers,
    check_label,
    check_names,
    check_row_count,
)
from protocols.table import PartyTable

SUFFIXES = (".csv", ".parquet")
_MISSING = "('', 'na', 'n/a', 'nan', 'null', 'none')"
_NUMBERS = re.compile(r"BOOLEAN|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL.*|FLOAT|DOUBLE")
_TEXT = re.compile(r"VARCHAR|ENUM.*")


def load_table(path: str | Path, id_name: str, label_name: str | None = None) -> PartyTable:
    """The table in ``path``, named after the file; raises ``DataError`` with every finding.

    A column ``label_name`` becomes the label if the file has one.
    """
    table, findings = inspect_table(path, id_name, label_name)
    if table is None:
        raise DataError(findings)
    return table


def inspect_table(
    path: str | Path, id_name: str, label_name: str | None = None
) -> tuple[PartyTable | None, list[Finding]]:
    """The table and no findings, or no table and all that is wrong with the file."""
    path = Path(path)
    try:
        with _File(path) as file:
            return _checked(file, id_name, label_name)
    except DataError as error:
        return None, error.findings


def column_names(path: str | Path) -> list[str]:
    """The names in the header of a file; raises ``DataError`` when it cannot be read."""
    with _File(Path(path)) as file:
        return file.names


def _checked(
    file: _File, id_name: str, label_name: str | None
) -> tuple[PartyTable | None, list[Finding]]:
    where = file.path.name
    findings = list(check_names(where, file.names))
    if findings:
        return None, findings
    file.read()
    findings += check_row_count(where, file.rows)
    ids: npt.NDArray[np.object_] = np.empty(0, dtype=object)
    if id_name in file.names:
        found, wrong = check_identifiers(where, id_name, file.text(id_name))
        ids = found.ids
        findings += wrong
    else:
        findings.append(_no_identifier(file, id_name))
    columns: dict[str, npt.NDArray[np.float64]] = {}
    label: npt.NDArray[np.int8] | None = None
    for name, values, not_numeric in file.numbers([n for n in file.names if n != id_name]):
        if name == label_name:
            problems = list(check_label(where, name, values, not_numeric))
            label = np.zeros(0, dtype=np.int8) if problems else values.astype(np.int8)
            findings += problems
        elif id_name not in file.names and not_numeric.size == file.rows:
            continue  # probably the identifier under another name: one finding is enough
        else:
            findings += check_feature(where, name, values, not_numeric)
            columns[name] = values
    if not columns and not findings:
        findings.append(
            Finding(
                where,
                "there is no feature column",
                "at least one numeric column besides identifier and label",
                "add the columns that describe the businesses",
            )
        )
    if findings:
        return None, findings
    named = label_name if label is not None else None
    return PartyTable(file.path.stem, id_name, ids, columns, named, label), []


def _no_identifier(file: _File, id_name: str) -> Finding:
    shown = ", ".join(file.names[:8]) + (", …" if len(file.names) > 8 else "")
    return Finding(
        file.path.name,
        f"there is no identifier column (the file has: {shown})",
        f"a column {id_name}",
        "rename the identifier column, or name it with --id",
        column=id_name,
    )


class _File:
    """An open file: the names in its header and, once read, its columns as text or numbers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        _check_path(path)
        # No extension is ever fetched: a data check must not open a network connection.
        self._db = duckdb.connect(
            ":memory:",
            config={"autoinstall_known_extensions": False, "autoload_known_extensions": False},
        )
        try:
            if path.suffix.lower() == ".csv":
                self._delimiter, self.names = _csv_header(path)
                self._kinds = ["VARCHAR"] * len(self.names)
            else:
                self.names, self._kinds = self._parquet_header()
        except duckdb.Error as error:
            self._db.close()
            raise DataError([_unreadable(path, str(error))]) from None
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def read(self) -> None:
        """Read all rows; DuckDB keeps their order."""
        aliases = ", ".join(f"c{i}" for i in range(len(self.names)))
        try:
            if self.path.suffix.lower() == ".csv":
                self._db.execute(
                    "CREATE TABLE rows AS SELECT * FROM read_csv(?, columns = ?, delim = ?, "
                    "quote = '\"', escape = '\"', header = true, auto_detect = false)",
                    [
                        str(self.path),
                        {f"c{i}": "VARCHAR" for i in range(len(self.names))},
                        self._delimiter,
                    ],
                )
            else:
                self._db.execute(
                    f"CREATE TABLE rows AS SELECT * FROM read_parquet(?) AS file({aliases})",
                    [str(self.path)],
                )
            count = self._db.execute("SELECT count(*) FROM rows").fetchone()
        except duckdb.Error as error:
            raise DataError([_unreadable(self.path, str(error))]) from None
        self.rows = int(count[0]) if count else 0

    def text(self, name: str) -> list[str | None]:
        """A column as text, missing values as None."""
        cell = f"CAST(c{self.names.index(name)} AS VARCHAR)"
        query = f"SELECT CASE WHEN lower(trim({cell})) IN {_MISSING} THEN NULL ELSE {cell} END"
        return [row[0] for row in self._db.execute(f"{query} FROM rows").fetchall()]

    def numbers(
        self, names: list[str]
    ) -> Iterator[tuple[str, npt.NDArray[np.float64], npt.NDArray[np.int64]]]:
        """Each column with its values as float64, NaN for missing, and the positions of cells
        that hold something else than a number."""
        if not names:
            return
        casts = ", ".join(self._cast(self.names.index(n), i) for i, n in enumerate(names))
        data = self._db.execute(f"SELECT {casts} FROM rows").fetchnumpy()
        for i, name in enumerate(names):
            values = np.ma.filled(np.ma.asarray(data[f"v{i}"], dtype=np.float64), np.nan)
            failed: npt.NDArray[np.int64] = np.flatnonzero(np.ma.filled(data[f"f{i}"], False))
            if failed.size:
                # Some of them may spell out that the value is missing.
                cells = self.text(name)
                failed = failed[[cells[row] is not None for row in failed]]
            yield name, values, failed

    def _cast(self, index: int, alias: int) -> str:
        """SQL for a column as a number, and for where that fails although there is something."""
        column, kind = f"c{index}", self._kinds[index]
        if _NUMBERS.fullmatch(kind) or _TEXT.fullmatch(kind):
            number = f"TRY_CAST({column} AS DOUBLE)"
        else:  # dates, lists, structures: not numbers, whatever they hold
            number = "CAST(NULL AS DOUBLE)"
        return f"{number} AS v{alias}, {column} IS NOT NULL AND {number} IS NULL AS f{alias}"

    def _parquet_header(self) -> tuple[list[str], list[str]]:
        schema = self._db.execute(
            "DESCRIBE SELECT * FROM read_parquet(?)", [str(self.path)]
        ).fetchall()
        described, kinds = [row[0] for row in schema], [row[1] for row in schema]
        # DESCRIBE renames repeated columns and would hide them; the file's own schema does not,
        # but it lists nested columns leaf by leaf.
        leaves = self._db.execute(
            "SELECT name FROM parquet_schema(?) WHERE num_children IS NULL OR num_children = 0",
            [str(self.path)],
        ).fetchall()
        flat = len(leaves) == len(described)
        return [row[0] for row in leaves] if flat else described, kinds


def _check_path(path: Path) -> None:
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


def _csv_header(path: Path) -> tuple[str, list[str]]:
    """The delimiter and the column names of a CSV file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            first = lines.readline()
            lines.seek(0)
            delimiter = max(",;\t|", key=first.count)
            names = next(csv.reader(lines, delimiter=delimiter), [])
    except UnicodeDecodeError:
        raise DataError([_unreadable(path, "invalid unicode")]) from None
    except (OSError, csv.Error) as error:
        raise DataError([_unreadable(path, type(error).__name__)]) from None
    return delimiter, [name.strip() for name in names]


def _unreadable(path: Path, message: str) -> Finding:
    line = re.search(r"Line: (\d+)", message)
    if re.search(r"unicode|utf-8|encod", message, re.IGNORECASE):
        return Finding(
            path.name,
            "the file is not UTF-8 text",
            "CSV in UTF-8",
            "save it again as UTF-8 (in a spreadsheet: “CSV UTF-8”), or as Parquet",
        )
    if line:
        return Finding(
            path.name,
            f"line {line[1]} does not fit the header (number of fields, or an unclosed quotation "
            "mark)",
            "as many fields in every line as in the header",
            "correct the line or export the table again",
        )
    return Finding(
        path.name,
        "the file cannot be read",
        f"a well-formed {path.suffix.lower().lstrip('.')} file that this user may read",
        "export the table again, and check its permissions",
    )
