"""What a node's ledger lets pass: the same table again, other rows, periods that follow."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from fakes.statistics_jobs import BANKS, COMPUTE, Home, manifest_of, write

from parties.lifecycle import State
from parties.stats.keeping import release_files


def test_the_ledger_refuses_differencing_and_lets_the_same_table_pass(tmp_path: Path) -> None:
    home = Home(tmp_path, "c-two")
    failed, first, again = manifest_of(), manifest_of(), manifest_of()
    other = manifest_of(by_institution=True)
    assert home.admit(failed) == {"ledger": True}
    assert home.admit(first) == {"ledger": False}, "the same table is being computed"
    home.end(failed, committed=False, state=State.FAILED)
    # A job that ended before anything could open binds nobody, not even to its own table.
    assert home.admit(other) == {"ledger": True}
    home.end(other, committed=False, state=State.CANCELLED)
    assert home.admit(first) == {"ledger": True}
    home.end(first, committed=True)
    assert home.admit(manifest_of(by_institution=True)) == {"ledger": False}
    assert home.admit(manifest_of(delivery="d2")) == {"ledger": False}, "other data, same rows"
    assert home.admit(manifest_of(regions=["east"])) == {"ledger": False}
    assert home.admit(manifest_of(periods=["2026Q1"])) == {"ledger": True}, "other rows"
    assert home.admit(again) == {"ledger": True}
    (tmp_path / "jobs" / again.job_id).mkdir()
    # What binds is in the database: a folder of jobs that was cleared away changes nothing.
    shutil.rmtree(tmp_path / "jobs" / first.job_id)
    assert home.admit(manifest_of(by_institution=True)) == {"ledger": False}
    counted = release_files(again, tmp_path, home.store)["counted"]
    assert json.loads(Path(counted).read_text())["institutions"] == list(BANKS)
    # A node that has ended in between knows all of it from its disk.
    home.store.close()
    assert Home(tmp_path, "c-two").admit(manifest_of(by_institution=True)) == {"ledger": False}


@pytest.mark.parametrize("program, budget, tables", [
    ("fund-flow", {}, 2), ("fund-flow", {"epsilon": 0.5}, 1), ("fund-flow", {"epsilon": 0.3}, 0),
    ("joint-table", {}, 3), ("joint-table", {"epsilon": 0.29}, 0),
])  # fmt: skip
def test_tables_with_noise_end_with_the_nodes_budget(
    program: str, budget: dict[str, float], tables: int, tmp_path: Path
) -> None:
    """Four figures of 0.1 each, or three with companies; the same table again has other noise, and
    costs as much."""
    home, allowed = Home(tmp_path, "c-two", **budget), 0
    again = {"fund-flow": "threshold", "joint-table": "periods_per_year"}[program]
    more: dict[str, Any] = {"percentiles": []} if program == "joint-table" else {}
    while True:
        asked = manifest_of(program, noise={"kind": "laplace", "epsilon": 0.1},
                            **{again: 1 + allowed % 2}, **more)  # fmt: skip
        if not home.admit(asked)["ledger"]:
            break
        home.end(asked, committed=True)
        allowed += 1
    assert allowed == tables
    exact = home.admit(manifest_of(program, **more))["ledger"]
    assert exact is (tables == 0), "an exact table would undo the noise of others"


@pytest.mark.parametrize("program, changes", [
    ("fund-tracing", {"percent": [10, 11]}), ("fund-tracing", {"hops": 4}),
    ("fund-tracing", {"rule": "latest"}), ("fund-tracing", {"start": "2025-01-02"}),
    ("fund-tracing", {"groups": {}}), ("fund-flow", {"threshold": 0.5}),
    ("fund-flow", {"weights": [1.0, 1.0, 1.0, 0.0]}), ("related-loans", {"limit": 11}),
    ("joint-table", {"distinct": False}), ("joint-table", {"percentiles": [25]}),
])  # fmt: skip
def test_the_same_table_with_another_threshold_is_another_table(
    program: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    home, first = Home(tmp_path, "c-two"), manifest_of(program)
    assert home.admit(first)["ledger"]
    home.end(first, committed=True)
    assert home.admit(manifest_of(program, **changes))["ledger"] is False
    said = {"title": "Once more", "submit_seconds": 90}
    assert home.admit(manifest_of(program, **said))["ledger"] is True


def test_tables_of_another_file_are_about_other_rows(tmp_path: Path) -> None:
    home, first = Home(tmp_path, "c-two"), manifest_of("joint-table")
    assert home.admit(first)["ledger"]
    home.end(first, committed=True)
    assert home.admit(manifest_of("joint-table", period="2026"))["ledger"] is True
    assert home.admit(manifest_of("joint-table", file="deposits"))["ledger"] is True
    coarser = [{"name": "region", "categories": ["east"]}]
    assert home.admit(manifest_of("joint-table", dimensions=coarser))["ledger"] is False


def test_days_that_were_traced_are_not_traced_again_under_another_name(tmp_path: Path) -> None:
    home, first = Home(tmp_path, "c-two"), manifest_of("fund-tracing")
    assert home.admit(first)["ledger"]
    home.end(first, committed=True)
    assert home.admit(manifest_of("fund-tracing", period="once more"))["ledger"] is False
    for start, allowed in (("2025-03-31", False), ("2025-04-01", True)):
        later = manifest_of("fund-tracing", start=start, period="2025Q2", delivery="d2")
        assert home.admit(later)["ledger"] is allowed


def test_a_bank_submits_no_other_data_under_a_name_it_has_used(tmp_path: Path) -> None:
    home, first = Home(tmp_path, "bank-a"), manifest_of()
    write(tmp_path / "data/fund-flow", "loans", region=["east"], period=["2025Q1"],
          outstanding=[5])  # fmt: skip
    assert home.admit(first) == {"ledger": True, "delivery": True}
    home.end(first, committed=True)
    write(tmp_path / "data/fund-flow", "loans", region=["east"], period=["2025Q1"],
          outstanding=[6])  # fmt: skip
    assert home.admit(manifest_of()) == {"ledger": True, "delivery": False}


def test_a_period_follows_only_what_the_node_holds(tmp_path: Path) -> None:
    home, first = Home(tmp_path, "c-two"), manifest_of("related-loans")
    assert home.admit(first)["ledger"]
    home.end(first, committed=True)
    later = {"period": "2025Q2", "follows": first.sha256()}
    assert home.admit(manifest_of("related-loans", **later))["follows"] is False, "no shares"
    (tmp_path / "jobs" / first.job_id / "shares.npz").touch()
    assert home.admit(manifest_of("related-loans", **later))["follows"] is True
    for change in ({"follows": "cd" * 32}, {"unit": "yuan"}):
        changed = {**later, "period": "2025Q3", **change}
        assert home.admit(manifest_of("related-loans", **changed))["follows"] is False
    other_mode = manifest_of("related-loans", verified=True, **{**later, "period": "2025Q5"})
    assert home.admit(other_mode)["follows"] is False
    reordered = manifest_of("related-loans", COMPUTE[::-1], **{**later, "period": "2025Q4"})
    assert home.admit(reordered)["follows"] is False
