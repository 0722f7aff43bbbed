"""Additive sharings: dealing, selecting, handing over, back to shares for everybody."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from engine_kit import SIZES, secret

from engine import field
from engine.cluster import run_cluster
from engine.errors import EngineError

VALUES = np.arange(-6, 6).reshape(6, 2)


def dealt(mpc, owner=1, holders=(2, 3), values=VALUES, frac=0):
    own = field.encode(values, frac) if mpc.pid == owner else None
    return mpc.deal_additive(own, owner, holders, values.shape, frac)


@pytest.mark.parametrize("owner, holders", [
    (1, (2, 3)), (1, (1, 2)), (2, (1, 2)), (0, (3,)), (0, (0,)), (3, (0, 1, 2)), (0, (0, 1, 2, 3))])
def test_dealt_values_come_back(owner, holders):
    async def program(mpc):
        held = dealt(mpc, owner, holders)
        share = await held.ready()
        assert (share is None) == (mpc.pid not in holders) and held.held == (share is not None)
        return share, await mpc.output(held.to_shared())

    results = run_cluster(program, 4)
    total = sum(field.to_ints(share) for share, _ in results if share is not None) % field.P
    np.testing.assert_array_equal(total, field.to_ints(field.encode(VALUES, 0)))
    for _, value in results:
        np.testing.assert_array_equal(value, VALUES)


def test_fractional_bits_are_kept():
    async def program(mpc):
        held = dealt(mpc, values=VALUES / 4, frac=7)
        moved = held.take(np.arange(6) if held.held else None, 6).hand_over((0, 1)).permute()
        assert moved.frac == moved.to_shared().frac == 7
        return await mpc.output(moved.to_shared().sum())

    assert run_cluster(program, 4)[0] == VALUES.sum() / 4


@pytest.mark.parametrize("m, t", SIZES)
def test_from_shares_and_back(m, t):
    x = np.linspace(-1, 1, 8).reshape(4, 2)

    async def program(mpc):
        groups = list(itertools.combinations(range(m), t + 1))
        array = secret(mpc, x)
        return await mpc.output([mpc.to_additive(array, g[::-1]).to_shared() for g in groups]
                                + [array])

    *copies, expected = run_cluster(program, m, t)[0]
    for copy in copies:
        np.testing.assert_array_equal(copy, expected)


def test_rows_are_selected_by_an_order_only_the_holders_know():
    order = np.array([5, -1, 0, 0, 3])

    async def program(mpc):
        held = dealt(mpc)
        picked = held.take(order if held.held else None, 5)
        # The selection leaves the original as it was.
        return await mpc.output([picked.to_shared(), held.to_shared()])

    expected = np.where(order[:, None] < 0, 0, VALUES[order])
    for picked, original in run_cluster(program, 4):
        np.testing.assert_array_equal(picked, expected)
        np.testing.assert_array_equal(original, VALUES)


def test_a_selection_of_the_wrong_length_is_refused():
    async def program(mpc):
        held = dealt(mpc)
        return await mpc.output(held.take(np.arange(4) if held.held else None, 5).to_shared())

    with pytest.raises(EngineError, match="4 row positions, expected 5"):
        run_cluster(program, 4)


@pytest.mark.parametrize("old, new", [
    ((0, 1), (2, 3)), ((0, 1), (1, 2)), ((0, 1), (1, 0)), ((0, 1), (0, 1)), ((2,), (0, 1, 3)),
    ((0, 1, 2), (3,)), ((0, 1, 2), (2, 1, 3))])
def test_handing_over_changes_the_holders_and_the_summands(old, new):
    async def program(mpc):
        held = dealt(mpc, 0, old)
        moved = held.hand_over(new)
        return await held.ready(), await moved.ready(), await mpc.output(moved.to_shared())

    results = run_cluster(program, 4)
    for pid, (before, after, value) in enumerate(results):
        assert (before is not None) == (pid in old) and (after is not None) == (pid in new)
        np.testing.assert_array_equal(value, VALUES)
        if before is not None and after is not None and len(old) > 1:
            assert (before != after).any(), "fresh summands"


@pytest.mark.parametrize("holders", [(0,), (2, 3), (0, 2, 3), (0, 1, 2, 3)])
def test_all_holders_permute_alike(holders):
    values = np.arange(40).reshape(20, 2)

    async def program(mpc):
        held = dealt(mpc, 1, holders, values)
        once, twice = held.permute(), held.permute()
        return await mpc.output([once.to_shared(), twice.to_shared()])

    once, twice = run_cluster(program, 4)[0]
    for result in (once, twice):
        np.testing.assert_array_equal(result[np.argsort(result[:, 0])], values)
    assert (once != twice).any() and (once != values).any()


def test_no_holder_alone_sees_a_value():
    """Each summand, and each frame on the way, is a fresh random number, not a function of 0."""
    frames_seen = []

    def tap(source, target, frame, payload):
        frames_seen.append(payload.tobytes())
        return [(frame, payload)]

    async def program(mpc):
        held = dealt(mpc, 1, (2, 3), np.zeros((6, 2), int))
        moved = held.hand_over((0, 1))
        shared = moved.to_shared()
        await mpc.output(shared, 0)
        return [a.tolist() for a in (await held.ready(), await moved.ready(), await shared.ready())
                if a is not None]

    seen = [str(share) for party in run_cluster(program, 4, tap=tap) for share in party]
    # Shares of zero at four parties are different too.
    assert len(set(seen)) == len(seen)
    payloads = [p for p in frames_seen if p]
    assert len(set(payloads)) == len(payloads)
    assert not any(bytes(16) in p for p in payloads)


@pytest.mark.parametrize("dtype, values", [
    (np.uint64, [[2**64 - 1, 0]]), (np.int64, [-1, 5, 2**62]), (np.uint8, [1, 2, 3]),
    (np.float64, [1.5, -2.0]), (np.int64, [])])
def test_private_messages_reach_their_receiver_alone(dtype, values):
    values = np.array(values, dtype)
    wire = []

    def tap(source, target, frame, payload):
        wire.append((source, target, payload.tobytes()))
        return [(frame, payload)]

    async def program(mpc):
        own = values if mpc.pid == 2 else None
        return await mpc.send_private(own, 2, 1, values.shape, dtype)

    results = run_cluster(program, 4, tap=tap)
    assert [r is None for r in results] == [True, False, True, True]
    assert results[1].dtype == dtype
    np.testing.assert_array_equal(results[1], values)
    data = [(s, t) for s, t, p in wire if p]
    assert data == ([(2, 1)] if values.size else [])
    assert not any(values.tobytes() in p for _, _, p in wire if p)
