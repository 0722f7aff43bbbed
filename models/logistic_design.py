"""The shared design matrix in blocks of rows: in memory, or in a file that each party keeps.

Training reads the matrix in passes. A pass takes block after block, so that what it holds beside
the shares of the matrix is bounded: `memory` bytes, whatever the number of rows. Features stream in
by groups of columns (`put`). With a `folder` the shares are a file there (`models.share_file`, 16
bytes per element), else they stay in memory.

Nothing is revealed. A pass over n rows of d + 1 columns reduces d + 1 numbers per block, so its
traffic is that of the function between two products and 24 (d + 1) bytes per block and party.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Sequence

import numpy as np

from engine import field
from engine.array import SecureArray
from engine.query import can_collapse, collapse
from models.share_file import ShareFile
from protocols.woe import FRAC

SLOPE = 24
"""Fractional bits of sums over rows."""
LARGEST_VALUE = 1024.0
LARGEST_SQUARE = 16.0
_SMALLEST_BLOCK, LARGEST_BLOCK = 256, 1 << 17
_CURVATURE = 10
"""Fractional bits of rows' weights in the largest block. A quarter of the rows has one more, so
that the error of their mean is the same; one bit more is left for rows larger than others."""
MEMORY = 1 << 29
_COPIES = 4
"""Copies of a block that a pass holds at most: of its rows, weighted rows and their limbs."""
_WINDOW = 2


def check_columns(values) -> None:
    """Raise ValueError unless an owner's columns (n, k) fit the fixed-point arithmetic.

    Numbers must be finite, of magnitude at most 1,024, and their mean square at most 16 per column:
    standardised and WOE-encoded columns are far below. The owner runs it before it shares: after
    that nobody can look.
    """
    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError('a column holds a missing or infinite value, expected finite numbers; '
                         'give missing values a bin of their own')
    if values.size and np.abs(values).max() > LARGEST_VALUE:
        raise ValueError(f'a column holds a value beyond ±{LARGEST_VALUE:g}; '
                         'bin, standardise or cap it')
    if values.size and (values**2).mean(0).max() > LARGEST_SQUARE:
        raise ValueError(f'the mean square of a column is beyond {LARGEST_SQUARE:g}; '
                         'bin or standardise it')


def block_rows(columns: int, memory: int = MEMORY) -> int:
    """Rows of so many columns that a pass looks at together."""
    return min(LARGEST_BLOCK, memory // (columns * 16 * _COPIES))


def smallest_memory(columns: int) -> int:
    """The fewest bytes that passes over so many columns can do with."""
    return _SMALLEST_BLOCK * columns * 16 * _COPIES


class Design:
    """Shares of [X, m] (rows, columns): X the features, m the 0/1 weight of a row.

    `memory` is the number of bytes that a pass may hold beside the matrix. With a `folder` the
    shares live in a file there that has no name and ends with the process, or by `close`; `put`
    must then fill every column. Raises LocalProtocolError `no-space` when they do not fit.
    """

    def __init__(self, mpc, rows: int, columns: int, *, frac: int = FRAC,
                 memory: int = MEMORY, folder=None):
        self.mpc, self.rows, self.columns, self.frac = mpc, rows, columns, frac
        self.memory, self.folder, self.depth = memory, folder, 0
        self._file: ShareFile | None = None
        smallest = smallest_memory(columns)
        if memory < smallest:
            raise ValueError(f'{memory} bytes for passes over {columns} columns, expected at least '
                             f'{smallest}')
        self.block_rows = block_rows(columns, memory)
        self.shares = np.empty((rows if folder is None else 0, columns, 2), np.uint64)
        if folder is not None:
            self._file = ShareFile(rows, columns, self.block_rows, folder)

    @classmethod
    async def of(cls, columns: SecureArray, *, memory: int = MEMORY) -> Design:
        """A design whose shares are those of an array that is in memory already; no copy."""
        design = cls(columns.runtime, 0, columns.shape[1], frac=columns.frac, memory=memory)
        design.shares, design.rows = await columns.ready(), columns.shape[0]
        design.depth = columns.depth
        return design

    async def put(self, first: int, block: SecureArray) -> None:
        """Write the columns from `first` on: (rows, k) of any number of fractional bits."""
        block = block.with_frac(self.frac)
        share = await block.ready()
        self.depth = max(self.depth, block.depth)
        self._set(0, first, share)

    def _set(self, row, first, share):
        if self._file is None:
            self.shares[row:row + len(share), first:first + share.shape[1]] = share
        else:
            self._file.write(first, share, row)

    def close(self) -> None:
        """Forget the shares, and their file, which designs of `first` share."""
        self.shares = np.empty((0, self.columns, 2), np.uint64)
        if self._file is not None:
            self._file.close()

    def pieces(self, start: int = 0, stop: int | None = None) -> list[slice]:
        """The rows of every block, or what of them lies from `start` to `stop`."""
        stop = self.rows if stop is None else stop
        return [slice(max(start, block), min(stop, block + self.block_rows))
                for block in range(start - start % self.block_rows, stop, self.block_rows)]

    def block(self, rows: slice) -> SecureArray:
        """Some consecutive rows; an array that shares the memory of the matrix, if it is there."""
        return self._array(self._rows(rows))

    def first(self, rows: int) -> Design:
        """A design of the first rows alone, whose shares are those of this one; no copy."""
        part = copy.copy(self)
        part.rows, part.shares = rows, self.shares[:rows]
        return part

    def sample(self, count: int, seed: int) -> tuple[Design, np.ndarray]:
        """(a design of `count` rows drawn without replacement by a public seed, their places).

        Its shares lie in memory or in a file as those of this one do.
        """
        places = np.sort(np.random.default_rng(seed).choice(self.rows, count, replace=False))
        design = self._beside(count, self.columns)
        for rows in self.pieces():
            low, high = np.searchsorted(places, (rows.start, rows.stop))
            design._set(low, 0, self._rows(rows)[places[low:high] - rows.start])
        return design, places

    async def take(self, places: Sequence[int] | np.ndarray) -> Design:
        """A design of some columns alone, in the order of their `places`: a copy, made block by
        block, in memory or in a file as this one is."""
        design = self._beside(self.rows, len(places))

        def copied(rows):
            design._set(rows.start, 0, self._rows(rows)[:, places])
        for rows in self.pieces():
            # A large file takes long to read, and peers must not wait for signs of life meanwhile.
            await asyncio.to_thread(copied, rows)
            self.mpc.check()
        return design

    def _beside(self, rows, columns):
        design = Design(self.mpc, rows, columns, frac=self.frac, memory=self.memory,
                        folder=self.folder)
        design.depth = self.depth
        return design

    def _rows(self, rows):
        """Shares of some consecutive rows, of one piece where they lie in a file."""
        if self._file is None:
            return self.shares[rows]
        return self._file.read(rows.start, min(rows.stop, self.rows))

    def _array(self, share) -> SecureArray:
        array = SecureArray(self.mpc, share.shape[:2], self.frac, share)
        array.depth = self.depth
        return array

    # --- passes ---

    async def moments(self) -> tuple[SecureArray, SecureArray]:
        """(sums (columns,), sums of squares (columns - 1,) with 28 fractional bits)."""
        sums, squares = [], []
        for rows in self.pieces():
            block = self.block(rows)
            sums.append(block.sum(0))
            squares.append(self.mpc.column_squares(block[:, :-1], 28))
            await squares[-1].ready()
            await sums[-1].ready()
        return _total(self.mpc, sums), _total(self.mpc, squares)

    async def gram(self) -> SecureArray:
        """[X, m]ᵀ[X, m] with `SLOPE` fractional bits."""
        parts = []
        for rows in self.pieces():
            block = self.block(rows)
            parts.append(self.mpc.matrix_product(block.T, block, SLOPE))
            await parts[-1].ready()
        return _total(self.mpc, parts)

    async def with_label(self, label: SecureArray) -> tuple[SecureArray, SecureArray]:
        """(sums (columns + 1,) of [X, label, m], [X, label]ᵀ[X, label] with `SLOPE` bits).

        `label` (rows,) is 0 or 1, and 0 where m is.
        """
        mpc, d, bad = self.mpc, self.columns - 1, label.sum().reshape(1)
        sums, grams, moments = [], [], []
        for rows in self.pieces():
            block = self.block(rows)
            # One after the other: each holds copies of the block.
            sums.append(block.sum(0))
            await sums[-1].ready()
            grams.append(mpc.matrix_product(block.T, block, SLOPE))
            await grams[-1].ready()
            moments.append(mpc.matrix_product(block.T, label[rows], SLOPE))
            await moments[-1].ready()
        columns, gram, moment = (_total(mpc, parts) for parts in (sums, grams, moments))
        last = mpc.concatenate([moment[:d], bad]).reshape(1, d + 1)
        upper = mpc.concatenate([gram[:d, :d], moment[:d].reshape(d, 1)], axis=1)
        return mpc.concatenate([columns[:d], bad, columns[d:]]), mpc.concatenate([upper, last])

    async def each(self, part: Callable[[SecureArray], SecureArray], start: int = 0,
                   stop: int | None = None) -> SecureArray:
        """part(block), one value per row, of the rows from `start` to `stop`; shape (rows,)."""
        parts: list[SecureArray] = []
        for rows in self.pieces(start, stop):
            parts.append(part(self.block(rows)))
            if len(parts) >= _WINDOW:
                await parts[-_WINDOW].ready()
        return parts[0] if len(parts) == 1 else self.mpc.concatenate(parts)

    async def pass_over(self, part, most: int = LARGEST_BLOCK) -> SecureArray:
        """Σ part(block, rows) over consecutive blocks of at most `most` rows; shape (columns,).

        `rows` are the places of a block's rows. A few blocks are under way at a time.
        """
        parts: list[SecureArray] = []
        for piece in self.pieces():
            whole = self.block(piece)
            for start in range(piece.start, piece.stop, most):
                rows = slice(start, min(start + most, piece.stop))
                block = whole[rows.start - piece.start:rows.stop - piece.start]
                parts.append(part(block, rows))
                if len(parts) >= _WINDOW:
                    await parts[-_WINDOW].ready()
        await parts[-1].ready()
        return _total(self.mpc, parts)

    async def curvature(self, raw: SecureArray, weight) -> SecureArray:
        """Σ weight(x_i·raw)·x_i x_iᵀ over all rows: (columns, columns), `SLOPE` fractional bits.

        Where four parties can open an expression of three factors the weighted rows never exist
        as shares, and the traffic is that of the result; else it is that of the matrix.
        """
        mpc, parts = self.mpc, []
        for rows in self.pieces():
            block = self.block(rows)
            frac = _CURVATURE + ((LARGEST_BLOCK // len(block)).bit_length() - 1) // 2
            weights = weight(mpc.matrix_product(block, raw, 20), rows, frac)
            parts.append(_weighted_gram(mpc, block, weights))
            await parts[-1].ready()
        return _total(mpc, parts)


def _weighted_gram(mpc, block, weights):
    n, d = block.shape
    column = weights.reshape(n, 1)
    if not can_collapse(mpc, 3 * mpc.geometry.t):
        scaled = mpc.multiply(block, column, block.frac)
        return mpc.matrix_product(block.T, scaled, SLOPE)

    def kernel(x, w):
        return field.matmul(x.transpose(1, 0, 2), field.mul(x, w))
    return collapse(mpc, 'curvature', [block, column], kernel, (d, d), 3 * mpc.geometry.t,
                    work=4 * n * d * d, shift=2 * block.frac + weights.frac - SLOPE, frac=SLOPE)


def _total(mpc, parts):
    return parts[0] if len(parts) == 1 else mpc.stack(parts).sum(0)
