"""How much an asker may ask per day, counted: anonymous queries of a list, scores by a model.

A list's owner sees that a query is made, by whom and of which lists, and nothing else; that is what
a quota can go by. Of scores a node sees with which model and for how many applicants. The ledger is
pure: no clock, no file. Whoever keeps it gives the day and stores `as_dict` before the job runs, so
that a restart forgets nothing that was spent.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parties.errors import LocalError


@dataclass(frozen=True)
class Asked:
    """What is counted, in the plural, and who may agree on more of it."""

    what: str
    whom: str


QUERIES = Asked("queries", "the owner of the list")


class QuotaLedger:
    """What is `asked` per asker and day of one list, set of lists or model, refused beyond a quota.

    `quotas` maps askers to numbers per day, `default` is for all others (0: refused). All is
    counted when it is admitted, whatever comes of it: an asker that breaks off has had its
    parties' work, and perhaps its answer.
    """

    def __init__(
        self,
        default: int = 0,
        quotas: Mapping[str, int] | None = None,
        asked: Asked = QUERIES,
    ) -> None:
        self.default, self.quotas, self.asked = default, dict(quotas or {}), asked
        self._day: datetime.date | None = None
        self._used: dict[str, int] = {}
        for quota in (default, *self.quotas.values()):
            if quota < 0:
                raise ValueError(f"quota {quota}, expected 0 or more {asked.what} per day")

    def left(self, asker: str, day: datetime.date) -> int:
        """How much the asker may still ask that day."""
        used = self._used.get(asker, 0) if day == self._day else 0
        return max(0, self.quotas.get(asker, self.default) - used)

    def admit(self, asker: str, day: datetime.date, count: int = 1) -> None:
        """Count so much, all of it or nothing.

        Raises LocalError `quota-exceeded` beyond the quota, and `clock-went-back` for a day before
        one that was counted already: a clock set back must not give anybody a second quota.
        """
        if count < 1:
            raise ValueError(f"{count} {self.asked.what}, expected at least 1")
        if self._day is not None and day < self._day:
            raise LocalError(
                "clock-went-back",
                f"{self.asked.what} of {day} after those of {self._day}",
                "check the clock of this machine",
                party=asker,
                step="quota",
            )
        left = self.left(asker, day)
        if count > left:
            raise LocalError(
                "quota-exceeded",
                f"{count} {self.asked.what} asked, {left} left on {day} of "
                f"{self.quotas.get(asker, self.default)} per day",
                f"ask on another day, or agree on a larger quota with {self.asked.whom}",
                party=asker,
                step="quota",
            )
        if day != self._day:
            self._day, self._used = day, {}
        self._used[asker] = self._used.get(asker, 0) + count

    def as_dict(self) -> dict[str, Any]:
        """What was used on the last day counted, ready for JSON."""
        return {"day": self._day and self._day.isoformat(), "used": dict(self._used)}

    def restore(self, stored: Mapping[str, Any]) -> None:
        """Go on from what `as_dict` gave."""
        self._day = datetime.date.fromisoformat(stored["day"]) if stored["day"] else None
        self._used = {str(asker): int(count) for asker, count in stored["used"].items()}
