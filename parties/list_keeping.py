"""A node's part in jobs on lists: quotas before it approves, the version it holds afterwards."""

import datetime
from contextlib import suppress
from pathlib import Path
from typing import Any

from parties.errors import LocalError
from parties.list_store import ListStore
from parties.list_terms import (
    Held,
    HeldVersion,
    PublishParameters,
    QueryParameters,
    UpdateParameters,
    base_of,
    members,
    named,
)
from parties.manifest import KeyedList, Keys, Manifest
from parties.messages import Check
from parties.programs import PUBLISH, QUERY, UPDATE
from parties.store import Store

SHARES_FILE = "shares.npz"
ENTRIES_FILE = "entries.npz"


def today() -> datetime.date:
    """The day that quotas go by: that of UTC, the same for every party."""
    return datetime.datetime.now(datetime.UTC).date()


def query_details(manifest: Manifest) -> dict[str, Any] | None:
    """Of a query: who asks which lists how often, and for what. None for other jobs."""
    keys = manifest.inputs[manifest.initiator]
    if manifest.program.name != QUERY or not isinstance(keys, Keys):
        return None
    query = QueryParameters.from_json(manifest.parameters)
    return {
        "asker": manifest.initiator,
        "lists": [f"{v.owner}/{v.name}" for v in query.lists],
        "count": keys.count,
        "answer": "records" if query.severity is None else "decision",
    }


def admit(lists: ListStore, party: str, manifest: Manifest, day: datetime.date) -> Check | None:
    """Count a query against the quotas of this party's own lists; None where they are not asked.

    An owner may ask its own lists without end.
    """
    keys = manifest.inputs[manifest.initiator]
    if manifest.program.name != QUERY or not isinstance(keys, Keys):
        return None
    query = QueryParameters.from_json(manifest.parameters)
    own = [version.name for version in query.lists if version.owner == party]
    if not own or manifest.initiator == party:
        return None
    try:
        lists.admit(own, manifest.initiator, day, keys.count)
    except LocalError as exc:
        return Check(name="quota", passed=False, reason=exc.cause[:500])
    left = min(lists.left(name, manifest.initiator, day) for name in own)
    return Check(name="quota", passed=True, reason=f"{left} queries left on {day}")


def held_after(manifest: Manifest, held: Held) -> HeldVersion | None:
    """The version of a list that a finished job has made; None for other jobs."""
    terms = manifest.inputs[manifest.initiator]
    if manifest.program.name not in (PUBLISH, UPDATE) or not isinstance(terms, KeyedList):
        return None
    digest = manifest.sha256()
    before = None
    if manifest.program.name == PUBLISH:
        number = PublishParameters.from_json(manifest.parameters).number
        published_by, published = manifest.job_id, digest
    else:
        update = UpdateParameters.from_json(manifest.parameters)
        number = update.number
        before = base_of(held[manifest.initiator, terms.name], update.published)
        assert before is not None
        published_by, published = before.published_by, before.published
    return HeldVersion(
        owner=manifest.initiator,
        number=number,
        job_id=manifest.job_id,
        manifest=digest,
        published_by=published_by,
        published=published,
        terms=terms,
        parties=members(manifest),
        threshold=manifest.threshold,
        verified=manifest.verified and (before is None or before.verified),
        complete=False,
    )


def files_of(manifest: Manifest, party: str, jobs: Path, held: Held) -> dict[str, str]:
    """What a job's worker will read, by name: `own`, `published` or numbers of lists, to paths."""
    own = {"own": str(jobs / manifest.job_id / ENTRIES_FILE)}
    files = own if party == manifest.initiator else {}
    if manifest.program.name == PUBLISH:
        return files
    if manifest.program.name == UPDATE:
        inputs = manifest.inputs[manifest.initiator]
        assert isinstance(inputs, KeyedList)
        update = UpdateParameters.from_json(manifest.parameters)
        before = base_of(held[manifest.initiator, inputs.name], update.published)
        assert before is not None
        published = jobs / before.published_by
        files["published"] = str(published / SHARES_FILE)
        if party == manifest.initiator:
            files["before"] = str(published / ENTRIES_FILE)
        return files
    files = {}
    if manifest.program.name == QUERY:
        query = QueryParameters.from_json(manifest.parameters)
        for i, version in enumerate(query.lists):
            one = named(held[version.owner, version.name], version)
            assert one is not None
            files[f"{i}"] = str(jobs / one.job_id / SHARES_FILE)
            files[f"{i} published"] = str(jobs / one.published_by / SHARES_FILE)
    return files


def take_over(lists: ListStore, jobs: Path, version: HeldVersion) -> None:
    """Hold a new version, and delete the shares of those that nobody can ask any more."""
    lists.add(version)
    for job_id in lists.forget_old():
        for name in (SHARES_FILE, ENTRIES_FILE):
            with suppress(OSError):
                (jobs / job_id / name).unlink()


def complete(store: Store, manifest: Manifest, party: str) -> None:
    """Note that every other party has signed that it holds a version of a list, once all have."""
    if manifest.program.name not in (PUBLISH, UPDATE):
        return
    if set(manifest.names) - {party} <= set(store.receipts(manifest.job_id)):
        store.lists.complete(manifest.job_id)
