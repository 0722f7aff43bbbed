"""The join's benchmarks: n rows at each of four owners, four fifths of them in common.

`join` makes the match bits only, `join_columns` brings eight columns of every owner in, and the
others reveal the intersection of two owners: through a helper, and without one (`join_ecdh`). Every
result is opened after the clock has stopped and compared with what NumPy finds. Memory is the peak
of a party's process: run one benchmark at a time to see its own.
"""

from __future__ import annotations

import numpy as np

from bench.suite import Benchmark
from protocols.join import SecureJoin
from protocols.psi import Plan, intersect

_WIDTH = 8
_ROWS = 1 << 18
_BLOCK = 2
"""Columns that travel together; a block is shared before the next one starts."""


def _numbers(n, party):
    """The rows of a party as numbers; 0 … n - 1 are the initiator's."""
    rng = np.random.default_rng([n, party])
    if party == 0:
        return rng.permutation(n)
    common = rng.permutation(n)[:n * 4 // 5]
    return rng.permutation(np.append(common, party * n + np.arange(n - len(common))))


def _texts(numbers):
    out = np.empty(len(numbers), dtype=object)
    for start in range(0, len(out), _ROWS):
        # A list of all numbers would take more memory than the join.
        part = numbers[start:start + _ROWS].tolist()
        out[start:start + _ROWS] = [f'{number:018d}' for number in part]
    return out


def _order(n):
    return np.random.default_rng(n).permutation(n)


def _column(numbers, party, column):
    return (numbers * (column + 1) + party) % 10007


def _table(n):
    def prepare(mpc):
        return _texts(_numbers(n, mpc.pid)), _order(n) if mpc.pid == 0 else None
    return prepare


async def _matched(mpc, operands):
    ids, order = operands
    n = len(ids)
    join = SecureJoin(mpc, [n] * 4, n)
    await join.match(ids, order)
    return join


async def _join(mpc, operands):
    join = await _matched(mpc, operands)
    return [join.presence(p) for p in range(1, 4)]


class _Columns:
    """The columns of a party, made when they are read."""

    def __init__(self, n, party):
        self.numbers, self.party = _numbers(n, party), party

    def read(self, first, count):
        return np.stack([_column(self.numbers, self.party, first + c) for c in range(count)], 1)


def _join_columns(n):
    async def body(mpc, operands):
        join = await _matched(mpc, operands)
        source, shared = _Columns(n, mpc.pid), []
        for party in range(4):
            async for block in join.blocks(party, source, _WIDTH, _BLOCK):
                shared.append(block)
        for block in shared:
            await block.ready()
        return shared
    return body


def _slots(n):
    """The initiator's rows in slot order, and for every party whether it has them."""
    slots = _numbers(n, 0)[_order(n)]
    return slots, [np.isin(slots, _numbers(n, party)) for party in range(4)]


def _check_bits(n):
    async def check(mpc, operands, result):
        _, found = _slots(n)
        for party, bits in enumerate(result, 1):
            np.testing.assert_array_equal((await mpc.output(bits))[:, 0], found[party])
    return check


def _check_columns(n):
    async def check(mpc, operands, result):
        slots, found = _slots(n)
        for k, block in enumerate(result):
            party, first = k // (_WIDTH // _BLOCK), k % (_WIDTH // _BLOCK) * _BLOCK
            opened = await mpc.output(block)
            for c in range(_BLOCK):
                np.testing.assert_array_equal(
                    opened[:, c], np.where(found[party], _column(slots, party, first + c), 0))
    return check


def _reveal(name, n, **options):
    """The intersection of the first two owners; in verified mode a helper gets a witness."""
    def plan_for(mpc):
        witness = 3 if mpc.geometry.verified and 'helper' in options else None
        return Plan((0, 1), (n, n), (0, 1), witness=witness, **options)

    def prepare(mpc):
        return _texts(_numbers(n, mpc.pid)) if mpc.pid < 2 else None

    async def body(mpc, ids):
        return await intersect(mpc, ids, plan_for(mpc))

    async def check(mpc, ids, result):
        if result is None:
            return
        own, other = _numbers(n, mpc.pid), _numbers(n, 1 - mpc.pid)
        rows = np.flatnonzero(np.isin(own, other))
        assert result.size == len(rows)
        if not options.get('size_only'):
            np.testing.assert_array_equal(result.rows, rows)
    return Benchmark(name, n, prepare, body, 1, check)


def suite() -> list[Benchmark]:
    """All benchmarks of the suite; the largest take minutes, so choose with `--sizes`."""
    benchmarks = []
    for n in (10**5, 10**6, 10**7):
        benchmarks.append(Benchmark('join', n, _table(n), _join, 1, _check_bits(n)))
        if n < 10**7:
            benchmarks.append(
                Benchmark('join_columns', n, _table(n), _join_columns(n), 1, _check_columns(n)))
            benchmarks.append(_reveal('join_reveal', n, helper=2))
    return [*benchmarks, _reveal('join_ecdh', 10**5), _reveal('join_ecdh_size', 10**5,
                                                              size_only=True)]
