"""Openings in verified mode: a wrong share of up to t parties is noticed, or corrected.

With m >= 3t + 1 the shares of the honest parties alone, 2t + 1 or more, fix every polynomial of
degree 2t, so none that another party sends can be wrong and fit. Source: Ben-Or, Goldwasser,
Wigderson, STOC 1988.
"""

import functools
import itertools

import numpy as np
from cryptography.hazmat.primitives.constant_time import bytes_eq

from engine import field
from engine.costs_verified import FEW
from engine.errors import RemoteProtocolError
from engine.sealing import Seals, liars


def cheating(op, cause: str, suspects=()) -> RemoteProtocolError:
    """The error that ends a run; `suspects` are the parties that can have caused it."""
    suspects = sorted(suspects)
    party = suspects[0] if len(suspects) == 1 else None
    if len(suspects) > 1:
        cause += f'; one of the parties {suspects} deviated'
    return RemoteProtocolError(
        'cheating-detected', f'{op.name}: {cause}', party=party, step='/'.join(op.path),
        remedy='nothing more is opened here; replace that party before running again')


@functools.cache
def _divided(m, receiver, full):
    others = [(receiver + k) % m for k in range(1, m)]
    return others[:full], others[full:]


class CheckedOpening:
    """An opening of `degree`, at most 2t, to some receivers; any t parties may lie.

    A receiver gets `full` shares and m - 1 - full digests: 16 bytes per element and share, 16 per
    digest; by default `degree` shares, or all m - 1 of up to `FEW` elements, which costs less than
    the digests would. With degree t it can be told to `correct`: then a receiver does without the
    shares that lie on another polynomial than m - t of all, and names who sent them. It finds that
    polynomial for certain with full = 2t; with full = t unless one of these t lied.

    With `sealed`, nobody learns anything before all parties have sent theirs (`engine.sealing`).
    There are no digests then, and all m - 1 shares are sent: `sealed_size` bytes each.
    """

    def __init__(self, op, degree: int, receivers, full: int | None = None, correct=False,
                 sealed=False):
        self.op, self.degree, self.geometry = op, degree, op.runtime.geometry
        self.sealed, self.conflicts = sealed, None
        self.full = self.geometry.m - 1 if sealed else full
        self.tolerated = self.geometry.t if correct and degree <= self.geometry.t else 0
        self.receivers: list[int] = sorted(receivers)
        self.senders = tuple(range(self.geometry.m))
        self.pid = op.runtime.pid

    def _senders(self, receiver, n: int = 0):
        """Of the shares of n elements: from whom a receiver gets them, and who only vouches."""
        m, full = self.geometry.m, self.full
        if full is None:
            full = m - 1 if n <= FEW else self.degree
        return _divided(m, receiver, full)

    def send(self, own: np.ndarray, tag: int = 0) -> None:
        """Send this party's shares to those receivers that count on them, digests to the others."""
        if self.sealed:
            self.seals = Seals(self.op, tag)
            self.seals.send(self.receivers, own.tobytes())
            return
        vouched = []
        for receiver in self.receivers:
            if self.pid in self._senders(receiver, len(own))[0]:
                self.op.send(receiver, own, tag)
            elif receiver != self.pid:
                vouched.append(receiver)
        if vouched:
            self._vouch(vouched, own, tag)

    async def receive(self, own: np.ndarray, tag: int = 0, n: int | None = None):
        """(shares, parties): degree + 1 checked arrays (n, 2) that fix the opened values.

        `n`, which `Opening` needs, is the length of `own` here. Raises RemoteProtocolError
        `cheating-detected`.
        """
        held, digests = await self._arrived(own, tag)
        if self._read(held) is not None:
            points = tuple(held)[:self.degree + 1]
            return [held[p] for p in points], points
        found, wrong = await self._agreed(held, digests, tag)
        if found is None:
            raise self._unclear(held, wrong)
        return found

    async def _arrived(self, own, tag):
        """The shares that are here, this party's first, and the digests of the others."""
        shares, others = self._senders(self.pid, len(own))
        held = {self.pid: own}
        if self.sealed:
            contents = await self.seals.receive(own.nbytes)
            held |= {p: np.frombuffer(bytearray(words), own.dtype).reshape(own.shape)
                     for p, words in contents.items()}
            # Nobody looks for wrong keys as long as everything fits.
            valid = all(self._valid(held[p]) for p in contents)
            return held if valid else self._legible(held), {}
        for p in shares:
            held[p] = await self._elements(p, len(own), tag)
        return held, {p: await self.op.receive_digest(p, tag) for p in others}

    async def _agreed(self, held, digests, tag):
        """(shares, parties), with which all but `tolerated` parties agree, or None; and who does
        not agree with the last ones that were tried. Those who are tolerated are suspected."""
        wrong: set = set()
        for points in itertools.combinations(held, self.degree + 1):
            if self.pid not in points:
                break
            wrong = await self._disagreeing(held, digests, points, tag)
            if wrong and self.sealed and self.conflicts is None:
                return await self._agreed(self._legible(held), digests, tag)
            if len(wrong) <= self.tolerated:
                if self.conflicts:
                    wrong |= liars(self.conflicts, self.pid, self.geometry.t)
                self.op.runtime.suspect(self.op, wrong)
                return ([held[p] for p in points], points), set()
        return None, wrong

    def _legible(self, held):
        """Of the shares those whose seals have opened; the others count as wrong."""
        self.conflicts = self.seals.conflicts()
        unread = {p for p, _ in self.conflicts}
        noise = {p for p, share in held.items() if p not in unread and not self._valid(share)}
        # The sealer has lied for certain, as if it had contradicted this party.
        self.conflicts |= {(p, self.pid) for p in noise}
        unread |= noise
        self.tolerated -= len(unread)
        return {p: share for p, share in held.items() if p not in unread}

    def _unclear(self, held, wrong):
        """The error where no polynomial fits."""
        t, suspects = self.geometry.t, set(range(self.geometry.m)) - {self.pid}
        if self.conflicts:
            return cheating(self.op, 'a key does not fit the seal of a share',
                            liars(self.conflicts, self.pid, t) or set().union(*self.conflicts))
        if self.degree <= t and len(wrong) <= t:
            suspects = wrong
        elif self.degree <= t and len(held) == self.degree + 1:
            # Had all of these been honest, no more than t would have disagreed with them.
            suspects = set(held) - {self.pid}
        return cheating(self.op, 'the shares of an opened value are not on one polynomial',
                        suspects)

    async def _disagreeing(self, held, digests, points, tag):
        """Parties whose share is not the one that the shares of `points` imply."""
        fixing = self._numbers([held[p] for p in points])
        wrong = set()
        for p in set(held).difference(points):
            if not np.array_equal(await self._implied(fixing, points, p), held[p]):
                wrong.add(p)
        return wrong | await self._contradicting(fixing, points, digests, tag)

    # What depends on the field; `engine.checked_fields` has the same for any field of MPyC's.

    def _read(self, held):
        """The values (n, 2) where the shares of all parties have come and one polynomial fits; None
        elsewhere. Does the work of `_agreed` at once."""
        if len(held) < self.geometry.m:
            return None
        shares = np.concatenate([held[p] for p in self.senders])
        read = field.matmul(self.geometry.reading(self.degree), shares.reshape(len(held), -1, 2))
        return None if read[1:].any() else read[0]

    async def _elements(self, party, n, tag):
        return await self.op.receive_elements(party, n, tag)

    def _valid(self, share):
        return field.canonical(share)

    def _numbers(self, shares):
        return shares

    async def _implied(self, fixing, points, party):
        """The share of `party` that those of `points` imply."""
        weights = self.geometry.recombination(points, party + 1)
        return await self.op.compute(4 * len(fixing[0]), field.combine, fixing, weights)

    def _vouch(self, receivers, own, tag):
        self.op.send_linear_digests(receivers, own, tag)

    async def _contradicting(self, fixing, points, digests, tag):
        """Parties whose digest is not that of the share that those of `points` imply."""
        if not digests:
            return set()
        known = await self.op.compute(len(fixing) * len(digests) * len(fixing[0]),
                                      self.op.linear_digests, digests, fixing, tag)
        return self._mismatched(known, points, digests)

    def _mismatched(self, known, points, digests):
        """Parties whose digest is not what the digests (degree + 1, k, 2) of the shares of `points`
        imply, under the keys of these k parties."""
        implied = {p: field.combine(known[:, j:j + 1], self.geometry.recombination(points, p + 1))
                   for j, p in enumerate(digests)}
        return {p for p, digest in digests.items() if not bytes_eq(digest, implied[p].tobytes())}
