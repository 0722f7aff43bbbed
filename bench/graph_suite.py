"""Groups of related companies, and credit funds followed across accounts.

Edges and transactions are random; what they are makes no difference to the time.
`components_secret` takes all the iterations that a graph of this size may need and opens nothing on
the way.
"""

from __future__ import annotations

import numpy as np

from bench.suite import Benchmark
from protocols.components import components, public_components
from protocols.related import exposure
from protocols.tracing import Loans, Transactions, trace

_HOPS, _WINDOW, _DAYS = 3, 30, 365


def _secret(mpc, values):
    return mpc.input(mpc.array(values), 0)


def _graph(nodes):
    edges = np.random.default_rng(nodes).integers(0, nodes, (5 * nodes, 2))
    return edges, nodes


def _edges(nodes):
    return lambda mpc: _secret(mpc, _graph(nodes)[0])


async def _groups_found(mpc, edges, group):
    found = await mpc.output(group)
    expected = public_components(_graph(len(found))[0], len(found))
    if len(set(zip(found.tolist(), expected.tolist(), strict=True))) != len(set(expected.tolist())):
        raise ValueError('wrong groups')


def _components(nodes):
    return lambda mpc, edges: components(mpc, edges, nodes)


def _loans(nodes):
    rng = np.random.default_rng(1)
    return lambda mpc: [_secret(mpc, rng.integers(0, nodes, nodes // 10)),
                        _secret(mpc, rng.integers(1, 10**9, nodes // 10))]


def _public(nodes):
    async def body(mpc, loans):
        group = public_components(*_graph(nodes))
        found = await exposure(mpc, *loans, group, 10**10)
        return [found.over, found.loans]
    return body


def _payments(n):
    def prepare(mpc):
        rng = np.random.default_rng(n)
        accounts, lent = n // 5, n // 100
        columns = [rng.integers(0, high, n) for high in (accounts, accounts, _DAYS, 10**8, accounts,
                                                         2)]
        loans = [rng.integers(0, high, lent) for high in (accounts, _DAYS, 10**8, accounts)]
        return [[_secret(mpc, c) for c in columns], [_secret(mpc, c) for c in loans]]
    return prepare


def _trace(n, rule):
    async def body(mpc, tables):
        found = await trace(mpc, Transactions(*tables[0]), Loans(*tables[1]), accounts=n // 5,
                            days=_DAYS, hops=_HOPS, window=_WINDOW, rule=rule)
        return [part for hop in found for part in (hop.amount, hop.back, hop.restricted)]
    return body


def suite() -> list[Benchmark]:
    """All benchmarks of the suite."""
    return [
        *(Benchmark('components_secret', n, _edges(n), _components(n), 1, _groups_found)
          for n in (10**3, 10**4)),
        *(Benchmark('components_public', n, _loans(n), _public(n), 1) for n in (10**5, 10**6)),
        *(Benchmark('trace', n, _payments(n), _trace(n, 'latest'), 1) for n in (10**4, 10**5)),
        Benchmark('trace_balance', 10**5, _payments(10**5), _trace(10**5, 'tainted-first'), 1)]
