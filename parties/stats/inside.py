"""A compute party's worker: what it fetches from the parties outside, and what it takes to them."""

import asyncio
import base64
import json
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from parties.errors import LocalError
from parties.manifest import Manifest
from parties.stats.base import Terms
from parties.stats.keeping import commit
from parties.stats.link import Absent, Dial
from parties.stats.terms import RelatedLoansTerms
from parties.worker import Job
from protocols.stats.programs import Exchange
from protocols.stats.release import Record

PART = struct.Struct("<Q")
OVERHEAD = 8192
"""More than the fixed mark, header and seed of a submission's part can take."""
RECEIVER_SECONDS, BANK_SECONDS = 60.0, 20.0


def bring(
    party: str, manifest: Manifest, parameters: Terms, files: Mapping[str, str], keys: Any
) -> dict[str, Any]:
    """The public edges and the shares of the period before, where a program has such."""
    if not isinstance(parameters, RelatedLoansTerms):
        return {}
    known = before = None
    if parameters.public_edges is not None:
        from parties.stats.own import public_edges

        known = public_edges(parameters, Path(files["data"]))
    if parameters.follows is not None:
        from parties.list_work import read_shares

        before = read_shares(files["before"], parameters.follows)
        before = {name: before[name] for name in ("owed", "group") if name in before}
    return {"known": known, "before": before}


def record_of(manifest: Manifest, parameters: Terms) -> Record:
    """The record of a release, without what is known only when data has been taken in."""
    # Who computes or receives approved, and so did all whose data counts.
    approvals = tuple(name for name in manifest.names if name not in manifest.optional)
    return Record(
        parameters.title, parameters.period, (), manifest.sha256(), approvals, manifest.measurement
    )


def links(
    folder: Path, job: Job, manifest: Manifest, parameters: Terms, key: bytes
) -> dict[str, Any]:
    """The program's dealings with the parties outside."""
    own = base64.b64decode(job.certificates[manifest.compute.index(job.party)])
    dial = Dial(key, own)
    expected = parameters.parts(manifest.job_id)
    peers = {peer.name: peer for peer in job.outside}
    record = record_of(manifest, parameters)

    async def fetch() -> dict[str, dict[str, bytes | None]]:
        found: dict[str, dict[str, bytes | None]] = {part: {} for part in expected}

        async def one(name: str) -> None:
            sizes = limits(expected, name)
            try:
                peer = peers[name]
                message = await dial.fetch(peer, sum(sizes.values()), parameters.submit_seconds)
                parts: Mapping[str, bytes | None] = split(message, list(sizes))
            except (Absent, KeyError):
                parts = {}
            for part in sizes:
                found[part][name] = parts.get(part)

        await asyncio.gather(*(one(name) for name in parameters.senders))
        return found

    async def deliver(messages: dict[str, bytes]) -> None:
        async def one(name: str, message: bytes) -> None:
            needed = name == parameters.receiver
            seconds = RECEIVER_SECONDS if needed else BANK_SECONDS
            left = max(1.0, min(seconds, manifest.expires - time.time()))
            try:
                await dial.deliver(peers[name], message, left)
            except (Absent, KeyError):
                if needed:
                    raise LocalError(
                        "receiver_lost",
                        f"{name} did not take the release in {left:.0f} s",
                        "have its worker.log checked, then propose again",
                        party=name,
                        step="deliver",
                    ) from None

        await asyncio.gather(*(one(name, message) for name, message in messages.items()))

    def taken(institutions: tuple[str, ...]) -> None:
        earlier = job.files.get("counted")
        if earlier is not None:
            before = json.loads(Path(earlier).read_text(encoding="utf-8"))["institutions"]
            if before != list(institutions):
                raise LocalError(
                    "differencing",
                    f"the table was released before over {len(before)} institutions, now "
                    f"{len(institutions)} count, not the same: their difference would show who "
                    "was added",
                    "have the same institutions submit the same data, or ask about other rows",
                    step="intake",
                )
        commit(folder, institutions)

    exchange = Exchange(
        manifest.job_id, manifest.sha256(), expected, record, parameters.receiver, fetch, deliver,
        taken,
    )  # fmt: skip
    return {"exchange": exchange}


def limits(expected: Mapping[str, Any], name: str) -> dict[str, int]:
    """Most bytes of each part that a party sends to one compute party."""
    return {
        part: 16 * e.rows * e.columns + OVERHEAD
        for part, each in expected.items()
        for e in each
        if e.institution == name
    }


def joined(parts: list[bytes]) -> bytes:
    """A message of parts in the order of the manifest."""
    return b"".join(PART.pack(len(part)) + part for part in parts)


def split(message: bytes, names: list[str]) -> dict[str, bytes]:
    """The parts of a message; empty ones from where it is not well-formed."""
    found, at = dict.fromkeys(names, b""), 0
    for name in names:
        if len(message) < at + PART.size:
            break
        (length,) = PART.unpack_from(message, at)
        at += PART.size
        if length > len(message) - at:
            break
        found[name] = message[at : at + length]
        at += length
    return found


def as_json(value: Any) -> Any:
    """An array as lists of numbers."""
    return np.asarray(value).tolist()
