"""`sepc demo` with the real program, as a user runs it, on small data."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fakes.runs import REAL, ROOT, DemoRun, wait_until_none_left

from parties import canonical
from parties.envelope import Envelope
from parties.identity import Directory
from parties.store import Store

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]

NAMES = ["bank", "fintech", "government", "telecom"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """One run for all tests of its results."""
    folder = tmp_path_factory.mktemp("demo") / "run"
    run = DemoRun([*REAL, "--businesses", "300", "--out", str(folder)], folder)
    status, document = run.finish()
    assert status == 0, (document, run.narration)
    wait_until_none_left(folder)
    return folder, document


def test_the_document_is_complete(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, document = finished
    assert document["parties"] == NAMES
    assert document["initiator"] == "bank"
    assert document["features"] == {"bank": 8, "fintech": 64, "government": 120, "telecom": 29}
    assert len(document["iv"]) == len(document["iv_plaintext"]) == 221
    for figure in ("auc", "ks"):
        assert set(document[figure]) == {"bank", "joint", "plaintext"}
    steps = {"join", "woe_iv", "select", "train_joint", "train_bank", "evaluate", "scorecard"}
    steps.add("open")
    assert steps <= set(document["cost"])
    for cost in document["cost"].values():
        assert set(cost) == {"rounds", "bytes_per_party", "multiplications"}
    assert steps | {"data", "start", "approve", "load", "connect", "plaintext", "total"} <= set(
        document["seconds"]
    )
    for per_party in ("rows", "peak_rss_mb", "learned", "learned_zh", "receipts"):
        assert set(document[per_party]) == set(NAMES)
    assert Path(document["report"]["html"]) == folder / "report.html"
    assert json.loads((folder / "report.json").read_text())["job_id"] == document["job_id"]


def test_secure_and_plain_agree(finished: tuple[Path, dict[str, Any]]) -> None:
    _, document = finished
    assert abs(document["auc"]["joint"] - document["auc"]["plaintext"]) <= 0.02
    assert abs(document["ks"]["joint"] - document["ks"]["plaintext"]) <= 0.05
    for feature, value in document["iv"].items():
        assert value == pytest.approx(document["iv_plaintext"][feature], abs=0.002), feature


def test_receipts_are_signed_for_what_was_received(
    finished: tuple[Path, dict[str, Any]],
) -> None:
    folder, document = finished
    config = json.loads((folder / "parties" / "bank" / "node.json").read_text())
    store = Store(folder / "parties" / "bank" / "node.db")
    receipts = store.receipts(document["job_id"])
    store.close()
    directory = Directory(config["directory"])
    assert set(receipts) == set(NAMES) - {"bank"}
    for party, data in receipts.items():
        content = canonical.parse(data)
        signature = content.pop("signature")
        signed = canonical.canonical(content)
        assert directory.verify(party, b"sepc/envelope/1", signed, signature)
        envelope = Envelope.model_validate_json(data)
        assert envelope.manifest_sha256 == document["manifest_sha256"]
        assert envelope.body["outputs_sha256"] == document["receipts"][party]["outputs_sha256"]
    for party in NAMES:
        (result,) = (folder / "parties" / party).glob("jobs/*/result.json")
        content = canonical.parse(result.read_bytes())
        kept = {"outputs": content["outputs"], "salt": content["salt"]}
        assert canonical.sha256(kept) == document["receipts"][party]["outputs_sha256"]
        assert (set(content["outputs"]) == {"features"}) == (party != "bank")


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*REAL, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT
    )


def test_bad_data_is_refused_before_anything_starts(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    (data / "bank.csv").write_text("company_id,default,a\nB1,0,1\nB1,1,x\n")
    done = demo("--data", str(data), "--out", str(out))
    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "data"
    assert error["step"] == "data"
    assert any(finding["column"] == "a" for finding in error["findings"])
    assert "bank.csv" in done.stderr
    assert not out.exists()


def test_an_output_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    done = demo("--businesses", "300", "--out", str(tmp_path))
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "out_not_empty"
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_deadline_that_is_too_short_ends_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = demo("--businesses", "300", "--out", str(folder), "--deadline", "3")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] in ("deadline", "expired")
    wait_until_none_left(folder)
