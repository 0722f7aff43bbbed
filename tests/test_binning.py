"""Bins, weight of evidence and information value against values worked out by hand."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.plain.woe import woe_iv, woe_table
from protocols.binning import bin_index, fit_breaks, given_breaks, one_hot, width_breaks
from protocols.split import training_mask

nan = float("nan")


def test_breaks_are_inner_quantiles() -> None:
    assert fit_breaks(np.arange(1, 101), 4).tolist() == [25.75, 50.5, 75.25]


def test_breaks_ignore_missing_values() -> None:
    values = np.array([nan, 1, 2, nan, 3, 4, nan])
    assert fit_breaks(values, 2).tolist() == [2.5]


@pytest.mark.parametrize(
    ("values", "breaks"),
    [
        ([0] * 90 + [1] * 10, [0.0]),
        ([0] * 10 + [1] * 90, [0.9]),
        ([5] * 20, []),
        ([nan, nan], []),
        ([], []),
    ],
)
def test_ties_merge_bins(values: list[float], breaks: list[float]) -> None:
    assert fit_breaks(values, 10) == pytest.approx(breaks)


def test_a_value_on_an_edge_goes_left_and_missing_goes_last() -> None:
    index = bin_index([1.0, 2.0, 2.1, nan, 99.0], np.array([2.0, 5.0]), 10)
    assert index.tolist() == [0, 0, 1, 10, 2]


def test_too_many_edges_are_refused() -> None:
    with pytest.raises(ValueError, match="expected at most 2"):
        bin_index([1.0], np.array([1.0, 2.0]), 2)


def test_equal_width_ignores_missing_and_special_values() -> None:
    values = [0.0, 10.0, nan, -999.0, 3.0]
    assert width_breaks(values, 4, [-999.0]).tolist() == [2.5, 5.0, 7.5]
    assert width_breaks([5.0, 5.0], 4).tolist() == []
    assert fit_breaks(values, 2, [-999.0]).tolist() == [3.0]


def test_special_values_have_bins_of_their_own() -> None:
    index = bin_index([1.0, -1.0, nan, -2.0, 9.0], np.array([2.0]), 3, [-1.0, -2.0])
    assert index.tolist() == [0, 4, 3, 5, 1]
    assert bin_index([2.0], np.array([2.0]), 3, closed="left").tolist() == [1]


def test_given_breaks_are_checked() -> None:
    assert given_breaks([1, 2.5], 3).tolist() == [1.0, 2.5]
    for breaks in ([2, 1], [1, 1], [1, nan], [[1]]):
        with pytest.raises(ValueError, match="ascending"):
            given_breaks(breaks, 5)
    with pytest.raises(ValueError, match="at most 2"):
        given_breaks([1, 2], 2)


def test_one_hot() -> None:
    assert one_hot(np.array([0, 2]), 3).tolist() == [[1, 0, 0], [0, 0, 1]]
    with pytest.raises(ValueError, match="outside"):
        one_hot(np.array([3]), 3)


@given(
    st.lists(st.one_of(st.just(nan), st.floats(-1e6, 1e6), st.integers(0, 3).map(float))),
    st.integers(1, 12),
)
def test_every_fitted_bin_is_filled(values: list[float], max_bins: int) -> None:
    breaks = fit_breaks(values, max_bins)
    assert len(breaks) <= max_bins - 1
    assert np.all(np.diff(breaks) > 0)
    index = bin_index(values, breaks, max_bins)
    regular = set(index.tolist()) - {max_bins}
    if len(values) > np.isnan(values).sum():
        assert regular == set(range(len(breaks) + 1))
    assert one_hot(index, max_bins + 1).shape == (len(values), max_bins + 1)


def test_woe_and_iv_by_hand() -> None:
    # 20 bad and 80 good rows; the third bin has no bad row, the fourth has none at all.
    woe, iv = woe_iv([15, 5, 0, 0], [20, 50, 10, 0])
    expected = [
        log((15 / 20) / (20 / 80)),
        log((5 / 20) / (50 / 80)),
        log((0.5 / 20) / (10.5 / 80)),
        0.0,
    ]
    assert woe == pytest.approx(expected)
    shares = [15 / 20 - 20 / 80, 5 / 20 - 50 / 80, 0.5 / 20 - 10.5 / 80, 0.0]
    assert iv == pytest.approx([s * w for s, w in zip(shares, expected, strict=True)])


def test_woe_needs_both_classes() -> None:
    with pytest.raises(ValueError, match="0 bad and 7 good"):
        woe_iv([0, 0], [3, 4])


def test_table_encodes_new_and_missing_values() -> None:
    values = np.array([1, 1, 2, 2, 3, 3, nan, nan])
    label = np.array([1, 0, 0, 0, 1, 1, 1, 0])
    table = woe_table(values, label, 3)
    assert table.bad.tolist() == [1, 0, 2, 1]
    assert table.good.tolist() == [1, 2, 0, 1]
    encoded = table.encode([-9.0, 2.0, 99.0, nan])
    assert encoded.tolist() == table.woe.tolist()
    assert table.iv == pytest.approx(float(table.bin_iv.sum()))


def test_split_is_stratified_and_independent_of_row_order() -> None:
    ids = [f"C{i:04d}" for i in range(1000)]
    label = np.array([int(i % 7 == 0) for i in range(1000)])
    mask = training_mask(ids, label, 0.3, 11)
    assert mask[label == 1].sum() == round(0.7 * label.sum())
    assert mask[label == 0].sum() == round(0.7 * (1000 - label.sum()))
    back = training_mask(ids[::-1], label[::-1], 0.3, 11)
    assert np.array_equal(mask, back[::-1])
    assert not np.array_equal(mask, training_mask(ids, label, 0.3, 12))


def test_split_refuses_bad_arguments() -> None:
    with pytest.raises(ValueError, match="test_share"):
        training_mask(["a"], [1], 1.5, 1)
    with pytest.raises(ValueError, match="seed"):
        training_mask(["a"], [1], 0.3, -1)
    with pytest.raises(ValueError, match="2 identifiers but 1 labels"):
        training_mask(["a", "b"], [1], 0.3, 1)
