"""Rows to secret places, and marked rows to the front."""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import measured, secret

from engine.cluster import run_cluster
from engine.errors import EngineError
from engine.shamir import Geometry
from protocols.arrange import arrange, arrange_cost, front_places

TABLE = np.arange(24).reshape(8, 3)
PLACES = np.array([3, 0, 7, 1, 2, 6, 5, 4])
DEPLOYMENTS = pytest.mark.parametrize("m, verified", [(3, False), (4, False), (4, True)])


@DEPLOYMENTS
@pytest.mark.parametrize("keep", [8, 3, 0, None])
def test_rows_go_to_their_places(m, verified, keep):
    async def program(mpc):
        return await mpc.output(arrange(mpc, secret(mpc, TABLE), secret(mpc, PLACES, 1), keep))

    expected = np.empty_like(TABLE)
    expected[PLACES] = TABLE
    for result in run_cluster(program, m, verified=verified):
        np.testing.assert_array_equal(result, expected[:keep])


@DEPLOYMENTS
@pytest.mark.parametrize("bits", [[0, 1, 1, 0, 1, 0, 0, 1], [0] * 8, [1] * 8])
def test_marked_rows_come_first_in_their_order(m, verified, bits):
    async def program(mpc):
        return await mpc.output(front_places(mpc, secret(mpc, bits)))

    order = np.argsort(1 - np.array(bits), kind="stable")
    for places in run_cluster(program, m, verified=verified):
        np.testing.assert_array_equal(places[order], np.arange(8))


@pytest.mark.parametrize("places", [[0, 0, 1], [0, 1, 3], [-1, 0, 1]])
@pytest.mark.parametrize("verified", [False, True])
def test_places_that_are_no_permutation_are_refused(places, verified):
    async def program(mpc):
        await arrange(mpc, secret(mpc, TABLE[:3]), secret(mpc, places, 2), owner=2).ready()

    results = run_cluster(program, 4, raw_errors=True, verified=verified)
    assert all(isinstance(r, EngineError) for r in results)
    assert ("bad-order", 2) in {(r.code, r.party) for r in results}


@DEPLOYMENTS
def test_the_predicted_cost_is_the_measured_one(m, verified):
    async def program(mpc):
        table = mpc.array(TABLE)
        await arrange(mpc, table, mpc.array(PLACES)).ready()

    costs = measured(program, m, verified=verified)
    costs.pop("agree_on_keys", None)
    expected = arrange_cost(8, 3, Geometry(m, 1, verified))
    assert sum(total for _, _, total in costs.values()) == expected.total_bytes
    assert sum(rounds for _, rounds, _ in costs.values()) == expected.rounds
