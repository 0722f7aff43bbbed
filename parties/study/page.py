"""``study.html`` and ``study.json`` from a study's document, and its tables on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup
from rich.console import Console
from rich.table import Table

from parties.report.catalog import LANGUAGES
from parties.report.charts import Bar, bars, both
from parties.report.page import as_json, render_page
from parties.study.texts import TEXTS, said

_TEMPLATES = Path(__file__).parent / "templates"


def write_study(
    document: Mapping[str, Any], folder: str | Path, language: str = "en"
) -> dict[str, str]:
    """Write both files into ``folder``; returns their paths as {"html": …, "json": …}."""
    folder = Path(folder)
    html, data = folder / "study.html", folder / "study.json"
    html.write_text(render_html(document, language), encoding="utf-8")
    data.write_text(as_json(document), encoding="utf-8")
    return {"html": str(html), "json": str(data)}


def render_html(document: Mapping[str, Any], language: str = "en") -> str:
    """The page as text; ``language`` ("en" or "zh") is the one that it shows first."""

    def t(key: str, **values: Any) -> Markup:
        return both((said(key, 0, **values), said(key, 1, **values)))

    values = dict(
        t=t,
        d=document,
        best=max(document["partners"], key=lambda one: one["shapley"]["value"]),
        verdict=lambda one: t(verdict(one)),
        chart=_chart(document),
    )
    filters: dict[str, Callable[..., Any]] = {
        "figure": figure,
        "signed": lambda value: figure(value, "+"),
    }
    return render_page("study.html.j2", language, values, filters, _TEMPLATES)


def figure(value: Mapping[str, float], sign: str = "") -> str:
    """A figure with its interval: 0.812 (0.790–0.834)."""
    ends = " … " if sign else "–"
    text = f"{value['value']:{sign}.3f} ({value['low']:{sign}.3f}{ends}{value['high']:{sign}.3f})"
    return text.replace("-", "−")


def verdict(partner: Mapping[str, Any]) -> str:
    """The sentence about a partner: whether the interval of its average is above zero."""
    return "adds" if partner["shapley"]["low"] > 0 else "unclear"


def print_study(document: Mapping[str, Any], console: Console, language: str = "en") -> None:
    """The two tables."""
    k = LANGUAGES.index(language)
    models = Table(title=TEXTS["subsets"][k], title_justify="left")
    for key in ("parties", "auc", "ks", "gain"):
        models.add_column(TEXTS[key][k])
    for row in document["subsets"]:
        gain = figure(row["gain"], "+") if row["gain"] else ""
        models.add_row(" + ".join(row["parties"]), figure(row["auc"]), figure(row["ks"]), gain)
    partners = Table(title=TEXTS["partners"][k], title_justify="left")
    for key in ("partner", "shapley", "first", "last", "verdict"):
        partners.add_column(TEXTS[key][k])
    for one in document["partners"]:
        values = [figure(one[key], "+") for key in ("shapley", "first", "last")]
        partners.add_row(one["party"], *values, TEXTS[verdict(one)][k])
    console.print(models)
    console.print(partners)
    if document.get("report"):
        console.print(document["report"]["html"], soft_wrap=True)


def _chart(document: Mapping[str, Any]) -> Markup:
    places = {name: k for k, name in enumerate(document["parties"])}
    items = [
        Bar(one["party"], max(0.0, one["shapley"]["value"]), _colour(places, one))
        for one in sorted(document["partners"], key=lambda one: -one["shapley"]["value"])
    ]
    return bars(items, [], title=TEXTS["partners"])


def _colour(places: Mapping[str, int], partner: Mapping[str, Any]) -> str:
    return f"p{min(places[partner['party']], 4)}"
