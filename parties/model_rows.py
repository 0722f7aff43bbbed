"""Rows to score, read from a file: identifiers and the few columns that a card needs.

Without the rules for tables that train a model: a file of applicants may have one row, and a column
may be constant. The other columns of the file are not read.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from parties.config import NodeConfig
from parties.errors import LocalError
from parties.list_keys import checked_keys


def own_rows(home: Path, card: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """The rows of the table that this node trained the model on, as it is now."""
    if card["table"] is None:
        config = NodeConfig.load(home)
        if config.data is None:
            raise LocalError(
                "no_data",
                "the node has no table",
                "name its file in node.json and start the node anew",
                step="load",
            )
        return read_rows(home / config.data, card["id_column"], card["columns"])
    from parties.data import DataError
    from parties.data.registry import Registry

    try:
        entry = Registry.load(home).find(card["table"])
        with entry.open(features=tuple(card["columns"]), labelled=False) as source:
            columns = {name: np.array(source.columns[name]) for name in card["columns"]}
            return [str(one) for one in source.ids], columns
    except DataError as exc:
        print(exc, file=sys.stderr)
        raise LocalError(
            "data",
            f"the party's own table has {len(exc.findings)} problem(s)",
            "the party's own log says which; correct the file and score again",
            step="load",
        ) from None


def read_rows(
    file: Path, id_column: str, columns: list[str], profile: str = "plain"
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
    keys = checked_keys(ids, profile)
    if len(set(keys)) != len(keys):
        raise wrong(
            f"{file.name}: {len(keys) - len(set(keys))} of {len(keys)} identifiers are repeated",
            "give each business once",
        )
    return list(keys), {name: numbers[:, k] for k, name in enumerate(columns)}


def unknown_applicant() -> LocalError:
    """Nobody of that identifier is in the asker's own table."""
    return wrong(
        "there is no row of this applicant",
        "give the identifier as the table has it, or its values with --file FILE",
    )


def wrong(cause: str, remedy: str) -> LocalError:
    """What is wrong with rows to be scored: columns and counts, never a value."""
    return LocalError("applicants", cause, remedy, step="data")
