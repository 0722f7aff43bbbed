"""How many jobs a node has under way at a time.

A worker is a process with some hundred megabytes, and a session keeps one for long: without a limit
any party of the directory could have a node start as many as it likes.
"""

from __future__ import annotations

from collections.abc import Callable

from parties.messages import Check


class Room:
    """At most `most` jobs at a time, from a node's approval to their end; `over` says of which.

    What waits for a person's word takes no room, or the proposals of one party could keep out those
    of all others; what a person approves is for that person to say.
    """

    def __init__(self, most: int, over: Callable[[str], bool]) -> None:
        self._most, self._over = most, over
        self._inside: set[str] = set()

    def admit(self, job_id: str) -> Check:
        """Whether a job that no person is asked about may begin; if so it has entered."""
        self._inside = {one for one in self._inside if not self._over(one)}
        taken = len(self._inside - {job_id})
        if taken >= self._most:
            return Check(
                name="room",
                passed=False,
                reason=f"{taken} jobs are under way here, expected fewer than {self._most} "
                "(max_jobs of this node); propose it when one of them has ended",
            )
        self.enter(job_id)
        return Check(name="room", passed=True, reason="this node has room for one more job")

    def enter(self, job_id: str) -> None:
        """A job begins here."""
        self._inside.add(job_id)
