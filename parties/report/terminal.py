"""The closing summary on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

_TOP = 5


def print_summary(document: Mapping[str, Any], console: Console | None = None) -> None:
    """What a person wants to read when the job is done: quality, strongest features, cost."""
    parts: list[Any] = [_headline(document), *_warning(document), "", _quality(document)]
    parts += ["", _features(document)]
    if document.get("card"):
        parts += ["", _card(document)]
    parts += ["", _cost(document)]
    if document.get("report"):
        parts += ["", Text(f"Report  {document['report']['html']}", overflow="fold")]
    (console or Console(stderr=True)).print(
        Panel(Group(*parts), title="SEPC · joint credit model", border_style="cyan", padding=(1, 2))
    )


def _headline(document: Mapping[str, Any]) -> Text:
    auc, who = document["auc"], document["initiator"]
    gain = auc["joint"] - auc["bank"]
    line = Text()
    if gain >= 0.01:
        line.append(f"{len(document['parties'])} parties together: AUC {auc['joint']:.3f}", "bold")
        line.append(f", {gain:+.3f} against {who} alone ({auc['bank']:.3f}).")
    else:
        line.append(f"AUC {auc['joint']:.3f} together, {auc['bank']:.3f} for {who} alone", "bold")
        line.append(": the other parties' data did not help.")
    return line


def _warning(document: Mapping[str, Any]) -> list[Text]:
    bits = document.get("converged") or {}
    left = " and ".join(f"the {name} model" for name, converged in bits.items() if not converged)
    return [Text(f"The training of {left} did not converge.", "bold red")] if left else []


def _quality(document: Mapping[str, Any]) -> Table:
    clear = document["auc"].get("plaintext") is not None
    table = _table(
        "", f"{document['initiator']} alone", "joint", *(["in the clear"] if clear else [])
    )
    for key in ("auc", "ks"):
        values = document[key]
        cells = [f"{values['bank']:.4f}", f"[bold]{values['joint']:.4f}[/bold]"]
        if clear:
            cells.append(f"{values['plaintext']:.4f}")
        table.add_row(key.upper(), *cells)
    return table


def _features(document: Mapping[str, Any]) -> Table | Text:
    if not document["iv"]:
        of = len(document["selection"])
        return Text(f"{len(document['selected'])} of {of} features in the model", style="dim")
    table = _table("strongest features", "IV")
    for feature, value in sorted(document["iv"].items(), key=lambda item: -item[1])[:_TOP]:
        table.add_row(Text(feature), f"{value:.3f}")
    table.add_row(
        f"[dim]{len(document['selected'])} of {len(document['iv'])} features in the model[/dim]"
    )
    return table


def _card(document: Mapping[str, Any]) -> Table:
    """The features that decide most, and what one applicant's reasons look like."""
    card = document["card"]
    table = _table(f"scorecard, {card['base']} base points", "fewest", "most")
    rows = zip(card["features"], card["points"], strict=True)
    for feature, points in sorted(rows, key=lambda r: min(r[1]) - max(r[1]))[:_TOP]:
        table.add_row(Text(feature), f"{min(points):+d}", f"{max(points):+d}")
    for one in document.get("examples", [])[:1]:
        reasons = ", ".join(one["reasons"]) or "no losses"
        words = f"e.g. {one['applicant']}: {one['score']} points; {reasons}"
        table.add_row(Text(words, style="dim"))
    same = document.get("card_plaintext")
    if same:
        table.add_row(f"[dim]{same['same']} of {same['points']} points as in the clear[/dim]")
    return table


def _cost(document: Mapping[str, Any]) -> Table:
    table = _table("step", "seconds", "rounds", "MB per party")
    seconds, cost = document["seconds"], document["cost"]
    for step in [*(s for s in seconds if s != "total"), *(c for c in cost if c not in seconds)]:
        spent = cost.get(step)
        table.add_row(
            step,
            f"{seconds[step]:.1f}" if step in seconds else "–",
            f"{spent['rounds']:,.0f}" if spent else "–",
            f"{spent['bytes_per_party'] / 1e6:,.1f}" if spent else "–",
        )
    table.add_section()
    table.add_row(
        "[bold]total[/bold]",
        f"[bold]{seconds['total']:.1f}[/bold]",
        f"{sum(c['rounds'] for c in cost.values()):,.0f}",
        f"{sum(c['bytes_per_party'] for c in cost.values()) / 1e6:,.1f}",
    )
    memory = document.get("peak_rss_mb") or {}
    if memory:
        table.add_row(f"[dim]at most {max(memory.values()):,.0f} MB of memory per party[/dim]")
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="cyan")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table
