"""Expressions of higher degree, openings to one party, and the check of a dealt indicator."""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import SIZES, measured, secret

from engine import field, frames, query
from engine.cluster import run_cluster
from engine.errors import EngineError
from engine.query import (
    can_collapse,
    check_indicators,
    check_indicators_cost,
    collapse,
    collapse_cost,
    open_expression,
    open_expression_cost,
    open_nonzero,
    random_elements,
)

DEPLOYMENTS = [*SIZES, (7, 2), (5, 1), (3, 0)]
N = 5


def cube(x, y, z):
    return field.mul(field.mul(x, y), z)


async def three_factors(mpc):
    values = [np.arange(N) - k for k in range(3)]
    return [secret(mpc, v, k % mpc.geometry.m) for k, v in enumerate(values)]


@pytest.mark.parametrize("m, t", DEPLOYMENTS)
@pytest.mark.parametrize("rotation", [0, 1, 3])
def test_products_of_three_factors(m, t, rotation):
    async def program(mpc):
        for _ in range(rotation):
            mpc.next_operation()
        factors = await three_factors(mpc)
        if not can_collapse(mpc, 3 * t):
            with pytest.raises(ValueError, match="expected a degree below that number"):
                collapse(mpc, "cube", factors, cube, (N,), 3 * t)
            return None
        product = collapse(mpc, "cube", factors, cube, (N,), 3 * t)
        # Of degree t again: it takes part in products as anything else does.
        return await mpc.output(product * product)

    expected = np.prod([np.arange(N) - k for k in range(3)], axis=0) ** 2
    for result in run_cluster(program, m, t):
        if m > 3 * t:
            assert result.tolist() == expected.tolist()
    costs = measured(program, m, t)
    if m > 3 * t:
        assert costs["cube"] == (1, *collapse_cost(N, m, t, 3 * t))


def test_verified_mode_has_no_shares_to_spare_for_three_factors():
    async def program(mpc):
        return can_collapse(mpc, 3)

    assert run_cluster(program, 4, verified=True) == [False] * 4


@pytest.mark.parametrize("m, t", DEPLOYMENTS)
@pytest.mark.parametrize("verified", [False, True])
@pytest.mark.parametrize("receiver", [0, -1])
def test_an_expression_opens_to_one_party(m, t, verified, receiver):
    if verified and m <= 3 * t:
        pytest.skip("verified mode needs m > 3t")
    receiver %= m

    async def program(mpc):
        x, y, _ = await three_factors(mpc)
        return await open_expression(mpc, "private", [x, y], field.mul, (N,), 2 * t, receiver)

    expected = [k * (k - 1) for k in range(N)]
    for pid, result in enumerate(run_cluster(program, m, t, verified=verified)):
        assert result is None if pid != receiver else result.tolist() == expected
    if not verified:
        costs = measured(program, m, t)
        assert costs["private"] == (1, *open_expression_cost(N, m, 2 * t))


def test_only_the_receiver_is_sent_anything_and_no_share_of_the_factors():
    receiver, wire, products = 2, [], {}

    def tap(source, target, frame, payload):
        if frame.kind == frames.ARRAY:
            wire.append((frame.operation, source, target, payload.tobytes()))
        return [(frame, payload)]

    async def program(mpc):
        x, y, _ = await three_factors(mpc)
        products[mpc.pid] = field.mul(await x.ready(), await y.ready()).tobytes()
        await open_expression(mpc, "private", [x, y], field.mul, (N,), 2, receiver)

    run_cluster(program, 4, tap=tap)
    opening = [w for w in wire if w[0] == max(w[0] for w in wire)]
    assert len(opening) == 2 and {target for _, _, target, _ in opening} == {receiver}
    # The bare products of shares say more than their sum: they must not travel.
    assert all(payload != products[source] for _, source, _, payload in opening)


@pytest.mark.parametrize("m, t, verified", [*[(*s, False) for s in SIZES], (4, 1, True)])
def test_whether_numbers_are_zero_and_nothing_else(m, t, verified):
    values = np.array([0, 1, -1, 0, 2**40])

    async def program(mpc):
        return await open_nonzero(mpc, secret(mpc, values), 0)

    first, *others = run_cluster(program, m, t, verified=verified)
    assert first.tolist() == (values != 0).tolist() and not any(o is not None for o in others)


@pytest.mark.parametrize("verified", [False, True])
def test_of_numbers_that_are_not_zero_only_that_shows(verified, monkeypatch):
    shown, plain = [], query.open_expression

    async def watched(*arguments):
        opened = await plain(*arguments)
        if opened is not None:
            shown.extend(int(v) for v in opened)
        return opened

    monkeypatch.setattr(query, "open_expression", watched)

    async def program(mpc):
        await open_nonzero(mpc, secret(mpc, np.array([0, 1, 1, 2, 2])), 3)

    run_cluster(program, 4, verified=verified)
    assert shown[0] == 0 and len(set(shown)) == 5
    assert all(v > 1 << 80 and field.P - v > 1 << 80 for v in shown[1:])


def test_random_elements_are_shared_and_differ():
    async def program(mpc):
        return await mpc.output([random_elements(mpc, (3, 2)), random_elements(mpc, (2,))],
                                raw=True)

    first, *others = run_cluster(program, 4)
    for other in others:
        np.testing.assert_equal(other, first)
    assert len({int(v) for part in first for v in part.ravel()}) == 8


def rows_of(*rows):
    return np.array(rows)


GOOD = rows_of([0, 1, 0, 1, 0], [1, 0, 0, 0, 1])
BAD = [rows_of([0, 0, 0, 1, 0], [1, 0, 0, 0, 1]), rows_of([1, 1, 0, 1, 0], [1, 0, 0, 0, 1]),
       rows_of([0, 1, 0, 1, 0], [2, -1, 0, 0, 1]), rows_of([0, 1, 0, 1, 0], [1, 0, 1, 0, 0])]


@pytest.mark.parametrize("m, verified", [(4, False), (5, False), (4, True)])
@pytest.mark.parametrize("dealer", [0, 2])
def test_indicators_pass_and_anything_else_stops_the_run(m, verified, dealer):
    async def program(mpc, values):
        x = secret(mpc, values, dealer)
        await check_indicators(mpc, x, [3, 2], dealer)
        # The dealer does not take part in the check; it must learn of its failure.
        return await mpc.output(x.sum())

    assert run_cluster(lambda mpc: program(mpc, GOOD), m, 1, verified=verified) == [4] * m
    for bad in BAD:
        results = run_cluster(lambda mpc, b=bad: program(mpc, b), m, 1, verified=verified,
                              raw_errors=True)
        assert all(isinstance(r, EngineError) for r in results), results
        codes = {r.code for r in results}
        if verified:  # any of the three that checked may have lied, so nobody is named
            assert "cheating-detected" in codes <= {"cheating-detected", "peer-stopped"}
        else:
            assert codes == {"not-an-indicator"} and {r.party for r in results} == {dealer}


@pytest.mark.parametrize("m", [4, 5])
def test_what_the_check_costs(m):
    async def program(mpc):
        await check_indicators(mpc, secret(mpc, GOOD, 1), [3, 2], 1)

    assert measured(program, m, 1)["check_indicators"] == (1, *check_indicators_cost(m, 1))
