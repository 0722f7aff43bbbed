"""What a credit job may be told besides: bin tables that open, what does not open, the model's
options, weights of rows, segments, a model to start from. Against the twin, and in what the
manifest says."""

from __future__ import annotations

import json
from dataclasses import replace

import killed_kit
import numpy as np
import pytest
from fakes.consortium import DIRECTORY, MEASUREMENT, NAMES, NOW, inputs
from test_credit_binning import JOB, ROWS, brought, tables

from engine.cluster import run_cluster
from engine.encoding import encode
from engine.errors import EngineError
from models import logistic
from models.credit import credit_program
from models.credit_costs import credit_costs
from models.credit_encode import CreditTable
from models.parameters import SOLVERS, CreditParameters
from models.plain.credit import plain_credit
from models.row_columns import segment_indicators, training_weights
from models.scorecard import Scorecard
from models.store import ModelStore
from models.warm_start import WarmStart
from parties import model_work
from parties.learned import learned, learned_zh, nobody, nobody_zh
from parties.model_terms import HeldModel
from parties.policy import Holdings, decide
from parties.programs import PROGRAMS, imported
from parties.proposal import credit_manifest, opened

BASE = {**JOB, "binning": "quantile"}
TABLES = {"telecom.a": ["bank"], "fintech.b": ["bank"], "bank.a": ["bank", "telecom"]}
MODEL = {"solver": "newton", "l2": 12, "l1_ratio": 0.6, "class_weight": "balanced",
         "univariate_p": 1e-3, "inference": True, "sample_weight": "bank.w",
         "segment_by": "telecom.s", "segment_values": [2, None, 1, 3], "segment_minimum": 4,
         "exclude": ["telecom.s"]}
KEPT = "cd" * 32
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


def run(document, parties=None, stores=None, folder=None, **options):
    """(results, twin) of a whole job, with checkpoints in a folder if there is one."""
    parties, parameters = parties or tables(), CreditParameters.from_json(document)

    async def program(mpc):
        return await credit_program(
            mpc, parties=list(NAMES), table=parties[mpc.pid], parameters=parameters,
            progress=lambda *_: None, store=stores and stores[mpc.pid],
            checkpoints=folder and killed_kit.kept(folder, mpc.pid), **brought(parties))
    return run_cluster(program, 4, **options), plain_credit(parties, parameters)


def kept(folder, pid, features, weights, parties=NAMES):
    """A store with a model whose weights everybody knows; its identity is the same everywhere."""
    store = ModelStore(folder)
    store.put("old", {"weights": (encode(np.array(weights), 24), 24)}, session=b"one",
              manifest_hash="", place=(pid, 4, 1), lineage={"parties": list(parties)},
              card={"features": list(features)})
    return store


def manifest(**parameters):
    return credit_manifest(
        inputs={name: inputs(name) for name in NAMES}, keys=dict(DIRECTORY),
        parameters=CreditParameters(**parameters).to_json(), measurement=MEASUREMENT, now=NOW,
        seconds=600)


def decided(agreed, models=None):
    own = Holdings("telecom", DIRECTORY, MEASUREMENT, inputs("telecom"), PROGRAMS,
                   models=models or {})
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


def test_columns_that_do_not_fit_are_refused_by_name_and_without_values():
    training = np.array([True, True, True, False])
    np.testing.assert_allclose(training_weights("bank.w", [2, 0, 4, 9], training), [1, 0, 2, 0])
    for values, says in [
        ([777, np.nan, 1, 1], "missing or infinite value, expected a number in every row"),
        ([777, 1, 1, np.inf], "missing or infinite"),
        ([777, 1, 1, -888], "negative value, expected numbers of at least 0"),
        ([0, 0, 0, 777], "only zeros in the training part"),
        (np.append(777.0, np.ones(99)), "over 64 times the mean"),
    ]:
        mask = training if len(values) == 4 else np.ones(100, bool)
        with pytest.raises(EngineError, match=r"weights bank\.w holds") as error:
            training_weights("bank.w", values, mask)
        assert says in str(error.value) and not {"777", "888"} & {*str(error.value).split()}
    found = segment_indicators("bank.s", [2, np.nan, 1], (1, None, 2))
    assert found.tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    for values in ([777, 1], [np.nan, 1]):
        with pytest.raises(EngineError, match=r"bank\.s holds a value that is none") as error:
            segment_indicators("bank.s", values, (1, 2))
        assert "777" not in str(error.value)


def test_a_model_to_start_from_must_fit(tmp_path):
    async def program(mpc, case, **options):
        store = kept(tmp_path / case / str(mpc.pid), mpc.pid, ["bank.a", "telecom.b"],
                     [1.5, -2.0, 0.25], **options)
        start = WarmStart.load(mpc, store, store.record("old", 1).identity, list(NAMES),
                               ["bank.a", "bank.b", *(["telecom.b"] if case != "features" else [])])
        return await mpc.output(start.of(mpc, ["bank.b", "telecom.b"]))
    assert run_cluster(lambda mpc: program(mpc, "fits"), 4)[2].tolist() == [0.0, -2.0, 0.25]
    with pytest.raises(EngineError, match=r"uses telecom\.b, which no party brings"):
        run_cluster(lambda mpc: program(mpc, "features"), 4)
    with pytest.raises(EngineError, match="was trained by telecom, government"):
        run_cluster(lambda mpc: program(mpc, "parties", parties=NAMES[::-1]), 4)


def test_a_worker_brings_its_store_if_the_job_starts_from_a_model(tmp_path, monkeypatch):
    monkeypatch.setattr(model_work, "bring_table", lambda *given: {"table": given[0]})
    bring = imported(PROGRAMS["credit-model"].bring)
    for start, expected in ((None, {"table"}), (KEPT, {"table", "store"})):
        parameters = CreditParameters(start_from=start)
        brought = bring("bank", manifest(), parameters, {"home": str(tmp_path)}, None)
        assert set(brought) == expected
    assert brought["store"].folder == tmp_path / "models"


def test_a_manifest_says_what_weighs_segments_and_starts():
    stated = {"sample_weight": "bank.bank_b", "start_from": KEPT,
              "segment_by": "telecom.telecom_a", "segment_values": [1, None]}
    agreed = manifest(**stated)
    model = HeldModel(KEPT, "old", 1, "draft", NAMES, "", "", False,
                      {"card": {"features": ["bank.bank_a", "telecom.telecom_b"]}})
    assert decided(agreed, {KEPT: model}) == ()
    assert agreed.outputs["segments"].receivers == ("bank",)
    assert "the 2 stated values of telecom.telecom_a" in agreed.outputs["segments"].meaning
    assert "for each of the 7 features" in agreed.outputs["iv"].meaning
    text = " ".join(agreed.disclosure)
    assert "weighted by bank.bank_b of bank" in text and KEPT[:16] in text
    assert "but for the counts of the stated values of telecom.telecom_a;" in text
    assert "but for the stated segments" in nobody(agreed.parameters)[2]
    assert "客群" in nobody_zh(agreed.parameters)[2] and "客群" not in nobody_zh({})[2]
    assert "weighted" not in str(manifest().disclosure) and "segments" not in manifest().outputs
    assert any("values telecom.telecom_a may have" in s for s in learned(agreed)["fintech"])
    assert any("telecom.telecom_a可能的取值" in s for s in learned_zh(agreed)["fintech"])
    assert any("客群" in s for s in learned_zh(agreed)["bank"])
    for change, says in [
        ({}, "holds no shares of the model cdcd"), ({"destroyed": True}, "holds no shares"),
        ({"parties": NAMES[::-1]}, "among other parties"),
        ({"record": {"card": {"features": ["bank.bank_b"]}}}, r"uses bank.bank_b, which no party"),
        # Others than those who trained it do not learn what it uses.
        ({"parties": NAMES[::-1], "record": {"card": {"features": ["bank.bank_b"]}}},
         "among other parties"),
    ]:
        [failed] = decided(agreed, {KEPT: replace(model, **change)} if change else {})
        assert failed.name == "models" and says in failed.reason
    document = agreed.document()
    del document["outputs"]["segments"]
    [failed] = decided(type(agreed).read(document), {KEPT: model})
    assert failed.name == "outputs" and "segments" in failed.reason
    for wrong, says in (({"sample_weight": "telecom.telecom_b"}, "which bank does not bring"),
                        ({"segment_by": "bank.zz"}, "which no party brings")):
        with pytest.raises(ValueError, match=says):
            manifest(**{**stated, **wrong})


def test_outputs_are_those_of_the_manifest(tabled):
    assert set(tabled[0][0]["outputs"]) - UNSTATED == opened({**BASE, "bin_tables": TABLES})
