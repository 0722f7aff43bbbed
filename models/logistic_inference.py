"""Standard errors, p-values and confidence intervals of a model whose weights are shared.

Wald statistics from the inverse Hessian of the penalised loss at the trained weights, as of
statsmodels for a model without penalty. Everything stays shared until `open`.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev

from engine import field
from models.logistic_problem import DAMPING, MODEL

_Z_BOUND = 6.0
_Z_DEGREE = 31
_ERRORS = 28


@dataclass
class SecretInference:
    """Per weight of the raw columns, the intercept last: shares of (d + 1,) each.

    `z` and `p` of weights beyond six standard errors stand for six: p = 2·10^-9.
    """

    weights: Any
    errors: Any
    z: Any
    p: Any
    low: Any
    high: Any

    async def open(self, mpc, receivers) -> dict[str, np.ndarray] | None:
        """{"weights", "errors", "z", "p", "low", "high"} at the receivers, None elsewhere."""
        names = ('weights', 'errors', 'z', 'p', 'low', 'high')
        opened = await mpc.output([getattr(self, name) for name in names], receivers)
        return None if opened[0] is None else dict(zip(names, opened, strict=True))


async def inference(mpc, model, level: float = 0.95) -> SecretInference:
    """Statistics of a fitted `LogisticRegression` (the design must still be there).

    One pass for the Hessian and one factorisation by Cholesky: about 31 (d + 1) rounds. Standard
    errors are relative to 10^-3 if the correlation of the columns leaves eigenvalues above 0.01;
    p has an absolute error below 10^-5. Columns without a weight get zeros and p = 1.
    Raises ValueError for a level outside (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f'level {level!r}, expected a number between 0 and 1')
    problem = model.problem_
    size = problem.size
    hessian = await problem.hessian(model.state_, fine=True) + np.diag(np.full(size, DAMPING / 30))
    inverse = mpc.solve(hessian, mpc.array(np.eye(size), MODEL))
    half = mpc.matrix_product(problem.affine, inverse, MODEL)

    def diagonal(half, affine):
        return field.total(field.mul(half, affine), 1)
    variances = mpc.product('matmul', [half, problem.affine], diagonal, (size,),
                            problem.affine.frac, MODEL, work=4 * size * size)
    errors = problem.used * mpc.multiply(mpc.sqrt(variances, MODEL),
                                         problem.design.rows**-0.5, _ERRORS)
    raw = model.raw_
    z = _quotient(mpc, raw, errors)
    width = mpc.multiply(errors, NormalDist().inv_cdf(0.5 + level / 2), raw.frac)
    return SecretInference(raw, errors, z, _two_sided(mpc, z), raw - width, raw + width)


def _quotient(mpc, raw, errors):
    """raw / errors, capped at ±6 by comparison of the products; 0 where both are zero."""
    wide = mpc.multiply(errors, _Z_BOUND, raw.frac)
    beyond = mpc.negative(mpc.stack([raw + wide, wide - raw]))
    capped = beyond[0] * -wide + beyond[1] * wide + (1 - beyond[0] - beyond[1]) * raw
    return mpc.multiply(capped, mpc.reciprocal(errors, 20), 20)


def _two_sided(mpc, z):
    """2 (1 - Φ(|z|)) by an even polynomial of z on [-6, 6]."""
    s = mpc.multiply(z, 1 / _Z_BOUND, MODEL)
    size = mpc.absolute(s)
    return mpc.chebyshev(2 * size - 1, _tail(), 20)


@functools.cache
def _tail():
    # From the standard library: SciPy's statistics alone would double a worker's start.
    return chebyshev.chebinterpolate(
        lambda points: [math.erfc(_Z_BOUND * (1 + u) / math.sqrt(8)) for u in points], _Z_DEGREE)
