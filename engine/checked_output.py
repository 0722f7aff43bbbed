"""The opening of an output in verified mode: cheap while nobody lies, corrected if somebody does.

A receiver needs t shares of others to know the value, and 2t + 1 in all to know it without those of
t liars. The t further shares are mostly not needed. So it gets t shares and a digest from everybody
else; if these do not tell it the value it asks for t shares more. Every receiver says by one byte
whether it does to the t parties that would send them, which keep their shares until then; nobody
else waits for that, nor does the program, which has its value.

Small arrays are opened with the shares of all parties at once: there the bytes saved would cost
more than they are worth.

What a receiver may ask for is its own output, which all parties have agreed to open (`confirm`). A
receiver that asks without need only has others send more.
"""

import asyncio

import numpy as np

from engine.costs_verified import SMALL_OUTPUT
from engine.verified import CheckedOpening

_WORD, _MORE = 0xffb0, 0xffb1


class CheckedOutput(CheckedOpening):
    """An opening of degree t that finds its value, and names those who lied, whatever t parties do.

        opening.send(own)
        attending = opening.attend(own)
        found = await opening.receive(own)   # at a receiver; the value is known from here on
        await attending                      # at all parties: until every receiver has its value
    """

    def __init__(self, op, receivers, n: int):
        t = op.runtime.geometry.t
        self.small = n <= SMALL_OUTPUT
        super().__init__(op, t, receivers, op.runtime.geometry.m - 1 if self.small else t, True)

    def _reserve(self, receiver):
        """Those who send `receiver` their shares only if it asks."""
        return [] if self.small else self._senders(receiver)[1][:self.geometry.t]

    def attend(self, own: np.ndarray) -> asyncio.Future:
        """From now on answer receivers that ask; a future of the time when none can any more.

        All are attended to at once, and while this party waits for its own value: two that ask
        each other would wait for ever.
        """
        attending = asyncio.gather(*[
            self._attend(receiver, own) for receiver in self.receivers
            if receiver != self.pid and self.pid in self._reserve(receiver)])
        # When the run ends it may be that nobody has come to wait for this.
        attending.add_done_callback(lambda done: done.cancelled() or done.exception())
        return attending

    async def receive(self, own: np.ndarray, tag: int = 0, n: int | None = None):
        """As in `CheckedOpening`; what t parties do raises nothing but errors of their messages."""
        reserve = self._reserve(self.pid)
        held, digests = await self._arrived(own, tag)
        found, wrong = await self._agreed(held, digests, tag)
        for p in reserve:
            self.op.send(p, np.array([found is None], np.uint8), _WORD)
        if found is None and reserve:
            for p in reserve:
                held[p] = await self._elements(p, len(own), _MORE)
                del digests[p]
            self.op.round()
            self.op.round()
            found, wrong = await self._agreed(held, digests, tag)
        if found is None:
            raise self._unclear(held, wrong)
        return found

    async def _attend(self, receiver, own):
        """Wait for a receiver's word, and send it this party's share if it asks."""
        [asks] = await self.op.receive(receiver, (1,), np.uint8, _WORD)
        if asks:
            self.op.send(receiver, own, _MORE)
