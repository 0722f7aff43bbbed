"""Group-by over secret keys: rows into the cells of a table, with the largest contributions.

One sort does it. A row's sort key is cell·2^bits + amount, one element, so the rows of a cell come
together in ascending order of their amount. One public end row per cell is sorted along, with the
largest key of its cell. Then all that a cell needs is at its end row: running counts and sums less
those of the end row before, the largest contributions in the rows just above, and a row's own
amount is its key less the number of end rows before it, times 2^bits. All of that is local. The
end rows are found by a shuffle, after which the cell numbers of all rows are opened: zero for a
row of data, every cell's number once.

Revealed: the comparisons of the sort, which are those of a random order whatever the data, and the
places of the end rows in another random order. Number and size of messages depend on the random
order of the sort; with `fixed_shape` on the number of rows and cells alone. The sort is that of
`engine.sorting` (Hamada et al., ICISC 2012).
"""

from __future__ import annotations

import numpy as np

from engine import field
from engine.array import SecureArray, constant
from protocols.stats.cells import Amount, Cells
from protocols.stats.perturb import quotient


def keys(mpc, cell, amount: SecureArray, *, cells: int, bits: int,
         weight: SecureArray | None = None) -> SecureArray:
    """Sort keys of rows (n,) from their cell numbers (shared or public) and amounts.

    Amounts are below 2^bits. Rows whose shared bit `weight` is 0 go to a cell of their own behind
    the table, number `cells`. Local, and one round with weights.
    """
    key = (cell if isinstance(cell, SecureArray) else constant(mpc, cell)).shift(bits) + amount
    if weight is None:
        return key
    behind = cells << bits
    return weight * (key - behind) + behind


async def group_rows(mpc, key: SecureArray, *, name: str, cells: int, bits: int, largest: int = 2,
                     spare: bool = False, squares: bool = False,
                     carried: dict[str, SecureArray] | None = None,
                     percentiles: tuple[int, ...] = (), fixed_shape: bool = False) -> Cells:
    """Cells (cells,) of rows with sort keys (n,) as `keys` makes them; one measure, `name`.

    `carried` are further integer columns (n,) that are added up per cell; their largest
    contributions are not known. With `spare` there is a cell number `cells` that counts for
    nothing; otherwise every key must be below cells·2^bits (see `intake`). `squares` adds the sums
    of squared amounts, `percentiles` order statistics of the amounts (`percentile`). Keys up to 62
    bits; up to 62 less the digits of n are sorted at half the cost.

    Cost for n rows, m = 4, t = 1: the sort (n + cells rows of 2 + carried columns), then about
    24 (4 + largest + carried) + 40 bytes per party and row.
    """
    carried = carried or {}
    groups = cells + spare
    n = key.shape[0]
    top_key = (groups << bits) - 1
    if top_key >> 62:
        raise ValueError(f'{groups} cells and amounts of {bits} bits: a sort key needs more than '
                         '62 bits; use a larger unit')
    ends = ((np.arange(groups, dtype=np.int64) + 1) << bits) - 1
    table = mpc.concatenate([
        mpc.stack([key, constant(mpc, np.zeros(n, np.int64)),
                   *carried.values()], 1),
        constant(mpc, np.column_stack([ends, np.ones(groups, np.int64),
                                       *[np.zeros(groups, np.int64)] * len(carried)]))])
    ordered = await mpc.sort_rows(table, 0, max(1, top_key.bit_length()), fixed_shape)
    end = ordered[:, 1]
    before = end.cumsum() - end
    # An end row's amount, 2^bits - 1, is taken off: it contributes nothing.
    amount = ordered[:, 0] - before.shift(bits) - end * ((1 << bits) - 1)
    rows = _at_ends(mpc, ordered, before, amount, largest, squares)
    found = (await _ends(mpc, rows, groups))[:cells]
    result = _cells(mpc, found, name, largest, squares, list(carried))
    for level in percentiles:
        result.percentiles[f'{name}.p{level}'] = await percentile(
            mpc, amount, found[:, 0], result.rows, level)
    return result


async def percentile(mpc, amount: SecureArray, upto: SecureArray, rows: SecureArray,
                     level: int) -> SecureArray:
    """The ceil(level rows / 100)-th smallest amount of each cell; shared.

    `amount` is the column of sorted rows with end rows, `upto` the number of rows up to each
    cell's end. In a cell without rows it is another number: `release` shows it only where enough
    rows are on both sides. Cost: `lookup` for each cell.
    """
    cells = rows.shape[0]
    rank = quotient(mpc, rows * level + 99, 100) - 1
    place = upto - rows + rank + np.arange(cells)
    return await lookup(mpc, amount, mpc.maximum(place, 0))


def _at_ends(mpc, ordered, before, amount, largest, squares):
    """Per sorted row: mark, running count, running sum, amounts above it, running extras."""
    end = ordered[:, 1]
    n = end.shape[0]
    mark = end * (before + 1)
    count = (1 - end).cumsum()
    columns = [mark, count, amount.cumsum()]
    for j in range(1, largest + 1):
        zeros = constant(mpc, np.zeros(min(j, n), np.int64))
        columns.append(mpc.concatenate([zeros, amount[:-j]]) if j < n else zeros[:n])
    if squares:
        columns.append((amount * amount).cumsum())
    columns += [ordered[:, j].cumsum() for j in range(2, ordered.shape[1])]
    return mpc.stack(columns, 1)


async def _ends(mpc, rows, groups):
    """The end rows in the order of their cells, without their marks."""
    mixed = mpc.shuffle(rows)
    marks = await mpc.output(mixed[:, 0])
    places = np.flatnonzero(marks)
    return mixed[places[np.argsort(marks[places])], 1:]


def _cells(mpc, found, name, largest, squares, carried):
    running = mpc.concatenate([found[:, :2], found[:, 2 + largest:]], 1)
    start = constant(mpc, np.zeros((1, running.shape[1]), np.int64))
    sums = running - mpc.concatenate([start, running[:-1]])
    rows = sums[:, 0]
    # The rows above an end row belong to its cell if it has so many.
    there = 1 - mpc.negative(mpc.stack([rows - j for j in range(1, largest + 1)]))
    top = there * found[:, 2:2 + largest].T
    measures = {name: Amount(sums[:, 1], top)}
    extra = {f'{name}.squares': sums[:, 2]} if squares else {}
    for j, other in enumerate(carried):
        measures[other] = Amount(sums[:, 2 + squares + j])
    return Cells(rows, measures, extra)


def partition(mpc, table: SecureArray, bit: SecureArray):
    """Coroutine: rows of a table with those first whose shared bit is 1; both keep their order.

    A pass of a radix sort (Asharov et al., CCS 2022): places by prefix sums, one product, a
    shuffle, and an opening of the shuffled places. 4 rounds for m = 4; reveals nothing.
    """
    return _partition(mpc, table, bit)


async def _partition(mpc, table, bit):
    n = table.shape[0]
    ones = bit.cumsum()
    rank = np.arange(n)
    # Place among the ones, or behind all of them.
    first, second = ones - 1, constant(mpc, rank) - ones + ones[n - 1]
    place = bit * (first - second) + second
    mixed = mpc.shuffle(mpc.concatenate([table, place.reshape(n, 1)], 1))
    order = np.argsort(await mpc.output(mixed[:, -1]))
    return mixed[order, :-1]


async def contributors(mpc, cell: SecureArray, contributor: SecureArray, amount: SecureArray, *,
                       contributor_bits: int, cell_bits: int, fixed_shape: bool = False):
    """One row per cell and contributor, such as a company with loans at several institutions.

    Returns (cell, amount, weight) of n rows: weight 1 on the first rows, one for each different
    pair of cell and contributor, with the sum of its amounts; weight and amount 0 on the others.
    How many there are stays secret. One sort, one comparison per row, one partition. Grouped
    again, the rows give numbers of distinct companies and their largest contributions.
    """
    key = cell.shift(contributor_bits) + contributor
    table = await mpc.sort_rows(mpc.stack([key, cell, amount], 1), 0,
                                min(62, cell_bits + contributor_bits), fixed_shape)
    key = table[:, 0]
    last = mpc.concatenate([mpc.less(key[:-1], key[1:]), constant(mpc, np.ones(1, np.int64))])
    running = table[:, 2].cumsum()
    kept = await partition(mpc, mpc.stack([table[:, 1], running, last], 1), last)
    cell, running, weight = kept[:, 0], kept[:, 1], kept[:, 2]
    start = constant(mpc, np.zeros(1, np.int64))
    return cell, weight * (running - mpc.concatenate([start, running[:-1]])), weight


async def lookup(mpc, column: SecureArray, places: SecureArray) -> SecureArray:
    """Elements of a long shared vector (n,) at shared places (k,) in [0, n).

    A place is split into two digits of base b ~ sqrt(n), each made a unit vector: 2 b equalities
    and b products per place, and a matrix product over the column.
    """
    n = column.shape[0]
    half = max(1, -(-(n - 1).bit_length() // 2))
    base = 1 << half
    missing = constant(mpc, np.zeros(-n % base, np.int64))
    padded = mpc.concatenate([column, missing]) if missing.size else column
    bits = mpc.to_bits(places, 2 * half)
    low, high = mpc.from_bits(bits[:, :half]), mpc.from_bits(bits[:, half:])
    table = padded.reshape(-1, base)
    rows = mpc.one_hot(high, table.shape[0]) @ table
    unit = mpc.one_hot(low, base)
    return mpc.product('multiply', [unit, rows], lambda u, r: field.total(field.mul(u, r), 1),
                       (places.shape[0],), 0, 0, work=8 * rows.size)
