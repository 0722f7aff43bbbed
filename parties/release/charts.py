"""Figures over time as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from parties.report.charts import Both, svg, text_at, ticks

_WIDTH, _HEIGHT = 980, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 150, 16, 34
_COLOURS = 5


def time_series(
    lines: Sequence[tuple[Both, Sequence[float | None]]], columns: Sequence[Both], *, title: Both
) -> Markup:
    """One line per entry, a point per column; a withheld point leaves a gap."""
    values = [v for _, line in lines for v in line if v is not None]
    low, high = min([0, *values]), max([1, *values])

    def x(k: int) -> float:
        return _LEFT + k / max(len(columns) - 1, 1) * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = []
    for tick in ticks(low, high, 4):
        at, words = y(tick), f"{tick:,.0f}"
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        )
        parts.append(text_at(_LEFT - 8, at + 4, (words, words), "tick", "end"))
    step = -(-len(columns) // 12)
    for k in range(0, len(columns), step):
        parts.append(text_at(x(k), _HEIGHT - 12, columns[k], "tick", "middle"))
    labels: list[float] = []
    for number, (name, line) in enumerate(lines):
        colour = f"p{number % _COLOURS}"
        for run in _runs(line):
            points = " ".join(f"{x(k):.1f},{y(v):.1f}" for k, v in run)
            parts.append(f'<polyline class="series {colour}" points="{points}"/>')
            parts += [
                f'<circle class="dot {colour}" cx="{x(k):.1f}" cy="{y(v):.1f}" r="3"/>'
                for k, v in run
            ]
        shown = [(k, v) for k, v in enumerate(line) if v is not None]
        if shown:
            k, v = shown[-1]
            at = y(v)
            while any(abs(at - other) < 14 for other in labels):
                at -= 14
            labels.append(at)
            parts.append(text_at(x(len(columns) - 1) + 10, at + 4, name, f"series-label {colour}"))
    return svg(_WIDTH, _HEIGHT, title, parts, "wide")


def _runs(line: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """Stretches of a line without gaps."""
    runs: list[list[tuple[int, float]]] = [[]]
    for k, value in enumerate(line):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((k, value))
    return [run for run in runs if run]
