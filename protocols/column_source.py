"""Where an owner's columns come from, a few at a time.

A table of columns (Parquet, DuckDB) gives some columns for all rows without reading the others, so
the join asks for columns in blocks and an owner never has its whole table in memory.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engine.errors import LocalProtocolError


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


class FixedColumns:
    """Float columns with NaN for missing as integers: each gives its value in fixed point, 0 where
    it is missing, and after it a bit that says whether it is known. So width doubles.
    """

    FRAC = 20

    def __init__(self, source: ColumnSource):
        self.source = source

    def read(self, first: int, count: int) -> npt.NDArray[np.int64]:
        """Columns of values and bits; `first` and `count` are even.

        Raises LocalProtocolError `out-of-range` for magnitudes of 2^42 and more: a comparison or a
        product of them would overflow.
        """
        values = np.asarray(self.source.read(first // 2, count // 2), np.float64)
        known = ~np.isnan(values)
        values = np.where(known, values, 0.0)
        wrong = np.flatnonzero((np.abs(values) >= 2.0 ** 42).any(axis=0))
        if len(wrong):
            raise LocalProtocolError(
                'out-of-range', f'feature {first // 2 + wrong[0]} (from 0) of this party has '
                'values of 2^42 or more in magnitude', remedy='bring it in a larger unit')
        out = np.empty((len(values), count), np.int64)
        out[:, ::2], out[:, 1::2] = np.rint(values * 2.0 ** self.FRAC), known
        return out

    def __repr__(self) -> str:
        return f'FixedColumns({self.source!r})'
