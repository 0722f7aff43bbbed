"""The data check as a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from parties.data.texts import TEXTS
from parties.report.charts import both
from parties.report.page import render_page

_TEMPLATES = Path(__file__).parent / "templates"


def render_check(document: Mapping[str, Any], language: str = "en") -> str:
    """The page as text; `language` ("en" or "zh") is the one that it shows first."""
    filters: dict[str, Callable[..., Any]] = {
        "count": lambda value: f"{value:,.0f}",
        "percent": lambda value, digits=1: f"{value:.{digits}%}",
        "figure": _figure,
    }
    cells = document["rows"] * len(document["columns"])
    keys = document["identifiers"] or {"changed": {}, "rejected": {}}
    values = dict(
        d=document,
        t=_text,
        rule=_rule,
        bars=_spark,
        missing_share=sum(c["missing"] for c in document["columns"]) / cells if cells else 0.0,
        rule_names=[*dict.fromkeys([*keys["changed"], *keys["rejected"]])],
    )
    return render_page("check.html.j2", language, values, filters, _TEMPLATES, "check.css")


def _text(key: str, **values: object) -> Markup:
    english, chinese = TEXTS[key]
    return both((english.format(**values), chinese.format(**values)))


def _rule(finding: Mapping[str, Any]) -> Markup:
    return _text(f"rule_{finding['rule']}")


def _figure(value: float | str) -> str:
    """A number with four significant digits, or all of its integer part; a date as it is."""
    if isinstance(value, str):
        return value.removesuffix(" 00:00:00")
    whole = value == int(value) or abs(value) >= 1000
    text = f"{value:,.0f}" if whole and abs(value) < 1e12 else f"{value:.4g}"
    return text.replace("-", "−")


def _spark(counts: Sequence[int]) -> Markup:
    """A histogram as small bars."""
    top, width = max(counts), 96 / len(counts)
    rects = "".join(
        f'<rect x="{i * width:.1f}" y="{26 - 26 * c / top:.1f}" width="{width - 0.8:.1f}" '
        f'height="{26 * c / top:.1f}"/>'
        for i, c in enumerate(counts)
    )
    return Markup('<svg class="spark" viewBox="0 0 96 26" aria-hidden="true">{}</svg>').format(
        Markup(rects)
    )
