"""Aggregation of repeated identifiers against pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from join_kit import names

from engine.cluster import run_cluster
from engine.errors import EngineError
from protocols.aggregate import aggregate
from protocols.join import SecureJoin

COLUMNS = {"loans": "count", "amount": "sum", "worst": "max", "rating": "latest"}
FUNCTIONS = {"sum": lambda x: x.sum(min_count=1), "max": "max"}


def expected(ids, columns, when):
    frame = pd.DataFrame({"id": ids, "when": when, **columns})
    by_time = frame.sort_values("when", kind="stable")
    groups = frame.groupby("id", sort=False)
    return {name: (by_time.groupby("id", sort=False).nth(-1).set_index("id")[name]
                   .reindex(frame["id"].unique()) if kind == "latest" else
                   groups[name].count() if kind == "count" else
                   groups[name].agg(FUNCTIONS[kind])).to_numpy()
            for name, kind in COLUMNS.items()}


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.integers(1, 40), st.booleans())
def test_what_pandas_makes_of_it(seed, rows, real):
    rng = np.random.default_rng(seed)
    ids = names(*rng.integers(0, rng.integers(1, 30), rows))
    columns = {name: rng.integers(-50, 50, rows) for name in COLUMNS}
    if real:
        columns = {name: np.where(rng.random(rows) < 0.3, np.nan, values)
                   for name, values in columns.items()}
    when = rng.integers(0, 5, rows)
    unique, reduced = aggregate(ids, columns, COLUMNS, when)
    assert unique.tolist() == list(dict.fromkeys(ids))
    for name, values in expected(ids, columns, when).items():
        np.testing.assert_array_equal(reduced[name], values)
        assert real or reduced[name].dtype.kind == "i"


def test_a_join_of_aggregated_rows_is_what_pandas_joins():
    """Several loans per business at the partner, and one row per business at the initiator."""
    rng = np.random.default_rng(4)
    own, ids = names(*rng.permutation(20)[:12]), names(*rng.integers(0, 20, 60))
    columns = {name: rng.integers(-9, 9, 60) for name in COLUMNS}
    when = rng.integers(0, 9, 60)

    async def program(mpc):
        unique, reduced = aggregate(ids, columns, COLUMNS, when)
        join = SecureJoin(mpc, [12, 60, 0, 0], 12, partners=[1])
        await join.match([own, unique, None, None][mpc.pid],
                         np.arange(12) if mpc.pid == 0 else None)
        values = np.stack(list(reduced.values()), 1) if mpc.pid == 1 else None
        return await mpc.output(join.columns(1, values, 4))

    table = pd.DataFrame({"id": pd.unique(np.array(ids, object)), **expected(ids, columns, when)})
    joined = pd.DataFrame({"id": own}).merge(table, on="id", how="left").fillna(0)
    for result in run_cluster(program, 4):
        np.testing.assert_array_equal(result, joined[list(COLUMNS)].to_numpy().astype(int))


def test_all_rows_of_one_identifier_and_none_at_all():
    unique, reduced = aggregate(["a"] * 5, {"x": np.arange(5)}, {"x": "sum"})
    assert (unique.tolist(), reduced["x"].tolist()) == (["a"], [10])
    unique, reduced = aggregate([], {"x": np.arange(0)}, {"x": "max"})
    assert unique.size == reduced["x"].size == 0


def test_dates_order_the_latest():
    when = np.array(["2024-02-01", "2025-01-01", "2023-09-01"], "datetime64[D]")
    assert aggregate(["a"] * 3, {"x": np.array([1.0, np.nan, 3.0])}, {"x": "latest"},
                     when)[1]["x"].tolist() == pytest.approx([np.nan], nan_ok=True)


def test_rows_without_a_time_come_first():
    values = {"x": np.arange(3)}
    dates = np.array(["NaT", "2023-09-01", "NaT"], "datetime64[D]")
    for when in (dates, np.array([np.nan, 5.0, np.nan])):
        assert aggregate(["a"] * 3, values, {"x": "latest"}, when)[1]["x"].tolist() == [1]
    assert aggregate(["a"] * 3, values, {"x": "latest"}, dates[[0, 2, 0]])[1]["x"].tolist() == [2]


def test_repetitions_without_an_agreement_are_refused_without_naming_them():
    ids = ["secret-1", "secret-2", "secret-1"]
    columns = {"x": np.arange(3), "y": np.arange(3)}
    with pytest.raises(EngineError, match=r"1 of 3 identifiers repeat.*agreed for y") as caught:
        aggregate(ids, columns, {"x": "sum"})
    assert "secret" not in str(caught.value)
    unique, same = aggregate(ids[:2], {"x": np.arange(2)}, None)
    assert unique.tolist() == ids[:2] and same["x"].tolist() == [0, 1]


@pytest.mark.parametrize("agreed, when, code", [
    ({"x": "mean"}, None, "bad-aggregation"), ({"z": "sum"}, None, "bad-aggregation"),
    ({"x": "latest"}, None, "bad-aggregation"), ({"x": "latest"}, [1], "wrong-shape")])
def test_what_is_no_aggregation_is_refused(agreed, when, code):
    with pytest.raises(EngineError, match=code):
        aggregate(["a", "a"], {"x": np.arange(2)}, agreed, when and np.array(when))


def test_text_and_sums_that_overflow_are_refused():
    with pytest.raises(EngineError, match="wrong-shape"):
        aggregate(["a"], {"x": np.array(["1"])}, {"x": "max"})
    with pytest.raises(EngineError, match="overflow"):
        aggregate(["a", "a"], {"x": np.array([2**62, 2**62])}, {"x": "sum"})
