"""The masks of a one-round product: what a party adds before, and takes away after, the opening.

See `engine.arithmetic` for the protocol that these constants and kernels belong to.
"""

import numpy as np

from engine import field


class MaskPlan:
    """Constants and kernels of one masked opening at one party."""

    def __init__(self, g, pid, group, shift, degree):
        self.g, self.shift = g, shift
        self.sets = g.sets_of(pid)
        values = [g.set_value(k, pid) for k in self.sets]
        x = pid + 1
        self.period = 1 + degree - g.t
        self.coefs = field.table([v * x**j for v in values for j in range(self.period)])
        self.minus = field.table([-v for v in values])
        self.bits = g.mask_bits if shift else 127
        half = len(g.sets) % 2 == 0
        offset = (1 << (g.product_bits - 1)) + (1 << (shift - 1) if half else 0) if shift else 0
        self.offset = field.limbs(offset)
        centre = len(g.sets) // 2
        self.constant = field.limbs(-((1 << (g.product_bits - 1)) >> shift) - centre
                                    if shift else 0)
        self.carrier = field.limbs(g.carrier(group, pid))

    def start(self, op, piece, lo, hi, k, sends):
        """Masked share to send (None if this party does not send) and the masks.

        One expansion per set gives the bounded mask r_A and, for a sender, the coefficients of the
        sharing of zero after it.
        """
        n = hi - lo
        period = self.period if sends else 1
        masks = np.empty((len(self.sets) * period, n, 2), np.uint64)
        for j, index in enumerate(self.sets):
            op.of_set(index, b'mask', 2 * n * period, k, masks[j * period:(j + 1) * period])
        if not sends:
            return None, masks
        own = field.add_masks(piece(lo, hi), self.offset, masks, self.coefs, period, self.bits)
        return own, masks

    def finish(self, shares, points, masks):
        """This party's share of the result, from the shares of the parties `points` (if any)."""
        n = masks.shape[1]
        if shares:
            opened = field.stack(shares)
            weights = self.g.recombination(tuple(points))
        else:
            opened, weights = np.empty((0, n, 2), np.uint64), np.empty((0, 2), np.uint64)
        return field.unmask(opened, weights, self.carrier, self.constant, masks, self.minus,
                            len(masks) // len(self.sets), self.shift, self.bits)
