"""`data.json` in a node's folder: the tables that the node's owner brings to jobs, by name.

It may hold a database's password, so only its owner can read it, and it is replaced as a whole:
whoever reads it sees the old list or the new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from parties.data.location import Location
from parties.data.prepare import Terms
from parties.data.reader import MEMORY_MIB
from parties.data.source import ColumnSource
from parties.errors import LocalError
from parties.manifest import Column, Strict, TableName, explain

DATA_FILE = "data.json"


class Entry(Strict):
    """One table: where it is, and the terms on which jobs read it. Paths are absolute.

    `features` are the only columns that jobs may read besides key, label and dates; None for all.
    """

    location: Annotated[str, Field(min_length=1)]
    key: Annotated[tuple[Column, ...], Field(min_length=1)]
    profile: tuple[str, ...] = ("plain",)
    label: Column | None = None
    aggregate: Mapping[Column, str] = {}
    schema_file: str | None = None
    features: tuple[Column, ...] | None = None

    def terms(self) -> Terms:
        """The terms, understood; DataError if they are not."""
        return Terms.of(
            self.key,
            self.label,
            profile=self.profile,
            aggregate=self.aggregate,
            schema=self.schema_file,
            features=self.features,
        )

    def open(
        self,
        memory_mib: int = MEMORY_MIB,
        features: Sequence[str] | None = None,
        labelled: bool = True,
    ) -> ColumnSource:
        """The table as a source of columns, of these features or all, with its label or without.

        Raises DataError if it cannot be used, LocalError for features that jobs may not read.
        """
        allowed = features if self.features is None else self.features
        closed = set(features or ()) - set(allowed or ())
        if closed or self.label in (features or ()):
            raise LocalError(
                "data_features",
                f"{len(closed) or 1} of the features are not among those that jobs may read",
                "ask for others, or have the owner register the table with them",
                step="load",
            )
        return ColumnSource(
            self.location,
            self.key,
            self.label if labelled else None,
            profile=self.profile,
            aggregate=self.aggregate,
            schema=self.schema_file,
            features=self.features if features is None else features,
            closed=() if self.label is None else (self.label,),
            memory_mib=memory_mib,
        )

    def shown(self) -> dict[str, object]:
        """The entry for a list: without the database's password."""
        return {**self.model_dump(mode="json"), "location": Location.of(self.location).shown}

    def __repr__(self) -> str:
        return f"Entry({Location.of(self.location).shown!r})"


class Registry(Strict):
    """The tables of one node, by name."""

    format: Literal["sepc-data/1"] = "sepc-data/1"
    tables: Mapping[TableName, Entry] = {}

    @classmethod
    def load(cls, home: Path) -> Registry:
        """The registry in `home`, empty if there is none; LocalError if it cannot be used."""
        try:
            return cls.model_validate_json((home / DATA_FILE).read_bytes())
        except FileNotFoundError:
            return cls()
        except (OSError, ValidationError) as exc:
            cause = exc.strerror if isinstance(exc, OSError) else explain(exc)
            raise LocalError(
                "data_registry", f"{home / DATA_FILE}: {cause}", "correct or remove the file"
            ) from None

    def find(self, name: str) -> Entry:
        """The table of a name; LocalError if there is none."""
        try:
            return self.tables[name]
        except KeyError:
            known = ", ".join(self.tables) or "none"
            raise LocalError(
                "data_unknown", f"no table {name} is registered (known: {known})", "sepc data add"
            ) from None

    def save(self, home: Path) -> None:
        """Replace the registry in `home`; LocalError if that fails."""
        text = json.dumps(self.model_dump(mode="json"), ensure_ascii=False, indent=2) + "\n"
        try:
            handle, name = tempfile.mkstemp(prefix=f".{DATA_FILE}-", dir=home)  # mode 0600
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(name, home / DATA_FILE)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name)
                raise
        except OSError as exc:
            raise LocalError(
                "data_registry",
                f"{home / DATA_FILE}: {exc.strerror}",
                "give an existing folder that this user may write",
            ) from None


def with_table(registry: Registry, name: str, entry: Entry, *, replace: bool) -> Registry:
    """The registry with one more table; LocalError if the name is taken or malformed."""
    if name in registry.tables and not replace:
        raise LocalError(
            "data_exists",
            f"a table {name} is registered already",
            "choose another name, or replace it with --replace",
        )
    try:
        return Registry.model_validate({"tables": {**registry.tables, name: entry}})
    except ValidationError as exc:
        raise LocalError(
            "data_name",
            f"the table cannot be registered: {explain(exc)}",
            "a name of letters, digits, _ . - that starts with a letter",
        ) from None


def without_table(registry: Registry, name: str) -> Registry:
    """The registry without a table; LocalError if it is not there. The table itself stays."""
    registry.find(name)
    return Registry(tables={n: entry for n, entry in registry.tables.items() if n != name})
