"""Each party's own log of what it did and saw: append-only, hash-chained and signed.

One JSON line per entry. An entry holds the hash of the one before it, and the party signs each
hash, so that a line that is changed, removed from the middle, inserted or moved shows at once.
Entries name messages, jobs, hashes and decisions; they never hold what the data said. Cutting
lines off the end is not visible in the file alone: compare it with what the other parties logged.
"""

import hashlib
import os
import time
from pathlib import Path
from typing import Any

from parties import canonical
from parties.errors import LocalError
from parties.identity import Identity, verify

_PURPOSE = b"sepc/audit/1"
_START = hashlib.sha256(b"sepc/audit/1/start").hexdigest()


class AuditLog:
    """The log file of one party, open for appending."""

    def __init__(self, path: Path, identity: Identity) -> None:
        self._path = path
        self._identity = identity
        entries = verify_log(path, identity.public_hex) if path.exists() else []
        self._number = len(entries)
        self._previous = entries[-1]["hash"] if entries else _START

    def append(self, event: str, **details: Any) -> None:
        """Add one entry and make sure that it is on disk."""
        entry = {
            "number": self._number + 1,
            "time": int(time.time()),
            "party": self._identity.name,
            "event": event,
            "details": details,
            "previous": self._previous,
        }
        digest = canonical.sha256(entry)
        signature = self._identity.sign(_PURPOSE, digest.encode())
        line = canonical.canonical({**entry, "hash": digest, "signature": signature}) + b"\n"
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line)
            os.fsync(handle)
        finally:
            os.close(handle)
        self._number += 1
        self._previous = digest


def verify_log(path: Path, public_hex: str) -> list[dict[str, Any]]:
    """All entries of a log that is whole; LocalError naming the first entry that is not."""
    entries: list[dict[str, Any]] = []
    previous = _START
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            entry = canonical.parse(line)
            signature, digest = entry.pop("signature"), entry.pop("hash")
            chained = entry["previous"] == previous and entry["number"] == number
        except (ValueError, KeyError, TypeError, AttributeError):
            raise _broken(path, number, "is not an entry") from None
        if not chained:
            raise _broken(path, number, "does not follow the one before it")
        if canonical.sha256(entry) != digest:
            raise _broken(path, number, "was changed after it was written")
        if not verify(public_hex, _PURPOSE, digest.encode(), str(signature)):
            raise _broken(path, number, "is not signed by the party")
        previous = digest
        entries.append({**entry, "hash": digest, "signature": signature})
    if not path.read_bytes().endswith(b"\n") and path.stat().st_size:
        raise _broken(path, len(entries) + 1, "was not written to its end")
    return entries


def _broken(path: Path, number: int, how: str) -> LocalError:
    return LocalError(
        "audit_broken",
        f"{path.name}: entry {number} {how}",
        "treat the log as tampered with and compare it with the other parties' logs",
    )
