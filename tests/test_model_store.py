"""The model store, bit-exact and hard to misuse, and trainings that end in the middle."""

from __future__ import annotations

import random

import numpy as np
import pytest
from engine_kit import secret

from engine.cluster import run_cluster
from engine.errors import EngineError, LocalProtocolError
from models.checkpoints import Checkpoint
from models.logistic import LogisticRegression
from models.store import ModelStore

VALUES = np.array([[0.5, -1.25], [3.0, 2.0**-20]])


def stored(folder, m=4, **about):
    async def program(mpc):
        store = ModelStore(folder / str(mpc.pid))
        weights = secret(mpc, VALUES)
        arrays = {"weights": weights, "base": secret(mpc, [7], 1 % m)}
        record = await store.save(mpc, "card", arrays, manifest_hash="ab" * 32, **about)
        return record, (await weights.ready()).copy()
    return run_cluster(program, m)


def opened(folder, m=4, **which):
    async def program(mpc):
        _, arrays = ModelStore(folder / str(mpc.pid)).load(mpc, "card", **which)
        return (await mpc.output([arrays["weights"], arrays["base"]]),
                await arrays["weights"].ready())
    return run_cluster(program, m)


def test_save_and_load_are_bit_exact(tmp_path):
    saved = stored(tmp_path, lineage={"rows": 100}, metrics={"auc": 0.75})
    loaded = opened(tmp_path, version=1)
    for (record, share), ((weights, base), again) in zip(saved, loaded, strict=True):
        np.testing.assert_array_equal(share, again)
        np.testing.assert_array_equal(weights, VALUES)
        assert base.tolist() == [7]
        assert record.lineage == {"rows": 100} and record.metrics == {"auc": 0.75}
        assert record.identity == saved[0][0].identity and record.state == "draft"
    assert len({record.digest for record, _ in saved}) == 4
    for path in tmp_path.rglob("*.*"):
        assert path.stat().st_mode & 0o077 == 0


def test_versions_states_and_the_live_one(tmp_path):
    stored(tmp_path)
    stored(tmp_path)
    store = ModelStore(tmp_path / "0")
    assert [r.version for r in store.versions("card")] == [1, 2] and store.names() == ["card"]
    for state in ("live", "draft"):
        with pytest.raises(LocalProtocolError, match="cannot become"):
            store.set_state("card", 1, state)
    for version in (1, 2):
        store.set_state("card", version, "approved")
    store.set_state("card", 1, "live")
    assert store.record("card").version == 1
    with pytest.raises(LocalProtocolError, match="version 1 is live; retire the live version"):
        store.set_state("card", 2, "live")
    store.set_state("card", 1, "retired")
    assert store.set_state("card", 2, "live").state == "live"
    assert ModelStore(tmp_path / "0").record("card").version == 2


def test_delete_destroys_the_shares_and_says_so(tmp_path):
    stored(tmp_path, m=1)
    store = ModelStore(tmp_path / "0")
    path = tmp_path / "0" / "card" / "1" / "shares.npz"
    linked = tmp_path / "old"
    linked.hardlink_to(path)
    before = path.read_bytes()
    receipt = store.delete("card", 1)
    assert receipt["event"] == "model-destroyed" and receipt["version"] == 1
    assert receipt["digest"] == store.record("card", 1).digest
    assert not path.exists() and store.record("card", 1).state == "retired"
    assert len(linked.read_bytes()) == len(before) and before[100:132] not in linked.read_bytes()
    with pytest.raises(LocalProtocolError, match="were deleted"):
        run_cluster(lambda mpc: load(mpc, tmp_path / "0"), 1)


async def load(mpc, folder, **which):
    ModelStore(folder).load(mpc, "card", which.pop("version", 1), **which)


def test_what_is_not_the_model_is_refused(tmp_path):
    [(record, _)] = stored(tmp_path, m=1)
    folder = tmp_path / "0"
    cases = [({"identity": "00" * 32}, "other-model", 1), ({"version": 3}, "no-model", 1),
             ({}, "other-deployment", 3)]
    for which, code, m in cases:
        with pytest.raises(EngineError) as caught:
            run_cluster(lambda mpc, w=which: load(mpc, folder, **w), m)
        assert caught.value.code == code
    run_cluster(lambda mpc: load(mpc, folder, identity=record.identity), 1)
    for name in ("../card", "", "a/b", ".hidden", "x" * 65):
        with pytest.raises(LocalProtocolError, match="bad-name"):
            ModelStore(folder).versions(name)
    path = folder / "card" / "1" / "shares.npz"
    data = bytearray(path.read_bytes())
    data[-200] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(LocalProtocolError, match="damaged-model"):
        run_cluster(lambda mpc: load(mpc, folder), 1)


class Killed(Exception):
    """What ends a training in the middle."""


def training(folder=None, kill=None, job="a", party=None):
    """Raw weights of a small training; killed after step `kill` at one party, or at all."""
    rng = np.random.default_rng(1)
    x = rng.integers(-4, 5, (150, 2)) / 4
    y = (rng.random(150) < 1 / (1 + np.exp(-x.sum(1)))).astype(float)

    class Dying(Checkpoint):
        async def save(self, step, state):
            if step == kill and party == self.folder.name:
                raise Killed
            await super().save(step, state)
            if step == kill and party is None:
                raise Killed

    async def program(mpc):
        checkpoint = None if folder is None else Dying(folder / str(mpc.pid), job)
        model = LogisticRegression(solver="sampled", max_iter=4)
        await model.fit(mpc, secret(mpc, np.column_stack([x, np.ones(150)]), frac=24),
                        secret(mpc, y, frac=24), checkpoint=checkpoint)
        return await mpc.output(model.raw_)
    return run_cluster(program, 3)[0]


@pytest.mark.parametrize("party", [None, "1"])
def test_a_training_killed_at_any_step_goes_on_to_the_same_weights(tmp_path, party):
    kill = random.randrange(2, 12)
    with pytest.raises((EngineError, Killed)):
        training(tmp_path, kill, party=party)
    resumed = training(tmp_path)
    np.testing.assert_allclose(resumed, training(), atol=2e-5, err_msg=f"killed at step {kill}")
    with pytest.raises(EngineError) as caught:
        training(tmp_path, job="b")
    assert caught.value.code == "other-checkpoint"
    for pid in range(3):
        Checkpoint(tmp_path / str(pid), "a").clear()
    assert not list(tmp_path.glob("*/*.npz"))
