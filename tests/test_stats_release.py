"""Releases against the twin, and against an attacker with linear programmes, on small tables."""

from __future__ import annotations

import numpy as np
import pytest
from stats_kit import (
    FLAGGED,
    LOANS,
    RECORD,
    codes_of,
    random_loans,
    released,
    secret,
    shared_cells,
    spec_of,
)
from test_traffic import traffic

from engine.cluster import run_cluster
from protocols.stats import derived
from protocols.stats.cells import by_contributor, largest
from protocols.stats.grouping import group_rows, keys
from protocols.stats.perturb import Noise
from protocols.stats.plain.attack import interval
from protocols.stats.plain.tables import table
from protocols.stats.release import release
from protocols.stats.rules import MINIMUM, SECONDARY, SHOWN, Rules
from protocols.stats.spec import Measure
from protocols.stats.suppression import boxes

SMALL = Rules(minimum=3)


def compare(spec, rules, cell, values):
    """The document, after comparison with the twin; and the twin."""
    document = released(spec, rules, cell, values)
    twin = table(spec, rules, cell, values)
    np.testing.assert_array_equal(codes_of(document, spec), twin.code)
    for found, place in zip(document["cells"], np.ndindex(*spec.extended), strict=True):
        if found["status"] == "shown":
            assert found["values"] == {"rows": twin.rows[place],
                                       **{k: v[place] for k, v in twin.totals.items()}}
        else:
            assert found["values"] == {}
    return document, twin


@pytest.mark.parametrize("sizes, cases, rows, rules", [
    ((3,), 400, 8, SMALL),
    ((4, 3), 150, 45, SMALL),
    ((3, 4), 150, 60, Rules(minimum=4, dominance=(1, 60), p_ratio=25)),
    ((2, 3), 200, 50, Rules(minimum=0, zeros=False)),
    ((2, 2, 2), 100, 40, Rules(minimum=2, dominance=(4, 95), p_ratio=0)),
])
def test_a_thousand_random_tables(sizes, cases, rows, rules):
    spec = spec_of(*sizes, cases=cases)
    cell, values = random_loans(spec, cases * rows, len(sizes))
    document, twin = compare(spec, rules, cell, values)
    assert len(set(twin.code.ravel().tolist())) >= 3, "the cases should meet several rules"
    assert sum(document["record"]["withheld"].values()) == (twin.code != SHOWN).sum()


def test_several_measures_and_counts():
    measures = (LOANS, Measure("overdue", bits=30), FLAGGED)
    spec = spec_of(3, 3, measures=measures, cases=60)
    compare(spec, SMALL, *random_loans(spec, 60 * 80, 3))


@pytest.mark.parametrize("sizes, rows, rules, seed", [
    ((5, 4), 240, Rules(), 0), ((4, 4), 200, Rules(minimum=5, floor=50), 1),
    ((3, 3, 3), 420, Rules(minimum=6), 2), ((9,), 100, Rules(), 3),
    ((2, 6), 90, Rules(p_ratio=40), 4)])
def test_no_linear_programme_narrows_a_withheld_cell(sizes, rows, rules, seed):
    """The interval of every primary cell stays as wide as the rules say, also for one contributor.
    """
    spec = spec_of(*sizes)
    cell, values = random_loans(spec, rows, seed)
    document, twin = compare(spec, rules, cell, values)
    codes = codes_of(document, spec)
    hidden, total = codes != SHOWN, twin.totals["loans"]
    primary = np.flatnonzero(((codes != SHOWN) & (codes != SECONDARY)).ravel())
    assert len(primary)
    for target in primary:
        value = total.ravel()[target]
        need = max(rules.floor, rules.p_ratio * value / 100)
        _, high = interval(total, hidden, spec.shape, target)
        assert high - value >= need - 1e-6 * max(1, value)
        # A contributor knows its own part: the largest one, in a corner of the cell's box.
        best = twin.top["loans"][0].ravel()
        for insider in np.flatnonzero(hidden.ravel())[:4]:
            if insider != target:
                _, high = interval(total, hidden, spec.shape, target, {insider: best[insider]})
                assert high - value >= need - 1e-6 * max(1, value)
        count = twin.rows.ravel()[target]
        low, high = interval(twin.rows, hidden, spec.shape, target)
        assert high - count >= min(rules.minimum, 1) and high > low


def test_without_secondary_suppression_the_same_attack_succeeds():
    """What the tests above rule out does happen where only the primary rules are applied."""
    spec = spec_of(5, 4)
    cell, values = random_loans(spec, 240, 0)
    twin = table(spec, Rules(), cell, values)
    only = (twin.code != SHOWN) & (twin.code != SECONDARY)
    solved = 0
    for target in np.flatnonzero(only.ravel()):
        low, high = interval(twin.totals["loans"], only, spec.shape, target)
        solved += high - low < 1e-6 * max(1.0, high)
    assert solved


def test_small_cells_cannot_be_probed():
    """Rows that move between a small cell and the one withheld with it show nowhere."""
    spec, documents = spec_of(6), []
    for rows in (0, 1, 8, 9):
        cell = np.repeat(np.arange(6), [rows, 50 - rows, 20, 20, 20, 20])
        documents.append(released(spec, Rules(), cell, {"loans": np.full(len(cell), 100)}))
    assert documents[0]["cells"][0] == {"place": {"d0": "c0"}, "status": "minimum-cell",
                                        "values": {}}
    assert documents[0]["cells"][1]["status"] == "secondary"
    assert all(document == documents[0] for document in documents)


@pytest.mark.parametrize("limit", [10, 200, 10**6])
@pytest.mark.parametrize("sizes", [(2,), (7,), (3, 5), (2, 3, 4), (1, 4)])
def test_every_cell_has_a_box_without_corners_of_opposite_sign(sizes, limit):
    plan = boxes(spec_of(*sizes), limit)
    opposite = np.zeros((plan.cells, *plan.choices), bool)
    for corner in plan.corners:
        opposite |= corner.opposite
        own = np.arange(plan.cells).reshape(-1, *[1] * len(plan.choices))
        assert (corner.places != own).all()
    assert (~opposite).reshape(plan.cells, -1).any(1).all()


def test_institutions_as_contributors():
    """A bank with loans in many cells dominates totals that no single loan of it does."""
    spec = spec_of(3, 2)
    cell, values = random_loans(spec, 400, 5)
    bank = np.random.default_rng(5).choice(6, 400, p=[0.75, 0.05, 0.05, 0.05, 0.05, 0.05])
    sums = np.zeros((6, spec.cells), np.int64)
    np.add.at(sums, (bank, cell), values["loans"])

    async def program(mpc):
        cells = shared_cells(mpc, spec, cell, values)
        each = {"loans": secret(mpc, sums.reshape(6, *spec.shape))}
        return await release(mpc, spec, Rules(), cells, RECORD, contributions=each,
                             concentration=True)

    document = run_cluster(program)[0]
    twin = table(spec, Rules(), cell, values, bank)
    np.testing.assert_array_equal(codes_of(document, spec), twin.code)
    shares = derived.concentration(document, "loans"), derived.largest_share(document, "loans")
    for found, hhi, four, place in zip(document["cells"], *shares, np.ndindex(*spec.extended),
                                       strict=True):
        if found["status"] != "shown":
            assert hhi is None and four is None
            continue
        inner = [slice(None) if k == n else k for k, n in zip(place, spec.shape, strict=True)]
        own = sums.reshape(6, *spec.shape)[(slice(None), *inner)].reshape(6, -1).sum(1)
        assert hhi == pytest.approx((own / own.sum()) @ (own / own.sum()))
        assert four == pytest.approx(np.sort(own)[::-1][:4].sum() / own.sum())


@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_largest_of_many_lists(k):
    rng = np.random.default_rng(k)
    lists = -np.sort(-rng.integers(0, 50, (k, 7, 9)), axis=0)

    async def program(mpc):
        return await mpc.output([largest(mpc, secret(mpc, lists), 1),
                                 by_contributor(mpc, secret(mpc, lists[0]), k)])

    merged, single = run_cluster(program)[0]
    np.testing.assert_array_equal(merged, -np.sort(-lists.reshape(-1, 9), axis=0)[:k])
    np.testing.assert_array_equal(single, -np.sort(-lists[0], axis=0)[:k])


def test_rounded_tables_show_multiples():
    spec = spec_of(4, 3)
    cell, values = random_loans(spec, 400, 6)
    rules = Rules(rounding=5)
    document, twin = released(spec, rules, cell, values), table(spec, rules, cell, values)
    for found, rows, total in zip(document["cells"], twin.rows.ravel(),
                                  twin.totals["loans"].ravel(), strict=True):
        if found["status"] == "shown":
            assert found["values"] == {"rows": (rows + 2) // 5 * 5, "loans": (total + 2) // 5 * 5}


def test_percentiles_need_rows_on_both_sides():
    spec, bits = spec_of(3), LOANS.bits
    cell, amount = np.repeat(np.arange(3), [40, 19, 25]), np.arange(84) * 7 % 83

    async def program(mpc):
        key = keys(mpc, secret(mpc, cell), secret(mpc, amount), cells=3, bits=bits)
        cells = await group_rows(mpc, key, name="loans", cells=3, bits=bits,
                                 percentiles=(25, 50))
        return await release(mpc, spec, Rules(), cells, RECORD)

    found = run_cluster(program)[0]["cells"]
    ranked = [np.sort(amount[cell == k]) for k in range(3)]
    assert found[0]["values"]["loans.p25"] == ranked[0][9]
    assert found[0]["values"]["loans.p50"] == ranked[0][19]
    assert found[1]["withheld"] == {"loans.p25": "minimum-cell", "loans.p50": "minimum-cell"}
    assert found[2]["withheld"] == {"loans.p25": "minimum-cell"}
    assert found[2]["values"]["loans.p50"] == ranked[2][12]
    assert not any("p50" in figure for figure in found[3]["values"]), "totals have none"


def test_noise_keeps_the_table_additive_and_the_statuses():
    spec = spec_of(3, 3, measures=(FLAGGED,))
    cell, values = random_loans(spec, 900, 7)
    rules = Rules(minimum=0, zeros=False)
    document = released(spec, rules, cell, values, perturbation=Noise("laplace", epsilon=0.2))
    rows = np.array([c["values"]["rows"] for c in document["cells"]]).reshape(4, 4)
    np.testing.assert_array_equal(rows[:3].sum(0), rows[3])
    true = np.bincount(cell, minlength=9).reshape(3, 3)
    assert 0 < np.abs(rows[:3, :3] - true).max() < 200
    assert document["record"]["noise"]["epsilon"] == 0.2


def test_the_record_says_what_was_withheld_and_why():
    spec = spec_of(4)
    document = released(spec, Rules(), np.array([0] * 3 + [1] * 30 + [2] * 30 + [3] * 30),
                        {"loans": np.full(93, 5)})
    record = document["record"]
    assert record["withheld"] == {"minimum-cell": 1, "dominance": 0, "p-ratio": 0, "secondary": 1}
    assert record["rules"]["version"] == "1" and record["rules"]["dominance"] == [2, 90]
    assert {k: record[k] for k in ("what", "period", "institutions", "manifest_hash", "approvals",
                                   "measurement", "cells")} == {
        "what": "loans", "period": "2020", "institutions": ["a", "b"], "manifest_hash": "hash",
        "approvals": ["a", "b"], "measurement": "code", "cells": 5}


def test_only_receivers_see_the_table():
    spec = spec_of(3)

    async def program(mpc):
        cells = shared_cells(mpc, spec, [0, 1, 2] * 20, {"loans": np.arange(60)})
        return await release(mpc, spec, Rules(), cells, RECORD, receivers=2)

    results = run_cluster(program)
    assert [r is None for r in results] == [True, True, False, True]


def test_what_would_undo_rounding_or_noise_is_refused():
    spec = spec_of(2)

    async def program(mpc):
        cells = shared_cells(mpc, spec, [0], {"loans": [1]})
        await release(mpc, spec, Rules(rounding=5), cells, RECORD, concentration=True)

    with pytest.raises(ValueError, match="undo rounding"):
        run_cluster(program)


async def _program(mpc, data):
    spec = spec_of(3, 2)
    cells = shared_cells(mpc, spec, *data)
    await release(mpc, spec, SMALL, cells, RECORD, receivers=0)


def test_the_same_frames_whatever_is_withheld():
    rng = np.random.default_rng(0)
    data = [(np.zeros(5, int), {"loans": np.zeros(5, int)}),
            (rng.integers(0, 6, 300), {"loans": rng.integers(0, 999, 300)})]
    first, second = (traffic(_program, d, 4, 1) for d in data)
    assert first and first == second


def test_every_step_of_a_release_is_predicted():
    spent = []

    async def program(mpc):
        spec = spec_of(3, 2)
        cells = shared_cells(mpc, spec, [0, 1, 2] * 9, {"loans": np.arange(27)})
        await cells.ready()
        with mpc.meter.measure() as cost:
            await release(mpc, spec, SMALL, cells, RECORD)
        spent.append((cost.rounds, cost.bytes_sent, cost.predicted_total_bytes))

    run_cluster(program)
    assert {p for *_, p in spent} == {sum(b for _, b, _ in spent)}
    assert len({r for r, *_ in spent}) == 1


def test_figures_from_a_document():
    def cell(year, values, status="shown"):
        return {"place": {"year": year}, "status": status, "values": values}
    document = {"dimensions": [{"name": "year", "categories": ["1", "2", "3"]}], "cells": [
        cell("1", {"rows": 4, "x": 20, "x.squares": 120}), cell("2", {"rows": 5, "x": 30}),
        cell("3", {}, "dominance"), cell("total", {"rows": 12, "x": 80})]}
    assert derived.mean(document, "x") == [5, 6, None, 80 / 12]
    assert derived.variance(document, "x") == [5, None, None, None]
    assert derived.change(document, "x", "year") == [None, 0.5, None, None]
    assert derived.share_of(document, "x", "year") == [0.25, 0.375, None, 1.0]
    assert MINIMUM == 1, "codes are part of what opens"
