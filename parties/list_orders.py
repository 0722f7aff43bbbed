"""`sepc pir publish`: what happens beside the running node.

The owner's file is read here, not by the node: a list of a million records is work, and what is
wrong with it is the operator's to see. What the node shares is a staged file in its own folder.
"""

import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parties.control import order
from parties.errors import LocalError
from parties.list_commands import STAGED
from parties.list_entries import difference, joined, read_entries, without, write_entries
from parties.list_file import Columns, raw_keys, read_list
from parties.list_keeping import ENTRIES_FILE
from parties.list_keys import checked_keys
from parties.list_store import EVERYBODY
from protocols.pir_table import PAYLOAD_LIMIT, Entries, Layout

GROWTH = 1.1
"""Room that a list gets beyond its records if no capacity is stated."""


@dataclass(frozen=True)
class Source:
    """Files and their columns: the whole list, or what to add, to change and to remove."""

    columns: Columns
    data: Path | None = None
    add: Path | None = None
    change: Path | None = None
    remove: Path | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing is to be published."""
        return not (self.data or self.add or self.change or self.remove)


@dataclass(frozen=True)
class Terms:
    """What a publication states in public; None keeps what it was, or takes the default."""

    capacity: int | None = None
    payload: int | None = None
    profile: str | None = None
    anew: bool = False


def quotas_of(quota: int | None, askers: list[str]) -> dict[str, int] | None:
    """Queries per day by asker from `--quota N` and `--asker NAME[=N]`; None if neither is given.

    With askers named, nobody else may ask.
    """
    if quota is None and not askers:
        return None
    quotas: dict[str, int] = {} if askers else {EVERYBODY: quota or 0}
    for text in askers:
        name, _, number = text.partition("=")
        if not number and quota is None:
            raise LocalError(
                "quota", f"no quota is given for {name}", f"say --asker {name}=N, or --quota N"
            )
        if number and not number.isdecimal():
            raise LocalError("quota", f"--asker {text}: the quota is no number", "say NAME=N")
        quotas[name] = int(number) if number else quota or 0
    return quotas


def publish(
    home: Path,
    name: str,
    source: Source,
    terms: Terms,
    quotas: dict[str, int] | None,
    seconds: int,
    verified: bool = False,
) -> dict[str, Any]:
    """Publish a list or its changes, or only set its quotas; returns when every party holds it."""
    began = time.monotonic()
    own = _own(home, name)
    if source.empty:
        if quotas is None:
            raise LocalError("nothing", "no data and no quota is given", "say --data FILE")
        return order(home, {"command": "quotas", "name": name, "quotas": quotas})
    profile = terms.profile or (own["profile"] if own else "plain")
    entries = _entries(home, own, source, profile)
    stated = _stated(own, entries, terms, source, profile, name)
    # Changes go on from the published shares, which must be of the same mode.
    same = own is not None and own["verified"] == verified
    changes = _changes(home, own, stated, entries) if same and not terms.anew else None
    staged = _stage(home, entries)
    command = {
        "command": "publish",
        "terms": stated,
        "staged": staged.name,
        "after": own["number"] if own else 0,
        "update": changes is not None,
        "quotas": quotas,
        "seconds": seconds,
        "verified": verified,
    }
    try:
        done = order(home, command, None)
    finally:
        staged.unlink(missing_ok=True)
    return {
        **done,
        "records": len(entries.keys),
        "capacity": stated["capacity"],
        "changes": changes,
        "published": "anew" if changes is None else "changes",
        "verified": verified,
        "quotas": quotas if quotas is not None else own and own["quotas"],
        "seconds": round(time.monotonic() - began, 3),
    }


def _own(home: Path, name: str) -> dict[str, Any] | None:
    """This node's list of that name, as the node holds it."""
    lists = order(home, {"command": "lists"})["lists"]
    own = [held for held in lists if held["name"] == name and held["quotas"] is not None]
    return own[0] if own else None


def _kept(home: Path, job_id: str) -> Entries:
    return read_entries(home / "jobs" / job_id / ENTRIES_FILE)


def _entries(home: Path, own: dict[str, Any] | None, source: Source, profile: str) -> Entries:
    """The whole list as it shall be."""
    if source.data is not None:
        return read_list(source.data, source.columns, profile)
    if own is None:
        raise LocalError(
            "unknown_list", "there is nothing to change yet", "publish the list with --data FILE"
        )
    entries = _kept(home, own["job_id"])
    for path, known in ((source.add, False), (source.change, True)):
        if path is not None:
            given = read_list(path, source.columns, profile)
            _all_known(entries, given.keys, known, path)
            entries = joined(without(entries, given.keys), given)
    if source.remove is not None:
        keys = checked_keys(raw_keys(source.remove, source.columns.key), profile)
        _all_known(entries, keys, True, source.remove)
        entries = without(entries, keys)
    return entries


def _all_known(entries: Entries, keys: Any, known: bool, path: Path) -> None:
    there = set(entries.keys)
    wrong = sum((key in there) != known for key in keys)
    if wrong:
        raise LocalError(
            "list_data",
            f"{path.name}: {wrong} of {len(keys)} keys are {'not' if known else 'already'} in the "
            "list",
            "use --add for new keys, --change and --remove for those in the list",
            step="data",
        )


def _stated(
    own: dict[str, Any] | None,
    entries: Entries,
    terms: Terms,
    source: Source,
    profile: str,
    name: str,
) -> dict[str, Any]:
    """The public terms: as before where nothing else is asked for."""
    columns = list(source.columns.payload)
    if own and not columns and source.data is None:
        columns = own["columns"]
    count = len(entries.keys)
    capacity = terms.capacity
    if capacity is None:
        capacity = own["capacity"] if own and own["capacity"] >= count else _round_up(count)
    payload = terms.payload
    if payload is None:
        same = own is not None and own["columns"] == columns
        payload = own["payload"] if own and same else PAYLOAD_LIMIT if columns else 0
    return {
        "kind": "list",
        "name": name,
        "capacity": capacity,
        "payload": payload,
        "columns": columns,
        "profile": profile,
    }


def _round_up(count: int) -> int:
    """A round number with room: it is public, and should say little about how many there are."""
    wanted, unit = max(100, count * GROWTH), 1
    while True:
        for step in (1, 2, 5):
            if step * unit >= wanted:
                return step * unit
        unit *= 10


def _changes(
    home: Path, own: dict[str, Any] | None, stated: dict[str, Any], entries: Entries
) -> int | None:
    """How many keys differ from what was published; None if it must be published anew."""
    if own is None or not own["complete"] or any(own[k] != v for k, v in stated.items()):
        return None
    put, gone = difference(_kept(home, own["published_by"]), entries)
    count = len(put.keys) + len(gone)
    return count if count <= Layout(stated["capacity"], stated["payload"]).updates else None


def _stage(home: Path, entries: Entries) -> Path:
    folder = home / STAGED
    folder.mkdir(mode=0o700, exist_ok=True)
    staged = folder / secrets.token_hex(16)
    write_entries(staged, entries)
    return staged
