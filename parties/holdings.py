"""What this party brings to a job, and its shape as a manifest states it.

A table is the node's own, named in `node.json`. Keyed lists and keys are brought for one job only,
by the order that this node's operator gave (`Order`).
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parties.config import NodeConfig
from parties.errors import LocalError
from parties.manifest import Input, Inputs, Manifest, Nothing
from parties.programs import Program


@dataclass(frozen=True)
class Order:
    """What the operator gave its own node for one job, besides the manifest; never on the bus.

    `keys` go to the worker through its standard input and to no file. `staged` is a file of the
    node's folder that becomes the job's `entries.npz`.
    """

    inputs: Input
    keys: tuple[str, ...] | None = None
    staged: Path | None = None

    def __repr__(self) -> str:
        return f"Order({self.inputs!r})"


def own_inputs(
    program: Program | None, manifest: Manifest, config: NodeConfig, home: Path, order: Order | None
) -> Input:
    """What this node would bring to a job; LocalError if its table cannot be used."""
    kind = program.kind(manifest.initiator == config.name) if program else "none"
    if kind == "table":
        if config.data is None or config.id_column is None:
            raise LocalError(
                "no_data",
                "the node has no table",
                "name its file and its identifier column in node.json, then start the node anew",
                step="load",
            )
        return load_inputs(home / config.data, config.id_column, config.label)[1]
    return order.inputs if order is not None else Nothing()


def bring_table(
    party: str, manifest: Manifest, parameters: Any, files: Mapping[str, str], keys: Any
) -> dict[str, Any]:
    """The party's table, and the shapes of everybody's, for a program over tables."""
    tables = manifest.tables
    own = tables[party]
    table, found = load_inputs(Path(files["table"]), own.id_column, own.label)
    if found != own:
        raise LocalError(
            "inputs",
            "the party's table is no longer the one that the manifest states",
            "leave the data in place while a job runs, or propose a new job",
        )
    return {
        "table": table,
        "inputs": {name: list(inputs.features) for name, inputs in tables.items()},
        "rows": {name: inputs.rows for name, inputs in tables.items()},
    }


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
