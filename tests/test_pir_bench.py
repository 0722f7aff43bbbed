"""`sepc bench --suite pir`: real parties, right answers, figures that agree with the formulas."""

from __future__ import annotations

import pytest

from bench.harness import run_suite
from bench.pir_suite import BATCH, SIZES
from protocols.pir_costs import publish_cost, query_cost
from protocols.pir_table import Layout


@pytest.mark.parametrize("m, t", [(4, 1), (3, 1)])
def test_publish_query_and_batch(m, t):
    n = min(SIZES)
    document = run_suite("pir", parties=m, threshold=t, sizes=[str(n)], deadline=200,
                         names=["publish", "query", "query_batch"])
    layout = Layout(n, 32)
    expected = {"publish": publish_cost(layout, m, t), "query": query_cost([layout], 1, m, t),
                "query_batch": query_cost([layout], BATCH, m, t)}
    results = {r["name"]: r for r in document["results"]}
    assert set(results) == set(expected)
    for name, cost in expected.items():
        assert results[name]["n"] == n
        assert results[name]["rounds"] == cost.rounds
        assert results[name]["bytes_per_party"] == round(cost.total_bytes / m)
