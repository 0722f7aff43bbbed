"""The engine's benchmarks: single operations at 10^5 and 10^6 elements, and linear algebra."""

from __future__ import annotations

import numpy as np

from bench.suite import Benchmark

_SMALL, _LARGE = 10**5, 10**6


def _numbers(n, low=-100.0, high=100.0, whole=False):
    """Operand generator: n shared numbers, dealt by party 0 (every party calls with its seed)."""
    def prepare(mpc):
        rng = np.random.default_rng(n)
        values = rng.integers(int(low), int(high), n) if whole else rng.uniform(low, high, n)
        return mpc.input(mpc.array(values), 0)
    return prepare


def _matrix(rows, columns, *more):
    def prepare(mpc):
        rng = np.random.default_rng(rows)
        shapes = [(rows, columns), *more]
        return [mpc.input(mpc.array(rng.normal(size=s)), 0) for s in shapes]
    return prepare


def _positive_definite(n):
    def prepare(mpc):
        a = np.random.default_rng(n).normal(size=(n, n))
        return mpc.input(mpc.array(a @ a.T / n + np.eye(n)), 0)
    return prepare


def _public(n):
    def prepare(mpc):
        return mpc.array(np.random.default_rng(n).normal(size=n))
    return prepare


def _table(n):
    def prepare(mpc):
        rng = np.random.default_rng(n)
        rows = np.stack([rng.integers(0, 1 << 31, n), np.arange(n)], axis=1)
        return mpc.input(mpc.array(rows), 0)
    return prepare


def suite() -> list[Benchmark]:
    """All benchmarks of the suite."""
    benchmarks = []
    for n in (_SMALL, _LARGE):
        fixed, whole = _numbers(n), _numbers(n, -1000, 1000, whole=True)
        positive = _numbers(n, 0.5, 1000.0)
        often = 15 if n == _SMALL else 7  # a few milliseconds once say nothing
        benchmarks += [
            Benchmark('input', n, _public(n), lambda mpc, x: mpc.input(x, 0), often),
            Benchmark('output', n, fixed, lambda mpc, x: mpc.output(x), often),
            Benchmark('multiply_fixed', n, fixed, lambda mpc, x: x * x, often),
            Benchmark('multiply_int', n, whole, lambda mpc, x: x * x, often),
            Benchmark('less_than', n, fixed, lambda mpc, x: x < 0, often),
            Benchmark('equal', n, whole, lambda mpc, x: x == 0, often),
            Benchmark('divide', n, positive, lambda mpc, x: x / x, 1),
            Benchmark('sigmoid', n, fixed, lambda mpc, x: mpc.sigmoid(x), 1),
            Benchmark('log', n, positive, lambda mpc, x: mpc.log(x), 1),
            Benchmark('shuffle', n, _table(n), lambda mpc, x: mpc.shuffle(x), often),
            Benchmark('sort', n, _table(n), lambda mpc, x: mpc.sort_rows(x, 0, key_bits=32), 1),
        ]
    return [
        *benchmarks,
        Benchmark('small_rounds', '100x1000', _numbers(1000, -1.0, 1.0), _chain),
        Benchmark('small_outputs', '100x1', _numbers(1), _shown),
        Benchmark('matvec', '100000x200', _matrix(_SMALL, 200, (200,)), lambda mpc, x: x[0] @ x[1]),
        Benchmark('matvec_transposed', '200x100000', _matrix(_SMALL, 200, (_SMALL,)),
                  lambda mpc, x: x[0].T @ x[1]),
        Benchmark('matmul', '1000x1000x1000', _matrix(1000, 1000, (1000, 1000)),
                  lambda mpc, x: x[0] @ x[1]),
        Benchmark('cholesky', 200, _positive_definite(200), lambda mpc, x: mpc.cholesky(x), 1),
    ]


async def _shown(mpc, x):
    """100 outputs of one number each, one after the other."""
    for _ in range(100):
        await mpc.output(x)


def _chain(mpc, x):
    """100 dependent products of 1,000 elements: what a round costs."""
    y = x
    for _ in range(100):
        y = y * x
    return y
