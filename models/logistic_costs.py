"""Predicted cost of a training and of its parts: rounds, and payload bytes over all parties.

For m = 4, t = 1 in the default mode, without weights of rows or classes and without a lasso. Rounds
are those of the longest chain of steps that wait for each other. A penalty that is a whole multiple
of the number of rows saves the truncation of its product, which is counted here all the same.
"""

from __future__ import annotations

import math

from engine import costs
from engine.costs import Prediction
from engine.functions import BLOCK, WINDOW
from engine.query import collapse_cost
from engine.waves import waves_cost
from models.logistic import FINE, SAMPLE_STEPS, sample_size
from models.logistic_design import LARGEST_BLOCK
from models.logistic_link import WAVES
from models.logistic_problem import ROWS, SERIES_ROWS
from models.logistic_steps import inverse_steps
from protocols.costs import products, reciprocal, rsqrt, total

_SIGMOID = {'cheap': (17, 7), 'fine': (18, 14)}
"""Rounds, and products per element besides two comparisons."""


def training_cost(rows: int, columns: int, solver: str, passes: int, m: int, t: int,
                  block: int = LARGEST_BLOCK) -> Prediction:
    """`LogisticRegression.fit`, given `selected`, with so many `passes` on so many rows and
    columns, the intercept's among them; the design has blocks of `block` rows.

    Rounds are those until the weights are there; the bit of convergence comes 8 or 9 later.
    `solver` is `sampled` or `accelerated`; raises ValueError for another.
    """
    if solver not in ('sampled', 'accelerated'):
        raise ValueError(f'there is no formula for the solver {solver}')
    made = _Training(rows, columns, block, m, t)
    made.begin()
    if solver == 'sampled':
        made.sampled(passes)
    else:
        made.accelerated(passes)
    made.finish()
    return Prediction(made.rounds, made.bytes)


class _Training:
    """Adds up the bytes of a training, and the rounds of its longest chain."""

    def __init__(self, rows, columns, block, m, t):
        self.n, self.size, self.block, self.mode = rows, columns, block, (m, t)
        self.rounds, self.bytes = 0, 0

    def add(self, *parts: Prediction) -> int:
        """Count the bytes of some operations; the rounds if they follow each other."""
        self.bytes += sum(part.total_bytes for part in parts)
        return sum(part.rounds for part in parts)

    def product(self, n):
        return self.add(costs.product(n, *self.mode))

    def truncate(self, n):
        return self.add(costs.truncate(n, *self.mode))

    def less(self, n):
        return self.add(costs.less_than(n, *self.mode))

    def pieces(self, rows, most):
        """How many blocks are looked at one by one."""
        full, rest = divmod(rows, self.block)
        return full * -(-self.block // most) + -(-rest // most)

    # --- the plans ---

    def begin(self):
        """Moments, standardisation, and the first state, which is there sooner."""
        d = self.size - 1
        self.product(self.pieces(self.n, self.block) * d)
        self.add(reciprocal(1, *self.mode), costs.less_than(d, *self.mode),
                 rsqrt(d, *self.mode), products(7 * d, *self.mode),
                 costs.exponent(2, *self.mode), products(26, *self.mode))
        self.rounds = 26 + 2 + 11 + 1 + 27 + 2

    def sampled(self, passes):
        part = min(self.n, sample_size(self.size))
        for moves in (SAMPLE_STEPS, SAMPLE_STEPS - 2):
            # The gradient is there before the inverse of the Hessian.
            self.rounds += self.hessian(part)
            self.measure(part, 'cheap', first=moves == SAMPLE_STEPS)
            self.rounds += 1
            for _ in range(moves):
                self.rounds += self.move(part, 'cheap')
        early = max(0, passes - FINE)
        if early:
            fence = self.fence(part)
            chain = self.measure(self.n, 'series')
            chain += sum(self.move(self.n, 'series') for _ in range(early - 1))
            self.rounds += max(fence, chain) + self.product(2 * self.size)
        self.rounds += self.measure(self.n, 'fine')
        for _ in range(passes - early - 1):
            self.rounds += self.move(self.n, 'fine')

    def accelerated(self, passes):
        size, fine = self.size, max(FINE, passes // 3)
        self.product(self.pieces(self.n, self.block) * size * size)
        self.rounds += self.inverse() - 1
        for k in range(passes):
            chain = self.gradient(self.n, 'fine' if k >= passes - fine else 'cheap')
            # The first one is there before the inverse.
            self.rounds += self.product(size) + (chain + self.truncate(size) if k else 0)
            self.product(1)

    def finish(self):
        self.rounds += self.product(6 * self.size) + 2
        self.less(1)

    # --- their steps ---

    def gradient(self, rows, precision):
        size = self.size
        chain = self.product(size)
        if precision == 'series':
            chain += self.add(waves_cost(rows, WAVES, *self.mode))
            one = collapse_cost(size, *self.mode, 3)
            self.bytes += self.pieces(rows, SERIES_ROWS) * one.total_bytes
            chain += one.rounds
        else:
            chain += self.odds(rows, precision)
            chain += self.product(self.pieces(rows, ROWS) * size)
        # The mean, and beside it the penalty.
        return chain + self.truncate(2 * size) + self.product(size)

    def odds(self, rows, precision):
        """Log-odds and their logistic function, of a few blocks at a time."""
        rounds, each = _SIGMOID[precision]
        self.less(2 * rows)
        self.product((1 + each) * rows)
        blocks = math.ceil(min(rows, self.block) / BLOCK)
        return 1 + rounds * math.ceil(blocks / WINDOW)

    def hessian(self, rows):
        size = self.size
        chain = self.product(size) + self.odds(rows, 'cheap') + self.product(rows)
        one = collapse_cost(size * size, *self.mode, 3 * self.mode[1])
        self.bytes += self.pieces(rows, self.block) * one.total_bytes
        return chain + one.rounds + self.inverse()

    def inverse(self):
        """The standardised curvature and its inverse."""
        square, turns = self.size**2, inverse_steps(self.size)
        chain = self.truncate(square) + 2 * bool(self.product(2 * square))
        chain += self.add(reciprocal(1, *self.mode))
        self.product(2 * turns * square)
        return chain + 2 * turns

    def measure(self, rows, precision, first=False):
        chain = 0 if first else self.product(self.size)
        chain += self.gradient(rows, precision) + self.product(self.size)
        self.product(1)
        return chain

    def move(self, rows, precision):
        chain = self.measure(rows, precision) + 1 + self.less(1)
        self.truncate(2)
        return chain + self.product(3 * self.size + 2)

    def fence(self, rows):
        chain = self.product(self.size) + self.product(self.size) + self.product(rows)
        return chain + self.less(2 * rows) + self.less(1)


def scores_cost(rows: int, m: int, t: int) -> Prediction:
    """`LogisticRegression.scores` of so many rows."""
    return total(1, costs.product(rows, m, t))
