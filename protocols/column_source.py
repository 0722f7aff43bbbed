"""Where an owner's columns come from, a few at a time.

A table of columns (Parquet, DuckDB) gives some columns for all rows without reading the others, so
the join asks for columns in blocks and an owner never has its whole table in memory.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


class ColumnSource(Protocol):
    """An owner's columns; anything with this method will do."""

    def read(self, first: int, count: int) -> npt.NDArray[Any]:
        """Columns `first` to `first + count - 1`: integers of shape (rows, count).

        The rows stand in the order of the identifiers that the owner gives to the join. Called in a
        worker thread, once per block, in ascending order.
        """


class ArrayColumns:
    """Columns that are in memory: an integer array (rows, width)."""

    def __init__(self, values: npt.ArrayLike):
        self.values = np.asarray(values)

    def read(self, first: int, count: int) -> npt.NDArray[Any]:
        """A view of some columns."""
        return self.values[:, first:first + count]

    def __repr__(self) -> str:
        return f'ArrayColumns(shape={self.values.shape})'
