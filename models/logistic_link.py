"""The logistic function as training needs it: bounded for every argument, no dearer than wanted.

`sigmoid` has two precisions. Steps that later ones correct take the cheap one, whose error is below
2e-3 everywhere, for seven products and two comparisons per element; the last steps take the
engine's, with 8e-6. Where log-odds are known to be moderate `sigmoid_series` serves, a sine series
in two rounds, several times cheaper still. All are odd around 1/2, so their errors cancel in sums
over rows.
"""

from __future__ import annotations

import functools
from typing import Literal

import numpy as np
from numpy.polynomial import chebyshev

from engine import field
from engine.chebyshev import WORK
from engine.waves import waves

Precision = Literal['series', 'cheap', 'fine']
"""`series` for moderate log-odds, falling back on `cheap`; see above."""

BOUND = 8.0
"""Log-odds beyond ±8 count as ±8 in the cheap one: the step there is 3.4e-4."""
_DEGREE = 7
MODERATE = 24.0
"""Log-odds within which the sine series is a logistic function."""
_PERIOD_BITS = 6
WAVES = 9


def sigmoid(mpc, odds, frac: int, *, fine: bool):
    """1 / (1 + exp(-odds)), elementwise, of |odds| < 2^42; 17 rounds for t = 1, or 18."""
    if fine:
        return mpc.sigmoid(odds, frac)
    return mpc.in_blocks(lambda x: _cheap(mpc, x, frac), odds)


def _cheap(mpc, x, frac):
    # Times 1 / 8, exact: the argument of the polynomial is in [-1, 1].
    s = mpc.clipped(x, BOUND, 1 << WORK - x.frac - 3, 0, WORK)
    one = 1 << WORK

    def double(s):
        return field.affine(field.mul(s, s), 2, -one * one)
    u = mpc.product('multiply', [s], double, x.shape, WORK, WORK, elementwise=True)
    return mpc.multiply(s, mpc.chebyshev(u, _quotient(), WORK), frac) + 0.5


@functools.cache
def _quotient():
    """Coefficients of (sigmoid(8 s) - 1/2) / s in the Chebyshev polynomials of u = 2 s² - 1."""
    def even(u):
        s = np.sqrt((1 + u) / 2)
        return (1 / (1 + np.exp(-BOUND * s)) - 0.5) / s
    return chebyshev.chebinterpolate(even, _DEGREE)


def variance(mpc, odds, frac: int, *, fine: bool):
    """p (1 - p) for p = sigmoid(odds); one round more."""
    p = sigmoid(mpc, odds, WORK, fine=fine)

    def kernel(p):
        return field.mul(p, field.affine(p, -1, 1 << WORK))
    return mpc.product('multiply', [p], kernel, odds.shape, 2 * WORK - frac, frac,
                       elementwise=True)


def sigmoid_series(mpc, block, raw):
    """sigmoid(block @ raw) - 1/2 as a sharing of degree 2t (see `engine.waves`); two rounds.

    Error below 3e-3 for log-odds within ±`MODERATE`. It is a sine series of period 64: between ±24
    and ±32 the value falls to 0, and beyond it repeats, bounded but wrong. Needs `can_wave`; 608
    bytes in all per number for m = 4.
    """
    n, d = block.shape

    def product(x, w):
        return field.matmul(x, w[:, None])
    return waves(mpc, [block, raw], product, (n,), block.frac + raw.frac + _PERIOD_BITS, _series(),
                 work=4 * n * d)


@functools.cache
def _series():
    """{k: coefficient} of sigmoid(x) - 1/2 in sin(2πkx / 64), by least squares within ±`MODERATE`.

    A function that falls again as it rose has odd terms only.
    """
    x = np.linspace(0, MODERATE, 2000)
    terms = range(1, 2 * WAVES, 2)
    table = np.sin(np.outer(x, terms) * (2 * np.pi / (1 << _PERIOD_BITS)))
    found = np.linalg.lstsq(table, 1 / (1 + np.exp(-x)) - 0.5, rcond=None)[0]
    return dict(zip(terms, found.tolist(), strict=True))
