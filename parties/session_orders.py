"""`sepc model session` and `sepc model score --session`, beside the node.

A business of the node's own table is looked up by the session's worker, which has the table at
hand; a file of applicants is read and checked here. Both reach the node through its socket.
"""

import math
from pathlib import Path
from typing import Any

from parties.control import order
from parties.errors import LocalError
from parties.model_orders import chosen
from parties.model_rows import read_rows
from parties.model_terms import held_models


def open_(
    home: Path, name: str, version: int | None, scores: int, reasons: int, idle: int, seconds: int
) -> dict[str, Any]:
    """Open a session with a version (the live one if None); returns its identifier."""
    model = chosen(home, name, version, live=True)
    command = {
        "command": "session_open",
        "identity": model.identity,
        "count": scores,
        "reasons": reasons,
        "idle": idle,
        "seconds": seconds,
    }
    return order(home, command, None)


def score(
    home: Path, session: str, applicant: str | None, file: Path | None, seconds: int
) -> dict[str, Any]:
    """Score one business of the node's own table, or all of a file, in an open session."""
    who, request = [applicant], {"applicant": applicant}
    if file is not None:
        who, request = _of_file(home, session, file)
    command = {"command": "session_ask", "session": session, "seconds": seconds, **request}
    done = order(home, command, None)
    scores, reasons = done.pop("scores"), done.pop("reasons")
    return {
        "session": session,
        "answers": [
            {"applicant": one, "score": points, "reasons": names}
            for one, points, names in zip(who, scores, reasons, strict=True)
        ],
        **done,
    }


def _of_file(home: Path, session: str, file: Path) -> tuple[list[Any], dict[str, Any]]:
    about = order(home, {"command": "session_show", "session": session})
    model = held_models(home).get(about["identity"])
    if model is None:
        raise LocalError(
            "unknown_model", "this node holds no model of the session", "see sepc model list"
        )
    card = model.record["card"]
    ids, columns = read_rows(file, card["id_column"], card["columns"], card["profiles"][0])
    values = {
        name: [None if math.isnan(value) else float(value) for value in column]
        for name, column in columns.items()
    }
    return ids, {"ids": ids, "columns": values}
