"""Bins, WOE, IV and points as scorecardpy, toad and optbinning have them on German credit data.

`golden/german_credit.json` holds what the packages computed, and the features' distinct values
with their counts; `golden/make_german_credit.py` wrote it, and says with which versions.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from models.plain.binning import Binner, chi_merge
from models.plain.woe import bin_table, woe_iv
from protocols.binning import fit_breaks, width_breaks

GOLDEN = json.loads((Path(__file__).parent / "golden" / "german_credit.json").read_text())
FEATURES = sorted(GOLDEN["features"])
features = pytest.mark.parametrize("name", FEATURES)


def rows(entry):
    """(values, label) of all 1,000 rows, from the counts of the distinct values."""
    values = np.array(entry["values"], dtype=np.float64)
    bad, good = np.array(entry["bad"]), np.array(entry["good"])
    return (np.concatenate([np.repeat(values, bad), np.repeat(values, good)]),
            np.repeat([1, 0], [bad.sum(), good.sum()]))


def finest(entry):
    """Pre-bins of one distinct value each: counts, and the edges left of all but the first."""
    return np.column_stack([entry["bad"], entry["good"]]), np.array(entry["values"], float)[1:]


@features
def test_scorecardpy_tree(name):
    """The tree-like bins from scorecardpy's own pre-bins, and its whole table."""
    entry = GOLDEN["features"][name]
    expected = entry["scorecardpy"]
    binner = Binner(method="tree", breaks=expected["prebins"], closed="left", name=name,
                    smoothing="scorecardpy")
    table = binner.fit(*rows(entry)).table_
    assert [*table] == ["variable", *expected["tree"]]
    for column, values in expected["tree"].items():
        if isinstance(values[0], float):
            assert_allclose(table[column], values, rtol=1e-12)
        else:
            assert table[column] == values


@features
def test_scorecardpy_chimerge(name):
    entry = GOLDEN["features"][name]
    expected = entry["scorecardpy"]
    binner = Binner(method="chimerge", breaks=expected["prebins"], closed="left")
    assert binner.fit(*rows(entry)).breaks_.tolist() == expected["chimerge"]


@features
def test_toad_bins(name):
    entry = GOLDEN["features"][name]
    values, _ = rows(entry)
    counts, edges = finest(entry)
    expected = entry["toad"]
    assert_allclose(width_breaks(values, 5), expected["step"], rtol=1e-12)
    # toad keeps an edge at the maximum, beyond which nothing lies if bins are closed on the right.
    assert_allclose(fit_breaks(values, 5), [b for b in expected["quantile"] if b < values.max()],
                    rtol=1e-12)
    merged = chi_merge(counts, threshold=0.0, max_bins=5, min_share=1e-9)
    assert edges[merged].tolist() == expected["chimerge"]


@features
def test_toad_and_optbinning_woe(name):
    """Both on scorecardpy's bins; optbinning has the opposite sign."""
    entry = GOLDEN["features"][name]
    breaks = entry["optbinning"]["splits"]
    assert breaks == [float(b) for b in entry["scorecardpy"]["tree"]["breaks"][:-1]]
    toad = Binner(method="given", breaks=breaks, closed="left", smoothing="toad").fit(*rows(entry))
    expected = entry["toad"]
    assert_allclose(toad.woe_[:-1], expected["woe"], rtol=1e-12)
    assert_allclose([toad.iv_, *toad.table_["bin_iv"]], [expected["iv"], *expected["bin_iv"]],
                    rtol=1e-12)
    other = Binner(method="given", breaks=breaks, closed="left", smoothing="optbinning",
                   woe_sign=-1).fit(*rows(entry))
    expected = entry["optbinning"]
    assert_allclose(other.woe_[:-1], expected["woe"], rtol=1e-9)
    assert_allclose(other.table_["bin_iv"], expected["iv"], rtol=1e-9)
    for column in ("count", "good", "bad"):
        assert other.table_[column] == expected[column]


def test_a_bin_without_bad_rows_by_every_convention():
    pure = GOLDEN["pure"]
    bad, good = pure["bad"], pure["good"]
    assert 0 in bad
    for package, sign in (("scorecardpy", 1), ("toad", 1), ("optbinning", -1)):
        woe, iv = woe_iv(bad, good, woe_sign=sign, smoothing=package)
        assert_allclose(iv, pure[package]["iv"], rtol=1e-9, atol=1e-15)
        if "woe" in pure[package]:
            assert_allclose(woe, pure[package]["woe"], rtol=1e-9, atol=1e-15)


def test_points_as_scorecardpy():
    """Its preset (600 points at 1:19, 50 to double the odds) on its bins and weights."""
    card = GOLDEN["card"]
    factor = 50 / math.log(2)
    offset = 600 + factor * math.log(1 / 19)
    assert round(offset - factor * card["intercept"]) == card["base_points"]
    for name, weight in zip(card["features"], card["weights"], strict=True):
        entry = GOLDEN["features"][name]
        binner = Binner(method="given", breaks=entry["optbinning"]["splits"], closed="left",
                        smoothing="scorecardpy").fit(*rows(entry))
        points = np.round(-factor * weight * binner.woe_[:-1])
        assert points.tolist() == card["points"][name]


def test_special_values_come_first_in_the_table():
    table = bin_table("x", [2.5], [5, 6, 1, 0], [9, 8, 2, 0], special_values=[-999.0])
    assert table["bin"] == ["missing", "(-inf,2.5]", "(2.5,inf]"]
    assert table["breaks"] == ["missing", "2.5", "inf"]
    assert table["is_special_values"] == [True, False, False]
    assert sum(table["count_distr"]) == pytest.approx(1)
