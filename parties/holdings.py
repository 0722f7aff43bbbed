"""What this party brings to a job, and its shape as a manifest states it.

A table is the node's own: one that `sepc data add` registered, if the manifest names it, or that of
`node.json`. Keyed lists and keys are brought for one job only,
by the order that this node's operator gave (`Order`).
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parties.config import NodeConfig
from parties.errors import LocalError
from parties.join_terms import task_of
from parties.manifest import Input, Inputs, Manifest, Nothing
from parties.programs import Program

if TYPE_CHECKING:
    from parties.data.source import ColumnSource


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
    role = manifest.role(config.name)
    kinds = program.kinds(manifest.initiator == config.name, role) if program else ("none",)
    if "submission" in kinds:
        from parties.stats.own import submission

        return submission(manifest, config.name, home)
    stated = manifest.inputs.get(config.name, Nothing())
    if "table" not in kinds:
        return order.inputs if order is not None else Nothing()
    if not isinstance(stated, Inputs) and "none" in kinds:
        return Nothing()
    with _opened(stated, home, config) as source:
        return shape(source, _name(stated))


def bring_table(
    party: str, manifest: Manifest, parameters: Any, files: Mapping[str, str], keys: Any
) -> dict[str, Any]:
    """The party's table, and the shapes of everybody's, for a program over tables."""
    tables = manifest.tables
    brought: dict[str, Any] = {
        "table": _brought(tables[party], files),
        "inputs": {name: list(inputs.features) for name, inputs in tables.items()},
        "rows": {name: inputs.rows for name, inputs in tables.items()},
    }
    if manifest.join is not None and not manifest.join.same_order:
        brought["join"] = {"same_order": False}
    return brought


def bring_join(
    party: str, manifest: Manifest, parameters: Any, files: Mapping[str, str], keys: Any
) -> dict[str, Any]:
    """The task for everybody; its identifiers, and a source of features if it has any, for an
    owner."""
    own = manifest.tables.get(party)
    source = None if own is None else _brought(own, files)
    return {
        "task": task_of(manifest),
        "ids": None if source is None else source.ids,
        "source": source if own is not None and own.features else None,
    }


def _brought(stated: Inputs, files: Mapping[str, str]) -> "ColumnSource":
    """The table as the manifest states it; it is read while the job runs, so it stays open."""
    home = Path(files["home"])
    source = _opened(stated, home, NodeConfig.load(home))
    problem = stated.problem(shape(source, stated.table))
    if problem is None:
        return source
    source.close()
    raise LocalError(
        "inputs",
        "the party's table is no longer the one that the manifest states",
        "leave the data in place while a job runs, or propose a new job",
    )


def _name(stated: Input) -> str | None:
    return stated.table if isinstance(stated, Inputs) else None


def _opened(stated: Input, home: Path, config: NodeConfig) -> "ColumnSource":
    """A registered table, where the manifest names one, or that of `node.json`.

    The error goes to every party of a job, so it only counts the problems. The findings, which
    name columns and rows, go to standard error, that is, to the party's own log.
    """
    # Imported here: a node that has no proposal to check needs no table reader.
    from parties.data import DataError
    from parties.data.registry import Registry
    from parties.data.source import ColumnSource

    try:
        if isinstance(stated, Inputs) and stated.table is not None:
            entry = Registry.load(home).find(stated.table)
            return entry.open(features=stated.features, labelled=stated.label is not None)
        if config.data is None or config.id_column is None:
            raise LocalError(
                "no_data",
                "the node has no table",
                "register one with sepc data add, or name its file and its identifier column in "
                "node.json and start the node anew",
                step="load",
            )
        return ColumnSource(home / config.data, config.id_column, config.label)
    except DataError as exc:
        print(exc, file=sys.stderr)
        raise LocalError(
            "data",
            f"the party's own table has {len(exc.findings)} problem(s)",
            "the party's own log says which; correct the file and propose the job again",
            step="load",
        ) from None


def shape(table: Any, named: str | None = None) -> Inputs:
    """What a manifest says about a table (registered as `named`): names and a number of rows, never
    a value."""
    terms = table.terms if named is not None else None
    return Inputs(
        rows=table.rows,
        table=named,
        id_column=table.id_name,
        profile=terms.profiles if terms else ("plain",),
        features=tuple(table.columns),
        label=table.label_name,
        aggregate={c: str(rule) for c, rule in terms.rules.items()} if terms else {},
    )
