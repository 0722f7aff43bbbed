"""A party's own files for a statistic: from tables to matrices, and what comes back to it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.statistics_jobs import BANKS, REGISTER, manifest_of, write

from parties.errors import LocalError
from parties.list_work import keep_shares
from parties.manifest import Submission
from parties.stats import inside, outside
from parties.stats.orders import document_of
from parties.stats.own import edges_digest, matrices, submission
from parties.stats.terms import terms_of

PAYMENT: dict[str, list[Any]] = {
    "payer": ["1"], "payee_bank": ["bank-b"], "payee": ["2"], "day": ["2025-02-01"], "amount": [3],
}  # fmt: skip
ACCOUNT: dict[str, list[Any]] = {"account": ["1"], "company": ["R8"], "restricted": [1]}



def test_the_matrices_are_what_the_files_say(tmp_path: Path) -> None:
    green = terms_of(manifest_of("green-finance"))
    write(tmp_path, "carbon", company=["C1", "C2"], intensity=[7, 9])
    carbon = matrices(green, "environment", tmp_path, bytes(32))["carbon"]
    assert carbon.shape == (4, 3)
    assert sorted(carbon[:, 2].cumsum().tolist()) == [0, 0, 7, 9]
    np.testing.assert_array_equal(carbon[:, 0], carbon[:, 1].cumsum())
    write(tmp_path, "loans", company=["C1", "C3", "C1"], balance=[10, 20, 30], before=[8, 0, 31],
          green=[1, 0, 1], new=[0, 1, 1], overdue=[0, 0, 1])  # fmt: skip
    own = matrices(green, "bank-a", tmp_path, bytes(32))
    assert own["sums"].tolist() == [[3, 60, 40, 39, 50, 30, 30]]
    assert own["loans"][:, 1].tolist() == [10, 30, 0, 0, 0]
    assert own["loans"][0, 0] == own["loans"][1, 0] in carbon[:, 0]
    assert matrices(green, "bank-a", tmp_path, b"k" * 32)["loans"][0, 0] not in carbon[:, 0]

    related = terms_of(manifest_of("related-loans"))
    write(tmp_path, "companies", company=REGISTER)
    write(tmp_path, "loans", company=["R3", " r1"], lent=[5, 6])
    write(tmp_path, "edges", first=["R1"], second=["R2"], weight=[60])
    found = matrices(related, "bank-a", tmp_path, b"")
    assert found["loans"].tolist() == [[2, 5, 0], [0, 6, 0], [0, 0, 0], [0, 0, 0]]
    assert found["guarantees"].tolist() == [[0, 0], [0, 0]]
    edges = matrices(related, "registry", tmp_path, b"")["edges of registry"]
    assert edges.tolist() == [[0, 1, 60], [0, 0, 0], [0, 0, 0]]


def test_the_payments_of_a_bank_are_what_its_files_say(tmp_path: Path) -> None:
    terms = terms_of(manifest_of("fund-tracing"))
    write(tmp_path, "payments", payer=["1", "2"], payee_bank=["bank-b", "far away"],
          payee=["9", "8"], day=["2025-01-01", "2025-03-31 10:00:00"], amount=[5, 6])  # fmt: skip
    write(tmp_path, "accounts", account=["1", "2", "3"], company=["R1", "R2", "R1"],
          restricted=[0, 1, 0])  # fmt: skip
    write(tmp_path, "groups", company=["R1"], group=["G"])
    found = matrices(terms, "bank-a", tmp_path, bytes(32))
    assert found["payments"][:, 2:].tolist() == [[0, 5], [89, 6], [0, 0], [0, 0]]
    bits = terms.protocol.code_bits
    assert (found["payments"][:2, 1] >> bits).tolist() == [1, len(BANKS)]
    assert (found["accounts"][:2, 0] == found["payments"][:2, 0]).all()
    assert found["accounts"][0, 1] == found["accounts"][2, 1] != found["accounts"][1, 1]
    assert found["accounts"][:, 2].tolist() == [0, 1, 0] and not found["loans"].any()
    # What two banks call alike are two accounts, and one company.
    write(tmp_path, "loans", account=["1"], region=["west"], day=["2025-01-02"], amount=[7],
          company=["r1"])  # fmt: skip
    other = matrices(terms, "bank-b", tmp_path, bytes(32))
    assert other["loans"].tolist() == [
        [other["accounts"][0, 0], 1, 7, found["accounts"][0, 1], 1], [0] * 5]
    assert other["accounts"][0, 0] != found["accounts"][0, 0]
    assert list(matrices(terms, "registry", tmp_path, bytes(32))) == ["groups"]
    groups = matrices(terms, "registry", tmp_path, b"k" * 32)["groups"]
    assert groups.shape == (2, 2) and groups[0, 0] != found["accounts"][0, 1]


@pytest.mark.parametrize("program, party, files, says", [
    ("fund-flow", "bank-a", {}, "there is no file loans.csv"),
    ("fund-flow", "bank-a", {"loans": {"region": ["east"]}}, "no column period"),
    ("fund-flow", "bank-a", {"loans": {"region": ["north"], "period": ["2025Q1"],
                                       "outstanding": [1]}}, "1 values are none of"),
    ("fund-flow", "bank-a", {"loans": {"region": ["east"], "period": ["2025Q1"],
                                       "outstanding": [-77]}}, "1 are not whole numbers"),
    ("fund-flow", "bank-a", {"loans": {"region": ["east"], "period": ["2025Q1"],
                                       "outstanding": ["x"]}}, "1 rows are no numbers"),
    ("fund-flow", "bank-a", {"loans": {"region": ["east"], "period": ["2025Q1"],
                                       "outstanding": [1 << 40]}}, "outside of 0 to"),
    ("green-finance", "environment", {"carbon": {"company": ["A", "A"], "intensity": [1, 1]}},
     "1 are repeated"),
    ("green-finance", "bank-a", {"loans": {"company": ["A"] * 6, "balance": [1] * 6,
                                           "green": [1] * 6, "new": [0] * 6, "overdue": [0] * 6}},
     "6 loans, but at most 5"),
    ("green-finance", "bank-a", {"loans": {"company": ["A"], "balance": [1], "green": [2],
                                           "new": [0], "overdue": [0]}}, "neither 0 nor 1"),
    ("related-loans", "registry", {"companies": {"company": ["R1", "R2", "R9"]}},
     "the register of companies is not the one"),
    ("related-loans", "registry", {"companies": {"company": REGISTER}, "edges": {
        "first": ["R1"], "second": ["R8"], "weight": [1]}}, "1 are not in the register"),
    ("joint-table", "bank-a", {}, "there is no file loans.csv"),
    ("joint-table", "bank-a", {"loans": {"region": ["up"], "company": ["A"], "balance": [1]}},
     "1 values are none of"),
    ("joint-table", "registry", {"attribute": {"company": ["A", "A"], "industry": ["farm"] * 2}},
     "1 are repeated"),
    ("fund-tracing", "bank-a", {}, "there is no file payments.csv"),
    ("fund-tracing", "bank-a", {"payments": PAYMENT}, "there is no file accounts.csv"),
    ("fund-tracing", "bank-a", {"accounts": ACCOUNT, "payments": {**PAYMENT, "day": ["77"]}},
     "column day: 1 are not among the 90 days from 2025-01-01"),
    ("fund-tracing", "bank-a", {"accounts": ACCOUNT, "payments": {
        **PAYMENT, "day": ["2025-04-01"]}}, "column day: 1 are not among the 90 days"),
    ("fund-tracing", "bank-a", {"accounts": {**ACCOUNT, "restricted": [2]}, "payments": PAYMENT},
     "neither 0 nor 1"),
    ("fund-tracing", "bank-a", {"accounts": {k: v * 2 for k, v in ACCOUNT.items()},
                                "payments": PAYMENT}, "accounts: 1 are repeated"),
    ("fund-tracing", "registry", {"groups": {"company": ["A"] * 2, "group": ["B"] * 2}},
     "1 companies are repeated"),
])  # fmt: skip
def test_what_is_wrong_with_the_files_is_said_without_a_value(
    program: str, party: str, files: dict[str, Any], says: str, tmp_path: Path
) -> None:
    for stem, columns in files.items():
        write(tmp_path / "data" / program / "d1", stem, **columns)
    with pytest.raises(LocalError) as raised:
        submission(manifest_of(program), party, tmp_path)
    assert raised.value.code == "own_data" and says in raised.value.cause
    assert "R8" not in raised.value.cause and "-77" not in raised.value.cause


def test_files_of_a_delivery_come_before_those_of_the_program(tmp_path: Path) -> None:
    manifest = manifest_of()
    row = {"region": ["east"], "period": ["2025Q1"]}
    write(tmp_path / "data/fund-flow", "loans", **row, outstanding=["x"])
    write(tmp_path / "data/fund-flow/d1", "loans", **row, outstanding=[3])
    assert isinstance(submission(manifest, "bank-a", tmp_path), Submission)


def test_what_all_know_is_compared_with_the_manifest(tmp_path: Path) -> None:
    first, second = ["R1", "R3"], ["R2", "R1"]
    changes = {"public_edges": edges_digest(first, second), "guarantees": 0, "edges": {}}
    manifest = manifest_of("related-loans", **changes)
    write(tmp_path, "companies", company=REGISTER)
    write(tmp_path, "edges", first=first, second=second)
    files = {"data": str(tmp_path)}
    brought = inside.bring("c-two", manifest, terms_of(manifest), files, None)
    assert brought["known"].tolist() == [[0, 1], [2, 0]] and brought["before"] is None
    write(tmp_path, "edges", first=second, second=first)
    with pytest.raises(LocalError, match="the edges are not those"):
        inside.bring("c-two", manifest, terms_of(manifest), files, None)


def test_the_shares_of_a_period_come_back_as_they_were(tmp_path: Path) -> None:
    first = manifest_of("related-loans")
    kept = {"owed": np.arange(6, dtype=np.uint64).reshape(3, 2),
            "group": np.ones((3, 2), np.uint64)}  # fmt: skip
    keep_shares(tmp_path, first, kept)
    later = manifest_of("related-loans", period="2025Q2", follows=first.sha256())
    files = {"before": str(tmp_path / "shares.npz")}
    before = inside.bring("c-two", later, terms_of(later), files, None)["before"]
    assert set(before) == set(kept)
    for name, share in kept.items():
        np.testing.assert_array_equal(before[name], share)
    other = manifest_of("related-loans", period="2025Q2", follows="ab" * 32)
    with pytest.raises(LocalError, match="another version"):
        inside.bring("c-two", other, terms_of(other), files, None)


def test_what_the_parties_outside_make_of_what_they_are_handed() -> None:
    manifest = manifest_of("fund-tracing")
    terms = terms_of(manifest)
    public = {"institutions": list(BANKS), "refused": {}, "figures": ["rows", "amount"]}
    opened = {"codes": np.zeros((3, 3)), "figures": np.arange(18).reshape(2, 3, 3)}
    document = outside._release(terms, manifest, public, opened)
    assert document["cells"][1]["place"] == {"region": "east", "flow": "restricted"}
    assert document["cells"][1]["values"] == {"rows": 1, "amount": 10}
    assert document["traced"] == {"hops": 3, "window": 30, "rule": "tainted-first",
                                  "restricted": 10, "back": 10}  # fmt: skip
    assert document["record"]["manifest_hash"] == manifest.sha256()
    said = {"accepted": True, "reason": None}
    own = outside._own(terms, said, {"own": np.array([0, 3, 1, 2])})
    assert own == {**said, "own": {"restricted": [2, 3], "back": [2, 4]}}
    assert outside._own(terms, said, {}) == said


def test_lists_of_a_release() -> None:
    table = {"cells": []}
    found = document_of("green-finance", {"table": table, "bands": {"b": 1, "a": 1, "c": 0}}, [])
    assert found["lists"][0]["rows"] == [["c", 1], ["a", 2], ["b", 2]]
    outputs = {"table": table, "groups": [{"companies": [2, 0], "owed": 9}], "top_over_limit": True}
    found = document_of("related-loans", outputs, REGISTER)
    assert found["lists"][0]["rows"] == [["R3, R1", 9]]
    assert found["facts"] == {"top_over_limit": True}
