"""Where a table is: a CSV or Parquet file, or a table of a database behind a URL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from parties.data.check import DataError, Finding

SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True, repr=False)
class Location:
    """A file (`path`), or `table` (with its schema, if any, before a dot) of the database `url`.

    `shown` is the location without password and query parameters, for lists and reports; `name`
    is what findings call the table.
    """

    name: str
    shown: str
    path: Path | None = None
    url: str = ""
    table: str = ""

    @property
    def stem(self) -> str:
        """The table's own short name: the file's without its suffix, or the table's."""
        return self.path.stem if self.path else self.table.rpartition(".")[2]

    @property
    def place(self) -> str:
        """The whole location as `of` takes it, wherever it is read from; with the password."""
        return str(self.path.absolute()) if self.path else f"{self.url}#{self.table}"

    def __repr__(self) -> str:
        # A default repr would print the URL's password into logs and tracebacks.
        return f"Location({self.shown!r})"

    @classmethod
    def of(cls, place: str | Path | Location) -> Location:
        """A path, or `URL#table` as SQLAlchemy writes URLs; DataError if it is neither."""
        if isinstance(place, Location):
            return place
        if "://" in str(place):
            return _database(str(place))
        path = Path(place)
        return cls(path.name, str(path), path=path)


def _database(place: str) -> Location:
    # Imported here: only tables in databases need it.
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    text, _, table = place.partition("#")
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        url = None
    if url is None or not table:
        # What was given may hold a password, so it is not repeated.
        raise DataError(
            [
                Finding(
                    "URL",
                    "the URL names no table" if url else "the URL cannot be read",
                    "dialect://user:password@host/database#table, or sqlite:///file.db#table",
                    "write the table or view behind #",
                )
            ]
        )
    relative = url.database and not url.database.startswith((":", "/", "file:"))
    if url.get_backend_name() == "sqlite" and relative:
        url = url.set(database=str(Path(url.database or "").absolute()))
    shown = url.set(query={}).render_as_string(hide_password=True)
    return Location(
        f"table {table}", f"{shown}#{table}", url=url.render_as_string(hide_password=False),
        table=table,
    )
