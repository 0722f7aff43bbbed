"""Admission of operations by bytes in flight.

Evaluation is eager: a loop over large arrays issues all its operations at once. An operation whose
inputs are known begins only while the operations under way stay below a limit of bytes, or when it
is the first unfinished one. The order of issue is the same at all parties, so the operation that is
first of all is admitted everywhere, and no two parties wait for each other.
"""

import asyncio


class Throttle:
    """Operations under way and their bytes; `limit` in bytes."""

    def __init__(self, limit: int = 1 << 27):
        self.limit = limit
        self.bytes = 0
        self._next = 0
        self._sizes: dict[int, int] = {}  # unfinished operations in order of issue
        self._waiting: dict[int, asyncio.Future] = {}
        self._running: set[int] = set()

    def register(self, size: int) -> int:
        """A ticket for an operation that is being issued and will hold about `size` bytes."""
        self._next += 1
        self._sizes[self._next] = size
        return self._next

    async def admit(self, ticket: int) -> None:
        """Wait until the operation may begin."""
        if not self._fits(ticket):
            self._waiting[ticket] = asyncio.get_running_loop().create_future()
            await self._waiting[ticket]
        else:
            self._start(ticket)

    def release(self, ticket: int) -> None:
        """The operation has ended; others may begin."""
        size = self._sizes.pop(ticket)
        if ticket in self._running:
            self._running.discard(ticket)
            self.bytes -= size
        self._waiting.pop(ticket, None)
        for waiting in sorted(self._waiting):
            if not self._fits(waiting):
                break
            future = self._waiting.pop(waiting)
            if not future.done():
                self._start(waiting)
                future.set_result(None)

    def fail(self, error: BaseException) -> None:
        """Nothing begins any more."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
                future.exception()
        self._waiting.clear()

    def _fits(self, ticket):
        return self.bytes + self._sizes[ticket] <= self.limit or \
            ticket == next(iter(self._sizes))

    def _start(self, ticket):
        self._running.add(ticket)
        self.bytes += self._sizes[ticket]
