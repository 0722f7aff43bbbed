"""Fund tracing as the parties run it, against the twin in the clear, pandas and real invoices; and
what banks can do that send something else than they should."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from engine_kit import secret
from stats_kit import GEOMETRY, RECORD
from test_traffic import traffic
from tracing_kit import KEY, OPEN, check, consortium, matrices, random_rows, run, same

from engine.cluster import run_cluster
from engine.errors import EngineError
from protocols.stats.costs import described_cost
from protocols.stats.fund_tracing import STEPS, published
from protocols.stats.handed import pack, put_together
from protocols.stats.joins import described
from protocols.stats.plain.attack import interval
from protocols.stats.plain.fund_tracing import fund_tracing_table
from protocols.stats.rules import SECONDARY, SHOWN, Rules
from protocols.stats.tracing_data import bank_rows, group_rows_of

INVOICES = Path(__file__).resolve().parents[1] / "../shared/data/invoices"
GROUPED = {"groups": "registry", "companies": 4}


@pytest.mark.parametrize("seed, changes", [
    (0, {"own": True, "rule": "tainted-first"}), (1, {"hops": 3, **GROUPED}),
    (2, {"by_institution": True, "own": True, "percent": (100, 1), **GROUPED}),
    (3, {"rules": Rules(minimum=2), "rule": "tainted-first", "hops": 1, "window": 0}),
])
def test_random_worlds_of_banks(seed, changes):
    p = consortium([f"bank {k}" for k in range(10)], **changes)
    rows, said = random_rows(p, seed), []
    results = run(p, matrices(p, rows), taken=said.append, progress=lambda name, state: None)
    twin = check(p, rows, results)
    assert said == [p.banks] * 4
    assert list(results[0]["steps"]) == list(STEPS)
    assert set(results[0]["own"]) == (set(p.banks) if p.own else set())
    assert twin.table.rows[..., 1:].any(), "something is flagged"
    document = results[1]["outputs"]
    for cell, share in zip(document["cells"], document["derived"]["lent_share"], strict=True):
        if cell["status"] == "shown" and cell["place"]["flow"] == "lent":
            assert share == 1.0 or cell["values"]["amount"] == 0


def test_many_small_cases_at_once():
    """Every bank is a case of its own: its accounts pay each other only."""
    p = consortium([f"case {k}" for k in range(60)], own=True, payments=20, loans=4, accounts=4,
                   percent=(1, 1))
    rows = random_rows(p, 5)
    for bank, own in rows.items():
        own["payments"]["payee_bank"] = [bank] * len(own["payments"]["payer"])
    twin = check(p, rows, run(p, matrices(p, rows)))
    flags = [sum(map(len, twin.flags(bank).values())) for bank in rows]
    assert 10 < sum(f > 0 for f in flags) < 60


def test_the_twin_agrees_with_pandas_on_thousands_of_small_cases():
    """Hop by hop, the last tainted inflow before each payment by `merge_asof`."""
    p = consortium([f"case {k}" for k in range(2000)], amount_bits=10)
    rows = random_rows(p, 6)
    paid = pd.concat([pd.DataFrame(own["payments"]).assign(bank=b) for b, own in rows.items()],
                     ignore_index=True)
    # Payments stay within twenty banks, so that some are between two.
    first = paid.bank.str.slice(5).astype(int) // 20 * 20
    paid["payee_bank"] = [f"case {k}" for k in
                          first + np.random.default_rng(7).integers(0, 20, len(paid))]
    for bank, own in paid.groupby("bank"):
        rows[bank]["payments"] = {c: own[c].tolist() for c in rows[bank]["payments"]}
    loans = pd.concat([pd.DataFrame(own["loans"]).assign(bank=b) for b, own in rows.items()],
                      ignore_index=True)
    told = pd.concat([pd.DataFrame(own["accounts"]).assign(bank=b) for b, own in rows.items()])
    paid = paid.merge(told, "left", left_on=["payee_bank", "payee"], right_on=["bank", "account"],
                      suffixes=("", "_payee"))
    paid["payer"], paid["payee"] = paid.bank + paid.payer, paid.payee_bank + paid.payee
    start = pd.DataFrame({"owner": loans.bank + loans.account, "at": loans.day, "got": loans.amount,
                          "loan": loans.index, "order": len(paid) + loans.index})
    reached, inflow = np.zeros((len(loans), 2), np.int64), start[start.got > 0]
    for _ in range(p.hops):
        inflow = inflow.sort_values(["at", "order"], kind="stable")
        out = paid.reset_index(names="order").sort_values("day", kind="stable")
        hop = pd.merge_asof(out, inflow[["owner", "at", "got", "loan"]], left_on="day",
                            right_on="at", left_by="payer", right_by="owner").dropna(subset="loan")
        hop["got"] = np.minimum(hop.amount, hop.got).astype(int)
        hop["loan"] = hop.loan.astype(int)
        lent = loans.loc[hop.loan]
        hop = hop[(hop.got > 0) & (hop.day.to_numpy() - lent.day.to_numpy() <= p.window)]
        home = hop.company.to_numpy() == loans.company.loc[hop.loan].to_numpy()
        np.add.at(reached[:, 0], hop.loan, hop.got * hop.restricted.fillna(0).astype(int))
        np.add.at(reached[:, 1], hop.loan, hop.got * home)
        inflow = pd.DataFrame({"owner": hop.payee, "at": hop.day, "got": hop.got, "loan": hop.loan,
                               "order": hop.order})
    expected = np.minimum(reached, loans.amount.to_numpy()[:, None])
    slices = loans.groupby("bank").indices
    for block in range(0, len(p.banks), 20):
        names = p.banks[block:block + 20]
        twin = fund_tracing_table(p, {name: rows[name] for name in names})
        for name in names:
            here = slices.get(name, np.zeros(0, int))
            np.testing.assert_array_equal(twin.amounts[name][:, 1:], expected[here])
            lent = loans.amount.to_numpy()[here, None]
            np.testing.assert_array_equal(twin.counts[name][:, 1:],
                                          (lent > 0) & (expected[here] * 10 >= lent))
    assert (expected.min(0) == 0).all() and (expected > 0).sum(0).min() > 300


def test_a_receiver_outside_gets_the_same():
    p = consortium(own=True)
    rows = random_rows(p, 8)
    results = run(p, matrices(p, rows), outside=True)
    messages = [pack(r["sealed"], r["public"], "job", GEOMETRY, k) for k, r in enumerate(results)]
    public, opened = put_together(messages, "job", GEOMETRY)
    assert all(r["outputs"] == {} for r in results)
    same(p, published(p, RECORD, public, opened), fund_tracing_table(p, rows), tuple(rows))


# -- banks that send something else ------------------------------------------------------------

BAD = {"payments": [(3, 1 << 20), (3, -1), (2, 6), (1, 10 << 57), (0, 1 << 57)],
       "loans": [(1, 6), (2, 1 << 20), (3, 1 << 61), (4, 2), (4, -1)],
       "accounts": [(0, 1 << 57), (1, -1), (2, 2)]}


def test_malformed_extreme_and_missing_rows_are_refused_by_name():
    wrong = [(part, *what) for part, each in BAD.items() for what in each]
    names = [f"bad {k}" for k in range(len(wrong))]
    p = consortium(["good 0", *names, "silent", "good 1"], quorum=2, rules=Rules(minimum=3))
    assert p.code_bits == 56
    rows = random_rows(p, 9)
    shared = matrices(p, rows)
    for name, (part, column, value) in zip(names, wrong, strict=True):
        shared[part][name][0, column] = value
    results = run(p, shared, missing=[("accounts", "silent")])
    said = results[0]["public"]["refused"]
    assert set(said) == {*names, "silent"}
    assert said.pop("silent") == "nothing was submitted"
    assert set(said.values()) <= {"1 numbers are outside of what the manifest allows",
                                  "2 numbers are outside of what the manifest allows"}
    check(p, {name: rows[name] for name in ("good 0", "good 1")}, results)


def test_banks_that_fail_in_different_parts_are_not_counted_together():
    p = consortium(quorum=2)
    shared = matrices(p, random_rows(p, 10))
    shared["payments"]["a"][0, 2] = p.days
    with pytest.raises(EngineError, match="1 of 3 submissions can be used, expected at least 2"):
        run(p, shared, missing=[("accounts", "b")])


def test_a_bank_describes_no_account_of_another_bank_and_pays_from_none():
    """b says of an account's tag what a's says of it, and states payments out of it."""
    p = consortium(("a", "b"), rules=OPEN, own=True, window=5)
    nothing = {"payer": [], "payee_bank": [], "payee": [], "day": [], "amount": []}
    rows = {
        "a": {"payments": {"payer": ["x"], "payee_bank": ["a"], "payee": ["y"], "day": [1],
                           "amount": [90]},
              "loans": {"account": ["x"], "region": ["east"], "day": [0], "amount": [100],
                        "company": ["X"]},
              "accounts": {"account": ["x", "y"], "company": ["X", "Y"], "restricted": [0, 0]}},
        "b": {"payments": {**nothing, "payer": ["y"], "payee_bank": ["b"], "payee": ["z"],
                           "day": [2], "amount": [90]},
              "loans": {"account": [], "region": [], "day": [], "amount": [], "company": []},
              "accounts": {"account": ["z", "y"], "company": ["Z", "X"], "restricted": [1, 1]}},
    }
    shared = matrices(p, rows)
    copied = bank_rows(p, "a", KEY, **{**rows["a"], "accounts": {
        "account": ["y"], "company": ["X"], "restricted": [1]}})["accounts"][0]
    shared["accounts"]["b"][1] = copied
    shared["payments"]["b"][0, 0] = copied[0]
    twin = check(p, rows, run(p, shared))
    assert twin.flags("a") == {"restricted": [], "back": []}


def test_what_a_caller_refuses_opens_nothing():
    def taken(names):
        raise EngineError("differencing", "not these")

    with pytest.raises(EngineError, match="differencing"):
        p = consortium()
        run(p, matrices(p, random_rows(p, 4)), taken=taken)


def test_no_linear_programme_narrows_what_is_withheld():
    regions, rules = ("n", "e", "w"), Rules(minimum=3)
    p = consortium([f"bank {k}" for k in range(4)], regions=regions, by_institution=True,
                   rules=rules, payments=80, loans=80, accounts=30, percent=(1, 1))
    rows = random_rows(p, 15)
    for own in rows.values():
        own["loans"]["region"] = np.random.default_rng(1).choice(
            regions, len(own["loans"]["amount"]), p=(0.6, 0.3, 0.1))
    twin = check(p, rows, run(p, matrices(p, rows)))
    spec, attacked = p.joint(p.banks), 0
    for flow in range(spec.shape[-1]):
        code, total = twin.table.code[..., flow], twin.table.totals["amount"][..., flow]
        hidden = code != SHOWN
        for target in np.flatnonzero((hidden & (code != SECONDARY)).ravel()):
            value = total.ravel()[target]
            _, high = interval(total, hidden, spec.shape[:-1], target)
            assert high - value >= max(1, rules.p_ratio * value / 100) - 1e-6 * max(1, value)
            attacked += 1
    assert attacked > 10 and (twin.table.code == SHOWN).sum() > 5


@pytest.mark.parametrize("change, says", [
    ({"day": [9]}, "payments, column day: 1 are outside"),
    ({"amount": [-4]}, "payments, column amount: 1 are outside"),
    ({"amount": [1 << 20]}, "1 are outside of 0 to 1048575"),
])
def test_what_a_bank_cannot_share_is_said_before_it_does(change, says):
    p = consortium()
    own = random_rows(p, 3)["a"]
    payment = {"payer": ["A0"], "payee_bank": ["b"], "payee": ["A1"], "day": [0], "amount": [5]}
    with pytest.raises(ValueError, match=says):
        bank_rows(p, "a", KEY, **{**own, "payments": {**payment, **change}})
    for part, columns, wrong in [
        ("accounts", {"account": ["x", "x"], "company": ["X", "Y"], "restricted": [0, 1]},
         "accounts: 1 are repeated"),
        ("accounts", {"account": ["x"], "company": ["X"], "restricted": [2]}, "1 are outside"),
        ("loans", {"account": ["x"], "region": ["up"], "day": [0], "amount": [1],
                   "company": ["X"]}, "1 values are none of"),
        ("payments", {name: column * 15 for name, column in payment.items()},
         "15 payments, but at most 14"),
    ]:
        with pytest.raises(ValueError, match=wrong):
            bank_rows(p, "a", KEY, **{**own, part: columns})
    with pytest.raises(ValueError, match="1 companies are repeated"):
        group_rows_of(consortium(**GROUPED), KEY, {"company": ["X", "X"], "group": ["G", "H"]})


@pytest.mark.parametrize("changes, says", [
    ({"percent": (0, 5)}, "expected 1 to 100"), ({"groups": "registry"}, "or neither"),
    ({"payments": 1 << 22, "amount_bits": 40}, "use a larger unit"),
    ({"payments": 1 << 20, "days": 1 << 20}, "fewer days"),
    ({"amount_bits": 40, "loans": 1 << 15}, "all loans"),
    ({"amount_bits": 40, "regions": tuple(map(str, range(1 << 19)))}, "cells"),
])
def test_parameters_are_checked(changes, says):
    with pytest.raises(ValueError, match=says):
        consortium(**changes)


# -- what accounts are told ----------------------------------------------------------------------


@pytest.mark.parametrize("n, k", [(20, 7), (5, 0), (1, 1), (30, 1)])
def test_tags_get_numbers_and_what_is_said_of_them_first(n, k):
    rng = np.random.default_rng(n)
    tags = rng.integers(0, 6, n) << 58
    table = np.column_stack([rng.integers(0, 8, k) << 58, rng.integers(-9, 99, (k, 2))])

    async def program(mpc):
        found = await described(mpc, secret(mpc, tags), secret(mpc, table, 2))
        return await mpc.output(list(found))

    numbers, attributes, found = run_cluster(program)[0]
    assert numbers.min() >= 0 and numbers.max() < n + k
    assert len(set(zip(tags, numbers, strict=True))) == len(set(tags)) == len(set(numbers))
    said = {}
    for tag, *values in table[::-1].tolist():
        said[tag] = values
    assert found.tolist() == [t in said for t in tags]
    assert attributes.tolist() == [said.get(t, [0, 0]) for t in tags]


def test_the_same_frames_whatever_accounts_there_are():
    async def program(mpc, data):
        found = await described(mpc, secret(mpc, data[0]), secret(mpc, data[1], 2),
                                fixed_shape=True)
        await mpc.output(found[0])

    alike = [np.zeros(9, int), np.zeros((3, 2), int)]
    unlike = [np.arange(9) << 50, np.array([[1 << 50, 7], [1 << 60, 8], [5, 9]])]
    first, second = (traffic(program, data, 4, 1) for data in (alike, unlike))
    assert first and first == second


@pytest.mark.parametrize("m, t", [(3, 1), (4, 1), (5, 2)])
def test_rounds_and_bytes_after_the_sort_are_those_of_the_formula(m, t):
    n, k, spent = 13, 4, []

    async def program(mpc):
        tags, table = secret(mpc, np.arange(n) % 5), secret(mpc, np.arange(3 * k).reshape(k, 3))
        key = secret(mpc, np.arange(n + k))
        for array in (tags, table, key):
            await array.ready()
        for job in ("sort", "all"):
            mpc.floor = mpc.meter.depth
            with mpc.meter.measure() as cost:
                if job == "sort":
                    await mpc.ordering(key, 62, True)
                else:
                    for found in await described(mpc, tags, table, fixed_shape=True):
                        await found.ready()
            spent.append((job, cost.rounds, cost.bytes_sent))

    run_cluster(program, m, t)
    rounds = {job: {r for j, r, _ in spent if j == job} for job in ("sort", "all")}
    sent = {job: sum(b for j, _, b in spent if j == job) for job in ("sort", "all")}
    formula = described_cost(n, k, 2, m, t)
    assert len(rounds["sort"]) == len(rounds["all"]) == 1
    assert min(rounds["all"]) - min(rounds["sort"]) == formula.rounds
    assert sent["all"] - sent["sort"] == formula.total_bytes


# -- real invoices -------------------------------------------------------------------------------


@pytest.mark.skipif(not INVOICES.exists(), reason="the invoices are not here")
def test_tracing_over_the_real_invoices():
    """Invoices of a month are payments of buyers to sellers at thirty banks; loans go to buyers a
    few days before they pay. Some sellers are of restricted sectors, by a keyed hash."""
    paid = duckdb.sql(
        "select buyer_id as payer, company_id as payee, date, amount::bigint as amount "
        f"from '{INVOICES}/credit_history_output.parquet' "
        "where date between '2018-03-01' and '2018-03-31' and status = 'valid' and amount >= 1 "
        "order by amount desc limit 600").df()

    def drawn(name, what, count):
        return blake2b(str(name).encode(), key=what, digest_size=4).digest()[0] % count
    # A firm both buys and sells in chains: sellers of the sample pay each other by turns.
    sellers = sorted(set(paid.payee))
    paid.loc[::3, "payer"] = [sellers[drawn(b, b"chain", len(sellers))] for b in paid.payer[::3]]
    paid["day"] = (pd.to_datetime(paid.date) - pd.Timestamp("2018-03-01")).dt.days
    firms = sorted({*paid.payer, *paid.payee})
    banks = tuple(f"bank {k:02d}" for k in range(30))
    at = {firm: banks[drawn(firm, b"assign", 30)] for firm in firms}
    lent = paid.iloc[::4].drop_duplicates("payer")
    rows = {}
    for bank in banks:
        own = paid[[at[f] == bank for f in paid.payer]]
        made = lent[[at[f] == bank for f in lent.payer]]
        held = [f for f in firms if at[f] == bank]
        rows[bank] = {
            "payments": {"payer": own.payer.tolist(), "payee_bank": [at[f] for f in own.payee],
                         "payee": own.payee.tolist(), "day": own.day.to_numpy(),
                         "amount": own.amount.to_numpy()},
            "loans": {"account": made.payer.tolist(), "company": made.payer.tolist(),
                      "region": [("east", "west")[drawn(f, b"region", 2)] for f in made.payer],
                      "day": np.maximum(made.day.to_numpy() - 2, 0),
                      "amount": made.amount.to_numpy()},
            "accounts": {"account": held, "company": held,
                         "restricted": [int(drawn(f, b"sector", 4) == 0) for f in held]}}
    p = consortium(
        banks, days=31, window=10, own=True, amount_bits=36, rules=Rules(minimum=3),
        **{part: max(len(next(iter(own[part].values()))) for own in rows.values())
           for part in ("payments", "loans", "accounts")})
    twin = check(p, rows, run(p, matrices(p, rows)))
    assert twin.table.rows[..., 1].max() > 10
    assert (twin.table.code == SHOWN).any()
