"""What the tests of the join share: joins of all kinds, and what pandas makes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from engine.cluster import run_cluster
from protocols.join import SecureJoin
from protocols.join_order import shuffled


@dataclass
class Case:
    """Identifiers of every party, and how they are joined; `slack` rows of padding each."""

    ids: list[list[str]]
    options: dict[str, Any] = field(default_factory=dict)
    slack: int = 0
    width: int = 2

    @property
    def rows(self) -> list[int]:
        return [len(own) + self.slack for own in self.ids]

    def values(self, party: int) -> np.ndarray:
        """Columns of a party: its own number and the row number, as positive and negative ones."""
        row = np.arange(len(self.ids[party]))[:, None]
        return (1 + row) * np.array([1, -1] * self.width)[:self.width] + 1000 * party

    async def program(self, mpc: Any) -> list[Any]:
        """[join, presence bits of all parties, columns of all parties], all secret."""
        own = self.ids[mpc.pid]
        join = SecureJoin(mpc, self.rows, self.rows[0], **self.options)
        await join.match(np.array(own, object),
                         shuffled(len(own), self.rows[0]) if mpc.pid == 0 else None)
        parties = join.plan.lists
        bits = [join.presence(p) for p in parties]
        columns = [join.columns(p, self.values(p) if mpc.pid == p else None, self.width)
                   for p in parties]
        return [join, *bits, *columns]

    async def opened(self, mpc: Any) -> np.ndarray:
        """Presence bits and columns side by side, for everybody."""
        join, *shared = await self.program(mpc)
        assert {x.shape[0] for x in shared} == {join.size}
        return np.concatenate(await mpc.output(shared), axis=1)

    def expected(self) -> np.ndarray:
        """The rows that pandas finds, in the form of `opened`, in ascending order."""
        m, kind = len(self.ids), self.options.get('kind', 'left')
        parties = [0, *self.options.get('partners', range(1, m))]
        table: Any = None
        for p in parties:
            frame = pd.DataFrame({'id': np.array(self.ids[p], object), f'b{p}': 1})
            for c in range(self.width):
                frame[f'v{p}.{c}'] = self.values(p)[:, c]
            table = frame if table is None else \
                table.merge(frame, on='id', how='outer' if kind == 'full' else 'left')
        if kind == 'inner':
            for p in self.options.get('required', parties):
                table = table[table[f'b{p}'] == 1]
        names = [f'b{p}' for p in parties] + [f'v{p}.{c}' for p in parties
                                              for c in range(self.width)]
        return ordered(table[names].fillna(0).to_numpy().astype(np.int64))

    def check(self, m: int = 4, **more: Any) -> np.ndarray:
        """Run the join, compare with pandas; what was opened, padding included."""
        results = run_cluster(self.opened, m, **more)
        for other in results[1:]:
            np.testing.assert_array_equal(other, results[0])
        real = results[0][results[0].any(axis=1)]
        np.testing.assert_array_equal(ordered(real), self.expected())
        return results[0]


def ordered(rows: np.ndarray) -> np.ndarray:
    """Rows in ascending order."""
    return rows[np.lexsort(rows.T[::-1])] if len(rows) else rows


def names(*numbers: int) -> list[str]:
    """Identifiers."""
    return [f'company-{i:05d}' for i in numbers]


def overlapping(rng: np.random.Generator, sizes: list[int], among: int) -> list[list[str]]:
    """A random set of identifiers for every party."""
    return [names(*rng.permutation(among)[:n]) for n in sizes]
