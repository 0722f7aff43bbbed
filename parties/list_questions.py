"""`sepc pir query`: keys to the running node, answers from the job's folder."""

import sys
import time
from pathlib import Path
from typing import Any

from parties import canonical
from parties.control import order
from parties.list_keys import SEPARATOR
from protocols.pir_table import EPOCH

RESULT_FILE = "result.json"


def query(
    home: Path,
    lists: list[str],
    keys: list[str],
    severity: int | None,
    seconds: int,
    verified: bool = False,
) -> dict[str, Any]:
    """Ask lists for keys: for each key its record per list, or whether there is a hit."""
    began = time.monotonic()
    command = {
        "command": "query",
        "lists": lists,
        "keys": keys,
        "severity": severity,
        "seconds": seconds,
        "verified": verified,
    }
    done = order(home, command, None)
    result = canonical.parse((home / "jobs" / done["job_id"] / RESULT_FILE).read_bytes())
    outputs, asked = result["outputs"], done["lists"]
    if severity is None:
        answers = [
            {
                "key": key,
                "records": {
                    one["list"]: _record(record, one["columns"])
                    for one, record in zip(asked, row, strict=True)
                },
            }
            for key, row in zip(keys, outputs["records"], strict=True)
        ]
    else:
        answers = [{"key": key, "hit": hit} for key, hit in zip(keys, outputs["hits"], strict=True)]
    return {
        "job_id": done["job_id"],
        "manifest_sha256": done["manifest_sha256"],
        "lists": [{k: one[k] for k in ("list", "version")} for one in asked],
        "severity": severity,
        "verified": verified,
        "answers": answers,
        "seconds": round(time.monotonic() - began, 3),
    }


def _record(record: dict[str, Any] | None, columns: list[str]) -> dict[str, Any] | None:
    if record is None:
        return None
    text = bytes.fromhex(record["payload"]).decode(errors="replace")
    values = text.split(SEPARATOR) if columns else []
    return {
        "severity": record["severity"],
        "category": record["category"],
        "date": None if record["date"] == EPOCH.isoformat() else record["date"],
        "payload": dict(zip(columns, values, strict=False)),
    }


def read_asked(file: Path, column: str | None) -> list[str]:
    """The keys of a file, or of standard input for `-`, as they are written there."""
    if str(file) == "-":
        return [line for line in sys.stdin.read().splitlines() if line.strip()]
    from parties.list_file import raw_keys  # a table reader, which few queries need

    return [key or "" for key in raw_keys(file, column)]
