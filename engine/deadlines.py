"""Deadlines of many waits under one timer.

A protocol waits thousands of times a second, and hardly ever in vain; a timer for each wait would
cost more than the waiting. The one timer here stands at the earliest deadline of those waits that
there were when it was set, and looks at all of them when it goes off.

A timer that goes off late tells that this process stood still, computing or without a processor.
What has arrived meanwhile has not been read, so waits that are over then get as long again, a few
times at most.
"""

import asyncio
from collections.abc import Callable, Hashable
from typing import Any

_LATE = 0.1
"""Seconds by which a timer of a loop that is not held up may go off late."""
_AGAIN = 3
"""How often a wait is extended because of that."""


class Deadlines:
    """Waits and until when; calls `late(key, what)` for one that is not over by then."""

    def __init__(self, loop: asyncio.AbstractEventLoop, late: Callable[[Any, str], None]):
        self._loop, self._late = loop, late
        self._waits: dict[Hashable, tuple[float, asyncio.Future, str, int]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def begin(self, key: Hashable, waiting: asyncio.Future, seconds: float, what: str) -> None:
        """`waiting` is to be done `seconds` from now; `what` is told if it is not."""
        until = self._loop.time() + seconds
        self._waits[key] = until, waiting, what, _AGAIN
        if self._timer is None or until < self._due:
            self._set(until)

    def end(self, key: Hashable) -> None:
        """The wait is over, if there was one."""
        self._waits.pop(key, None)

    def close(self) -> None:
        """No wait matters any more."""
        self._waits.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, until):
        if self._timer is not None:
            self._timer.cancel()
        self._due = until
        self._timer = self._loop.call_at(until, self._look)

    def _look(self):
        self._timer = None
        now = self._loop.time()
        late = now - self._due
        for key, (until, waiting, what, again) in list(self._waits.items()):
            if waiting.done():  # given up
                self._waits.pop(key, None)
            elif until <= now and late > _LATE and again:
                self._waits[key] = now + late, waiting, what, again - 1
            elif until <= now and self._waits.pop(key, None):  # one that is late can end all
                self._late(key, what)
        if self._waits:
            self._set(min(until for until, *_ in self._waits.values()))
