"""`sepc stats` on real nodes: four that compute, a regulator that only receives, and five banks of
which some bring bad data, or none in time."""

import contextlib
import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.fleet import Fleet
from stats_kit import codes_of

from parties.audit import verify_log
from parties.stats.world import write_table
from protocols.stats.fund_flow import FundFlowParameters
from protocols.stats.plain.programs import fund_flow_table
from protocols.stats.rules import Rules

pytestmark = [
    pytest.mark.live,
    # Three jobs of ten nodes took 218 s on two cores that had five other things to do.
    pytest.mark.timeout(900),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]

COMPUTE = ("auditor", "centre", "exchange", "registry")
BANKS = ("bank-a", "bank-b", "bank-extreme", "bank-broken", "bank-late")
REGIONS, PERIODS = ("east", "west"), ("2025Q1", "2025Q2")
RULES = {"minimum": 3, "zeros": False, "dominance": [2, 100], "p_ratio": 0}
SECRET = 47_654_321_098
"""Digits enough that no hash or signature has them by chance: seven are in one run of 2,000."""


def loans(seed: int) -> dict[str, Any]:
    """One bank's rows; one amount is found nowhere else."""
    rng = np.random.default_rng(seed)
    n = 90
    outstanding = rng.integers(1000, 90_000, n)
    outstanding[0] = SECRET
    return {
        "region": rng.choice(REGIONS, n).tolist(),
        "period": rng.choice(PERIODS, n).tolist(),
        "outstanding": outstanding,
        "scores": np.column_stack([rng.random(n) < 0.2, *np.zeros((3, n))]).astype(float),
    }


def question(folder: Path, **changes: Any) -> Path:
    """The regulator's configuration."""
    fields = {
        "title": "Use of credit funds", "delivery": "d1", "banks": BANKS, "regions": REGIONS,
        "periods": PERIODS, "quorum": 2, "by_institution": False, "compute": COMPUTE,
        "seconds": 300, "approve_seconds": 200, "submit_seconds": 100,
        "rules": RULES, **changes,
    }  # fmt: skip
    path = folder / "question.json"
    path.write_text(json.dumps(fields), encoding="utf-8")
    return path


def ask(fleet: Fleet, folder: Path, out: str, attempt: bool = False, **changes: Any) -> Any:
    """The document of `sepc stats fund-flow`, which fails if it is an `attempt`."""
    order = fleet.attempt if attempt else fleet.sepc
    words = ("--config", question(folder, **changes), "--out", folder / out, "--verified")
    found = order("regulator", "stats", "fund-flow", *words)
    return found["error"] if attempt else found


def test_bad_and_late_banks_are_named_and_no_two_releases_can_be_subtracted(
    tmp_path: Path,
) -> None:
    rows = {bank: loans(k) for k, bank in enumerate(BANKS)}
    with Fleet(
        tmp_path / "run",
        names=("regulator", *COMPUTE, *BANKS),
        modules={"bank-extreme": "fakes.bad_bank"},
    ) as fleet:
        for bank, own in rows.items():
            columns = {**own, "securities": own["scores"][:, 0]}
            columns.pop("scores")
            if bank == "bank-broken":
                columns["outstanding"] = ["much"] * len(own["region"])
            if bank != "bank-late":
                write_table(table_of(fleet, bank), columns)

        first = ask(fleet, tmp_path, "first")
        assert first["institutions"] == ["bank-a", "bank-b"]
        assert first["refused"] == {
            "bank-extreme": "1 numbers are outside of what the manifest allows",
            "bank-broken": "nothing was submitted",
            "bank-late": "nothing was submitted",
        }
        document = json.loads((tmp_path / "first" / "release.json").read_text())
        check_values(document, {bank: rows[bank] for bank in first["institutions"]})
        check_what_nodes_know(fleet, first, tmp_path)

        # Another table over the same rows, also by a regulator that has forgotten its ledger.
        fleet.stop("regulator")
        with contextlib.closing(sqlite3.connect(fleet.homes["regulator"] / "node.db")) as database:
            database.execute("delete from releases")
            database.commit()
        (fleet.homes["regulator"] / "jobs" / first["job_id"] / "committed.json").unlink()
        fleet.start("regulator")
        refused = ask(fleet, tmp_path, "second", attempt=True, by_institution=True)
        assert (refused["code"], refused["party"] in COMPUTE) == ("refused", True)
        assert "ledger: differencing" in refused["cause"]

        # The same table with one bank more: their difference would be that bank's.
        write_table(table_of(fleet, "bank-late"), columns)
        stopped = ask(fleet, tmp_path, "third", attempt=True)
        assert stopped["code"] == "differencing"
        assert "over 2 institutions, now 3 count" in stopped["cause"]
        assert not (tmp_path / "second").exists() and not (tmp_path / "third").exists()


def table_of(fleet: Fleet, bank: str) -> Path:
    """Where a bank's loans lie."""
    return fleet.homes[bank] / "data" / "fund-flow" / "loans.csv"


def check_values(document: dict[str, Any], rows: dict[str, Any]) -> None:
    """The release is that of the twin over the banks that count."""
    parameters = FundFlowParameters(
        tuple(rows), REGIONS, PERIODS, False, rules=Rules(3, False, (2, 100), 0)
    )
    twin = fund_flow_table(parameters, rows)
    spec = parameters.joint(tuple(rows))
    np.testing.assert_array_equal(codes_of(document, spec), twin.code)
    assert (twin.code == 0).all()
    for cell, place in zip(document["cells"], np.ndindex(*spec.extended), strict=True):
        assert cell["values"]["rows"] == twin.rows[place]
        for name, totals in twin.totals.items():
            assert cell["values"][name] == totals[place]
    record = document["record"]
    assert record["approvals"] == ["auditor", "centre", "exchange", "registry", "regulator",
                                   "bank-a", "bank-b"]  # fmt: skip


def check_what_nodes_know(fleet: Fleet, first: dict[str, Any], folder: Path) -> None:
    """Receipts, audit logs, a bank's own result, and no amount anywhere but at its owner."""
    for name in (*COMPUTE, "bank-a", "bank-extreme"):
        fleet.finished(name, first["job_id"])
    while True:  # receipts are on their way
        job = fleet.sepc("regulator", "job", "show", first["job_id"])
        assert job["state"] == "finished"
        if set(COMPUTE) <= set(job["receipts"]):
            break
    assert "receives" not in json.dumps(job["learned"]["bank-a"])
    for name in ("regulator", "centre", "bank-a"):
        directory = json.loads((fleet.homes[name] / "node.json").read_text())["directory"]
        log = verify_log(fleet.homes[name] / "audit.jsonl", directory[name])
        decided = [e["details"] for e in log if e["event"] == "decided"]
        assert {c["name"] for c in decided[0]["checks"]} >= {"ledger", "measurement", "outputs"}
    own = fleet.sepc("bank-extreme", "stats", "own", first["job_id"])
    assert (own["accepted"], own["reason"]) == (False, first["refused"]["bank-extreme"])
    assert fleet.sepc("bank-a", "stats", "own", first["job_id"])["accepted"]
    for name, home in fleet.homes.items():
        for path in home.rglob("*"):
            if path.is_file() and path.name != "loans.csv":
                assert str(SECRET).encode() not in path.read_bytes(), (name, path)


