"""Predicted costs of the table engine: rounds, and payload bytes over all parties.

The sort is not among them: its levels depend on a random order (`engine.sorting`), and with
`fixed_shape` on the number of rows alone. `tests/test_stats_grouping.py` asserts the rest.
"""

from __future__ import annotations

import itertools

from engine import costs
from engine.costs import Prediction, sequence
from engine.costs_verified import predict
from engine.ranges import check_range_cost
from engine.scan import scan_sizes
from engine.shamir import Geometry
from protocols.stats.forms import CellForm, Claimed, RowForm
from protocols.stats.intake import shown_cost


def after_sort_cost(n: int, groups: int, cells: int, m: int, t: int, *, largest: int = 2,
                    squares: bool = False, carried: int = 0) -> Prediction:
    """`group_rows` after its sort, for n rows and `groups` end rows (a spare cell included).

    For m = 4, t = 1: 24 (4 + largest + squares + carried) + 16 bytes per party and row, 24 more
    with squares.
    """
    total = n + groups
    columns = 3 + largest + squares + carried
    parts = [costs.product(total, m, t), costs.shuffle(total * columns, m, t),
             costs.open_all(total, m, t), costs.less_than(largest * cells, m, t),
             costs.product(largest * cells, m, t)]
    summed = sequence(m, *parts)
    extra = costs.product(total, m, t).total_bytes if squares else 0
    return Prediction(summed.rounds, summed.total_bytes + extra)


def percentile_cost(n: int, cells: int, m: int, t: int) -> Prediction:
    """`percentile` of so many cells among n sorted rows, ends included."""
    digits = max(1, -(-(n - 1).bit_length() // 2))
    base = 1 << digits
    # Both digits of a place become unit vectors at the same time.
    return sequence(m, *[costs.truncate(cells, m, t)] * 3, costs.less_than(8 * cells, m, t),
                    costs.less_than(cells, m, t), costs.product(cells, m, t),
                    costs.to_bits(cells, m, t, 2 * digits),
                    beside(costs.equal(cells * base, m, t)),
                    costs.equal(cells * -(-n // base), m, t), costs.product(cells * base, m, t),
                    costs.product(cells, m, t))


def described_cost(n: int, k: int, attributes: int, m: int, t: int) -> Prediction:
    """`described` after its sort, for n tags and a table of k rows with so many attributes.

    For m = 4, t = 1 its scan is about 48 (attributes + 2) bytes per party and row of a long table.
    """
    rows, width = n + k, attributes + 1
    scan = [costs.product(size * (width + 1), m, t) for size in scan_sizes(rows)]
    return sequence(m, move_cost(rows * (width + 1), m, t), costs.less_than(rows - 1, m, t),
                    costs.product(rows * width, m, t), *scan, costs.product(rows * width, m, t),
                    move_cost(rows * (width + 1), m, t))


def move_cost(n: int, m: int, t: int) -> Prediction:
    """A table of n elements moved by a kept order, or back."""
    groups = Geometry(m, t).shuffle_groups()
    return sequence(m, costs.to_shared(n, m, t),
                    *[costs.hand_over(n, m, t, a, b) for a, b in itertools.pairwise(groups)])


def intake_cost(form: RowForm | CellForm | Claimed, institutions: int, geometry: Geometry,
                claims: int, products: int = 0) -> Prediction:
    """`intake` of so many submissions that are all as they should be.

    `claims` are the numbers that the form claims per institution, `products` how many of them take
    a product. 18 rounds for the range, 10 for the signs, 2 for each opened coin; in verified mode
    one more for each of these steps, and two more for what parties show each other.
    """
    def cost(name, n):
        found = predict(name, n, geometry)
        assert found is not None
        return found

    rows, columns = form.shape
    n, m = institutions * rows * columns, geometry.m
    shown = [*shown_cost(8 * 3 * institutions, m, geometry.verified), cost('output', 1),
             *shown_cost(16 * institutions, m, geometry.verified)]
    bits = [cost('output', 1), cost('multiply', institutions),
            cost('output', institutions)] if form.bits else []
    # Each institution's products are an operation of their own, in the same round.
    claimed = Prediction(products > 0, institutions * cost('multiply', products).total_bytes
                         if products else 0)
    ranges = [check_range_cost(n, 63, geometry), claimed,
              cost('open_negative', claims * institutions)]
    return sequence(m, *shown, *bits, *ranges)


def claimed_cost(form: Claimed, institutions: int, m: int, t: int) -> Prediction:
    """`intake` of a form that claims a range for each of its numbers."""
    return intake_cost(form, institutions, Geometry(m, t), 2 * form.shape[0] * form.shape[1])


def beside(*parts: Prediction) -> Prediction:
    """What takes no time of its own: other steps that take longer do not wait for it."""
    return Prediction(0, sum(part.total_bytes for part in parts))
