"""A worker's part in jobs on lists: the shares and lists it reads from its node's folder, and what
it leaves there.

Shares lie in the folder of the job that made them, `jobs/<job>/shares.npz`, which no other job can
write to: a job id runs once per node. The file says which manifest it is of, and is only used
where the manifest of the present job names that one.
"""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from parties.errors import LocalError
from parties.list_entries import difference, read_entries
from parties.list_keeping import SHARES_FILE
from parties.list_terms import QueryParameters, UpdateParameters
from parties.manifest import KeyedList, Manifest
from protocols.pir_book import Book
from protocols.pir_table import Layout

Files = Mapping[str, str]


def bring_publish(
    party: str, manifest: Manifest, parameters: Any, files: Files, keys: Any
) -> dict[str, Any]:
    """The layout for everybody, and the owner's table for the owner."""
    layout = _layout(manifest)
    book = None
    if party == manifest.initiator:
        try:
            book = Book(read_entries(Path(files["own"])), layout)
        except ValueError as exc:
            raise LocalError("list_data", str(exc), "correct the list", step="load") from None
    return {"owner": manifest.initiator, "layout": layout, "book": book}


def bring_update(
    party: str, manifest: Manifest, parameters: UpdateParameters, files: Files, keys: Any
) -> dict[str, Any]:
    """The published shares for everybody, and the changed table for the owner."""
    published = read_shares(files["published"], parameters.published)
    book = None
    if party == manifest.initiator:
        before = read_entries(Path(files["before"]))
        put, gone = difference(before, read_entries(Path(files["own"])))
        try:
            book = Book(before, _layout(manifest), published["seed"].tobytes())
            # Room first: a list that is full may still exchange one key for another.
            if gone:
                book.remove(gone)
            if put.keys:
                book.put(put)
            book.updates()
        except ValueError as exc:
            raise LocalError(
                "list_changes", str(exc), "publish the list with --anew", step="load"
            ) from None
    return {"published": published, "book": book}


def bring_query(
    party: str,
    manifest: Manifest,
    parameters: QueryParameters,
    files: Files,
    keys: tuple[str, ...] | None,
) -> dict[str, Any]:
    """The shares of all lists for everybody, and the asked keys for the asker."""
    lists = []
    for i, version in enumerate(parameters.lists):
        arrays = read_shares(files[f"{i}"], version.manifest)
        if "published" in arrays:
            published = read_shares(files[f"{i} published"], arrays["published"].tobytes().hex())
            arrays = {**published, "changes": arrays["changes"]}
        lists.append(arrays)
    inputs = manifest.inputs[manifest.initiator]
    return {
        "lists": lists,
        "asker": manifest.initiator,
        "count": getattr(inputs, "count", 0),
        "severity": parameters.severity,
        "keys": keys,
    }


def keep_shares(folder: Path, manifest: Manifest, kept: Mapping[str, np.ndarray]) -> None:
    """Write a job's shares: mode 0600, whole or not at all, on disk when this returns."""
    named = {"manifest": bytes.fromhex(manifest.sha256())}
    if "published" in manifest.parameters:
        named["published"] = bytes.fromhex(str(manifest.parameters["published"]))
    arrays: dict[str, Any] = dict(kept)
    arrays |= {name: np.frombuffer(value, np.uint8) for name, value in named.items()}
    unfinished = folder / f"{SHARES_FILE}.part"
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, folder / SHARES_FILE)
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read_shares(path: str, manifest: str) -> dict[str, np.ndarray]:
    """A job's shares; LocalError if they are gone, damaged, or those of another manifest."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
        if arrays["manifest"].tobytes().hex() == manifest:
            return arrays
        cause = "are those of another version"
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        cause = "cannot be read"
    raise LocalError(
        "list_lost",
        f"this party's shares of a list {cause}",
        "have the owner publish the list with --anew",
        step="load",
    )


def _layout(manifest: Manifest) -> Layout:
    inputs = manifest.inputs[manifest.initiator]
    assert isinstance(inputs, KeyedList)
    return Layout(inputs.capacity, inputs.payload)
