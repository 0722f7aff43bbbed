"""The kernels of `engine.field` over Python integers: slow, obvious, and what the tests trust."""

import numpy as np

from engine.field import P, table, to_ints


def _lift(fn, *arrays):
    values = [to_ints(a) for a in arrays]
    result = np.asarray(fn(*values), dtype=object)
    return table(v % P for v in result.ravel()).reshape(*result.shape, 2)


def add(x, y):
    """x + y mod p."""
    return _lift(lambda a, b: a + b, x, y)


def sub(x, y):
    """x - y mod p."""
    return _lift(lambda a, b: a - b, x, y)


def mul(x, y):
    """x * y mod p."""
    return _lift(lambda a, b: a * b, x, y)


def matmul(x, y):
    """x @ y mod p."""
    return _lift(lambda a, b: a.dot(b), x, y)


def total(x, axis):
    """Sum over an axis mod p."""
    return _lift(lambda a: a.sum(axis=axis), x)


def combine(stack, coefs):
    """Σ coefs[j] * stack[j] mod p."""
    return _lift(lambda a, c: sum(c[j] * a[j] for j in range(len(c))), stack, coefs)


def signed(x) -> list:
    """Signed Python integers of the elements."""
    return [int(v) - P if v > P // 2 else int(v) for v in to_ints(x).ravel()]
