"""What two parties know alike: shares of it, agreement on it, and rows that they select."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from engine_kit import measured, secret

from engine import field
from engine.cluster import run_cluster
from engine.errors import EngineError
from engine.joint import agree, joint_input, joint_input_cost
from engine.shamir import Geometry
from engine.verified_select import select_rows, select_rows_cost

VALUES = np.array([[5, -3], [0, 1], [2**30, 7]])
PAIRS = list(itertools.permutations(range(4), 2))


def jointly(mpc, holders, values=VALUES):
    def known():
        assert mpc.pid in holders
        return field.encode(values, 0)
    return joint_input(mpc, holders, values.shape, known)


@pytest.mark.parametrize("verified", [False, True])
@pytest.mark.parametrize("holders", PAIRS)
def test_what_two_parties_know_becomes_shares(holders, verified):
    async def program(mpc):
        for _ in range(sum(holders) % 3):
            mpc.next_operation()
        x, empty = jointly(mpc, holders), jointly(mpc, holders, VALUES[:0])
        opened = await mpc.output([x, empty, x * x - x.shift(1)])
        return [o.tolist() for o in opened]

    expected = [VALUES.tolist(), [], (VALUES.astype(object)**2 - 2 * VALUES).tolist()]
    assert run_cluster(program, 4, verified=verified) == [expected] * 4


@pytest.mark.parametrize("m, t, verified", [(4, 1, False), (4, 1, True), (5, 1, False),
                                            (5, 1, True)])
@pytest.mark.parametrize("rotation", range(3))
def test_the_predicted_cost_is_the_measured_one(m, t, verified, rotation):
    async def program(mpc):
        for _ in range(rotation):
            mpc.next_operation()
        await jointly(mpc, (1, 3)).ready()
        await agree(mpc, (1, 3), VALUES, VALUES.shape)

    costs = measured(program, m, t, verified)
    assert costs["joint_input"] == (1, *joint_input_cost(6, m, verified))
    assert costs["agree"] == (1, 1, 32)


def test_a_third_party_sees_random_shares_only():
    seen = set()

    async def program(mpc):
        return (await jointly(mpc, (0, 2), np.zeros((4, 1), int)).ready()).tobytes()

    for _ in range(2):
        seen.update(run_cluster(program, 4))
    assert len(seen) == 8


@pytest.mark.parametrize("holders, m, t", [((0, 1, 2), 4, 1), ((0,), 4, 1), ((0, 1), 3, 1),
                                           ((0, 1), 5, 2)])
def test_other_groups_are_refused(holders, m, t):
    async def program(mpc):
        joint_input(mpc, holders, (1,), lambda: None)

    with pytest.raises(EngineError, match="not-available"):
        run_cluster(program, m, t)


@pytest.mark.parametrize("liar", [1, 3])
def test_a_holder_that_puts_in_something_else_is_found(liar):
    async def program(mpc):
        values = VALUES + (mpc.pid == liar)
        return await mpc.output(jointly(mpc, (1, 3), values))

    results = run_cluster(program, 4, verified=True, raw_errors=True)
    assert all(isinstance(r, EngineError) for r in results)
    assert any("sent different ones" in str(r) for r in results)


@pytest.mark.parametrize("same", [True, False])
def test_agreement(same):
    async def program(mpc):
        words = VALUES + (0 if same else mpc.pid)
        await agree(mpc, (0, 2), words, words.shape)
        return "agreed"

    results = run_cluster(program, 4, raw_errors=True)
    if same:
        assert results == ["agreed"] * 4
    else:
        assert {results[p].code for p in (0, 2)} <= {"cheating-detected", "peer-stopped"}
        assert "cheating-detected" in {results[p].code for p in (0, 2)}


@pytest.mark.parametrize("index", [[2, -1, 0], [-1, -1], [1, 2, 0, -1, -1], [], [0]])
@pytest.mark.parametrize("holders", [(2, 3), (1, 0)])
def test_selected_rows_and_their_cost(index, holders):
    async def program(mpc):
        x = secret(mpc, VALUES, 1)
        await x.ready()
        positions = np.array(index, np.int64) if mpc.pid in holders else None
        with mpc.meter.measure() as cost:
            picked = select_rows(mpc, x, holders, positions, len(index))
            await picked.ready()
        return await mpc.output(picked), cost.rounds, cost.bytes_sent

    results = run_cluster(program, 4, verified=True)
    expected = np.where(np.array(index, int)[:, None] < 0, 0, VALUES[index]) if index else \
        np.empty((0, 2))
    rounds, total = select_rows_cost(3, 2, len(index), Geometry(4, 1, True))
    for picked, measured_rounds, _ in results:
        np.testing.assert_array_equal(picked, expected)
        assert measured_rounds == rounds
    assert sum(sent for _, _, sent in results) == total


def test_a_selection_from_an_empty_table():
    async def program(mpc):
        x = secret(mpc, VALUES[:0], 1)
        index = np.array([-1, -1]) if mpc.pid > 1 else None
        return (await mpc.output(select_rows(mpc, x, (2, 3), index, 2))).tolist()
    assert run_cluster(program, 4, verified=True) == [[[0, 0], [0, 0]]] * 4


def test_a_selection_is_for_verified_mode():
    async def program(mpc):
        select_rows(mpc, secret(mpc, VALUES), (2, 3), None, 1)
    with pytest.raises(EngineError, match="not-available"):
        run_cluster(program, 4)
