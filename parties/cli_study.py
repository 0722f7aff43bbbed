"""`sepc study`: what data would be worth, before anybody shows any."""

from pathlib import Path
from typing import Annotated, Any

import typer

from parties.cli_common import Json, answer

app = typer.Typer(
    help="What other parties' data would add, before it is bought.", no_args_is_help=True
)


@app.callback()
def _study() -> None:
    """What other parties' data would add, before it is bought."""


@app.command()
def uplift(
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
        Path | None, typer.Option(help="An empty folder for the run and its page.")
    ] = None,
    deadline: Annotated[int, typer.Option(min=1, help="Seconds for the whole run.")] = 900,
    language: Annotated[str, typer.Option(help="Of page and table: en or zh.")] = "en",
    as_json: Json = False,
) -> None:
    """AUC and KS of every subset of partners, and what each of them adds."""

    def work() -> dict[str, Any]:
        from parties.demo import Options
        from parties.errors import LocalError
        from parties.study import run_study

        if language not in ("en", "zh"):
            raise LocalError("language", f"language {language!r}", "choose en or zh")
        return run_study(
            Options(
                data=data,
                id_name=id_,
                label_name=label,
                businesses=businesses,
                out=out,
                deadline=deadline,
                language=language,
            )
        )

    def show(document: dict[str, Any]) -> None:
        from rich.console import Console

        from parties.study.page import print_study

        print_study(document, Console(), language)

    answer(work, as_json, show)
