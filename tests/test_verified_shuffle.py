"""The shuffle in verified mode: right rows at the predicted cost, and no row can be changed."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from adversary import Attack, attacked, frames_of
from engine_kit import measured, secret

from engine import costs as plain_costs
from engine import verified_shuffle
from engine.cluster import run_cluster
from engine.costs_verified import predict
from engine.errors import EngineError
from engine.prss import expand
from engine.shamir import Geometry

DEPLOYMENTS = [(4, 1), (5, 1), (7, 1), (7, 2), (8, 2)]
ROWS = np.arange(24).reshape(8, 3)


async def shuffled(mpc, rows=ROWS):
    return (await mpc.output(mpc.shuffle(secret(mpc, rows)), raw=True)).tolist()


@pytest.mark.parametrize("m, t", DEPLOYMENTS)
def test_rows_move_as_a_whole_and_nobody_is_left_out(m, t):
    first, *others = run_cluster(shuffled, m, t, verified=True)
    assert sorted(first) == ROWS.tolist() and all(o == first for o in others)


def test_orders_differ():
    """Eight rows: the chance that four orders are all equal is below 2^-45."""
    seen = {str(run_cluster(shuffled, 4, 1, verified=True)[0]) for _ in range(4)}
    assert len(seen) > 1


@pytest.mark.parametrize("m, t", DEPLOYMENTS)
@pytest.mark.parametrize("columns", [1, 3])
def test_the_cost_is_the_predicted_one(m, t, columns):
    costs = measured(functools.partial(shuffled, rows=ROWS[:, :columns]), m, t, verified=True)
    g = Geometry(m, t, verified=True)
    assert costs["shuffle"] == (1, *predict("shuffle", 8 * columns, g, rows=8))
    assert costs["shuffle"][1] == len(g.shuffle_groups()) + 4


def test_large_tables_cost_at_most_half_more_bytes():
    for columns in (1, 2, 10):
        n = 10**6 * columns
        ours = predict("shuffle", n, Geometry(4, 1, verified=True), rows=10**6).total_bytes
        plain = plain_costs.shuffle(n, 4, 1).total_bytes
        assert ours <= (1 + 0.5 / columns) * plain + 2500


# --- cheating holders; the frames on the wire are attacked in test_verified.py ---

def other_order(monkeypatch, cheater):
    """The cheater permutes its summands by an order of its own."""
    real = verified_shuffle.common_draws

    async def draws(op, groups):
        found = await real(op, groups)
        if op.runtime.pid == cheater:
            found = {k: functools.partial(expand, bytes(16), b"mine") for k in found}
        return found
    monkeypatch.setattr(verified_shuffle, "common_draws", draws)


def other_summand(monkeypatch, cheater, place=0):
    """The cheater changes an element of what it hands over or deals."""
    for name in ("pass_on", "deal_out"):
        real = getattr(verified_shuffle, name)

        async def changed(op, holders, *rest, real=real):
            def more(own):
                array = own().copy().reshape(-1, 2)
                array[place, 0] ^= np.uint64(1)
                return array
            if op.runtime.pid == cheater and cheater in holders:
                k = next(i for i, part in enumerate(rest)
                         if callable(part) or isinstance(part, np.ndarray))
                own = rest[k] if callable(rest[k]) else (lambda part=rest[k]: part)
                new = functools.partial(more, own)
                rest = (*rest[:k], new if callable(rest[k]) else new(), *rest[k + 1:])
            return await real(op, holders, *rest)
        monkeypatch.setattr(verified_shuffle, name, changed)


def other_tag(monkeypatch, cheater):
    """The same with the last element, which is the tag of a row wherever tags are handed over."""
    other_summand(monkeypatch, cheater, place=-1)


# Of 8 rows, the cheater's own order is the group's once in 40,320 runs.
MANY = np.arange(60).reshape(20, 3)


def outcomes(cheater, m, t):
    results = run_cluster(functools.partial(shuffled, rows=MANY), m, t, verified=True,
                          raw_errors=True)
    return [r for pid, r in enumerate(results) if pid != cheater]


@pytest.mark.parametrize("lie", [other_order, other_summand, other_tag])
@pytest.mark.parametrize("m, t, cheater", [(4, 1, 0), (4, 1, 1), (4, 1, 2), (4, 1, 3), (7, 2, 0)])
def test_a_holder_that_lies_is_found_by_everybody(monkeypatch, lie, m, t, cheater):
    lie(monkeypatch, cheater)
    found = outcomes(cheater, m, t)
    assert all(isinstance(r, EngineError) for r in found)
    assert {r.code for r in found} <= {"cheating-detected", "peer-stopped"}
    assert "cheating-detected" in {r.code for r in found}


@pytest.mark.parametrize("lie", [other_order, other_summand])
def test_without_the_proof_the_same_lies_succeed(monkeypatch, lie):
    async def nothing(*_):
        return None
    lie(monkeypatch, 2)
    monkeypatch.setattr(verified_shuffle, "_check", nothing)
    assert all(sorted(r) != MANY.tolist() for r in outcomes(2, 4, 1))


@pytest.mark.parametrize("kind", ["wrong", "equivocate"])
def test_two_parties_of_seven_may_not_lie_on_the_wire(kind):
    """Every tenth frame of one of two cheaters; t = 2."""
    sent = frames_of(shuffled, 1, m=7, verified=True)
    for at in range(3, sent, max(1, sent // 6)):
        for result in attacked(shuffled, Attack(kind, at), 1, m=7, verified=True):
            assert isinstance(result, EngineError) or sorted(result) == ROWS.tolist()
