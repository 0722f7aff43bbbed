"""Predicted costs of the table engine: rounds, and payload bytes over all parties.

The sort is not among them: its levels depend on a random order (`engine.sorting`), and with
`fixed_shape` on the number of rows alone. `tests/test_stats_grouping.py` asserts the rest.
"""

from __future__ import annotations

import itertools

from engine import costs
from engine.costs import Prediction, sequence
from engine.shamir import Geometry
from protocols.stats.forms import CellForm, Claimed, RowForm


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


def described_cost(n: int, k: int, attributes: int, m: int, t: int) -> Prediction:
    """`described` after its sort, for n tags and a table of k rows with so many attributes.

    The scan is most of it: for m = 4, t = 1 about 24 (attributes + 2) log2(n + k) bytes per party
    and row.
    """
    rows, width = n + k, attributes + 1
    scan = [costs.product((rows - (1 << j)) * (width + 1), m, t)
            for j in range((rows - 1).bit_length())]
    return sequence(m, move_cost(rows * (width + 1), m, t), costs.less_than(rows - 1, m, t),
                    costs.product(rows * width, m, t), *scan, costs.product(rows * width, m, t),
                    move_cost(rows * (width + 1), m, t))


def move_cost(n: int, m: int, t: int) -> Prediction:
    """A table of n elements moved by a kept order, or back."""
    groups = Geometry(m, t).shuffle_groups()
    return sequence(m, costs.to_shared(n, m, t),
                    *[costs.hand_over(n, m, t, a, b) for a, b in itertools.pairwise(groups)])


def intake_cost(form: RowForm | CellForm | Claimed, institutions: int, m: int, t: int,
                claims: int, products: int = 0) -> Prediction:
    """`intake` of so many submissions that are all as they should be.

    `claims` are the numbers that the form claims per institution, `products` how many of them take
    a product. 18 rounds for the range, 10 for the signs, 2 for each opened coin.
    """
    rows, columns = form.shape
    n = institutions * rows * columns
    shown = [Prediction(1, 8 * 3 * institutions * m * (m - 1)),
             costs.open_all(1, m, t), Prediction(1, 16 * institutions * m * (m - 1))]
    bits = [costs.open_all(1, m, t), costs.product(institutions, m, t),
            costs.open_all(institutions, m, t)] if form.bits else []
    ranges = [_range(n, m, t), *[costs.product(products * institutions, m, t)] * (products > 0),
              costs.open_negative(claims * institutions, m, t)]
    return sequence(m, *shown, *bits, *ranges)


def _range(n, m, t):
    block = 1 << 15
    parts = [costs.check_range(min(block, n - start), m, t) for start in range(0, n, block)]
    return Prediction(parts[0].rounds, sum(p.total_bytes for p in parts))
