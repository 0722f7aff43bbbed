"""No operation holds more than four times its operands plus result, and the buffers of its blocks.

The parties run in one process; NumPy reports its buffers to tracemalloc. Blocks are made small
here, so that short arrays have many of them and the buffers, which do not grow with the array, are
small.
"""

from __future__ import annotations

import gc
import inspect
import tracemalloc

import numpy as np
import pytest

from engine import arithmetic, compare, decompose, functions
from engine.cluster import run_cluster
from engine.throttle import Throttle

PARTIES = 3
BLOCK = 1 << 11
LONG, SHORT = 1 << 16, 20 * BLOCK
PIECES = 6 * 300 * BLOCK
"""Pieces of a product under way, with masks and shares of each element."""
NUMERIC = 3 * 2048 * BLOCK
"""Blocks of a numeric function under way, with all its intermediate results."""
EXPONENTIAL = 3 * 8192 * BLOCK
"""The same where it takes a number apart into bits."""
IN_FLIGHT = 1 << 19
"""The estimate at which no further operation begins; what one really holds is a few times that."""
PYTHON = 1 << 20
"""Objects of the interpreter: tasks, messages, kernels being loaded."""


def numbers(n):
    return np.random.default_rng(n).uniform(0.5, 50, n)


def whole(n):
    return np.random.default_rng(n).integers(-1000, 1000, n)


def one(n):
    return [numbers(n)]


def two(n):
    return [numbers(n), numbers(n)]


def rows(n):
    return [numbers(n).reshape(-1, 16)]


CASES = {
    "add": (LONG, two, lambda mpc, x, y: x + y, 0),
    "sum": (LONG, one, lambda mpc, x: x.sum(), 0),
    "cumsum": (LONG, one, lambda mpc, x: x.cumsum(), 0),
    "input": (LONG, one, lambda mpc, x: mpc.input(x, 0), 0),
    "output": (LONG, one, lambda mpc, x: mpc.output(x), 0),
    "multiply": (LONG, two, lambda mpc, x, y: x * y, PIECES),
    "multiply_public": (LONG, one, lambda mpc, x: x * 0.37, PIECES),
    "truncate": (LONG, one, lambda mpc, x: mpc.truncate(x, 4, 16), PIECES),
    "where": (LONG, lambda n: [whole(n) % 2, *two(n)], lambda mpc, c, x, y: mpc.where(c, x, y),
              PIECES),
    "matmul_public": (LONG, rows, lambda mpc, x: x @ np.ones((16, 16)) / 7, PIECES),
    "matvec": (LONG, lambda n: [*rows(n), numbers(16)], lambda mpc, x, v: x @ v, PIECES),
    "matvec_transposed": (LONG, lambda n: [*rows(n), numbers(n // 16)],
                          lambda mpc, x, v: x.T @ v, PIECES),
    "shuffle": (LONG, lambda n: [whole(n).reshape(-1, 4)], lambda mpc, x: mpc.shuffle(x), 0),
    "divide": (SHORT, two, lambda mpc, x, y: x / y, NUMERIC),
    "log": (SHORT, one, lambda mpc, x: mpc.log(x), NUMERIC),
    "sigmoid": (SHORT, one, lambda mpc, x: mpc.sigmoid(x), NUMERIC),
    "less_than": (LONG, one, lambda mpc, x: x < 0, 4 * IN_FLIGHT),
    "equal": (LONG, one, lambda mpc, x: x == 3, 4 * IN_FLIGHT),
    "to_bits": (LONG // 8, one, lambda mpc, x: mpc.to_bits(x, 16), 4 * IN_FLIGHT),
    "random_bits": (LONG, one, lambda mpc, x: mpc.random_bits(x.shape), 4 * IN_FLIGHT),
    "max": (LONG, one, lambda mpc, x: mpc.max(x), 8 * IN_FLIGHT),
    "exp": (SHORT, one, lambda mpc, x: mpc.exp(x), EXPONENTIAL),
}

ISSUED_AT_ONCE = ("less_than", "equal", "to_bits", "random_bits", "max")
"""Operations whose blocks are all issued at once and begin as others end."""


def measure(prepare, n, operation):
    """(bytes of operands and result, greatest number of bytes held at a time), per party."""
    sizes = []

    async def program(mpc):
        async def together():
            await mpc.output(mpc.input(mpc.array(np.zeros(1)), 0))

        operands = [mpc.array(values) for values in prepare(n)]
        held = sum(x.share.nbytes for x in operands)
        await together()
        if mpc.pid == 0:
            gc.collect()
            tracemalloc.reset_peak()
            sizes.append(tracemalloc.get_traced_memory()[0])
        await together()
        result = operation(mpc, *operands)
        if inspect.isawaitable(result) and not hasattr(result, "ready"):
            result = await result
        share = await result.ready() if hasattr(result, "ready") else result
        await together()
        if mpc.pid == 0:
            sizes.append(tracemalloc.get_traced_memory()[1])
        await together()
        return held, share.nbytes

    tracemalloc.start()
    try:
        held, produced = run_cluster(program, PARTIES, idle_deadline=240)[0]
    finally:
        tracemalloc.stop()
    before, peak = sizes
    return held + produced, held + (peak - before) / PARTIES


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(arithmetic, "_PIECE", BLOCK)
    monkeypatch.setattr(compare, "_BLOCK", BLOCK)
    monkeypatch.setattr(functions, "BLOCK", BLOCK)
    monkeypatch.setattr(decompose, "_BLOCK", 16 * BLOCK)


@pytest.mark.parametrize("name", CASES)
def test_an_operation_holds_at_most_four_times_its_operands_and_result(name, monkeypatch):
    n, prepare, operation, buffers = CASES[name]
    if name in ISSUED_AT_ONCE:
        monkeypatch.setattr(Throttle.__init__, "__defaults__", (IN_FLIGHT,))
    measure(prepare, BLOCK, operation)  # kernels are loaded, caches filled
    size, peak = measure(prepare, n, operation)
    assert peak <= 4 * size + buffers + PYTHON, f"{peak / size:.1f} times"


def test_the_measure_sees_an_operation_that_holds_too_much():
    def wasteful(mpc, x):
        copies = [x + float(k) for k in range(9)]
        return mpc.concatenate(copies)[:BLOCK]

    size, peak = measure(one, LONG, wasteful)
    assert peak > 4 * size + PYTHON
