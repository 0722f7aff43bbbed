"""`sepc model` on four nodes, a broker and workers as real processes: from a job to a score."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.fleet import NAMES, Fleet

from models.parameters import CreditParameters
from models.scorecard import Scorecard
from parties.audit import verify_log
from parties.data import load_table
from parties.errors import LocalError
from parties.holdings import shape
from parties.measurement import measurement
from parties.model_orders import applicants, chosen
from parties.model_rows import read_rows
from parties.proposal import credit_manifest
from protocols.binning import bin_index, fit_breaks

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]

PARAMETERS = CreditParameters(
    max_bins=4, max_features=3, vif_max=None, correlation_max=None, iterations=2, examples=2,
    reasons=2, roc_points=5, bands=5, model="sme", scores_per_day=7,
)  # fmt: skip
ROWS = 150


def write_tables(homes: dict[str, Path]) -> None:
    rng = np.random.default_rng(11)
    risk = rng.normal(size=180)
    for name in NAMES:
        rows = rng.choice(180, ROWS, replace=False)
        lines = ["company_id," + ("default," if name == "bank" else "") + "a,b"]
        for r in rows:
            bad = f"{int(risk[r] + rng.normal() > 0.6)}," if name == "bank" else ""
            values = [f"{risk[r] + rng.normal():.4f}" for _ in range(2)]
            if rng.random() < 0.1:
                values[1] = ""
            lines.append(f"C{r:03d},{bad}{','.join(values)}")
        (homes[name] / "data").mkdir(exist_ok=True)
        (homes[name] / "data" / f"{name}.csv").write_text("\n".join(lines) + "\n")


def fields(name: str) -> dict[str, Any]:
    label = "default" if name == "bank" else None
    table = {"data": f"data/{name}.csv", "id_column": "company_id", "label": label}
    return {**table, "spare_worker": False}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fleet, dict[str, Any]]]:
    """Four nodes after a credit job, and the job's outputs."""
    folder = tmp_path_factory.mktemp("models")
    made = Fleet(folder / "run", {name: fields(name) for name in NAMES},
                 modules={name: "fakes.same_day" for name in NAMES})  # fmt: skip
    write_tables(made.homes)
    with made as fleet:
        tables = {n: load_table(fleet.homes[n] / "data" / f"{n}.csv", "company_id", "default")
                  for n in NAMES}  # fmt: skip
        directory = json.loads((fleet.homes["bank"] / "node.json").read_text())["directory"]
        manifest = credit_manifest(
            inputs={n: shape(t) for n, t in tables.items()}, keys=directory,
            parameters=PARAMETERS.to_json(), measurement=measurement(), now=time.time(),
            seconds=300,
        )  # fmt: skip
        path = folder / "manifest.json"
        path.write_text(json.dumps(manifest.document()))
        job = fleet.sepc("bank", "job", "propose", path)["job_id"]
        for name in NAMES:
            while True:
                event = fleet.events(name, "job")
                if event["job_id"] == job and event["state"] in ("finished", "failed", "refused"):
                    assert event["state"] == "finished", event
                    break
        result = json.loads((fleet.homes["bank"] / "jobs" / job / "result.json").read_text())
        yield fleet, result["outputs"]


def test_every_party_holds_a_draft_of_the_same_model(fleet: tuple[Fleet, dict[str, Any]]) -> None:
    nodes, outputs = fleet
    listed = {n: nodes.sepc(n, "model", "list")["models"] for n in NAMES}
    assert len({m[0]["identity"] for m in listed.values()}) == 1
    for (model,) in listed.values():
        assert (model["name"], model["version"], model["state"]) == ("sme", 1, "draft")
        assert model["features"] == len(outputs["features"])
    shown = {n: nodes.sepc(n, "model", "show", "sme") for n in NAMES}
    assert shown["bank"]["metrics"]["auc"] == outputs["auc"]["joint"]
    assert shown["telecom"]["metrics"] == {}
    for name in NAMES:
        # Each knows the limits of its own bins alone.
        own = [f for f in outputs["features"] if f.startswith(f"{name}.")]
        assert shown[name]["card"]["columns"] == [f.partition(".")[2] for f in own]
        for path in nodes.homes[name].glob("models/*/*/*"):
            assert path.stat().st_mode & 0o077 == 0


def test_only_a_live_model_scores_and_only_its_owner(fleet: tuple[Fleet, dict[str, Any]]) -> None:
    nodes, outputs = fleet
    for name, arguments, code in [
        ("bank", ("score", "sme", "--applicant", "C001"), "unknown_model"),
        ("bank", ("live", "sme"), "refused"),
        ("bank", ("approve", "other"), "unknown_model"),
        ("telecom", ("approve", "sme"), "not_owner"),
        ("bank", ("score", "sme"), "applicants"),
    ]:
        assert nodes.attempt(name, "model", *arguments)["error"]["code"] == code
    assert nodes.sepc("bank", "model", "approve", "sme")["state"] == "approved"
    nodes.sepc("bank", "model", "live", "sme")
    for name in NAMES:
        assert nodes.sepc(name, "model", "list")["models"][0]["state"] == "live"

    tables = {n: load_table(nodes.homes[n] / "data" / f"{n}.csv", "company_id", "default")
              for n in NAMES}  # fmt: skip
    one = outputs["examples"][0]
    model = chosen(nodes.homes["bank"], "sme", None, live=True)
    [who], row = applicants(nodes.homes["bank"], model, one["applicant"], None)
    own = {"a": np.nan, "b": np.nan} | {column: value.item() for column, value in row.items()}
    # Examples are drawn at random: it may be one of these.
    first, second, *_ = (c for c in ("C007", "C008", "C009") if c != who)
    asked = [(first, 0.5, np.nan), ("NEW1", -2, 3), (second, 1, 1), (who, own["a"], own["b"])]
    file = nodes.homes["bank"].parent / "applicants.csv"
    lines = [",".join("" if value != value else str(value) for value in row) for row in asked]
    file.write_text("\n".join(["company_id,a,b", *lines]) + "\n")
    done = nodes.sepc("bank", "model", "score", "sme", "--file", file, "--reasons", 2)
    assert done["answers"][3] == one
    card = Scorecard(tuple(outputs["features"]), np.array(outputs["card"]["points"]),
                     outputs["card"]["base"], None)  # type: ignore[arg-type]  # fmt: skip
    for (who, a, b), answer in zip(asked, done["answers"], strict=True):
        bins = []
        for feature in card.features:
            party, _, column = feature.partition(".")
            values, place = tables[party].columns[column], tables[party].ids == who
            value = [{"a": a, "b": b}[column]] if party == "bank" else values[place]
            known = value if len(value) else [np.nan]
            bins.append(bin_index(known, fit_breaks(values, 4), 4)[0])
        assert (answer["applicant"], answer["score"]) == (who, card.score([bins])[0])
    assert 0 < done["compute_seconds"] < done["seconds"]
    # Four of seven: three are left of the day, at every node.
    assert done["left_today"] == 3
    refused = nodes.attempt("bank", "model", "score", "sme", "--file", file)["error"]
    assert refused["code"] == "refused" and "4 applicants asked, 3 left" in refused["cause"]
    # Who was asked stays nowhere in the job's folder but in the asker's own answers.
    assert not list(nodes.homes["bank"].glob("staged/*"))
    for name in NAMES:
        assert not list(nodes.homes[name].glob("jobs/model-score-*/entries.npz"))
        assert b"NEW1" not in (nodes.homes[name] / "audit.jsonl").read_bytes()
    in_a_session(nodes, file, one, done["answers"])


def in_a_session(nodes: Fleet, file: Path, one: dict[str, Any], before: list[Any]) -> None:
    """Three scores in one session: as the job before gave them, and no more than three."""
    opened = nodes.sepc("bank", "model", "session", "open", "sme", "--scores", 3, "--reasons", 2)
    session = opened["session"]
    assert (opened["left_in_session"], opened["left_today"]) == (3, 0)
    for name in NAMES:  # a core file would hold shares, and own data
        pid = (nodes.homes[name] / "jobs" / session / "worker.pid").read_text()
        limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
        assert [line.split()[4:6] for line in limits if "core file" in line] == [["0", "0"]]
    ask = ("model", "score", "--session", session)
    got = nodes.sepc("bank", *ask, "--applicant", one["applicant"])
    assert (got["answers"], got["left_in_session"]) == ([one], 2)
    assert 0 < got["compute_seconds"] < got["seconds"]
    for name, arguments, code in [
        ("bank", (*ask, "--applicant", "NOBODY"), "applicants"),
        ("bank", (*ask, "--file", file), "quota-exceeded"),
        ("bank", ("model", "score", "--session", "other", "--file", file), "unknown_session"),
        ("telecom", (*ask, "--applicant", "C001"), "not_owner"),
        ("bank", ("model", "retire", "sme"), "refused"),
        ("bank", ("model", "session", "open", "sme", "--scores", 1), "refused"),
    ]:
        assert nodes.attempt(name, *arguments)["error"]["code"] == code
    # None of that has ended it: a new business, and its values as a file.
    single = file.with_name("single.csv")
    single.write_text("company_id,a,b\nNEW1,-2,3\n")
    assert nodes.sepc("bank", *ask, "--file", single)["answers"] == [before[1]]
    assert nodes.sepc("telecom", "model", "session", "show", session)["scored"] == 2
    assert nodes.sepc("bank", "model", "session", "close", session)["scored"] == 2
    refused = nodes.attempt("bank", *ask, "--file", single)["error"]
    assert refused["code"] == "session_closed" and "its operator closed it" in refused["cause"]
    for name in NAMES:
        for path in [*nodes.homes[name].glob("jobs/model-session-*/*"),
                     nodes.homes[name] / "audit.jsonl"]:  # fmt: skip
            assert b"NEW1" not in path.read_bytes()


def test_applicants_that_cannot_be_scored_are_named(tmp_path: Path) -> None:
    for text, says in [
        ("company_id,a\nX,zz\nY,2\n", "column a: 1 of 2 values are not numbers"),
        ("company_id,a\nX,1\nX,2\n", "1 of 2 identifiers are repeated"),
        ("company_id,a\n", "no rows"),
        ("company_id,b\nX,1\n", "there is no column a"),
        ("company_id,a\n,1\n", "1 of 1 keys"),
    ]:
        file = tmp_path / "applicants.csv"
        file.write_text(text)
        with pytest.raises(LocalError, match=says):
            read_rows(file, "company_id", ["a"])


def test_deleting_destroys_the_shares_at_all_parties(fleet: tuple[Fleet, dict[str, Any]]) -> None:
    nodes, _ = fleet
    shares = [next(nodes.homes[n].glob("models/sme/1/shares.npz")) for n in NAMES]
    deleted = nodes.sepc("bank", "model", "delete", "sme")
    assert deleted["parties"] == list(NAMES)
    assert not any(path.exists() for path in shares)
    for name in NAMES:
        nodes.finished(name, deleted["job_id"])  # its receipt comes before its log says so
        model = nodes.sepc(name, "model", "list")["models"][0]
        assert (model["state"], model["shares"]) == ("retired", "destroyed")
        directory = json.loads((nodes.homes[name] / "node.json").read_text())["directory"]
        entries = verify_log(nodes.homes[name] / "audit.jsonl", directory[name])
        said = [e["event"] for e in entries if e["event"].startswith("model_")]
        assert said == ["model_kept", "model_approved", "model_live", "model_scored",
                        "model_scored", "model_scored", "model_destroyed"]  # fmt: skip
        counts = [e["details"] for e in entries if e["event"] == "model_scored"]
        assert [d["applicants"] for d in counts] == [4, 1, 1]
        assert [d.get("used") for d in counts] == [None, 1, 2]
        last = next(e for e in entries if e["event"] == "model_destroyed")["details"]
        assert last["shares_destroyed"] and last["identity"] == model["identity"]
    assert nodes.attempt("bank", "model", "live", "sme")["error"]["code"] == "refused"
