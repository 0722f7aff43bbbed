"""A whole table in memory: one CSV or Parquet file, or a database's table, as a `PartyTable`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from parties.data.check import DataError, Finding
from parties.data.location import SUFFIXES, Location
from parties.data.prepare import Aggregates
from parties.data.reader import Reader
from parties.data.source import ColumnSource
from parties.data.standard import Standard
from protocols.table import PartyTable

__all__ = ["SUFFIXES", "column_names", "inspect_table", "load_table"]


def load_table(
    place: str | Path | Location,
    id_name: str | Sequence[str],
    label_name: str | None = None,
    *,
    profile: str | Sequence[str] = "plain",
    aggregate: Aggregates = None,
    schema: str | Path | Standard | None = None,
) -> PartyTable:
    """The table in ``place``, named after the file; raises ``DataError`` with every finding.

    A column ``label_name`` becomes the label if the file has one. The other arguments are those
    of ``ColumnSource``.
    """
    with ColumnSource(
        place, id_name, label_name, profile=profile, aggregate=aggregate, schema=schema
    ) as source:
        return source.table()


def inspect_table(
    path: str | Path, id_name: str, label_name: str | None = None
) -> tuple[PartyTable | None, list[Finding]]:
    """The table and no findings, or no table and all that is wrong with the file."""
    try:
        return load_table(path, id_name, label_name), []
    except DataError as error:
        return None, error.findings


def column_names(path: str | Path) -> list[str]:
    """The names in the header of a file; raises ``DataError`` when it cannot be read."""
    with Reader(path) as reader:
        return reader.names
