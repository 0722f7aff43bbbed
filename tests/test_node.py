"""Nodes, bus and workers as real processes around a program that computes nothing.

What the demo does with the real program is in `test_demo.py`; here are the ways to fail that need
a program that crashes or waits on purpose.
"""

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from fakes.runs import FAKE, DemoRun, wait_until_none_left

from parties.audit import verify_log
from parties.store import Store

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]

NAMES = ("bank", "fintech", "government", "telecom")


def run(folder: Path, hold: str = "", crash: str = "", measurement: str = "") -> DemoRun:
    return DemoRun([*FAKE, str(folder), hold, crash, measurement], folder)


def held(folder: Path) -> DemoRun:
    """A run in which every party waits in the step woe_iv."""
    started = run(folder, hold="woe_iv")
    started.wait_for("join rows: done")
    return started


def audit(folder: Path, party: str) -> list[dict[str, Any]]:
    home = folder / "parties" / party
    directory = json.loads((home / "node.json").read_text())["directory"]
    return verify_log(home / "audit.jsonl", directory[party])


def test_four_organisations_agree_run_and_sign(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    status, document = run(folder).finish()
    assert status == 0
    assert document["parties"] == list(NAMES)
    assert set(document["receipts"]) == set(NAMES)
    wait_until_none_left(folder)
    for party in NAMES:
        home = folder / "parties" / party
        assert [path.name for path in (home / "data").iterdir()] == [f"{party}.csv"]
        for private in ("node.json", "identity.key", "node.db", "audit.jsonl", "node.log"):
            assert (home / private).stat().st_mode & 0o077 == 0, private
        events = [(entry["event"], entry["details"]) for entry in audit(folder, party)]
        states = [details["state"] for event, details in events if event == "job"]
        assert states == ["proposed", "approved", "ready", "running", "finished"]
        store = Store(home / "node.db")
        assert len(store.receipts(document["job_id"])) >= 1
        store.close()
    (result,) = folder.glob("parties/bank/jobs/*/result.json")
    assert result.stat().st_mode & 0o077 == 0
    assert not list(folder.glob("parties/*/jobs/*/*key*"))


def test_other_code_than_the_manifest_names_runs_nowhere(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    status, document = run(folder, measurement="00" * 32).finish()
    assert status == 1
    error = document["error"]
    assert (error["code"], error["step"]) == ("refused", "approve")
    assert "measurement: the manifest names 0000000000000000" in error["cause"]
    assert not list(folder.glob("parties/*/jobs/*"))
    for party in NAMES:
        (decided,) = [e["details"] for e in audit(folder, party) if e["event"] == "decided"] or [
            {"approved": False}
        ]
        assert not decided["approved"]
    wait_until_none_left(folder)


def test_a_crash_names_party_and_step_but_quotes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    crashed = run(folder, hold="evaluate", crash="train_joint")
    status, document = crashed.finish()
    assert status == 1
    error = document["error"]
    assert (error["code"], error["party"], error["step"]) == (
        "worker_error",
        "fintech",
        "train_joint",
    )
    assert set(error["parties"]) == set(NAMES)
    wait_until_none_left(folder)
    secret = "value-of-a-row"
    assert secret not in json.dumps(document) + "".join(crashed.narration)
    for path in folder.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


def test_a_lost_worker_stops_the_job_everywhere(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    demo = held(folder)
    demo.kill_worker("telecom")
    status, document = demo.finish()
    assert status == 1
    error = document["error"]
    assert (error["code"], error["party"], error["step"]) == ("worker_lost", "telecom", "woe_iv")
    assert "SIGKILL" in error["cause"]
    assert {other["party"] for other in error["parties"].values()} == {"telecom"}
    wait_until_none_left(folder)


@pytest.mark.parametrize("party", ["telecom", "bank"])
def test_a_lost_node_stops_the_job_everywhere(tmp_path: Path, party: str) -> None:
    folder = tmp_path / "run"
    demo = held(folder)
    demo.kill_node(party)
    status, document = demo.finish()
    assert status == 1
    error = document["error"]
    assert (error["code"], error["party"]) == ("node_lost", party)
    assert error["step"]
    assert set(error["parties"]) == set(NAMES)
    for other in set(NAMES) - {party}:
        last = [entry for entry in audit(folder, other) if entry["event"] == "job"][-1]
        assert last["details"]["state"] == "failed"
        assert last["details"]["error"]["party"] == party
    wait_until_none_left(folder)


def test_a_lost_broker_stops_the_demo(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    demo = held(folder)
    demo.kill_broker()
    status, document = demo.finish()
    assert status == 1
    assert document["error"]["code"] == "broker_lost"
    wait_until_none_left(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_cleans_up(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "run"
    demo = held(folder)
    demo.signal(number)
    status, document = demo.finish()
    assert status == 1
    assert document["error"]["code"] == "interrupted"
    wait_until_none_left(folder)


def test_nothing_outlives_a_killed_demo(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    demo = held(folder)
    demo.signal(signal.SIGKILL)
    status, document = demo.finish()
    assert (status, document) == (-signal.SIGKILL, None)
    wait_until_none_left(folder)
