"""Related companies: what counts as an edge, neighbourhoods, exposures and limits."""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import opened, secret

from engine.cluster import run_cluster
from protocols.components import components, public_components
from protocols.related import counting, exposure, largest_groups, neighbourhood


def test_edges_below_the_threshold_lead_nowhere():
    edges, weight = np.array([[0, 1], [2, 3], [4, 0]]), np.array([50, 49, 100])
    result = opened(lambda mpc, e, w: counting(mpc, e, w, 50), edges, weight)
    assert result.tolist() == [[0, 1], [2, 2], [4, 0]]


@pytest.mark.parametrize("hops, expected", [(0, [0, 0, 1, 0, 0, 0]), (1, [0, 1, 1, 1, 0, 0]),
                                            (2, [1, 1, 1, 1, 0, 0]), (4, [1, 1, 1, 1, 0, 0])])
def test_neighbourhoods(hops, expected):
    edges, marks = np.array([[0, 1], [2, 1], [2, 3], [4, 4]]), np.eye(6, dtype=int)[2]

    async def program(mpc):
        return await mpc.output(await neighbourhood(mpc, secret(mpc, edges), secret(mpc, marks, 1),
                                                    hops))

    assert run_cluster(program, 4)[0].tolist() == expected


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_exposures_of_groups(known, seed):
    rng = np.random.default_rng(seed)
    nodes, limit = 12, 150
    edges = rng.integers(0, nodes, (8, 2))
    company, amount = rng.integers(0, nodes, 20), rng.integers(1, 100, 20)
    expected = public_components(edges, nodes)
    sums = np.bincount(expected[company], amount, nodes).astype(int)

    async def program(mpc):
        group = expected if known else await components(mpc, secret(mpc, edges), nodes,
                                                        stop_early=True)
        found = await exposure(mpc, secret(mpc, company), secret(mpc, amount, 2), group, limit)
        values, _, many = await largest_groups(mpc, found.groups, 3, 400)
        return await mpc.output([found.groups, found.over, found.loans, values, many])

    groups, over, loans, values, many = run_cluster(program, 4)[0]
    if known:
        np.testing.assert_array_equal(groups, sums)
    assert sorted(groups) == sorted(sums)
    np.testing.assert_array_equal(over, groups > limit)
    np.testing.assert_array_equal(loans, (sums > limit)[expected[company]])
    assert values.tolist() == sorted(sums)[:-4:-1]
    assert many == (values.sum() > 400)
