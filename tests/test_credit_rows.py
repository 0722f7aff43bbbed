"""Weights of rows, segments, and a model to start from: which are refused, what a node checks, and
what the manifest says of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from credit_kit import BASE, brought, decided, kept, manifest, tables
from engine_kit import secret
from fakes.consortium import NAMES

from engine import costs
from engine.cluster import run_cluster
from engine.costs import sequence
from engine.errors import EngineError
from models.credit_encode import CreditTable
from models.parameters import CreditParameters
from models.plain.credit import common_rows
from models.row_columns import light_classes, segment_indicators, training_weights
from models.warm_start import WarmStart
from parties import model_work
from parties.learned import learned, learned_zh, nobody, nobody_zh
from parties.model_terms import HeldModel
from parties.programs import PROGRAMS, imported
from protocols.split import training_mask

KEPT = "cd" * 32


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


def test_a_job_of_too_few_common_rows_stops_and_opens_nothing_else():
    parties = tables()
    bank, rows, usual = parties[0], common_rows(parties)["bank"], CreditParameters(**BASE)
    training = training_mask(bank.ids, bank.label, usual.test_share, usual.split_seed)
    least = min(np.bincount(bank.label[rows][part], minlength=2).min()
                for part in (training[rows], ~training[rows]))
    opened = []

    async def program(mpc, minimum):
        def watched(x, *args):
            found = output(x, *args)
            opened.append((mpc.pid, found))
            return found
        output, mpc.output = mpc.output, watched
        joined = CreditTable(mpc, list(NAMES), parties[mpc.pid], **brought(parties),
                             parameters=replace(usual, min_class_rows=minimum))
        await joined.match()
        return joined.common_rows
    counts = [int(training[rows].sum()), int((~training[rows]).sum())]
    assert run_cluster(lambda mpc: program(mpc, int(least)), 4)[0] == counts
    opened.clear()
    with pytest.raises(EngineError, match=f"has fewer than {least + 1} of a class;"):
        run_cluster(lambda mpc: program(mpc, int(least) + 1), 4)
    assert [value.result().tolist() for pid, value in opened if pid == 0] == [[0, 0, 0]]


def test_rows_count_by_the_weight_that_they_have():
    rng = np.random.default_rng(3)
    classes = np.eye(3, dtype=np.int64)[rng.integers(0, 3, 400)][:, :2]
    weights = rng.gamma(0.05, 1.0, 400)
    effective = (classes.T @ weights) ** 2 / (classes.T @ weights**2)
    low, high = sorted(effective)
    assert high < 60 < classes.sum(0).min()

    async def program(mpc, w, least):
        shared = [secret(mpc, classes), secret(mpc, w, frac=24)]
        await shared[1].ready()
        rounds, sent = mpc.meter.depth, mpc.meter.total.bytes_sent
        found = light_classes(mpc, *shared, least)
        await found.ready()
        return mpc.meter.depth - rounds, mpc.meter.total.bytes_sent - sent, await mpc.output(found)
    made = sequence(4, costs.product(len(weights), 4, 1), costs.product(4, 4, 1),
                    costs.truncate(4, 4, 1), costs.product(2, 4, 1), costs.less_than(4, 4, 1))

    def few(w, least):
        rounds, sent, found = zip(*run_cluster(lambda mpc: program(mpc, w, least), 4), strict=True)
        assert {*rounds} == {made.rounds} and sum(sent) == made.total_bytes
        assert all((f == found[0]).all() for f in found)
        return found[0].tolist()
    for least in (0.97 * low, 1.03 * low, 0.97 * high, 1.03 * high):
        assert few(weights, least) == [*(effective < least), False, False]
    assert few(np.where(classes[:, 0], 1, 0.001), 10)[2:] == [False, True]
    assert few(np.ones(400), int(classes.sum(0).min())) == [False] * 4


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
