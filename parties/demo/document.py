"""The one document that a run leaves: what the bank learned, what it cost, what nobody saw."""

import os
import platform
import sys
from pathlib import Path
from typing import Any, TypeVar

from parties import canonical, learned
from parties.demo.view import STEPS
from parties.demo.watch import Watch
from parties.errors import LocalError
from parties.manifest import Manifest
from parties.messages import Receipt
from parties.proposal import features_of
from parties.worker import RESULT_FILE

T = TypeVar("T")
_TABLES = ("gini", "roc", "lift", "scores", "cutoffs", "calibration", "stability")
ORDER = ("data", "start", *STEPS, "plaintext")


def read_outputs(home: Path, manifest: Manifest, receipt: Receipt) -> dict[str, Any]:
    """The outputs in the initiator's job folder; LocalError if its receipt is for others."""
    result = canonical.parse((home / "jobs" / manifest.job_id / RESULT_FILE).read_bytes())
    signed = canonical.sha256({"outputs": result["outputs"], "salt": result["salt"]})
    if signed != receipt.outputs_sha256:
        raise LocalError(
            "receipt",
            "the outputs are not those that the initiator's receipt was signed for",
            "do not use them; compare the audit logs",
            party=manifest.initiator,
            step="open",
        )
    outputs: dict[str, Any] = result["outputs"]
    return outputs


def build(
    watch: Watch, outputs: dict[str, Any], plain: dict[str, Any], seconds: dict[str, float]
) -> dict[str, Any]:
    """The document. Of the plaintext twin it takes only what stands beside a joint result."""
    manifest = watch.manifest
    receipts = {name: receipt for name, (_, receipt) in watch.receipts.items()}
    iv = dict(sorted(outputs.get("iv", {}).items(), key=lambda item: -item[1]))
    return {
        **agreed(manifest),
        "rows": {name: inputs.rows for name, inputs in manifest.tables.items()},
        "rows_joint": outputs["rows_joint"],
        "rows_joint_train": outputs["rows_joint_train"],
        "rows_joint_test": outputs["rows_joint_test"],
        "features": features_of(manifest.tables, manifest.parameters),
        "converged": outputs["converged"],
        "auc": {**outputs["auc"], "plaintext": plain["auc"]["joint"]},
        "ks": {**outputs["ks"], "plaintext": plain["ks"]["joint"]},
        "iv": iv,
        "iv_plaintext": {feature: plain["iv"][feature] for feature in iv},
        "selected": outputs["features"],
        "selection": outputs["selection"],
        "bin_tables": outputs.get("bin_tables", {}),
        "card": outputs.get("card"),
        "card_plaintext": _same_points(outputs.get("card"), plain.get("card")),
        "inference": outputs.get("inference", []),
        "segments": outputs.get("segments", []),
        "examples": outputs.get("examples", []),
        **{name: outputs[name] for name in _TABLES},
        "seconds": _in_order({**step_seconds(watch), **seconds}),
        "cost": _in_order(cost(receipts)),
        **signed(watch),
    }


def agreed(manifest: Manifest) -> dict[str, Any]:
    """What was agreed."""
    return {
        "job_id": manifest.job_id,
        "manifest_sha256": manifest.sha256(),
        "measurement": manifest.measurement,
        "parties": list(manifest.names),
        "initiator": manifest.initiator,
        "parameters": manifest.parameters,
    }


def signed(watch: Watch) -> dict[str, Any]:
    """Who learned what, what every party signed for, and where it ran."""
    manifest = watch.manifest
    receipts = {name: watch.receipts[name] for name in manifest.names}
    return {
        "peak_rss_mb": {name: receipt.peak_rss_mb for name, (_, receipt) in receipts.items()},
        "learned": learned.learned(manifest),
        "learned_zh": learned.learned_zh(manifest),
        "nobody_learned": learned.nobody(manifest.parameters),
        "nobody_learned_zh": learned.nobody_zh(manifest.parameters),
        "receipts": {
            name: {"signature": envelope.signature, "outputs_sha256": receipt.outputs_sha256}
            for name, (envelope, receipt) in receipts.items()
        },
        "machine": machine(),
    }


def _same_points(card: dict[str, Any] | None, twin: dict[str, Any] | None) -> dict[str, int] | None:
    """How many points of the card there are, and how many of them the plaintext twin has too."""
    if card is None or twin is None:
        return None
    clear = dict(zip(twin["features"], twin["points"], strict=True))
    rows = list(zip(card["features"], card["points"], strict=True))
    same = sum(a == b for name, row in rows for a, b in zip(row, clear.get(name, []), strict=False))
    return {
        "points": 1 + sum(len(row) for _, row in rows),
        "same": same + (card["base"] == twin["base"]),
    }


def _in_order(by_step: dict[str, T]) -> dict[str, T]:
    """In the order in which a run goes through its steps; steps that are not known come last."""
    order = [*ORDER, *(step for step in by_step if step not in ORDER)]
    return {step: by_step[step] for step in order if step in by_step}


def machine() -> dict[str, Any]:
    """What the run ran on."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def step_seconds(watch: Watch) -> dict[str, float]:
    """Per step the time from its first start to its last end, as the console heard it."""
    result: dict[str, float] = {}
    for _, step in watch.began:
        if step not in result:
            began = min(t for (_, s), t in watch.began.items() if s == step)
            ended = [t for (_, s), t in watch.ended.items() if s == step]
            if ended:
                result[step] = round(max(ended) - began, 3)
    return result


def cost(receipts: dict[str, Receipt]) -> dict[str, dict[str, int]]:
    """Rounds are everybody's, so the most that a party counted; the rest is the average."""
    result = {}
    for step in next(iter(receipts.values())).steps:
        costs = [receipt.steps[step] for receipt in receipts.values() if step in receipt.steps]
        result[step] = {
            "rounds": max(one.rounds for one in costs),
            "bytes_per_party": round(sum(c.bytes_per_party for c in costs) / len(costs)),
            "multiplications": round(sum(c.multiplications for c in costs) / len(costs)),
        }
    return result
