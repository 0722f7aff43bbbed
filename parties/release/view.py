"""What the page of a published table shows, from the document of `protocols.stats.release`.

A table of up to four dimensions becomes planes of rows by columns: a dimension that looks like time
makes the columns, or one of flows, the next longest one the rows, and every combination of the
others a plane, the one with all totals first.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parties.release.texts import TEXTS, text
from parties.report.catalog import LANGUAGES
from parties.report.charts import Both

TOTAL = "total"
TIMES = ("period", "month", "quarter", "year", "date")
FLOW = "flow"
WORDED = (FLOW, "neighbourhood")
"""Dimensions whose categories are words of ours."""
MARKS = {"minimum-cell": "m", "dominance": "d", "p-ratio": "p", "secondary": "s"}
AMOUNTS = ("mean", "variance")
"""Formed figures that are amounts; the others are parts of one."""
_MOST_LINES = 5


@dataclass(frozen=True)
class Cell:
    """One cell of a plane: its figure, or the mark of the rule that withholds it."""

    value: float | None
    mark: str
    heat: float
    in_total_row: bool
    in_total_column: bool


@dataclass(frozen=True)
class Plane:
    """One figure over rows by columns, for fixed categories of the other dimensions."""

    heading: tuple[Both, ...]
    figure: Both
    rows: tuple[Both, ...]
    columns: tuple[Both, ...]
    ratio: bool
    cells: tuple[tuple[Cell, ...], ...]

    @property
    def named_lines(self) -> list[tuple[Both, tuple[Cell, ...]]]:
        """The rows' names with their cells."""
        return list(zip(self.rows, self.cells, strict=True))


class View:
    """The page's content; every text in both languages."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document, self.record = document, document["record"]
        self.dimensions = {d["name"]: tuple(d["categories"]) for d in document["dimensions"]}
        # A document that was stored has its places in another order.
        self._cells = {tuple((d, c["place"][d]) for d in self.dimensions): c
                       for c in document["cells"]}  # fmt: skip
        self._ratios = {
            name: {id(c): v for c, v in zip(document["cells"], values, strict=True)}
            for name, values in document.get("derived", {}).items()
            if f"derived_{name}" in TEXTS
        }
        self._places = {
            name: tuple(dict.fromkeys(c["place"][name] for c in document["cells"]))
            for name in self.dimensions
        }
        self.columns, self.rows = self._axes()
        self.others = [d for d in self.dimensions if d not in (self.columns, self.rows)]
        self.units = {m["name"]: m["unit"] for m in document["measures"] if m["kind"] == "amount"}

    def t(self, key: str, **values: object) -> Both:
        """A sentence in both languages; values that are pairs are taken by language."""
        pick = [
            {k: v[i] if isinstance(v, tuple) else v for k, v in values.items()} for i in (0, 1)
        ]
        return text(key, LANGUAGES[0], **pick[0]), text(key, LANGUAGES[1], **pick[1])

    def _axes(self) -> tuple[str | None, str]:
        names = list(self.dimensions)
        across = [d for d in names if d.lower() in TIMES] + [d for d in names if d == FLOW]
        columns = across[0] if across else None
        rest = sorted((d for d in names if d != columns), key=lambda d: -len(self.dimensions[d]))
        if not rest:
            return None, columns or names[0]
        if columns is None and len(rest) > 1:
            columns = rest[1]
        return columns, rest[0]

    @property
    def figures(self) -> list[str]:
        """Names of the figures that opened: the number of records, measures and percentiles."""
        measures = [m["name"] for m in self.document["measures"]]
        return ["rows", *measures, *self.document.get("percentiles", [])]

    @property
    def ratios(self) -> list[str]:
        """Names of the figures that are formed from what is shown."""
        return list(self._ratios)

    def figure(self, name: str) -> Both:
        """What a figure is called, with its unit."""
        if name in self._ratios:
            return self.t(f"derived_{name}")
        if name == "rows":
            return self.t("rows")
        measure, _, level = name.rpartition(".p")
        if measure in self.units:
            return self.t("percentile", figure=self.figure(measure), level=level)
        if name in self.units:
            return self.t("figure_in", figure=self.named(name), unit=self.units[name])
        return self.named(name)

    def named(self, name: str) -> Both:
        """What a dimension or a measure is called."""
        return self.t(f"name_{name}") if f"name_{name}" in TEXTS else (name, name)

    def category(self, name: str, dimension: str) -> Both:
        """What a category is called; those that every table of a kind has in both languages."""
        if name == TOTAL:
            return self.t("total")
        known = f"{dimension}_{name}"
        return self.t(known) if dimension in WORDED and known in TEXTS else (name, name)

    def planes(self, figure: str) -> list[Plane]:
        """All planes of a figure, the one over all totals first."""
        combinations = list(itertools.product(*(self._places[d] for d in self.others)))
        combinations.sort(key=lambda c: -sum(x == TOTAL for x in c))
        return [self._plane(figure, dict(zip(self.others, c, strict=True))) for c in combinations]

    def _plane(self, figure: str, fixed: dict[str, str]) -> Plane:
        rows = self._places[self.rows]
        columns = self._places[self.columns] if self.columns else ("",)
        found = [[self._find(fixed, row, column) for column in columns] for row in rows]
        inner = {
            column: max(
                (
                    abs(self._value(line[k], figure) or 0)
                    for row, line in zip(rows, found, strict=True)
                    if line[k]["values"] and TOTAL not in (row, column)
                ),
                default=0,
            )
            for k, column in enumerate(columns)
        }
        # Flows are of very different size, so each is compared with itself.
        whole = max(inner.values()) or 1
        largest = {c: v or 1 if self.columns == FLOW else whole for c, v in inner.items()}
        cells = tuple(
            tuple(
                self._shown(c, figure, largest[column], row == TOTAL, column == TOTAL)
                for column, c in zip(columns, line, strict=True)
            )
            for row, line in zip(rows, found, strict=True)
        )
        heading = tuple(
            self.t("all_of", dimension=self.named(d), category=self.category(c, d))
            for d, c in fixed.items()
        )
        named = (("", ""),) if self.columns is None else tuple(
            self.category(c, self.columns) for c in columns
        )  # fmt: skip
        return Plane(
            heading,
            self.figure(figure),
            tuple(self.category(r, self.rows) for r in rows),
            named,
            figure in self._ratios and figure not in AMOUNTS,
            cells,
        )

    def _find(self, fixed: dict[str, str], row: str, column: str) -> Mapping[str, Any]:
        place = {**fixed, self.rows: row}
        if self.columns:
            place[self.columns] = column
        return self._cells[tuple((d, place[d]) for d in self.dimensions)]

    def _value(self, cell: Mapping[str, Any], figure: str) -> float | None:
        """A figure of a shown cell; None where there is nothing to divide by."""
        if figure in self._ratios:
            return self._ratios[figure][id(cell)]
        value: float | None = cell["values"].get(figure)
        return value

    def _shown(
        self, cell: Mapping[str, Any], figure: str, largest: float, row: bool, column: bool
    ) -> Cell:
        if not cell["values"]:
            return Cell(None, MARKS[cell["status"]], 0.0, row, column)
        value = self._value(cell, figure)
        if value is None:
            # A percentile may be withheld where the cell's other figures are shown.
            rule = cell.get("withheld", {}).get(figure)
            return Cell(None, MARKS[rule] if rule else "", 0.0, row, column)
        heat = 0.0 if row or column else abs(value) / largest
        return Cell(value, "", heat, row, column)

    @property
    def charted(self) -> list[str]:
        """The columns that bars are drawn of: the total, or the last one where there is none; of
        flows all but the first, which is what they are parts of."""
        if self.columns is None:
            return [TOTAL]
        places = self._places[self.columns]
        return list(places[1:] if self.columns == FLOW else places[-1:])

    def bars(self, figure: str, column: str) -> list[tuple[str, float]]:
        """The rows' figures in a column, in descending order. Withheld ones are left out."""
        plane = self.planes(figure)[0]
        k = self._places[self.columns].index(column) if self.columns else 0
        cells = [(name[0], line[k]) for name, line in plane.named_lines]
        found = [
            (name, float(cell.value))
            for name, cell in cells
            if not cell.in_total_row and cell.value is not None
        ]
        return sorted(found, key=lambda item: -item[1])

    def bars_title(self, figure: str, place: str) -> Both:
        """What the bars of a column show."""
        key = "bars" if place == TOTAL else "bars_of"
        column = self.category(place, self.columns or "")
        rows = self.named(self.rows)
        return self.t(key, figure=self.figure(figure), dimension=rows, column=column)

    def lines(self, figure: str) -> list[tuple[Both, list[float | None]]]:
        """Figures over time: the total if there is one, then the largest rows; None if withheld."""
        if self.columns is None or self.columns.lower() not in TIMES:
            return []
        plane = self.planes(figure)[0]
        count = len(self.dimensions[self.columns])
        found = [
            (name, [c.value for c in line[:count]])
            for name, line in zip(plane.rows, plane.cells, strict=True)
        ]
        found.sort(key=lambda item: -sum(v or 0 for v in item[1]))
        return found[:_MOST_LINES]

    @property
    def rules(self) -> list[tuple[str, Both, int]]:
        """(mark, rule in words, number of cells) of every rule that can withhold something."""
        rules = self.record["rules"]
        n, k = rules["dominance"]
        words = {"minimum": rules["minimum"], "n": n, "k": k, "p": rules["p_ratio"]}
        zeros, withheld = rules["zeros"], self.record["withheld"]
        idle = {
            "minimum-cell": not rules["minimum"] and not zeros,
            "dominance": k >= 100,
            "p-ratio": not rules["p_ratio"] and not zeros,
        }
        return [
            (mark, self.t(f"rule_{name}", **words), withheld[name])
            for name, mark in MARKS.items()
            if withheld[name] or not idle.get(name)
        ]

    @property
    def facts(self) -> list[Both]:
        """Further bits of the release, as sentences."""
        return [
            self.t(f"fact_{name}", value=self.t("yes" if value else "no"))
            for name, value in self.document.get("facts", {}).items()
        ]

    @property
    def traced(self) -> Both | None:
        """How loans were followed, if they were."""
        how = self.document.get("traced")
        return self.t(f"traced_{how['rule']}", **how) if how else None

    @property
    def institutions(self) -> int:
        """How many institutions the table is about."""
        named = self.record["institutions"]
        return named if isinstance(named, int) else len(named)
