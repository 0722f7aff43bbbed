"""Kept orders: tables follow a shuffle or a sort and come back, at the cost of a shuffle."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from adversary import Attack, attacked, frames_of
from engine_kit import SIZES, secret

from engine import kept_order, verified_shuffle
from engine.array import SecureArray
from engine.cluster import run_cluster
from engine.costs import hand_over, to_shared
from engine.costs_verified import predict
from engine.errors import EngineError
from engine.shamir import Geometry


@pytest.mark.parametrize("m, t, verified", [*[(*s, False) for s in (*SIZES, (7, 2))],
                                            (3, 0, True), (4, 1, True), (7, 2, True)])
def test_tables_move_alike_and_come_back(m, t, verified):
    table = np.arange(60).reshape(20, 3)

    async def program(mpc):
        order = mpc.secret_order(20)
        x = secret(mpc, table)
        moved = order.apply(x)
        again = order.apply(secret(mpc, table * 7, m - 1))
        return await mpc.output([moved, again, order.undo(moved), order.apply(order.undo(x))])

    for moved, again, back, same in run_cluster(program, m, t, verified=verified):
        assert (moved != table).any()
        np.testing.assert_array_equal(moved[np.argsort(moved[:, 0])], table)
        np.testing.assert_array_equal(again, moved * 7)
        np.testing.assert_array_equal(back, table)
        np.testing.assert_array_equal(same, table)


def cost_of_a_move(m, t, back, verified=False):
    """(rounds, bytes, predicted bytes) of moving a table by an order that is kept, or back."""
    spent = []

    async def program(mpc):
        order = mpc.secret_order(20)
        x = secret(mpc, np.ones((20, 3)))
        await order.apply(x).ready()
        mpc.floor = mpc.meter.depth
        with mpc.meter.measure() as cost:
            await (order.undo(x) if back else order.apply(x)).ready()
        spent.append((cost.rounds, cost.bytes_sent, cost.predicted_total_bytes))

    run_cluster(program, m, t, verified=verified)
    [rounds], [predicted] = ({s[k] for s in spent} for k in (0, 2))
    return rounds, sum(sent for _, sent, _ in spent), predicted


@pytest.mark.parametrize("m, t", [(1, 0), (4, 1), (5, 2), (7, 2)])
@pytest.mark.parametrize("back", [False, True])
def test_a_move_costs_what_its_steps_cost(m, t, back):
    groups = Geometry(m, t).shuffle_groups()
    steps = [to_shared(60, m, t), *(hand_over(60, m, t, *(pair[::-1] if back else pair))
                                    for pair in itertools.pairwise(groups))]
    rounds, sent, _ = cost_of_a_move(m, t, back)
    assert (rounds, sent) == (sum(s.rounds for s in steps), sum(s.total_bytes for s in steps))


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


@pytest.mark.parametrize("m, t", [(4, 1), (7, 2)])
@pytest.mark.parametrize("back", [False, True])
def test_a_proven_move_costs_what_the_formula_says(m, t, back):
    formula = predict("shuffle", 60, Geometry(m, t, True), rows=20, kept=True)
    assert cost_of_a_move(m, t, back, verified=True) == (
        formula.rounds, formula.total_bytes, formula.total_bytes)


async def there_and_back(mpc):
    order = mpc.secret_order(6)
    x = secret(mpc, np.arange(12).reshape(6, 2))
    moved = order.apply(x)
    return [np.asarray(v).tolist() for v in await mpc.output(
        [order.undo(moved), mpc.concatenate([moved.sum(0), order.apply(x * 2).sum(0)])])]


@pytest.mark.parametrize("cheater", [0, 2])
def test_in_verified_mode_rows_come_back_or_everything_stops(cheater):
    expected = [np.arange(12).reshape(6, 2).tolist(), [30, 36, 60, 72]]
    assert run_cluster(there_and_back, 4, verified=True) == [expected] * 4
    sent, stopped = frames_of(there_and_back, cheater, verified=True), 0
    for k, at in enumerate(np.linspace(6, sent - 4, 14).astype(int)):
        attack = Attack(("wrong", "random", "equivocate")[k % 3], int(at))
        for result in attacked(there_and_back, attack, cheater, verified=True):
            assert isinstance(result, EngineError) or result == expected
            stopped += isinstance(result, EngineError)
    assert stopped >= 12


@pytest.mark.parametrize("liar", [0, 3])
def test_a_party_that_changes_its_kept_order_is_found(liar, monkeypatch):
    """It moves its summands the first time as its group does, and then by another order."""
    honest = verified_shuffle.follow

    def follow(rt, table, orders, back=False):
        uses[rt.pid] = uses.get(rt.pid, 0) + 1
        if rt.pid == liar and uses[liar] == 2:
            [mine] = [o.share.result() for o in orders if o.share.result() is not None]
            orders = [SecureArray(rt, (6,), 0, np.roll(mine, 1)) for _ in orders]
        return honest(rt, table, orders, back)
    monkeypatch.setattr(kept_order, "follow", follow)
    uses = {}

    async def program(mpc):
        order = mpc.secret_order(6)
        x = secret(mpc, np.arange(12).reshape(6, 2))
        first = await mpc.output(order.apply(x))
        return first, await mpc.output(order.apply(x))
    results = run_cluster(program, 4, verified=True, raw_errors=True)
    assert uses[liar] == 2
    assert "cheating-detected" in {r.code for r in results}
