"""Small charts as inline SVG, without any script or outside resource.

Every function returns markup.  Texts come as ``Both`` (English, Chinese) and are written twice;
the page's style shows the language in use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

Both = tuple[str, str]

_WIDTH, _HEIGHT = 340, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 20, 16, 44


@dataclass(frozen=True)
class Curve:
    """A line through ``x``, ``y`` in 0..1, drawn in the style of ``css``; ``label`` is written
    at the point ``label_at`` (fractions of the plot)."""

    x: Sequence[float]
    y: Sequence[float]
    css: str
    label: Both
    label_at: tuple[float, float]


@dataclass(frozen=True)
class Bar:
    """A horizontal bar; ``name`` is literal, the same in both languages."""

    name: str
    value: float
    css: str


def both(texts: Both) -> Markup:
    """A text in both languages, as two spans."""
    return Markup('<span lang="en">{}</span><span lang="zh-CN">{}</span>').format(*texts)


def curves(
    lines: Sequence[Curve],
    x_label: Both,
    y_label: Both,
    *,
    title: Both,
    diagonal: bool = False,
    gap: tuple[float, float, float, str] | None = None,
) -> Markup:
    """Curves over the unit square; ``gap`` marks a vertical distance (x, low, high, text)."""
    parts = [_percent_grid(x_label, y_label)]
    if diagonal:
        parts.append(_path([0, 1], [0, 1], "chance"))
    parts += [_path(line.x, line.y, f"curve {line.css}") for line in lines]
    if gap is not None:
        at, low, high, words = gap
        parts.append(
            f'<line class="gap" x1="{_x(at):.1f}" x2="{_x(at):.1f}" y1="{_y(low):.1f}" '
            f'y2="{_y(high):.1f}"/>'
        )
        parts.append(text_at(_x(at) + 7, _y((low + high) / 2) + 4, (words, words), "gap-label"))
    for line in lines:
        at, height = line.label_at
        parts.append(text_at(_x(at), _y(height), line.label, f"curve-label {line.css}"))
    return svg(_WIDTH, _HEIGHT, title, parts)


def bars(
    items: Sequence[Bar],
    marks: Sequence[tuple[float, Both]],
    *,
    title: Both,
    form: str = ".3f",
) -> Markup:
    """Horizontal bars with named thresholds across them; ``form`` is how values are written."""
    longest = max((len(format(item.value, form)) for item in items), default=0)
    width, row, left, top, right = 980, 21, 330, 30, max(60, 8 * longest + 12)
    height = top + row * len(items) + 6
    largest = max([item.value for item in items] + [1e-9]) * 1.02
    scale = (width - left - right) / largest
    parts = []
    for index, (at, name) in enumerate(marks):
        if at >= largest:
            continue
        x = left + at * scale
        end = min(marks[index + 1][0] if index + 1 < len(marks) else largest, largest)
        if at > 0:
            parts.append(
                f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 8}" y2="{height - 6}"/>'
            )
            parts.append(text_at(x, 10, (f"{at:g}", f"{at:g}"), "tick", "middle"))
        if (end - at) * scale > 45:
            parts.append(text_at(x + (end - at) * scale / 2, 22, name, "zone", "middle"))
    for index, item in enumerate(items):
        # Figures with noise may be negative; such a bar is as short as one of nothing.
        y, length = top + row * index, max(item.value * scale, 0)
        parts.append(
            f'<rect class="bar {item.css}" x="{left}" y="{y + 3}" height="{row - 7}" '
            f'width="{max(length, 1):.1f}" rx="2"/>'
        )
        words = item.name if len(item.name) <= 46 else item.name[:45] + "…"
        parts.append(text_at(left - 8, y + row - 7, (words, words), "bar-name", "end"))
        number = format(item.value, form)
        parts.append(text_at(left + length + 6, y + row - 7, (number, number), "bar-value"))
    return svg(width, height, title, parts, "wide")


def histogram(
    edges: Sequence[float],
    good: Sequence[float],
    bad: Sequence[float],
    x_label: Both,
    y_label: Both,
    *,
    names: tuple[Both, Both],
    title: Both,
    top: float,
    span: tuple[float, float],
) -> Markup:
    """Two overlapping histograms as shares of their class per ten units of ``edges``, so that
    charts with bins of different widths can be compared; ``top`` and ``span`` fix the axes."""
    width, height = 520, 280
    low, high = span
    plot_width, plot_height = width - _LEFT - _RIGHT, height - _TOP - _BOTTOM

    def px(value: float) -> float:
        return _LEFT + (value - low) / (high - low) * plot_width

    def py(share: float) -> float:
        return height - _BOTTOM - share / top * plot_height

    parts = []
    for tick in ticks(0, top, 4):
        parts.append(_grid_line(_LEFT, width - _RIGHT, py(tick)))
        label = f"{tick:.0%}"
        parts.append(text_at(_LEFT - 6, py(tick) + 4, (label, label), "tick", "end"))
    for tick in ticks(low, high, 6):
        label = f"{tick:g}"
        parts.append(text_at(px(tick), height - _BOTTOM + 16, (label, label), "tick", "middle"))
    for counts, css in ((good, "good"), (bad, "bad")):
        outline = [f"M{px(edges[0]):.1f},{py(0):.1f}"]
        for i, share in enumerate(densities(edges, counts)):
            y = py(share)
            outline.append(f"L{px(edges[i]):.1f},{y:.1f}L{px(edges[i + 1]):.1f},{y:.1f}")
        outline.append(f"L{px(edges[-1]):.1f},{py(0):.1f}Z")
        parts.append(f'<path class="area {css}" d="{"".join(outline)}"/>')
    parts.append(_axis_titles(width, height, x_label, y_label))
    for index, (words, css) in enumerate(zip(names, ("good", "bad"), strict=True)):
        x, y = width - _RIGHT - 90, _TOP + 2 + 19 * index
        parts.append(f'<rect class="area {css}" x="{x}" y="{y}" width="12" height="12"/>')
        parts.append(text_at(x + 19, y + 10, words, f"curve-label {css}"))
    return svg(width, height, title, parts)


def densities(edges: Sequence[float], counts: Sequence[float]) -> list[float]:
    """Share of all counts in each bin, per ten units of its width."""
    whole = max(sum(counts), 1e-9)
    return [
        10.0 * count / whole / max(right - left, 1e-9)
        for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]


def svg(width: int, height: int, title: Both, parts: Sequence[str], css: str = "") -> Markup:
    label = escape(f"{title[0]} / {title[1]}")
    return Markup(
        f'<svg class="chart {css}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{label}">{"".join(parts)}</svg>'
    )


def text_at(x: float, y: float, texts: Both, css: str, anchor: str = "start") -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{css}"'
    if texts[0] == texts[1]:
        return f"<text {where}>{escape(texts[0])}</text>"
    return (
        f'<text {where} lang="en">{escape(texts[0])}</text>'
        f'<text {where} lang="zh-CN">{escape(texts[1])}</text>'
    )


def _x(fraction: float) -> float:
    return _LEFT + fraction * (_WIDTH - _LEFT - _RIGHT)


def _y(fraction: float) -> float:
    return _HEIGHT - _BOTTOM - fraction * (_HEIGHT - _TOP - _BOTTOM)


def _path(x: Sequence[float], y: Sequence[float], css: str) -> str:
    points = " ".join(f"{_x(a):.1f},{_y(b):.1f}" for a, b in zip(x, y, strict=True))
    return f'<polyline class="{css}" points="{points}"/>'


def _grid_line(x1: float, x2: float, y: float) -> str:
    return f'<line class="grid" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _percent_grid(x_label: Both, y_label: Both) -> str:
    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        label = f"{tick:.0%}"
        parts.append(_grid_line(_x(0), _x(1), _y(tick)))
        parts.append(text_at(_x(0) - 6, _y(tick) + 4, (label, label), "tick", "end"))
        parts.append(text_at(_x(tick), _y(0) + 16, (label, label), "tick", "middle"))
    parts.append(_axis_titles(_WIDTH, _HEIGHT, x_label, y_label))
    return "".join(parts)


def _axis_titles(width: int, height: int, x_label: Both, y_label: Both) -> str:
    middle = (_LEFT + width - _RIGHT) / 2
    return text_at(middle, height - 8, x_label, "axis", "middle") + text_at(
        _LEFT, _TOP - 4, y_label, "axis"
    )


def ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers from ``low`` to ``high``, about ``count`` of them."""
    if not high > low:
        return [low]
    raw = (high - low) / count
    power = 1.0
    while power * 10 <= raw:
        power *= 10
    while power > raw:
        power /= 10
    step = next(power * f for f in (1, 2, 5, 10) if power * f >= raw * 0.999)
    first = int(-(-low // step))
    last = int(high // step)
    return [step * i for i in range(first, last + 1)]
