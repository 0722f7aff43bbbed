"""Secondary suppression on shares: what else to withhold, so that totals give nothing away.

A withheld cell can be solved for when all other cells of a line that adds up to a shown total are
shown. The hypercube method (Repsilber 1994; Giessing, Repsilber, GHMITER 2002) withholds, with
every primary cell, the other corners of a box in the extended table, in which each dimension has a
place for the total. Adding an amount to some corners and subtracting it from the others changes no
line of the table, so an attacker who knows all shown values cannot tell these tables apart. A step
within the categories of a dimension changes the sign, a step to its total does not. The primary
cell can therefore be larger by any amount that the corners of *opposite sign* can give away, and
no linear programme narrows it further.

How much a corner can give away is counted without its largest contribution, which one of the
contributors knows: so the amount stays uncertain to each of them too. Each primary cell chooses,
in one of a few turns, among the boxes spanned with some partner places per dimension: the box with
the fewest cells that are not withheld yet, whose corners of opposite sign have enough rows and can
give away at least p per cent of the cell and `floor` units. The box spanned with all totals has no
corner of opposite sign, so there always is one. Withholding more cells only widens the intervals,
so the cells of a turn need not know of each other's boxes.

Revealed: nothing. Which cells are withheld opens later, and shows of the values only what the rules
and this choice (which depends on which corners are large enough) say.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.array import SecureArray
from protocols.stats.cells import Cells
from protocols.stats.primary import Primary
from protocols.stats.rules import Rules
from protocols.stats.spec import TableSpec

BOXES = 200_000
"""How many boxes are looked at in all, if so many can be had; it bounds the cost."""

TURNS = 4
"""In how many turns the cells choose: more turns withhold fewer cells and take more rounds."""


@dataclass(frozen=True)
class Corner:
    """For every cell and choice of partners in some dimensions: the corner, and its sign."""

    dimensions: tuple[int, ...]
    places: npt.NDArray[np.int64]
    opposite: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Boxes:
    """The boxes that cells may choose from; public.

    `corners[j].places` has shape (cells, *choices), with length one in dimensions that the corner
    does not leave; `weight` (cells,) is what withholding a cell costs.
    """

    cells: int
    choices: tuple[int, ...]
    corners: tuple[Corner, ...]
    weight: npt.NDArray[np.int64]


def boxes(spec: TableSpec, limit: int = BOXES) -> Boxes:
    """The boxes of a table: with the next categories, cyclically, and with the total."""
    shape, sizes = spec.extended, spec.shape
    cells = math.prod(shape)
    spanned = [d for d, (n, places) in enumerate(zip(sizes, shape, strict=True)) if places > n]
    each = max(2, int((limit / cells) ** (1 / max(1, len(spanned)))))
    partners = {d: _partners(sizes[d], each) for d in spanned}
    choices = tuple(partners[d].shape[1] for d in spanned)
    where = np.stack(np.unravel_index(np.arange(cells), shape), 1)
    corners = []
    for count in range(1, len(spanned) + 1):
        for chosen in itertools.combinations(range(len(spanned)), count):
            at = [where[:, d].reshape(-1, *[1] * len(spanned)) for d in range(len(shape))]
            odd = np.zeros((cells, *[1] * len(spanned)), bool)
            for j in chosen:
                d = spanned[j]
                axes = [1] * len(spanned)
                axes[j] = choices[j]
                own = where[:, d]
                at[d] = partners[d][own].reshape(cells, *axes)
                inner = (at[d] < sizes[d]) & (own < sizes[d]).reshape(-1, *[1] * len(spanned))
                odd = odd ^ inner
            places = np.ravel_multi_index(tuple(np.broadcast_arrays(*at)), shape)
            corners.append(Corner(chosen, places, np.broadcast_to(odd, places.shape)))
    weight = np.ones(cells, np.int64)
    for d in spanned:
        weight[where[:, d] == sizes[d]] *= sizes[d]
    return Boxes(cells, choices, tuple(corners), weight)


def _partners(n: int, limit: int) -> npt.NDArray[np.int64]:
    """Partner places (n + 1, k) of each place of a dimension of n categories and their total."""
    k = min(n, limit)
    rows = [[n if j == k - 1 else (i + 1 + j) % n for j in range(k)] for i in range(n)]
    # The total's partners are categories, spread over the dimension.
    return np.array([*rows, [j * n // k for j in range(k)]], np.int64)


async def secondary(mpc, spec: TableSpec, rules: Rules, cells: Cells,
                    first: Primary) -> SecureArray:
    """Shared bits (extended shape): cells that are withheld to protect others.

    For K boxes per cell and C cells of the extended table, about C K (115 + 55 + 24) bytes per
    party and a comparison for every amount and corner of opposite sign; `TURNS` times
    12 log2 K + 23 rounds, and 12. Amounts need totals below 2^56 units.
    """
    plan = boxes(spec)
    if not plan.choices:
        return first.withheld * 0
    primary = withheld = first.withheld.ravel()
    unfit = _unfit(mpc, spec, rules, cells, first, plan)
    width = math.prod(plan.choices)
    for targets in turns(plan.cells):
        fresh = plan.weight - plan.weight * withheld
        cost = unfit[targets]
        for corner in plan.corners:
            cost = cost + fresh.take(corner.places[targets])
        best = mpc.argmin(cost.reshape(len(targets), width), axis=1)
        chosen = mpc.one_hot(best, width) * primary.take(targets).reshape(-1, 1)
        marks = _marks(mpc, chosen.reshape(len(targets), *plan.choices), plan, targets)
        marked = 1 - (marks < 1)
        withheld = withheld + marked - marked * withheld
    return (withheld - primary).reshape(*spec.extended)


def turns(cells: int) -> list[npt.NDArray[np.int64]]:
    """The cells that choose their boxes together; what earlier ones have withheld is free."""
    return [np.arange(k, cells, TURNS) for k in range(min(TURNS, cells))]


def _unfit(mpc, spec, rules, cells, first, plan):
    """What each box costs each cell (cells, *choices) because of corners that cannot protect: for
    each more than all the cells of a box together."""
    small = first.small.ravel()
    dear = int(plan.weight.max()) << len(plan.choices)
    lacking = _lacking(mpc, spec, rules, cells, plan)
    total = None
    for k, corner in enumerate(plan.corners):
        cost = small.take(corner.places) * (corner.opposite.astype(np.int64) * dear)
        for measure in lacking:
            cost = cost + measure[k] * dear
        total = cost if total is None else total + cost
    return total


def _lacking(mpc, spec, rules, cells, plan):
    """Per amount and corner: whether the corner, if of opposite sign, can give away too little."""
    result = []
    for m in spec.amounts:
        amount = cells.measures[m.name]
        total, top = amount.total.ravel(), amount.top[0].ravel()
        # In hundredths, so that p per cent is an integer.
        need = rules.p_ratio * total
        spare = 100 * (total - top)
        differences, kept = [], []
        for corner in plan.corners:
            odd = np.flatnonzero(corner.opposite.ravel())
            own = np.broadcast_to(np.arange(plan.cells).reshape(-1, *[1] * len(plan.choices)),
                                  corner.places.shape).ravel()[odd]
            places = corner.places.ravel()[odd]
            kept.append(odd)
            differences.append(spare.take(places) - need.take(own))
        floor = mpc.negative(spare - 100 * rules.floor)
        below = mpc.negative(mpc.concatenate(differences))
        per_corner, start = [], 0
        for corner, odd in zip(plan.corners, kept, strict=True):
            bits = below[start:start + len(odd)] + floor.take(corner.places.ravel()[odd])
            start += len(odd)
            per_corner.append(_scattered(mpc, bits, odd, corner.places.shape))
        result.append(per_corner)
    return result


def _scattered(mpc, values, places, shape):
    """An array of zeros with values at public places (flat); local."""
    padded = mpc.concatenate([values, mpc.array(np.zeros(1, np.int64))])
    index = np.full(math.prod(shape), len(places))
    index[places] = np.arange(len(places))
    return padded.take(index).reshape(*shape)


def _marks(mpc, chosen, plan, targets):
    """How many of the chosen boxes each cell is a corner of; local."""
    marks = None
    for corner in plan.corners:
        bits = chosen
        for axis in range(len(plan.choices)):
            if axis not in corner.dimensions:
                kept = bits.sum(axis + 1)
                bits = kept[(slice(None),) * (axis + 1) + (None,)]
        counted = _added(mpc, bits.ravel(), corner.places[targets].ravel(), plan.cells)
        marks = counted if marks is None else marks + counted
    return marks


def _added(mpc, values, places, size):
    """Sums of values per public place; local."""
    order = np.argsort(places, kind='stable')
    ends = np.searchsorted(places[order], np.arange(size), side='right')
    running = mpc.concatenate([mpc.array(np.zeros(1, np.int64)), values.take(order).cumsum()])
    upto = running.take(ends)
    return upto - mpc.concatenate([mpc.array(np.zeros(1, np.int64)), upto[:-1]])
