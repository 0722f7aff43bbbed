"""Rows that refer to numbered slots by a secret index: look-ups and sums in either direction.

n slots and N rows; row i belongs to slot keys[i], which is secret. The rows are sorted by their
slot once, each slot's own row behind them, and the order is kept (`engine.kept_order`). After that

- a look-up x[keys] places the differences of neighbouring slots' values on the slots' rows and sums
  up from the end: no interaction but moving the table,
- a sum per slot is a running sum, read off at the slots' rows.

So neither the number of rows of a slot nor which rows share one shows. Both are linear: exact for
integers and fixed point as long as the running sums stay in the field. Used for graphs as in Araki
et al., CCS 2021 ("Secure graph analysis at scale"). Nothing opens but the comparisons of the sort.
"""

from __future__ import annotations

import numpy as np


class SecretIndex:
    """Rows by slot; make one with `await SecretIndex.of(mpc, keys, slots)`."""

    def __init__(self, mpc, ordering, rows: int, slots: int):
        self.mpc, self._ordering, self.rows, self.slots = mpc, ordering, rows, slots

    @classmethod
    async def of(cls, mpc, keys, slots: int, *, fixed_shape: bool = False) -> SecretIndex:
        """Sort the rows with secret integer `keys` (N,), each in 0..slots - 1; one sort of
        N + slots rows. A key out of range makes results wrong, but reveals nothing."""
        own = mpc.array(2 * np.arange(slots) + 1)
        tagged = mpc.concatenate([2 * keys, own])
        ordering = await mpc.ordering(tagged, key_bits=(2 * slots + 1).bit_length(),
                                      fixed_shape=fixed_shape)
        return cls(mpc, ordering, keys.shape[0], slots)

    def look_up(self, values):
        """values[keys] (N, k) for shared values (slots, k); two moves of the table."""
        return self._ordering.restore(self._spread(values))[:self.rows]

    def totals(self, values):
        """Sums (slots, k) of shared values (N, k) over each slot's rows; two moves."""
        return self._read(self._arrange(values).cumsum(0))

    def pick(self, marks, values):
        """One marked row per slot: which rows, whether there is one, and its value.

        `marks` (N, k) are shared bits, `values` (N,) shared; for each of the k kinds of marks the
        row of the lowest index among a slot's marked rows is picked. Returns shared picked (N, k),
        found (slots, k) and values (slots, k), zero where nothing is found. Four moves, one
        comparison and two products per row and kind.
        """
        mpc, k = self.mpc, marks.shape[1]
        both = self._arrange(mpc.concatenate([marks, values.reshape(self.rows, 1)], axis=1))
        marks, values = both[:, :k], both[:, k:]
        running = marks.cumsum(0)
        # What has been counted before a slot's first row is what the slot before it ends with.
        ends = self._slots(running)
        before = mpc.concatenate([mpc.array(np.zeros((1, k), np.int64)), ends[:-1]])
        picked = marks * mpc.equal(running - self._spread(before), mpc.array(
            np.ones((1, 1), np.int64)))
        chosen = mpc.concatenate([picked, picked * values], axis=1)
        table = self._ordering.restore(mpc.concatenate([picked, chosen.cumsum(0)], axis=1))
        sums = _differences(mpc, table[self.rows:, k:])
        return table[:self.rows, :k], sums[:, :k], sums[:, k:]

    def _arrange(self, values):
        """Rows of values (N, k) in sorted order, zeros in the slots' rows."""
        empty = self.mpc.array(np.zeros((self.slots, values.shape[1]), np.int64))
        return self._ordering.sort(self.mpc.concatenate([values, empty]))

    def _spread(self, values):
        """values (slots, k) at all rows of each slot, in sorted order."""
        mpc = self.mpc
        none = np.zeros((1, values.shape[1]), np.int64)
        steps = values - mpc.concatenate([values[1:], mpc.array(none)])
        empty = mpc.array(np.zeros((self.rows, values.shape[1]), np.int64))
        return self._ordering.sort(mpc.concatenate([empty, steps]))[::-1].cumsum(0)[::-1]

    def _slots(self, table):
        """What a sorted table holds in the slots' rows, in the order of the slots."""
        return self._ordering.restore(table)[self.rows:]

    def _read(self, running):
        return _differences(self.mpc, self._slots(running))


def _differences(mpc, ends):
    """Sums per slot from running sums at the slots' ends."""
    none = mpc.array(np.zeros((1, ends.shape[1]), np.int64))
    return ends - mpc.concatenate([none, ends[:-1]])
