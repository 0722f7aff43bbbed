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
"""Rows that are packed at a time: bounds temporary memory."""


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

    def __repr__(self) -> str:
        return f'Packed(rows={self.rows})'
