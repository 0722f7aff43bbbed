"""Dealing: how the owner of a value makes Shamir shares of it with few messages.

t of the other parties take a pseudorandom share that they and the dealer derive from their pairwise
key; these and the value fix the polynomial, and the dealer sends the remaining parties theirs.
"""

from collections.abc import Collection, Mapping

import numpy as np

from engine import field
from engine.shamir import Geometry, lagrange


def deal_roles(geometry: Geometry, dealer: int, rotation: int) -> tuple[list[int], list[int]]:
    """(seeded, sent): the t parties whose share of a deal is pseudorandom, and the others."""
    m, t = geometry.m, geometry.t
    others = [(dealer + 1 + (rotation + k) % (m - 1)) % m for k in range(m - 1)]
    return others[:t], others[t:]


class Dealing:
    """One party's dealing of n elements to all parties, as a step of an operation.

        dealing = Dealing(op, dealer, n)
        share = await dealing.give(values)  # at the dealer
        share = await dealing.take()        # at the others

    Dealings of an operation have a purpose and a tag each. Who deals and takes in one round gives
    first. 16 (m - 1 - t) n bytes; the caller counts the round.
    """

    def __init__(self, op, dealer: int, n: int, purpose: bytes = b'deal', tag: int = 0,
                 turn: int = 0):
        self.op, self.dealer, self.n = op, dealer, n
        self._purpose, self._tag = purpose, tag
        self.seeded, self.sent = deal_roles(op.runtime.geometry, dealer, op.rotation + turn)

    async def give(self, values: np.ndarray) -> np.ndarray:
        """At the dealer: send the shares of its elements (n, 2). Its own share (n, 2)."""
        shares = await self.op.compute(4 * self.n, self._shares, values)
        for peer in self.sent:
            self.op.send(peer, shares[peer], self._tag)
        return shares[self.dealer]

    async def take(self) -> np.ndarray:
        """At another party: its share (n, 2)."""
        if self.op.runtime.pid in self.seeded:
            return await self.op.compute(self.n, self._drawn, self.dealer)
        return await self.op.receive_elements(self.dealer, self.n, self._tag)

    def _drawn(self, peer):
        return field.uniform(self.op.of_pair(peer, self._purpose, 2 * self.n).reshape(self.n, 2))

    def _shares(self, values):
        drawn = {p: self._drawn(p) for p in self.seeded}
        return remaining_shares(values, drawn, (self.dealer, *self.sent))


def remaining_shares(values: np.ndarray, drawn: Mapping[int, np.ndarray],
                     parties: Collection[int]) -> dict[int, np.ndarray]:
    """Shares {party: array (n, 2)} of elements (n, 2), where t other parties have drawn theirs."""
    parts = [values, *drawn.values()]
    points = [0, *[p + 1 for p in drawn]]
    return {p: field.combine(parts, field.table(lagrange(points, p + 1))) for p in parties}
