"""Secret shuffle and sort.

Shuffle: groups of t + 1 parties in turn hold the table as an additive sharing and permute its rows
by an order that they derive from a common key (design 3.4). The groups are chosen so that every t
parties are outside at least one, so nobody knows the composition. A few messages of the table's
size in all; no permutation network.

Sort: after a secret shuffle the order of distinct keys is independent of their original places, so
a comparison sort may open its comparisons (Hamada et al., ICISC 2012). Rows are compared in large
batches: a quicksort whose every level is one batch of comparisons against the pivots. Equal keys
would show as such; the caller breaks ties (see `sort_rows`).
"""

import numpy as np

from engine.array import SecureArray
from engine.base import RuntimeBase


class SortOperations(RuntimeBase):
    """Shuffle and sort (a mix-in of `engine.runtime.Runtime`)."""

    def shuffle(self, table: SecureArray) -> SecureArray:
        """Rows of a table in a uniformly random order that no t parties know.

        For m = 4 two rounds, and 6 elements sent in all per table element.
        """
        groups = self.geometry.shuffle_groups()
        held = self.to_additive(table, groups[0])
        for k, group in enumerate(groups):
            if k:
                held = held.hand_over(group)
            held = held.permute()
        return held.to_shared()

    async def sort_rows(self, table: SecureArray, key: int | list[int] = 0) -> SecureArray:
        """Rows of an (n, k) table in ascending order of the secret column `key`.

        With a list of columns the first one decides and the next ones break its ties. Remaining
        ties are ordered at random: the shuffle gives every row a random place, and equal keys
        compare by it, so the opened comparisons reveal nothing about ties either. For a stable
        sort append a column 0..n-1 as the last key. Reveals only what a random order reveals.
        About 2 log2(n) batches of comparisons.
        """
        n = table.shape[0]
        if n < 2:
            return table
        table = self.shuffle(table)
        keys = table[:, [key] if isinstance(key, int) else key].reinterpret(0)
        return table[await self._quicksort(keys, n)]

    async def _quicksort(self, keys, n):
        """Public order of secret keys (n, k) that are in random order already."""
        order = np.arange(n)
        segments = [(0, n)]
        while segments:
            rows, pivots = [], []
            for lo, hi in segments:
                # The middle: rows with equal keys stand in their tie-break order already.
                middle = (lo + hi) // 2
                order[[lo, middle]] = order[[middle, lo]]
                rows.append(order[lo + 1:hi])
                pivots.append(np.full(hi - lo - 1, order[lo]))
            smaller = await self._before(keys, np.concatenate(rows), np.concatenate(pivots))
            start, fresh = 0, []
            for lo, hi in segments:
                pivot, part = order[lo], order[lo + 1:hi].copy()
                below = smaller[start:start + len(part)]
                start += len(part)
                cut = lo + int(below.sum())
                order[lo:cut], order[cut], order[cut + 1:hi] = part[below], pivot, part[~below]
                fresh += [s for s in ((lo, cut), (cut + 1, hi)) if s[1] - s[0] > 1]
            segments = fresh
        return order

    async def _before(self, keys, left, right):
        """Opened: whether row left[i] comes before row right[i]; rows are never equal."""
        difference = keys[left] - keys[right]
        # After the shuffle a row's place is a uniformly random tie-break.
        tie = (left < right).astype(np.int64)
        last = keys.shape[1] - 1
        bits = self.negative(difference[:, last] - tie)
        if last:
            less = self.negative(self.stack([difference[:, :last], -difference[:, :last]]))
            for k in reversed(range(last)):
                bits = less[0, :, k] + (1 - less[0, :, k] - less[1, :, k]) * bits
        return (await self.output(bits)).astype(bool)
