"""`sepc node`, `sepc job` and `sepc audit`: the node's operator at the command line."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from parties.cli_common import Home, Json, answer, print_fields

node = typer.Typer(help="The node of one organisation.", no_args_is_help=True)
job = typer.Typer(help="Jobs: propose, approve, look at, call off.", no_args_is_help=True)
audit = typer.Typer(help="The node's signed log of what it did and saw.", no_args_is_help=True)

JobId = Annotated[str, typer.Argument(help="As sepc job list shows it.")]


@node.command()
def init(
    home: Home,
    name: Annotated[str | None, typer.Option(help="The organisation's name on the bus.")] = None,
    broker: Annotated[str | None, typer.Option(help="HOST:PORT of the MQTT broker.")] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="Holds the broker's password for this node.")
    ] = None,
    directory: Annotated[
        Path | None, typer.Option(help='JSON of all public keys: {"name": "key", ...}.')
    ] = None,
    data: Annotated[str | None, typer.Option(help="The table, a file below the home.")] = None,
    id_: Annotated[str | None, typer.Option("--id", help="Its identifier column.")] = None,
    label: Annotated[str | None, typer.Option(help="Its label column.")] = None,
    host: Annotated[str | None, typer.Option(help="Where others reach this node.")] = None,
    approval: Annotated[
        str | None, typer.Option(help="policy, or person: sepc job approve decides.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Found a node: its key and its node.json. Again: change what the options name."""

    def work() -> dict[str, Any]:
        from parties import founding
        from parties.errors import LocalError

        address: tuple[str | None, int | None] = (None, None)
        if broker is not None:
            where, _, port = broker.rpartition(":")
            if not where or not port.isdecimal():
                raise LocalError("node_config", f"broker {broker}", "say --broker HOST:PORT")
            address = where.strip("[]"), int(port)
        password = None
        if password_file is not None:
            try:
                password = password_file.read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as exc:
                raise LocalError(
                    "node_config", f"{password_file} cannot be read", "check the file"
                ) from exc
        changes = {
            "broker_host": address[0],
            "broker_port": address[1],
            "broker_password": password,
            "directory": founding.read_directory(directory) if directory else None,
            "data": data,
            "id_column": id_,
            "label": label,
            "host": host,
            "approval": approval,
        }
        return founding.init(home, name, changes)

    answer(work, as_json, print_fields)


@node.command()
def up(home: Home) -> None:
    """Run a node until it is stopped."""
    from parties.node_process import main as run_node

    raise typer.Exit(run_node(["--home", str(home)]))


@node.command()
def status(home: Home, as_json: Json = False) -> None:
    """What the running node says of itself, and who else is on the bus."""
    answer(lambda: order_node(home, "status"), as_json, print_fields)


@node.command()
def doctor(home: Home, as_json: Json = False) -> None:
    """Try what jobs need: broker, rights, other nodes, clocks, code, connections both ways.

    The exit status is 0 only if nothing was found wrong.
    """

    def show(document: dict[str, Any]) -> None:
        for one in document["findings"]:
            where = f" {one['party']}" if one["party"] else ""
            seconds = "" if one["seconds"] is None else f" ({one['seconds'] * 1000:.0f} ms)"
            remedy = f"\n    remedy: {one['remedy']}" if one["remedy"] else ""
            mark = "ok  " if one["passed"] else "FAIL"
            print(f"{mark} {one['check']}{where}: {one['found']}{seconds}{remedy}")

    if not answer(lambda: order_node(home, "doctor"), as_json, show)["healthy"]:
        raise typer.Exit(1)


@job.command("list")
def list_(home: Home, as_json: Json = False) -> None:
    """All jobs that this node knows, the latest last."""

    def show(document: dict[str, Any]) -> None:
        for one in document["jobs"]:
            print(f"{one['job_id']}: {one['program']} of {one['initiator']}, {one['state']}")

    answer(lambda: order_node(home, "jobs"), as_json, show)


@job.command("show")
def show_(home: Home, job_id: JobId, as_json: Json = False) -> None:
    """A job: its manifest, who learns what, its state, and why it ended."""

    def work() -> dict[str, Any]:
        from parties.learned import learned
        from parties.manifest import Manifest

        document = order_node(home, "job", job_id=job_id)
        return {**document, "learned": learned(Manifest.read(document["manifest"]))}

    answer(work, as_json, lambda d: print(json.dumps(d, indent=2, ensure_ascii=False)))


@job.command()
def approve(home: Home, job_id: JobId, as_json: Json = False) -> None:
    """Approve a job that waits for a person's word."""
    answer(lambda: order_node(home, "approve", job_id=job_id), as_json, print_fields)


@job.command()
def resume(
    home: Home,
    job_id: JobId,
    seconds: Annotated[
        int | None, typer.Option(min=1, help="Until it expires; as long as at first if absent.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Go on with a training that was interrupted, from its last checkpoint, as a new job."""
    answer(
        lambda: order_node(home, "resume", job_id=job_id, seconds=seconds), as_json, print_fields
    )


@job.command()
def cancel(home: Home, job_id: JobId, as_json: Json = False) -> None:
    """Call a job off: everywhere, since no party goes on without another."""
    answer(lambda: order_node(home, "cancel", job_id=job_id), as_json, print_fields)


@audit.command()
def verify(home: Home, as_json: Json = False) -> None:
    """Check that the log is whole: chained, signed, nothing changed or taken out."""

    def work() -> dict[str, Any]:
        entries = _entries(home)
        last = entries[-1]["hash"] if entries else None
        return {"entries": len(entries), "last": last, "whole": True}

    answer(work, as_json, print_fields)


@audit.command("show")
def show_audit(
    home: Home,
    job_id: Annotated[str | None, typer.Option("--job", help="Only entries of this job.")] = None,
    event: Annotated[str | None, typer.Option(help="Only these events, such as query.")] = None,
    as_json: Json = False,
) -> None:
    """The entries of the log, after checking it."""

    def work() -> dict[str, Any]:
        entries = [
            entry
            for entry in _entries(home)
            if job_id in (None, entry["details"].get("job_id")) and event in (None, entry["event"])
        ]
        return {"entries": entries}

    def show(document: dict[str, Any]) -> None:
        for entry in document["entries"]:
            details = json.dumps(entry["details"], ensure_ascii=False)
            print(f"{entry['number']} {entry['time']} {entry['event']} {details}")

    answer(work, as_json, show)


def order_node(home: Path, command: str, **fields: Any) -> dict[str, Any]:
    """What the running node answers to a command."""
    from parties.control import order

    return order(home, {"command": command, **fields})


def _entries(home: Path) -> list[dict[str, Any]]:
    from parties.audit import verify_log
    from parties.config import NodeConfig
    from parties.errors import LocalError
    from parties.identity import Identity

    name = NodeConfig.load(home).name
    log = home / "audit.jsonl"
    if not log.exists():
        raise LocalError("audit", f"{log} is not there", "start the node once", party=name)
    return verify_log(log, Identity.load(name, home).public_hex)
