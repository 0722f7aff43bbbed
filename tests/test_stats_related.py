"""Related loans as the parties run them, period by period, against the twin in the clear."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import duckdb
import networkx
import numpy as np
import pandas as pd
import pytest
from stats_kit import GEOMETRY, RECORD, codes_of

from engine.cluster import run_cluster
from engine.errors import EngineError
from protocols.components import public_components
from protocols.stats.forms import padded
from protocols.stats.handed import pack, put_together
from protocols.stats.plain.related_loans import RelatedTwin
from protocols.stats.related_loans import (
    STEPS,
    Edges,
    RelatedParameters,
    published,
    related_loans,
)
from protocols.stats.rules import Rules
from protocols.stats.submission import prepare

INVOICES = Path(__file__).resolve().parents[1] / "../shared/data/invoices"
BANKS = ("a", "b", "c")


def consortium(**changes):
    given = {
        "companies": 9, "loans": 6, "guarantees": 3, "limit": 800, "bands": (300, 800),
        "edges": {"registry": Edges(8, 50, 100)}, "top": (2, 1500), "listed": True,
        "stop_early": True, "amount_bits": 20, "quorum": 2, "period": "2025Q1",
        "rules": Rules(minimum=1, dominance=(4, 100), p_ratio=0, zeros=False), **changes,
    }  # fmt: skip
    return RelatedParameters(given.pop("banks", BANKS), **given)


def period(parameters, seed):
    """Rows of one period by part and sender."""
    rng, n = np.random.default_rng(seed), parameters.companies
    rows = {"loans": {}, "guarantees": {}}
    for bank in parameters.banks:
        count = parameters.loans - 1
        rows["loans"][bank] = np.column_stack([
            rng.integers(0, n, count), rng.integers(0, 900, count), rng.integers(0, 90, count)])
        rows["guarantees"][bank] = rng.integers(0, n, (max(0, parameters.guarantees - 1), 2))
    for holder, terms in parameters.edges.items():
        edges = rng.integers(0, n, (terms.rows - 1, 3))
        edges[:, 2] = rng.integers(30, terms.largest + 1, len(edges))
        rows[f"edges of {holder}"] = {holder: edges}
    return rows


def submitted(parameters, rows, missing=()):
    return {part: {e.institution: prepare(padded(rows[part][e.institution], (e.rows, e.columns),
                                                 "rows"), e, GEOMETRY)
                   for e in expected if e.institution not in missing}
            for part, expected in parameters.expected("job").items()}


def run(parameters, rows, missing=(), before=None, outside=False, known=None, verified=False,
        **options):
    """Results at all parties; an earlier period's results are `before`."""
    messages = submitted(parameters, rows, missing)

    async def program(mpc):
        own = {part: {name: m[mpc.pid] for name, m in each.items()}
               for part, each in messages.items()}
        return await related_loans(
            mpc, parameters=parameters, job="job", messages=own, record=RECORD, known=known,
            before=before[mpc.pid]["keep"] if before else None, receivers=2, outside=outside,
            **options)

    return run_cluster(program, verified=verified)


def counted(parameters, rows, missing=()):
    """(loans, edges) that count, for the twin."""
    loans = np.concatenate([r for bank, r in rows["loans"].items() if bank not in missing])
    edges = [r for bank, r in rows["guarantees"].items() if bank not in missing]
    for holder, terms in parameters.edges.items():
        own = rows[f"edges of {holder}"][holder]
        edges.append(own[own[:, 2] >= terms.threshold, :2])
    return loans, np.concatenate(edges)


def same_table(outputs, twin):
    table = twin.table()
    np.testing.assert_array_equal(codes_of(outputs["table"], twin.parameters.spec), table.code)
    for cell, rows, owed in zip(outputs["table"]["cells"], table.rows.ravel(),
                                table.totals["owed"].ravel(), strict=True):
        assert not cell["values"] or cell["values"] == {"rows": rows, "owed": owed}
    assert outputs["top_over_limit"] == twin.top_over_limit()


def same(outputs, twin):
    assert outputs["groups"] == twin.groups() or sorted(map(str, outputs["groups"])) == sorted(
        map(str, twin.groups()))
    same_table(outputs, twin)
    shares = [s for s in outputs["table"]["derived"]["owed_share"][:-1] if s is not None]
    if len(shares) == len(outputs["table"]["cells"]) - 1:
        assert sum(shares) == pytest.approx(1)


def same_lists(outputs, twin):
    """As `same`, for companies near one over the limit."""
    assert sorted(g["companies"] for g in outputs["groups"]) == [[c] for c in sorted(twin.near())]
    assert {g["companies"][0]: g["owed"] for g in outputs["groups"]} == {
        c: twin.owed[c] for c in twin.near()}
    same_table(outputs, twin)
    shown = [c for c in outputs["table"]["cells"] if c["values"]]
    assert any(c["place"]["neighbourhood"] == "near" for c in shown)


def bits_of(results, bank):
    messages = [pack({"bits": (r["own"][bank], 0)}, {}, "job", GEOMETRY, p)
                for p, r in enumerate(results)]
    return put_together(messages, "job", GEOMETRY)[1]["bits"]


def test_periods_add_up():
    parameters, before = consortium(), None
    twin = RelatedTwin(parameters)
    for number in range(2):
        missing = ("b",) * number
        rows, said = period(parameters, number), []
        results = run(parameters, rows, missing, before, taken=said.append,
                      progress=lambda name, state: None)
        twin.add(*counted(parameters, rows, missing))
        banks = [bank for bank in BANKS if bank not in missing]
        assert said == [tuple(banks)] * 4
        assert [r["outputs"] == {} for r in results] == [True, True, False, True]
        assert set(results[0]["steps"]) == set(STEPS)
        same(results[2]["outputs"], twin)
        assert results[0]["public"]["refused"] == {b: "nothing was submitted" for b in missing}
        for bank in banks:
            own = rows["loans"][bank]
            assert bits_of(results, bank)[:len(own)].tolist() == [
                twin.over(company) for company in own[:, 0]]
        before = results


def test_a_receiver_outside_gets_the_same():
    parameters, rows = consortium(listed=True), period(consortium(), 9)
    results = run(parameters, rows, outside=True)
    messages = [pack(r["sealed"], r["public"], "job", GEOMETRY, p) for p, r in enumerate(results)]
    public, opened = put_together(messages, "job", GEOMETRY)
    outputs = published(parameters, RECORD, public, opened)
    twin = RelatedTwin(parameters)
    twin.add(*counted(parameters, rows))
    same(outputs, twin)
    for how, spoil in {
        "bad-result": lambda m: m[:-1], "results-disagree": lambda m: m[:-16] + bytes(16),
    }.items():
        wrong = [*messages[:3], spoil(messages[3])]
        with pytest.raises(EngineError) as raised:
            put_together(wrong, "job", GEOMETRY)
        assert raised.value.code == how
    with pytest.raises(EngineError, match="bad-result"):
        put_together(messages, "another job", GEOMETRY)
    with pytest.raises(EngineError, match="results-disagree"):
        other = pack(results[1]["sealed"], {**public, "refused": {"a": "x"}}, "job", GEOMETRY, 1)
        put_together([messages[0], other, *messages[2:]], "job", GEOMETRY)


@pytest.mark.parametrize("hops", [1, 2, 4])
def test_companies_near_a_borrower_over_the_limit(hops):
    parameters = consortium(hops=hops, limit=500, companies=20, loans=9, stop_early=False)
    rows = period(parameters, hops)
    results = run(parameters, rows)
    twin = RelatedTwin(parameters)
    twin.add(*counted(parameters, rows))
    alone = {c for c in range(20) if twin.owed[c] > 500}
    assert alone < twin.near(), "somebody is near who is not over the limit"
    same_lists(results[2]["outputs"], twin)
    for bank in BANKS:
        own = rows["loans"][bank]
        assert bits_of(results, bank)[:len(own)].tolist() == [twin.over(c) for c in own[:, 0]]
    assert list(results[0]["keep"]) == ["owed"]


def test_near_over_public_edges_in_a_later_period():
    parameters = consortium(hops=2, guarantees=0, edges={}, public=True, limit=500, listed=False)
    twin, before, known = RelatedTwin(parameters), None, np.array([[0, 3], [5, 3], [7, 8], [1, 1]])
    for number in range(2):
        rows = {"loans": period(consortium(), 40 + number)["loans"]}
        results = run(parameters, rows, before=before, known=known)
        twin.edges = []
        twin.add(np.concatenate(list(rows["loans"].values())), known)
        for bank in BANKS:
            own = rows["loans"][bank]
            assert bits_of(results, bank)[:len(own)].tolist() == [twin.over(c) for c in own[:, 0]]
        before, known = results, known[1:]
    nobody = run(parameters, rows, known=np.zeros((0, 2), np.int64))
    twin = RelatedTwin(parameters)
    twin.add(np.concatenate(list(rows["loans"].values())), [])
    assert [bits_of(nobody, b)[:5].tolist() for b in BANKS] == [
        [twin.over(c) for c in rows["loans"][b][:, 0]] for b in BANKS]


def test_public_edges_and_the_period_after():
    parameters = consortium(guarantees=0, edges={}, public=True)
    twin, before, known = RelatedTwin(parameters), None, np.array([[0, 3], [5, 3], [7, 8]])
    for number in range(2):
        rows = {"loans": period(consortium(), 20 + number)["loans"]}
        results = run(parameters, rows, before=before, known=known)
        twin.add(np.concatenate(list(rows["loans"].values())), known)
        same(results[2]["outputs"], twin)
        assert list(results[0]["keep"]) == ["owed"]
        # A later list of edges takes the place of the one before.
        before, known = results, np.array([[0, 3], [5, 3], [7, 8], [8, 1]])


def test_a_company_out_of_range_and_too_few_banks():
    parameters, rows = consortium(), period(consortium(), 3)
    rows["guarantees"]["c"][0, 1] = parameters.companies
    results = run(parameters, rows)
    assert results[0]["public"]["institutions"] == ["a", "b"]
    assert "outside of what the manifest allows" in results[0]["public"]["refused"]["c"]
    with pytest.raises(EngineError, match="too-few-submissions"):
        run(parameters, rows, missing=("a", "c"))


def test_what_a_caller_refuses_opens_nothing():
    def taken(names):
        raise EngineError("differencing", "not these")

    with pytest.raises(EngineError, match="differencing"):
        run(consortium(), period(consortium(), 4), taken=taken)


@pytest.mark.parametrize("changes, says", [
    ({"bands": (5, 5)}, "ascending"), ({"bands": (0,)}, "positive"), ({"companies": 1}, "1 comp"),
    ({"public": True}, "public"), ({"hops": 17}, "17 edges"),
])
def test_parameters_are_checked(changes, says):
    with pytest.raises(ValueError, match=says):
        consortium(**changes)
    with pytest.raises(ValueError, match="2 loans, but at most 1"):
        padded([[1, 2], [3, 4]], (1, 2), "loans")


def test_the_twin_agrees_with_networkx_and_pandas_on_thousands_of_small_graphs():
    """Groups, exposures, limits, bands; some cases without loans, or edges."""
    for seed in range(2000):
        rng = np.random.default_rng(seed)
        companies = int(rng.integers(2, 25))
        edges = rng.integers(0, companies, (int(rng.integers(30)) * (seed % 2), 2))
        loans = rng.integers(0, (companies, 900, 90), (int(rng.integers(30)) * (seed % 64 > 15), 3))
        parameters = consortium(companies=companies)
        twin, half = RelatedTwin(parameters), len(edges) // 2
        twin.add(loans[:5], edges[:half])
        twin.add(loans[5:], edges[half:])
        graph = networkx.Graph(edges.tolist())
        graph.add_nodes_from(range(companies))
        label = np.zeros(companies, int)
        for part in networkx.connected_components(graph):
            label[list(part)] = min(part)
        np.testing.assert_array_equal(label, public_components(edges, companies))
        changes = np.bincount(label[loans[:, 0]], loans[:, 1] - loans[:, 2], companies)
        assert {label[g]: s for g, s in twin.sums().items()} == {
            g: changes[g] for g in set(label.tolist())}
        if seed % 16 < 15:
            continue  # pandas takes its time
        sums = pd.Series(loans[:, 1] - loans[:, 2]).groupby(label[loans[:, 0]]).sum()
        over = sums[sums > parameters.limit]
        assert sorted((g["companies"][0], g["owed"]) for g in twin.groups()) == sorted(over.items())
        most = np.sort([*sums, *[0] * (len(set(label)) - len(sums))])[::-1][:2].sum()
        assert twin.top_over_limit() == (most > 1500)
        bands = np.histogram(sums[sums > 0], [1, 301, 801, 1 << 40])[0]
        assert twin.table().rows[:-1].tolist() == bands.tolist()


@pytest.mark.skipif(not INVOICES.exists(), reason="the invoices are not here")
def test_related_companies_over_the_real_invoices():
    """Firms that share their largest trading partners are related; their invoices of a year are
    loans of thirty banks. Groups on secret edges against networkx, exposures against pandas."""
    db = duckdb.connect()
    db.execute(f"""create table flow as select company_id as seller, buyer_id as buyer,
        sum(greatest(amount, 0))::bigint as amount, count(*) as n
        from '{INVOICES}/credit_history_output.parquet' where year(date) = 2018
        group by all having sum(greatest(amount, 0)) > 0""")
    pairs = db.sql("select seller, buyer, amount from flow order by amount desc limit 150").df()
    names = sorted({*pairs.seller, *pairs.buyer})
    place = {name: k for k, name in enumerate(names)}
    banks = tuple(f"bank {k:02d}" for k in range(30))
    bank = [blake2b(str(b).encode(), key=b"assign", digest_size=4).digest()[0] % 30
            for b in pairs.buyer]
    rows = {"loans": {}}
    units = (pairs.amount // 1000).to_numpy(int)
    for k, name in enumerate(banks):
        own = [i for i, b in enumerate(bank) if b == k]
        rows["loans"][name] = np.array(
            [(place[pairs.seller[i]], units[i], 0) for i in own], int).reshape(-1, 3)
    edges = np.array([(place[s], place[b], min(u, 10**9))
                      for s, b, u in zip(pairs.seller, pairs.buyer, units, strict=True)])
    rows["edges of tax office"] = {"tax office": edges}
    share = int(np.median(units))
    parameters = consortium(
        banks=banks, companies=len(names), loans=max(map(len, rows["loans"].values())),
        guarantees=0, limit=int(units.sum() // 10), bands=(1000, 10_000, 100_000), amount_bits=36,
        edges={"tax office": Edges(len(edges), share, 10**9)}, top=(10, int(units.sum() // 2)),
        quorum=30, rules=Rules())
    outputs = run(parameters, rows)[2]["outputs"]

    graph = networkx.Graph()
    graph.add_nodes_from(range(len(names)))
    graph.add_edges_from(edges[edges[:, 2] >= share, :2].tolist())
    owed = pairs.assign(unit=units).groupby("seller").unit.sum()
    sums = {tuple(sorted(c)): int(sum(owed.get(names[k], 0) for k in c))
            for c in networkx.connected_components(graph)}
    expected = {c: s for c, s in sums.items() if s > parameters.limit}
    assert {tuple(g["companies"]): g["owed"] for g in outputs["groups"]} == expected and expected
    twin = RelatedTwin(parameters)
    twin.add(np.concatenate(list(rows["loans"].values())), edges[edges[:, 2] >= share, :2])
    same(outputs, twin)
