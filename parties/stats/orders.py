"""`sepc stats`: what happens beside the running node, before a job and after it."""

import json
import time
from pathlib import Path
from typing import Any

from parties import canonical
from parties.control import order
from parties.errors import LocalError
from parties.manifest import Manifest
from parties.programs import RELATED_LOANS
from parties.stats.files import File
from parties.stats.own import edges_digest, register_digest
from parties.worker import RESULT_FILE

_JOB_KEYS = {"compute", "seconds", "approve_seconds"}


def release(
    home: Path, program: str, config: Path, out: Path, language: str, follows: str | None = None,
    verified: bool = False,
) -> dict[str, Any]:
    """Propose a job, wait, and write its release into the folder `out`; returns the document."""
    began = time.monotonic()
    command, names = _command(program, config)
    command["verified"] = verified
    if program == RELATED_LOANS and follows is not None:
        job = order(home, {"command": "job", "job_id": follows})
        command["parameters"]["follows"] = job["manifest_sha256"]
    done = order(home, command, None)
    outputs = read_result(home, done["job_id"])
    document = document_of(program, outputs, names)
    from parties.release import write_release

    files = write_release(document, out, language)
    record = document["record"]
    return {
        **done,
        "verified": verified,
        "what": record["what"],
        "period": record["period"],
        "institutions": record["institutions"],
        "refused": record["refused"],
        "cells": record["cells"],
        "withheld": record["withheld"],
        "lists": document.get("lists", []),
        "facts": document.get("facts", {}),
        "files": files,
        "seconds": round(time.monotonic() - began, 3),
    }


def _command(program: str, config: Path) -> tuple[dict[str, Any], list[str]]:
    """What the node is told to do, and the companies of the register where there is one."""
    fields = read_config(config)
    names = _register(fields, config.parent) if program == RELATED_LOANS else []
    command = {
        "command": "statistics",
        "program": program,
        "compute": fields.get("compute", []),
        "seconds": fields.get("seconds", 600),
        "approve_seconds": fields.get("approve_seconds", 60),
        "parameters": {k: v for k, v in fields.items() if k not in _JOB_KEYS},
    }
    return command, names


def read_config(path: Path) -> dict[str, Any]:
    """The configuration of a release; LocalError if it is no JSON object."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        cause = f"{path} cannot be read ({type(exc).__name__})"
        raise LocalError("config", cause, "give a JSON file") from None
    if not isinstance(fields, dict):
        raise LocalError("config", f"{path} is not a JSON object", "see docs/statistics.md")
    return fields


def _register(fields: dict[str, Any], folder: Path) -> list[str]:
    """Replace the names of public files by their digests; the companies of the register."""
    try:
        names = File(folder, "companies").identifiers("company")
        fields |= {"register": register_digest(names), "companies": len(names)}
        if fields.pop("public", False):
            edges = File(folder, "edges")
            ends = [edges.identifiers(name, repeated=True) for name in ("first", "second")]
            fields["public_edges"] = edges_digest(*ends)
    except ValueError as exc:
        raise LocalError(
            "config", str(exc), "put the register of companies beside the configuration"
        ) from None
    return names


def read_result(home: Path, job_id: str) -> dict[str, Any]:
    """What a job of this node has left for it; LocalError if there is nothing."""
    try:
        result = canonical.parse((home / "jobs" / job_id / RESULT_FILE).read_bytes())
        outputs: dict[str, Any] = result["outputs"]
        return outputs
    except (OSError, ValueError, KeyError):
        raise LocalError(
            "no_result", f"there is no result of {job_id} here", "see sepc job list"
        ) from None


def own(home: Path, job_id: str) -> dict[str, Any]:
    """What an institution got from a job: whether its data counted, and its own figures."""
    job = order(home, {"command": "job", "job_id": job_id})
    manifest = Manifest.read(job["manifest"])
    outputs = read_result(home, job_id)
    return {"job_id": job_id, "program": manifest.program.name, **outputs}


def document_of(program: str, outputs: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """The document of a release: the table, and what else the receiver got, as lists and facts."""
    if "table" not in outputs:
        return outputs
    document: dict[str, Any] = {**outputs["table"]}
    if "bands" in outputs:
        rows = sorted(outputs["bands"].items(), key=lambda item: (item[1], item[0]))
        document["lists"] = [
            {
                "name": "bands",
                "columns": ["institution", "band"],
                "rows": [[name, band + 1] for name, band in rows],
            }
        ]
    if outputs.get("groups") is not None:
        around = any(d["name"] == "neighbourhood" for d in document.get("dimensions", ()))
        document["lists"] = [
            {
                "name": "near" if around else "groups",
                "columns": ["companies", "owed"],
                "rows": [
                    [", ".join(names[c] for c in group["companies"]), group["owed"]]
                    for group in outputs["groups"]
                ],
            }
        ]
    if outputs.get("top_over_limit") is not None:
        document["facts"] = {"top_over_limit": outputs["top_over_limit"]}
    return document
