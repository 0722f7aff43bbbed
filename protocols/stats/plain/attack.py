"""What an attacker can conclude from a published table: linear programmes over its withheld cells.

The attacker knows every shown value, that the table adds up, that amounts are not negative, and
perhaps bounds of single cells (a contributor knows its own part). For each withheld cell the
smallest and the largest value that fits is its feasibility interval (Fischetti, Salazar 2000).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog
from scipy.sparse import lil_matrix


def lines(extended: tuple[int, ...], shape: tuple[int, ...]) -> list[tuple[list[int], int]]:
    """(cells, total): every line of a table that adds up to one of its totals, as flat places."""
    number = np.arange(int(np.prod(extended))).reshape(extended)
    found = []
    for axis, (places, n) in enumerate(zip(extended, shape, strict=True)):
        if places == n:
            continue
        for line in np.moveaxis(number, axis, -1).reshape(-1, places):
            found.append((line[:n].tolist(), int(line[n])))
    return found


def interval(values: npt.ArrayLike, withheld: npt.NDArray[np.bool_], shape: tuple[int, ...],
             target: int, known: dict[int, float] | None = None) -> tuple[float, float]:
    """(least, largest) value of a withheld cell that fits everything that is shown.

    `values` and `withheld` are over the extended table; withheld values are not looked at.
    `known` are lower bounds of single cells (flat places), 0 for all others. Largest is infinite
    where nothing bounds it.
    """
    withheld = np.asarray(withheld)
    extended, hidden = withheld.shape, np.flatnonzero(withheld.ravel())
    flat = np.where(withheld, 0, np.asarray(values, float)).ravel()
    column = {cell: k for k, cell in enumerate(hidden.tolist())}
    system = [(cells, total) for cells, total in lines(extended, shape)
              if any(c in column for c in (*cells, total))]
    matrix = lil_matrix((len(system), len(hidden)))
    right = np.zeros(len(system))
    for row, (cells, total) in enumerate(system):
        for cell, sign in [*[(c, 1.0) for c in cells], (total, -1.0)]:
            if cell in column:
                matrix[row, column[cell]] = sign
            else:
                right[row] -= sign * flat[cell]
    bounds = [((known or {}).get(cell, 0.0), None) for cell in hidden.tolist()]
    goal = np.zeros(len(hidden))
    goal[column[target]] = 1.0
    ends = []
    for sign in (1.0, -1.0):
        found = linprog(sign * goal, A_eq=matrix.tocsr(), b_eq=right, bounds=bounds)
        if found.status == 3:
            ends.append(np.inf)
        elif found.status == 0:
            ends.append(float(found.x[column[target]]))
        else:
            raise ValueError(f'the shown values do not add up: {found.message}')
    return ends[0], ends[1]
