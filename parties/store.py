"""What a node must still know after a restart: jobs, sequence numbers, messages, receipts.

SQLite from the standard library, one file per node, written by the node's event loop only. Every
change is one transaction that is on disk when the method returns: a sequence number that was
used once is never used, or accepted, again.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parties import canonical
from parties.envelope import Envelope
from parties.lifecycle import TERMINAL, State
from parties.list_store import SCHEMA as LISTS
from parties.list_store import ListStore
from parties.model_quota import SCHEMA as SCORES
from parties.model_quota import ScoreStore
from parties.stats.store import SCHEMA as RELEASES
from parties.stats.store import ReleaseStore

_SCHEMA = """
create table if not exists jobs (
    job_id text primary key, manifest_sha256 text not null, manifest blob not null,
    state text not null, error blob, updated integer not null);
create table if not exists messages (
    id text primary key, sender text not null, expires integer not null);
create table if not exists received (sender text primary key, sequence integer not null);
create table if not exists sent (recipient text primary key, sequence integer not null);
create table if not exists receipts (
    job_id text not null, party text not null, envelope blob not null,
    primary key (job_id, party));
"""


@dataclass(frozen=True)
class JobRecord:
    """A job as the node last knew it."""

    job_id: str
    manifest_sha256: str
    manifest: dict[str, Any]
    state: State
    error: dict[str, Any] | None


class Store:
    """The node's database in `path`, created with mode 0600."""

    def __init__(self, path: Path) -> None:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = full")
        self._db.executescript(_SCHEMA + LISTS + SCORES + RELEASES)
        self.lists = ListStore(self._db, self._transaction)
        self.scores = ScoreStore(self._db, self._transaction)
        self.releases = ReleaseStore(self._db, self._transaction)

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    # -- messages ---------------------------------------------------------------------------

    def next_sequence(self, recipient: str) -> int:
        """A sequence number for `recipient` that was never handed out before."""
        with self._transaction() as db:
            db.execute(
                "insert into sent values (?, 1) "
                "on conflict (recipient) do update set sequence = sequence + 1",
                (recipient,),
            )
            row = db.execute("select sequence from sent where recipient = ?", (recipient,))
            return int(row.fetchone()[0])

    def last_sequences(self) -> dict[str, int]:
        """The highest sequence number accepted from each sender."""
        return dict(self._db.execute("select sender, sequence from received"))

    def accept(self, envelope: Envelope) -> None:
        """Remember that this message has been acted upon."""
        with self._transaction() as db:
            db.execute("delete from messages where expires < ?", (int(time.time()),))
            db.execute(
                "insert or ignore into messages values (?, ?, ?)",
                (envelope.id, envelope.sender, envelope.expires),
            )
            db.execute(
                "insert into received values (?, ?) "
                "on conflict (sender) do update set sequence = max(sequence, excluded.sequence)",
                (envelope.sender, envelope.sequence),
            )

    def known_message(self, message_id: str) -> bool:
        """Whether a message with this id was accepted already (a redelivery, not an attack)."""
        found = self._db.execute("select 1 from messages where id = ?", (message_id,))
        return found.fetchone() is not None

    # -- jobs -------------------------------------------------------------------------------

    def add_job(self, job_id: str, manifest_sha256: str, manifest: dict[str, Any]) -> None:
        """Record a newly proposed job; a job that is known already is left as it is."""
        with self._transaction() as db:
            db.execute(
                "insert or ignore into jobs values (?, ?, ?, ?, null, ?)",
                (
                    job_id,
                    manifest_sha256,
                    canonical.canonical(manifest),
                    State.PROPOSED,
                    int(time.time()),
                ),
            )

    def set_state(self, job_id: str, state: State, error: dict[str, Any] | None = None) -> None:
        """Record a job's new state, with the error that ended it."""
        blob = None if error is None else canonical.canonical(error)
        with self._transaction() as db:
            db.execute(
                "update jobs set state = ?, error = ?, updated = ? where job_id = ?",
                (state, blob, int(time.time()), job_id),
            )

    def job(self, job_id: str) -> JobRecord | None:
        """One job, or None if it was never proposed here."""
        found = [record for record in self._jobs("where job_id = ?", job_id)]
        return found[0] if found else None

    def jobs(self) -> list[JobRecord]:
        """All jobs, the one that changed last at the end."""
        return list(self._jobs("order by updated, rowid"))

    def unfinished(self) -> list[JobRecord]:
        """Jobs that had not ended when the node last wrote."""
        return [record for record in self._jobs("") if record.state not in TERMINAL]

    def add_receipt(self, job_id: str, party: str, envelope: bytes) -> None:
        """Keep a party's signed receipt; the first one counts."""
        with self._transaction() as db:
            db.execute("insert or ignore into receipts values (?, ?, ?)", (job_id, party, envelope))

    def receipts(self, job_id: str) -> dict[str, bytes]:
        """The signed receipts of a job by party."""
        query = "select party, envelope from receipts where job_id = ? order by party"
        return dict(self._db.execute(query, (job_id,)))

    def _jobs(self, where: str, *values: str) -> Iterator[JobRecord]:
        query = f"select job_id, manifest_sha256, manifest, state, error from jobs {where}"
        for job_id, digest, manifest, state, error in self._db.execute(query, values):
            yield JobRecord(
                job_id,
                digest,
                canonical.parse(manifest),
                State(state),
                None if error is None else canonical.parse(error),
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("begin immediate")
        try:
            yield self._db
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")
