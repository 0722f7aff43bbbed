"""The table engine's benchmarks: rows into 1,000 cells (10 × 10 × 10), with all rules.

`group_by`: n rows that are shared already, with secret keys; sort, largest contributions, rules of
primary and secondary suppression over all totals, opened table. `group_by_parties`: the same for
the rows of thirty input parties, from the bytes of their messages, with all checks of their inputs.
`group_by_cells`: thirty input parties that know their keys and add up their own rows before they
share. Every table is compared with the twin in the clear after the clock has stopped.
"""

from __future__ import annotations

import numpy as np

from bench.graph_suite import suite as graphs
from bench.suite import Benchmark
from engine.shamir import Geometry
from protocols.stats.cells import largest
from protocols.stats.forms import CellForm, RowForm
from protocols.stats.grouping import group_rows
from protocols.stats.intake import intake
from protocols.stats.plain.tables import quick_table
from protocols.stats.release import Record, release
from protocols.stats.rules import REASONS, Rules
from protocols.stats.spec import Dimension, Measure, TableSpec
from protocols.stats.submission import Expected, prepare

INSTITUTIONS = 30
SPEC = TableSpec(tuple(Dimension(name, tuple(f'{name} {k}' for k in range(10)))
                       for name in ('region', 'industry', 'purpose')), (Measure('loans', bits=31),))
RULES = Rules()
_BITS = SPEC.measures[0].bits
_SENDER = 0
"""The party that makes the input parties' messages, and hands the others theirs beforehand."""


def rows(n: int, seed: int = 0):
    """(cells, amounts) of made-up loans: some cells are rare, and amounts are very unequal."""
    weight = np.random.default_rng(0).gamma(0.7, size=SPEC.cells) + 1e-3
    rng = np.random.default_rng([n, seed])
    cell = rng.choice(SPEC.cells, n, p=weight / weight.sum())
    amount = np.minimum(rng.lognormal(10, 1.6, n), (1 << _BITS) - 1).astype(np.int64)
    return cell, amount


def _shared(n):
    def prepared(mpc):
        cell, amount = rows(n)
        key = (cell << _BITS) + amount
        return mpc.input(mpc.array(key if mpc.pid == 0 else np.zeros_like(key)), 0)
    return prepared


async def _group_by(mpc, key):
    cells = await group_rows(mpc, key, name='loans', cells=SPEC.cells, bits=_BITS)
    return await _published(mpc, cells.reshape(*SPEC.shape))


async def _published(mpc, cells):
    return [await release(mpc, SPEC, RULES, cells, Record('loans', '2020', INSTITUTIONS))]


def _submissions(form, each):
    """This party's messages of all institutions."""
    names = [f'bank {k}' for k in range(INSTITUTIONS)]
    expected = [Expected(name, 'bench', '2020', '', *form.shape) for name in names]

    async def prepared(mpc):
        made = [[b''] * mpc.geometry.m] * INSTITUTIONS
        if mpc.pid == _SENDER:
            geometry = Geometry(mpc.geometry.m, mpc.geometry.t)
            made = []
            for k, e in enumerate(expected):
                cell, amount = rows(each, k)
                made.append(prepare(form.encode(cell, {'loans': amount}), e, geometry))
        own = [message[_SENDER] for message in made]
        for party in range(1, mpc.geometry.m):
            lengths = np.array([len(message[party]) for message in made])
            sizes = await mpc.output(mpc.input(mpc.array(lengths), _SENDER))
            joined = np.frombuffer(b''.join(message[party] for message in made), np.uint8)
            got = await mpc.send_private(joined, _SENDER, party, (int(sizes.sum()),), np.uint8)
            if mpc.pid == party:
                own = [part.tobytes() for part in np.split(got, np.cumsum(sizes)[:-1])]
        return expected, dict(zip(names, own, strict=True))
    return prepared


def _by_rows(form):
    async def body(mpc, operands):
        taken = await intake(mpc, form, *operands)
        key = taken.values.reshape(-1, 1)[:, 0]
        cells = await group_rows(mpc, key, name='loans', cells=SPEC.cells, bits=_BITS, spare=True)
        return await _published(mpc, cells.reshape(*SPEC.shape))
    return body


def _by_cells(form):
    async def body(mpc, operands):
        taken = await intake(mpc, form, *operands)
        cells = form.cells(taken.values)
        return await _published(mpc, cells.apply(lambda x: x.sum(0),
                                                 lambda x: largest(mpc, x, 1)))
    return body


def _check(make):
    async def check(mpc, operands, result):
        cell, amount = make()
        twin = quick_table(SPEC, RULES, cell, {'loans': amount})
        for found, code, count, total in zip(
                result[0]['cells'], twin.code.ravel(), twin.rows.ravel(),
                twin.totals['loans'].ravel(), strict=True):
            assert found['status'] == REASONS[code]
            assert not found['values'] or found['values'] == {'rows': count, 'loans': total}
    return check


def _all(each):
    parts = [rows(each, k) for k in range(INSTITUTIONS)]
    return np.concatenate([c for c, _ in parts]), np.concatenate([a for _, a in parts])


def suite() -> list[Benchmark]:
    """All benchmarks of the suite, those on graphs too; choose with `--names` and `--sizes`."""
    found = [Benchmark('group_by', n, _shared(n), _group_by, 1, _check(lambda n=n: rows(n)))
             for n in (10**4, 10**5, 10**6)]
    for each in (500, 50_000):
        n, make = f'{INSTITUTIONS}x{each}', lambda each=each: _all(each)
        by_rows, by_cells = RowForm(SPEC, each), CellForm(SPEC, 1 << 20)
        found += [Benchmark('group_by_rows', n, _submissions(by_rows, each), _by_rows(by_rows),
                            1, _check(make)),
                  Benchmark('group_by_parties', n, _submissions(by_cells, each),
                            _by_cells(by_cells), 1, _check(make))]
    return [*found, *graphs()]
