"""`sepc job propose`, `result`, `estimate`: put a job together, wait for it, say what it costs."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from parties.cli_common import Home, Json, answer, print_fields
from parties.cli_node import JobId, job, order_node


class Mode(StrEnum):
    """What becomes of common businesses."""

    SHARED = "shared"
    REVEAL_SIZE = "reveal-size"
    REVEAL_IDENTIFIERS = "reveal-identifiers"
    ECDH = "ecdh"


class Kind(StrEnum):
    """Which rows a shared result has."""

    LEFT = "left"
    INNER = "inner"
    FULL = "full"


class Count(StrEnum):
    """What opens of a shared result."""

    COMMON = "common"
    EACH = "each"


class Binning(StrEnum):
    """How the features of a credit model are binned."""

    QUANTILE = "quantile"
    EQUAL_WIDTH = "equal-width"
    GIVEN = "given"
    TREE = "tree"
    CHIMERGE = "chimerge"
    MONOTONE = "monotone"


@job.command()
def propose(
    home: Home,
    manifest: Annotated[
        Path | None, typer.Argument(help="A manifest, a JSON file; or put one together.")
    ] = None,
    program: Annotated[
        str, typer.Option(help="common-businesses or credit-model.")
    ] = "common-businesses",
    table: Annotated[str | None, typer.Option(help="The own table, see sepc data list.")] = None,
    offer: Annotated[
        list[Path] | None, typer.Option(help="Another party's table: sepc data offer; repeat it.")
    ] = None,
    party: Annotated[
        list[str] | None, typer.Option(help="Who takes part; everybody unless told. Repeat it.")
    ] = None,
    bound: Annotated[
        int | None, typer.Option(min=1, help="Public size that hides the number of own rows.")
    ] = None,
    features: Annotated[
        str | None, typer.Option(help="Own features, with commas; none or all by default.")
    ] = None,
    mode: Annotated[Mode, typer.Option(help="What becomes of common businesses.")] = Mode.SHARED,
    receiver: Annotated[list[str] | None, typer.Option(help="Who learns it; repeat it.")] = None,
    count: Annotated[
        list[Count] | None, typer.Option(help="What opens of a shared result; repeat it.")
    ] = None,
    kind: Annotated[Kind, typer.Option(help="Rows of a shared result.")] = Kind.LEFT,
    required: Annotated[
        list[str] | None, typer.Option(help="Whose rows an inner join needs; repeat it.")
    ] = None,
    joint_bound: Annotated[
        int | None, typer.Option(min=1, help="Public size of an inner join, instead of its own.")
    ] = None,
    separate_orders: Annotated[
        bool, typer.Option("--separate-orders", help="Helpers see no overlap of two joins.")
    ] = False,
    size_only: Annotated[bool, typer.Option("--size-only", help="ecdh: only how many.")] = False,
    proved: Annotated[bool, typer.Option("--proved", help="ecdh: one key, proven.")] = False,
    parameters: Annotated[Path | None, typer.Option(help="credit-model: a JSON file.")] = None,
    binning: Annotated[
        Binning | None, typer.Option(help="credit-model: how bins are made; quantile by default.")
    ] = None,
    max_bins: Annotated[
        int | None, typer.Option(min=2, max=50, help="credit-model: most bins of a feature.")
    ] = None,
    min_share: Annotated[
        float | None,
        typer.Option(min=0.0001, max=0.5, help="credit-model: least share of rows in merged bins."),
    ] = None,
    verified: Annotated[bool, typer.Option("--verified", help="Parties check each other.")] = False,
    deadline: Annotated[int, typer.Option(min=10, max=86400, help="Seconds for the job.")] = 3600,
    save: Annotated[
        Path | None, typer.Option(help="Write the manifest to this file, and propose nothing.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Propose a job to all its parties: a manifest, or one made of the own table and offers."""

    def work() -> dict[str, Any]:
        from parties import job_orders
        from parties.errors import LocalError
        from parties.offers import read_json

        if (manifest is None) == (table is None):
            raise LocalError(
                "manifest", "say what to propose", "give a manifest, or --table and --offer"
            )
        if manifest is not None:
            document = read_json(manifest, "manifest")
        else:
            join: dict[str, Any] = {
                "mode": mode.value,
                "same_order": not separate_orders,
                "kind": kind.value,
                "required": tuple(required or ()),
                "bound": joint_bound,
                "counts": tuple(one.value for one in count or ()),
                "receivers": tuple(receiver or ()),
                "size_only": size_only,
                "proved": proved,
            }
            stated = {
                "binning": None if binning is None else binning.value,
                "max_bins": max_bins,
                "min_share": min_share,
            }
            wanted = job_orders.Wanted(
                program=program,
                table=table or "",
                offers=tuple(offer or ()),
                bound=bound,
                features=_listed(features),
                parties=tuple(party or ()),
                join=join,
                parameters=parameters,
                options={k: v for k, v in stated.items() if v is not None},
                verified=verified,
                seconds=deadline,
            )
            document = job_orders.compose(home, wanted).document()
        if save is not None:
            try:
                save.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
            except OSError as exc:
                cause = f"{save}: {exc.strerror}"
                raise LocalError("save", cause, "name a file that can be written") from None
            return {"job_id": document["job_id"], "saved": str(save)}
        return order_node(home, "propose", manifest=document)

    answer(work, as_json, print_fields)


@job.command()
def result(
    home: Home,
    job_id: JobId,
    out: Annotated[
        Path | None, typer.Option(help="Write received identifiers to this new CSV file.")
    ] = None,
    deadline: Annotated[
        float | None, typer.Option(min=0, help="Seconds to wait for the job's end.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Wait for the end of a job, and show what this party received of it."""

    def work() -> dict[str, Any]:
        from parties import job_orders

        return job_orders.result(home, job_id, out, deadline)

    answer(work, as_json, lambda d: print(json.dumps(d, indent=2, ensure_ascii=False)))


@job.command()
def estimate(
    home: Home,
    what: Annotated[str, typer.Argument(metavar="JOB_ID|MANIFEST", help="A job, or a JSON file.")],
    round_trip: Annotated[
        float, typer.Option("--round-trip-ms", min=0, help="Between two parties.")
    ] = 1.0,
    mbit: Annotated[float, typer.Option(min=0.001, help="What a party sends per second.")] = 1000.0,
    as_json: Json = False,
) -> None:
    """What a job will take, before it runs: rounds, bytes, seconds, memory, from cost formulas."""

    def work() -> dict[str, Any]:
        from parties.estimate import Network, estimate
        from parties.manifest import KeyedList, Manifest
        from parties.offers import read_json
        from parties.programs import QUERY

        if Path(what).is_file():
            document = read_json(Path(what), "manifest")
        else:
            document = order_node(home, "job", job_id=what)["manifest"]
        manifest = Manifest.read(document)
        lists = {}
        if manifest.program.name == QUERY:
            for held in order_node(home, "lists")["lists"]:
                terms = {name: held[name] for name in KeyedList.model_fields}
                key = (held["owner"], held["name"])
                lists[key] = KeyedList.model_validate_json(json.dumps(terms))
        return estimate(manifest, lists, Network(round_trip / 1000, mbit * 1e6 / 8))

    answer(work, as_json, print_fields)


def _listed(text: str | None) -> tuple[str, ...] | None:
    if text is None or text == "all":
        return None
    return () if text == "none" else tuple(part.strip() for part in text.split(",") if part.strip())
