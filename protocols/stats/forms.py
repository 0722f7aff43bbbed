"""What an input party shares: rows, or cells that it has added up itself, and what must hold there.

A *form* fixes the shape of a submission from public numbers alone, encodes an institution's own
rows, and states claims: shared numbers that must not be negative, and columns that must be bits.
`intake` checks them on shares. `CellForm` is far cheaper and is right wherever the institution
knows all keys of its rows; `RowForm` keeps rows apart, for statistics that need them together.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.array import SecureArray
from protocols.stats.cells import Amount, Cells
from protocols.stats.spec import TableSpec


@dataclass(frozen=True)
class RowForm:
    """Up to `rows` rows: a sort key of cell and amount (see `grouping.keys`), and further columns.

    The table's first amount is in the key. Unused rows have the key of the spare cell.
    """

    spec: TableSpec
    rows: int

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of a submission."""
        return self.rows, len(self.spec.measures)

    @property
    def bits(self) -> list[int]:
        """Columns that must hold bits."""
        return [1 + j for j, m in enumerate(self._carried) if m.kind == 'count']

    @property
    def _carried(self):
        return [m for m in self.spec.measures if m is not self.spec.amounts[0]]

    def encode(self, cell, values: dict[str, npt.NDArray]) -> npt.NDArray[np.int64]:
        """A submission from an institution's rows: their cell numbers, a column per measure."""
        n, first = len(cell), self.spec.amounts[0]
        if n > self.rows:
            raise ValueError(f'{n} rows, but at most {self.rows} are agreed')
        out = np.zeros(self.shape, np.int64)
        out[:, 0] = self.spec.cells << first.bits
        out[:n, 0] = (np.asarray(cell, np.int64) << first.bits) + _amounts(values, first)
        for j, m in enumerate(self._carried, 1):
            out[:n, j] = _amounts(values, m)
        return out

    def claims(self, mpc, x: SecureArray) -> SecureArray:
        """Numbers (k,) that must be in [0, 2^63)."""
        limit = ((self.spec.cells + 1) << self.spec.amounts[0].bits) - 1
        parts = [x[:, 0], limit - x[:, 0]]
        for j, m in enumerate(self._carried, 1):
            if m.kind == 'amount':
                parts += [x[:, j], (1 << m.bits) - 1 - x[:, j]]
        return mpc.concatenate(parts)

    def carried(self, x: SecureArray) -> dict[str, SecureArray]:
        """The columns besides the key, by name, of submissions (n, columns) one after the other."""
        return {m.name: x[:, j] for j, m in enumerate(self._carried, 1)}


@dataclass(frozen=True)
class Claimed:
    """A matrix whose columns are integers from 0 to a limit each.

    In the columns of `running` not the numbers but their running sums are (differences of
    neighbours, as `joins.reference` makes them).
    """

    shape: tuple[int, int]
    limits: tuple[int, ...]
    running: tuple[int, ...] = ()

    @property
    def bits(self) -> list[int]:
        """No column holds bits."""
        return []

    def claims(self, mpc, x: SecureArray) -> SecureArray:
        """Numbers (k,) that must be in [0, 2^63)."""
        parts = []
        for j, limit in enumerate(self.limits):
            column = x[:, j].cumsum() if j in self.running else x[:, j]
            parts += [column, limit - column]
        return mpc.concatenate(parts)


def padded(rows: Any, shape: tuple[int, int], what: str) -> npt.NDArray[np.int64]:
    """Rows of a party's own, and as many of zeros as are agreed."""
    rows = np.asarray(rows, np.int64).reshape(-1, shape[1])
    if len(rows) > shape[0]:
        raise ValueError(f'{len(rows)} {what}, but at most {shape[0]} are agreed')
    out = np.zeros(shape, np.int64)
    out[:len(rows)] = rows
    return out


@dataclass(frozen=True)
class CellForm:
    """One row per cell: rows, and per measure the sum and, of an amount, the largest ones.

    `rows` is the largest number of rows that a cell of one institution may have.
    """

    spec: TableSpec
    rows: int
    largest: int = 2

    @property
    def shape(self) -> tuple[int, int]:
        """(cells, columns) of a submission."""
        return self.spec.cells, 1 + sum(1 + (m.kind == 'amount') * self.largest
                                        for m in self.spec.measures)

    @property
    def bits(self) -> list[int]:
        """No column holds bits."""
        return []

    def encode(self, cell, values: dict[str, npt.NDArray]) -> npt.NDArray[np.int64]:
        """A submission from an institution's rows: their cell numbers, a column per measure."""
        cells = self.spec.cells
        cell = np.asarray(cell, np.int64)
        columns = [np.bincount(cell, minlength=cells)]
        if columns[0].max(initial=0) > self.rows:
            raise ValueError(f'{columns[0].max()} rows in one cell, but at most {self.rows} are '
                             'agreed')
        for m in self.spec.measures:
            own = _amounts(values, m)
            total = np.zeros(cells, np.int64)
            np.add.at(total, cell, own)
            columns.append(total)
            if m.kind == 'amount':
                order = np.lexsort((-own, cell))
                rank = np.arange(len(order)) - np.searchsorted(cell[order], cell[order])
                for j in range(self.largest):
                    best = np.zeros(cells, np.int64)
                    at = order[rank == j]
                    best[cell[at]] = own[at]
                    columns.append(best)
        return np.stack(columns, 1).astype(np.int64)

    def claims(self, mpc, x: SecureArray) -> SecureArray:
        """Numbers (k,) that must be in [0, 2^63): figures that some rows can have together."""
        rows = x[:, 0]
        parts, at, products = [rows, self.rows - rows], 1, []
        for m in self.spec.measures:
            total = x[:, at]
            if m.kind == 'count':
                parts += [total, rows - total]
                at += 1
                continue
            top = [x[:, at + 1 + j] for j in range(self.largest)]
            limit = (1 << m.bits) - 1
            parts += [limit - top[0], top[-1], *[a - b for a, b in itertools.pairwise(top)]]
            rest = total
            for one in top:
                rest = rest - one
            parts.append(rest)
            # No row is larger than the largest: neither can the sum be.
            products.append(rows * top[0] - total)
            at += 1 + self.largest
        return mpc.concatenate([*parts, *products])

    def cells(self, x: SecureArray) -> Cells:
        """The cells (..., *spec.shape) of submissions (..., cells, columns)."""
        shape = (*x.shape[:-2], *self.spec.shape)
        at, measures = 1, {}
        for m in self.spec.measures:
            total, top = x[..., at].reshape(shape), None
            at += 1
            if m.kind == 'amount':
                lists = x[..., at:at + self.largest]
                lists = lists.view(lambda a: np.moveaxis(a, -1, 0), 'moveaxis')
                top = lists.reshape((self.largest, *shape))
                at += self.largest
            measures[m.name] = Amount(total, top)
        return Cells(x[..., 0].reshape(shape), measures)


def _amounts(values, measure):
    own = np.asarray(values[measure.name])
    if own.dtype.kind not in 'iub':
        raise ValueError(f'measure {measure.name}: expected integers in units of {measure.unit}')
    limit = 1 if measure.kind == 'count' else (1 << measure.bits) - 1
    if own.size and not 0 <= int(own.min()) <= int(own.max()) <= limit:
        raise ValueError(f'measure {measure.name}: a value is outside of 0 to {limit}')
    return own.astype(np.int64)
