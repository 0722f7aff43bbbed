"""Kept orders: tables follow a shuffle or a sort and come back, at the cost of a shuffle."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from engine_kit import SIZES, secret

from engine.cluster import run_cluster
from engine.costs import hand_over, to_shared
from engine.errors import EngineError
from engine.shamir import Geometry

deployments = pytest.mark.parametrize("m, t", [*SIZES, (7, 2)])


@deployments
def test_tables_move_alike_and_come_back(m, t):
    table = np.arange(60).reshape(20, 3)

    async def program(mpc):
        order = mpc.secret_order(20)
        x = secret(mpc, table)
        moved = order.apply(x)
        again = order.apply(secret(mpc, table * 7, m - 1))
        return await mpc.output([moved, again, order.undo(moved), order.apply(order.undo(x))])

    for moved, again, back, same in run_cluster(program, m, t):
        assert (moved != table).any()
        np.testing.assert_array_equal(moved[np.argsort(moved[:, 0])], table)
        np.testing.assert_array_equal(again, moved * 7)
        np.testing.assert_array_equal(back, table)
        np.testing.assert_array_equal(same, table)


@pytest.mark.parametrize("m, t", [(1, 0), (4, 1), (5, 2), (7, 2)])
@pytest.mark.parametrize("back", [False, True])
def test_a_move_costs_what_its_steps_cost(m, t, back):
    spent = []

    async def program(mpc):
        order = mpc.secret_order(20)
        x = secret(mpc, np.ones((20, 3)))
        await order.apply(x).ready()
        mpc.floor = mpc.meter.depth
        with mpc.meter.measure() as cost:
            await (order.undo(x) if back else order.apply(x)).ready()
        spent.append((cost.rounds, cost.bytes_sent))

    run_cluster(program, m, t)
    groups = Geometry(m, t).shuffle_groups()
    steps = [to_shared(60, m, t), *(hand_over(60, m, t, *(pair[::-1] if back else pair))
                                    for pair in itertools.pairwise(groups))]
    assert {rounds for rounds, _ in spent} == {sum(s.rounds for s in steps)}
    assert sum(sent for _, sent in spent) == sum(s.total_bytes for s in steps)


@pytest.mark.parametrize("options", [{}, {"key_bits": 8}, {"key_bits": 8, "fixed_shape": True}])
def test_further_columns_follow_a_sort(options):
    rng = np.random.default_rng(1)
    keys, columns = rng.integers(-5, 5, 30), rng.integers(0, 99, (30, 2))

    async def program(mpc):
        ordering = await mpc.ordering(secret(mpc, keys), **options)
        x = secret(mpc, columns, 1)
        return await mpc.output([ordering.sort(x), ordering.restore(ordering.sort(x)),
                                 ordering.sort(secret(mpc, keys.reshape(-1, 1)))])

    order = np.argsort(keys, kind="stable")
    for follow, back, own in run_cluster(program, 4):
        np.testing.assert_array_equal(follow, columns[order])
        np.testing.assert_array_equal(back, columns)
        np.testing.assert_array_equal(own[:, 0], keys[order])


@pytest.mark.parametrize("rows", [1, 2])
def test_short_tables(rows):
    async def program(mpc):
        ordering = await mpc.ordering(secret(mpc, np.arange(rows)[::-1]))
        return await mpc.output(ordering.sort(secret(mpc, np.arange(rows).reshape(rows, 1))))

    assert run_cluster(program, 4)[0][:, 0].tolist() == list(range(rows))[::-1]


def test_several_keys():
    rng = np.random.default_rng(2)
    keys = rng.integers(0, 3, (25, 2))

    async def program(mpc):
        ordering = await mpc.ordering(secret(mpc, keys))
        return await mpc.output(ordering.sort(secret(mpc, np.arange(25).reshape(25, 1))))

    expected = np.lexsort((np.arange(25), keys[:, 1], keys[:, 0]))
    assert run_cluster(program, 4)[0][:, 0].tolist() == expected.tolist()


def test_a_table_of_another_length_is_refused():
    async def program(mpc):
        mpc.secret_order(4).apply(secret(mpc, np.ones((5, 1))))

    with pytest.raises(ValueError, match="a table of 5 rows for an order of 4"):
        run_cluster(program, 4)


def test_verified_mode_refuses_what_it_cannot_check():
    async def program(mpc):
        return await mpc.output(mpc.secret_order(4).apply(secret(mpc, np.ones((4, 1)))))

    with pytest.raises(EngineError, match="not-verifiable"):
        run_cluster(program, 4, verified=True)
