"""The opening of an output: cheap while its numbers are small and nobody lies, right in any case.

A receiver needs t shares of others to know the value. In verified mode it needs 2t in order to know
it without those of t liars; digests of the others tell it whether it does. And where t = 1, half of
a share is enough for numbers that fit 64 bits (`engine.low_words`); again a digest tells.

So it gets what is mostly enough, and asks for more if it was not. Every receiver says by one byte
whether it does to the parties that would send more, which keep their shares until then; nobody else
waits for that, nor does the program, which has its value. What a receiver may ask for is its own
output, which all parties have agreed to open. One that asks without need only has others send more.
That it asks tells them, in default mode, that a number does not fit 64 bits: an integer that does
not is an error, and a fixed-point number has left the range in which it may be compared.

Small arrays are opened with whole shares at once, in verified mode those of all parties: there the
bytes saved would cost more than they are worth. In verified mode these shares are under seals,
which open once all parties have got here; large outputs wait for a round in which all say so. What
is masked, so that it says nothing about any secret, needs neither.
"""

import asyncio
from collections.abc import Callable

import numpy as np
from cryptography.hazmat.primitives.constant_time import bytes_eq

from engine import field
from engine.checked_opening import CheckedOpening
from engine.costs import takes_low_words
from engine.costs_verified import SMALL_OUTPUT
from engine.low_words import from_low_words, low_words
from engine.operation import Operation
from engine.shamir import Geometry, lagrange
from engine.verified import confirm

_WORD, _MORE = 0xffb0, 0xffb1


class _OutputBase:
    """What the outputs of both modes have in common."""

    op: Operation
    geometry: Geometry
    pid: int
    receivers: list[int]
    frac: int
    low: bool
    """Whether sources send the lower words of their shares first."""
    _sources: Callable[[int], list[int]]
    """Those whose shares are enough for a receiver, with its own."""
    _reserve: Callable[[int], list[int]]
    """Those who send a receiver their shares only if it asks."""

    async def _give_low(self, own, receiver, vouched):
        """The lower words to a receiver, and digests to some."""
        coefs = self.geometry.recombination((receiver, self.pid))
        words, digests = await self.op.compute(2 * len(own), low_words, own, coefs[1:],
                                               self.op.points_to(vouched))
        self.op.send(receiver, words)
        self.op.vouch(vouched, digests)

    def attend(self, own: np.ndarray) -> asyncio.Future:
        """From now on answer receivers that ask; a future of the time when none can any more.

        All are attended to at once, and while this party waits for its own value: two that ask
        each other would wait for ever.
        """
        asking = [p for p in self.receivers if p != self.pid and self.pid in self._reserve(p)]
        if not asking:
            return self.op.runtime.known(None)
        attending = asyncio.gather(*[self._attend(p, own) for p in asking])
        # When the run ends it may be that nobody has come to wait for this.
        attending.add_done_callback(lambda done: done.cancelled() or done.exception())
        return attending

    async def _attend(self, receiver, own):
        """Wait for a receiver's word, and send it this party's share if it asks."""
        [asks] = await self.op.receive(receiver, (1,), np.uint8, _WORD)
        if asks:
            self.op.send(receiver, own, _MORE)

    def _say(self, asks):
        for p in self._reserve(self.pid):
            self.op.send(p, np.array([asks], np.uint8), _WORD)

    async def _from_words(self, words, own, vouchers):
        """Numbers, and the digests of the source's share at the points of some that vouch."""
        coefs = self.geometry.recombination((self.pid, *self._sources(self.pid)))
        return await self.op.compute(4 * len(own), from_low_words, words, own, coefs,
                                     self.op.points_from(vouchers), self.frac)

    async def _combined(self, shares, points):
        return await self.op.compute(4 * len(shares[0]), field.combine, shares,
                                     self.geometry.recombination(tuple(points)))


class Output(_OutputBase):
    """An output of n numbers with `frac` fractional bits, in default mode. With `raw` they may be
    any elements.

        opening = Output(op, receivers, n, frac, raw)
        await opening.give(own)
        attending = opening.attend(own)
        opened = await opening.receive(own)  # at a receiver; the value is known from here on
        await attending                      # at all parties: until every receiver has its value
    """

    def __init__(self, op, receivers, n: int, frac: int, raw: bool):
        self.op, self.geometry, self.pid = op, op.runtime.geometry, op.runtime.pid
        self.receivers, self.frac = sorted(receivers), frac
        self.low = takes_low_words(n, self.geometry.t, raw)

    def _sources(self, receiver):
        return [(receiver - k) % self.geometry.m for k in range(1, self.geometry.t + 1)]

    def _reserve(self, receiver):
        return self._sources(receiver) if self.low else []

    async def give(self, own: np.ndarray) -> None:
        """Send what the receivers need of this party's share (n, 2)."""
        for receiver in self.receivers:
            if self.pid in self._sources(receiver):
                if self.low:
                    await self._give_low(own, receiver, [receiver])
                else:
                    self.op.send(receiver, own)

    async def receive(self, own: np.ndarray) -> np.ndarray:
        """The opened values: numbers (n,), int64 or float64, or elements (n, 2)."""
        sources = self._sources(self.pid)
        if self.low:
            [source] = sources
            words = await self.op.receive(source, (len(own),))
            numbers, implied = await self._from_words(words, own, sources)
            fits = bytes_eq(await self.op.receive_digest(source), implied.tobytes())
            self._say(not fits)
            if fits:
                return numbers
            self.op.round()
            self.op.round()
        shares = [await self.op.receive_elements(p, len(own), _MORE if self.low else 0)
                  for p in sources]
        return await self._combined([own, *shares], [self.pid, *sources])


class CheckedOutput(_OutputBase, CheckedOpening):
    """The same in verified mode: finds its value, and names those who lied, whatever t parties do.

    What t parties do raises nothing but errors of their messages. In small arrays a share whose
    seal does not open counts as wrong, whoever is to blame, and more than t of these end the run.
    """

    def __init__(self, op, receivers, n: int, frac: int, raw: bool, masked: bool = False):
        m, t = op.runtime.geometry.m, op.runtime.geometry.t
        self.frac, self.small, self.low = frac, n <= SMALL_OUTPUT, takes_low_words(n, t, raw)
        self.confirmed = not masked and not self.small
        CheckedOpening.__init__(self, op, t, receivers, m - 1 if self.small else t, True,
                                sealed=self.small and not masked)

    def _sources(self, receiver):
        return self._senders(receiver)[0]

    def _reserve(self, receiver):
        if self.small:
            return []
        sources, others = self._senders(receiver)
        return (sources if self.low else []) + others[:self.geometry.t]

    async def give(self, own: np.ndarray) -> None:
        """As in the default mode, once all parties have come so far if nothing is masked."""
        if self.confirmed:
            await confirm(self.op)
        sinks = [p for p in self.receivers if self.pid in self._sources(p)] if self.low else []
        for receiver in sinks:
            await self._give_low(own, receiver, [p for p in self.receivers
                                                 if p not in (self.pid, receiver)])
        if not sinks:
            self.send(own)

    async def receive(self, own: np.ndarray, tag: int = 0, n: int | None = None) -> np.ndarray:
        """As in the default mode; raises RemoteProtocolError of wrong messages only."""
        if self.low:
            [source] = self._sources(self.pid)
            words = await self.op.receive(source, (len(own),))
            numbers, digests = await self._small(words, own)
            self._say(numbers is None)
            if numbers is not None:
                return numbers
            held: dict = {self.pid: own}
        else:
            held, digests = await self._arrived(own, 0)
            value = self._read(held)
            if value is not None:
                return value
            found, wrong = await self._agreed(held, digests, 0)
            self._say(found is None)
            if found is not None:
                return await self._combined(*found)
            if self.small:
                raise self._unclear(held, wrong)
        opened = await self._more(held, digests)
        if self.low and not np.array_equal(words, self._right_words(opened, own)):
            self.op.runtime.suspect(self.op, [source])
        return opened

    async def _small(self, words, own):
        """The numbers, or None unless all digests agree with them; and the digests.

        Not all but one: a liar that knows a number which does not fit can make its digest agree.
        """
        sources, vouchers = self._senders(self.pid)
        numbers, implied = await self._from_words(words, own, vouchers)
        digests = {p: await self.op.receive_digest(p) for p in vouchers}
        known = np.stack([self.op.linear_digests(vouchers, [own])[0], implied])
        wrong = self._mismatched(known, (self.pid, *sources), digests)
        return (None if wrong else numbers), digests

    async def _more(self, held, digests):
        """The opened elements, with what there is to be asked for beside what is held."""
        reserve = self._reserve(self.pid)
        for p in reserve:
            held[p] = await self._elements(p, len(held[self.pid]), _MORE)
        self.op.round()
        self.op.round()
        found, wrong = await self._agreed(
            held, {p: digest for p, digest in digests.items() if p not in reserve}, 0)
        if found is None:
            raise self._unclear(held, wrong)
        # Those who have sent a right share now may have vouched for another one before.
        self.op.runtime.suspect(self.op, await self._contradicting(*found, digests, 0))
        return await self._combined(*found)

    def _right_words(self, opened, own):
        """The words that the source should have sent."""
        [source] = self._sources(self.pid)
        share = field.combine([opened, own], field.table(
            lagrange([0, self.pid + 1], source + 1)))
        coefs = self.geometry.recombination((self.pid, source))
        return low_words(share, coefs[1:], self.op.points_from([]))[0]
