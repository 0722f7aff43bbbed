"""A matrix of shares in a file: what is read is what was written, and nothing stays behind."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import LocalProtocolError
from models.share_file import ShareFile


def filled(folder, rows=23, groups=((0, 2), (2, 1), (3, 4)), block_rows=5):
    matrix = np.random.default_rng(0).integers(0, 2**63, (rows, 7, 2), np.uint64)
    file = ShareFile(rows, 7, block_rows, folder)
    for first, width in reversed(groups):
        file.write(first, matrix[:, first:first + width])
    return file, matrix


def test_blocks_and_parts_of_blocks_come_back(tmp_path):
    file, matrix = filled(tmp_path)
    assert list(tmp_path.iterdir()) == []
    for start, stop in ((0, 5), (5, 10), (20, 23), (6, 8), (22, 23)):
        np.testing.assert_array_equal(file.read(start, stop), matrix[start:stop])
    file.close()


@pytest.mark.parametrize("start, stop", [(3, 6), (5, 5), (20, 24), (25, 26)])
def test_rows_of_several_blocks_are_refused(tmp_path, start, stop):
    file, _ = filled(tmp_path)
    with pytest.raises(ValueError, match=f"rows {start} to {stop}, expected some within one block"):
        file.read(start, stop)
    file.close()


def test_a_file_that_was_cut_is_an_error_and_not_zeros(tmp_path):
    file, _ = filled(tmp_path)
    file._file.truncate(16 * 7 * 10)
    with pytest.raises(LocalProtocolError, match="file-cut"):
        file.read(10, 15)
    file.close()
