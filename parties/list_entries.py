"""The owner's list in its node's folder, compared with a later one. It never leaves its owner."""

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from parties.errors import LocalError
from protocols.pir_table import PAYLOAD_LIMIT, Entries


def write_entries(path: Path, entries: Entries) -> None:
    """Keep a list in a new file of mode 0600."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        np.savez(
            file,
            keys=np.array([key.encode() for key in entries.keys], "S"),
            severity=np.asarray(entries.severity, np.int64),
            category=np.asarray(entries.category, np.int64),
            date=np.asarray(entries.date, "datetime64[D]"),
            payload=np.array(entries.payload, f"S{PAYLOAD_LIMIT}"),
        )


def read_entries(path: Path) -> Entries:
    """The list that `write_entries` kept; LocalError if it is not there any more."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            return Entries(
                [key.decode() for key in kept["keys"].tolist()],
                kept["severity"],
                kept["category"],
                kept["date"],
                kept["payload"].tolist(),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        raise LocalError(
            "list_lost",
            f"the list kept in {path.name} cannot be read",
            "publish the list from its file, with --anew",
        ) from None


def some(entries: Entries, chosen: Sequence[int]) -> Entries:
    """The entries at these positions."""
    rows = np.asarray(chosen, np.int64)
    return Entries(
        [entries.keys[i] for i in rows],
        np.asarray(entries.severity)[rows],
        np.asarray(entries.category)[rows],
        np.asarray(entries.date)[rows],
        [entries.payload[i] for i in rows],
    )


def joined(first: Entries, second: Entries) -> Entries:
    """The entries of both."""
    return Entries(
        [*first.keys, *second.keys],
        np.concatenate([first.severity, second.severity]),
        np.concatenate([first.category, second.category]),
        np.concatenate([first.date, second.date]),
        [*first.payload, *second.payload],
    )


def without(entries: Entries, keys: Sequence[str]) -> Entries:
    """The entries of all other keys."""
    gone = set(keys)
    return some(entries, [i for i, key in enumerate(entries.keys) if key not in gone])


def difference(before: Entries, after: Entries) -> tuple[Entries, list[str]]:
    """(entries of `after` that `before` lacks or holds otherwise, keys that `after` lacks)."""
    places = {key: i for i, key in enumerate(before.keys)}
    at = np.array([places.pop(key, -1) for key in after.keys], np.int64)
    same = at >= 0
    for name in ("severity", "category", "date"):
        old, new = np.asarray(getattr(before, name)), np.asarray(getattr(after, name))
        same[same] &= old[at[same]] == new[same]
    put = [i for i, known in enumerate(same)
           if not known or before.payload[at[i]] != after.payload[i]]  # fmt: skip
    return some(after, put), list(places)
