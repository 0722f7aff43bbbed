"""What a credit job may be told besides: bin tables that open, what does not open, the model's
options. Against the twin, and in what the manifest says."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from credit_kit import BASE, ROWS, brought, decided, kept, manifest, run, tables
from fakes.consortium import NAMES

from engine.errors import EngineError
from models import logistic
from models.credit_costs import credit_costs
from models.credit_encode import CreditTable
from models.parameters import SOLVERS, CreditParameters
from models.plain.credit import plain_credit
from models.scorecard import Scorecard
from parties.learned import learned, learned_zh, nobody, nobody_zh
from parties.proposal import opened

TABLES = {"telecom.a": ["bank"], "fintech.b": ["bank"], "bank.a": ["bank", "telecom"]}
MODEL = {"solver": "newton", "l2": 12, "l1_ratio": 0.6, "class_weight": "balanced",
         "univariate_p": 1e-3, "inference": True, "sample_weight": "bank.w",
         "segment_by": "telecom.s", "segment_values": [2, None, 1, 3], "segment_minimum": 4,
         "exclude": ["telecom.s"]}
UNSTATED = {"rows_joint_train", "rows_joint_test", "gini", "cutoffs"}
"""Outputs that follow from others."""


def widened():
    """The tables, with weights at the bank, and segments at a partner, one of them small."""
    rng, made = np.random.default_rng(5), tables()
    weights = rng.gamma(1.0, 1000.0, ROWS) * (rng.random(ROWS) < 0.9)
    segments = rng.choice([1.0, 2.0, 3.0, np.nan], ROWS, p=[0.47, 0.35, 0.04, 0.14])
    for place, column, values in ((0, "w", weights), (3, "s", segments)):
        columns = {**made[place].columns, column: values}
        made[place] = replace(made[place], columns=columns)
    return made


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
    """The record then says why, and no figure; everything else is as before. The joint model starts
    from the optimum, which a kept model has in another order and among weights of other features.
    """
    document = {**BASE, "open_iv": False, "l2": 1e-3, "solver": "accelerated", "iterations": 1}
    twin = plain_credit(tables(), CreditParameters.from_json({**document, "inference": True}))
    known = dict(zip(twin["selected"], twin["inference"]["weights"], strict=False))
    [other] = {"telecom.b", "bank.b"} - {*known}
    features = [other, *reversed(known)]
    weights = [9.0, *reversed(known.values()), twin["inference"]["weights"][-1]]
    stores = [kept(tmp_path / str(pid), pid, features, weights) for pid in range(4)]
    identity = stores[0].record("old", 1).identity
    results, plain = run({**document, "start_from": identity}, stores=stores)
    outputs = results[0]["outputs"]
    assert outputs["converged"] == {"joint": True, "bank": False}, "one step is not enough"
    assert results[3]["keep"]["lineage"]["start_from"] == identity
    np.testing.assert_allclose(outputs["card"]["points"], plain["card"]["points"], atol=1)
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


# --- what a job sends ---


def test_predicted_bytes_are_those_that_are_sent(tmp_path):
    """With checkpoints, a matrix in files, and steps over all rows."""
    document = {**BASE, "open_iv": False, "l2": 1e-3, "solver": "accelerated", "iterations": 1,
                "memory": 1 << 20}
    results, _ = run(document, folder=tmp_path)
    shapes = [(t.rows, len(t.columns)) for t in tables()]
    made = credit_costs(CreditParameters.from_json(document), *zip(*shapes, strict=True))
    sent = sum(cost["bytes_per_party"] for r in results for cost in r["steps"].values())
    assert sent == sum(cost.total_bytes for cost in made.values())


# --- the model ---


@pytest.fixture(scope="module")
def balanced():
    return run({**BASE, **MODEL}, widened())


def test_solver_penalty_and_class_weight_are_those_stated(balanced):
    results, plain = balanced
    outputs = results[0]["outputs"]
    assert outputs["features"] == plain["selected"]
    for model in ("joint", "bank"):
        assert outputs["auc"][model] == pytest.approx(plain["auc"][model], abs=2e-3)
    points, twin = (np.array(card["points"]) for card in (outputs["card"], plain["card"]))
    np.testing.assert_allclose(points, twin, atol=1)
    assert abs(outputs["card"]["base"] - plain["card"]["base"]) <= 1
    for name, value in (("l1_ratio", 0.0), ("class_weight", None), ("sample_weight", None)):
        other = plain_credit(widened(), CreditParameters.from_json({**BASE, **MODEL, name: value}))
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
        # An error is right to 10^-3 of itself, and so is z, which divides by it.
        np.testing.assert_allclose(shown, twin[key], atol=2e-3, rtol=2e-3)
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


def test_segments_show_what_the_twin_finds_and_small_ones_nothing(balanced):
    results, plain = balanced
    shown, twin = results[0]["outputs"]["segments"], plain["segments"]
    assert [row["value"] for row in shown] == [2.0, None, 1.0, 3.0]
    hidden = [row["value"] for row in twin if "suppressed" in row]
    assert 3.0 in hidden and 2 <= len(hidden) < 4
    for row, expected in zip(shown, twin, strict=True):
        assert {k: v for k, v in row.items() if k not in ("auc", "ks")} == \
            {k: v for k, v in expected.items() if k not in ("auc", "ks")}
        for key in {"auc", "ks"} & set(expected):
            assert row[key] == pytest.approx(expected[key], abs=1e-6)


def test_weights_are_no_feature(balanced):
    results, _ = balanced
    assert "bank.w" not in results[0]["outputs"]["iv"]
    assert results[0]["keep"]["lineage"]["sample_weight"] == "bank.w"


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
        ({"sample_weight": "w"}, "sample_weight is 'w', expected party.column"),
        ({"start_from": "model"}, "start_from is 'model', expected the identity"),
        ({"segment_by": "bank.a"}, "expected 2 to 50 values of bank.a, each once"),
        ({"segment_by": "bank.a", "segment_values": [1, 1.0]}, "each once"),
        ({"segment_by": "bank.a", "segment_values": [1 << 53, (1 << 53) + 1]}, "each once"),
        ({"segment_by": "bank.a", "segment_values": [1, 2], "sample_weight": "bank.a"},
         "other than sample_weight"),
        ({"segment_by": "bank.a", "segment_values": {"1": 2}}, "segment_values is no list"),
        ({"segment_by": "bank.a", "segment_values": [1, "x"]}, "a list of numbers"),
        ({"segment_values": [1, 2]}, "expected no segment_values"),
    ]:
        with pytest.raises(ValueError, match=says):
            CreditParameters.from_json(document)
    for document, says in [
        ({"bin_tables": {"shop.a": ["bank"]}}, r"bin tables shall open of shop\.a"),
        ({"bin_tables": {"bank.a": ["bank"]}, "sample_weight": "bank.a"}, r"shall open of bank\.a"),
        ({"sample_weight": "telecom.a"}, r"telecom\.a, which bank does not bring"),
        ({"segment_by": "bank.z", "segment_values": [1, 2]}, r"bank\.z, which no party brings"),
    ]:
        with pytest.raises(EngineError, match=says):
            CreditTable(None, list(NAMES), tables()[0], **brought(tables()),
                        parameters=CreditParameters(**document))


def test_outputs_are_those_of_the_manifest(tabled):
    assert set(tabled[0][0]["outputs"]) - UNSTATED == opened({**BASE, "bin_tables": TABLES})
