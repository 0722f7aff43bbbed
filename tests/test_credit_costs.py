"""What a credit job and its parts cost, by their formulas, against the meter.

Whole jobs are compared where they run: `test_credit.py`, `test_credit_options.py`.
"""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import secret

from engine import functions
from engine.cluster import run_cluster
from models import evaluation, logistic_costs, logistic_design
from models.credit_costs import credit_costs
from models.evaluation_costs import calibration_cost, evaluate_cost, psi_cost
from models.evaluation_samples import calibration, psi
from models.logistic import LogisticRegression
from models.parameters import CreditParameters

ROWS, FEATURES = 100, 3


def metered(program):
    """(rounds, bytes over all parties) of what `program(mpc, inputs…)` returns a future of."""
    rng = np.random.default_rng(1)
    label = (rng.random(ROWS) < 0.4).astype(int)
    columns = np.column_stack([rng.normal(size=(ROWS, FEATURES)), np.ones(ROWS)])

    async def measured(mpc):
        shared = [secret(mpc, columns).with_frac(24), secret(mpc, label)]
        for one in shared:
            await one.ready()
        mpc.floor = mpc.meter.depth
        with mpc.meter.measure() as cost:
            for one in await program(mpc, *shared):
                await one.ready()
        return cost.rounds, cost.bytes_sent
    results = run_cluster(measured, 4)
    return results[0][0], sum(sent for _, sent in results)


@pytest.mark.parametrize(("solver", "passes"), [("sampled", 7), ("accelerated", 3)])
def test_trainings_in_blocks(solver, passes, monkeypatch):
    monkeypatch.setattr(logistic_design, "LARGEST_BLOCK", 64)
    for module in (functions, logistic_costs):
        monkeypatch.setattr(module, "BLOCK", 16)

    async def fit(mpc, columns, label):
        model = LogisticRegression(solver=solver, max_iter=passes, monitor="none")
        selected = secret(mpc, np.ones(FEATURES, int))
        await model.fit(mpc, columns, label, selected=selected)
        return [model.converged_]
    rounds, sent = metered(fit)
    made = logistic_costs.training_cost(ROWS, FEATURES + 1, solver, passes, 4, 1, 64)
    dealt = 16 * FEATURES * 2
    assert (rounds, sent) == (made.rounds + 8, made.total_bytes + dealt)


def test_evaluation():
    edges = np.array([-1.0, 0.0, 1.0])

    async def evaluated(mpc, columns, label):
        classes = mpc.stack([label, 1 - label], axis=1)
        figures = await evaluation.evaluate_scores(
            mpc, [columns[:, 0], columns[:, 1]], classes, points=7, edges=edges)
        return [x for f in figures for x in (f.auc, f.ks, f.curve, f.histogram)]
    assert metered(evaluated) == evaluate_cost(ROWS, 2, 24, 7, 3, 4, 1)

    async def samples(mpc, columns, label):
        classes = mpc.stack([label, 1 - label], axis=1)
        index = psi(mpc, (columns[:70, 0], label[:70]), (columns[:, 1], label), edges)
        return [calibration(mpc, columns[:, 0].with_frac(40), classes, edges), index]
    parts = calibration_cost(ROWS, 3, 4, 1), psi_cost(70, ROWS, 3, 4, 1)
    assert metered(samples) == (max(p.rounds for p in parts), sum(p.total_bytes for p in parts))


def test_memory_and_separate_orders_make_a_job_dearer():
    def sent(same_order=True, **parameters):
        costs = credit_costs(CreditParameters(**parameters), [20_000] * 4, [30] * 4, same_order)
        return sum(cost.total_bytes for cost in costs.values())
    # Smaller blocks of rows: the Gram matrix is added up from more parts.
    assert sent(memory=1 << 26) > sent() == sent(memory=1 << 36)
    assert sent(same_order=False) > sent()
    assert sent(iterations=10) > sent(iterations=6) > sent()


@pytest.mark.parametrize("parameters", [
    {"binning": "tree"}, {"solver": "newton"}, {"l1_ratio": 0.5}, {"class_weight": "balanced"},
    {"inference": True}, {"univariate_p": 0.05}, {"bin_tables": {"bank.a": ["bank"]}},
])  # fmt: skip
def test_options_without_a_formula_are_named(parameters):
    [name] = parameters
    with pytest.raises(ValueError, match=f"no formula for jobs with the parameter {name} = "):
        credit_costs(CreditParameters(**parameters), [400] * 4, [2] * 4)
