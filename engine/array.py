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
from numpy.lib.array_utils import normalize_axis_tuple

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
        if not self.shape:
            raise TypeError('len() of a secure array without axes; expected one axis or more')
        return self.shape[0]

    def __array__(self, dtype=None, copy=None):
        raise TypeError('a secure array has no public values; await mpc.output(x) opens it')

    def __array_function__(self, function, types, args, kwargs):
        raise TypeError(f'np.{function.__name__} cannot compute on a secure array; use a method of '
                        'the array, or the function of that name of mpc where there is one')

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

    def __pow__(self, exponent):
        return self.runtime.power(self, exponent)

    def __abs__(self):
        return self.runtime.absolute(self)

    def __pos__(self):
        return self.copy()

    # logic on shared bits (integers 0 and 1)

    def __and__(self, other):
        return self._bits('&', other) * other

    __rand__ = __and__

    def __or__(self, other):
        return self._bits('|', other) + other - self * other

    __ror__ = __or__

    def __xor__(self, other):
        return self._bits('^', other) + other - 2 * (self * other)

    __rxor__ = __xor__

    def __invert__(self):
        return 1 - self._bits('~')

    def _bits(self, sign, other=1):
        frac = max(self.frac, other.frac) if isinstance(other, SecureArray) else self.frac
        if frac:
            raise TypeError(f'{sign} of a secure array with frac = {frac}; expected shared bits, '
                            'as comparisons give them')
        if not isinstance(other, SecureArray) and not np.isin(other, (0, 1)).all():
            raise TypeError(f'{sign} of shared bits and other public values than 0 and 1')
        return self

    # comparisons: shared bits (integers 0 and 1)

    def __lt__(self, other):
        return self.runtime.less(self, other)

    def __gt__(self, other):
        # Not by -other, which of unsigned integers is another number.
        return self.runtime.negative(other - self)

    def __ge__(self, other):
        return 1 - self.runtime.less(self, other)

    def __le__(self, other):
        return 1 - self.runtime.negative(other - self)

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
        shape = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
        return self.view(lambda a: a.reshape(shape), 'reshape')

    def ravel(self):
        """One-dimensional view."""
        return self.reshape(-1)

    flatten = ravel

    def transpose(self, *axes):
        """Axes in the given order, or in reverse order."""
        return self.view(lambda a: a.transpose(*axes), 'transpose')

    @property
    def T(self):
        """Axes in reverse order."""
        return self.view(lambda a: a.T, 'transpose')

    def broadcast_to(self, shape):
        """Repeat along new or length-one axes."""
        return self.view(lambda a: np.broadcast_to(a, shape), 'broadcast')

    def take(self, index, axis=None):
        """Elements at public positions along an axis, or of the flattened array."""
        return self.view(lambda a: np.take(a, index, axis=axis), 'take')

    def copy(self):
        """An array that assignments to this one leave alone."""
        return self.view(lambda a: a, 'copy')

    def reduced(self, axis=None):
        """(the same elements with `axis` as the first axis, the shape that keepdims=True gives).

        Several axes, or with None all of them, become that one axis.
        """
        axes = range(self.ndim) if axis is None else normalize_axis_tuple(axis, self.ndim)
        kept = tuple(1 if i in axes else n for i, n in enumerate(self.shape))
        rest = tuple(n for i, n in enumerate(self.shape) if i not in axes)
        count = math.prod(self.shape[i] for i in axes)
        moved = self.view(lambda a: np.moveaxis(a, axes, range(len(axes))).reshape(count, *rest),
                          'moveaxis')
        return moved, kept

    def sum(self, axis=None, keepdims=False):
        """Sum over one axis, several, or all elements."""
        x, kept = self, None
        if keepdims or isinstance(axis, tuple):
            (x, kept), axis = self.reduced(axis), 0
        shape = np.broadcast_to(np.int8(0), x.shape).sum(axis=axis).shape
        out = self.runtime.local('sum', [x], lambda x: field.total(x, axis), shape, self.frac)
        return out.reshape(kept) if keepdims else out

    def mean(self, axis=None, keepdims=False):
        """Mean over one axis, several, or all elements (one truncation)."""
        total = self.sum(axis, keepdims)
        if not self.size:
            raise ValueError(f'mean of an array of shape {self.shape}; expected elements')
        return total * (total.size / self.size)

    def prod(self, axis=None, keepdims=False):
        """Product over one axis, several, or all elements; see `mpc.prod`."""
        return self.runtime.prod(self, axis, keepdims)

    def max(self, axis=None, keepdims=False):
        """Maximum over one axis, several, or all elements; see `mpc.max`."""
        return self.runtime.max(self, axis, keepdims)

    def min(self, axis=None, keepdims=False):
        """Minimum over one axis, several, or all elements."""
        return self.runtime.min(self, axis, keepdims)

    def argmax(self, axis=None):
        """Shared position of the first maximum along an axis, or in the flattened array."""
        return self.runtime.argmax(self, axis)

    def argmin(self, axis=None):
        """Shared position of the first minimum along an axis, or in the flattened array."""
        return self.runtime.argmin(self, axis)

    def any(self, axis=None, keepdims=False):
        """Whether any of the shared bits is 1."""
        return self.runtime.any(self, axis, keepdims)

    def all(self, axis=None, keepdims=False):
        """Whether all of the shared bits are 1."""
        return self.runtime.all(self, axis, keepdims)

    def dot(self, other):
        """self @ other; one round."""
        return self.runtime.dot(self, other)

    def cumsum(self, axis: int | None = None):
        """Running sums along an axis, or of the flattened array."""
        if axis is None:
            return self.ravel().cumsum(0)
        if axis % self.ndim:
            moved = self.runtime.moveaxis(self, axis).cumsum(0)
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


def elements(x) -> np.ndarray:
    """A view of a contiguous share in which an element is one entry: of the array's own shape."""
    return x.view(_ELEMENT)[..., 0]


def _per_element(x, fn):
    """Apply a NumPy indexing or view function to whole elements; views stay views."""
    return np.asarray(fn(elements(x)))[..., None].view(np.uint64)


def constant(runtime, values, frac: int | None = None) -> SecureArray:
    """A SecureArray of values that this party knows: every share equals the value."""
    values = np.asarray(values)
    if frac is None:
        frac = 0 if values.dtype.kind in 'iub' else runtime.frac
    return SecureArray(runtime, values.shape, frac, field.encode(values, frac))
