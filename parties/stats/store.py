"""What a node remembers about releases: the ledger, and which data it has delivered.

Tables in the node's database. An entry of the ledger is written before a job is approved; it binds
once it says which institutions count.
"""

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager

SCHEMA = """
create table if not exists releases (
    job_id text primary key, line text not null, counted text);
create table if not exists deliveries (
    program text not null, delivery text not null, digest text not null,
    primary key (program, delivery));
"""

Transaction = Callable[[], AbstractContextManager[sqlite3.Connection]]


class ReleaseStore:
    """The part of a node's `Store` that is about releases."""

    def __init__(self, db: sqlite3.Connection, transaction: Transaction) -> None:
        self._db = db
        self._transaction = transaction

    def add(self, job_id: str, line: str) -> None:
        """A table that a job is going to release, as a line of `protocols.stats.ledger`."""
        with self._transaction() as db:
            db.execute("insert or ignore into releases values (?, ?, null)", (job_id, line))

    def bind(self, job_id: str, counted: str) -> None:
        """The job has come to where its table binds this node; the first word counts."""
        query = "update releases set counted = ? where job_id = ? and counted is null"
        with self._transaction() as db:
            db.execute(query, (counted, job_id))

    def entries(self) -> list[tuple[str, str, str | None]]:
        """The ledger in the order of entry: job, line, and what it binds to, None if nothing."""
        return list(self._db.execute("select job_id, line, counted from releases order by rowid"))

    def delivered(self, program: str, delivery: str, digest: str) -> bool:
        """Remember the digest of the data delivered under a name; False if it was another."""
        with self._transaction() as db:
            db.execute(
                "insert or ignore into deliveries values (?, ?, ?)", (program, delivery, digest)
            )
            query = "select digest from deliveries where program = ? and delivery = ?"
            return bool(db.execute(query, (program, delivery)).fetchone()[0] == digest)
