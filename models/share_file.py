"""Shares of a matrix in a file of this party's: written by columns, read by blocks of rows.

The file has no name: nobody else can open it, and its space is free again however the process ends.
It holds block after block of rows, and in a block group after group of columns as they were
written. So a block is read from one stretch of the disk, while the stretch of the next is fetched
already, and none of it counts as memory of the process.
"""

from __future__ import annotations

import os
import shutil
import tempfile

import numpy as np
import numpy.typing as npt

from engine.errors import LocalProtocolError

_ELEMENT = 16

Shares = npt.NDArray[np.uint64]


class ShareFile:
    """Room for (rows, columns) elements in `folder`, to be read in blocks of `block_rows` rows.

    Raises LocalProtocolError `no-space` when they do not fit: a full disk must not end a training.
    """

    def __init__(self, rows: int, columns: int, block_rows: int, folder):
        self.rows, self.columns, self.block_rows = rows, columns, block_rows
        self._groups: dict[int, int] = {}
        size, free = _ELEMENT * rows * columns, shutil.disk_usage(folder).free
        if size > free:
            raise LocalProtocolError(
                'no-space', f'the shares of {rows} rows of {columns} columns take {size} bytes, '
                f'and {free} are free in {folder}',
                remedy='name a folder on a larger disk, or train on fewer rows or columns')
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (open until `close`)
        if hasattr(os, 'posix_fallocate'):
            os.posix_fallocate(self._file.fileno(), 0, size)
        else:
            self._file.truncate(size)

    def close(self) -> None:
        """Give the space back."""
        self._file.close()

    def write(self, first: int, share: Shares, row: int = 0) -> None:
        """The columns from `first` on of the rows from `row` on, (count, k, 2).

        Every element must be written once, and the same groups of columns in all rows.
        """
        width, end = share.shape[1], row + len(share)
        self._groups[first] = width
        for block in range(row - row % self.block_rows, end, self.block_rows):
            start = max(row, block)
            part = np.ascontiguousarray(share[start - row:min(end, block + self.block_rows) - row])
            view, at = part.data.cast('B'), self._place(block, first, width, start)
            while view:
                done = os.pwrite(self._file.fileno(), view, at)
                view, at = view[done:], at + done

    def read(self, start: int, stop: int) -> Shares:
        """Rows of one block, (stop - start, columns, 2)."""
        block = start - start % self.block_rows
        if not start < stop <= min(self.rows, block + self.block_rows):
            raise ValueError(f'rows {start} to {stop}, expected some within one block of '
                             f'{self.block_rows} of {self.rows}')
        self._expect(block + self.block_rows)
        out = np.empty((stop - start, self.columns, 2), np.uint64)
        for first, width in self._groups.items():
            part = np.empty((stop - start, width, 2), np.uint64)
            view, at = part.data.cast('B'), self._place(block, first, width, start)
            while view:
                done = os.preadv(self._file.fileno(), [view], at)
                if not done:
                    raise LocalProtocolError('file-cut', 'the file of a matrix has lost its end',
                                             remedy='leave open files alone, and train again')
                view, at = view[done:], at + done
            out[:, first:first + width] = part
        return out

    def _place(self, block, first, width, row):
        """Where a row of the group of columns that begins at `first` lies, in its block."""
        rows = min(self.block_rows, self.rows - block)
        return _ELEMENT * (block * self.columns + rows * first + (row - block) * width)

    def _expect(self, block):
        """Let the system fetch the block while the one before it is worked on."""
        if hasattr(os, 'posix_fadvise') and block < self.rows:
            rows = min(self.block_rows, self.rows - block)
            os.posix_fadvise(self._file.fileno(), _ELEMENT * block * self.columns,
                             _ELEMENT * rows * self.columns, os.POSIX_FADV_WILLNEED)
