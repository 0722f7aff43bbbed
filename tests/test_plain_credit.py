"""The plaintext twin: metrics against hand-made cases, and the real credit data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from models.parameters import CreditParameters
from models.plain.credit import common_rows, plain_credit
from models.plain.evaluation import auc, ks, lift, roc
from models.plain.logistic import fit_logistic
from parties.data import load_folder
from protocols.table import PartyTable

TAIWAN = Path(__file__).resolve().parents[1] / "../shared/data/taiwan_credit"


def _tables(rows: int = 600) -> list[PartyTable]:
    rng = np.random.default_rng(5)
    ids = np.array([f"C{i}" for i in range(rows)], dtype=object)
    risk, other = rng.standard_normal((2, rows))
    label = (rng.random(rows) < 1 / (1 + np.exp(1 - 2 * risk))).astype(np.int8)
    bank = PartyTable("bank", "id", ids, {"noisy": risk + 3 * other}, "default", label)
    order = rng.permutation(rows)[: rows - 50]
    partner = PartyTable(
        "partner", "id", ids[order], {"clear": risk[order], "flat": np.zeros(len(order))}
    )
    return [bank, partner]


def test_metrics_by_hand() -> None:
    label, score = [1, 0, 1, 0], [4, 3, 2, 1]
    assert auc(label, score) == 0.75
    assert ks(label, score) == 0.5
    assert roc(label, score, 4) == {"fpr": [0, 0, 0.5, 0.5, 1], "tpr": [0, 0.5, 0.5, 1, 1]}
    bands = lift(label, score, 2)
    assert [b["bad"] for b in bands] == [1, 1]
    assert bands[0] == {
        "band": 1, "rows": 2, "bad": 1, "bad_rate": 0.5, "lift": 1.0, "cum_bad_share": 0.5
    }  # fmt: skip


def test_equal_scores_say_nothing() -> None:
    assert auc([1, 0, 0], [7, 7, 7]) == 0.5
    assert ks([1, 0, 0], [7, 7, 7]) == 0.0


def test_metrics_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, 500)
    score = np.round(label + rng.standard_normal(500), 1)
    assert auc(label, score) == pytest.approx(roc_auc_score(label, score))
    fpr, tpr, _ = roc_curve(label, score)
    assert ks(label, score) == pytest.approx(np.max(tpr - fpr))


@pytest.mark.parametrize("metric", [auc, ks, roc, lift])
def test_metrics_need_both_classes(metric) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="both classes"):
        metric([1, 1], [0.2, 0.3])


def test_constant_columns_get_no_weight() -> None:
    label = np.array([0, 1, 0, 1])
    model = fit_logistic(np.full((4, 2), 0.1), label, 1.0)
    assert model.weights.tolist() == [0.0, 0.0]
    assert model.log_odds(np.full((1, 2), 0.1)).tolist() == [0.0]


def test_rows_are_matched_by_identifier() -> None:
    tables = _tables()
    places = common_rows(tables)
    assert len(places["bank"]) == 550
    first, second = tables[0].ids[places["bank"]], tables[1].ids[places["partner"]]
    assert np.array_equal(first, second)


def test_the_partner_adds_what_the_bank_lacks() -> None:
    result = plain_credit(_tables(), CreditParameters())
    assert result["rows_joint"] == 550
    assert result["rows_joint_train"] + result["rows_joint_test"] == 550
    assert result["auc"]["joint"] > result["auc"]["bank"] + 0.1
    assert result["iv"]["partner.flat"] == 0.0
    assert "partner.flat" not in result["selected"]
    assert set(result["weights"]["joint"]) == set(result["selected"])


def test_a_bank_without_useful_features_is_a_coin_toss() -> None:
    bank, partner = _tables()
    flat = PartyTable("bank", "id", bank.ids, {"flat": np.zeros(bank.rows)}, "default", bank.label)
    result = plain_credit([flat, partner], CreditParameters())
    assert result["auc"]["bank"] == 0.5
    assert result["ks"]["bank"] == 0.0


def test_exactly_one_label() -> None:
    with pytest.raises(ValueError, match="0 tables have a label"):
        plain_credit(_tables()[1:], CreditParameters())


def test_parameters_round_trip_and_are_checked() -> None:
    parameters = CreditParameters(max_bins=5, l2=2)
    assert CreditParameters.from_json(parameters.to_json()) == parameters
    assert parameters.to_json()["l2"] == 2.0
    with pytest.raises(ValueError, match="unknown parameter bins"):
        CreditParameters.from_json({"bins": 5})
    with pytest.raises(ValueError, match=r"max_bins is 2\.5, expected a whole number from 2 to 50"):
        CreditParameters.from_json({"max_bins": 2.5})
    with pytest.raises(ValueError, match="test_share is nan"):
        CreditParameters(test_share=float("nan"))


def test_taiwan_credit() -> None:
    if not TAIWAN.is_dir():
        pytest.skip(f"the development data set is not at {TAIWAN}")
    result = plain_credit(load_folder(TAIWAN, "company_id", "default"), CreditParameters())
    assert result["rows_joint"] == 23_706
    assert result["auc"]["bank"] == pytest.approx(0.6482, abs=0.0005)
    assert result["auc"]["joint"] == pytest.approx(0.7672, abs=0.0005)
    assert result["ks"]["bank"] == pytest.approx(0.2235, abs=0.001)
    assert result["ks"]["joint"] == pytest.approx(0.4262, abs=0.001)
    assert len(result["selected"]) == 12
    assert max(result["iv"], key=result["iv"].get) == "fintech.PAY_1"
