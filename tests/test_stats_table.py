"""Tables of any dimensions over rows of many institutions, against the twin by pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from stats_kit import GEOMETRY, RECORD, codes_of
from test_stats_perturb import fits

from engine.cluster import run_cluster
from protocols.stats.handed import pack, put_together
from protocols.stats.joint_table import (
    STEPS,
    Attribute,
    TableParameters,
    attribute_rows,
    institution_rows,
    joint_table,
    published,
)
from protocols.stats.perturb import Noise
from protocols.stats.plain.joint_table import joint_table_of
from protocols.stats.rules import Rules
from protocols.stats.spec import Dimension
from protocols.stats.submission import prepare

KEY = b"k" * 32
REGION = Dimension("region", ("east", "west"))
PERIOD = Dimension("period", ("2024", "2025"), total=False)
INDUSTRY = Attribute("registry", Dimension("industry", ("farm", "mill", "shop")), 14)
MIXED = Rules(minimum=2, dominance=(2, 95), p_ratio=5)
LAPLACE = Noise("laplace", epsilon=1.0)


def consortium(**changes):
    given = {"dimensions": (REGION, PERIOD), "amount": "balance", "rows": 24, "amount_bits": 16,
             "rules": MIXED, "quorum": 2, "period": "2025", **changes}
    return TableParameters(("a", "b", "c"), **given)


def rows_of(p, seed, companies=12):
    rng = np.random.default_rng(seed)
    found = {}
    for name in p.institutions:
        n = int(rng.integers(p.rows // 2, p.rows + 1))
        found[name] = {"region": rng.choice(("east", "east", "west"), n).tolist(),
                       "period": rng.choice(PERIOD.categories, n).tolist(),
                       "amount": np.minimum(rng.lognormal(7, 1, n), 60_000).astype(int).tolist(),
                       "company": [f"C{k}" for k in rng.integers(0, companies, n)]}
    return found


def messages_of(p, rows, known=None, missing=(), spoil=None):
    expected, messages = p.expected("job"), {"rows": {}}
    for e in expected["rows"]:
        if e.institution not in missing:
            own = rows[e.institution]
            shared = institution_rows(p, KEY, columns=own, amount=own["amount"],
                                      companies=own["company"] if p.tagged else ())
            if spoil and e.institution == "c":
                shared[spoil[0]] = spoil[1]
            messages["rows"][e.institution] = prepare(shared, e, GEOMETRY)
    if p.attribute:
        table = attribute_rows(p, KEY, list(known), list(known.values()))
        messages["attribute"] = {"registry": prepare(table, expected["attribute"][0], GEOMETRY)}
    return messages


def run(p, rows, known=None, missing=(), outside=False, spoil=None, verified=False):
    messages, said = messages_of(p, rows, known, missing, spoil), []

    async def program(mpc):
        own = {part: {name: m[mpc.pid] for name, m in each.items()}
               for part, each in messages.items()}
        return await joint_table(mpc, parameters=p, job="job", messages=own, record=RECORD,
                                 receivers=1, outside=outside, taken=said.append)

    results = run_cluster(program, verified=verified)
    refused = results[0]["public"]["refused"]
    assert said == [tuple(n for n in p.institutions if n not in refused)] * 4
    assert list(results[0]["steps"]) == list(STEPS)
    return results


def same(p, document, rows, known=None):
    twin, frame = joint_table_of(p, rows, known)
    spec = p.joint(tuple(rows))
    np.testing.assert_array_equal(codes_of(document, spec), twin.code)
    ratios, by = document["derived"], frame.groupby("cell").amount
    for place, cell in enumerate(document["cells"]):
        values, at = cell["values"], np.unravel_index(place, spec.extended)
        if cell["status"] != "shown":
            assert values == {} and ratios["mean"][place] is None
            continue
        assert values["rows"] == twin.rows[at]
        for name, totals in twin.totals.items():
            assert values[name] == totals[at]
        own = by.get_group(place) if values["rows"] else pd.Series(dtype=int)
        if len(own):
            assert ratios["mean"][place] == pytest.approx(own.mean())
            if p.variance:
                assert ratios["variance"][place] == pytest.approx(own.var(ddof=0))
        for level in p.percentiles:
            if f"balance.p{level}" in values:
                assert values[f"balance.p{level}"] == np.sort(own)[-(-level * len(own) // 100) - 1]
    return twin


@pytest.mark.parametrize("seed, changes", [
    (0, {}), (1, {"by_institution": True, "variance": True, "percentiles": (25, 50)}),
    (2, {"distinct": True}), (3, {"attribute": INDUSTRY, "dimensions": (REGION,)}),
    (4, {"attribute": INDUSTRY, "distinct": True, "variance": True, "percentiles": (50,)}),
])
def test_tables_are_those_of_the_twin(seed, changes):
    p = consortium(**changes)
    rows = rows_of(p, seed)
    known = {f"C{k}": INDUSTRY.dimension.categories[k % 3] for k in range(10)} \
        if p.attribute else None
    results = run(p, rows, known)
    assert [r["outputs"] == {} for r in results] == [True, False, True, True]
    twin = same(p, results[1]["outputs"], rows, known)
    assert (twin.code == 0).any()


def test_in_verified_mode_too():
    p = consortium(attribute=INDUSTRY, distinct=True, dimensions=(REGION,), rows=6)
    rows, known = rows_of(p, 9), {f"C{k}": INDUSTRY.dimension.categories[k % 3] for k in range(10)}
    same(p, run(p, rows, known, verified=True)[1]["outputs"], rows, known)


@pytest.mark.parametrize("changes", [{}, {"distinct": True, "attribute": INDUSTRY}])
def test_many_small_cases_at_once(changes):
    """Sixty categories of a dimension without totals are sixty cases."""
    cases = Dimension("case", tuple(f"c{k}" for k in range(60)), total=False)
    p = consortium(dimensions=(cases,), rows=200, rules=Rules(minimum=3 if changes else 8),
                   **changes)
    rng, rows = np.random.default_rng(5), {}
    for name in p.institutions:
        rows[name] = {"case": [f"c{k}" for k in rng.integers(0, 60, 200)],
                      "amount": (rng.pareto(0.7, 200) * 50).clip(0, 65_000).astype(int).tolist(),
                      "company": [f"C{k}" for k in rng.integers(0, 12, 200)]}
    known = {f"C{k}": INDUSTRY.dimension.categories[k % 3] for k in range(12)}
    twin = same(p, run(p, rows, known)[1]["outputs"], rows, known)
    assert len(set(twin.code.ravel().tolist())) >= 3, "the cases should meet several rules"


def test_noise_is_that_of_a_row_and_statuses_are_those_without():
    """Every figure against the twin: numbers of rows and companies change by 1 with a row, sums by
    255."""
    cases = Dimension("case", tuple(f"c{k}" for k in range(300)), total=False)
    p = consortium(dimensions=(cases,), rows=100, rules=Rules(2, False, (2, 100), 0),
                   amount_bits=8, distinct=True, noise=LAPLACE)
    rng = np.random.default_rng(6)
    rows = {name: {"case": [f"c{k}" for k in rng.integers(0, 300, 100)],
                   "amount": rng.integers(0, 256, 100).tolist(),
                   "company": [f"C{k}" for k in rng.integers(0, 40, 100)]}
            for name in p.institutions}
    document, twin = run(p, rows)[1]["outputs"], joint_table_of(p, rows)[0]
    spec = p.joint(p.institutions)
    np.testing.assert_array_equal(codes_of(document, spec), twin.code)
    assert document["record"]["noise"] == {"kind": "laplace", "epsilon": 1.0, "rho": 0.0,
                                           "unit": "row", "figures": 3, "deviations": {
                                               "rows": 1.357, "balance": 360.6, "companies": 1.357}}
    exact = {"rows": twin.rows, **twin.totals}
    added = {name: np.array([cell["values"][name] - x for cell, x in
                             zip(document["cells"], true.ravel(), strict=True) if cell["values"]])
             for name, true in exact.items()}
    counts = np.concatenate([added["rows"], added["companies"]])
    assert 300 < len(counts) < 600 and (added["rows"] != added["companies"]).mean() > 0.4
    assert fits(counts, lambda k: np.exp(-np.abs(k)))
    assert not fits(counts, lambda k: np.exp(-np.abs(k) / 2))
    assert not fits(counts, lambda k: np.exp(-2 * np.abs(k)))
    assert 0.6 < np.abs(added["balance"]).mean() / 255 < 1.5
    assert document["derived"]["mean"] == [
        cell["values"]["balance"] / cell["values"]["rows"] if cell["values"].get("rows") else None
        for cell in document["cells"]], "formed from what is shown"


def test_a_receiver_outside_gets_the_same_without_who_is_missing():
    p = consortium(distinct=True)
    rows = rows_of(p, 7)
    results = run(p, rows, missing=("b",), outside=True)
    messages = [pack(r["sealed"], r["public"], "job", GEOMETRY, k) for k, r in enumerate(results)]
    public, opened = put_together(messages, "job", GEOMETRY)
    del rows["b"]
    document = published(p, RECORD, public, opened)
    same(p, document, rows)
    assert document["record"]["refused"] == {"b": "nothing was submitted"}


@pytest.mark.parametrize("spoil", [((0, 0), 4), ((2, 2), 2)])
def test_bad_rows_are_refused_by_name(spoil):
    p = consortium(attribute=INDUSTRY, distinct=True)
    rows, known = rows_of(p, 8), {"C1": "farm", "C2": "mill"}
    results = run(p, rows, known, spoil=spoil)
    assert set(results[0]["public"]["refused"]) == {"c"}
    del rows["c"]
    same(p, results[1]["outputs"], rows, known)


@pytest.mark.parametrize("changes, says", [
    ({"percentiles": (0,)}, "expected 1 to 99"), ({"amount_bits": 40, "rows": 1 << 20}, "2.56"),
    ({"variance": True, "rules": Rules(rounding=5)}, "variance: exact figures would undo rounding"),
    ({"variance": True, "noise": LAPLACE}, "variance: exact figures would undo"),
    ({"percentiles": (50,), "noise": Noise("gaussian", rho=0.5)}, "percentiles: exact figures"),
    ({"noise": Noise("laplace", epsilon=1e-3), "rules": Rules(rounding=5), "amount_bits": 36},
     "cannot be rounded"),
    ({"variance": True, "amount_bits": 32}, "sums of squares"),
    ({"dimensions": (Dimension("x", tuple(map(str, range(1 << 12)))),) * 1, "rows": 1 << 14,
      "amount_bits": 36}, "more than one sort"),
])
def test_parameters_are_checked(changes, says):
    with pytest.raises(ValueError, match=says):
        consortium(**changes)


def test_what_does_not_fit_is_said_before_it_is_shared():
    p, own = consortium(), {"region": ["east"], "period": ["2025"]}
    with pytest.raises(ValueError, match="column balance: 1 are outside"):
        institution_rows(p, KEY, columns=own, amount=[1 << 16])
    with pytest.raises(ValueError, match="1 values are none of"):
        institution_rows(p, KEY, columns={**own, "region": ["up"]}, amount=[1])
    with pytest.raises(ValueError, match="25 rows, but at most 24"):
        institution_rows(p, KEY, columns={k: v * 25 for k, v in own.items()}, amount=[1] * 25)
    with pytest.raises(ValueError, match="15 companies, but at most 14"):
        attribute_rows(consortium(attribute=INDUSTRY), KEY, [f"C{k}" for k in range(15)],
                       ["farm"] * 15)
