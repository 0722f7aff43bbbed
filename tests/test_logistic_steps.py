"""Steps by the sine series: taken where log-odds are moderate, dropped where they are not."""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import secret
from test_logistic import encoded, trained

from engine.cluster import run_cluster
from models import logistic_steps as steps
from models.logistic_design import Design
from models.logistic_problem import STATE, Problem
from models.plain.logistic import PlainLogisticRegression


@pytest.mark.parametrize("extreme, moderate", [(0, True), (1, True), (2, False)])
def test_a_fence_lets_through_at_most_one_row_in_a_thousand(extreme, moderate):
    """1,500 rows, of which some have log-odds of -21; the steps behind the fence stay or go."""
    odds = np.concatenate([np.full(1500 - extreme, 19.5), np.full(extreme, -21.0)])

    async def program(mpc):
        rows = secret(mpc, np.column_stack([odds, np.ones(1500)]), frac=20)
        problem = Problem(mpc, await Design.of(rows), None, None, mpc.array(np.eye(2), 24), None,
                          None, np.zeros(2), 0.0)
        first, moved, step = (secret(mpc, np.array(v), frac=STATE)
                              for v in ([1.0, 0.0], [0.5, 0.25], [0.125, -0.5]))
        for array in (problem.affine, first, moved, step):
            await array.ready()
        mpc.floor = mpc.meter.depth
        with mpc.meter.measure() as cost:
            fenced = await steps.fence(problem)({"base": first})
            await fenced["moderate"].ready()
        # One less than stated: there is no step yet to be taken first.
        assert cost.rounds == 24
        left = await steps.unless_fenced(problem)({**fenced, "base": moved, "step": step})
        assert set(left) == {"base", "step"}
        return await mpc.output([left["base"], left["step"]])

    base, step = run_cluster(program, 4)[0]
    np.testing.assert_allclose(base, [0.5, 0.25] if moderate else [1.0, 0.0], atol=1e-8)
    np.testing.assert_allclose(step, [0.125, -0.5] if moderate else [0.0, 0.0], atol=1e-8)


def test_passes_by_the_series_count_behind_an_open_fence_only(monkeypatch):
    """Eight passes: three by the series and five precise ones. With five all are precise."""
    x, y = encoded(1200, 2, 4)
    twin = PlainLogisticRegression().fit(x, y).raw_

    def weights(passes):
        return trained(x, y, solver="sampled", sample_rows=100, max_iter=passes)[0]

    without = weights(5)
    assert np.abs(weights(8) - twin).max() < np.abs(without - twin).max() / 2
    monkeypatch.setattr(steps, "_WITHIN", 2.0)
    np.testing.assert_allclose(weights(8), without, atol=0.01)
