"""`sepc study`: what data would be worth, before anybody shows any."""

from pathlib import Path
from typing import Annotated, Any

import typer

from parties.cli_common import Businesses, Data, Id, Json, Label, Language, Whole, answer

app = typer.Typer(
    help="What other parties' data would add, before it is bought.", no_args_is_help=True
)


@app.callback()
def _study() -> None:
    """What other parties' data would add, before it is bought."""


@app.command()
def uplift(
    data: Data = None,
    label: Label = "default",
    id_: Id = "company_id",
    businesses: Businesses = 10_000,
    out: Annotated[
        Path | None, typer.Option(help="An empty folder for the run and its page.")
    ] = None,
    deadline: Whole = 900,
    language: Annotated[Language, typer.Option(help="Of page and table.")] = Language.EN,
    as_json: Json = False,
) -> None:
    """AUC and KS of every subset of partners, and what each of them adds."""

    def work() -> dict[str, Any]:
        from parties.demo import Options
        from parties.study import run_study

        return run_study(
            Options(
                data=data,
                id_name=id_,
                label_name=label,
                businesses=businesses,
                out=out,
                deadline=deadline,
                language=language.value,
            )
        )

    def show(document: dict[str, Any]) -> None:
        from rich.console import Console

        from parties.study.page import print_study

        print_study(document, Console(), language.value)

    answer(work, as_json, show)
