"""A table as DuckDB sees it: a view `cells` of columns c0, c1, … and the row number `row`.

A Parquet file is read where it lies, column by column as they are asked for. CSV files, which
have to be parsed as a whole, and tables of databases are staged once in a table of DuckDB's own;
what exceeds the memory limit of that goes to a private folder, deleted at the end. `row` (from 0)
fixes the order of rows: it is the order of the file. DuckDB promises to keep it in plain
projections, but its optimiser may turn an IN list into a join, which does not (duckdb#24398); so
that rule of it is off, and nothing here trusts the order of a result without `row`.

Text is cast cell by cell, so that a value that does not fit can be named by its row, and
identifiers keep their leading zeros. DuckDB's own messages quote the offending line; they are
never passed on.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from parties.data.check import DataError, Finding
from parties.data.files import check_path, csv_header, unreadable
from parties.data.location import Location

MEMORY_MIB = 1024
"""What DuckDB may hold unless told otherwise. One block of columns comes on top."""
_MIB_PER_THREAD = 256
"""Every further thread takes some 100 MiB that DuckDB does not count towards its limit."""

_MISSING = "('', 'na', 'n/a', 'nan', 'null', 'none')"
_FLOATS = re.compile(r"FLOAT|DOUBLE")
_NUMBERS = re.compile(r"BOOLEAN|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL.*|FLOAT|DOUBLE")
_TEXT = re.compile(r"VARCHAR|ENUM.*")
_DATES = re.compile(r"DATE|TIMESTAMP.*")
_DATE_FORMATS = "['%Y-%m', '%Y/%m/%d', '%Y/%m', '%Y%m%d', '%Y%m']"
_PIECE = 1 << 19
_GROUP_BYTES = 16 << 20


class Reader:
    """An open table: column names, DuckDB's types, and SQL for its cells.

    `keys` names the identifier columns: a database hands them over as text, and they fix the order
    of its rows if the table has no primary key. Raises DataError if the table cannot be opened.
    """

    def __init__(
        self,
        place: str | Path | Location,
        *,
        memory_mib: int = MEMORY_MIB,
        keys: Sequence[str] = (),
    ) -> None:
        self.location = Location.of(place)
        self.name = self.location.name
        self._lock = threading.Lock()
        self._keys = tuple(keys)
        self._rows: int | None = None
        self._staged = False
        self._database: Any = None
        if self.location.path is not None:
            check_path(self.location.path)
        self._spill = tempfile.TemporaryDirectory(prefix="sepc-data-")
        # No extension is ever fetched: a data check must not open a network connection.
        self._db = duckdb.connect(
            ":memory:",
            config={
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "memory_limit": f"{memory_mib}MiB",
                # Reads ahead of a busy machine's threads do not count towards the limit either.
                "async_threads": 0,
                "threads": max(1, min(os.cpu_count() or 1, memory_mib // _MIB_PER_THREAD)),
                "temp_directory": self._spill.name,
                "preserve_insertion_order": True,
                "disabled_optimizers": "in_clause",
            },
        )
        try:
            self._open()
        except duckdb.Error as error:
            self.close()
            raise self._unreadable(error) from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the table and delete what was staged of it."""
        if self._database is not None:
            self._database.close()
        self._db.close()
        self._spill.cleanup()

    # --- the table ---

    @property
    def rows(self) -> int:
        """Number of rows; the first call reads the table as far as that needs."""
        if self._rows is None:
            self.stage()
            self._rows = int(self.one("SELECT count(*) FROM cells")[0])
        return self._rows

    def stage(self) -> None:
        """Make `cells`; needed once, before anything but the header is read."""
        path = self.location.path
        if self._staged:
            return
        self._staged = True
        columns = ", ".join(f"c{i}" for i in range(len(self.names)))
        if path is None:
            self._stage_database()
        elif path.suffix.lower() == ".csv":
            self.run(
                "CREATE TABLE staged AS SELECT * FROM read_csv(?, columns = ?, delim = ?, "
                "quote = '\"', escape = '\"', header = true, auto_detect = false)",
                [
                    str(path),
                    {f"c{i}": "VARCHAR" for i in range(len(self.names))},
                    self._delimiter,
                ],
            )
        else:
            literal = str(path).replace("'", "''")
            self.run(
                "CREATE VIEW cells AS SELECT * FROM read_parquet("
                f"'{literal}', file_row_number = true) AS file({columns}, row)"
            )
            return
        self.run(f"CREATE VIEW cells AS SELECT {columns}, rowid AS row FROM staged")

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """A statement without a result."""
        with self._lock, self._errors():
            self._db.execute(sql, list(parameters))

    def one(self, sql: str) -> tuple[Any, ...]:
        """The only row of a query."""
        with self._lock, self._errors():
            row = self._db.execute(sql).fetchone()
        assert row is not None
        return row

    def all(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query with a small result."""
        with self._lock, self._errors():
            return self._db.execute(sql).fetchall()

    def arrays(self, sql: str) -> list[npt.NDArray[Any]]:
        """The columns of a query; masked where they may be missing."""
        with self._lock, self._errors():
            return [*self._db.execute(sql).fetchnumpy().values()]

    def insert(self, table: str, columns: dict[str, npt.NDArray[Any]]) -> None:
        """Append arrays to a table by the names of its columns."""
        with self._lock, self._errors():
            self._db.register("arriving", columns)
            self._db.execute(f"INSERT INTO {table} BY NAME SELECT * FROM arriving")
            self._db.unregister("arriving")

    def texts(self, names: Sequence[str]) -> Iterator[list[list[str | None]]]:
        """The cells of some columns as text, missing ones None: pieces of the table in the order
        of its rows, each as one list per column."""
        cells = ", ".join(f"{self.text(name)} AS t{i}" for i, name in enumerate(names))
        # Every piece costs a look through the file, so a large table is read in a few of them.
        size = max(_PIECE, -(-self.rows // 8))
        for start in range(0, self.rows, size):
            row, *columns = self.arrays(
                f"SELECT row, {cells} FROM cells WHERE row >= {start} AND row < {start + size}"
            )
            yield [_placed(row - start, column) for column in columns]

    def numbers(self, names: Sequence[str]) -> npt.NDArray[np.float64]:
        """The cells of some columns as an array (rows, len(names)): NaN for missing ones and for
        what is not a number."""
        out = np.empty((self.rows, len(names)))
        # Wide blocks go in groups of columns, so that DuckDB's copy of the result stays small.
        size = max(1, _GROUP_BYTES // max(8 * self.rows, 1))
        for first in range(0, len(names), size):
            part = names[first : first + size]
            cells = ", ".join(f"{self.number(n)} AS v{i}" for i, n in enumerate(part))
            row, *columns = self.arrays(f"SELECT row, {cells} FROM cells")
            for i, values in enumerate(columns, first):
                out[row, i] = np.ma.filled(values, np.nan)
        return out

    def positions(self, condition: str) -> npt.NDArray[np.int64]:
        """The numbers of the rows that fulfil a condition."""
        self.stage()
        found = self.arrays(f"SELECT row FROM cells WHERE {condition} ORDER BY row")[0]
        return np.asarray(found, dtype=np.int64)

    # --- SQL for cells ---

    def kind(self, name: str) -> str:
        """DuckDB's type of a column."""
        return self._kinds[self.names.index(name)]

    def numeric(self, name: str) -> bool:
        """Whether the type of the column admits numbers only."""
        return _NUMBERS.fullmatch(self.kind(name)) is not None

    def column(self, name: str) -> str:
        """A column's name in `cells`."""
        return f"c{self.names.index(name)}"

    def text(self, name: str) -> str:
        """The cell as text, NULL where it is missing."""
        cell = f"CAST({self.column(name)} AS VARCHAR)"
        return f"CASE WHEN lower(trim({cell})) IN {_MISSING} THEN NULL ELSE {cell} END"

    def number(self, name: str) -> str:
        """The cell as DOUBLE, NULL where it is missing or not a number."""
        column, kind = self.column(name), self.kind(name)
        if _FLOATS.fullmatch(kind):
            return f"CASE WHEN isnan({column}) THEN NULL ELSE CAST({column} AS DOUBLE) END"
        if _NUMBERS.fullmatch(kind):
            return f"CAST({column} AS DOUBLE)"
        if _TEXT.fullmatch(kind):
            number = f"TRY_CAST({column} AS DOUBLE)"
            return f"CASE WHEN isnan({number}) THEN NULL ELSE {number} END"
        # Dates, lists, structures: not numbers, whatever they hold.
        return "CAST(NULL AS DOUBLE)"

    def date(self, name: str) -> str:
        """The cell as TIMESTAMP (YYYY-MM-DD with or without time, YYYY-MM, YYYYMMDD, YYYYMM, also
        with slashes), NULL where it is missing or not a date."""
        column = self.column(name)
        if _DATES.fullmatch(self.kind(name)):
            return f"CAST({column} AS TIMESTAMP)"
        cell = f"trim(CAST({column} AS VARCHAR))"
        if _FLOATS.fullmatch(self.kind(name)):
            cell = f"CAST(TRY_CAST({column} AS BIGINT) AS VARCHAR)"
        return (
            f"COALESCE(TRY_CAST({cell} AS TIMESTAMP), try_strptime({cell}, {_DATE_FORMATS}))"
        )

    def known(self, name: str) -> str:
        """The condition that the cell is not missing."""
        if _FLOATS.fullmatch(self.kind(name)):
            return f"({self.column(name)} IS NOT NULL AND NOT isnan({self.column(name)}))"
        if _TEXT.fullmatch(self.kind(name)):
            return f"({self.text(name)}) IS NOT NULL"
        return f"{self.column(name)} IS NOT NULL"

    def unfit(self, name: str, cast: str) -> str:
        """The condition that the cell is not missing but NULL under a cast to another type."""
        return f"(({cast}) IS NULL AND {self.known(name)})"

    # --- opening ---

    def _open(self) -> None:
        path = self.location.path
        if path is None:
            # Imported here: only tables in databases need it.
            from parties.data.database import Database

            self._database = Database(self.location)
            self._database.as_text(self._keys)
            self.names, self._kinds = self._database.names, self._database.kinds()
        elif path.suffix.lower() == ".csv":
            self._delimiter, self.names = csv_header(path)
            self._kinds = ["VARCHAR"] * len(self.names)
        else:
            self.names, self._kinds = self._parquet_header(path)

    def _stage_database(self) -> None:
        from parties.data.database import NotNumericError

        while True:
            self.run("DROP TABLE IF EXISTS staged")
            self._kinds = self._database.kinds()
            columns = ", ".join(f"c{i} {kind}" for i, kind in enumerate(self._kinds))
            self.run(f"CREATE TABLE staged({columns})")
            try:
                for block in self._database.blocks(self._keys):
                    self.insert("staged", block)
                break
            except NotNumericError as error:
                # SQLite keeps what it is given, whatever type was declared.
                self._database.as_text([error.args[0]])

    def _parquet_header(self, path: Path) -> tuple[list[str], list[str]]:
        schema = self._db.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
        described, kinds = [row[0] for row in schema], [row[1] for row in schema]
        # DESCRIBE renames repeated columns and would hide them; the file's own schema does not,
        # but it lists nested columns leaf by leaf.
        leaves = self._db.execute(
            "SELECT name FROM parquet_schema(?) WHERE num_children IS NULL OR num_children = 0",
            [str(path)],
        ).fetchall()
        flat = len(leaves) == len(described)
        return [row[0] for row in leaves] if flat else described, kinds

    def _errors(self) -> _Translated:
        return _Translated(self)

    def _unreadable(self, error: Exception) -> DataError:
        if isinstance(error, duckdb.OutOfMemoryException):
            return DataError(
                [
                    Finding(
                        self.name,
                        "reading the table needs more memory than it may take",
                        "a memory limit that holds the widest step",
                        "raise the memory limit, or free space in the folder for temporary files",
                    )
                ]
            )
        return DataError([unreadable(self.location, str(error))])


def _placed(row: npt.NDArray[np.int64], texts: npt.NDArray[Any]) -> list[str | None]:
    """Texts in the order of their rows, None where they are masked."""
    out = np.empty(len(row), dtype=object)
    out[row] = np.ma.getdata(texts)
    out[row[np.ma.getmaskarray(texts)]] = None
    found: list[str | None] = out.tolist()
    return found


class _Translated:
    """Turns DuckDB's errors into DataError without a word of their messages."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, duckdb.Error):
            raise self._reader._unreadable(error) from None
