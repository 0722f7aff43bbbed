"""A table of any SQL database, read in blocks of rows through SQLAlchemy.

Nothing is ever written. The messages of drivers quote statements, parameters and connection
strings; they are never passed on, only the kind of the error is.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from parties.data.check import DataError, Finding
from parties.data.location import Location

BLOCK_CELLS = 1 << 20
_NUMERIC = (int, float, decimal.Decimal, bool)
Block = dict[str, npt.NDArray[Any]]


class Database:
    """A table behind a URL: its column names and kinds, and its rows block by block."""

    def __init__(self, location: Location) -> None:
        self._location = location
        schema, _, table = location.table.rpartition(".")
        url = sa.make_url(location.url)
        file = url.database if url.get_backend_name() == "sqlite" else None
        try:
            if file and not file.startswith("file:") and not Path(file).exists():
                # SQLite would create it.
                raise _finding(location, "the database is not there", "an existing file")
            self._engine = sa.create_engine(url)
            inspector = sa.inspect(self._engine)
            columns = inspector.get_columns(table, schema or None)
            order = inspector.get_pk_constraint(table, schema or None)["constrained_columns"]
        except sa.exc.NoSuchTableError:
            raise _finding(location, "there is no such table", "a table or view") from None
        except (sa.exc.SQLAlchemyError, ImportError, OSError) as error:
            raise _unreadable(location, error) from None
        self.names = [str(column["name"]) for column in columns]
        self._numeric = {c["name"] for c in columns if _python_type(c["type"]) in _NUMERIC}
        self._order = order
        self._table = sa.table(
            table, *(sa.column(name) for name in self.names), schema=schema or None
        )

    def kinds(self) -> list[str]:
        """DuckDB's types of the columns: DOUBLE or VARCHAR."""
        return ["DOUBLE" if name in self._numeric else "VARCHAR" for name in self.names]

    def as_text(self, names: Sequence[str]) -> None:
        """Read these columns as text even where the database calls them numbers: an identifier
        keeps its leading zeros, and a column that holds something else can be examined."""
        self._numeric -= set(names)

    def blocks(self, order: Sequence[str]) -> Iterator[Block]:
        """The rows, c0, c1, … → one array per column and block, by primary key, else by `order`.

        Raises NotNumericError if a column that is declared as numbers holds something else.
        """
        by = [self._table.c[name] for name in self._order or order if name in self._table.c]
        query = sa.select(self._table).order_by(*by)
        size = max(1, BLOCK_CELLS // len(self.names))
        try:
            with self._engine.connect().execution_options(yield_per=size) as connection:
                for part in connection.execute(query).partitions(size):
                    yield self._block(part)
        except sa.exc.SQLAlchemyError as error:
            raise _unreadable(self._location, error) from None

    def close(self) -> None:
        """Give back the connections."""
        self._engine.dispose()

    def _block(self, rows: Sequence[Any]) -> Block:
        block: Block = {}
        for i, (name, cells) in enumerate(zip(self.names, zip(*rows, strict=True), strict=True)):
            if name in self._numeric:
                try:
                    block[f"c{i}"] = np.array(cells, dtype=np.float64)
                except (TypeError, ValueError):
                    raise NotNumericError(name) from None
            else:
                block[f"c{i}"] = np.array([*map(_text, cells)], dtype=object)
        return block


class NotNumericError(Exception):
    """A column that is declared as numbers holds something else; `args[0]` is its name."""


def _python_type(kind: Any) -> type | None:
    try:
        found: type = kind.python_type
    except NotImplementedError:
        return None
    return found


def _text(cell: Any) -> str | None:
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, datetime.date | datetime.time):
        return cell.isoformat()
    if isinstance(cell, bytes):
        return cell.hex()
    return str(cell)


def _finding(location: Location, problem: str, expected: str) -> DataError:
    return DataError([Finding(location.name, problem, expected, "check the URL and the table")])


def _unreadable(location: Location, error: Exception) -> DataError:
    kind = type(error).__name__
    if isinstance(error, ImportError | sa.exc.NoSuchModuleError):
        return DataError(
            [
                Finding(
                    location.name,
                    f"the database's driver is not installed ({kind})",
                    "the Python driver that the URL names",
                    "install it beside SEPC, for instance psycopg for postgresql+psycopg",
                )
            ]
        )
    return DataError(
        [
            Finding(
                location.name,
                f"the database cannot be read ({kind})",
                "a database that answers, and a user that may read the table",
                "check address, user, password and rights with the database's own client",
            )
        ]
    )
