"""Factorisation and solution of secret linear systems.

Inner products cost nothing but the size of their result, so an n-by-n factorisation communicates
O(n²) elements; the rounds are those of one reciprocal square root per column.
"""

import numpy as np

from engine.array import SecureArray, constant
from engine.base import RuntimeBase


class LinearAlgebra(RuntimeBase):
    """Cholesky and solve (a mix-in of `engine.runtime.Runtime`)."""

    def cholesky(self, a: SecureArray, frac: int = 28) -> SecureArray:
        """Lower triangular L with L Lᵀ = A for a symmetric positive definite A.

        The column of a pivot that is not positive becomes zero, as of a semidefinite A; about 29
        rounds per column.
        """
        return self._factor(a, frac)[0]

    def _factor(self, a, frac):
        """(L, inverses of its diagonal)."""
        n = _square(a)
        lower = constant(self, np.zeros((n, n)), frac)
        inverses = []
        for j in range(n):
            v = a[j:, j].with_frac(frac)
            if j:
                v = v - self.matrix_product(lower[j:, :j], lower[j, :j], frac)
            r = self.rsqrt(v[0], frac)
            lower[j:, j] = self.multiply(v, r, frac)
            inverses.append(r)
        return lower, self.stack(inverses)

    def solve(self, a: SecureArray, b, frac: int = 28) -> SecureArray:
        """x with A x = b for a symmetric positive definite A (n, n) and b (n,) or (n, k), which may
        be public."""
        n, b = _square(a), self.secure(b).with_frac(frac)
        if b.ndim not in (1, 2) or len(b) != n:
            raise ValueError(f'right-hand side of shape {b.shape}; expected ({n},) or ({n}, k)')
        lower, inverse = self._factor(a, frac)
        rows = b.reshape(n, -1)
        y = self._substitute(lower, inverse, rows, frac)
        flipped = lower[::-1, ::-1].T
        x = self._substitute(flipped, inverse[::-1], y[::-1], frac)[::-1]
        return x.reshape(b.shape)

    def _substitute(self, lower, inverse, rhs, frac):
        """Forward substitution; two rounds per row."""
        solved = constant(self, np.zeros(rhs.shape), frac)
        for j in range(rhs.shape[0]):
            v = rhs[j]
            if j:
                v = v - self.matrix_product(lower[j, :j], solved[:j], frac)
            solved[j] = self.multiply(v, inverse[j], frac)
        return solved


def _square(a):
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise ValueError(f'expected a square matrix, got shape {a.shape}')
    return a.shape[0]
