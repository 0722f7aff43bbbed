"""`sepc stats`: ask many institutions one question, and publish the answer."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from parties.cli_common import Home, Json, Language, answer

app = typer.Typer(
    help="Regulator statistics: many institutions, one table, nobody's records.",
    no_args_is_help=True,
)


Node = Annotated[Path | None, typer.Option("--home", help="The regulator's node.")]
Config = Annotated[Path | None, typer.Option(help="JSON: who is asked what, under which rules.")]
Out = Annotated[Path | None, typer.Option(help="The folder for the release.")]
Demo = Annotated[bool, typer.Option("--demo", help="Generated data, all parties on this machine.")]
Banks = Annotated[int | None, typer.Option(help="With --demo: how many banks; 6 if not said.")]
Verified = Annotated[bool, typer.Option("--verified", help="Compute parties check each other.")]
Speech = Annotated[Language, typer.Option(help="Of the page.")]


def _release(
    program: str, home: Path | None, config: Path | None, out: Path | None, demo: bool,
    language: Language, as_json: bool, follows: str | None = None, verified: bool = False,
    banks: int | None = None,
) -> None:  # fmt: skip
    def work() -> dict[str, Any]:
        from parties.errors import LocalError

        if demo:
            from parties.stats.demo import BANKS, run_demo

            count = BANKS if banks is None else banks
            return run_demo(program, out, language.value, verified, count)
        if banks is not None:
            raise LocalError(
                "options", "--banks is about --demo only", "name the banks in the question"
            )
        if home is None or config is None or out is None:
            raise LocalError(
                "options", "a node, a question and a place are needed",
                "say --home, --config and --out, or --demo",
            )  # fmt: skip
        from parties.stats.orders import release

        return release(home, program, config, out, language.value, follows, verified)

    answer(work, as_json, _show)


def _show(document: dict[str, Any]) -> None:
    for one in document.get("periods", [document]):
        counted, refused = len(one["institutions"]), one["refused"]
        withheld = sum(one["withheld"].values())
        print(f"{one['what']}, {one['period']}: {counted} institutions, {len(refused)} refused")
        for name, reason in refused.items():
            print(f"  {name}: {reason}")
        print(f"  {one['cells'] - withheld} of {one['cells']} cells are shown")
        for found in one["lists"]:
            print(f"  {found['name']}: {len(found['rows'])}")
        for name, value in one["facts"].items():
            print(f"  {name}: {json.dumps(value)}")
        print(f"  {one['files']['html']}  ({one['seconds']:.0f} s, job {one['job_id']})")


@app.command("fund-flow")
def fund_flow(
    home: Node = None, config: Config = None, out: Out = None, demo: Demo = False,
    banks: Banks = None,
    language: Speech = Language.EN, verified: Verified = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Where credit funds went that they must not: by region, period, and institution."""
    _release("fund-flow", home, config, out, demo, language, as_json, None, verified, banks)


@app.command("green-finance")
def green_finance(
    home: Node = None, config: Config = None, out: Out = None, demo: Demo = False,
    banks: Banks = None,
    language: Speech = Language.EN, verified: Verified = False, as_json: Json = False,
) -> None:  # fmt: skip
    """One evaluation of many institutions by common indicators."""
    _release("green-finance", home, config, out, demo, language, as_json, None, verified, banks)


@app.command("related-loans")
def related_loans(
    home: Node = None, config: Config = None, out: Out = None, demo: Demo = False,
    banks: Banks = None,
    follows: Annotated[
        str | None,
        typer.Option(help="The job of the period before: only what has changed since is shared."),
    ] = None,
    language: Speech = Language.EN, verified: Verified = False, as_json: Json = False,
) -> None:  # fmt: skip
    """What all banks together have lent to groups of related companies."""
    _release("related-loans", home, config, out, demo, language, as_json, follows, verified, banks)


@app.command()
def trace(
    home: Node = None, config: Config = None, out: Out = None, demo: Demo = False,
    banks: Banks = None,
    language: Speech = Language.EN, verified: Verified = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Credit funds followed from payment to payment: restricted accounts, and back-flow."""
    _release("fund-tracing", home, config, out, demo, language, as_json, None, verified, banks)


@app.command()
def table(
    home: Node = None, config: Config = None, out: Out = None, demo: Demo = False,
    banks: Banks = None,
    language: Speech = Language.EN, verified: Verified = False, as_json: Json = False,
) -> None:  # fmt: skip
    """A table of any dimensions: sums, means, percentiles, numbers of different companies."""
    _release("joint-table", home, config, out, demo, language, as_json, None, verified, banks)


@app.command()
def own(
    home: Home,
    job_id: Annotated[str, typer.Argument(help="As sepc job list shows it.")],
    as_json: Json = False,
) -> None:
    """At an institution: whether its data counted in a job, and its own figures."""

    def work() -> dict[str, Any]:
        from parties.stats import orders

        return orders.own(home, job_id)

    answer(work, as_json, lambda d: print(json.dumps(d, indent=2, ensure_ascii=False)))
