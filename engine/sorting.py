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


class SortOperations:
    """Shuffle and sort (a mix-in of `engine.runtime.Runtime`)."""

    def shuffle(self, table: SecureArray) -> SecureArray:
        """Rows of a table in a uniformly random order that no t parties know.

        Rounds: one per group and a last one. For m = 4: 6 elements sent in all per table element.
        """
        groups = self.geometry.shuffle_groups()
        held = self.to_additive(table, groups[0])
        for k, group in enumerate(groups):
            if k:
                held = held.hand_over(group)
            held = held.permute()
        return held.to_shared()

    async def sort_rows(self, table: SecureArray, key: int = 0) -> SecureArray:
        """Rows of an (n, k) table in ascending order of the secret column `key`.

        Ties are ordered at random: the shuffle gives every row a random place, and equal keys
        compare by it, so the opened comparisons reveal nothing about ties either. Reveals only
        what a random order reveals. About 2 log2(n) batches of comparisons.
        """
        n = table.shape[0]
        if n < 2:
            return table
        table = self.shuffle(table)
        order = await self._quicksort(table[:, key].reinterpret(0), n)
        return table[order]

    async def _quicksort(self, keys, n):
        """Public order of secret distinct keys that are in random order already."""
        order = np.arange(n)
        segments = [(0, n)]
        while segments:
            rows, pivots, bounds = [], [], []
            for lo, hi in segments:
                # The middle: rows with equal keys stand in their tie-break order already.
                order[[lo, (lo + hi) // 2]] = order[[(lo + hi) // 2, lo]]
                pivot = order[lo]
                rows.append(order[lo + 1:hi])
                pivots.append(np.full(hi - lo - 1, pivot))
                bounds.append((lo, hi, pivot))
            left = np.concatenate(rows)
            right = np.concatenate(pivots)
            # Distinct keys: after the shuffle a row's place is a uniformly random tie-break.
            tie = (left < right).astype(np.int64)
            smaller = await self.output(self.negative(keys[left] - keys[right] - tie))
            start, fresh = 0, []
            for lo, hi, pivot in bounds:
                part = order[lo + 1:hi].copy()
                below = smaller[start:start + len(part)].astype(bool)
                start += len(part)
                cut = lo + int(below.sum())
                order[lo:cut], order[cut], order[cut + 1:hi] = part[below], pivot, part[~below]
                fresh += [s for s in ((lo, cut), (cut + 1, hi)) if s[1] - s[0] > 1]
            segments = fresh
        return order
