"""The credit job as the parties run it, against the same mathematics on pooled rows."""

from __future__ import annotations

import numpy as np
import pytest

from engine.cluster import run_cluster
from engine.errors import LocalProtocolError
from models.credit import STEPS, credit_program
from models.parameters import CreditParameters
from models.plain.credit import common_rows, plain_credit
from parties.world import generate_world
from protocols.table import PartyTable

CHOSEN = {"bank": ["interest_rate", "loan_amount"], "government": ["vat_paid_6m", "vat_paid_12m"],
          "fintech": ["platform_inflow_6m", "platform_inflow_1m", "platform_inflow_3m"],
          "telecom": ["calls_out_1m"]}
# Drops two columns: a selection that is everything would show nothing.
PARAMETERS = CreditParameters(max_bins=4, iv_threshold=0.12, roc_points=20, bands=5, max_features=4,
                              examples=3, reasons=2)


def world(rows, seed):
    """The generated world with a few columns, some of their values missing."""
    rng = np.random.default_rng(seed)
    return [PartyTable(t.name, t.id_name, t.ids,
                       {c: np.where(rng.random(rows) < 0.1 * k, np.nan, t.columns[c])
                        for k, c in enumerate(CHOSEN[t.name])}, t.label_name, t.label)
            for t in generate_world(rows, seed)]


def run(tables, parameters=PARAMETERS, **options):
    """(results in party order, progress events in party order)."""
    events = [[] for _ in tables]

    async def program(mpc):
        return await credit_program(
            mpc, parties=[t.name for t in tables], table=tables[mpc.pid],
            inputs={t.name: list(t.columns) for t in tables},
            rows={t.name: t.rows for t in tables}, parameters=parameters,
            progress=lambda *event: events[mpc.pid].append(event))

    return run_cluster(program, 4, **options), events


@pytest.fixture(scope="module")
def job():
    tables = world(400, 1)
    results, events = run(tables)
    return tables, results, events, plain_credit(tables, PARAMETERS)


def test_figures_are_those_of_the_twin(job):
    tables, results, _, plain = job
    outputs = results[0]["outputs"]
    for key in ("rows_joint", "rows_joint_train", "rows_joint_test"):
        assert outputs[key] == plain[key]
    assert outputs["rows_joint"] == len(common_rows(tables)["bank"])
    assert list(outputs["iv"]) == [f for t in tables for f in t.features]
    for feature, value in plain["iv"].items():
        assert outputs["iv"][feature] == pytest.approx(value, abs=1e-5)
    selected = [f for f, iv in outputs["iv"].items() if iv >= PARAMETERS.iv_threshold]
    assert selected == plain["selected"] and 0 < len(selected) < len(plain["iv"])
    for model in ("joint", "bank"):
        # A few steps short of the optimum, neighbours of nearly equal score may change places.
        assert outputs["auc"][model] == pytest.approx(plain["auc"][model], abs=2e-3)
        assert outputs["ks"][model] == pytest.approx(plain["ks"][model], abs=2e-2)
    # The bank has one selected column: its few scores are ties, and ties must stay ties.
    assert outputs["ks"]["bank"] == pytest.approx(plain["ks"]["bank"], abs=1e-6)
    assert outputs["auc"]["bank"] == pytest.approx(plain["auc"]["bank"], abs=1e-6)


def test_curves_tables_and_scores_belong_together(job):
    outputs = job[1][0]["outputs"]
    for model in ("joint", "bank"):
        curve = outputs["roc"][model]
        for axis in ("fpr", "tpr"):
            assert len(curve[axis]) == PARAMETERS.roc_points + 1
            assert curve[axis][0] == 0 and curve[axis][-1] == 1
            assert (np.diff(curve[axis]) >= 0).all()
        lift = outputs["lift"][model]
        assert [band["band"] for band in lift] == [1, 2, 3, 4, 5]
        assert sum(band["rows"] for band in lift) == outputs["rows_joint_test"]
        assert lift[-1]["cum_bad_share"] == pytest.approx(1)
        scores = outputs["scores"][model]
        assert len(scores["good"]) == len(scores["bad"]) == len(scores["edges"]) - 1
        assert sum(scores["bad"]) == sum(band["bad"] for band in lift)
        assert sum(scores["good"]) + sum(scores["bad"]) == outputs["rows_joint_test"]


def test_only_the_initiator_learns_anything(job):
    _, results, _, _ = job
    assert [bool(r["outputs"]) for r in results] == [True, False, False, False]


def test_steps_are_reported_and_metered_alike_by_all(job):
    _, results, events, _ = job
    expected = [(step, state) for step in STEPS for state in ("start", "done")]
    assert all(e == expected for e in events)
    for step in STEPS:
        costs = [r["steps"][step] for r in results]
        assert len({c["rounds"] for c in costs}) == 1 and costs[0]["rounds"] > 0
        assert all(c["seconds"] >= 0 for c in costs)
        assert step == "open" or all(c["bytes_per_party"] > 0 for c in costs)


def test_without_common_rows_the_job_stops_with_a_reason():
    tables = world(250, 2)
    other = generate_world(250, 3)[3]
    tables[3] = PartyTable("telecom", other.id_name, other.ids,
                           {c: other.columns[c] for c in CHOSEN["telecom"]})
    results, _ = run(tables, raw_errors=True)
    assert isinstance(results[0], LocalProtocolError)
    assert (results[0].code, results[0].step) == ("too-few-common-rows", "join")
    assert results[0].remedy and all(r.code == "too-few-common-rows" for r in results[1:])
