"""What the commands of `sepc` share: options, one JSON document, errors with their remedy."""

import json
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Home = Annotated[Path, typer.Option(help="The node's folder, with its node.json.")]

# What `sepc demo` and `sepc study` start from.
Data = Annotated[
    Path | None,
    typer.Option(help="A folder with one CSV or Parquet file per party; generated if absent."),
]
Label = Annotated[str, typer.Option(help="The label column (1 = bad).")]
Id = Annotated[str, typer.Option("--id", help="The identifier column.")]
Businesses = Annotated[int, typer.Option(min=1, help="How many businesses to generate per party.")]
Whole = Annotated[int, typer.Option("--deadline", min=1, help="Seconds for the whole run.")]


class Language(StrEnum):
    """The languages of pages and summaries."""

    EN = "en"
    ZH = "zh"


def answer(work: Callable[[], Any], as_json: bool, show: Callable[[Any], None]) -> Any:
    """Do the work and print its document, or say what went wrong and exit with status 1."""
    with reported(as_json):
        document = work()
    if as_json:
        print(json.dumps(document, ensure_ascii=False))
    else:
        show(document)
    return document


@contextmanager
def reported(as_json: bool) -> Iterator[None]:
    """Say what went wrong in the block and exit with status 1."""
    from parties.data import DataError
    from parties.errors import LocalError, PartiesError

    try:
        yield
    except typer.Exit:
        raise
    except DataError as exc:
        fields = {"party": None, "step": "data", "cause": str(exc), "remedy": "correct the data"}
        fail({**fields, **exc.as_dict()}, as_json, str(exc))
    except PartiesError as exc:
        fail(exc.as_dict(), as_json)
    except Exception as exc:
        traceback.print_exc()
        error = LocalError("internal", type(exc).__name__, "this is a defect: please report it")
        fail(error.as_dict(), as_json)


def fail(error: dict[str, Any], as_json: bool, text: str | None = None) -> NoReturn:
    """Say what went wrong and exit with status 1."""
    if as_json:
        print(json.dumps({"error": error}, ensure_ascii=False))
    if text is None:
        where = [f"{key} {error[key]}" for key in ("party", "step") if error.get(key)]
        text = f"{error['code']}{' (' + ', '.join(where) + ')' if where else ''}: {error['cause']}"
        text += f"\n  remedy: {error['remedy']}" if error["remedy"] else ""
    print(f"sepc: {text}", file=sys.stderr)
    raise typer.Exit(1)


def print_fields(document: dict[str, Any]) -> None:
    """A flat document, one field a line."""
    for name, value in document.items():
        print(f"{name}: {value if isinstance(value, str | int) else json.dumps(value)}")
