"""A credit job that was interrupted: it goes on with its own bins, features and order of rows,
however equal the choices were."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from credit_kit import JOB, ROWS, brought, tables
from engine_kit import secret
from fakes.consortium import NAMES
from killed_kit import Killed, kept

from engine.cluster import run_cluster
from engine.errors import EngineError
from models import credit, credit_encode
from models.checkpoints import Checkpoints
from models.credit import credit_program
from models.parameters import CreditParameters
from models.plain.credit import plain_credit
from protocols.join_order import training_slots


def job(folder, kill=None):
    """Outputs of the initiator; killed by party 2 after its step `kill` of the joint training."""
    parties = tables()
    bank, weights = parties[0], np.random.default_rng(9).gamma(2.0, 1.0, ROWS)
    parties[0] = replace(bank, columns={**bank.columns, "w": weights})
    parameters = CreditParameters(**{**JOB, "binning": "chimerge", "sample_weight": "bank.w"})

    async def program(mpc):
        return await credit_program(
            mpc, parties=list(NAMES), table=parties[mpc.pid], parameters=parameters,
            progress=lambda *_: None, checkpoints=kept(folder, mpc.pid, kill),
            **brought(parties))
    return run_cluster(program, 4)[0]["outputs"], plain_credit(parties, parameters)


def test_a_resumed_job_merges_and_selects_nothing_anew(tmp_path, monkeypatch):
    kill = random.randrange(1, 5)
    with pytest.raises((EngineError, Killed)):
        job(tmp_path, kill)
    steps = {int(p.stem) for p in (tmp_path / "2" / "joint").glob("*.npz")}
    assert max(steps) == kill
    order = Checkpoints(tmp_path / "0", "work").order()
    assert [(tmp_path / str(pid) / "order.npy").exists() for pid in range(4)] == \
        [True, False, False, False], "a party's order is its own"

    def again(*args, **options):
        raise AssertionError("decided anew")
    monkeypatch.setattr(credit_encode, "merged_boundaries", again)
    monkeypatch.setattr(credit, "select_features", again)
    outputs, plain = job(tmp_path)
    assert outputs["features"] == plain["selected"]
    assert {r["feature"]: r["reason"] for r in outputs["selection"]} == plain["reasons"]
    assert outputs["breaks"] == {f: b for f, b in plain["breaks"].items() if f.startswith("bank.")}
    for key in ("points", "base"):
        assert outputs["card"][key] == plain["card"][key]
    bank = tables()[0]
    train, _ = training_slots(bank.rows, CreditParameters(**JOB).test_share)
    shown = [str(bank.ids[k]) for k in order[train:][:JOB["examples"]] if k >= 0]
    assert [e["applicant"] for e in outputs["examples"]] == shown, f"killed at step {kill}"


def test_an_order_of_other_rows_is_not_taken(tmp_path):
    """A table that has changed since: the training part must stay that of the split."""
    parties = tables()
    parameters = CreditParameters(**JOB)

    async def program(mpc, checkpoints):
        made = credit_encode.CreditTable(
            mpc, list(NAMES), parties[mpc.pid], parameters=parameters,
            checkpoints=checkpoints[mpc.pid], **brought(parties))
        await made.match()
        return made.example_ids
    each = [Checkpoints(tmp_path / str(pid), "work") for pid in range(4)]

    first = run_cluster(lambda mpc: program(mpc, each), 4)[0]
    assert run_cluster(lambda mpc: program(mpc, each), 4)[0] == first
    order = each[0].order()
    for wrong in (order[::-1].copy(), order[1:], order.astype(float)):
        each[0].keep_order(wrong)
        run_cluster(lambda mpc: program(mpc, each), 4)
        fresh = each[0].order()
        assert sorted(fresh) == sorted(order) and fresh.tolist() != wrong.tolist()
        train = training_slots(ROWS, parameters.test_share)[0]
        assert set(fresh[:train]) - {-1} == set(order[:train]) - {-1}
    for one in each:
        one.clear()
    assert not [p for p in tmp_path.glob("**/*") if p.is_file()]


def test_what_a_lost_decision_led_to_is_lost_with_it(tmp_path):
    """Two decisions and a training, of which one party then loses a file."""
    async def program(mpc, made):
        own = Checkpoints(tmp_path / str(mpc.pid), "work")
        found = []
        for name in ("bins", "selection"):
            async def decide(name=name):
                made.append(name)
                return {"bits": secret(mpc, np.array([1, 0, 1])), "more": secret(mpc, np.ones(()))}
            found.append(await own.settled(mpc, name, decide))
        step, _ = await own.of("joint").restore(mpc, {})
        await own.of("joint").save(step + 1, {"base": secret(mpc, np.array([1.5]), frac=20)})
        opened = await mpc.output([f[key] for f in found for key in ("bits", "more")])
        return step, [np.asarray(v).tolist() for v in opened]

    def run():
        made: list[str] = []
        results = run_cluster(lambda mpc: program(mpc, made), 3)
        assert [r[1] for r in results] == [[[1, 0, 1], 1.0] * 2] * 3
        assert len({r[0] for r in results}) == 1
        return results[0][0], sorted(set(made))
    assert run() == (0, ["bins", "selection"])
    assert run() == (1, []), "all found again"
    (tmp_path / "1" / "selection" / "1.npz").unlink()
    assert run() == (0, ["selection"]), "the training belonged to that selection"
    torn = tmp_path / "2" / "bins" / "1.npz"
    whole = torn.read_bytes()
    for left in (b"", whole[:40], whole[:-30], whole[:200] + bytes(8) + whole[208:]):
        torn.write_bytes(left)
        assert run() == (0, ["bins", "selection"])
    assert run() == (1, [])
