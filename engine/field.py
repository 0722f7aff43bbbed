"""Arrays over the field of p = 2^127 - 1 elements.

An array of n elements is a C-contiguous ``uint64`` array of shape (n..., 2), low limb first, every
element canonical (below p). The kernels (`engine.field_kernels`) are compiled by Numba without the
interpreter lock, so a worker thread can run them while the event loop keeps frames moving.
`engine.field_reference` holds the same operations over Python integers; the tests compare the two.

Signed numbers are embedded as x mod p with |x| < 2^126; `engine.encoding` makes them of numbers.
"""

import functools

import numpy as np

from engine import field_kernels as kernels
from engine.encoding import P, decode_float, decode_int, encode, limbs, table, to_ints
from engine.matmul import matmul

__all__ = ['P', 'add', 'add_masks', 'add_to', 'affine', 'broadcast', 'broadcast_to', 'canonical',
           'columns', 'combine', 'combine_columns', 'cumsum', 'decode_float', 'decode_int',
           'encode', 'evaluate', 'evaluate_columns', 'limbs', 'matmul', 'mul', 'neg', 'rows',
           'sub', 'table', 'to_ints', 'total', 'uniform']


_PIECE = 1 << 17
"""Elements of a table that are turned round at once."""


@functools.lru_cache(1024)
def _constant(value):
    return table([value])


def rows(x):
    """The elements as a writable contiguous array (n, 2), which may be a view: kernels are compiled
    for these, and would be compiled anew for others."""
    if not x.flags.carray:
        x = np.require(x, requirements='CW')
    return x.reshape(-1, 2)


def _binary(kernel, x, y):
    if x.shape != y.shape:
        x, y = broadcast(x, y)
    out = np.empty(x.shape, dtype=np.uint64)
    kernel(rows(x), rows(y), out.reshape(-1, 2))
    return out


def broadcast(x, y):
    """Both arrays with a common shape as NumPy would broadcast their elements."""
    shape = np.broadcast_shapes(x.shape[:-1], y.shape[:-1])
    return (broadcast_to(x, shape), broadcast_to(y, shape))


def broadcast_to(x, shape):
    """Array of elements broadcast to `shape` (without the limb axis)."""
    lead = len(shape) + 1 - x.ndim
    return np.broadcast_to(x.reshape((1,) * lead + x.shape), (*shape, 2))


def add(x, y):
    """x + y, broadcasting."""
    return _binary(kernels.add, x, y)


def sub(x, y):
    """x - y, broadcasting."""
    return _binary(kernels.sub, x, y)


def mul(x, y):
    """x * y, broadcasting."""
    return _binary(kernels.mul, x, y)


def affine(x, a: int, b: int = 0):
    """a * x + b for public integers a and b."""
    out = np.empty(x.shape, dtype=np.uint64)
    kernels.affine(rows(x), _constant(a % P), _constant(b % P), out.reshape(-1, 2))
    return out


def neg(x):
    """-x."""
    return affine(x, -1)


def _places(parts):
    # Nothing is gathered: kernels take addresses.
    return np.array([part.ctypes.data for part in parts], np.uint64)


def combine(parts, coefs, out=None):
    """Sum over j of coefs[j] * parts[j]: k arrays (n, 2) or a stack of them, coefs (k, 2); into
    `out` if given.

    Raises ValueError where shapes differ.
    """
    parts = [np.ascontiguousarray(part, np.uint64) for part in parts]
    out = np.empty(parts[0].shape, np.uint64) if out is None else out
    if len(coefs) != len(parts) or out.ndim != 2 or any(p.shape != out.shape for p in parts):
        raise ValueError(f'combine: {len(coefs)} coefficients of arrays of shapes '
                         f'{[p.shape for p in parts]}, expected one (n, 2) for each')
    kernels.combine(_places(parts), rows(coefs), out)
    return out


def add_to(x, y) -> np.ndarray:
    """x + y in place of x, for contiguous arrays of one shape; returns x."""
    flat = x.reshape(-1, 2)
    kernels.add(flat, rows(y), flat)
    return x


def columns(x):
    """(first row, columns (k, rows, 2)) of pieces of a contiguous table (n, k, 2); each column is
    contiguous and still near when it is used."""
    k = x.shape[1]
    rows = max(1, _PIECE // max(1, k))
    for start in range(0, len(x) if k else 0, rows):
        part = x[start:start + rows]
        # An element is copied as one item of 16 bytes.
        turned = np.ascontiguousarray(part.view(np.complex128)[..., 0].T)
        yield start, turned.view(np.uint64).reshape(k, len(part), 2)


def combine_columns(x, coefs, out=None):
    """Σ_j coefs[j]·x[:, j] of a table (n, k, 2), shape (n, 2); into `out` if given."""
    out = np.empty((len(x), 2), np.uint64) if out is None else out
    for start, parts in columns(x):
        combine(parts, coefs, out[start:start + parts.shape[1]])
    return out


def evaluate_columns(x, point):
    """Σ_i r^(n-1-i)·x[i, j] for each column of a table (n, k, 2) at r (2,), shape (k, 2)."""
    total, base = np.zeros((x.shape[1], 2), np.uint64), int(to_ints(point))
    for _, parts in columns(x):
        here = evaluate(parts, point.reshape(1, 2))[:, 0]
        total = add(affine(total, pow(base, parts.shape[1], P)), here)
    return total


def evaluate(parts, points):
    """Polynomials at points (k, 2): Σ_i points[k]^(n-1-i)·x[i] for arrays x (n, 2) of one length,
    of which there are j; shape (j, k, 2)."""
    parts = [np.ascontiguousarray(part, np.uint64) for part in parts]
    out = np.empty((len(parts), len(points), 2), np.uint64)
    kernels.evaluate(_places(parts), len(parts[0]), rows(points), out)
    return out


def total(x, axis=None):
    """Sum of elements over one axis (or all)."""
    if axis is None:
        x, axis = x.reshape(-1, 2), 0
    axis %= x.ndim - 1
    shape = x.shape[:axis] + x.shape[axis + 1:]
    lead, tail = int(np.prod(x.shape[:axis])), int(np.prod(x.shape[axis + 1:-1]))
    x = np.ascontiguousarray(x).reshape(lead, x.shape[axis], tail, 2)
    out = np.empty((lead, tail, 2), dtype=np.uint64)
    kernels.sum_axis(x, out)
    return out.reshape(shape)


def cumsum(x):
    """Running sums along the first axis."""
    out = np.empty(x.shape, dtype=np.uint64)
    columns = (x.shape[0], int(np.prod(x.shape[1:-1])), 2)
    kernels.cumsum(np.require(x, requirements='CW').reshape(columns), out.reshape(columns))
    return out


def uniform(raw):
    """Field elements from uniformly random 128-bit limbs, in place: the top bit is dropped."""
    kernels.uniform(raw.reshape(-1, 2))
    return raw


def canonical(x) -> bool:
    """Whether all limbs are those of field elements, that is below p."""
    return bool(kernels.canonical(rows(x)))


def add_masks(z, offset, draws, coefs, period: int, bits: int):
    """z + offset + Σ coefs[j]·draws[j], where draws (k, n, 2) are raw pseudorandom limbs.

    Draws 0, period, 2·period, ... are cut to `bits` bits, the others to 127; k is a multiple of
    `period`.
    """
    out = np.empty_like(z)
    kernels.add_masks(rows(z), offset.reshape(1, 2), draws, coefs, period,
                      np.uint64((1 << (bits - 64)) - 1), out)
    return out
