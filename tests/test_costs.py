"""The predicted cost of every primitive is the measured one, exactly, whatever the rotation."""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import SIZES, measured, primitives, secret

from engine import field
from engine.costs import (
    COSTS,
    hand_over,
    input_additive,
    open_all,
    permute,
    shuffle,
    to_bits,
    to_shared,
)
from engine.shamir import Geometry

N = 7
DEPLOYMENTS = [*SIZES, (3, 0), (5, 1), (7, 3)]


@pytest.mark.parametrize("m, t", DEPLOYMENTS)
@pytest.mark.parametrize("rotation", [0, 3])
def test_one_operation_of_each_kind(m, t, rotation):
    async def program(mpc):
        for _ in range(rotation):
            mpc.next_operation()
        await primitives(mpc, secret(mpc, np.linspace(-2, 2, N)))

    sizes = {"matmul": 6, "random_bits": 2 * N}
    costs = measured(program, m, t)
    assert costs["to_bits"] == (1, *to_bits(N, m, t, bits=5))
    for name in ("input", "multiply", "matmul", "truncate", "less_than", "equal", "output",
                 "open_negative", "random_bits"):
        rounds, total = COSTS[name](sizes.get(name, N), m, t)
        assert costs[name] == (1, rounds, total), name
    assert {n for n, (_, r, b) in costs.items() if r or b} <= set(COSTS)


@pytest.mark.parametrize("m, t", SIZES)
def test_numeric_functions_consist_of_listed_operations(m, t):
    async def program(mpc):
        x = secret(mpc, np.linspace(0.5, 2, N))
        await mpc.output([mpc.sigmoid(x), mpc.log(x), mpc.rsqrt(x), 1 / x, mpc.maximum(x, 1.0)])

    costs = measured(program, m, t)
    assert {n for n, (_, r, b) in costs.items() if r or b} <= set(COSTS)
    for name, size, calls in (("clip", N, 1), ("exponent", N, 2), ("signed_exponent", N, 1)):
        rounds, total = COSTS[name](size, m, t)
        assert costs[name] == (calls, calls * rounds, calls * total)
    # The two bounds of the sigmoid at once, those of the quotient, and the maximum.
    assert costs["less_than"][1:] == tuple(np.sum(
        [COSTS["less_than"](size, m, t) for size in (2 * N, 2 * N, N)], axis=0))


@pytest.mark.parametrize("m, t", [*SIZES, (5, 1), (7, 2)])
@pytest.mark.parametrize("rotation", [0, 2])
def test_shuffle_and_its_steps(m, t, rotation):
    rows, width = 5, 3

    async def program(mpc):
        for _ in range(rotation):
            mpc.next_operation()
        table = mpc.array(np.zeros((rows, width), np.int64))
        await mpc.output(mpc.shuffle(table))

    costs = measured(program, m, t)
    steps = ["to_additive", "permute", "hand_over", "to_shared"]
    assert shuffle(rows * width, m, t) == tuple(
        np.sum([costs[s][1:] for s in steps if s in costs], axis=0))
    groups = Geometry(m, t).shuffle_groups()
    assert costs["permute"] == (len(groups), *(len(groups) * np.array(permute(0, m, t))))
    assert costs["to_shared"] == (1, *to_shared(rows * width, m, t))


def test_steps_of_the_join():
    h, q = 2, 3

    async def program(mpc):
        values = field.encode(np.arange(N), 0)
        held = mpc.deal_additive(values if mpc.pid == 1 else None, 1, (h, q), (N,), 0)
        positions = np.array([3, -1, 0]) if mpc.pid in (h, q) else None
        picked = held.take(positions, 3)
        moved = picked.hand_over((1, 2)).hand_over((2, 3))
        result = await mpc.output(moved.to_shared(), 0)
        await mpc.send_private(np.arange(N) if mpc.pid == 0 else None, 0, 2, (N,), np.int64)
        mpc.deal_additive(values if mpc.pid == q else None, q, (h, q), (N,), 0)
        await mpc.deal_additive(values if mpc.pid == h else None, h, (h, q), (N,), 0).ready()
        assert result is None or result.tolist() == [3, 0, 0]

    costs = measured(program, 4)
    both = input_additive(N, 4, 1), input_additive(N, 4, 1, owner_receives=True)
    assert costs["input_additive"] == (3, 3, 2 * both[0].total_bytes + both[1].total_bytes)
    moves = hand_over(3, 4, 1, (h, q), (1, 2)), hand_over(3, 4, 1, (1, 2), (2, 3))
    assert costs["hand_over"] == (2, 2, sum(c.total_bytes for c in moves))
    assert costs["take_rows"] == (1, 0, 0)
    assert costs["to_shared"] == (1, *to_shared(3, 4, 1, holders=2))
    assert costs["output"] == (1, *open_all(3, 4, 1, receivers=1))
    assert costs["send_private"] == (1, *COSTS["send_private"](N, 4, 1))


def test_a_product_costs_what_the_design_says():
    """Multiply and truncate with m = 4, t = 1: one round, 1.5 elements per party on average."""
    assert COSTS["multiply"](1000, 4, 1) == (1, 4 * 1000 * 16 * 3 // 2)


def test_load_is_even_over_operations():
    async def program(mpc):
        x = secret(mpc, np.ones(10))
        for _ in range(4):
            x = x * x
        await mpc.output(x)
        return {path[-1]: cost.bytes_sent for path, cost in mpc.meter.paths.items()}["multiply"]

    from engine.cluster import run_cluster

    sent = run_cluster(program, 4)
    assert len(set(sent)) == 1
