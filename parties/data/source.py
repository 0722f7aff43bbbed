"""A party's table as a source of columns: checked once, then read block by block.

In memory stay the identifiers, one label per business, and what the reader's limit admits; the
features stay where they are. Every block has the same rows in the same order.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from parties.data.check import DataError, Finding
from parties.data.location import Location
from parties.data.prepare import Aggregates, Prepared, Terms
from parties.data.reader import MEMORY_MIB, Reader
from parties.data.standard import Standard
from protocols.identifiers import Report
from protocols.table import PartyTable


class ColumnSource:
    """The columns that a party brings to a job, from a CSV or Parquet file or a database.

    Opening it normalises the identifiers under `profile` (one, or one per key column; several key
    columns make a composite key), applies the agreed aggregation (`aggregate`, see
    `aggregate.py`), enforces the agreed standard (a TOML file, see `standard.py`) and checks all
    columns. Raises DataError with everything that is wrong at once; its findings hold counts and
    row numbers, never values.

    Columns of the key, the label, the dates of `latest` and the columns that the standard calls
    dates or text are not features; all others must be numeric, or `features` names the ones to
    take; those of `closed` are none in any case.
    `memory_mib` bounds what DuckDB holds; the identifiers and the block that is being read
    come on top, so the peak depends on the rows and the width of a block, not on the number of
    columns.
    """

    ids: npt.NDArray[np.object_]
    """Normalised identifiers, unique, in the order of all columns; shape (rows,)."""
    features: tuple[str, ...]
    """Names of the feature columns, in the order of the table."""
    label: npt.NDArray[np.int8] | None
    """0 (good) and 1 (bad), shape (rows,), where the table has the label column."""

    def __init__(
        self,
        place: str | Path | Location,
        key: str | Sequence[str],
        label: str | None = None,
        *,
        profile: str | Sequence[str] = "plain",
        aggregate: Aggregates = None,
        schema: str | Path | Standard | None = None,
        features: Sequence[str] | None = None,
        closed: Sequence[str] = (),
        memory_mib: int = MEMORY_MIB,
    ) -> None:
        terms = Terms.of(
            key,
            label,
            profile=profile,
            aggregate=aggregate,
            schema=schema,
            features=features,
            closed=closed,
        )
        self._reader = Reader(place, memory_mib=memory_mib, keys=terms.key)
        try:
            self._stamp = self._stamped()
            self._prepared = Prepared(self._reader, terms)
            keys = self._prepared.keys
            if self._prepared.findings or keys is None:
                raise DataError(self._prepared.findings)
        except BaseException:
            self.close()
            raise
        self._keys, self.ids = keys, keys.ids
        self.features, self.label = self._prepared.features, self._prepared.label
        self._columns = _Columns(self)

    def __enter__(self) -> ColumnSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the table and delete what was staged of it."""
        self._reader.close()

    @property
    def name(self) -> str:
        """The table's short name, for instance the file's without its suffix."""
        return self._reader.location.stem

    @property
    def id_name(self) -> str:
        """The key's name: its column, or its columns joined by +."""
        return self._keys.name

    @property
    def terms(self) -> Terms:
        """The terms on which the table is read."""
        return self._prepared.terms

    @property
    def label_name(self) -> str | None:
        """The label's column, where the table has it."""
        return self._prepared.terms.label if self.label is not None else None

    @property
    def rows(self) -> int:
        """Number of businesses."""
        return len(self.ids)

    @property
    def report(self) -> Report:
        """How many rows each rule of the profile changed or rejected, before aggregation."""
        return self._keys.report

    def read(self, first: int, count: int) -> npt.NDArray[np.float64]:
        """Features `first` … `first + count - 1` as an array (rows, count), NaN for missing.

        Raises ValueError beyond the last feature, DataError if the file changed since it was
        checked. May be called from any thread.
        """
        if not 0 <= first <= first + count <= len(self.features):
            raise ValueError(
                f"columns {first} to {first + count - 1}, expected columns within the "
                f"{len(self.features)} features"
            )
        if self._stamp != self._stamped():
            raise DataError(
                [
                    Finding(
                        self._reader.name,
                        "the file changed while it was in use",
                        "the file as it was when it was checked",
                        "leave the data in place while a job runs",
                    )
                ]
            )
        return self._prepared.values(self.features[first : first + count])

    @property
    def columns(self) -> Mapping[str, npt.NDArray[np.float64]]:
        """The features by name, as `PartyTable` has them; read in blocks as they are asked for."""
        return self._columns

    def blocks(self, count: int) -> Iterator[npt.NDArray[np.float64]]:
        """All features in blocks of at most `count` columns."""
        for first in range(0, len(self.features), count):
            yield self.read(first, min(count, len(self.features) - first))

    def table(self) -> PartyTable:
        """Everything in memory at once."""
        blocks = self.blocks(self.step())
        cells = (np.ascontiguousarray(column) for block in blocks for column in block.T)
        columns = dict(zip(self.features, cells, strict=True))
        return PartyTable(self.name, self.id_name, self.ids, columns, self.label_name, self.label)

    def __repr__(self) -> str:
        return f"ColumnSource({self.name!r}, rows={self.rows}, columns={len(self.features)})"

    def step(self) -> int:
        """How many columns make a block of moderate size."""
        return self._prepared.step()

    def _stamped(self) -> tuple[int, int] | None:
        path = self._reader.location.path
        if path is None:
            return None  # staged as it was
        found = os.stat(path)
        return found.st_mtime_ns, found.st_size


class _Columns(Mapping[str, npt.NDArray[np.float64]]):
    """The features of a source by name; one block of them is in memory."""

    def __init__(self, source: ColumnSource) -> None:
        self._source = source
        self._place = {name: i for i, name in enumerate(source.features)}
        self._first = 0
        self._block = np.empty((0, 0))

    def __getitem__(self, name: str) -> npt.NDArray[np.float64]:
        place = self._place[name]
        if not self._first <= place < self._first + len(self._block):
            count = min(self._source.step(), len(self._place) - place)
            self._block = np.ascontiguousarray(self._source.read(place, count).T)
            self._first = place
        return self._block[place - self._first]

    def __iter__(self) -> Iterator[str]:
        return iter(self._place)

    def __len__(self) -> int:
        return len(self._place)

    def __repr__(self) -> str:
        # A mapping's own repr would print values into logs and tracebacks.
        return f"_Columns({len(self._place)})"
