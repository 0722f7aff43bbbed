"""A party's own shares in files: written at once and for its user alone, checked, destroyed.

Saving and reading are bit-exact. Nothing here is unpickled.
"""

from __future__ import annotations

import io
import json
import os
import re
import secrets
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import field as elements
from engine.errors import LocalProtocolError

NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z')
UNREADABLE = (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile)
"""What NumPy raises for a torn file."""
Shares = npt.NDArray[np.uint64]


def destroy(path: Path) -> None:
    """Overwrite a file with random bytes, and remove it."""
    if not path.exists():
        return
    with open(path, 'r+b') as file:
        left = path.stat().st_size
        while left > 0:
            left -= file.write(secrets.token_bytes(min(left, 1 << 20)))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()


def write(path: Path, data: bytes, durable: bool = True) -> None:
    """Replace a file by a new one, readable by its user only."""
    fresh = path.with_name(f'.{path.name}.{secrets.token_hex(4)}')
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, 'wb') as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    os.replace(fresh, path)


def packed(shares: Mapping[str, Shares], about: Any = None) -> bytes:
    """The content of a file of shares by name, and of what they are about (JSON)."""
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(about or {}).encode(), np.uint8)
    arrays: dict[str, Any] = {f'share:{key}': share for key, share in shares.items()}
    np.savez(buffer, about=text, **arrays)
    return buffer.getvalue()


def read(path: Path, where: str) -> tuple[Any, dict[str, Shares]]:
    """(what a file is about, its shares); LocalProtocolError `damaged-model` for a torn file."""
    data = path.read_bytes()
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            about = json.loads(file['about'].tobytes())
            shapes = {key[6:]: file[key].shape for key in file.files if key.startswith('share:')}
        return about, unpacked(data, shapes, where)
    except UNREADABLE as error:
        raise damaged(where) from error


def unpacked(data: bytes, shapes: Mapping[str, tuple[int, ...]], where: str) -> dict[str, Shares]:
    """{name: shares}, each of its shape and made of field elements; `where` is for the error.

    Raises LocalProtocolError `damaged-model`.
    """
    shares = {}
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        for key, shape in shapes.items():
            share = file[f'share:{key}']
            if share.dtype != np.uint64 or share.shape != shape or not elements.canonical(share):
                raise damaged(where)
            shares[key] = share
    return shares


def damaged(where: str) -> LocalProtocolError:
    """The error of shares that are not those that were stored."""
    return LocalProtocolError('damaged-model', f'the shares of {where} are not what was stored',
                              remedy='restore the folder from a backup, or train again')


def checked_name(name: Any) -> str:
    """A name that is safe as that of a folder; LocalProtocolError `bad-name`."""
    if not isinstance(name, str) or not NAME.match(name):
        raise LocalProtocolError('bad-name', f'model name of {len(str(name))} characters, expected '
                                 'up to 64 letters, digits, dots, dashes or underscores')
    return name
