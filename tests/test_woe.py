"""WOE and IV on shares against the twin in the clear, cells without rows included."""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import SIZES, secret

from engine.cluster import run_cluster
from models.plain.woe import woe_iv as plain_woe_iv
from models.plain.woe import woe_table
from protocols.binning import bin_index, fit_breaks, one_hot
from protocols.binning_merge import woe_cost
from protocols.woe import bin_counts, encode_woe, woe_iv

BOUND = 1e-5


def compared(counts, m=4, t=None):
    """(largest error of WOE, of IV) for counts (features, bins, 2)."""
    counts = np.asarray(counts)
    totals = counts[0].sum(0)

    async def program(mpc):
        woe, iv = woe_iv(mpc, secret(mpc, counts), secret(mpc, totals))
        return await mpc.output([woe, iv])

    woe, iv = run_cluster(program, m, t)[0]
    plain = [plain_woe_iv(c[:, 0], c[:, 1]) for c in counts]
    return (np.abs(woe - [w for w, _ in plain]).max(),
            np.abs(iv - [i.sum() for _, i in plain]).max())


@pytest.mark.parametrize("m, t", SIZES)
def test_random_tables(m, t):
    rng = np.random.default_rng(m)
    counts = rng.integers(0, 60, (1, 11, 2))
    counts[0, 3], counts[0, 5], counts[0, 7] = (0, 0), (0, 9), (4, 0)
    others = [rng.permutation(counts[0]) for _ in range(4)]
    assert max(compared([counts[0], *others], m, t)) < BOUND


@pytest.mark.parametrize("counts", [
    [[[5, 0], [0, 7]]],                                    # two pure bins
    [[[5, 7], [0, 0], [0, 0]]],                            # everything in one bin
    [[[1, 0], [0, 1]], [[1, 1], [0, 0]]],                  # the smallest table
    [[[1, 0], [0, 2**24 - 1]]],                            # as lopsided as it gets
    [[[2**23, 2**23], [1, 0], [0, 1], [3, 2**20]]],
    [[[3, 30], [3, 30], [3, 30]]],                         # says nothing
], ids=["pure", "one", "two rows", "lopsided", "large", "flat"])
def test_cells_without_rows_and_extreme_counts(counts):
    assert max(compared(counts)) < BOUND


def test_a_feature_that_says_nothing_has_no_information():
    async def program(mpc):
        counts = secret(mpc, np.array([[[3, 30], [3, 30], [0, 0]]]))
        return await mpc.output(list(woe_iv(mpc, counts, secret(mpc, np.array([6, 60])))))

    woe, iv = run_cluster(program, 4)[0]
    assert np.abs(woe).max() < BOUND and np.abs(iv).max() < BOUND


def test_the_other_sign_and_the_cost():
    counts = np.random.default_rng(1).integers(0, 9, (3, 6, 2))
    counts[:, 0] += counts.sum(1).max(0) - counts.sum(1)

    async def program(mpc):
        cells, totals = secret(mpc, counts), secret(mpc, counts[0].sum(0))
        await cells.ready()
        await totals.ready()
        mpc.floor = mpc.meter.depth
        with mpc.meter.measure() as cost:
            woe, iv = woe_iv(mpc, cells, totals, woe_sign=-1)
            await woe.ready()
            await iv.ready()
        with pytest.raises(ValueError, match="woe_sign"):
            woe_iv(mpc, cells, totals, woe_sign=0)
        return await mpc.output([woe, iv]), cost.rounds, cost.bytes_sent

    results = run_cluster(program, 4)
    (woe, iv), rounds, _ = results[0]
    plain = [plain_woe_iv(c[:, 0], c[:, 1], woe_sign=-1) for c in counts]
    np.testing.assert_allclose(woe, [w for w, _ in plain], atol=BOUND)
    np.testing.assert_allclose(iv, [i.sum() for _, i in plain], atol=BOUND)
    assert (rounds, sum(r[2] for r in results)) == woe_cost(3, 6, 4, 1)


def test_from_values_to_encoded_columns():
    """Indicators, counts, WOE, encoded rows; rows without a match count and encode as zero."""
    rng = np.random.default_rng(8)
    n, bins = 120, 5
    label = rng.integers(0, 2, n)
    values = [rng.normal(label, 1), np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n)),
              np.zeros(n)]
    breaks = [fit_breaks(v, bins - 1) for v in values]
    index = [bin_index(v, b, bins - 1) for v, b in zip(values, breaks, strict=True)]
    hot = np.concatenate([one_hot(i, bins) for i in index], axis=1)
    matched = rng.random(n) < 0.8
    hot[~matched] = 0
    classes = np.column_stack([label, 1 - label]) * matched[:, None]

    async def program(mpc):
        indicators, weights = secret(mpc, hot, 1), secret(mpc, classes)
        counts = bin_counts(indicators, weights)
        woe, iv = woe_iv(mpc, counts.reshape(3, bins, 2), weights.sum(0))
        return await mpc.output([counts, iv, encode_woe(mpc, indicators, woe)])

    counts, iv, encoded = run_cluster(program, 4)[0]
    np.testing.assert_array_equal(counts, hot.T @ classes)
    for k in range(3):
        table = woe_table(values[k][matched], label[matched], bins - 1, breaks[k])
        assert iv[k] == pytest.approx(table.iv, abs=BOUND)
        np.testing.assert_allclose(encoded[matched, k], table.encode(values[k][matched]),
                                   rtol=0, atol=BOUND)
        assert not encoded[~matched, k].any()
