"""`sepc pir`: publish a list, see the lists, ask them without saying for whom."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from parties.cli_common import Home, Json, answer, print_fields

app = typer.Typer(
    help="Anonymous query: ask lists without saying for whom.",
    no_args_is_help=True,
)

Verified = Annotated[bool, typer.Option("--verified", help="Parties check each other.")]
Seconds = Annotated[int, typer.Option("--deadline", min=10, max=86400, help="Seconds for the job.")]


@app.command()
def publish(
    home: Home,
    name: Annotated[str, typer.Option("--list", help="Name of the list: a-z, 0-9, - and _.")],
    data: Annotated[Path | None, typer.Option(help="The whole list: CSV or Parquet.")] = None,
    add: Annotated[Path | None, typer.Option(help="Records to add.")] = None,
    change: Annotated[Path | None, typer.Option(help="Records to change.")] = None,
    remove: Annotated[Path | None, typer.Option(help="Keys to remove.")] = None,
    key: Annotated[str, typer.Option(help="The column of keys.")] = "key",
    payload: Annotated[str, typer.Option(help="Payload columns, separated by commas.")] = "",
    severity: Annotated[str, typer.Option(help="The column of severities, 0 to 63.")] = "severity",
    category: Annotated[str, typer.Option(help="The column of categories.")] = "category",
    date: Annotated[str, typer.Option(help="The column of dates, YYYY-MM-DD.")] = "date",
    profile: Annotated[str | None, typer.Option(help="How keys are compared.")] = None,
    capacity: Annotated[int | None, typer.Option(min=1, help="Most records, public.")] = None,
    payload_bytes: Annotated[
        int | None, typer.Option(min=0, max=64, help="Most bytes of payload, public.")
    ] = None,
    quota: Annotated[
        int | None, typer.Option(min=0, help="Queries per asker and day; 0 until you say.")
    ] = None,
    asker: Annotated[
        list[str] | None, typer.Option(help="Who may ask, NAME or NAME=QUOTA; repeat it.")
    ] = None,
    anew: Annotated[bool, typer.Option(help="Publish the whole list, not its changes.")] = False,
    verified: Verified = False,
    deadline: Seconds = 600,
    as_json: Json = False,
) -> None:
    """Share a list with all parties, or what has changed in it since."""

    def work() -> dict[str, Any]:
        from parties import list_orders
        from parties.list_file import Columns

        columns = Columns(
            key, severity, category, date, tuple(c.strip() for c in payload.split(",") if c)
        )
        return list_orders.publish(
            home,
            name,
            list_orders.Source(columns, data, add, change, remove),
            list_orders.Terms(capacity, payload_bytes, profile, anew),
            list_orders.quotas_of(quota, asker or []),
            deadline,
            verified,
        )

    answer(work, as_json, print_fields)


@app.command("list")
def list_(home: Home, as_json: Json = False) -> None:
    """The lists that this node holds, and the quotas of its own."""

    def work() -> dict[str, Any]:
        from parties.control import order

        return order(home, {"command": "lists"})

    def show(document: dict[str, Any]) -> None:
        for held in document["lists"]:
            quotas = "" if held["quotas"] is None else f", quotas {json.dumps(held['quotas'])}"
            print(
                f"{held['owner']}/{held['name']}: version {held['number']}, at most "
                f"{held['capacity']} records{quotas}"
            )

    answer(work, as_json, show)


@app.command()
def query(
    home: Home,
    lists: Annotated[str, typer.Option("--list", help="NAME or OWNER/NAME; commas between.")],
    key: Annotated[str | None, typer.Option(help="The key to ask for.")] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="Keys: a text with one per line, CSV or Parquet; - is input."),
    ] = None,
    column: Annotated[str | None, typer.Option(help="The file's column of keys.")] = None,
    severity: Annotated[
        int | None,
        typer.Option(min=0, max=63, help="Ask only whether a list has it at or above this."),
    ] = None,
    verified: Verified = False,
    deadline: Seconds = 120,
    as_json: Json = False,
) -> None:
    """Ask lists for one key or many: their records, or only a decision."""

    def work() -> dict[str, Any]:
        from parties import list_questions
        from parties.errors import LocalError

        if (key is None) == (file is None):
            raise LocalError("keys", "say what to ask for", "give --key K or --file FILE")
        keys = [key] if key is not None else list_questions.read_asked(file or Path(), column)
        names = [name.strip() for name in lists.split(",") if name.strip()]
        return list_questions.query(home, names, keys, severity, deadline, verified)

    def show(document: dict[str, Any]) -> None:
        for one in document["answers"]:
            if "hit" in one:
                print(f"{one['key']}: {'hit' if one['hit'] else 'no hit'}")
                continue
            for name, record in one["records"].items():
                found = "no record" if record is None else json.dumps(record, ensure_ascii=False)
                print(f"{one['key']} in {name}: {found}")

    answer(work, as_json, show)
