"""How many applicants a model scores per day: what its manifest states, counted by every node.

The party that may score with a model could learn it from enough scores: the points of a closed
card, and in which bins of the partners' features its applicants lie. So every node that keeps
shares of the model counts for itself, on disk and before it approves, and no node's count depends
on another's.
"""

import datetime
import sqlite3
from typing import Any

from parties import canonical
from parties.errors import LocalError
from parties.list_store import Transaction
from parties.manifest import Applicants, Manifest
from parties.messages import Check
from parties.model_terms import HeldModel, Models
from parties.programs import SCORE, SESSION
from parties.quota import Asked, QuotaLedger

SCHEMA = """
create table if not exists model_usage (identity text primary key, used blob not null);
"""
_APPLICANTS = Asked("applicants", "all parties, in the manifest of another training")


class ScoreStore:
    """The part of a node's `Store` that counts scored applicants."""

    def __init__(self, db: sqlite3.Connection, transaction: Transaction) -> None:
        self._db = db
        self._transaction = transaction

    def left(self, model: HeldModel, asker: str, day: datetime.date) -> int:
        """Applicants that may still be scored that day."""
        return self._ledger(model).left(asker, day)

    def admit(self, model: HeldModel, asker: str, day: datetime.date, count: int) -> None:
        """Count applicants, all of them or none; raises LocalError as `QuotaLedger.admit` does."""
        with self._transaction() as db:
            ledger = self._ledger(model)
            ledger.admit(asker, day, count)
            db.execute(
                "insert into model_usage values (?, ?) "
                "on conflict (identity) do update set used = excluded.used",
                (model.identity, canonical.canonical(ledger.as_dict())),
            )

    def _ledger(self, model: HeldModel) -> QuotaLedger:
        ledger = QuotaLedger(model.scores_per_day, asked=_APPLICANTS)
        query = "select used from model_usage where identity = ?"
        found: Any = self._db.execute(query, (model.identity,)).fetchone()
        if found:
            ledger.restore(canonical.parse(found[0]))
        return ledger


def admit_scores(
    scores: ScoreStore, models: Models, manifest: Manifest, day: datetime.date
) -> Check | None:
    """Count the applicants of a job that this node is about to approve; None for other jobs.

    Whoever asks: the node of the model's owner counts its own askings too. Of a session all that it
    may score count on the day of its approval, and none is given back.
    """
    brings = manifest.inputs[manifest.initiator]
    if manifest.program.name not in (SCORE, SESSION) or not isinstance(brings, Applicants):
        return None
    model = models[str(manifest.parameters["identity"])]
    try:
        scores.admit(model, manifest.initiator, day, brings.count)
    except LocalError as exc:
        return Check(name="quota", passed=False, reason=exc.cause[:500])
    left = scores.left(model, manifest.initiator, day)
    return Check(name="quota", passed=True, reason=f"{left} applicants left on {day}")
