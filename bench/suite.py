"""What a benchmark is: a name, a size, what to prepare, and what to time.

A suite is a list of `Benchmark`s. Every party runs the same list; `run` measures one of them
between two points that all parties have reached, and repeats short ones.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.array import SecureArray


@dataclass(frozen=True)
class Benchmark:
    """`prepare(mpc)` makes the operands, `body(mpc, operands)` is timed; both may be coroutines.

    `n` is the size as the report shows it. `repeat` counted runs follow one warm-up when the
    benchmark is short. `check(mpc, operands, result)` raises if the last result is wrong; its time
    and memory do not count.
    """

    name: str
    n: int | str
    prepare: Callable[[Any], Any]
    body: Callable[[Any, Any], Any]
    repeat: int = 3
    check: Callable[[Any, Any, Any], Awaitable[None]] | None = None


async def _settled(value: Any) -> Any:
    """Wait for a result, whatever form it has."""
    if isinstance(value, Awaitable):
        value = await value
    if isinstance(value, SecureArray):
        await value.ready()
    elif isinstance(value, (list, tuple)):
        for part in value:
            await _settled(part)
    return value


async def _together(mpc: Any) -> None:
    """A point that no party passes before all have reached it."""
    await mpc.output(mpc.input(mpc.array(np.zeros(1)), 0))


async def run(mpc: Any, benchmark: Benchmark, beside: Mapping[str, Any] | None = None
              ) -> dict[str, Any]:
    """Time a benchmark at this party: seconds, bytes and rounds of every counted run.

    One that is repeated runs on the runtimes `beside`, too, by turns, so that what the machine
    does besides, and what earlier benchmarks have left of the memory, meets all of them alike.
    """
    runtimes = {'main': mpc, **(beside if beside and benchmark.repeat > 1 else {})}
    operands = {kind: await _settled(benchmark.prepare(rt)) for kind, rt in runtimes.items()}
    if benchmark.repeat > 1:
        for kind, rt in runtimes.items():
            await _settled(benchmark.body(rt, operands[kind]))
    runs: dict[str, list[dict[str, Any]]] = {kind: [] for kind in runtimes}
    results = {}
    for _ in range(benchmark.repeat):
        for kind, rt in runtimes.items():
            results[kind], cost = await _timed(rt, benchmark, operands[kind])
            runs[kind].append(cost)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if benchmark.check:
        for kind, rt in runtimes.items():
            await benchmark.check(rt, operands[kind], results[kind])
    return {'name': benchmark.name, 'n': benchmark.n, 'runs': runs.pop('main'),
            'peak_rss_mb': peak, 'beside': runs}


async def _timed(mpc, benchmark, operands):
    """A result, and what it cost."""
    await _together(mpc)
    mpc.floor = mpc.meter.depth
    cpu = time.process_time()
    with mpc.meter.measure() as cost:
        result = await _settled(benchmark.body(mpc, operands))
    return result, {'seconds': cost.seconds, 'cpu_seconds': time.process_time() - cpu,
                    'rounds': cost.rounds, 'bytes': cost.bytes_sent,
                    'multiplications': cost.multiplications}
