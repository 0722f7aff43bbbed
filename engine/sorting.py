"""Secret shuffle and sort.

Shuffle: groups of t + 1 parties in turn hold the table as an additive sharing and permute its rows
by an order that they derive from a common key (design 3.4). The groups are chosen so that every t
parties are outside at least one, so nobody knows the composition. A few messages of the table's
size in all; no permutation network.

Sort: after a secret shuffle the order of distinct keys is independent of their original places, so
a comparison sort may open its comparisons (Hamada et al., ICISC 2012). Rows are compared in large
batches: a quicksort whose every level is one batch of comparisons against the pivots. Keys are
made distinct by the rows' secret first places.
"""

import math

import numpy as np

from engine import verified_shuffle
from engine.array import SecureArray, constant
from engine.base import RuntimeBase
from engine.shamir import STATISTICAL_SECURITY


class SortOperations(RuntimeBase):
    """Shuffle and sort (a mix-in of `engine.runtime.Runtime`)."""

    def shuffle(self, table: SecureArray) -> SecureArray:
        """Rows of a table in a uniformly random order that no t parties know.

        For m = 4 two rounds, and 6 elements sent in all per table element; in verified mode 6
        rounds, and 3 elements more per row (`engine.verified_shuffle`).
        """
        if self.geometry.verified:
            return verified_shuffle.shuffle(self, table)
        groups = self.geometry.shuffle_groups()
        held = self.to_additive(table, groups[0])
        for k, group in enumerate(groups):
            if k:
                held = held.hand_over(group)
            held = held.permute()
        return held.to_shared()

    async def sort_rows(self, table: SecureArray, key: int | list[int] = 0,
                        key_bits: int = 63, fixed_shape: bool = False) -> SecureArray:
        """Rows of an (n, k) table in ascending order of the secret column `key`.

        With a list of columns the first one decides and the next ones break its ties; rows that
        agree in all of them keep their order. Reveals only what a random order reveals, and
        nothing about ties. About 2 log2(n) batches of comparisons per key and one more.

        A single key known to be below 2^key_bits units in magnitude, with key_bits + log2(n) <= 62,
        is compared together with the tie-break, which halves the time. The number and sizes of
        the messages depend on the random order of the shuffle; with `fixed_shape` they depend on
        n alone: dummy comparisons fill every level, up to the depth that all but 2^-40 of the
        orders need (about twice the comparisons).
        """
        [ordered] = await self.sort_tables([table], key, key_bits, fixed_shape)
        return ordered

    async def sort_tables(self, tables: list[SecureArray], key: int | list[int] = 0,
                          key_bits: int = 63, fixed_shape: bool = False) -> list[SecureArray]:
        """Several tables of one shape, each sorted by itself, in the rounds of one sort."""
        n = tables[0].shape[0]
        if any(t.shape != tables[0].shape for t in tables):
            raise ValueError(f'sort_tables: shapes {[t.shape for t in tables]}, expected one shape')
        if n < 2:
            return list(tables)
        prepared = [self._prepare(table, key, key_bits) for table in tables]
        compared = self.concatenate([c for _, c in prepared])
        order = await self._quicksort(compared, n, len(tables), fixed_shape)
        return [mixed[order[j * n:(j + 1) * n] - j * n, :-1].reinterpret(tables[j].frac)
                for j, (mixed, _) in enumerate(prepared)]

    def _prepare(self, table, key, key_bits):
        """(shuffled rows with their first places, the columns to compare by)."""
        if table.ndim != 2:
            raise ValueError(f'sort of a table of shape {table.shape}; expected (n, k)')
        n, k = table.shape
        keys = np.atleast_1d(key)
        if not ((-k <= keys) & (keys < k)).all():
            raise ValueError(f'sort by columns {keys.tolist()} of a table of {k} columns')
        keys = (keys % k).tolist()
        # The secret first place of a row breaks ties. Its place after the shuffle must not: among
        # equal keys the opened order would then be ascending, which shows that they are equal.
        place = constant(self, np.arange(n).reshape(n, 1))
        mixed = self.shuffle(self.concatenate([table.reinterpret(0), place], axis=1))
        places = n.bit_length()
        if len(keys) == 1 and key_bits + places <= 62:
            return mixed, mixed[:, keys].shift(places) + mixed[:, [k]]
        return mixed, mixed[:, [*keys, k]]

    async def _quicksort(self, keys, n, tables, fixed_shape):
        """Public order of secret distinct keys (tables·n, k) that are in random order already;
        every n of them are sorted by themselves."""
        order = np.arange(tables * n)
        low, high = n * np.arange(tables), n * np.arange(1, tables + 1)
        level, levels = 0, usual_depth(n * tables) if fixed_shape else 0
        while len(low) or level < levels:
            level += 1
            # The middle: sorted parts do not make it slow.
            middle = (low + high) // 2
            order[low], order[middle] = order[middle], order[low]
            pivots = order[low]
            sizes = high - low - 1
            segment = np.repeat(np.arange(len(low)), sizes)
            place = np.arange(len(segment)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            rows = order[low[segment] + 1 + place]
            left, right = rows, pivots[segment]
            if fixed_shape:
                # Dummies compare row 0 with itself; what they give is not looked at.
                dummies = np.zeros(tables * n - len(left), int)
                left, right = np.append(left, dummies), np.append(right, dummies)
            below = (await self._before(keys, left, right))[:len(rows)]
            # Stable partition of all segments at once: smaller rows, pivot, larger rows.
            smaller = np.bincount(segment, below, len(low)).astype(int)
            seen = np.cumsum(below) - below
            rank = seen - np.repeat(np.cumsum(smaller) - smaller, sizes)
            target = np.where(below, rank, smaller[segment] + 1 + place - rank)
            order[low[segment] + target] = rows
            order[low + smaller] = pivots
            low, high = np.append(low, low + smaller + 1), np.append(low + smaller, high)
            open_ = high - low > 1
            low, high = low[open_], high[open_]
        return order

    async def _before(self, keys, left, right):
        """Opened: whether row left[i] comes before row right[i]; rows are never equal."""
        difference = keys[left] - keys[right]
        bits = 0
        for k in reversed(range(1, keys.shape[1])):
            # a < b, or a = b and the later keys say less: both exactly if a - b - bit < 0.
            bits = self.negative(difference[:, k] - bits)
        return await self.open_negative(difference[:, 0] - bits)


def usual_depth(n: int) -> int:
    """Levels that a quicksort of n rows in random order exceeds with probability below 2^-40.

    Devroye's bound on the height of a random search tree (J. ACM 33, 1986):
    P(height >= h) <= (2e ln n / h)^h / n.
    """
    scale = 2 * math.e * math.log(max(n, 2))
    depth = math.ceil(scale)
    while depth * math.log2(depth / scale) + math.log2(n) < STATISTICAL_SECURITY:
        depth += 1
    return min(n, depth)
