"""Bin tables that open to named receivers, with small cells suppressed inside the computation.

A cell is the number of rows of one bin and one class. Before anything opens, shared bits decide per
feature which bins stay closed. Since the class totals of a job are easily known, a closed bin must
not follow from the open ones: the closed bins of a table together hold at least twice the minimum
of both classes, so whatever their sum tells, each closed cell below the minimum could have had any
value below it. The bins are closed in ascending order of their smaller cell, small ones first,
until that holds; if it never does, all are. Nothing computed from closed counts opens either: WOE
of closed bins and the IV of a table with closed bins would give them away, so receivers compute
both from what they get, with the closed bins as one. A receiver must not get the exact IV of the
same feature elsewhere.

What is not protected: tables of overlapping bins of one feature, and tables of two jobs whose rows
differ by a few; a job that opens tables must not be repeated with slightly different rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from engine import costs, field
from protocols.costs import products, total


class OpenedTable(NamedTuple):
    """What a receiver gets: counts (features, bins, 2) [bad, good], zero where `closed`
    (features, bins) says so, and the closed bins' sums (features, 2), zero where they stay closed.
    """

    counts: npt.NDArray[np.int64]
    closed: npt.NDArray[np.bool_]
    closed_sums: npt.NDArray[np.int64]


@dataclass(frozen=True)
class SuppressedTables:
    """Shared tables whose small cells are closed: `counts` (features, bins, 2), zero where the bits
    `closed` (features, bins) say so, and `sums` (features, 2) of the closed bins.

    What is computed from `counts` and `sums` alone says no more than the opened table, save for a
    feature of which all bins are closed: its `sums` are the class totals.
    """

    counts: Any
    closed: Any
    sums: Any
    minimum: int

    def take(self, places: Sequence[int]) -> SuppressedTables:
        """The tables of some features."""
        counts, closed, sums = (x.take(places, axis=0)
                                for x in (self.counts, self.closed, self.sums))
        return SuppressedTables(counts, closed, sums, self.minimum)

    async def open(self, mpc, receivers) -> OpenedTable | None:
        """`OpenedTable` at the receivers, None elsewhere."""
        features, bins, _ = self.counts.shape
        # All bins of a feature may be closed because there are few rows: then not even the sums
        # open.
        enough = _enough(mpc, self.sums, self.minimum).reshape(features, 1)
        shown = mpc.concatenate([self.counts.reshape(features, -1), self.closed,
                                 enough * self.sums], axis=1)
        opened = await mpc.output(shown, receivers)
        if opened is None:
            return None
        table, bits = opened[:, :2 * bins], opened[:, 2 * bins:3 * bins]
        return OpenedTable(table.reshape(features, bins, 2), bits.astype(bool),
                           opened[:, 3 * bins:])


async def open_tables(mpc, counts, receivers, *, minimum: int = 10, zeros_disclosive: bool = True):
    """`OpenedTable` of shared counts (features, bins, 2) at the receivers, None elsewhere.

    With `zeros_disclosive` an empty bin counts as a bin with cells below the minimum, else an empty
    bin may open (that no row of the job has it is then known). Bins must be disjoint and cover all
    rows. Reveals to the receivers what `OpenedTable` holds and nothing else; rounds and bytes as in
    `open_tables_cost`. Raises ValueError for a minimum below 1.
    """
    return await suppress(mpc, counts, minimum, zeros_disclosive).open(mpc, receivers)


def suppress(mpc, counts, minimum: int = 10, zeros_disclosive: bool = True) -> SuppressedTables:
    """Close the small cells of shared counts (features, bins, 2), and what would give them away.

    Nothing opens. Arguments and errors as of `open_tables`, whose rounds and bytes it takes but for
    those of the opening and of the comparison of the sums.
    """
    if minimum < 1:
        raise ValueError(f'minimum is {minimum}, expected at least 1 row per cell')
    closed = closed_bins(mpc, counts, minimum, zeros_disclosive)
    features, bins, _ = counts.shape
    hidden = closed.reshape(features, bins, 1) * counts
    return SuppressedTables(counts - hidden, closed, hidden.sum(1), minimum)


def closed_bins(mpc, counts, minimum: int, zeros_disclosive: bool = True):
    """Shared bits (features, bins): which bins of shared counts (features, bins, 2) stay closed.

    No rounds depend on the data: all pairs of bins are compared to put them in order.
    """
    features, bins, _ = counts.shape
    bad, good = counts[:, :, 0], counts[:, :, 1]
    smaller = mpc.minimum(bad, good)
    if not zeros_disclosive:
        # An empty bin is in nobody's way: it comes last, as if it were large.
        smaller = smaller + (counts.sum(2) < 1) * (1 << 40)
    primary = smaller < minimum
    # Before which bins a bin comes; of equals the first.
    first, second = np.triu_indices(bins, 1)
    later = smaller.take(second, axis=1) < smaller.take(first, axis=1)
    place = np.full((bins, bins), 2 * len(first))
    place[first, second], place[second, first] = np.arange(len(first)), \
        len(first) + np.arange(len(first))
    own = mpc.array(np.ones((features, 1), np.int64))
    # comes[i, j] = [i comes at or before j].
    comes = mpc.concatenate([1 - later, later, own], axis=1) \
        .take(place.ravel(), axis=1).reshape(features, bins, bins)
    # With the bins up to i closed: how many, how many rows of each class.
    upto = mpc.matrix_product(mpc.moveaxis(comes, 2, 1), counts)
    number = comes.sum(1)
    # Closing up to and including a bin is enough when no bin behind it must be closed.
    fits = (1 - (upto.reshape(features, 2 * bins) < 2 * minimum)).reshape(features, bins, 2)
    several = 1 - (number < 2)
    behind = (primary.sum(1).reshape(-1, 1) < number + 1)
    enough = fits[:, :, 0] * fits[:, :, 1] * (several * behind)
    # A bin stays closed unless closing the ones strictly before it is enough already.
    strictly = comes - np.eye(bins, dtype=np.int64)
    before = _any_before(mpc, strictly, enough)
    needed = 1 - (primary.sum(1) < 1).reshape(-1, 1)
    return needed * (1 - before)


def _any_before(mpc, strictly, enough):
    """Whether one of the bins strictly before a bin is enough: `enough` never falls along the
    order, so the sum over those before is compared with zero."""

    def kernel(strictly, enough):
        return field.total(field.mul(strictly, enough[:, :, None]), 1)
    features, bins, _ = strictly.shape
    number = mpc.product('multiply', [strictly, enough], kernel, (features, bins), 0, 0,
                         work=8 * features * bins * bins)
    return 1 - (number < 1)


def _enough(mpc, sums, minimum):
    fits = 1 - (sums < 2 * minimum)
    return fits[:, 0] * fits[:, 1]


def open_tables_cost(features: int, bins: int, receivers: int, m: int, t: int,
                     zeros_disclosive: bool = True) -> costs.Prediction:
    """Rounds (t = 1) and bytes over all parties of `open_tables`."""
    pairs = bins * (bins - 1) // 2
    less = bins + bins + pairs + 2 * bins + bins + bins + bins + 1 + 2 + \
        (0 if zeros_disclosive else bins)
    elements = bins + 2 * bins + 3 * bins + bins + bins + 2 * bins + 1 + 2
    shown = 3 * bins + 2
    return total(12 + 11 + 1 + 11 + 2 + 1 + 11 + 1 + 1 + 11 + 1 + 1 + 1,
                 costs.less_than(features * less, m, t), products(features * elements, m, t),
                 costs.open_all(features * shown, m, t, receivers))


def pooled_table(opened: OpenedTable, feature: int):
    """(bad, good, names) of one opened table, for WOE and IV: open bins, and the closed as one."""
    open_bins = np.flatnonzero(~opened.closed[feature])
    rows = [opened.counts[feature, k] for k in open_bins]
    names = [str(k) for k in open_bins]
    if opened.closed[feature].any() and opened.closed_sums[feature].sum():
        rows.append(opened.closed_sums[feature])
        names.append('suppressed')
    table = np.array(rows).reshape(-1, 2)
    return table[:, 0], table[:, 1], names
