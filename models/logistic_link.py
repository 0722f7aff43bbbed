"""The logistic function as training needs it: bounded for every argument, no dearer than wanted.

`sigmoid` has two precisions. Steps that later ones correct take the cheap one, whose error is below
2e-3 everywhere, for seven products and two comparisons per element; the last steps take the
engine's, with 8e-6. Both are odd around 1/2, so their errors cancel in sums over rows.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.polynomial import chebyshev

from engine import field
from engine.chebyshev import WORK

BOUND = 8.0
"""Log-odds beyond ±8 count as ±8 in the cheap one: the step there is 3.4e-4."""
_DEGREE = 7


def sigmoid(mpc, odds, frac: int, *, fine: bool):
    """1 / (1 + exp(-odds)), elementwise, of |odds| < 2^42; 17 rounds for t = 1, or 18."""
    if fine:
        return mpc.sigmoid(odds, frac)
    return mpc.in_blocks(lambda x: _cheap(mpc, x, frac), odds)


def _cheap(mpc, x, frac):
    outside = mpc.negative(mpc.stack([x + BOUND, BOUND - x]))
    limit = round(BOUND * (1 << x.frac))
    # Times 1 / 8, exact: the argument of the polynomial is in [-1, 1].
    places = WORK - x.frac - 3

    def clip(below, above, x):
        z = field.add(field.mul(below, field.affine(x, -1, -limit)),
                      field.mul(above, field.affine(x, -1, limit)))
        return field.affine(field.add(z, x), 1 << places)
    s = mpc.product('clip', [outside[0], outside[1], x], clip, x.shape, 0, WORK)
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
