"""Fund flow and green finance as the parties run them, against the twins in the clear."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import duckdb
import numpy as np
import pytest
from adversary import Attack, attacked, frames_of
from stats_kit import GEOMETRY, RECORD, codes_of, own_figures, shared_cells, spec_of

from engine.cluster import run_cluster
from engine.errors import EngineError
from protocols.stats import suppression
from protocols.stats.fund_flow import STEPS, FundFlowParameters, bank_cells, fund_flow
from protocols.stats.green_finance import (
    FIGURES,
    INDICATORS,
    GreenParameters,
    green_finance,
    loan_rows,
)
from protocols.stats.joins import company_tags, reference
from protocols.stats.plain.programs import fund_flow_table, green_indicators
from protocols.stats.release import release
from protocols.stats.rules import Rules
from protocols.stats.submission import prepare

INVOICES = Path(__file__).resolve().parents[1] / "../shared/data/invoices"


def loans_of(parameters, n, seed):
    rng = np.random.default_rng(seed)
    return {i: {"region": rng.choice(parameters.regions, n),
                "period": rng.choice(parameters.periods, n),
                "outstanding": rng.lognormal(9, 1, n).astype(int),
                "scores": (rng.random((n, 4)) < 0.15).astype(float)}
            for i in parameters.institutions}


def run_fund_flow(parameters, loans, missing=()):
    messages = {e.institution: prepare(bank_cells(parameters, **loans[e.institution]), e, GEOMETRY)
                for e in parameters.expected("job") if e.institution not in missing}
    said = []

    async def program(mpc):
        return await fund_flow(
            mpc, parameters=parameters, job="job", record=RECORD, receivers=0,
            messages={name: m[mpc.pid] for name, m in messages.items()},
            progress=lambda name, state: said.append((mpc.pid, name, state)))

    results = run_cluster(program)
    assert all(r["outputs"] == {} for r in results[1:]), "only the regulator receives"
    assert [s for s in said if s[0] == 1] == [(1, name, state) for name in STEPS
                                              for state in ("start", "done")]
    assert all(r["steps"]["release"]["rounds"] > 0 for r in results)
    return results[0]["outputs"]


def same(document, twin, spec):
    np.testing.assert_array_equal(codes_of(document, spec), twin.code)
    for cell, place in zip(document["cells"], np.ndindex(*spec.extended), strict=True):
        for name, value in cell["values"].items():
            if name == "rows" or name in twin.totals:
                assert value == (twin.rows if name == "rows" else twin.totals[name])[place]


@pytest.mark.parametrize("by_institution", [True, False])
def test_fund_flow(by_institution):
    parameters = FundFlowParameters(("a", "b", "c", "d"), ("north", "south"), ("2020", "2021"),
                                    by_institution=by_institution, amount_bits=30, quorum=3,
                                    periods_per_year=1)
    loans = loans_of(parameters, 120, 1)
    found = run_fund_flow(parameters, loans, missing=("c",))
    del loans["c"]
    spec = parameters.joint(tuple(loans))
    same(found, fund_flow_table(parameters, loans), spec)
    assert found["record"]["institutions"] == ["a", "b", "d"]
    assert found["record"]["refused"] == {"c": "nothing was submitted"}
    for cell, share in zip(found["cells"], found["derived"]["flagged_share"], strict=True):
        assert (share is None) == (cell["status"] != "shown")
        if share is not None:
            assert share == cell["values"]["flagged"] / cell["values"]["outstanding"]
    ratios = found["derived"]
    assert ratios["year_change"] == ratios["change"] and any(ratios["region_share"])
    assert ("concentration" in ratios) == ("largest_share" in ratios) == (not by_institution)
    if not by_institution:
        # Of three institutions the four largest have everything.
        assert {c for c in ratios["largest_share"] if c is not None} == {1.0}


@pytest.mark.skipif(not INVOICES.exists(), reason="the invoices are not here")
@pytest.mark.parametrize("by_institution", [True, False])
def test_fund_flow_over_real_invoices(by_institution):
    """Invoices of 123 firms as payments of thirty banks, voided ones and reversals as flagged."""
    rows = duckdb.sql(
        "select o.buyer_id, rating, year(date)::text as year, abs(o.amount)::bigint as amount, "
        "(o.status <> 'valid') as void, (o.amount < 0) as reversal "
        f"from '{INVOICES}/credit_history_output.parquet' o "
        f"join read_csv('{INVOICES}/companies.csv') c using (company_id) "
        "where year(date) in (2017, 2018, 2019)").fetchnumpy()
    names = tuple(f"bank {k}" for k in range(30))
    bank = np.array([blake2b(str(b).encode(), key=b"assign", digest_size=4).digest()[0] % 30
                     for b in rows["buyer_id"]])
    parameters = FundFlowParameters(names, tuple(sorted(set(rows["rating"]))),
                                    ("2017", "2018", "2019"), by_institution=by_institution,
                                    weights=(0.0, 0.0, 1.0, 1.0))
    loans = {}
    for k, name in enumerate(names):
        own = bank == k
        flags = np.column_stack([np.zeros((own.sum(), 2)), rows["void"][own],
                                 rows["reversal"][own]])
        loans[name] = {"region": rows["rating"][own], "period": rows["year"][own],
                       "outstanding": rows["amount"][own], "scores": flags}
    found = run_fund_flow(parameters, loans)
    twin = fund_flow_table(parameters, loans)
    same(found, twin, parameters.joint(names))
    shown = [c for c in found["cells"] if c["status"] == "shown"]
    assert shown and (len(shown) < len(found["cells"])) == by_institution


def green(seed, rows=30, missing=()):
    """(parameters, sums, loans, intensities, messages) of a made-up consortium."""
    rng = np.random.default_rng(seed)
    names = [f"bank {k}" for k in range(5)]
    parameters = GreenParameters(
        {n: ("large", "small")[k % 2] for k, n in enumerate(names)}, rows + 4, 20, "environment",
        amount_bits=30, rules=Rules(dominance=(2, 100), p_ratio=0), period="2021", quorum=4)
    companies = np.array([f"C{k}" for k in range(30)], dtype=object)
    intensities = dict(zip(companies[:20], rng.integers(0, 600, 20).tolist(), strict=True))
    sums, loans = [], []
    for _ in names:
        who, balance = rng.integers(0, 30, rows), rng.integers(1000, 1 << 29, rows)
        total, new = int(balance.sum()), int(rng.integers(1, 1 << 34))
        sums.append([500, total * int(rng.integers(2, 9)), total, int(total * rng.uniform(.7, 1.1)),
                     new, int(new * rng.uniform(0, .5)), int(total * rng.uniform(0, .1))])
        loans.append([(companies[w], int(b)) for w, b in zip(who, balance, strict=True)])
    key = b"q" * 32
    first, second, third = parameters.expected("job")
    messages = {"sums": {}, "loans": {}}
    for e, s in zip(first, sums, strict=True):
        messages["sums"][e.institution] = prepare(np.array([s]), e, GEOMETRY)
    for e, own in zip(second, loans, strict=True):
        tags = company_tags(np.array([c for c, _ in own], dtype=object), key)
        messages["loans"][e.institution] = prepare(
            loan_rows(parameters, tags, [b for _, b in own]), e, GEOMETRY)
    for name in missing:
        del messages["loans"][name]
    table = reference(company_tags(companies[:20], key), [intensities[c] for c in companies[:20]])
    messages["carbon"] = {"environment": prepare(table, third[0], GEOMETRY)}
    return parameters, sums, loans, intensities, messages


@pytest.mark.parametrize("missing", [(), ("bank 2",)])
def test_green_finance(missing):
    parameters, sums, loans, intensities, messages = green(2, missing=missing)

    async def program(mpc):
        return await green_finance(
            mpc, parameters=parameters, job="job", record=RECORD, receivers=3,
            messages={kind: {name: m[mpc.pid] for name, m in each.items()}
                      for kind, each in messages.items()})

    results = run_cluster(program)
    names = [n for n in parameters.institutions if n not in missing]
    kept = [k for k, n in enumerate(parameters.institutions) if n not in missing]
    indicators, scores, bands = green_indicators(
        parameters, [sums[k] for k in kept], [loans[k] for k in kept], intensities)
    assert [r["outputs"] == {} for r in results] == [True, True, True, False]
    outputs = results[3]["outputs"]
    assert outputs["bands"] == dict(zip(names, bands.tolist(), strict=True))
    assert list(results[0]["own"]) == names
    for k, name in enumerate(names):
        own = own_figures({p: r["own"][name] for p, r in enumerate(results)}, GEOMETRY)
        assert list(own) == [*INDICATORS, "score"]
        np.testing.assert_allclose([own[i] for i in INDICATORS], indicators[k], rtol=1e-5,
                                   atol=1e-5)
        assert own["score"] == pytest.approx(scores[k], abs=1e-4)
        wrong = {p: r["own"][name].copy() for p, r in enumerate(results)}
        wrong[2][0, 0] ^= np.uint64(1)
        assert own_figures(wrong, GEOMETRY) is None
    kinds = [parameters.kinds[n] for n in names]
    table = outputs["table"]
    for cell, share in zip(table["cells"][:2], table["derived"]["green_share"], strict=False):
        members = [k for k, kind in enumerate(kinds) if kind == cell["place"]["kind"]]
        if cell["status"] == "shown":
            green_, all_ = (sum(sums[kept[k]][FIGURES.index(name)] for k in members)
                            for name in ("green_balance", "all_balance"))
            assert cell["values"]["green_balance"] == green_
            assert share == green_ / all_


def test_many_small_institutions_at_once():
    """Sixty cases: few loans or none, nothing to divide by, companies that nobody knows."""
    rng, key, count = np.random.default_rng(11), b"q" * 32, 60
    names = [f"case {k}" for k in range(count)]
    parameters = GreenParameters(dict.fromkeys(names, "bank"), 3, 6, "h", amount_bits=20)
    companies = np.array([f"C{k}" for k in range(12)], dtype=object)
    intensities = dict(zip(companies[:6], rng.integers(0, 600, 6).tolist(), strict=True))
    sums, loans = [], []
    for _ in names:
        balance = rng.integers(1, 1 << 20, int(rng.integers(0, 4))).tolist()
        loans.append([(companies[c], b) for c, b in
                      zip(rng.integers(0, 12, len(balance)), balance, strict=True)])
        every, before, new = (int(x) for x in rng.integers(1, 1 << 24, 3) * rng.integers(0, 2, 3))
        sums.append([9, sum(balance) + every, sum(balance), before, new,
                     int(new * rng.random()), int(sum(balance) * rng.random())])
    first, second, third = parameters.expected("job")
    messages = {
        "sums": {e.institution: prepare(np.array([s]), e, GEOMETRY)
                 for e, s in zip(first, sums, strict=True)},
        "loans": {e.institution: prepare(loan_rows(
            parameters, company_tags(np.array([c for c, _ in own], dtype=object), key)
            if own else [], [b for _, b in own]), e, GEOMETRY)
            for e, own in zip(second, loans, strict=True)},
        "carbon": {"h": prepare(reference(company_tags(companies[:6], key), [
            intensities[c] for c in companies[:6]]), third[0], GEOMETRY)},
    }

    async def program(mpc):
        return await green_finance(
            mpc, parameters=parameters, job="job", record=RECORD,
            messages={kind: {name: m[mpc.pid] for name, m in each.items()}
                      for kind, each in messages.items()})

    results = run_cluster(program)
    indicators, scores, _ = green_indicators(parameters, sums, loans, intensities)
    own = [own_figures({p: r["own"][name] for p, r in enumerate(results)}, GEOMETRY)
           for name in names]
    np.testing.assert_allclose([o[:5] for o in own], indicators, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose([o[5] for o in own], scores, atol=1e-4)
    nothing = [k for k, lent in enumerate(loans) if not any(c in intensities for c, _ in lent)]
    assert len(nothing) > 10 and (indicators[nothing, 4] == 0).all()
    bare = [k for k, s in enumerate(sums) if not any(s[1:])]
    assert bare and all(abs(own[k][5]) < 1e-4 for k in bare), "nothing gives no points"
    assert 60 > len(set(scores)) > 20


def test_dominant_institutions_are_withheld_from_the_table_of_kinds():
    parameters, *_, messages = green(3)
    strict = GreenParameters(**{**vars(parameters), "rules": Rules()})

    async def program(mpc):
        return await green_finance(
            mpc, parameters=strict, job="job", record=RECORD,
            messages={kind: {name: m[mpc.pid] for name, m in each.items()}
                      for kind, each in messages.items()})

    table = run_cluster(program)[0]["outputs"]["table"]
    # Two institutions are small: they make all of their kind.
    small = next(c for c in table["cells"] if c["place"]["kind"] == "small")
    assert small["status"] == "dominance" and small["values"] == {}


def test_scales_are_checked():
    with pytest.raises(ValueError, match="scales for"):
        GreenParameters({"a": "x"}, 1, 1, "h", scales={})


def test_a_release_in_verified_mode_is_right_or_stops(monkeypatch):
    monkeypatch.setattr(suppression, "TURNS", 1)
    spec, cheater = spec_of(3), 1
    cell, values = np.repeat(np.arange(3), [3, 20, 25]), {"loans": np.arange(48)}

    async def program(mpc):
        cells = shared_cells(mpc, spec, cell, values)
        return await release(mpc, spec, Rules(), cells, RECORD)

    right = run_cluster(program, verified=True)[0]
    assert right["record"]["withheld"]["minimum-cell"] == 1
    sent = frames_of(program, cheater, verified=True)
    for at in np.linspace(5, sent - 1, 5).astype(int):
        for result in attacked(program, Attack("wrong", int(at)), cheater, verified=True):
            assert isinstance(result, EngineError) or result == right
