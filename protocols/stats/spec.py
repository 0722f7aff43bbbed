"""What a table is: its dimensions with their categories, and what is measured in its cells.

A specification is public and part of the manifest. Cells are numbered in row-major order of the
dimensions. A dimension with more than one category has a further place, after its categories, for
the total over them, unless it says otherwise: the *extended* table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TOTAL = 'total'
"""The name of the total's place in a dimension; no category may be called that."""


@dataclass(frozen=True)
class Dimension:
    """One way in which rows are classified.

    With `total` false no total over it is published: balances of several months must not be added.
    """

    name: str
    categories: tuple[str, ...]
    total: bool = True

    def __post_init__(self) -> None:
        if not self.categories or len(set(self.categories)) != len(self.categories):
            raise ValueError(f'dimension {self.name}: expected distinct categories, at least one')
        if TOTAL in self.categories:
            raise ValueError(f'dimension {self.name}: {TOTAL!r} is the name of the total')

    def codes(self, values) -> npt.NDArray[np.int64]:
        """Places of values among the categories; raises ValueError for any other value."""
        places = {category: k for k, category in enumerate(self.categories)}
        found = np.array([places.get(value, -1) for value in values], np.int64)
        if (found < 0).any():
            raise ValueError(f'dimension {self.name}: {int((found < 0).sum())} values are none of '
                             f'the {len(self.categories)} agreed categories')
        return found


@dataclass(frozen=True)
class Measure:
    """What is added up in a cell.

    An `amount` of a row is an integer of at most `bits` bits in `unit`; the rules of dominance
    apply to it. A `count` of a row is 0 or 1: the minimum cell applies to it, as to the number of
    rows.
    """

    name: str
    kind: str = 'amount'
    bits: int = 32
    unit: str = 'yuan'

    def __post_init__(self) -> None:
        if self.kind not in ('amount', 'count'):
            raise ValueError(f"measure {self.name}: kind {self.kind!r}, expected 'amount' or "
                             "'count'")
        if not 1 <= self.bits <= 40:
            raise ValueError(f'measure {self.name}: {self.bits} bits, expected 1 to 40; '
                             'use a larger unit')

    @property
    def sensitivity(self) -> int:
        """By how much a row changes a cell at most."""
        return 1 if self.kind == 'count' else (1 << self.bits) - 1


@dataclass(frozen=True)
class TableSpec:
    """Dimensions and measures of a table."""

    dimensions: tuple[Dimension, ...]
    measures: tuple[Measure, ...]

    def __post_init__(self) -> None:
        names = [d.name for d in self.dimensions] + [m.name for m in self.measures]
        if len(set(names)) != len(names) or 'rows' in names:
            raise ValueError("dimensions and measures must have distinct names, other than 'rows'")
        if not 1 <= len(self.dimensions) <= 4:
            raise ValueError(f'{len(self.dimensions)} dimensions, expected 1 to 4')

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of categories of each dimension."""
        return tuple(len(d.categories) for d in self.dimensions)

    @property
    def cells(self) -> int:
        """Number of cells without totals."""
        return math.prod(self.shape)

    @property
    def extended(self) -> tuple[int, ...]:
        """Places of each dimension, totals included."""
        return tuple(n + (d.total and n > 1)
                     for n, d in zip(self.shape, self.dimensions, strict=True))

    @property
    def amounts(self) -> list[Measure]:
        """The measures that are amounts."""
        return [m for m in self.measures if m.kind == 'amount']

    def cell(self, codes) -> npt.NDArray[np.int64]:
        """Cell numbers of rows, from one array of codes per dimension."""
        return np.ravel_multi_index(tuple(np.asarray(c) for c in codes), self.shape)

    def labels(self, place) -> dict[str, str]:
        """The categories of a place of the extended table, by dimension."""
        return {d.name: d.categories[k] if k < len(d.categories) else TOTAL
                for d, k in zip(self.dimensions, place, strict=True)}
