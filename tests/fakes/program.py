"""A program that computes nothing, and an engine that connects nothing."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.credentials import Credentials
from parties.manifest import Manifest
from parties.programs import Program
from parties.proposal import credit_stated
from parties.stated import Stated

STEPS = ("join", "woe_iv", "train_joint", "train_bank", "evaluate", "open")


@dataclass(frozen=True)
class FakeParameters:
    """`hold` is a step at which every party waits for ever; `crash` one at which party 1 fails."""

    hold: str = ""
    crash: str = ""
    iv_threshold: float = 0.02

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "FakeParameters":
        """Read the manifest's parameters; others than these are ignored."""
        known = {k: v for k, v in document.items() if k in ("hold", "crash", "iv_threshold")}
        return cls(**known)


def stated(manifest: Manifest, models: object = None) -> Stated:
    """What a credit job's manifest would say."""
    ours = {k: v for k, v in manifest.parameters.items() if k not in ("hold", "crash")}
    return credit_stated(manifest.model_copy(update={"parameters": ours}))


PROGRAMS = {
    "fake-model": Program(
        "1",
        "fakes.program",
        "fake_program",
        "fakes.program:stated",
        "fakes.program:FakeParameters",
    )
}


class FakeRuntime:
    """What `connect` gives back."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    async def shutdown(self) -> None:
        """Nothing to close."""


async def connect(
    *, pid: int, job_key: bytes, peer_keys: list[bytes], credentials: Credentials, **_: Any
) -> FakeRuntime:
    """Check that the key that came through the pipe belongs to the approval, and no more."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    public = X25519PrivateKey.from_private_bytes(job_key).public_key().public_bytes_raw()
    assert public == peer_keys[pid]
    assert credentials.proves
    return FakeRuntime(pid)


async def fake_program(
    mpc: FakeRuntime,
    *,
    parties: list[str],
    inputs: dict[str, list[str]],
    parameters: FakeParameters,
    progress: Callable[[str, str], None],
    **_: Any,
) -> dict[str, Any]:
    """Go through the steps; results are made up from the names of the features.

    A step is told as done when the next has been told as begun: whoever hears of the one can
    strike in the middle of the other.
    """
    before = ""
    for step in STEPS:
        progress(step, "start")
        if before:
            progress(before, "done")
        if parameters.crash == step and mpc.pid == 1:
            raise ValueError("-".join(["value", "of", "a", "row"]))
        if parameters.hold == step:
            await asyncio.Event().wait()
        before = step
    progress(before, "done")
    cost = {"seconds": 0.1, "rounds": 2, "bytes_per_party": 100 + mpc.pid, "multiplications": 5}
    made = _outputs(parties, inputs)
    outputs = made if mpc.pid == 0 else {"features": made["features"]}
    return {"steps": dict.fromkeys(STEPS, cost), "outputs": outputs}


def plain(tables: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    """The plaintext twin of nothing."""
    return _outputs([t.name for t in tables], {t.name: list(t.columns) for t in tables})


def _outputs(parties: list[str], inputs: dict[str, list[str]]) -> dict[str, Any]:
    features = [f"{party}.{column}" for party in parties for column in inputs[party]]
    iv = {f: hashlib.sha256(f.encode()).digest()[0] / 512 for f in features}
    grid = [i / 50 for i in range(51)]
    band = {"bad": 5, "rows": 10, "bad_rate": 0.5, "lift": 1.0, "ks": 0.0}
    lift = [{"band": i + 1, **band, "cum_bad_share": (i + 1) / 10} for i in range(10)]
    scores = {"edges": [500.0, 600.0, 700.0], "good": [10, 40], "bad": [40, 10]}
    both = ("joint", "bank")
    used = [f for f in features if iv[f] >= 0.4]
    scaling = {"points": 600.0, "odds": 20.0, "pdo": 20.0}
    card = {"features": used, "points": [[5, -3]] * len(used), "base": 520, "scaling": scaling}
    band_of = {"band": 1, "from": None, "to": 600, "rows": 9, "bad": 3}
    return {
        "features": used,
        "selection": [
            {"feature": f, "kept": f in used, "reason": "kept" if f in used else "iv", "iv": iv[f]}
            for f in features
        ],
        "gini": {"joint": 0.6, "bank": 0.4},
        "calibration": [{**band_of, "observed": 0.33, "expected": 0.3}],
        "stability": {"psi": 0.01, "band": "stable"},
        "cutoffs": {},
        "card": {**card, "breaks": {}},
        "examples": [{"applicant": "A1", "score": 566, "reasons": used[:1]}],
        "converged": {who: who == "joint" for who in both},
        "rows_joint": 200,
        "rows_joint_train": 140,
        "rows_joint_test": 60,
        "iv": iv,
        "auc": {"joint": 0.8, "bank": 0.7},
        "ks": {"joint": 0.5, "bank": 0.4},
        "roc": {who: {"fpr": grid, "tpr": grid} for who in both},
        "lift": dict.fromkeys(both, lift),
        "scores": dict.fromkeys(both, scores),
    }
