"""Cells on shares: counts, sums and the largest contributions, and totals over dimensions.

Contributions are integers. The largest ones of a cell are kept in descending order along the first
axis, and two such lists are merged by comparisons (Batcher 1968), so totals know theirs too. That
supposes that a contributor is in one cell only, as a row is; where contributors are institutions,
`by_contributor` starts from the sums of each.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engine import field as elements
from engine.array import SecureArray


@dataclass
class Amount:
    """One measure over the cells: its sums, and perhaps the largest contributions (k, *shape)."""

    total: SecureArray
    top: SecureArray | None = None


@dataclass
class Cells:
    """Shared figures of the cells of a table, all of one shape.

    `extra` are further sums that are shown with a cell and to which no rule is applied, such as
    sums of squares; `percentiles` are order statistics, which have no totals.
    """

    rows: SecureArray
    measures: dict[str, Amount]
    extra: dict[str, SecureArray] = field(default_factory=dict)
    percentiles: dict[str, SecureArray] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """The table's shape."""
        return self.rows.shape

    async def ready(self) -> None:
        """Wait until every figure is computed."""
        for array in (self.rows, *self.extra.values(), *self.percentiles.values()):
            await array.ready()
        for amount in self.measures.values():
            await amount.total.ready()
            if amount.top is not None:
                await amount.top.ready()

    def __getitem__(self, index) -> Cells:
        """The same cells, chosen or arranged by public positions."""
        return self.apply(lambda x: x[index], lambda x: x[(slice(None), *_tuple(index))])

    def reshape(self, *shape) -> Cells:
        """The same cells in another shape."""
        return self.apply(lambda x: x.reshape(*shape), lambda x: x.reshape(x.shape[0], *shape))

    def apply(self, figure, top) -> Cells:
        """`figure` of every array of cells, `top` of every list of largest contributions."""
        return Cells(figure(self.rows),
                     {name: Amount(figure(a.total), None if a.top is None else top(a.top))
                      for name, a in self.measures.items()},
                     {name: figure(x) for name, x in self.extra.items()},
                     {name: figure(x) for name, x in self.percentiles.items()})


def _tuple(index):
    return index if isinstance(index, tuple) else (index,)


def stack(mpc, parts: list[Cells], axis: int = 0) -> Cells:
    """Cells of several tables of one shape along a new axis; local."""
    return Cells(mpc.stack([p.rows for p in parts], axis),
                 {name: Amount(mpc.stack([p.measures[name].total for p in parts], axis),
                               None if a.top is None else
                               mpc.stack([p.measures[name].top for p in parts], axis + 1))
                  for name, a in parts[0].measures.items()},
                 {name: mpc.stack([p.extra[name] for p in parts], axis) for name in parts[0].extra})


def extend(mpc, cells: Cells, shape: tuple[int, ...]) -> Cells:
    """The cells with totals over those dimensions that have one more place in `shape`.

    Percentiles are dropped. Counts and sums are local. The largest contributions of a total take a
    tournament per dimension: `merge` ceil(log2 n) times for n categories.
    """
    cells = Cells(cells.rows, cells.measures, cells.extra)
    for axis, places in enumerate(shape):
        if places != cells.shape[axis]:
            cells = cells.apply(lambda x, a=axis: _with_total(mpc, x, a),
                                lambda x, a=axis: _with_top(mpc, x, a + 1))
    return cells


def _with_total(mpc, x, axis):
    total = x.sum(axis)
    index = (slice(None),) * axis + (None,)
    return mpc.concatenate([x, total[index]], axis)


def _with_top(mpc, x, axis):
    best = largest(mpc, x, axis)
    return mpc.concatenate([x, best[(slice(None),) * axis + (None,)]], axis)


def largest(mpc, top: SecureArray, axis: int) -> SecureArray:
    """The largest contributions (k, ...) of the lists along an axis (not the first)."""
    x = mpc.moveaxis(top, axis, 1)
    while x.shape[1] > 1:
        half = x.shape[1] // 2
        best = merge(mpc, x[:, :half], x[:, half:2 * half])
        x = best if x.shape[1] % 2 == 0 else mpc.concatenate([best, x[:, 2 * half:]], 1)
    return x[:, 0]


def merge(mpc, a: SecureArray, b: SecureArray) -> SecureArray:
    """The k largest of two descending lists of k along the first axis, k = 1, 2 or 4.

    12 rounds per stage, of which there are 1 + log2 k: the better halves against each other, then
    a bitonic merge. k (1 + log2(k) / 2) comparisons and as many products per list.
    """
    k = a.shape[0]
    if k not in (1, 2, 4):
        raise ValueError(f'lists of {k}: expected 1, 2 or 4')
    best = mpc.maximum(a, b[::-1])
    half = k // 2
    while half:
        parts = best.reshape(k // (2 * half), 2, half, *best.shape[1:])
        first, second = parts[:, 0], parts[:, 1]
        high = mpc.maximum(first, second)
        best = mpc.stack([high, first + second - high], 1).reshape(k, *best.shape[1:])
        half //= 2
    return best


def by_contributor(mpc, sums: SecureArray, k: int) -> SecureArray:
    """The k largest contributions per cell from the sums (contributors, *shape) of each."""
    lists = sums[None]
    if k > 1:
        zero = sums * 0
        lists = mpc.stack([sums, *[zero] * (k - 1)], 0)
    return largest(mpc, lists, 1)


def squares(mpc, sums: SecureArray) -> SecureArray:
    """Σ of squared sums (contributors, *shape) over the contributors: the HHI's numerator.

    One round; an integer below 2^126.
    """
    return mpc.product('multiply', [sums], lambda x: elements.total(elements.mul(x, x), 0),
                       sums.shape[1:], 0, 0, work=8 * sums.size)
