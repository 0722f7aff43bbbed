"""Predicted costs of whole programs of the statistics, against the meter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import test_stats_related as related
import test_stats_table as tables
from engine_kit import secret as input_of
from fakes.statistics_jobs import COMPUTE, manifest_of
from stats_kit import FLAGGED, GEOMETRY, LOANS, RECORD, random_loans, shared_cells, spec_of
from test_stats_programs import green
from tracing_kit import consortium, matrices, random_rows

from engine.cluster import run_cluster
from engine.costs import Prediction, sequence
from engine.sorting import SortOperations
from parties.errors import LocalError
from parties.estimate import Network, estimate
from parties.stats.terms import terms_of
from protocols import components
from protocols.stats import job_costs, related_costs
from protocols.stats.fund_flow import FundFlowParameters, bank_cells, fund_flow
from protocols.stats.fund_tracing import fund_tracing
from protocols.stats.green_finance import green_finance
from protocols.stats.job_costs import (
    compared_cost,
    decided_cost,
    fund_flow_cost,
    fund_tracing_cost,
    green_finance_cost,
    level_cost,
    opened_cost,
    sort_cost,
)
from protocols.stats.joint_table import joint_table
from protocols.stats.perturb import Noise
from protocols.stats.related_costs import related_loans_cost
from protocols.stats.related_loans import Edges, related_loans
from protocols.stats.release import release
from protocols.stats.rules import Rules
from protocols.stats.submission import prepare
from protocols.stats.table_costs import joint_table_cost


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


@pytest.fixture
def sorts(monkeypatch):
    """What the sorts of a program compare is recorded at party 0, and then what the formulas take
    the next sort to cost: the rest of a formula must be exact, and name the same sorts in order."""
    found, quicksort, before = [], SortOperations._quicksort, SortOperations._before

    async def sorted_(self, keys, n, tables, fixed_shape):
        if self.pid == 0:
            found.append((n, keys.shape[1], []))
        return await quicksort(self, keys, n, tables, fixed_shape)

    async def compared(self, keys, left, right):
        if self.pid == 0:
            found[-1][2].append(len(left))
        return await before(self, keys, left, right)

    def cost(n, columns, m, t):
        rows, keys, levels = found.pop(0)
        assert (n, columns) == (rows, keys)
        return sequence(m, *[level_cost(level, columns, m, t) for level in levels])

    monkeypatch.setattr(SortOperations, "_quicksort", sorted_)
    monkeypatch.setattr(SortOperations, "_before", compared)
    monkeypatch.setattr(job_costs, "compared_cost", cost)
    return found


@pytest.mark.parametrize("outside", [False, True])
def test_green_finance_costs_what_the_formula_says(outside, sorts):
    p, *_, messages = green(2, rows=4)
    p = replace(p, bands=(0.5, 1.0) if outside else p.bands)

    async def body(mpc, _):
        own = {kind: {name: m[mpc.pid] for name, m in each.items()}
               for kind, each in messages.items()}
        await green_finance(mpc, parameters=p, job="job", messages=own, record=RECORD, receivers=0,
                            outside=outside)

    assert metered(body) == green_finance_cost(p, 4, 1, outside)
    assert not sorts


@pytest.mark.parametrize("changes", [
    {"stop_early": True}, {"top": None, "listed": False, "bands": ()},
    {"edges": {}, "guarantees": 0, "public": True, "bands": (300,)},
    {"edges": {"x": Edges(2, 50, 100), "y": Edges(3, 9, 100)}, "guarantees": 0, "stop_early": True},
    {"hops": 2}, {"hops": 1, "top": None},
    {"hops": 3, "edges": {}, "guarantees": 0, "public": True},
])
@pytest.mark.parametrize("outside", [False, True])
def test_related_loans_cost_what_the_formula_says(changes, outside, sorts, monkeypatch):
    """Two periods; the second one follows."""
    p, before = related.consortium(**{"companies": 6, "stop_early": False, **changes}), None
    monkeypatch.setattr(components, "iterations", lambda nodes: 3)
    monkeypatch.setattr(related_costs, "iterations", lambda nodes: 3)
    for follows in (False, True):
        messages = related.submitted(p, related.period(p, 1))
        known, results = np.array([[0, 1], [4, 2]]), {}

        async def body(mpc, _, messages=messages, known=known, results=results, before=before):
            own = {part: {name: m[mpc.pid] for name, m in each.items()}
                   for part, each in messages.items()}
            results[mpc.pid] = await related_loans(
                mpc, parameters=p, job="job", messages=own, record=RECORD, known=known,
                before=before[mpc.pid]["keep"] if before else None, receivers=0, outside=outside)

        spent = metered(body)
        # Of what the sorts were, those of the iterations say how many there were.
        taken = (sum(rows == 2 * p.companies for rows, *_ in sorts) - p.public) // 2
        formula = related_loans_cost(p, 4, 1, outside, follows=follows, taken=max(1, taken))
        assert spent == formula and not sorts
        before = results
        if p.hops and not p.public:
            break  # earlier edges are not kept


@pytest.mark.parametrize("changes", [
    {}, {"variance": True, "by_institution": True}, {"distinct": True},
    {"attribute": tables.INDUSTRY, "distinct": True, "variance": True, "percentiles": (25, 50)},
    {"percentiles": (25, 50, 75)}, {"noise": Noise("gaussian", rho=0.5)},
    {"noise": Noise("laplace", epsilon=1.0), "distinct": True},
])
@pytest.mark.parametrize("outside", [False, True])
def test_joint_tables_cost_what_the_formula_says(changes, outside, sorts):
    p = tables.consortium(rows=5, **changes)
    known = dict.fromkeys((f"C{k}" for k in range(9)), "mill") if p.attribute else None
    shared = tables.messages_of(p, tables.rows_of(p, 1), known)

    async def body(mpc, _):
        own = {part: {name: m[mpc.pid] for name, m in each.items()}
               for part, each in shared.items()}
        await joint_table(mpc, parameters=p, job="job", messages=own, record=RECORD, receivers=0,
                          outside=outside)

    assert metered(body) == joint_table_cost(p, 4, 1, outside) and not sorts


@pytest.mark.parametrize("n, bits", [(400, 20), (400, 61)])
def test_a_sort_costs_what_the_formula_says(n, bits, sorts):
    async def body(mpc, keys):
        await mpc.ordering(keys, bits)

    async def keys(mpc):
        found = input_of(mpc, np.random.default_rng(2).integers(0, 1 << bits - 1, n))
        await found.ready()
        return found

    assert metered(body, keys) == sort_cost(n, 1 + (bits > 40), 4, 1) and not sorts


@pytest.mark.parametrize("n", [20, 400])
def test_sorts_compare_on_average_what_the_formula_says(n):
    """Levels and comparisons of quicksorts in random order: single ones are up to half of it off,
    so these are many, of sizes only."""
    rng, levels, compared, count = np.random.default_rng(2), 0, 0, 400
    for _ in range(count):
        parts = np.array([n])
        while len(parts):
            levels, compared = levels + 1, compared + (parts - 1).sum()
            smaller = rng.integers(0, parts)
            parts = np.append(smaller, parts - 1 - smaller)
            parts = parts[parts > 1]
    found = compared_cost(n, 1, 4, 1)
    assert found.rounds / level_cost(1, 1, 4, 1).rounds == pytest.approx(levels / count, abs=0.7)
    expected = level_cost(round(compared / count), 1, 4, 1)
    assert found.total_bytes == pytest.approx(expected.total_bytes, rel=0.02)


@pytest.mark.parametrize("changes", [
    {"rule": "latest", "by_institution": True}, {"groups": "registry", "companies": 4, "own": True},
])
def test_tracing_costs_what_the_formula_says(changes, sorts):
    p = consortium(("a", "b"), **changes)
    shared = matrices(p, random_rows(p, 2))
    messages = {part: {e.institution: prepare(shared[part][e.institution], e, GEOMETRY)
                       for e in each} for part, each in p.expected("job").items()}

    async def body(mpc, _):
        own = {part: {name: m[mpc.pid] for name, m in each.items()}
               for part, each in messages.items()}
        await fund_tracing(mpc, parameters=p, job="job", messages=own, record=RECORD, receivers=0)

    spent, formula = metered(body), fund_tracing_cost(p, 4, 1)
    assert spent.total_bytes == formula.total_bytes and not sorts
    assert 0.95 * formula.rounds < spent.rounds <= formula.rounds, "some steps overlap"


@pytest.mark.parametrize("program, formula", [
    ("fund-flow", fund_flow_cost), ("fund-tracing", fund_tracing_cost),
    ("green-finance", green_finance_cost), ("related-loans", related_loans_cost),
    ("joint-table", joint_table_cost)])
@pytest.mark.parametrize("compute", [COMPUTE, ("regulator", *COMPUTE[1:])])
def test_a_job_of_statistics_can_be_estimated(program, formula, compute):
    manifest = manifest_of(program, compute)
    found = estimate(manifest, {}, Network())
    cost = formula(terms_of(manifest).protocol, 4, 1, compute == COMPUTE)
    assert (found["rounds"], found["bytes"]) == (cost.rounds, cost.total_bytes)
    assert found["on_average"] == (program != "fund-flow") and not found["at_most"]
    slow = estimate(manifest, {}, Network(round_trip=0.1))
    assert slow["seconds"]["network"] > found["seconds"]["network"]
    with pytest.raises(LocalError, match="default mode only"):
        estimate(manifest_of(program, COMPUTE, verified=True), {}, Network())


@pytest.mark.parametrize("program, changes", [
    ("fund-flow", {}), ("joint-table", {"percentiles": []})])
def test_noise_is_estimated(program, changes):
    exact, noisy = (estimate(manifest_of(program, noise=noise, **changes), {}, Network())
                    for noise in (None, {"kind": "laplace", "epsilon": 0.1}))
    assert noisy["bytes"] > exact["bytes"] and noisy["rounds"] >= exact["rounds"]


def test_a_period_that_follows_and_one_that_stops_early_are_estimated():
    first, later, early = (estimate(manifest_of("related-loans", **changes), {}, Network())
                           for changes in ({}, {"follows": "ab" * 32}, {"stop_early": True}))
    assert first["bytes"] < later["bytes"], "what is known of the groups are edges, too"
    assert early["at_most"] and early["bytes"] > first["bytes"] and not later["at_most"]
