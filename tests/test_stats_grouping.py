"""Group-by over secret keys against NumPy: values, costs, and traffic that tells nothing."""

from __future__ import annotations

import numpy as np
import pytest
from stats_kit import secret
from test_traffic import traffic

from engine.cluster import run_cluster
from protocols.stats.costs import after_sort_cost
from protocols.stats.grouping import contributors, group_rows, keys, lookup, partition
from protocols.stats.joins import attach, company_tags, reference

BITS = 20


def grouped(cell, amount, weight, flag, cells, **options):
    """Opened (rows, totals, top, squares, flagged, medians)."""

    async def program(mpc):
        w = secret(mpc, weight)
        key = keys(mpc, secret(mpc, cell), secret(mpc, amount), cells=cells, bits=BITS, weight=w)
        found = await group_rows(
            mpc, key, name="x", cells=cells, bits=BITS, spare=True, squares=True,
            carried={"flag": secret(mpc, flag, 1) * w}, percentiles=(50,), **options)
        x = found.measures["x"]
        return await mpc.output([found.rows, x.total, x.top, found.extra["x.squares"],
                                 found.measures["flag"].total, found.percentiles["x.p50"]])

    return run_cluster(program)[0]


def check(cell, amount, weight, flag, cells, largest):
    found = grouped(cell, amount, weight, flag, cells, largest=largest)
    for c in range(cells):
        own = (cell == c) & (weight == 1)
        best = np.sort(amount[own])[::-1]
        assert found[0][c] == own.sum()
        assert found[1][c] == best.sum()
        assert found[2][:, c].tolist() == [*best[:largest], *[0] * largest][:largest]
        assert found[3][c] == (best ** 2).sum()
        assert found[4][c] == flag[own].sum()
        if own.any():
            assert found[5][c] == np.sort(best)[-(-len(best) // 2) - 1]


@pytest.mark.parametrize("n, cells, largest, seed", [
    (1, 1, 2, 0), (2, 5, 1, 1), (40, 3, 4, 2), (150, 20, 2, 3)])
def test_cells_are_those_of_numpy(n, cells, largest, seed):
    rng = np.random.default_rng(seed)
    amount = rng.choice([0, 1, 5, (1 << BITS) - 1, 777], n)  # many ties, and both ends
    check(rng.integers(0, cells, n), amount, rng.integers(0, 2, n), rng.integers(0, 2, n), cells,
          largest)


def test_no_row_counts():
    check(np.zeros(4, int), np.arange(4), np.zeros(4, int), np.ones(4, int), 2, 2)


def test_the_key_must_fit_a_word():
    async def program(mpc):
        await group_rows(mpc, secret(mpc, [1]), name="x", cells=1000, bits=54)

    with pytest.raises(ValueError, match="62 bits"):
        run_cluster(program)


@pytest.mark.parametrize("m, t", [(3, 1), (4, 1), (5, 2)])
def test_rounds_and_bytes_after_the_sort_are_those_of_the_formula(m, t):
    n, cells, spent = 30, 4, []

    async def program(mpc):
        key = keys(mpc, secret(mpc, np.arange(n) % cells), secret(mpc, np.arange(n)), cells=cells,
                   bits=BITS)
        table = mpc.stack([secret(mpc, np.arange(n + cells))] * 2, 1)
        await key.ready()
        await table.ready()
        for job in ("sort", "group"):
            mpc.floor = mpc.meter.depth
            with mpc.meter.measure() as cost:
                if job == "sort":
                    await (await mpc.sort_rows(table, 0, BITS + 3, True)).ready()
                else:
                    await (await group_rows(mpc, key, name="x", cells=cells, bits=BITS,
                                            squares=True, fixed_shape=True)).ready()
            spent.append((job, cost.rounds, cost.bytes_sent, cost.predicted_total_bytes))

    run_cluster(program, m, t)
    rounds = {job: {r for j, r, *_ in spent if j == job} for job in ("sort", "group")}
    sent = {job: sum(b for j, _, b, _ in spent if j == job) for job in ("sort", "group")}
    formula = after_sort_cost(n, cells, cells, m, t, squares=True)
    assert len(rounds["sort"]) == len(rounds["group"]) == 1
    assert min(rounds["group"]) - min(rounds["sort"]) == formula.rounds
    assert sent["group"] - sent["sort"] == formula.total_bytes
    if m == 4:
        assert {p for j, *_, p in spent if j == "group"} == {sent["group"]}, "every step is listed"


def test_the_same_frames_whatever_the_rows():
    async def program(mpc, rows):
        key = keys(mpc, secret(mpc, rows[0]), secret(mpc, rows[1]), cells=3, bits=BITS)
        found = await group_rows(mpc, key, name="x", cells=3, bits=BITS, fixed_shape=True)
        await mpc.output(found.rows)

    data = [np.zeros((2, 9), int), np.array([np.arange(9) % 3, np.arange(9) * 1000])]
    first, second = (traffic(program, rows, 4, 1) for rows in data)
    assert first and first == second


def test_partition_is_stable_and_lookup_finds():
    rng = np.random.default_rng(4)
    bit, rows = rng.integers(0, 2, 50), np.arange(100).reshape(50, 2)
    places = rng.integers(0, 50, 7)

    async def program(mpc):
        table = secret(mpc, rows)
        moved = await partition(mpc, table, secret(mpc, bit, 2))
        return await mpc.output([moved, await lookup(mpc, table[:, 1], secret(mpc, places))])

    moved, found = run_cluster(program)[0]
    assert moved.tolist() == [*rows[bit == 1].tolist(), *rows[bit == 0].tolist()]
    assert found.tolist() == rows[places, 1].tolist()


def test_companies_at_several_institutions_count_once():
    rng = np.random.default_rng(5)
    cell, company, amount = rng.integers(0, 4, 60), rng.integers(0, 8, 60), rng.integers(0, 99, 60)

    async def program(mpc):
        own = await contributors(mpc, secret(mpc, cell), secret(mpc, company, 1),
                                 secret(mpc, amount, 2), contributor_bits=3, cell_bits=2)
        key = keys(mpc, own[0], own[1], cells=4, bits=BITS, weight=own[2])
        found = await group_rows(mpc, key, name="x", cells=4, bits=BITS, spare=True)
        return await mpc.output([found.rows, found.measures["x"].top])

    distinct, top = run_cluster(program)[0]
    for c in range(4):
        sums = np.bincount(company[cell == c], amount[cell == c], 8)
        assert distinct[c] == len(set(company[cell == c]))
        assert top[:, c].tolist() == np.sort(sums)[::-1][:2].tolist()


@pytest.mark.parametrize("known", [0, 1, 12, 30])
def test_rows_get_the_attributes_of_their_companies(known):
    rng = np.random.default_rng(known)
    names = np.array([f"C{k}" for k in range(30)], dtype=object)
    who, value = rng.integers(0, 30, 40), rng.integers(-1000, 1000, 30)
    key = b"k" * 32
    table = reference(company_tags(names[:known], key) if known else [], value[:known])
    order = rng.permutation(40)

    async def program(mpc):
        found = await attach(mpc, secret(mpc, company_tags(names[who[order]], key)),
                             secret(mpc, who[order].reshape(-1, 1)), secret(mpc, table, 3))
        return await mpc.output(list(found))

    columns, attributes, found = run_cluster(program)[0]
    rows = found == 1
    assert sorted(columns[rows, 0]) == sorted(who[who < known])
    assert (attributes[rows, 0] == value[columns[rows, 0]]).all()
    assert not attributes[~rows].any()


def test_a_company_twice_in_the_reference_is_refused():
    with pytest.raises(ValueError, match="twice"):
        reference([3, 3], [1, 2])
