"""The largest of shared numbers, and the first of shared bits, at the predicted cost."""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import secret

from engine.cluster import run_cluster
from protocols.choice import (
    DIRECT,
    THRIFTY,
    choice_cost,
    first_best,
    first_one,
    first_one_cost,
    inner,
)


def measured(program, *values):
    async def run(mpc):
        arrays = [secret(mpc, v) for v in values]
        for x in arrays:
            await x.ready()
        mpc.floor = mpc.meter.depth
        with mpc.meter.measure() as cost:
            result = program(mpc, *arrays)
            await result.ready()
        return await mpc.output(result), cost.rounds, cost.bytes_sent
    results = run_cluster(run, 4)
    return results[0][0], (results[0][1], sum(r[2] for r in results))


@pytest.mark.parametrize(("n", "direct"), [(1, DIRECT), (2, DIRECT), (7, DIRECT), (37, DIRECT),
                                           (9, THRIFTY), (19, THRIFTY)])
def test_first_best(n, direct):
    keys = np.random.default_rng(n).integers(-4, 4, (3, n))
    found, cost = measured(lambda mpc, x: first_best(mpc, x, direct), keys)
    np.testing.assert_array_equal(found, np.eye(n)[keys.argmax(1)])
    rounds, sent = choice_cost(n, 4, 1, direct)
    assert cost == (rounds, 3 * sent)


@pytest.mark.parametrize("n", [2, 3, 8])
def test_first_one(n):
    bits = np.random.default_rng(n).integers(0, 2, (4, n))
    bits[0] = 0
    found, cost = measured(first_one, bits)
    np.testing.assert_array_equal(found, np.eye(n)[bits.argmax(1)] * bits.any(1)[:, None])
    rounds, sent = first_one_cost(n, 4, 1)
    assert cost == (rounds, 4 * sent)


def test_inner_broadcasts():
    a, b = np.arange(12).reshape(2, 3, 2), np.arange(4).reshape(2, 1, 2)
    found, cost = measured(inner, a, b)
    np.testing.assert_array_equal(found, (a * b).sum(2))
    assert cost == (1, 6 * 96)
