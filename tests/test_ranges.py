"""The proof of range: exact at its edges, cheap as predicted, and it stops who lies."""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import measured, secret

from engine import field
from engine.array import SecureArray
from engine.cluster import run_cluster
from engine.costs_verified import predict
from engine.errors import EngineError
from engine.shamir import Geometry

DEPLOYMENTS = [(1, 0, False), (3, 1, False), (4, 1, False), (4, 1, True), (5, 1, True),
               (3, 0, True), (5, 2, False), (7, 2, True)]


def outcome(values, bits, m, t, verified):
    """None, or the error code, per party, for field elements that party 0 shares."""
    async def program(mpc):
        own = field.table([v % field.P for v in values]).reshape(-1, 2)
        x = mpc.deal(own if mpc.pid == 0 else None, 0, (len(values),), 0)
        await mpc.check_range(x, bits)
    results = run_cluster(program, m, t, verified=verified, raw_errors=True)
    return {getattr(r, "code", r) for r in results}


@pytest.mark.parametrize("m, t, verified", DEPLOYMENTS)
def test_edges(m, t, verified):
    top = 2**63
    assert outcome([0, 1, -1, top - 1, -top, 12345, -2**40], 63, m, t, verified) == {None}
    for bad in (top, -top - 1, 2**64, -2**64, 2**83, 2**126, field.P // 2, field.P // 2 + 1):
        assert "out-of-range" in outcome([5, bad, -5], 63, m, t, verified), bad


@pytest.mark.parametrize("bits", [1, 20, 62])
def test_narrower_ranges(bits):
    edge = 2**bits
    assert outcome([0, edge - 1, -edge], bits, 4, 1, True) == {None}
    for bad in (edge, -edge - 1, 2**63 - 1, 2**100):
        assert "out-of-range" in outcome([0, bad], bits, 4, 1, True)


def test_random_numbers_whatever_their_carries():
    rng = np.random.default_rng(3)
    inside = [int(v) for v in rng.integers(-2**63, 2**63 - 1, 300)]
    assert outcome(inside, 63, 4, 1, False) == {None}
    outside = [int(v) << 40 for v in rng.integers(2**30, 2**62, 40)]
    for v in outside:
        assert "out-of-range" in outcome([v], 63, 4, 1, False)


@pytest.mark.parametrize("m, t, verified", DEPLOYMENTS)
def test_cost(m, t, verified):
    async def program(mpc):
        await mpc.check_range(secret(mpc, np.arange(9)))
    cost = measured(program, m, t, verified=verified)["check_range"]
    assert cost == (1, *predict("check_range", 9, Geometry(m, t, verified)))


@pytest.mark.parametrize("job_wide", [False, True])
@pytest.mark.parametrize("m, t", [(4, 1), (7, 2)])
def test_an_input_with_a_bound_is_used_by_nobody_before_it_is_proven(job_wide, m, t):
    """Party 0 puts in 2^41, whatever its own engine says; then honest numbers."""
    bits = {} if job_wide else {"bits": 40}
    used = []

    async def program(mpc, value):
        x = mpc.array(np.array([1, value, -5]) if mpc.pid == 0 else np.zeros(3, int))
        y = mpc.input(x, 0, **bits) * secret(mpc, np.arange(3), 1)
        y.share.add_done_callback(lambda f: used.append(f.exception() is None))
        return (await mpc.output(y)).tolist()

    def run(value):
        return run_cluster(lambda mpc: program(mpc, value), m, t, verified=True, raw_errors=True,
                           check_inputs=40 if job_wide else None)
    assert run(-2**40) == [[0, -2**40, -10]] * m and all(used)
    assert any(isinstance(r, OverflowError) for r in run(2**40))  # one's own mistake
    used.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.runtime.refuse_outside", lambda *_: None)
        results = run(2**40)
    assert {r.code for r in results} <= {"out-of-range", "peer-stopped"}
    assert "out-of-range" in {r.code for r in results} and not any(used)


def test_bounds_of_inputs_cost_nothing_in_the_default_mode():
    async def program(mpc):
        await mpc.output(mpc.input(mpc.array(np.arange(9)), 0, bits=10))
    assert "check_range" not in measured(program, 4)


def test_a_dealer_outside_its_range_stops_before_it_meets_a_secret():
    """Party 0 shares 2^126; without the proof it would read bits of party 1's secret from an
    opened product."""
    async def program(mpc):
        own = field.table([2**126] * 4).reshape(-1, 2)
        x: SecureArray = mpc.deal(own if mpc.pid == 0 else None, 0, (4,), 20)
        y = secret(mpc, np.arange(4.0), 1)
        await mpc.check_range(x, 40)
        return await mpc.output(x * y)
    results = run_cluster(program, 4, verified=True, raw_errors=True)
    assert all(isinstance(r, EngineError) for r in results)
