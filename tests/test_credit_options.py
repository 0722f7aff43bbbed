"""What a credit job may be told besides: bin tables that open, what does not open, the model's
options. Against the twin, and in what the manifest says."""

from __future__ import annotations

import json

import numpy as np
import pytest
from fakes.consortium import DIRECTORY, MEASUREMENT, NAMES, NOW, inputs
from killed_kit import kept
from test_credit_binning import JOB, brought, tables

from engine.cluster import run_cluster
from engine.errors import EngineError
from models import logistic
from models.credit import credit_program
from models.credit_costs import credit_costs
from models.credit_encode import CreditTable
from models.parameters import SOLVERS, CreditParameters
from models.plain.credit import plain_credit
from models.scorecard import Scorecard
from parties.learned import learned, learned_zh, nobody, nobody_zh
from parties.policy import Holdings, decide
from parties.programs import PROGRAMS
from parties.proposal import credit_manifest, opened

BASE = {**JOB, "binning": "quantile"}
TABLES = {"telecom.a": ["bank"], "fintech.b": ["bank"], "bank.a": ["bank", "telecom"]}
MODEL = {"solver": "newton", "l2": 12, "l1_ratio": 0.6, "class_weight": "balanced",
         "univariate_p": 1e-3, "inference": True}
UNSTATED = {"rows_joint_train", "rows_joint_test", "gini", "cutoffs"}
"""Outputs that follow from others."""


def run(document, folder=None, **options):
    """(results, twin) of a whole job, with checkpoints in a folder if there is one."""
    parties, parameters = tables(), CreditParameters.from_json(document)

    async def program(mpc):
        return await credit_program(
            mpc, parties=list(NAMES), table=parties[mpc.pid], parameters=parameters,
            progress=lambda *_: None, checkpoints=folder and kept(folder, mpc.pid),
            **brought(parties))
    return run_cluster(program, 4, **options), plain_credit(parties, parameters)


def manifest(**parameters):
    return credit_manifest(
        inputs={name: inputs(name) for name in NAMES}, keys=dict(DIRECTORY),
        parameters=CreditParameters(**parameters).to_json(), measurement=MEASUREMENT, now=NOW,
        seconds=600)


def decided(agreed):
    own = Holdings("telecom", DIRECTORY, MEASUREMENT, inputs("telecom"), PROGRAMS)
    return decide(agreed, "bank", own, NOW).failed


# --- bin tables ---


@pytest.fixture(scope="module")
def tabled():
    return run({**BASE, "bin_tables": TABLES, "table_minimum": 4, "min_bin_rows": 0},
               verified=True)


def test_bin_tables_open_to_those_named_with_small_cells_closed(tabled):
    results, plain = tabled
    assert plain["bin_tables"].keys() == TABLES.keys()
    suppressed = 0
    for name, result in zip(NAMES, results, strict=True):
        received = result["outputs"].get("bin_tables", {})
        assert set(received) == {f for f, parties in TABLES.items() if name in parties}
        for feature, rows in received.items():
            counts, closed = plain["bin_tables"][feature]
            expected = [{"bins": [k], "bad": counts[k][0], "good": counts[k][1]}
                        for k in np.flatnonzero(~closed)]
            if closed.any():
                sums = counts[closed].sum(0)
                bad, good = sums if (sums >= 8).all() else (None, None)
                places = np.flatnonzero(closed).tolist()
                expected.append({"bins": places, "bad": bad, "good": good})
                suppressed += not closed.all()
            assert rows == expected
            assert all(min(r["bad"], r["good"]) >= 4 for r in rows
                       if r["bad"] is not None and r["bad"] + r["good"])
    assert suppressed


def test_closed_bins_count_as_one_in_the_job(tabled):
    """Neither the IV nor the card tells more of a closed bin than the table."""
    results, plain = tabled
    outputs = results[0]["outputs"]
    assert outputs["iv"] == {f: pytest.approx(v, abs=1e-5) for f, v in plain["iv"].items()}
    assert outputs["features"] == plain["selected"]
    for key in ("features", "points", "base"):
        assert outputs["card"][key] == plain["card"][key]
    alike = 0
    for feature, (_, closed) in plain["bin_tables"].items():
        if feature in outputs["features"]:
            points = np.array(outputs["card"]["points"][outputs["features"].index(feature)])
            assert len(set(points[closed].tolist())) <= 1
            alike += closed.sum() > 1
    assert alike
    card = Scorecard.from_json(plain["card"])
    assert len(card.points[0]) == BASE["max_bins"] + 2
    assert outputs["auc"]["joint"] == pytest.approx(plain["auc"]["joint"], abs=1e-6)


def test_a_manifest_says_whose_bin_tables_open_to_whom():
    agreed = manifest(bin_tables={"fintech.fintech_a": ["telecom", "bank"],
                                  "bank.bank_a": ["bank"]})
    assert decided(agreed) == () and agreed.outputs["bin_tables"].receivers == ("bank", "telecom")
    english, chinese = learned(agreed), learned_zh(agreed)
    for name, features in (("bank", "bank.bank_a, fintech.fintech_a"),
                           ("telecom", "fintech.fintech_a"), ("fintech", None)):
        found = [s for s in english[name] if "received are of" in s]
        assert found == ([f"The bin tables that it received are of {features}."]
                         if features else [])
        assert any("bin_tables" in s for s in chinese[name]) == bool(features)
        assert len(english[name]) == len(chinese[name])
    assert any("bin tables of 2 stated" in s for s in agreed.disclosure)
    assert any("but for the stated" in s for s in nobody(agreed.parameters))
    assert "bin_tables" not in manifest().outputs and "but for the bin" not in str(
        manifest().disclosure)
    for change in (["bank"], ["bank", "fintech", "telecom"], None):
        document = agreed.document()
        if change is None:
            del document["outputs"]["bin_tables"]
        else:
            document["outputs"]["bin_tables"]["receivers"] = change
        [failed] = decided(type(agreed).read(document))
        assert failed.name == "outputs" and "bin_tables" in failed.reason
    for stated, says in (({"bank.zz": ["bank"]}, r"bank\.zz, which no party brings"),
                         ({"bank.bank_a": ["shop"]}, "shall open to shop")):
        with pytest.raises(ValueError, match=says):
            manifest(bin_tables=stated)
        document = agreed.document()
        document["parameters"]["bin_tables"] = stated
        assert [f.name for f in decided(type(agreed).read(document))] == ["outputs"]


# --- information values that stay shared ---


def test_information_values_may_stay_shared(tmp_path):
    """The record then says why, and no figure; everything else is as before."""
    document = {**BASE, "open_iv": False, "l2": 1e-3, "solver": "accelerated", "iterations": 1,
                "memory": 1 << 20}
    results, plain = run(document, tmp_path)
    shapes = [(t.rows, len(t.columns)) for t in tables()]
    made = credit_costs(CreditParameters.from_json(document), *zip(*shapes, strict=True))
    sent = sum(cost["bytes_per_party"] for r in results for cost in r["steps"].values())
    assert sent == sum(cost.total_bytes for cost in made.values())
    outputs = results[0]["outputs"]
    assert outputs["converged"] == {"joint": False, "bank": False}, "one step is not enough"
    assert "iv" not in outputs and outputs["features"] == plain["selected"]
    assert {r["feature"]: r["reason"] for r in outputs["selection"]} == plain["reasons"]
    assert all(set(r) <= {"feature", "reason", "kept", "incomplete"} for r in outputs["selection"])
    assert [set(r["outputs"]) for r in results[1:]] == [{"features"}] * 3
    assert set(outputs) - UNSTATED == opened({**BASE, "open_iv": False})
    agreed = manifest(open_iv=False)
    assert decided(agreed) == () and "iv" not in agreed.outputs
    assert not any("information value, for each" in s for s in learned(agreed)["bank"])
    assert any("information value stays secret" in s for s in agreed.disclosure)
    document = agreed.document()
    document["outputs"]["iv"] = document["outputs"]["auc"]
    [failed] = decided(type(agreed).read(document))
    assert failed.name == "outputs" and "iv" in failed.reason


# --- the model ---


@pytest.fixture(scope="module")
def balanced():
    return run({**BASE, **MODEL})


def test_solver_penalty_and_class_weight_are_those_stated(balanced):
    results, plain = balanced
    outputs = results[0]["outputs"]
    assert outputs["features"] == plain["selected"]
    for model in ("joint", "bank"):
        assert outputs["auc"][model] == pytest.approx(plain["auc"][model], abs=2e-3)
    points, twin = (np.array(card["points"]) for card in (outputs["card"], plain["card"]))
    np.testing.assert_allclose(points, twin, atol=1)
    assert abs(outputs["card"]["base"] - plain["card"]["base"]) <= 1
    for name, value in (("l1_ratio", 0.0), ("class_weight", None)):
        other = plain_credit(tables(), CreditParameters.from_json({**BASE, **MODEL, name: value}))
        unlike = np.array([[*row, other["card"]["base"]] for row in other["card"]["points"]])
        assert np.abs(unlike - np.column_stack([twin, [plain["card"]["base"]] * 3])).max() > 3


def test_the_screen_by_p_value_takes_the_place_of_that_by_iv(balanced):
    results, plain = balanced
    reasons = {r["feature"]: r["reason"] for r in results[0]["outputs"]["selection"]}
    assert reasons == plain["reasons"]
    assert "p_value" in reasons.values() and "iv" not in reasons.values()
    assert len(plain["weights"]["bank"]) == 1


def test_weights_and_their_errors_open_to_the_bank(balanced):
    results, plain = balanced
    outputs, twin = results[0]["outputs"], plain["inference"]
    assert [r["feature"] for r in outputs["inference"]] == [*outputs["features"], None]
    for key in ("weights", "errors", "z", "p", "low", "high"):
        shown = [r[key] for r in outputs["inference"]]
        np.testing.assert_allclose(shown, twin[key], atol=2e-3)
    assert outputs["inference"][-1]["errors"] > 0.01
    assert all(set(r["outputs"]) == {"features"} for r in results[1:])
    assert set(outputs) - UNSTATED == opened({**BASE, **MODEL})
    for card in (True, False):
        agreed = manifest(inference=True, open_card=card)
        assert decided(agreed) == () and agreed.outputs["inference"].receivers == ("bank",)
        assert any("weights of the joint model" in s for s in learned(agreed)["bank"])
        assert any("权重" in s for s in learned_zh(agreed)["bank"])
        text = " ".join(agreed.disclosure)
        assert "Weights, WOE" not in text and ("give it the WOE" in text) == card
        closed = " ".join(nobody(agreed.parameters))
        assert "weights" not in closed and ("WOE" not in closed) == card
        assert any("WOE" in s for s in nobody_zh(agreed.parameters)) != card
    assert "inference" not in manifest().outputs and "weights" in nobody({})[1]


def test_solvers_are_those_of_the_estimator():
    assert SOLVERS == logistic.SOLVERS


def test_parameters_of_options_are_checked():
    stated = CreditParameters(bin_tables={"bank.a": ["bank"]})
    assert CreditParameters.from_json(json.loads(json.dumps(stated.to_json()))) == stated
    for document, says in [
        ({"bin_tables": ["bank.a"]}, "bin_tables is no object"),
        ({"bin_tables": {"bank.a": "bank"}}, "a list of parties"),
        ({"bin_tables": {"bank.a": []}}, "a list of parties"),
        ({"bin_tables": {"bank.a": ["bank", "bank"]}}, "each once"),
        ({"table_minimum": 0}, "table_minimum is 0"),
        ({"open_iv": 1}, "open_iv is 1"),
        ({"solver": "lbfgs"}, "solver is 'lbfgs', expected one of auto"),
        ({"univariate_p": 0}, "univariate_p is 0"),
        ({"inference": "yes"}, "inference is 'yes'"),
        ({"l1_ratio": 1.1}, "l1_ratio is 1.1"),
        ({"class_weight": {"0": 1}}, "class_weight is"),
    ]:
        with pytest.raises(ValueError, match=says):
            CreditParameters.from_json(document)
    with pytest.raises(EngineError, match=r"bin tables shall open of shop\.a"):
        CreditTable(None, list(NAMES), tables()[0], **brought(tables()),
                    parameters=CreditParameters(bin_tables={"shop.a": ["bank"]}))


def test_outputs_are_those_of_the_manifest(tabled):
    assert set(tabled[0][0]["outputs"]) - UNSTATED == opened({**BASE, "bin_tables": TABLES})
