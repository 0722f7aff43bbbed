"""Anonymous query on lists of 10^4 to 10^6 records of 32 bytes, and 200 queries at once.

Party 0 owns the list and party 1 asks, half of the time for keys that are absent. `publish`
includes what the owner does before it shares: hashing the keys and placing the records.
"""

from __future__ import annotations

import functools

import numpy as np

from bench.suite import Benchmark
from protocols.pir import ask, publish
from protocols.pir_book import Book
from protocols.pir_table import Entries, Layout

SIZES = (10**4, 10**5, 10**6)
BATCH = 200
_OWNER, _ASKER = 0, 1
_published: dict = {}


@functools.cache
def entries(n: int) -> Entries:
    """A made-up list: keys like company numbers, payloads of 32 bytes."""
    numbers = np.arange(n)
    return Entries([_key(i) for i in range(n)], numbers % 64, numbers % 4096,
                   np.datetime64('2020-01-01') + numbers % 2000, [b'%032d' % i for i in range(n)])


def _key(i):
    return f'{910000000000000000 + i}'


def _list(n):
    def prepare(mpc):
        return entries(n) if mpc.pid == _OWNER else None
    return prepare


def _sized(n):
    async def body(mpc, own):
        _published.clear()
        layout = Layout(n, 32)
        _published[n] = await publish(mpc, _OWNER, layout,
                                      Book(own, layout) if own is not None else None)
        return _published[n].tables
    return body


def _ready(n):
    async def prepare(mpc):
        if n not in _published:
            await _sized(n)(mpc, _list(n)(mpc))
        return _published[n]
    return prepare


def _ask(n, count):
    keys = [_key(n * i // count * 2) for i in range(count)] if count > 1 else [_key(n // 2)]

    async def body(mpc, shared):
        found = await ask(mpc, [shared], _ASKER, count, keys if mpc.pid == _ASKER else None)
        if found is not None and [r is not None for [r] in found] != [int(k) - int(_key(0)) < n
                                                                      for k in keys]:
            raise ValueError('wrong answers')
    return body


def suite() -> list[Benchmark]:
    """All benchmarks of the suite."""
    return [b for n in SIZES for b in (
        Benchmark('publish', n, _list(n), _sized(n), 1),
        Benchmark('query', n, _ready(n), _ask(n, 1), 5),
        Benchmark('query_batch', n, _ready(n), _ask(n, BATCH)))]
