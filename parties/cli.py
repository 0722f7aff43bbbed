"""The command `sepc`. Results go to standard output, everything said on the way to standard error.

With `--json` a command prints exactly one JSON document on standard output, `{"error": {...}}` if
it failed. The exit status is 0 only when it did what was asked.
"""

import json
import sys
import traceback
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from bench.cli import app as bench
from parties.data_cli import app as data_commands

app = typer.Typer(
    help="SEPC: joint credit decisions on data that stays where it is.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
node = typer.Typer(help="The node of one organisation.", no_args_is_help=True)
app.add_typer(node, name="node")
app.add_typer(bench, name="bench")
app.add_typer(data_commands, name="data")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


class Language(StrEnum):
    """The languages of the report."""

    EN = "en"
    ZH = "zh"


@app.callback()
def _sepc() -> None:
    """SEPC: joint credit decisions on data that stays where it is."""


@app.command()
def demo(
    data: Annotated[
        Path | None,
        typer.Option(help="A folder with one CSV or Parquet file per party; generated if absent."),
    ] = None,
    label: Annotated[str, typer.Option(help="The label column (1 = bad).")] = "default",
    id_: Annotated[str, typer.Option("--id", help="The identifier column.")] = "company_id",
    businesses: Annotated[
        int, typer.Option(min=1, help="How many businesses to generate per party.")
    ] = 10_000,
    out: Annotated[
        Path | None, typer.Option(help="An empty folder for the run and its report.")
    ] = None,
    deadline: Annotated[int, typer.Option(min=1, help="Seconds for the whole run.")] = 600,
    language: Annotated[Language, typer.Option(help="Of the report.")] = Language.EN,
    as_json: Json = False,
) -> None:
    """Four organisations, one secure credit model, on this machine."""
    from parties.data import DataError
    from parties.demo import Options, run_demo
    from parties.errors import LocalError, PartiesError

    options = Options(
        data=data,
        id_name=id_,
        label_name=label,
        businesses=businesses,
        out=out,
        deadline=deadline,
        language=language.value,
    )
    try:
        document = run_demo(options)
    except DataError as exc:
        fields = {"party": None, "step": "data", "cause": str(exc), "remedy": "correct the data"}
        _fail({**fields, **exc.as_dict()}, as_json, str(exc))
    except PartiesError as exc:
        _fail(exc.as_dict(), as_json)
    except Exception as exc:
        traceback.print_exc()
        error = LocalError("internal", type(exc).__name__, "this is a defect: please report it")
        _fail(error.as_dict(), as_json)
    if as_json:
        print(json.dumps(document, ensure_ascii=False))
    else:
        from rich.console import Console

        from parties.report.terminal import print_summary

        print_summary(document, Console())


@node.command("up")
def node_up(
    home: Annotated[Path, typer.Option(help="The node's folder, with its node.json.")],
) -> None:
    """Run a node until it is stopped."""
    from parties.node import main as run_node

    raise typer.Exit(run_node(["--home", str(home)]))


def _fail(error: dict[str, Any], as_json: bool, text: str | None = None) -> NoReturn:
    """Say what went wrong and exit with status 1."""
    if as_json:
        print(json.dumps({"error": error}, ensure_ascii=False))
    if text is None:
        where = [f"{key} {error[key]}" for key in ("party", "step") if error.get(key)]
        text = f"{error['code']}{' (' + ', '.join(where) + ')' if where else ''}: {error['cause']}"
        text += f"\n  remedy: {error['remedy']}" if error["remedy"] else ""
    print(f"sepc: {text}", file=sys.stderr)
    raise typer.Exit(1)


def main() -> None:
    """Entry point of the command `sepc`."""
    app()


if __name__ == "__main__":
    main()
