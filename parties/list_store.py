"""What a node remembers about published lists: which versions it holds, and the owner's quotas.

Tables in the node's database; shares lie in the folders of the jobs that made them. Quotas are
counted on disk before a query is approved, so that a restart forgets none.
"""

import datetime
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from parties import canonical
from parties.list_terms import Held, HeldVersion, Versions, usable
from parties.manifest import KeyedList
from parties.quota import QuotaLedger

SCHEMA = """
create table if not exists lists (
    owner text not null, name text not null, number integer not null, job_id text not null,
    manifest text not null, published_by text not null, published text not null,
    terms blob not null, parties blob not null, threshold integer not null,
    verified integer not null, complete integer not null default 0,
    primary key (owner, name, number));
create table if not exists list_quotas (name text primary key, quotas blob not null);
create table if not exists list_usage (name text primary key, used blob not null);
"""
KEPT = 2
"""Versions of a list whose shares are kept: a query that was approved may still read the last. If
none of them is complete, the newest one that is stays as well."""
EVERYBODY = "*"

Transaction = Callable[[], AbstractContextManager[sqlite3.Connection]]


class ListStore:
    """The part of a node's `Store` that is about lists."""

    def __init__(self, db: sqlite3.Connection, transaction: Transaction) -> None:
        self._db = db
        self._transaction = transaction
        known = {column for _, column, *_ in db.execute("pragma table_info(lists)")}
        if "threshold" not in known:
            self._add_mode()

    def _add_mode(self) -> None:
        """Lists held by a node of before were all published in the default mode."""
        with self._transaction() as db:
            db.execute("alter table lists add column threshold integer not null default 0")
            db.execute("alter table lists add column verified integer not null default 0")
            db.execute(
                "update lists set threshold = (json_array_length(cast(parties as text)) - 1) / 2"
            )

    # -- versions -----------------------------------------------------------------------------

    def add(self, held: HeldVersion) -> None:
        """This node holds its shares of a version."""
        with self._transaction() as db:
            db.execute(
                "insert into lists (owner, name, number, job_id, manifest, published_by, "
                "published, terms, parties, threshold, verified) "
                "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    held.owner,
                    held.terms.name,
                    held.number,
                    held.job_id,
                    held.manifest,
                    held.published_by,
                    held.published,
                    canonical.canonical(held.terms.model_dump(mode="json")),
                    canonical.canonical(held.parties),
                    held.threshold,
                    held.verified,
                ),
            )

    def complete(self, job_id: str) -> None:
        """All parties have signed that they hold this version."""
        with self._transaction() as db:
            db.execute("update lists set complete = 1 where job_id = ?", (job_id,))

    def held(self) -> Held:
        """The versions of every list."""
        by_list: dict[tuple[str, str], Versions] = {}
        for version in self._versions():
            key = version.owner, version.terms.name
            by_list[key] = (*by_list.get(key, ()), version)
        return by_list

    def forget_old(self) -> set[str]:
        """Forget all but the versions that are still needed; the jobs whose shares nobody needs."""
        old = [
            version
            for versions in self.held().values()
            for version in versions[:-KEPT]
            if version != usable(versions)
        ]
        with self._transaction() as db:
            for version in old:
                db.execute("delete from lists where job_id = ?", (version.job_id,))
        needed = {job for v in self._versions() for job in (v.job_id, v.published_by)}
        return {job for v in old for job in (v.job_id, v.published_by)} - needed

    def _versions(self) -> list[HeldVersion]:
        query = (
            "select owner, number, job_id, manifest, published_by, published, terms, parties, "
            "threshold, verified, complete from lists order by owner, name, number"
        )
        return [
            HeldVersion(
                owner=owner,
                number=number,
                job_id=job_id,
                manifest=manifest,
                published_by=published_by,
                published=published,
                terms=KeyedList.model_validate_json(terms),
                parties=tuple((name, key) for name, key in canonical.parse(parties)),
                threshold=threshold,
                verified=bool(verified),
                complete=bool(complete),
            )
            for (
                owner,
                number,
                job_id,
                manifest,
                published_by,
                published,
                terms,
                parties,
                threshold,
                verified,
                complete,
            ) in self._db.execute(query)
        ]

    # -- quotas of this node's own lists ---------------------------------------------------------

    def set_quotas(self, name: str, quotas: dict[str, int]) -> None:
        """Queries per day of a list, by asker; `*` is for all who are not named."""
        with self._transaction() as db:
            db.execute(
                "insert into list_quotas values (?, ?) "
                "on conflict (name) do update set quotas = excluded.quotas",
                (name, canonical.canonical(quotas)),
            )

    def quotas(self, name: str) -> dict[str, int]:
        """What `set_quotas` set; nobody may ask a list for which it was never called."""
        query = "select quotas from list_quotas where name = ?"
        found = self._db.execute(query, (name,)).fetchone()
        quotas: dict[str, int] = canonical.parse(found[0]) if found else {}
        return quotas

    def left(self, name: str, asker: str, day: datetime.date) -> int:
        """Queries that `asker` may still make that day."""
        return self._ledger(name).left(asker, day)

    def admit(self, names: Sequence[str], asker: str, day: datetime.date, count: int) -> None:
        """Count `count` queries against each of the lists, or none of them.

        Raises LocalError as `QuotaLedger.admit` does.
        """
        with self._transaction() as db:
            for name in names:
                ledger = self._ledger(name)
                ledger.admit(asker, day, count)
                db.execute(
                    "insert into list_usage values (?, ?) "
                    "on conflict (name) do update set used = excluded.used",
                    (name, canonical.canonical(ledger.as_dict())),
                )

    def _ledger(self, name: str) -> QuotaLedger:
        quotas = self.quotas(name)
        default = quotas.pop(EVERYBODY, 0)
        ledger = QuotaLedger(default, quotas)
        query = "select used from list_usage where name = ?"
        found: Any = self._db.execute(query, (name,)).fetchone()
        if found:
            ledger.restore(canonical.parse(found[0]))
        return ledger
