"""Merging pre-bins on shares against the twin in the clear: equal, at the predicted cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from engine_kit import secret
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cluster import run_cluster
from models.plain.binning import (
    CHI_LIMIT,
    Binner,
    chi_merge,
    chi_square,
    monotone_merge,
    pooled,
    tree_merge,
)
from models.plain.woe import is_monotone, woe_iv
from protocols import binning_chi, binning_monotone, binning_tree
from protocols.binning import bin_index, fit_breaks, kept_breaks
from protocols.binning_merge import merged_woe, merged_woe_cost, open_boundaries

TAIWAN = Path(__file__).resolve().parents[1] / "../shared/data/taiwan_credit"


def some_counts(seed, features=6, bins=8):
    """Counts with a risk that rises, falls, is flat or jumps, with empty and pure pre-bins."""
    rng = np.random.default_rng(seed)
    size = rng.integers(80, 400, (features, bins))
    rate = np.stack([np.linspace(0.1, 0.5, bins), np.linspace(0.4, 0.05, bins),
                     np.full(bins, 0.2), rng.random(bins) * 0.5] * features)[:features]
    counts = np.stack([rng.binomial(size, rate), size], axis=2)
    counts[..., 1] -= counts[..., 0]
    counts[1, 3] = 0                    # nobody there
    counts[3, -2:] = 0                  # ties have left the last pre-bins empty
    counts[-1, 2, 0] = 0                # no bad rows
    return counts


def shared(program, counts, m=4, t=None, verified=False):
    """(opened bits, rounds, bytes over all parties) of a way of merging."""

    async def run(mpc):
        values = secret(mpc, counts)
        await values.ready()
        mpc.floor = mpc.meter.depth
        with mpc.meter.measure() as cost:
            bits = program(mpc, values)
            bits = await bits if not hasattr(bits, "ready") else bits
            await bits.ready()
        return await mpc.output(bits), cost.rounds, cost.bytes_sent
    results = run_cluster(run, m, t, verified=verified)
    return results[0][0].astype(bool), results[0][1], sum(r[2] for r in results)


def twin(rule, counts, **options):
    return np.stack([rule(c, **options) for c in counts])


@pytest.mark.parametrize("options", [{}, {"threshold": 0.0, "max_bins": 3, "min_share": 0.15}])
def test_chi_merge(options):
    counts = some_counts(1)
    found, rounds, sent = shared(
        lambda mpc, c: binning_chi.chi_merge(mpc, c, **options), counts)
    np.testing.assert_array_equal(found, twin(chi_merge, counts, **options))
    threshold = options.get("threshold", CHI_LIMIT)
    assert (rounds, sent) == binning_chi.chi_merge_cost(6, 8, 4, 1, threshold)


@pytest.mark.parametrize("options", [{}, {"stop": 0.4, "max_bins": 4, "min_share": 0.2}])
def test_tree_merge(options):
    counts = some_counts(2)
    found, rounds, sent = shared(
        lambda mpc, c: binning_tree.tree_merge(mpc, c, **options), counts)
    np.testing.assert_array_equal(found, twin(tree_merge, counts, **options))
    assert (rounds, sent) == binning_tree.tree_merge_cost(6, 8, 4, 1, options.get("max_bins", 8))


def test_monotone_merge():
    counts = some_counts(3)
    found, rounds, sent = shared(lambda mpc, c: binning_monotone.monotone_merge(mpc, c), counts)
    np.testing.assert_array_equal(found, twin(monotone_merge, counts))
    assert (rounds, sent) == binning_monotone.monotone_merge_cost(6, 8, 4, 1)
    for bits, table in zip(found, counts, strict=True):
        groups = np.add.reduceat(table, [0, *(np.flatnonzero(bits) + 1)], axis=0)
        assert is_monotone(*groups.T)


@pytest.mark.parametrize(("m", "t"), [(3, 1), (5, 2)])
def test_other_deployments(m, t):
    counts = some_counts(m, bins=4)
    for rule, protocol in ((chi_merge, binning_chi.chi_merge),
                           (tree_merge, binning_tree.tree_merge)):
        found, _, _ = shared(lambda mpc, c, p=protocol: p(mpc, c), counts, m, t)
        np.testing.assert_array_equal(found, twin(rule, counts))


tables = st.lists(st.lists(st.integers(0, 4), min_size=2, max_size=2), min_size=5, max_size=5)


@settings(max_examples=10)
@given(st.lists(tables, min_size=3, max_size=3))
def test_pools_are_exact_whatever_ties_there_are(counts):
    found, rounds, _ = shared(lambda mpc, c: binning_monotone.pooled(mpc, c), np.array(counts))
    np.testing.assert_array_equal(found, twin(pooled, np.array(counts)))
    assert rounds == 38


@given(tables)
def test_pools_are_those_of_pooling_adjacent_violators(counts):
    table = np.array(counts)
    bits = pooled(table)
    groups = np.add.reduceat(table, [0, *(np.flatnonzero(bits) + 1)], axis=0)
    assert is_monotone(*groups.T)
    rising = [list(c) for c in counts if sum(c)]
    bad, good = table.T
    if ((good.cumsum() - good) * bad - (bad.cumsum() - bad) * good).sum() < 0:
        rising = [[b, a] for a, b in rising]
        groups = groups[:, ::-1]
    done: list[list[int]] = []
    for pool in rising:
        done.append(pool)
        # A pool joins the one before unless its rate is strictly higher.
        while len(done) > 1 and done[-1][0] * sum(done[-2]) <= done[-2][0] * sum(done[-1]):
            last = done.pop()
            done[-1] = [done[-1][0] + last[0], done[-1][1] + last[1]]
    assert [g for g in groups.tolist() if sum(g)] == done


def test_woe_of_merged_bins():
    counts = some_counts(6, features=4)
    whole = counts.sum(1) + np.array([7, 20])
    counts = np.concatenate([counts, np.full((4, 1, 2), [7, 20])], axis=1)
    # One population: the features' totals must agree.
    counts[:, 0] += whole.max(0) - whole
    boundaries = np.stack([chi_merge(c[:8]) for c in counts]).astype(int)

    async def run(mpc):
        c, b = secret(mpc, counts), secret(mpc, boundaries)
        totals = secret(mpc, counts[0].sum(0))
        for x in (c, b, totals):
            await x.ready()
        mpc.floor = mpc.meter.depth
        with mpc.meter.measure() as cost:
            woe, iv = merged_woe(mpc, c, b, totals)
            await iv.ready()
            await woe.ready()
        mine = await open_boundaries(mpc, b, 2)
        return await mpc.output([woe, iv]), cost.rounds, cost.bytes_sent, mine

    results = run_cluster(run, 4)
    (woe, iv), rounds = results[0][:2]
    assert (rounds, sum(r[2] for r in results)) == merged_woe_cost(4, 8, 9, 4, 1)
    assert [r[3] is None for r in results] == [True, True, False, True]
    np.testing.assert_array_equal(results[2][3], boundaries)
    for k, table in enumerate(counts):
        group = np.concatenate([[0], boundaries[k].cumsum()])
        merged = np.stack([np.bincount(group, table[:8, c]) for c in (0, 1)], 1)
        expected, terms = woe_iv(*np.vstack([merged, table[8:]]).T)
        np.testing.assert_allclose(woe[k], expected[[*group, len(merged)]], atol=1e-5)
        assert iv[k] == pytest.approx(terms.sum(), abs=1e-5)


def test_the_owner_gets_its_breaks():
    assert kept_breaks(np.array([1.0, 2.0, 3.0]), [1, 0, 1, 0, 1]).tolist() == [1.0, 3.0]
    with pytest.raises(ValueError, match="at least 3"):
        kept_breaks(np.array([1.0, 2.0, 3.0]), [1, 0])


def test_real_data():
    """Two features of the real credit data with 10 pre-bins, by all three ways."""
    if not TAIWAN.is_dir():
        pytest.skip(f"the development data set is not at {TAIWAN}")
    names = ["LIMIT_BAL", "PAY_AMT1"]
    header = (TAIWAN / "bank.csv").read_text().split("\n", 1)[0].split(",")
    table = np.genfromtxt(TAIWAN / "bank.csv", delimiter=",", skip_header=1,
                          usecols=[header.index(n) for n in ["default", *names]])
    label, counts = table[:, 0].astype(int), []
    for values in table[:, 1:].T:
        index = bin_index(values, fit_breaks(values, 10), 10)
        counts.append([np.bincount(index[label == c], minlength=11)[:10] for c in (1, 0)])
    counts = np.array(counts).transpose(0, 2, 1)
    for rule, protocol, cost in (
            (chi_merge, binning_chi.chi_merge, binning_chi.chi_merge_cost),
            (tree_merge, binning_tree.tree_merge, binning_tree.tree_merge_cost),
            (monotone_merge, binning_monotone.monotone_merge,
             binning_monotone.monotone_merge_cost)):
        found, *spent = shared(lambda mpc, c, p=protocol: p(mpc, c), counts)
        np.testing.assert_array_equal(found, twin(rule, counts))
        assert tuple(spent) == cost(2, 10, 4, 1)


def test_chi_square_by_hand():
    assert chi_square([[10, 20], [20, 10], [0, 0], [3, 0], [5, 0]]).tolist() == pytest.approx(
        [20 / 3, 0, 0, 0])


@pytest.mark.parametrize("method", ["tree", "chimerge", "monotone", "quantile", "width"])
def test_the_estimator(method):
    rng = np.random.default_rng(8)
    risk = rng.normal(size=3000)
    label = (rng.random(3000) < 1 / (1 + np.exp(1.5 - risk))).astype(int)
    values = np.where(rng.random(3000) < 0.1, np.nan, risk + rng.normal(size=3000) / 2)
    values[rng.random(3000) < 0.05] = -999.0
    binner = Binner(method=method, special_values=[-999.0])
    assert binner.fit(values, label) is binner
    table = binner.table_
    assert len(binner.breaks_) < 8 and table["is_special_values"][:2] == [True, True]
    assert sum(table["count"]) == 3000
    if method != "width":
        assert binner.too_small_ == 0
    if method == "monotone":
        assert binner.is_monotone_
    # WOE as encoded is that of the table's rows.
    encoded = binner.transform([np.nan, -999.0, binner.breaks_[0], np.inf])
    assert encoded.tolist() == pytest.approx(
        [table["woe"][0], table["woe"][1], table["woe"][2], table["woe"][-1]])
    assert binner.iv_ == pytest.approx(table["total_iv"][0])


def test_what_the_estimator_refuses():
    values, label = np.arange(10.0), [0, 1] * 5
    for options, text in (({"method": "odd"}, "expected one of"), ({"method": "given"}, "breaks"),
                          ({"method": "given", "breaks": [2, 1]}, "ascending"),
                          ({"woe_sign": 2}, "woe_sign"), ({"smoothing": "odd"}, "smoothing"),
                          ({"closed": "odd"}, "closed")):
        with pytest.raises(ValueError, match=text):
            Binner(**options).fit(values, label)
    with pytest.raises(ValueError, match="0 or 1"):
        Binner().fit(values, np.arange(10))
    with pytest.raises(ValueError, match="infinite"):
        Binner().fit(np.array([1.0, np.inf]), [0, 1])
