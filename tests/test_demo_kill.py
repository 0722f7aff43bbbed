"""Kill any one party in the middle of the real program: the others stop, and say who and where."""

import sys
from pathlib import Path
from typing import Any

import pytest
from fakes.runs import REAL, DemoRun, wait_until_none_left

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]

NAMES = {"bank", "fintech", "government", "telecom"}


def in_the_middle(folder: Path) -> DemoRun:
    """A run that has just begun to train."""
    run = DemoRun([*REAL, "--businesses", "300", "--out", str(folder)], folder)
    run.wait_for("train, joint: started")
    return run


def check(run: DemoRun, party: str, code: str) -> dict[str, Any]:
    status, document = run.finish()
    assert status == 1
    error: dict[str, Any] = document["error"]
    assert (error["code"], error["party"]) == (code, party)
    assert error["step"] and error["cause"] and error["remedy"]
    assert set(error["parties"]) == NAMES, "every party said how it ended"
    for other in error["parties"].values():
        assert other["party"] and other["step"]
    wait_until_none_left(run.folder)
    return error


@pytest.mark.parametrize("party", ["bank", "government"])
def test_a_killed_worker_stops_the_others(tmp_path: Path, party: str) -> None:
    run = in_the_middle(tmp_path / "run")
    run.kill_worker(party)
    error = check(run, party, "worker_lost")
    assert "SIGKILL" in error["cause"]


@pytest.mark.parametrize("party", ["bank", "telecom"])
def test_a_killed_node_stops_the_others(tmp_path: Path, party: str) -> None:
    run = in_the_middle(tmp_path / "run")
    run.kill_node(party)
    check(run, party, "node_lost")
