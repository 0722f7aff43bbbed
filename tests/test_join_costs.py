"""The predicted cost of every kind of join is the measured one, exactly."""

from __future__ import annotations

import pytest
from join_kit import Case, names

from engine.cluster import run_cluster
from engine.shamir import Geometry
from protocols.join_costs import join_cost
from protocols.join_plan import JoinPlan

IDS = [names(*range(9)), names(4, 5, 6, 7, 8, 9, 20), names(*range(3, 14)), names(8, 7, 1)]
PLANS = [
    {}, {"partners": [2]}, {"same_order": False}, {"kind": "inner"},
    {"kind": "inner", "bound": 7}, {"kind": "inner", "bound": 6, "same_order": False},
    {"kind": "inner", "required": [1]}, {"kind": "full"}, {"kind": "full", "same_order": False},
]


@pytest.mark.parametrize("options", PLANS, ids=str)
@pytest.mark.parametrize("m, verified", [(4, False), (4, True), (3, False)])
def test_the_predicted_cost_is_the_measured_one(options, m, verified):
    case = Case(IDS[:m], options, slack=1, width=3)

    async def measured(mpc):
        with mpc.meter.measure() as cost:
            join, *shared = await case.program(mpc)
            for array in shared:
                await array.ready()
        return cost, join.size

    results = run_cluster(measured, m, verified=verified)
    geometry = Geometry(m, 1, verified)
    plan = JoinPlan(m, case.rows, case.rows[0], **options)
    size = None if options.get("bound") else results[0][1]
    expected = join_cost(plan, geometry, dict.fromkeys(plan.lists, 3), size)
    assert sum(cost.bytes_sent for cost, _ in results) == expected.total_bytes
    assert {cost.rounds for cost, _ in results} == {expected.rounds}
    if m == 4 and not verified:
        # The meter's own sum over the operations.
        assert {cost.predicted_total_bytes for cost, _ in results} == {expected.total_bytes}


def test_verified_mode_costs_at_most_three_times_as_much():
    """For a million rows each, with and without columns."""
    for width in (0, 1, 2, 8):
        plan = JoinPlan(4, [10**6] * 4, 10**6)
        default, verified = (join_cost(plan, Geometry(4, 1, v), dict.fromkeys(range(4), width))
                             for v in (False, True))
        assert verified.total_bytes < 2 * default.total_bytes


def test_cost_is_linear_in_rows():
    for options in PLANS[:4]:
        small, large = (join_cost(JoinPlan(4, [n] * 4, n, **options), Geometry(4, 1),
                                  dict.fromkeys(range(4), 8), n // 2) for n in (10**5, 10**6))
        assert large.total_bytes / small.total_bytes == pytest.approx(10, rel=0.01)
        assert large.rounds == small.rounds
