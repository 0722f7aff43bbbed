"""What a job will take: the formulas' figures, for every program that has one, before it runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from fakes.consortium import DIRECTORY, MEASUREMENT, NOW, manifest
from typer.testing import CliRunner

from engine.shamir import Geometry
from models.credit_costs import credit_costs
from models.parameters import CreditParameters
from parties.cli import app
from parties.errors import LocalError
from parties.estimate import Network, estimate
from parties.join_terms import task_of
from parties.list_keeping import held_after
from parties.list_proposal import publish_manifest, query_manifest
from parties.manifest import Inputs, Join, KeyedList, Manifest, Nothing
from parties.proposal import common_manifest
from protocols.join_task_costs import join_task_cost
from protocols.pir_costs import publish_cost, query_cost
from protocols.pir_table import Layout

TERMS = KeyedList(name="fraud", capacity=5000, payload=32, columns=(), profile="plain")


def common(rows: int = 1000, width: int = 0, verified: bool = False, **join: Any) -> Manifest:
    features = tuple(f"x{i}" for i in range(width))
    table = Inputs(rows=rows, padded=True, id_column="code", features=features, label=None)
    names = ("bank", "fintech") if join.get("mode") == "ecdh" else tuple(sorted(DIRECTORY))
    fields = {"mode": "shared", "helpers": {}, "same_order": True, **join}
    return common_manifest(
        Join.model_validate(fields),
        inputs={name: Nothing() if name == "telecom" else table for name in names},
        keys=dict(DIRECTORY),
        measurement=MEASUREMENT,
        now=NOW,
        seconds=600,
        verified=verified,
    )


@pytest.mark.parametrize(
    "job",
    [
        common(width=3),
        common(verified=True, mode="reveal-size", receivers=("telecom",)),
        common(mode="reveal-identifiers", receivers=("bank", "fintech")),
        common(kind="inner"),
        common(mode="ecdh", receivers=("bank",)),
    ],
)
def test_the_figures_are_those_of_the_formulas(job: Manifest) -> None:
    found = estimate(job, {}, Network())
    task = task_of(job)
    cost = join_task_cost(task, Geometry(task.m, job.threshold, job.verified))
    assert (found["rounds"], found["bytes"]) == (cost.rounds, cost.total_bytes)
    assert found["at_most"] == (task.mode == "ecdh" or task.kind == "inner")
    larger = estimate(job, {}, Network(round_trip=0.1, bytes_per_second=1e5))
    assert larger["seconds"]["network"] > found["seconds"]["network"]
    assert larger["rounds"] == found["rounds"]


def test_rows_make_a_job_longer_in_proportion() -> None:
    small, large = (estimate(common(n, 8), {}, Network()) for n in (10**5, 10**6))
    assert large["bytes"] == pytest.approx(10 * small["bytes"], rel=0.01)
    assert large["rounds"] == small["rounds"]
    assert large["peak_rss_mb"] > small["peak_rss_mb"]


def test_lists() -> None:
    about: dict[str, Any] = {
        "parties": {name: (key, "127.0.0.1") for name, key in DIRECTORY.items()},
        "measurement": MEASUREMENT, "now": NOW, "seconds": 600,
    }  # fmt: skip
    made = publish_manifest(TERMS, 1, initiator="government", **about)
    layout = Layout(TERMS.capacity, TERMS.payload)
    assert estimate(made, {}, Network())["bytes"] == publish_cost(layout, 4, 1).total_bytes
    version = held_after(made, {})
    assert version is not None
    asked = query_manifest([version], 3, None, initiator="bank", **about)
    found = estimate(asked, {("government", "fraud"): TERMS}, Network())
    assert found["rounds"] == query_cost([layout], 3, 4, 1).rounds
    with pytest.raises(LocalError, match="unknown_list"):
        estimate(asked, {}, Network())
    checked = publish_manifest(TERMS, 1, initiator="government", verified=True, **about)
    assert estimate(checked, {}, Network())["bytes"] == publish_cost(layout, 4, 1, True).total_bytes


def test_a_credit_job_step_by_step() -> None:
    job = manifest()
    found = estimate(job, {}, Network())
    made = credit_costs(CreditParameters(**job.parameters), [300] * 4, [2] * 4)
    assert found["rounds"] == sum(cost.rounds for cost in made.values())
    assert found["bytes"] == sum(cost.total_bytes for cost in made.values())
    assert found["at_most"] and list(found["steps"]) == list(made)
    assert found["steps"]["join"]["rounds"] == made["join"].rounds
    large = {n: {**i, "rows": 10**6} for n, i in job.document()["inputs"].items()}
    whole = estimate(manifest(inputs=large), {}, Network())
    kept = estimate(
        manifest(inputs=large, parameters={"max_bins": 10, "memory": 1 << 26}), {}, Network()
    )
    assert kept["peak_rss_mb"] < whole["peak_rss_mb"]
    assert kept["bytes"] > whole["bytes"] > 1000 * found["bytes"]
    with pytest.raises(LocalError, match="no_estimate"):
        estimate(manifest(verified=True), {}, Network())


def test_what_has_no_formula_says_so(tmp_path: Path) -> None:
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps(manifest(parameters={"binning": "tree"}).document()))
    words = ["job", "estimate", str(file), "--home", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    error = json.loads(result.stdout)["error"]
    assert error["code"] == "no_estimate" and "binning = 'tree'" in error["cause"]
    file.write_text(json.dumps(common().document()))
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["verified"] is False
