"""What a benchmark is: a name, a size, what to prepare, and what to time.

A suite is a list of `Benchmark`s. Every party runs the same list; `run` measures one of them
between two points that all parties have reached, and repeats short ones.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Awaitable, Callable
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


async def run(mpc: Any, benchmark: Benchmark) -> dict[str, Any]:
    """Time a benchmark at this party: seconds, bytes and rounds of every counted run."""
    operands = await _settled(benchmark.prepare(mpc))
    if benchmark.repeat > 1:
        await _settled(benchmark.body(mpc, operands))
    runs = []
    for _ in range(benchmark.repeat):
        await _together(mpc)
        mpc.floor = mpc.meter.depth
        cpu = time.process_time()
        with mpc.meter.measure() as cost:
            result = await _settled(benchmark.body(mpc, operands))
        runs.append({'seconds': cost.seconds, 'cpu_seconds': time.process_time() - cpu,
                     'rounds': cost.rounds, 'bytes': cost.bytes_sent,
                     'multiplications': cost.multiplications})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if benchmark.check:
        await benchmark.check(mpc, operands, result)
    return {'name': benchmark.name, 'n': benchmark.n, 'runs': runs, 'peak_rss_mb': peak}
