"""A page in both languages from a template: one self-contained file in the house's style.

No font, script, style or image comes from elsewhere, and a content security policy would refuse it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from parties.report.catalog import LANGUAGES

_HOUSE = Path(__file__).parent / "templates"


def render_page(
    template: str,
    language: str,
    values: Mapping[str, Any],
    filters: Mapping[str, Callable[..., Any]],
    folder: Path = _HOUSE,
    style: str | None = None,
) -> str:
    """The page as text; `language` ("en" or "zh") is the one that it shows first.

    Templates are looked up in `folder`, then among the report's; `style` is a file of `folder` with
    rules beside the house's.
    """
    if language not in LANGUAGES:
        raise ValueError(f"language is {language!r}, expected one of {', '.join(LANGUAGES)}")
    environment = Environment(
        loader=FileSystemLoader([folder, _HOUSE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    styles = [_HOUSE / "style.css", *([folder / style] if style else [])]
    return environment.get_template(template).render(
        **values,
        language="zh-CN" if language == "zh" else "en",
        style=Markup("".join(path.read_text(encoding="utf-8") for path in styles)),
        script=Markup((_HOUSE / "script.js").read_text(encoding="utf-8")),
    )


def as_json(document: Mapping[str, Any]) -> str:
    """The document as a file's text: indented, with Chinese as it is."""
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
