"""Who of the parties is silent, and who only waits for one that is.

A party that gets nothing may wait for somebody who waits himself. So while this party waits, it
asks all others now and then whether they are there. An event loop answers by itself, whatever its
program waits for, and tells from whom that wants frames. A party that does not answer is stopped,
unreachable, or blocks its event loop: that one is named.

Questions and answers are frames without a payload, four rounds of them per idle deadline at most,
and only while something is awaited. They tell the peers nothing but who waits for whom.
"""

import asyncio
from collections.abc import Callable, Iterable

from engine import frames

_QUESTIONS = 4
"""Per idle deadline."""
_APART = 0.05
"""Seconds between two answers to one peer; questions that come quicker are not answered."""
_NAMED = 63
"""Parties that an answer can name."""


class Liveness:
    """Questions to the peers of one party, and what they have answered.

    `links` are those to the peers, `awaited()` the parties that frames are awaited from.
    """

    def __init__(self, pid: int, links: dict, awaited: Callable[[], Iterable[int]],
                 idle_deadline: float, loop: asyncio.AbstractEventLoop):
        self._pid, self._links, self._awaited, self._loop = pid, links, awaited, loop
        self._period = idle_deadline / _QUESTIONS
        self._heard = dict.fromkeys(links, loop.time())
        self._answered = dict.fromkeys(links, 0.0)
        self._waits: dict[int, set[int]] = {}
        self._timer = loop.call_later(self._period, self._ask)

    def close(self) -> None:
        """Ask no more."""
        self._timer.cancel()

    def _ask(self):
        self._timer = self._loop.call_later(self._period, self._ask)
        if any(True for _ in self._awaited()):
            for link in self._links.values():
                link.send(frames.PING, 0, 0, 0, b'')

    def heard(self, peer: int) -> None:
        """A frame of the peer has arrived."""
        self._heard[peer] = self._loop.time()

    def asked(self, peer: int) -> None:
        """Answer a question."""
        now = self._loop.time()
        if now >= self._answered[peer] + _APART:
            self._answered[peer] = now
            mask = sum(1 << p for p in set(self._awaited()) if p < _NAMED)
            self._links[peer].send(frames.PONG, 0, mask, 0, b'')

    def answered(self, peer: int, mask: int) -> None:
        """The peer's answer: the parties that it waits for."""
        self._waits[peer] = {p for p in range(_NAMED) if mask >> p & 1 and p in self._links}

    def culprit(self, peer: int, gone: Iterable[int], trust: bool) -> tuple[int, str]:
        """Whom to name when nothing has come from `peer` for the idle deadline, and why.

        Parties in `gone` need not answer. Without `trust` a peer's word about whom it waits for is
        told, but nobody is named for it.
        """
        limit = self._loop.time() - 2 * self._period
        silent = [p for p, heard in self._heard.items() if heard < limit and p not in gone]
        if peer in silent:
            return peer, ', which does not answer'
        if silent:
            return silent[0], f' from party {peer}, which answers; party {silent[0]} does not'
        named, seen, words = peer, {self._pid}, f' from party {peer}, which answers'
        while named not in seen:
            seen.add(named)
            further = sorted(self._waits.get(named, set()) - seen)
            if further:
                words += f'; party {named} says that it waits for party {further[0]}'
                named = further[0]
        return (named if trust else peer), words
