"""`sepc data`: register the tables that a node brings to jobs, and check them before any job."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from parties.cli_common import Json, Language, reported
from parties.errors import LocalError

app = typer.Typer(help="The tables that a node brings to jobs.", no_args_is_help=True)

Home = Annotated[Path, typer.Option(help="The node's folder.")]
Key = Annotated[
    str | None, typer.Option(help="The identifier's column, or several: COLUMN[,COLUMN].")
]
Profile = Annotated[
    str, typer.Option(help="Of the identifier: one profile, or one per column: P[,P].")
]
Aggregate = Annotated[
    str | None,
    typer.Option(help="Rows of one business: COLUMN=count|sum|max|latest:DATE, with commas."),
]
Schema = Annotated[Path | None, typer.Option(help="The agreed standard, a TOML file.")]
Label = Annotated[str | None, typer.Option(help="The label column (1 = bad).")]
Memory = Annotated[int, typer.Option(min=64, help="What reading may hold in memory, in MiB.")]


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What jobs call the table.")],
    place: Annotated[str, typer.Argument(metavar="PATH_OR_URL")],
    home: Home,
    key: Annotated[str, typer.Option(help="The identifier's column, or several.")],
    profile: Profile = "plain",
    aggregate: Aggregate = None,
    schema: Schema = None,
    label: Label = None,
    features: Annotated[
        str | None, typer.Option(help="The only ones that jobs may read; all unless told.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a table's entry.")] = False,
    as_json: Json = False,
) -> None:
    """Register a table: a CSV or Parquet file, or DIALECT://…/DATABASE#TABLE."""
    with reported(as_json):
        from parties.data.aggregate import parse
        from parties.data.check import DataError, Finding
        from parties.data.location import Location
        from parties.data.reader import Reader
        from parties.data.registry import Entry, Registry, with_table

        registry = Registry.load(home)
        location = Location.of(place)
        entry = Entry(
            location=location.place,
            key=_names(key),
            profile=_names(profile),
            label=label,
            aggregate={column: str(rule) for column, rule in parse(aggregate).items()},
            schema_file=str(schema.absolute()) if schema else None,
            features=_names(features) if features else None,
        )
        registry = with_table(registry, name, entry, replace=replace)
        terms = entry.terms()
        dates = [rule.by for rule in terms.rules.values() if rule.by]
        with Reader(location, keys=terms.key) as reader:
            wanted = dict.fromkeys(
                [*terms.key, *([label] if label else []), *terms.rules, *dates,
                 *(terms.features or ())]
            )
            absent = [
                Finding(reader.name, "the column is not there", "a column of the table",
                        "correct the name", column=column)
                for column in wanted
                if column not in reader.names
            ]
        if absent:
            raise DataError(absent)
        registry.save(home)
        if as_json:
            print(json.dumps({"name": name, **entry.shown()}, ensure_ascii=False))
        else:
            print(f"{name}: {location.shown}, key {', '.join(entry.key)}")


@app.command("list")
def list_tables(home: Home, as_json: Json = False) -> None:
    """The registered tables, without passwords."""
    with reported(as_json):
        from parties.data.registry import Registry

        tables = [{"name": n, **e.shown()} for n, e in Registry.load(home).tables.items()]
        if as_json:
            print(json.dumps({"tables": tables}, ensure_ascii=False))
            return
        for table in tables:
            key, profile = (", ".join(table[field]) for field in ("key", "profile"))  # type: ignore
            print(f"{table['name']}: {table['location']}, key {key} ({profile})")
        if not tables:
            print("No table is registered; see sepc data add.", file=sys.stderr)


@app.command("remove")
def remove(name: Annotated[str, typer.Argument()], home: Home, as_json: Json = False) -> None:
    """Forget a registered table; the table itself stays as it is."""
    with reported(as_json):
        from parties.data.registry import Registry, without_table

        without_table(Registry.load(home), name).save(home)
        print(json.dumps({"removed": name}) if as_json else f"{name} is no longer registered")


@app.command("offer")
def offer(
    name: Annotated[str, typer.Argument(help="A registered table.")],
    home: Home,
    bound: Annotated[
        int | None, typer.Option(min=1, help="Public size that hides the number of rows.")
    ] = None,
    features: Annotated[
        str | None, typer.Option(help="Features, with commas; none; all unless told otherwise.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What a proposer may say about a table, for --offer of sepc job propose; never a value."""
    with reported(as_json):
        from parties.offers import make_offer

        wanted = None if features in (None, "all") else () if features == "none" else _names(
            features or ""
        )
        made = make_offer(home, name, bound, wanted, labelled=False)
        # The document is the offer, for people as for programs.
        print(json.dumps(made.model_dump(mode="json"), ensure_ascii=False))


@app.command("check")
def check(
    place: Annotated[str, typer.Argument(metavar="NAME|PATH", help="A registered table, or one.")],
    home: Annotated[Path | None, typer.Option(help="The node's folder, for a NAME.")] = None,
    key: Key = None,
    profile: Profile = "plain",
    aggregate: Aggregate = None,
    schema: Schema = None,
    label: Label = None,
    reference: Annotated[
        str | None,
        typer.Option(help="Drift against a NAME or PATH, or COLUMN<YYYY-MM-DD: the rows before."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report to this file.")] = None,
    language: Annotated[Language, typer.Option(help="Of the report.")] = Language.EN,
    memory: Memory = 1024,
    as_json: Json = False,
) -> None:
    """Check a table before any job. Status 1 if a job would refuse it or the standard is broken."""
    with reported(as_json):
        from parties.data.prepare import Terms
        from parties.data.quality import check_table
        from parties.data.registry import Registry

        tables = Registry.load(home).tables if home else {}
        entry = tables.get(place)
        known = tables.get(reference) if reference else None
        against = known.location if known else reference
        terms = Terms.of(
            _names(key) if key else entry.key if entry else (),
            label or (entry.label if entry else None),
            profile=entry.profile if entry and not key else _names(profile),
            aggregate=aggregate or (entry.aggregate if entry else None),
            schema=schema or (entry.schema_file if entry else None),
        )
        if home and not entry and "://" not in place and not Path(place).exists():
            Registry.load(home).find(place)
        document = check_table(
            entry.location if entry else place, terms, reference=against, memory_mib=memory
        )
        if html:
            from parties.data.page import render_check

            try:
                html.write_text(render_check(document, language.value), encoding="utf-8")
            except OSError as exc:
                raise LocalError(
                    "html", f"{html}: {exc.strerror}", "name a file that can be written"
                ) from None
        if as_json:
            print(json.dumps(document, ensure_ascii=False, allow_nan=False))
        else:
            _summary(document)
    if not document["ok"]:
        raise typer.Exit(1)


def _summary(document: dict[str, Any]) -> None:
    from parties.data.texts import TEXTS

    columns, keys = document["columns"], document["identifiers"]
    print(f"{document['name']}: {document['rows']:,} rows, {len(columns)} columns")
    if keys:
        print(f"  {keys['businesses']:,} businesses ({', '.join(keys['profiles'])})")
        for title in ("changed", "rejected"):
            counts = ", ".join(f"{rule} {n:,}" for rule, n in keys[title].items() if n)
            print(f"  rows {title}: {counts or 'none'}")
        print(f"  without identifier: {keys['missing']:,}; repeated: {keys['duplicates']:,}")
    for title in ("findings", "notices"):
        print(f"{len(document[title])} {title}")
        for one in document[title]:
            where = one["column"] or "table"
            what = TEXTS.get(f"rule_{one['rule']}", (one.get("problem", ""),))[0]
            count = f", {one['count']:,} rows" if one["count"] else ""
            print(f"  {where}: {what}{count} {one.get('limit', '')}".rstrip())


def _names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(","))
    if not all(names):
        raise LocalError("data_option", "a name between commas is empty", "write COLUMN[,COLUMN]")
    return names
