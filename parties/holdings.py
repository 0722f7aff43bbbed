"""What this party holds: its own table, and the table's shape as a manifest states it."""

import sys
from pathlib import Path
from typing import Any

from parties.errors import LocalError
from parties.manifest import Inputs


def load_inputs(data: Path, id_column: str, label: str | None) -> tuple[Any, Inputs]:
    """The table in the file `data`, and its shape; LocalError if it cannot be used.

    The error goes to every party of a job, so it only counts the problems. The findings, which
    name columns and rows, go to standard error, that is, to the party's own log.
    """
    # Imported here: a node that has no proposal to check needs no table reader.
    from parties.data import DataError, load_table

    try:
        table = load_table(data, id_column, label)
    except DataError as exc:
        print(exc, file=sys.stderr)
        raise LocalError(
            "data",
            f"the party's own table has {len(exc.findings)} problem(s)",
            "the party's own log says which; correct the file and propose the job again",
            step="load",
        ) from None
    return table, shape(table)


def shape(table: Any) -> Inputs:
    """What a manifest says about a table: names and a number of rows, never a value."""
    return Inputs(
        rows=table.rows,
        id_column=table.id_name,
        features=tuple(table.columns),
        label=table.label_name,
    )
