"""Tables of numbers for the terminal. Eighty columns are enough: names fold, no number is cut."""

from __future__ import annotations

from rich import box
from rich.table import Table


def table_of(names: list[str], numbers: list[str], title: str | None = None) -> Table:
    """Columns of names, then of numbers; a heading of several words takes as many lines."""
    table = Table(title=title, box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    for heading in names:
        table.add_column(heading, overflow='fold')
    for heading in numbers:
        table.add_column(heading.replace(' ', '\n'), justify='right', no_wrap=True)
    return table
