"""Admission by bytes in flight: bounded, in the order of issue, and without deadlock."""

from __future__ import annotations

import asyncio
import random

import numpy as np
import pytest
from engine_kit import secret

from engine.cluster import run_cluster
from engine.errors import EngineError
from engine.throttle import Throttle


def test_nothing_begins_beyond_the_limit_but_the_first():
    async def main():
        throttle = Throttle(limit=100)
        tickets = [throttle.register(size) for size in (60, 60, 30, 500)]
        started = []

        async def run(k):
            await throttle.admit(tickets[k])
            started.append(k)
        tasks = [asyncio.ensure_future(run(k)) for k in (3, 1, 2, 0)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        # 1 comes before 0 and takes 60 bytes; 2 fits beside it; 0 begins because it is the first.
        assert started == [1, 2, 0] and throttle.bytes == 150
        for k in (0, 1, 2):
            throttle.release(tickets[k])
        await asyncio.gather(*tasks)
        assert started == [1, 2, 0, 3] and throttle.bytes == 500
        throttle.release(tickets[3])
        assert throttle.bytes == 0
    asyncio.run(main())


def test_a_failure_ends_the_wait():
    async def main():
        throttle = Throttle(limit=1)
        first, second = throttle.register(5), throttle.register(5)
        await throttle.admit(first)
        waiting = asyncio.ensure_future(throttle.admit(second))
        await asyncio.sleep(0)
        throttle.fail(EngineError("gone", "for the test"))
        with pytest.raises(EngineError, match="gone"):
            await waiting
    asyncio.run(main())


@pytest.mark.parametrize("limit", [0, 3_000, 10**9])
def test_eager_loops_finish_whatever_the_limit(limit):
    """Operations that become ready in different orders at different parties do not block."""
    most = []

    async def program(mpc):
        mpc.throttle.limit = limit
        x = [secret(mpc, np.arange(20.0) + k, k % 4) for k in range(12)]
        results = []
        rng = random.Random(5)
        for _ in range(30):
            a, b = rng.choice(x), rng.choice(x)
            results.append((a * b).sum() + (a < b).sum())
            most.append(mpc.throttle.bytes)
            if rng.random() < 0.1:
                await results[-1].ready()
        return await mpc.output(results)

    first, *others = run_cluster(program, 4, idle_deadline=20)
    assert all(np.allclose(o, first, atol=1e-3) for o in others)
    if limit == 3_000:
        # The one that is admitted because it is the first may come on top.
        assert max(most) <= limit + 16 * 20 * 20
