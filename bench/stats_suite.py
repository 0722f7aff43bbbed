"""The table engine's benchmarks: n rows into 1,000 cells (10 × 10 × 10), with all rules.

`group_by`: the rows are shared already; sort, largest contributions, rules of primary and secondary
suppression over all totals, opened table. `group_by_parties`: the same for the rows of thirty input
parties, from the bytes of their messages, with all checks of their inputs. `group_by_cells`: thirty
input parties that have added up their own rows before sharing. Every table is compared with the
twin in the clear after the clock has stopped.
"""

from __future__ import annotations

import numpy as np

from bench.suite import Benchmark
from protocols.stats.grouping import group_rows
from protocols.stats.plain.tables import quick_table
from protocols.stats.release import Record, release
from protocols.stats.rules import REASONS, Rules
from protocols.stats.spec import Dimension, Measure, TableSpec

SPEC = TableSpec(tuple(Dimension(name, tuple(f'{name} {k}' for k in range(10)))
                       for name in ('region', 'industry', 'purpose')), (Measure('loans', bits=31),))
RULES = Rules()
_BITS = SPEC.measures[0].bits


def rows(n: int, seed: int = 0):
    """(cells, amounts) of made-up loans: some cells are rare, some have a giant."""
    rng = np.random.default_rng([n, seed])
    weight = rng.gamma(0.7, size=SPEC.cells) + 1e-3
    cell = rng.choice(SPEC.cells, n, p=weight / weight.sum())
    amount = np.minimum(rng.lognormal(10, 1.6, n), (1 << _BITS) - 1).astype(np.int64)
    return cell, amount


def _shared(n):
    def prepare(mpc):
        cell, amount = rows(n)
        key = (cell << _BITS) + amount
        return mpc.input(mpc.array(key if mpc.pid == 0 else np.zeros_like(key)), 0)
    return prepare


async def _group_by(mpc, key):
    cells = await group_rows(mpc, key, name='loans', cells=SPEC.cells, bits=_BITS)
    return await _published(mpc, cells.reshape(*SPEC.shape))


async def _published(mpc, cells):
    return [await release(mpc, SPEC, RULES, cells, Record('loans', '2020', 30))]


def _check(cell, amount):
    async def check(mpc, operands, result):
        twin = quick_table(SPEC, RULES, cell, {'loans': amount})
        for found, code, count, total in zip(
                result[0]['cells'], twin.code.ravel(), twin.rows.ravel(),
                twin.totals['loans'].ravel(), strict=True):
            assert found['status'] == REASONS[code]
            assert not found['values'] or found['values'] == {'rows': count, 'loans': total}
    return check


def suite() -> list[Benchmark]:
    """All benchmarks of the suite; the largest take a minute, so choose with `--sizes`."""
    return [Benchmark('group_by', n, _shared(n), _group_by, 1, _check(*rows(n)))
            for n in (10**4, 10**5, 10**6)]
