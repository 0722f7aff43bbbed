"""Secure arrays: secret-shared numbers of any shape with NumPy's operators.

A `SecureArray` has a public shape and a public number of fractional bits `frac` (0 for integers);
its values are secret. Operators return at once with a placeholder that is computed when its inputs
are known, as in MPyC. Linear operations and products with public integers are local; a product of
two arrays, a matrix product and a truncation each take one round (`engine.arithmetic`).

`frac` follows the operands: integers times fixed point needs no truncation and keeps the larger
`frac`; fixed point times fixed point is truncated back to the larger one. Magnitudes must stay
below 2^(product_bits - 1 - frac_a - frac_b) for a truncated product (43 integer bits for the
default frac = 20 and m = 4) and below 2^63 units for a comparison.
"""

import asyncio
import math

import numpy as np

from engine import field
from engine._mpyc import asyncoro


class SecureArray(asyncoro.SecureObject):
    """Secret-shared array; create with `mpc.array`, `mpc.input` or as the result of operations."""

    __array_ufunc__ = None  # let NumPy arrays defer to the reflected operators

    def __init__(self, runtime, shape, frac: int, share=None):
        self.runtime, self.shape, self.frac = runtime, tuple(shape), frac
        self.depth = 0  # rounds on the critical path to these values (see engine.meter)
        self.share = share

    @property
    def known(self) -> bool:
        """Whether this party already holds its share."""
        return isinstance(self.share, np.ndarray)

    async def ready(self) -> np.ndarray:
        """This party's share, shape (*shape, 2)."""
        share = self.share
        if isinstance(share, asyncio.Future):
            share = share.result() if share.done() else await asyncio.shield(share)
        return share

    @property
    def ndim(self):
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self):
        """Number of elements."""
        return math.prod(self.shape)

    def __len__(self):
        return self.shape[0]

    def __repr__(self):
        return f'<SecureArray shape={self.shape} frac={self.frac}>'

    # arithmetic

    def __add__(self, other):
        return self.runtime.add_arrays(self, other)

    __radd__ = __add__

    def __sub__(self, other):
        return self.runtime.add_arrays(self, other, sign=-1)

    def __rsub__(self, other):
        return self.runtime.add_arrays(-self, other)

    def __neg__(self):
        return self.runtime.scale(self, -1)

    def __mul__(self, other):
        return self.runtime.multiply(self, other)

    __rmul__ = __mul__

    def __matmul__(self, other):
        return self.runtime.matrix_product(self, other)

    def __rmatmul__(self, other):
        return self.runtime.matrix_product(other, self)

    def __truediv__(self, other):
        return self.runtime.divide(self, other)

    def __rtruediv__(self, other):
        return self.runtime.divide(other, self)

    # comparisons: shared bits (integers 0 and 1)

    def __lt__(self, other):
        return self.runtime.less(self, other)

    def __gt__(self, other):
        return self.runtime.less(-self, -other)

    def __ge__(self, other):
        return 1 - self.runtime.less(self, other)

    def __le__(self, other):
        return 1 - self.runtime.less(-self, -other)

    def __eq__(self, other):
        return self.runtime.equal(self, other)

    def __ne__(self, other):
        return 1 - self.runtime.equal(self, other)

    # structure: public indices only, always local

    def view(self, fn, name):
        """The result of a NumPy indexing or view function on the elements; local."""
        shape = fn(np.broadcast_to(np.int8(0), self.shape)).shape
        return self.runtime.local(name, [self], lambda x: _per_element(x, fn), shape, self.frac)

    def __getitem__(self, index):
        return self.view(lambda a: a[index], 'index')

    def __setitem__(self, index, value):
        changed = self.runtime.assign(self, index, value)
        # The array goes on as the changed one; operations issued before hold the old share.
        self.share, self.depth = changed.share, changed.depth

    def reshape(self, *shape):
        """Same elements in another shape."""
        shape = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape
        return self.view(lambda a: a.reshape(shape), 'reshape')

    def ravel(self):
        """One-dimensional view."""
        return self.reshape(-1)

    @property
    def T(self):
        """Axes in reverse order."""
        return self.view(lambda a: a.T, 'transpose')

    def broadcast_to(self, shape):
        """Repeat along new or length-one axes."""
        return self.view(lambda a: np.broadcast_to(a, shape), 'broadcast')

    def take(self, index, axis=0):
        """Elements at public positions along an axis."""
        return self.view(lambda a: np.take(a, index, axis=axis), 'take')

    def sum(self, axis=None):
        """Sum over one axis or over all elements."""
        shape = np.broadcast_to(np.int8(0), self.shape).sum(axis=axis).shape
        return self.runtime.local('sum', [self], lambda x: field.total(x, axis), shape, self.frac)

    def mean(self, axis=None):
        """Mean over one axis or over all elements (one truncation)."""
        count = self.size if axis is None else self.shape[axis]
        return self.sum(axis) * (1.0 / count)

    def cumsum(self, axis: int = 0):
        """Running sums along an axis."""
        if axis % self.ndim:
            moved = self.runtime.moveaxis(self, axis).cumsum()
            return self.runtime.moveaxis(moved, 0, axis)
        return self.runtime.local('cumsum', [self], field.cumsum, self.shape, self.frac)

    def shift(self, bits: int):
        """Exact product with 2^bits (bits >= 0); the same `frac`."""
        return self.runtime.scale(self, 1 << bits)

    def with_frac(self, frac: int):
        """The same values with another number of fractional bits.

        More bits are local; fewer cost one truncation (one round).
        """
        if frac == self.frac:
            return self
        if frac > self.frac:
            out = self.shift(frac - self.frac)
            return SecureArray.reinterpret(out, frac)
        return self.runtime.truncate(self, self.frac - frac, frac)

    def reinterpret(self, frac: int):
        """The same integers read with another `frac`: a free product with a power of two."""
        return self.runtime.local('reinterpret', [self], lambda x: x, self.shape, frac)


_ELEMENT = np.dtype('V16')


def _per_element(x, fn):
    """Apply a NumPy indexing or view function to whole elements; views stay views."""
    return np.asarray(fn(x.view(_ELEMENT)[..., 0]))[..., None].view(np.uint64)


def constant(runtime, values, frac: int | None = None) -> SecureArray:
    """A SecureArray of values that this party knows: every share equals the value."""
    values = np.asarray(values)
    if frac is None:
        frac = 0 if values.dtype.kind in 'iub' else runtime.frac
    return SecureArray(runtime, values.shape, frac, field.encode(values, frac))
