"""A scoring session at its node, from the worker's start to its end: who has asked, what is left.

Every node of a session has one and hears from its worker of every request that is scored; at the
asker's node it also carries requests to the worker and answers back. Nothing of a request is kept
or logged.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from parties.errors import LocalError, as_error
from parties.manifest import Applicants, Manifest

Fields = dict[str, Any]


class OpenSession:
    """One session at one node. `scored` is told, of every request, how many applicants it has and
    how many the session has used with them."""

    def __init__(self, manifest: Manifest, scored: Callable[[int, int], None]) -> None:
        brings = manifest.inputs[manifest.initiator]
        self.identity = str(manifest.parameters.get("identity"))
        self.most = brings.count if isinstance(brings, Applicants) else 0
        self.used = 0
        self.settled = asyncio.Event()
        """Set once the session is open, or over."""
        self.is_open = False
        self.over = False
        self.closed = False
        """Whether its operator closed it."""
        self._scored = scored
        self._send: Callable[[str], Awaitable[None]] | None = None
        self._numbers = 0
        self._asked: dict[int, asyncio.Future[Fields]] = {}

    @property
    def left(self) -> int:
        """Applicants that may still be scored."""
        return self.most - self.used

    def serve(self, send: Callable[[str], Awaitable[None]]) -> None:
        """From now on `send` writes a line to the worker."""
        self._send = send

    def heard(self, event: Fields) -> None:
        """What the worker says of the session."""
        match event:
            case {"state": "open"}:
                self.is_open = True
                self.settled.set()
            case {"state": "scored", "applicants": int() as applicants}:
                self.used += applicants
                self._scored(applicants, self.used)
            case {"state": "answer", "request": int() as number}:
                answer = self._asked.pop(number, None)
                if answer is not None and not answer.done():
                    answer.set_result(event)

    async def ask(self, request: Fields, seconds: float) -> Fields | None:
        """The worker's answer; None if the session ended before.

        Raises LocalError with what is wrong with the request, `not_open` before the session is
        open, and `no_answer` after so many seconds.
        """
        if self.over:
            return None
        if not self.is_open or self._send is None:
            raise LocalError(
                "not_open",
                "the session waits for approvals, or for its workers",
                "ask when sepc model session show says that it is open",
                step="approve",
            )
        self._numbers += 1
        number = self._numbers
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._send(json.dumps({"request": number, **request}))
                event = await answer
        except TimeoutError:
            raise LocalError(
                "no_answer",
                f"the session gave no answer in {seconds:g} s",
                "ask again: the session goes on; the request may have been counted",
                step="serve",
            ) from None
        finally:
            self._asked.pop(number, None)
        if "error" in event:
            raise as_error(event["error"])
        found: Fields | None = event.get("answer")
        return found

    async def close(self) -> None:
        """Have the worker end the session in order."""
        self.closed = True
        if self._send is not None:
            await self._send(json.dumps({"close": True}))

    def end(self) -> None:
        """The worker is gone, or about to be: who still waits for an answer gets none."""
        self.over, self.is_open = True, False
        self.settled.set()
        for answer in self._asked.values():
            if not answer.done():
                answer.set_result({})
