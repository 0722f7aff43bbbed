"""The command `sepc`. Results go to standard output, everything said on the way to standard error.

With `--json` a command prints exactly one JSON document on standard output, `{"error": {...}}` if
it failed. The exit status is 0 only when it did what was asked.
"""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from parties.cli_common import Businesses, Data, Id, Json, Label, Language, Whole, answer
from parties.cli_job import job
from parties.cli_model import app as model
from parties.cli_node import audit, node
from parties.cli_pir import app as pir
from parties.cli_stats import app as stats
from parties.cli_study import app as study
from parties.data_cli import app as data_commands


class _Commands(TyperGroup):
    """The commands; `bench` is imported when it is asked for, since it loads the whole engine."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), "bench"]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name == "bench":
            from bench.cli import app as bench

            group = typer.main.get_group(bench)
            group.name = cmd_name
            return group
        return super().get_command(ctx, cmd_name)


app = typer.Typer(
    cls=_Commands,
    help="SEPC: joint credit decisions on data that stays where it is.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(node, name="node")
app.add_typer(job, name="job")
app.add_typer(pir, name="pir")
app.add_typer(model, name="model")
app.add_typer(stats, name="stats")
app.add_typer(data_commands, name="data")
app.add_typer(study, name="study")
app.add_typer(audit, name="audit")


@app.callback()
def _sepc() -> None:
    """SEPC: joint credit decisions on data that stays where it is."""


@app.command()
def demo(
    data: Data = None,
    label: Label = "default",
    id_: Id = "company_id",
    businesses: Businesses = 10_000,
    out: Annotated[
        Path | None, typer.Option(help="An empty folder for the run and its report.")
    ] = None,
    deadline: Whole = 600,
    language: Annotated[Language, typer.Option(help="Of the report.")] = Language.EN,
    parameters: Annotated[
        Path | None, typer.Option(help="Of the model: a JSON file, see docs/models.md.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Four organisations, one secure credit model, on this machine."""

    def work() -> dict[str, Any]:
        from parties.demo import Options, run_demo
        from parties.offers import read_json

        return run_demo(
            Options(
                data=data,
                id_name=id_,
                label_name=label,
                businesses=businesses,
                out=out,
                deadline=deadline,
                language=language.value,
                parameters={} if parameters is None else read_json(parameters, "parameters"),
            )
        )

    def show(document: dict[str, Any]) -> None:
        from rich.console import Console

        from parties.report.terminal import print_summary

        print_summary(document, Console())

    answer(work, as_json, show)


def main() -> None:
    """Entry point of the command `sepc`."""
    app()


if __name__ == "__main__":
    main()
