"""`sepc model`: the models that a node keeps shares of; their states; scores of applicants."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from parties.cli_common import Home, Json, answer, print_fields

app = typer.Typer(
    help="Models that the parties keep shares of: look, approve, score, retire, delete.",
    no_args_is_help=True,
)
sessions = typer.Typer(
    help="Sessions in which one applicant after the other is scored without a job for each.",
    no_args_is_help=True,
)
app.add_typer(sessions, name="session")

Name = Annotated[str, typer.Argument(help="As sepc model list shows it.")]
Version = Annotated[int | None, typer.Option(min=1, help="Which version; the newest if absent.")]
Seconds = Annotated[int, typer.Option("--deadline", min=10, max=86400, help="Seconds for the job.")]
Reasons = Annotated[int, typer.Option(min=1, max=20, help="Reason codes per applicant.")]
Session = Annotated[str, typer.Argument(help="As sepc model session open printed it.")]


@app.command("list")
def list_(home: Home, as_json: Json = False) -> None:
    """The models in this node's store."""

    def work() -> dict[str, Any]:
        from parties.model_orders import listed

        return listed(home)

    def show(document: dict[str, Any]) -> None:
        for one in document["models"]:
            shares = "" if one["shares"] == "kept" else ", shares destroyed"
            print(
                f"{one['name']} version {one['version']}: {one['state']}{shares}, "
                f"{one['features']} features, of {one['owner']}, "
                f"at most {one['scores_per_day']} scores a day"
            )

    answer(work, as_json, show)


@app.command()
def show(home: Home, name: Name, version: Version = None, as_json: Json = False) -> None:
    """A model: where it comes from, what it reached, what is public of its card."""

    def work() -> dict[str, Any]:
        from parties.model_orders import shown

        return shown(home, name, version)

    answer(work, as_json, lambda d: print(json.dumps(d, indent=2, ensure_ascii=False)))


@app.command()
def approve(
    home: Home, name: Name, version: Version = None, deadline: Seconds = 120, as_json: Json = False
) -> None:
    """Have every party approve a draft."""
    _change(home, name, version, "approved", deadline, as_json)


@app.command()
def live(
    home: Home, name: Name, version: Version = None, deadline: Seconds = 120, as_json: Json = False
) -> None:
    """Put an approved version to use; at most one version of a name is live."""
    _change(home, name, version, "live", deadline, as_json)


@app.command()
def retire(
    home: Home, name: Name, version: Version = None, deadline: Seconds = 120, as_json: Json = False
) -> None:
    """Take a version out of use, at every party."""
    _change(home, name, version, "retired", deadline, as_json)


@app.command()
def delete(
    home: Home, name: Name, version: Version = None, deadline: Seconds = 120, as_json: Json = False
) -> None:
    """Destroy the shares of a version at every party; every audit log says so."""
    _change(home, name, version, "deleted", deadline, as_json)


@app.command()
def score(
    home: Home,
    name: Annotated[
        str | None, typer.Argument(help="As sepc model list shows it; none with --session.")
    ] = None,
    session: Annotated[
        str | None, typer.Option(help="Ask in this open session: sepc model session open.")
    ] = None,
    applicant: Annotated[
        str | None, typer.Option(help="Identifier of a business in the node's own table.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Applicants: CSV or Parquet with the card's own columns.")
    ] = None,
    version: Annotated[
        int | None, typer.Option(min=1, help="Which version; the live one if absent.")
    ] = None,
    reasons: Reasons = 4,
    deadline: Seconds = 120,
    as_json: Json = False,
) -> None:
    """Score one applicant or a file of them, without saying to anybody who they are.

    By a job of its own, or at once in an open session, which states version and reasons.
    """

    def work() -> dict[str, Any]:
        from parties import model_orders, session_orders
        from parties.errors import LocalError

        if (applicant is None) == (file is None):
            raise LocalError(
                "applicants", "say whom to score", "give --applicant ID or --file FILE"
            )
        if (name is None) == (session is None):
            raise LocalError("command", "say by which model", "give its name, or --session ID")
        if session is not None:
            return session_orders.score(home, session, applicant, file, deadline)
        assert name is not None
        return model_orders.score(home, name, version, applicant, file, reasons, deadline)

    def show(document: dict[str, Any]) -> None:
        for one in document["answers"]:
            reasons = ", ".join(one["reasons"]) or "nothing lost"
            print(f"{one['applicant']}: {one['score']} points; {reasons}")

    answer(work, as_json, show)


@sessions.command("open")
def open_session(
    home: Home,
    name: Name,
    scores: Annotated[
        int, typer.Option(min=1, max=100_000, help="Applicants to score at most; all count today.")
    ],
    version: Annotated[
        int | None, typer.Option(min=1, help="Which version; the live one if absent.")
    ] = None,
    reasons: Reasons = 4,
    idle: Annotated[
        int, typer.Option(min=10, max=86400, help="Seconds without a request that end it.")
    ] = 600,
    deadline: Annotated[
        int, typer.Option(min=60, max=86400, help="Seconds for all of it, approvals included.")
    ] = 28800,
    as_json: Json = False,
) -> None:
    """Have every party approve a session, and its workers wait for requests."""

    def work() -> dict[str, Any]:
        from parties.session_orders import open_

        return open_(home, name, version, scores, reasons, idle, deadline)

    answer(work, as_json, print_fields)


@sessions.command("show")
def show_session(home: Home, session: Session, as_json: Json = False) -> None:
    """Whether a session is open, and how many scores are left of it."""
    answer(lambda: _order(home, "session_show", session), as_json, print_fields)


@sessions.command("close")
def close_session(home: Home, session: Session, as_json: Json = False) -> None:
    """End a session; scores that it did not use are not given back."""
    answer(lambda: _order(home, "session_close", session), as_json, print_fields)


def _order(home: Path, command: str, session: str) -> dict[str, Any]:
    from parties.control import order

    return order(home, {"command": command, "session": session}, None)


def _change(
    home: Path, name: str, version: int | None, state: str, seconds: int, as_json: bool
) -> None:
    def work() -> dict[str, Any]:
        from parties.model_orders import change

        return change(home, name, version, state, seconds)

    answer(work, as_json, print_fields)
