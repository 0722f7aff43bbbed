"""Predicted costs of whole programs of the statistics, against the meter."""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import secret as input_of
from fakes.statistics_jobs import COMPUTE, manifest_of
from stats_kit import FLAGGED, GEOMETRY, LOANS, RECORD, random_loans, shared_cells, spec_of
from tracing_kit import consortium, matrices, random_rows

from engine.cluster import run_cluster
from engine.costs import Prediction
from parties.estimate import Network, estimate
from parties.stats.terms import terms_of
from protocols.stats.fund_flow import FundFlowParameters, bank_cells, fund_flow
from protocols.stats.fund_tracing import fund_tracing
from protocols.stats.job_costs import (
    decided_cost,
    fund_flow_cost,
    fund_tracing_cost,
    opened_cost,
    sort_cost,
)
from protocols.stats.perturb import Noise
from protocols.stats.release import release
from protocols.stats.rules import Rules
from protocols.stats.submission import prepare


def metered(body, prepared=None):
    """Rounds of a coroutine at any party, and bytes over all of them."""
    spent = []

    async def program(mpc):
        given = await prepared(mpc) if prepared else None
        mpc.floor = mpc.meter.depth
        with mpc.meter.measure() as cost:
            await body(mpc, given)
        spent.append((cost.rounds, cost.bytes_sent))

    run_cluster(program)
    return Prediction(max(r for r, _ in spent), sum(b for _, b in spent))


@pytest.mark.parametrize("sizes, measures, rules, noise", [
    ((3,), (LOANS,), Rules(), None), ((3, 2), (LOANS, FLAGGED), Rules(zeros=False), None),
    ((2, 3), (LOANS,), Rules(dominance=(4, 90)), None), ((1,), (FLAGGED,), Rules(), None),
    ((3,), (LOANS, FLAGGED), Rules(rounding=5), None),
    ((2, 2), (LOANS,), Rules(rounding=10), Noise("laplace", epsilon=1.0)),
    ((3,), (LOANS, FLAGGED), Rules(), Noise("gaussian", rho=0.5)),
])
def test_a_release_costs_what_the_formula_says(sizes, measures, rules, noise):
    spec = spec_of(*sizes, measures=measures)
    cell, values = random_loans(spec, 60, 1)

    async def cells(mpc):
        found = shared_cells(mpc, spec, cell, values, rules.largest)
        await found.ready()
        return found

    async def body(mpc, found):
        await release(mpc, spec, rules, found, RECORD, receivers=0, perturbation=noise)

    first = decided_cost(spec, rules, 4, 1, perturbation=noise)
    last = opened_cost(spec, 4, 1, 1 + len(measures))
    assert metered(body, cells) == Prediction(first.rounds + last.rounds,
                                              first.total_bytes + last.total_bytes)


@pytest.mark.parametrize("by_institution", [True, False])
def test_fund_flow_costs_what_the_formula_says(by_institution):
    p = FundFlowParameters(("a", "b", "c"), ("n", "s"), ("1", "2"), by_institution, amount_bits=20)
    rng = np.random.default_rng(1)
    loans = {"region": rng.choice(p.regions, 40), "period": rng.choice(p.periods, 40),
             "outstanding": rng.integers(0, 999, 40), "scores": rng.integers(0, 2, (40, 4)) * 0.5}
    messages = {e.institution: prepare(bank_cells(p, **loans), e, GEOMETRY)
                for e in p.expected("job")}

    async def body(mpc, _):
        own = {name: m[mpc.pid] for name, m in messages.items()}
        await fund_flow(mpc, parameters=p, job="job", messages=own, record=RECORD, receivers=0)

    assert metered(body) == fund_flow_cost(p, 4, 1)


@pytest.mark.parametrize("n, bits", [(400, 20), (400, 61)])
def test_a_sort_costs_about_what_the_formula_says(n, bits):
    async def body(mpc, keys):
        await mpc.ordering(keys, bits)

    async def keys(mpc):
        found = input_of(mpc, np.random.default_rng(2).integers(0, 1 << bits - 1, n))
        await found.ready()
        return found

    near(metered(body, keys), sort_cost(n, 1 + (bits > 40), 4, 1))


@pytest.mark.parametrize("changes", [
    {"rule": "latest", "by_institution": True}, {"groups": "registry", "companies": 4, "own": True},
])
def test_tracing_costs_about_what_the_formula_says(changes):
    p = consortium(("a", "b"), **changes)
    shared = matrices(p, random_rows(p, 2))
    messages = {part: {e.institution: prepare(shared[part][e.institution], e, GEOMETRY)
                       for e in each} for part, each in p.expected("job").items()}

    async def body(mpc, _):
        own = {part: {name: m[mpc.pid] for name, m in each.items()}
               for part, each in messages.items()}
        await fund_tracing(mpc, parameters=p, job="job", messages=own, record=RECORD, receivers=0)

    near(metered(body), fund_tracing_cost(p, 4, 1))


@pytest.mark.parametrize("program, formula", [
    ("fund-flow", fund_flow_cost), ("fund-tracing", fund_tracing_cost)])
@pytest.mark.parametrize("compute", [COMPUTE, ("regulator", *COMPUTE[1:])])
def test_a_job_of_statistics_can_be_estimated(program, formula, compute):
    manifest = manifest_of(program, compute)
    found = estimate(manifest, {}, Network())
    cost = formula(terms_of(manifest).protocol, 4, 1, compute == COMPUTE)
    assert (found["rounds"], found["bytes"]) == (cost.rounds, cost.total_bytes)
    assert found["on_average"] == (program == "fund-tracing") and not found["at_most"]
    slow = estimate(manifest, {}, Network(round_trip=0.1))
    assert slow["seconds"]["network"] > found["seconds"]["network"]


def near(spent, formula):
    """Sorts depend on a random order, and little else does."""
    assert spent.rounds == pytest.approx(formula.rounds, rel=0.2)
    assert spent.total_bytes == pytest.approx(formula.total_bytes, rel=0.15)
