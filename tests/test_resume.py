"""`sepc job resume`: a training on four live nodes, interrupted twice, ends as any other."""

import csv
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fakes.fleet import NAMES, Fleet
from fakes.runs import processes

from models.parameters import CreditParameters
from models.plain.credit import plain_credit
from parties.data import load_table
from parties.errors import LocalError
from parties.holdings import shape
from parties.manifest import Continues, Manifest
from parties.measurement import measurement
from parties.policy import decide
from parties.programs import PROGRAMS
from parties.proposal import credit_manifest
from parties.resume import continuation, interrupted_work
from parties.store import JobRecord, State, Store
from parties.world import ID_NAME, LABEL_NAME, write_world

PARAMETERS = {
    "iterations": 24, "binning": "tree", "prebins": 6, "max_bins": 4, "max_features": 4,
    "vif_steps": 1,
}  # fmt: skip


def manifest(inputs: dict[str, Any], keys: dict[str, str], **changes: Any) -> Manifest:
    parameters = CreditParameters.from_json(PARAMETERS).to_json()
    return credit_manifest(
        inputs=inputs, keys=keys, parameters=parameters, measurement=measurement(),
        now=time.time(), seconds=600, **changes,
    )  # fmt: skip


def narrow(source: Path, target: Path) -> None:
    """A table's first and last columns, among which are identifier and label."""
    with source.open(newline="") as rows, target.open("w", newline="") as kept:
        csv.writer(kept).writerows(row[:7] + row[-2:] for row in csv.reader(rows))


class World:
    """A small world as four nodes, and a job on it."""

    def __init__(self, folder: Path) -> None:
        fields = {
            name: {
                "data": f"data/{name}.csv",
                "id_column": ID_NAME,
                "label": LABEL_NAME if name == "bank" else None,
            }
            for name in NAMES
        }
        self.fleet = Fleet(folder / "run", fields)
        self.tables = []
        for path in write_world(folder / "world", 300):
            narrow(path, self.fleet.homes[path.stem] / "data" / path.name)
        for name in ("bank", "government", "fintech", "telecom"):
            home = self.fleet.homes[name]
            self.tables.append(load_table(home / "data" / f"{name}.csv", **_reading(fields[name])))
        config = json.loads((self.fleet.homes["bank"] / "node.json").read_text())
        self.manifest = manifest({t.name: shape(t) for t in self.tables}, config["directory"])
        self.file = folder / "manifest.json"
        self.file.write_text(json.dumps(self.manifest.document()))

    def steps(self, name: str, training: str = "joint") -> list[int]:
        folder = self.fleet.homes[name] / "jobs" / self.manifest.job_id / "checkpoints" / training
        return sorted(int(path.stem) for path in folder.glob("[0-9]*.npz"))

    def wait_for_step(self, step: int) -> None:
        end = time.monotonic() + 120
        while max(self.steps("bank"), default=0) < step:
            assert time.monotonic() < end, f"no step {step}: {self.steps('bank')}"
            time.sleep(0.01)

    def ended(self, job_id: str, name: str = "bank") -> str:
        """The state in which a node ends a job."""
        while True:
            event = self.fleet.events(name, "job")
            if event["job_id"] == job_id and event["state"] in ("finished", "failed", "refused"):
                return str(event["state"])


def _reading(fields: dict[str, Any]) -> dict[str, Any]:
    return {"id_name": fields["id_column"], "label_name": fields["label"]}


@pytest.mark.live
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_training_goes_on_after_a_killed_worker_and_after_all_were_killed(tmp_path: Path) -> None:
    world = World(tmp_path)
    first, second = random.randrange(3, 9), random.randrange(11, 20)
    with world.fleet as fleet:
        job = world.manifest.job_id
        fleet.sepc("bank", "job", "propose", world.file)
        world.wait_for_step(first)
        worker = fleet.homes["telecom"] / "jobs" / job / "worker.pid"
        os.kill(int(worker.read_text()), signal.SIGKILL)
        for name in NAMES:
            # A node that has not ended the job yet would refuse to go on with it.
            assert world.ended(job, name) == "failed"

        resumed = fleet.sepc("bank", "job", "resume", job)["job_id"]
        world.wait_for_step(second)
        for name in NAMES:
            fleet.kill(name)
        while any("parties.worker" in command for _, command in processes(tmp_path)):
            time.sleep(0.01)
        for name in NAMES:
            fleet.start(name)
        kept = [set(world.steps(name)) for name in NAMES]
        assert set.intersection(*kept), f"no step in common: {kept}"
        for name in NAMES:
            assert world.steps(name, "bins") == world.steps(name, "selection") == [1]

        last = fleet.sepc("bank", "job", "resume", resumed)["job_id"]
        assert world.ended(last) == "finished"
        ran = json.loads((fleet.homes["bank"] / "jobs" / last / "job.json").read_text())
        assert ran["manifest"]["continues"] == {
            "job_id": job, "manifest_sha256": world.manifest.sha256()
        }  # fmt: skip
        refused = fleet.attempt("bank", "job", "resume", last)["error"]
        assert refused["code"] == "not_interrupted"
        for name in NAMES:
            # Another party's worker may still be at it when the bank's has ended.
            assert name == "bank" or world.ended(last, name) == "finished"
            for kept_for in ("bins", "selection", "joint", "bank"):
                assert world.steps(name, kept_for) == [], "destroyed at the end"

    result = json.loads((fleet.homes["bank"] / "jobs" / last / "result.json").read_text())
    plain = plain_credit(world.tables, CreditParameters.from_json(PARAMETERS))
    for model in ("joint", "bank"):
        assert abs(result["outputs"]["auc"][model] - plain["auc"][model]) < 2e-3
    rounds = {k: v["rounds"] for k, v in result["steps"].items()}
    # A step takes at least 20 rounds, so this many were not computed again.
    assert rounds["train_joint"] < rounds["train_bank"] - 20 * (second - 3), (first, second, rounds)


def _decision(own: Manifest, proposed: Manifest, store: Store, name: str = "bank") -> str:
    from parties.identity import Directory
    from parties.policy import Holdings

    holdings = Holdings(
        party=name,
        directory=Directory({p.name: p.public_key for p in own.parties}),
        measurement=measurement(),
        inputs=own.inputs[name],
        programs=PROGRAMS,
        interrupted=interrupted_work(store, proposed),
    )
    decision = decide(proposed, own.initiator, holdings, time.time())
    return "; ".join(check.reason for check in decision.failed)


def test_only_the_work_that_was_agreed_is_resumed(tmp_path: Path) -> None:
    from parties.manifest import Inputs

    inputs = {
        name: Inputs(rows=9, id_column="id", features=("x",), label="y" if name == "bank" else None)
        for name in NAMES
    }
    keys = {name: f"{k:064x}" for k, name in enumerate(NAMES)}
    before = manifest(inputs, keys)
    store = Store(tmp_path / "node.db")
    store.add_job(before.job_id, before.sha256(), before.document())

    def record() -> JobRecord:
        found = store.job(before.job_id)
        assert found is not None
        return found

    with pytest.raises(LocalError, match="is proposed"):
        continuation(record(), PROGRAMS, time.time(), None)
    store.set_state(before.job_id, State.FAILED, None)
    after = continuation(record(), PROGRAMS, time.time(), 60)
    assert after.expires - after.created == 60
    assert _decision(before, after, store) == ""
    other = after.model_copy(update={"parameters": {**after.parameters, "l2": 2.0}})
    assert "not the work that was agreed" in _decision(before, other, store)
    continues = Continues(job_id=before.job_id, manifest_sha256="00" * 32)
    foreign = after.model_copy(update={"continues": continues})
    assert "knows no interrupted job" in _decision(before, foreign, store)
    # While one continuation is open there is no second one.
    store.add_job(after.job_id, after.sha256(), after.document())
    again = continuation(record(), PROGRAMS, time.time(), None)
    assert "knows no interrupted job" in _decision(before, again, store)
    store.set_state(after.job_id, State.FAILED, None)
    assert _decision(before, again, store) == ""
    assert continuation(
        JobRecord(after.job_id, after.sha256(), after.document(), State.EXPIRED, None),
        PROGRAMS, time.time(), None,
    ).continues == after.continues  # fmt: skip
    store.close()
