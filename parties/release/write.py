"""``release.html``, ``release.json``, ``release.csv`` and ``record.csv`` from a published table,
and a CSV file per list that it comes with."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from parties.release.charts import time_series
from parties.release.view import View
from parties.report.charts import Bar, bars, both
from parties.report.page import as_json, render_page

_TEMPLATES = Path(__file__).parent / "templates"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_release(
    document: Mapping[str, Any], folder: str | Path, language: str = "en"
) -> dict[str, str]:
    """Write the files into ``folder``; returns their paths by "html", "json", "csv", "record", and
    by the names of lists.

    The record says under `lists` which file holds which list.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lists = {each["name"]: each for each in document.get("lists", [])}
    if lists:
        files = {name: f"{name}.csv" for name in lists}
        document = {**document, "record": {**document["record"], "lists": files}}
    texts = {
        "html": ("release.html", render_html(document, language)),
        "json": ("release.json", as_json(document)),
        "csv": ("release.csv", render_csv(document)),
        "record": ("record.csv", render_record(document)),
        **{name: (f"{name}.csv", render_list(each)) for name, each in lists.items()},
    }
    paths = {}
    for kind, (name, content) in texts.items():
        path = folder / name
        # The mark of UTF-8 makes spreadsheet programs read Chinese names in CSV files.
        table = path.suffix == ".csv"
        path.write_text(content, encoding="utf-8-sig" if table else "utf-8", newline="")
        paths[kind] = str(path)
    return paths


def render_csv(document: Mapping[str, Any]) -> str:
    """One line per cell: its categories, its status, its figures (empty where withheld)."""
    names = [d["name"] for d in document["dimensions"]]
    figures = list(dict.fromkeys(f for cell in document["cells"] for f in cell["values"]))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_text(n) for n in [*names, "status", *figures]])
    for cell in document["cells"]:
        places = [_text(cell["place"][n]) for n in names]
        writer.writerow([*places, cell["status"], *[cell["values"].get(f, "") for f in figures]])
    return out.getvalue()


def render_record(document: Mapping[str, Any]) -> str:
    """The release record, one line per fact: what it is, of what (a rule, an institution), value;
    and the further bits of the release, as `facts`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["field", "of", "value"])
    for name, value in {**document["record"], "facts": document.get("facts", {})}.items():
        if isinstance(value, Mapping):
            parts = [(str(key), each) for key, each in value.items()]
        elif isinstance(value, (list, tuple)):
            parts = [("", each) for each in value]
        else:
            parts = [("", value)]
        for of, each in parts:
            writer.writerow([name, _text(of), _text(_words(each))])
    return out.getvalue()


def _words(each: Any) -> str:
    """One value of a record; a pair, such as the dominance rule's, stays one."""
    if isinstance(each, Mapping):
        return "; ".join(f"{key} {value}" for key, value in each.items())
    if isinstance(each, (list, tuple)):
        return " ".join(map(str, each))
    return "" if each is None else str(each)


def render_list(each: Mapping[str, Any]) -> str:
    """A list of a release, one line per entry, under the names of its columns."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(each["columns"])
    for row in each["rows"]:
        writer.writerow([_text(value) if isinstance(value, str) else value for value in row])
    return out.getvalue()


def _text(value: str) -> str:
    """A name that no spreadsheet program takes for a formula."""
    return "'" + value if value.startswith(_FORMULA) else value


def render_html(document: Mapping[str, Any], language: str = "en") -> str:
    """The page as text; `language` is the one that it shows first."""
    filters: dict[str, Callable[..., Any]] = {
        "count": lambda value: f"{value:,d}",
        "size": lambda value: f"{value:,.0f}" if value >= 100 else f"{value:.3g}",
        "both": lambda texts: both((texts[0], texts[1])),
    }
    view = View(document)
    values = dict(
        view=view,
        t=view.t,
        d=document,
        record=view.record,
        bars=lambda figure, column: bars(
            [Bar(name, value, "p0") for name, value in view.bars(figure, column)],
            (),
            title=view.bars_title(figure, column),
            form=",.0f",
        ),
        series=lambda figure: time_series(
            view.lines(figure),
            [view.category(c, str(view.columns)) for c in view.dimensions[str(view.columns)]],
            title=view.t("lines", figure=view.figure(figure)),
        ),
    )
    return render_page("release.html.j2", language, values, filters, _TEMPLATES, "release.css")
