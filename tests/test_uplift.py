"""The uplift study against the same mathematics on pooled rows, and DeLong's intervals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from engine_kit import secret
from test_credit import world

from engine.cluster import run_cluster
from models import credit_encode, logistic_design, share_file
from models.plain.evaluation import auc
from models.plain.uplift import opened_of, plain_uplift
from models.uplift import STEPS, evaluate_together, uplift_program
from models.uplift_parameters import UpliftParameters
from models.uplift_tables import Opened, auc_covariance, contrasts, subsets, uplift_table

PARTNERS = ["government", "fintech", "telecom"]
PARAMETERS = UpliftParameters(max_bins=4, iv_threshold=0.05, iterations=12, points=20)


def scores_with_ties(n=60, k=3):
    rng = np.random.default_rng(5)
    bad = rng.random(n) < 0.3
    # Rows of neither class, as those that some partner lacks.
    counting = rng.random(n) < 0.8
    return bad, counting, [np.round(2 * (rng.normal(size=n) + bad * j)) / 4 for j in range(k)]


def test_figures_on_shares_are_those_in_the_clear():
    bad, counting, scores = scores_with_ties()
    classes = np.column_stack([bad & counting, ~bad & counting]).astype(np.int64)

    async def program(mpc):
        shared = [secret(mpc, s, k % 4) for k, s in enumerate(scores)]
        figures = await evaluate_together(mpc, shared, secret(mpc, classes), 10)
        return dict(zip(figures, await mpc.output(list(figures.values())), strict=True))
    plain = opened_of(bad[counting], [s[counting] for s in scores], 10)
    for found in run_cluster(program, 4):
        for name in ("sums", "moments_bad", "moments_good"):
            np.testing.assert_array_equal(np.asarray(found[name], float), getattr(plain, name))
        np.testing.assert_allclose(found["ks"], plain.ks, atol=1e-6)
        assert (found["curves"][:, -1] == [plain.bad, plain.good]).all()


def test_the_covariance_is_delongs():
    """Against its definition, and against the spread of AUCs over many samples."""
    bad, counting, scores = scores_with_ties()
    bad, scores = bad[counting], [s[counting] for s in scores]
    found, covariance = auc_covariance(opened_of(bad, scores, 10))
    kernel = [np.where(s[bad][:, None] > s[~bad], 1, np.where(s[bad][:, None] == s[~bad], 0.5, 0))
              for s in scores]
    np.testing.assert_allclose(found, [auc(bad, s) for s in scores])
    rows = np.cov([k.mean(1) for k in kernel]) / bad.sum()
    columns = np.cov([k.mean(0) for k in kernel]) / (~bad).sum()
    np.testing.assert_allclose(covariance, rows + columns, rtol=1e-9)

    rng = np.random.default_rng(1)
    label = np.arange(300) < 100
    drawn, errors = [], []
    for _ in range(200):
        score = rng.normal(size=300) + label
        value, spread = auc_covariance(opened_of(label, [score], 10))
        drawn.append(value[0])
        errors.append(np.sqrt(spread[0, 0]))
    assert np.mean(errors) == pytest.approx(np.std(drawn), rel=0.15)


def test_shapley_values_share_out_the_whole_gain():
    chosen = subsets(PARTNERS)
    assert chosen[0] == () and chosen[-1] == tuple(PARTNERS) and len(chosen) == 8
    value = dict(zip(chosen, np.random.default_rng(2).random(8), strict=True))
    vector, total = np.array(list(value.values())), 0.0
    for partner in PARTNERS:
        weights = contrasts(PARTNERS, partner)
        gains = []
        for order in itertools.permutations(PARTNERS):
            before = {p for p in order[:order.index(partner)]}
            names = [tuple(p for p in PARTNERS if p in s) for s in (before, before | {partner})]
            gains.append(value[names[1]] - value[names[0]])
        assert weights["shapley"] @ vector == pytest.approx(np.mean(gains))
        total += weights["shapley"] @ vector
        assert weights["first"] @ vector == pytest.approx(value[(partner,)] - value[()])
    assert total == pytest.approx(value[chosen[-1]] - value[()])


def test_a_model_that_is_another_adds_exactly_nothing():
    """The interval of a difference knows that both models are the same."""
    rng = np.random.default_rng(3)
    label, score = np.arange(90) < 30, rng.normal(size=90)
    table = uplift_table("bank", ["telecom"], opened_of(label, [score, score], 10))
    [partner] = table["partners"]
    for name in ("shapley", "first", "last"):
        assert partner[name] == {"value": 0, "low": pytest.approx(0), "high": pytest.approx(0)}
    only = table["subsets"][0]
    assert only["gain"] is None and only["auc"]["low"] < only["auc"]["value"] < only["auc"]["high"]
    assert only["ks"]["low"] < only["ks"]["value"] < only["ks"]["high"]


def test_the_program_opens_what_the_twin_says(monkeypatch):
    """With a memory that nothing fits: the matrix, and one model's columns, lie in files."""
    tables = world(400, 1)
    events, files = [], []

    class Watched(share_file.ShareFile):
        def __init__(self, *shape):
            super().__init__(*shape)
            files.append(1)

        def close(self):
            super().close()
            files.append(-1)
    monkeypatch.setattr(logistic_design, "ShareFile", Watched)
    monkeypatch.setattr(credit_encode, "_MATRICES", 1 << 20)
    parameters = UpliftParameters.from_json({**PARAMETERS.to_json(), "memory": 1 << 20})

    async def program(mpc):
        return await uplift_program(
            mpc, parties=[t.name for t in tables], table=tables[mpc.pid],
            inputs={t.name: list(t.columns) for t in tables},
            rows={t.name: t.rows for t in tables}, parameters=parameters,
            progress=lambda *event: events.append((mpc.pid, *event)))
    first, *others = run_cluster(program, 4)
    assert files.count(1) == files.count(-1) == 4 * (1 + 8) and max(np.cumsum(files)) <= 4 * 2
    assert all(o["outputs"] == {} for o in others)
    assert [e[1] for e in events if e[0] == 0 and e[2] == "start"] == list(STEPS)
    out, plain = first["outputs"], plain_uplift(tables, PARAMETERS)
    assert (out["bad"], out["good"]) == (plain.bad, plain.good)
    assert out["rows_joint_test"] == plain.bad + plain.good
    names = ("bad", "good", "sums", "moments_bad", "moments_good", "ks", "curves")
    found = Opened(**{n: out[n] if n in ("bad", "good") else np.asarray(out[n], float)
                      for n in names})
    ours, clear = (uplift_table("bank", PARTNERS, o) for o in (found, plain))
    for mine, theirs in zip(ours["subsets"], clear["subsets"], strict=True):
        assert mine["parties"] == theirs["parties"]
        # A few steps short of the optimum, neighbours of nearly equal score may change places.
        for end in ("value", "low", "high"):
            assert mine["auc"][end] == pytest.approx(theirs["auc"][end], abs=3e-3)
        # Which of tied rows a point of the curve counts is nobody's choice, hence the intervals.
        assert mine["ks"]["value"] == pytest.approx(theirs["ks"]["value"], abs=3e-2)
        assert 0 <= mine["ks"]["low"] < mine["ks"]["value"] < mine["ks"]["high"] <= 1
    for mine, theirs in zip(ours["partners"], clear["partners"], strict=True):
        for name in ("shapley", "first", "last"):
            assert mine[name]["value"] == pytest.approx(theirs[name]["value"], abs=4e-3)


@pytest.mark.parametrize("document", [{"points": 2}, {"iterations": True}, {"nothing": 1},
                                      {"memory": 5}, {"memory": 2.0**30}])
def test_parameters_out_of_range_are_refused(document):
    with pytest.raises(ValueError, match="expected"):
        UpliftParameters.from_json(document)
    assert UpliftParameters.from_json(PARAMETERS.to_json()) == PARAMETERS
