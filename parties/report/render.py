"""``report.html`` and ``report.json`` from the result document of a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from parties.report import charts
from parties.report.page import as_json, render_page
from parties.report.view import TOP_FEATURES, View


def write_report(
    document: Mapping[str, Any], folder: str | Path, language: str = "en"
) -> dict[str, str]:
    """Write both files into ``folder``; returns their paths as {"html": …, "json": …}.

    ``language`` ("en" or "zh") is the one that the page shows first.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    html, data = folder / "report.html", folder / "report.json"
    html.write_text(render_html(document, language), encoding="utf-8")
    data.write_text(as_json(document), encoding="utf-8")
    return {"html": str(html), "json": str(data)}


def render_html(document: Mapping[str, Any], language: str = "en") -> str:
    """The page as text."""
    filters: dict[str, Callable[..., Any]] = {
        "count": lambda value: f"{value:,.0f}",
        "decimal": lambda value, digits=3: f"{value:.{digits}f}",
        "signed": lambda value: f"{value:+.3f}".replace("-", "−"),
        "whole": lambda value: f"{value:+d}".replace("-", "−") if value else "0",
        "percent": lambda value, digits=1: f"{value:.{digits}%}",
        "megabytes": lambda value: f"{value / 1e6:,.2f}",
        "large": _large,
        "both": lambda texts: charts.both((texts[0], texts[1])),
    }
    view = View(document)
    values = {"view": view, "t": view.t, "d": document, "top_features": TOP_FEATURES}
    return render_page("report.html.j2", language, values, filters)


def _large(value: float) -> str:
    """A count that may be huge: 12,345 or 12.3 M."""
    for size, unit in ((1e9, "G"), (1e6, "M")):
        if value >= size:
            return f"{value / size:,.1f} {unit}"
    return f"{value:,.0f}"
