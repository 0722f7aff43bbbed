"""Keyed tags of identifiers: pseudonyms that only holders of the key can make or test.

A tag is a PRF value of 128 bits: AES-256 in CBC-MAC mode over an encoding of the identifier that is
prefix-free, because it starts with the length (Bellare, Kilian, Rogaway, 1994: a PRF up to about
n² / 2^128 for n identifiers). Block ciphers run over whole arrays, so ten million identifiers take
seconds and there is no work per row beyond packing them once for all keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_BLOCK = 16
_LONGEST = 126
"""Bytes of an identifier that is packed as it is; of a longer one a digest is."""
_ROWS = 1 << 18
"""Rows that are packed, or looked up, at a time: bounds temporary memory."""


class Packed:
    """Identifiers in blocks of 16 bytes, ready to be tagged under any number of keys.

    About 32 bytes per identifier of 18 characters. Stays with its owner.
    """

    def __init__(self, ids: Sequence[str] | Sequence[bytes]):
        self.rows = len(ids)
        self._groups: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]] = []
        for start in range(0, self.rows, _ROWS):
            self._pack(start, list(ids[start:start + _ROWS]))

    def _pack(self, start: int, texts: list[Any]) -> None:
        sizes = np.fromiter(map(len, texts), np.int64, len(texts))
        whole = ''.join(texts) if isinstance(texts[0], str) else ''
        if whole.isascii() and whole and sizes.max() <= _LONGEST:
            # The usual column of codes: one conversion for all rows.
            marks, data = sizes, np.frombuffer(whole.encode('ascii'), np.uint8)
        else:
            rows = [t.encode() if isinstance(t, str) else t for t in texts]
            marks = np.fromiter(map(len, rows), np.int64, len(rows))
            sizes = marks.copy()
            for row in np.flatnonzero(marks > _LONGEST):
                rows[row] = blake2b(rows[row], digest_size=32).digest()
                sizes[row], marks[row] = 32, 0xffff
            data = np.frombuffer(b''.join(rows), np.uint8)
        blocks = -(-(sizes + 2) // _BLOCK)
        for count in np.unique(blocks):
            these = np.flatnonzero(blocks == count)
            cells = np.zeros((len(these), count * _BLOCK), np.uint8)
            cells[:, :2] = marks[these].astype('<u2').view(np.uint8).reshape(-1, 2)
            inside = np.arange(count * _BLOCK - 2) < sizes[these, None]
            if len(these) == len(texts):
                cells[:, 2:][inside] = data
            else:
                taken = np.repeat(blocks == count, sizes)
                cells[:, 2:][inside] = data[taken]
            self._groups.append((start + these, cells))

    def tags(self, key: bytes) -> npt.NDArray[np.uint64]:
        """Tags of all identifiers under a key of 32 bytes, shape (rows, 2)."""
        result = np.empty((self.rows, _BLOCK), np.uint8)
        # Chaining is ours, so that all rows go through one call; each block is a call of its own.
        cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
        for rows, cells in self._groups:
            state: npt.NDArray[np.uint8] = np.zeros((len(rows), _BLOCK), np.uint8)
            for at in range(0, cells.shape[1], _BLOCK):
                mixed = state ^ cells[:, at:at + _BLOCK]
                state = np.frombuffer(cipher.update(mixed.data), np.uint8).reshape(mixed.shape)
            result[rows] = state
        return result.view(np.uint64)

    def __len__(self) -> int:
        return self.rows

    def __repr__(self) -> str:
        return f'Packed(rows={self.rows})'


def repetitions(tags: npt.NDArray[np.uint64]) -> int:
    """How many tags (n, 2) occurred before in their list."""
    first = np.sort(tags[:, 0])
    if not (first[1:] == first[:-1]).any():
        return 0
    ordered = tags[np.lexsort(tags.T)]
    return int((ordered[1:] == ordered[:-1]).all(axis=1).sum())


def positions(left: npt.NDArray[np.uint64], right: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """For every left tag the position of the equal right tag, or -1; no list repeats a tag."""
    found = np.full(len(left), -1, np.int64)
    if not len(right):
        return found
    order = np.argsort(right[:, 0])
    first, second = right[order, 0], right[order, 1]
    if (first[1:] == first[:-1]).any():
        # Distinct tags that agree in 64 bits: not with fewer than billions of them, but exact.
        return _positions_by_both(left, right)
    # Both lists in order of the first word: the search then runs through memory once.
    mine = np.argsort(left[:, 0])
    for start in range(0, len(mine), _ROWS):
        rows = mine[start:start + _ROWS]
        tags = left[rows]
        place = np.searchsorted(first, tags[:, 0])
        np.minimum(place, len(right) - 1, out=place)
        equal = (first[place] == tags[:, 0]) & (second[place] == tags[:, 1])
        found[rows[equal]] = order[place[equal]]
    return found


def _positions_by_both(left, right):
    """The same by a sort of both lists together on both words."""
    tags = np.concatenate([left, right])
    order = np.lexsort(tags.T)
    ordered = tags[order]
    first, second = order[:-1], order[1:]
    # lexsort is stable: of two equal tags the left one comes first.
    same = (ordered[1:] == ordered[:-1]).all(axis=1)
    found = np.full(len(left), -1, np.int64)
    found[first[same]] = second[same] - len(left)
    return found
