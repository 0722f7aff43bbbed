"""The credit job as the parties run it, against the same mathematics on pooled rows."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

from engine.cluster import run_cluster
from engine.errors import LocalProtocolError
from models import credit_encode
from models.credit import STEPS, credit_program
from models.credit_costs import credit_costs
from models.parameters import CreditParameters
from models.plain.credit import common_rows, plain_credit
from models.scorecard import Scorecard
from parties.world import generate_world
from protocols.binning import bin_index, fit_breaks
from protocols.table import PartyTable

CHOSEN = {"bank": ["interest_rate", "loan_amount"], "government": ["vat_paid_6m", "vat_paid_12m"],
          "fintech": ["platform_inflow_6m", "platform_inflow_1m", "platform_inflow_3m"],
          "telecom": ["calls_out_1m"]}
PARAMETERS = CreditParameters(max_bins=4, iv_threshold=0.12, roc_points=20, bands=5, 
                              max_features=3, correlation_max=0.4, examples=3, reasons=2,
                              exclude=("fintech.platform_inflow_1m",))


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
    for model in ("joint", "bank"):
        assert outputs["auc"][model] == pytest.approx(plain["auc"][model], abs=1e-6)
        assert outputs["ks"][model] == pytest.approx(plain["ks"][model], abs=1e-6)
    assert outputs["converged"] == {"joint": True, "bank": True}
    assert outputs["stability"]["psi"] == pytest.approx(plain["psi"], abs=1e-4)
    bands = [row for row in plain["calibration"][::-1] if row[:2].sum()]
    assert [b["rows"] for b in outputs["calibration"]] == [row[:2].sum() for row in bands]
    assert [b["bad"] for b in outputs["calibration"]] == [row[0] for row in bands]
    for band, (bad, good, expected) in zip(outputs["calibration"], bands, strict=True):
        assert band["expected"] == pytest.approx(expected / (bad + good), abs=1e-3)


def test_features_go_for_the_reasons_of_the_twin(job):
    _, results, _, plain = job
    outputs = results[0]["outputs"]
    assert {r["feature"]: r["reason"] for r in outputs["selection"]} == plain["reasons"]
    assert set(plain["reasons"].values()) == {"kept", "excluded", "iv", "correlation", "stepwise"}
    assert outputs["features"] == plain["selected"]
    assert [r["iv"] for r in outputs["selection"]] == list(outputs["iv"].values())
    assert all(r["outputs"] == {"features": plain["selected"]} for r in results[1:])


def test_the_card_is_that_of_the_twin(job):
    tables, results, _, plain = job
    card = results[0]["outputs"]["card"]
    for key in ("features", "points", "base", "scaling"):
        assert card[key] == plain["card"][key]
    assert len({p for row in card["points"] for p in row}) > 5
    own = [f for f in card["features"] if f.startswith("bank.")]
    assert list(card["breaks"]) == own and own
    for feature in own:
        values = tables[0].columns[feature.partition(".")[2]]
        assert card["breaks"][feature] == fit_breaks(values, PARAMETERS.max_bins).tolist()


def test_examples_are_scored_like_applicants(job):
    tables, results, _, plain = job
    card = Scorecard.from_json(plain["card"])
    examples = results[0]["outputs"]["examples"]
    assert 0 < len(examples) <= PARAMETERS.examples
    for example in examples:
        bins = card_bins(tables, card, example["applicant"])
        assert example["score"] == card.score(bins)[0]
        places = card.reasons(bins, PARAMETERS.reasons)[0]
        assert example["reasons"] == [card.features[k] for k in places if k >= 0]


def card_bins(tables, card, applicant):
    """Bins of one applicant; a party that does not know it has its values missing."""
    bins = []
    for feature in card.features:
        party, _, column = feature.partition(".")
        [table] = [t for t in tables if t.name == party]
        values = table.columns[column]
        place = np.flatnonzero(table.ids == applicant)
        value = values[place] if len(place) else np.array([np.nan])
        breaks = fit_breaks(values, PARAMETERS.max_bins)
        bins.append(bin_index(value, breaks, PARAMETERS.max_bins)[0])
    return np.array([bins])


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


def test_partners_learn_what_they_must_supply_and_nothing_else(job):
    _, results, _, _ = job
    assert [set(r["outputs"]) == {"features"} for r in results] == [False, True, True, True]


def test_steps_are_reported_and_metered_alike_by_all(job):
    _, results, events, _ = job
    expected = [(step, state) for step in STEPS for state in ("start", "done")]
    assert all(e == expected for e in events)
    for step in STEPS:
        costs = [r["steps"][step] for r in results]
        assert len({c["rounds"] for c in costs}) == 1 and costs[0]["rounds"] > 0
        assert all(c["seconds"] >= 0 for c in costs)
        assert step == "open" or all(c["bytes_per_party"] > 0 for c in costs)


def test_it_costs_what_its_formulas_say(job):
    tables, results, _, _ = job
    made = credit_costs(PARAMETERS, [t.rows for t in tables], [len(t.columns) for t in tables],
                        checkpoints=False)
    assert tuple(made) == STEPS
    sent = [cost["bytes_per_party"] for r in results for cost in r["steps"].values()]
    assert sum(sent) == sum(cost.total_bytes for cost in made.values())
    metered = {step: cost["rounds"] for step, cost in results[0]["steps"].items()}
    for step in ("join", "woe_iv", "evaluate", "scorecard", "open"):
        assert metered[step] == made[step].rounds, step
    # What the selection begins early, and ends late, may count in the step after it.
    rounds = sum(cost.rounds for cost in made.values())
    assert sum(metered.values()) <= rounds <= 1.1 * sum(metered.values())


def test_encoded_blocks_are_gone_once_they_are_in_the_matrix(monkeypatch):
    """So that the matrix is in memory once, however many features there are."""
    monkeypatch.setattr(credit_encode, "_BLOCK_ELEMENTS", 1)
    encode, made, most = credit_encode.encode_woe, [], [0]
    tables = [PartyTable(t.name, t.id_name, t.ids, {c: t.columns[c] for c in [*t.columns][:6]},
                         t.label_name, t.label) for t in generate_world(200, 4)]

    def watched(mpc, indicators, encoding):
        block = encode(mpc, indicators, encoding)
        if mpc.pid == 0:
            made.append(weakref.ref(block))
            most[0] = max(most[0], sum(one() is not None for one in made))
        return block
    monkeypatch.setattr(credit_encode, "encode_woe", watched)

    async def program(mpc):
        joined = credit_encode.CreditTable(
            mpc, [t.name for t in tables], tables[mpc.pid],
            {t.name: list(t.columns) for t in tables}, {t.name: t.rows for t in tables},
            CreditParameters(max_bins=2, test_share=0.5))
        await joined.match()
        await joined.encode()
        return joined.design.rows, joined.design.columns
    assert run_cluster(program, 4)[0] == (202, 25)
    assert len(made) == 24 and most[0] <= 6


def test_without_common_rows_the_job_stops_with_a_reason():
    tables = world(250, 2)
    other = generate_world(250, 3)[3]
    tables[3] = PartyTable("telecom", other.id_name, other.ids,
                           {c: other.columns[c] for c in CHOSEN["telecom"]})
    results, _ = run(tables, raw_errors=True)
    assert isinstance(results[0], LocalProtocolError)
    assert (results[0].code, results[0].step) == ("too-few-common-rows", "join")
    assert [w for w in results[0].cause.split() if w.isdigit()] == ["5"], "the stated minimum"
    assert results[0].remedy and all(r.code == "too-few-common-rows" for r in results[1:])
