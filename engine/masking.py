"""The masks of a one-round product: what a party adds before, and takes away after, the opening.

See `engine.arithmetic` for the protocol that these constants and kernels belong to.
"""

import numpy as np

from engine import field
from engine import field_kernels as kernels

_BLOCK = 1 << 12
"""Elements whose masks are drawn at a time."""


class MaskPlan:
    """Constants and kernels of one masked opening at one party."""

    def __init__(self, g, pid, group, shift, degree):
        self.g, self.shift = g, np.uint64(shift)
        self.sets = g.sets_of(pid)
        values = [g.set_value(k, pid) for k in self.sets]
        x = pid + 1
        self.period = 1 + degree - g.t
        self.coefs = field.table([v * x**j for v in values for j in range(self.period)])
        self.minus = field.table([-v for v in values])
        self.bits = g.mask_bits if shift else 127
        self.top = np.uint64((1 << (self.bits - 64)) - 1)
        half = len(g.sets) % 2 == 0
        offset = (1 << (g.product_bits - 1)) + (1 << (shift - 1) if half else 0) if shift else 0
        self.offset = field.table([offset])
        centre = len(g.sets) // 2
        self.constant = field.table([-((1 << (g.product_bits - 1)) >> shift) - centre
                                     if shift else 0])
        self.carrier = field.table([g.carrier(group, pid)])

    def start(self, op, piece, lo, hi, k, sends, rest=None):
        """Masked share to send (None if this party does not send), and what `finish` adds to.

        In blocks that stay in cache: one expansion per set gives the bounded masks r_A of a block
        and, for a sender, the coefficients of the sharing of zero after them; both go at once into
        the masked share of `piece(lo, hi)` and into `rest`, the negated sum of the truncated masks.
        """
        n = hi - lo
        own = np.empty((n, 2), np.uint64) if sends else None
        rest = np.empty((n, 2), np.uint64) if rest is None else rest
        period = self.period if sends else 1
        memory = np.empty(2 * len(self.sets) * period * min(n, _BLOCK), np.uint64)
        for at in range(0, n, _BLOCK):
            size = min(_BLOCK, n - at)
            draws = memory[:2 * len(self.sets) * period * size].reshape(-1, size, 2)
            for j, index in enumerate(self.sets):
                op.of_set(index, b'mask', 2 * size * period, k,
                          draws[j * period:(j + 1) * period], self.period * at)
            if own is not None:
                kernels.add_masks(piece(lo + at, lo + at + size), self.offset, draws, self.coefs,
                                  period, self.top, own[at:at + size])
            kernels.shifted_masks(draws, self.constant, self.minus, period, self.shift, self.top,
                                  rest[at:at + size])
        return own, rest

    def finish(self, shares, points, rest):
        """This party's share of the result, in the memory of `rest`.

        `shares` are those of the parties `points`; none where this party receives none.
        """
        if shares:
            # One kernel for any number of arrays, without gathering them: it takes addresses.
            places = np.array([s.ctypes.data for s in shares], np.uint64)
            kernels.add_opened(places, self.g.recombination(tuple(points)), self.carrier,
                               self.shift, rest)
        return rest
