"""`sepc model`: what happens beside the running node.

Models are listed from the node's own folder. Applicants are read and checked here; the node gets a
staged file in its folder, which its worker deletes when it has read it.
"""

import secrets
import time
from pathlib import Path
from typing import Any

from parties import canonical
from parties.control import order
from parties.errors import LocalError
from parties.list_commands import STAGED
from parties.list_keys import checked_keys
from parties.model_rows import own_rows, read_rows, unknown_applicant, wrong
from parties.model_terms import HeldModel, held_models

RESULT_FILE = "result.json"


def listed(home: Path) -> dict[str, Any]:
    """All models of a node, one row per version."""
    return {"models": [_row(model) for model in held_models(home).values()]}


def shown(home: Path, name: str, version: int | None) -> dict[str, Any]:
    """One version (the newest if None) with its lineage, metrics, and what is public of its card;
    of the bins' limits those of this node's own features."""
    model = chosen(home, name, version)
    record = model.record
    return {
        **_row(model),
        **{key: record[key] for key in ("lineage", "metrics", "card", "digest", "saved_at")},
        "arrays": record["arrays"],
    }


def change(home: Path, name: str, version: int | None, state: str, seconds: int) -> dict[str, Any]:
    """Have every party move a version (the newest if None) to a state."""
    model = chosen(home, name, version)
    command = {"identity": model.identity, "state": state, "seconds": seconds}
    return order(home, {"command": "model_state", **command}, None)


def score(
    home: Path,
    name: str,
    version: int | None,
    applicant: str | None,
    file: Path | None,
    reasons: int,
    seconds: int,
) -> dict[str, Any]:
    """Score one business of the node's own table, or all of a file, with the live version."""
    began = time.monotonic()
    model = chosen(home, name, version, live=True)
    ids, columns = applicants(home, model, applicant, file)
    staged = _stage(home, ids, columns)
    command = {
        "command": "model_score",
        "identity": model.identity,
        "staged": staged.name,
        "count": len(ids),
        "reasons": reasons,
        "seconds": seconds,
    }
    try:
        done = order(home, command, None)
    finally:
        staged.unlink(missing_ok=True)
    result = canonical.parse((home / "jobs" / done["job_id"] / RESULT_FILE).read_bytes())
    outputs, steps = result["outputs"], result["steps"]
    return {
        **done,
        "model": model.name,
        "version": model.version,
        "answers": [
            {"applicant": who, "score": points, "reasons": names}
            for who, points, names in zip(ids, outputs["scores"], outputs["reasons"], strict=True)
        ],
        "compute_seconds": round(sum(s["seconds"] for s in steps.values()), 4),
        "seconds": round(time.monotonic() - began, 3),
    }


def chosen(home: Path, name: str, version: int | None, live: bool = False) -> HeldModel:
    """The version of a name; without a version the newest, or the live one."""
    named = [m for m in held_models(home).values() if m.name == name]
    found = [m for m in named if (m.version == version if version else not live)]
    if live and version is None:
        found = [m for m in named if m.state == "live"]
    if not found:
        which = f"version {version}" if version else "live version" if live else "version"
        raise LocalError(
            "unknown_model", f"this node holds no {which} of a model {name}", "see sepc model list"
        )
    return found[-1]


def _row(model: HeldModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "version": model.version,
        "state": model.state,
        "shares": "destroyed" if model.destroyed else "kept",
        "owner": model.owner,
        "parties": list(model.parties),
        "features": len(model.record["card"]["features"]),
        "scores_per_day": model.scores_per_day,
        "identity": model.identity,
        "manifest_sha256": model.manifest_hash,
    }


def applicants(
    home: Path, model: HeldModel, applicant: str | None, file: Path | None
) -> tuple[list[str], dict[str, Any]]:
    """Identifiers, and the owner's columns of the card: one row of the node's table, or a file."""
    card = model.record["card"]
    if len(card["profiles"]) > 1:
        raise wrong("the model's businesses have identifiers of several columns", "train it anew")
    [profile] = card["profiles"]
    if file is not None:
        return read_rows(file, card["id_column"], card["columns"], profile)
    ids, columns = own_rows(home, card)
    [asked] = checked_keys([applicant or ""], profile)
    places = [k for k, one in enumerate(ids) if one == asked]
    if not places:
        raise unknown_applicant()
    return [asked], {name: values[places] for name, values in columns.items()}


def _stage(home: Path, ids: list[str], columns: dict[str, Any]) -> Path:
    import numpy as np

    folder = home / STAGED
    folder.mkdir(mode=0o700, exist_ok=True)
    staged = folder / secrets.token_hex(16)
    arrays = {f"column {name}": values for name, values in columns.items()}
    with open(staged, "xb", opener=_private) as file:
        np.savez(file, ids=np.array(ids, dtype=str), **arrays)
    return staged


def _private(path: str, flags: int) -> int:
    import os

    return os.open(path, flags, 0o600)
