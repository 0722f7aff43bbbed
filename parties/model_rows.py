"""Rows to score, read from a file: identifiers and the few columns that a card needs.

Without the rules for tables that train a model: a file of applicants may have one row, and a column
may be constant. The other columns of the file are not read.
"""

from pathlib import Path
from typing import Any

from parties.errors import LocalError
from parties.list_keys import checked_keys


def read_rows(
    file: Path, id_column: str, columns: list[str]
) -> tuple[list[str], dict[str, Any]]:
    """Identifiers of a file's rows, each at most once, and numbers of these columns (NaN where
    empty); LocalError that names columns and counts rows."""
    from parties.data.reader import Reader

    with Reader(file) as reader:
        missing = [name for name in (id_column, *columns) if name not in reader.names]
        if missing:
            raise wrong(
                f"{file.name}: there is no column {', '.join(missing)}",
                "give every feature of the card that this party owns; leave unknown values empty",
            )
        reader.stage()
        ids = [one or "" for (piece,) in reader.texts([id_column]) for one in piece]
        for name in columns:
            bad = len(reader.positions(reader.unfit(name, reader.number(name))))
            if bad:
                raise wrong(
                    f"{file.name}, column {name}: {bad} of {len(ids)} values are not numbers",
                    "write numbers, and leave unknown values empty",
                )
        numbers = reader.numbers(columns)
    if not ids:
        raise wrong(f"{file.name} has no rows", "give at least one row")
    keys = checked_keys(ids, "plain")
    if len(set(keys)) != len(keys):
        raise wrong(
            f"{file.name}: {len(keys) - len(set(keys))} of {len(keys)} identifiers are repeated",
            "give each business once",
        )
    return list(keys), {name: numbers[:, k] for k, name in enumerate(columns)}


def wrong(cause: str, remedy: str) -> LocalError:
    """What is wrong with rows to be scored: columns and counts, never a value."""
    return LocalError("applicants", cause, remedy, step="data")
