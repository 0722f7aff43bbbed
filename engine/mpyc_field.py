"""MPyC's field arrays on the engine's kernels: shares that MPyC and the engine both compute on.

MPyC keeps an array of shares as a NumPy array of Python integers, and takes for every secure type a
prime of its own. Here all types with room for it get the engine's prime, p = 2^127 - 1, with the
same evaluation points, so a share of MPyC is a share of the engine and the other way round. Arrays
over that field are `ShareArray`s: they hold limbs, turn into Python integers when MPyC's code asks
for `value`, and turn back when the next kernel needs limbs.
"""

import functools
import math

import numpy as np

from engine import field
from engine._mpyc import asyncoro, finfields, sectypes
from engine.field import P

__all__ = ['FIELD', 'ShareArray', 'from_ints', 'shares_of']

# A class of its own, not MPyC's cached GF(p): SecFld(p) makes the elements of that one unsigned.
FIELD = finfields.pGF.__wrapped__(P, 2, P - 1)
FIELD.__reduce__ = lambda self: (FIELD, (self.value,))

_STRUCTURAL = frozenset((
    'append', 'array_split', 'broadcast_to', 'column_stack', 'concatenate', 'diag', 'diagflat',
    'diagonal', 'dsplit', 'dstack', 'expand_dims', 'flip', 'fliplr', 'flipud', 'hsplit', 'hstack',
    'moveaxis', 'ravel', 'repeat', 'reshape', 'roll', 'rot90', 'split', 'squeeze', 'stack',
    'swapaxes', 'take', 'tile', 'transpose', 'vsplit', 'vstack'))
"""NumPy functions that move elements and do not look at them."""

_ELEMENT = np.dtype('V16')


class ShareArray(finfields.PrimeFieldArray):
    """An array over the field of p = 2^127 - 1 elements, as limbs or as Python integers.

    Reading `value` hands out the integers and forgets the limbs, because MPyC's code may write to
    what it reads. Nobody writes to limbs: operations in progress may hold them.
    """

    __slots__ = ('_ints', '_limbs')
    field = FIELD

    def __init__(self, value, check=True, copy=False):
        self._ints = self._limbs = None
        if isinstance(value, np.ndarray) and value.dtype.kind in 'iub' and value.dtype != np.uint64:
            self._limbs = _from_int64(value.astype(np.int64))
        else:
            # A copy where the values are reduced: MPyC would reduce them in the caller's array.
            super().__init__(value, check, copy or check)

    @classmethod
    def of(cls, limbs: np.ndarray) -> 'ShareArray':
        """The array of field elements (..., 2)."""
        out = cls.__new__(cls)
        out._ints, out._limbs = None, limbs
        return out

    @property
    def value(self) -> np.ndarray:
        """The elements as Python integers, writable."""
        if self._ints is None:
            ints = np.empty(self._limbs.shape[:-1], object)
            ints[...] = field.to_ints(self._limbs)
            self._ints, self._limbs = ints, None
        return self._ints

    @value.setter
    def value(self, ints):
        self._ints, self._limbs = ints, None

    @property
    def limbs(self) -> np.ndarray:
        """The elements as limbs (..., 2); not to be written to."""
        if self._limbs is None:
            self._limbs, self._ints = from_ints(self._ints), None
        return self._limbs

    @property
    def shape(self):
        """Shape of the array of elements."""
        return self._ints.shape if self._limbs is None else self._limbs.shape[:-1]

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
            raise TypeError('len() of unsized object')
        return self.shape[0]

    # --- arithmetic; what is not here goes by MPyC's own way, over integers ---

    def _with(self, other, kernel):
        operand = _operand(other)
        return NotImplemented if operand is None else ShareArray.of(kernel(self.limbs, operand))

    def __add__(self, other):
        return self._with(other, field.add)

    __radd__ = __add__

    def __sub__(self, other):
        return self._with(other, field.sub)

    def __rsub__(self, other):
        return self._with(other, lambda x, y: field.sub(y, x))

    def __mul__(self, other):
        return self._with(other, field.mul)

    __rmul__ = __mul__

    def __neg__(self):
        return ShareArray.of(field.neg(self.limbs))

    def __pos__(self):
        return ShareArray.of(self.limbs)

    def __lshift__(self, other):
        if isinstance(other, (int, np.integer)):
            return ShareArray.of(field.affine(self.limbs, pow(2, int(other), P)))
        return super().__lshift__(other)

    def __rshift__(self, other):
        if isinstance(other, (int, np.integer)):
            return ShareArray.of(field.affine(self.limbs, pow(2, -int(other), P)))
        return super().__rshift__(other)

    def __matmul__(self, other):
        return self._with_matrix(other, lambda x, y: (x, y))

    def __rmatmul__(self, other):
        return self._with_matrix(other, lambda x, y: (y, x))

    def _with_matrix(self, other, order):
        operand = _operand(other)
        if operand is None:
            return NotImplemented
        return scalar_or_array(matrix_product(*order(self.limbs, operand)))

    def signed_(self):
        """Python integers between -p/2 and p/2, dtype object."""
        ints = self.value
        out = np.empty(ints.shape, object)
        out[...] = np.where(ints > P >> 1, ints - P, ints)
        return out

    # --- structure ---

    def _moved(self, fn):
        moved = fn(self.limbs.view(_ELEMENT)[..., 0])
        if isinstance(moved, np.ndarray):
            return ShareArray.of(moved[..., None].view(np.uint64))
        return scalar_or_array(np.frombuffer(moved.tobytes(), np.uint64))

    def __getitem__(self, key):
        return self._moved(lambda a: a[key])

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __setitem__(self, key, value):
        limbs = self.limbs.copy()
        target = limbs.view(_ELEMENT)[..., 0]
        value = value if isinstance(value, (ShareArray, FIELD)) else ShareArray(np.asarray(value))
        fresh = np.ascontiguousarray(_operand(value)).view(_ELEMENT)[..., 0]
        # Elements take NumPy's word for what fits: it would repeat where MPyC refuses.
        np.empty(self.shape, np.int8)[key] = np.empty(fresh.shape, np.int8)
        target[key] = fresh
        self._limbs = limbs

    def reshape(self, *args, **kwargs):
        """As ndarray.reshape."""
        return self._moved(lambda a: a.reshape(*args, **kwargs))

    def flatten(self, *args, **kwargs):
        """As ndarray.flatten."""
        return self._moved(lambda a: a.flatten(*args, **kwargs))

    ravel = flatten

    def copy(self, *args, **kwargs):
        """As ndarray.copy."""
        return self._moved(lambda a: a.copy(*args, **kwargs))

    def transpose(self, *axes):
        """As ndarray.transpose."""
        return self._moved(lambda a: a.transpose(*axes))

    def swapaxes(self, axis1, axis2):
        """As ndarray.swapaxes."""
        return self._moved(lambda a: a.swapaxes(axis1, axis2))

    def __array_function__(self, func, types, args, kwargs):
        """NumPy's functions: moves and sums on limbs, the others as MPyC does them."""
        if any(issubclass(t, asyncoro.SecureObject) for t in types):
            return NotImplemented  # secret arrays among the arguments: theirs is the function
        name = func.__name__
        if name == 'sum' and not set(kwargs) - {'axis', 'keepdims', 'initial'} and len(args) == 1:
            return _total(args[0], **kwargs)
        if name == 'cumsum' and len(args) == 1 and not set(kwargs) - {'axis'}:
            return _running_total(args[0], **kwargs)
        if name in _STRUCTURAL:
            return _moved_by(func, args, kwargs)
        # Not through super(): an element of the field passes itself as `self`.
        return finfields.PrimeFieldArray.__array_function__(self, func, types, args, kwargs)


FIELD.array = ShareArray


def scalar_or_array(limbs: np.ndarray):
    """A field element for limbs of one element, else a ShareArray."""
    if limbs.ndim == 1:
        return FIELD(int(limbs[0]) | int(limbs[1]) << 64)
    return ShareArray.of(limbs)


def shares_of(x) -> np.ndarray:
    """Limbs (..., 2) of a ShareArray, an element, or public integers."""
    limbs = _operand(x)
    if limbs is None:
        raise TypeError(f'cannot compute with a {type(x).__name__} and shares')
    return limbs


def matrix_product(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Limbs of x @ y with the shapes of NumPy's matmul."""
    rows = x[None] if x.ndim == 2 else x
    columns = y[:, None] if y.ndim == 2 else y
    if x.ndim < 2 or y.ndim < 2 or rows.shape[-2] != columns.shape[-3]:
        raise ValueError(f'matrix product of shapes {x.shape[:-1]} and {y.shape[:-1]}')
    out = field.matmul(np.ascontiguousarray(rows), np.ascontiguousarray(columns))
    if y.ndim == 2:
        out = out[..., 0, :]
    return out[..., 0, :] if x.ndim == 2 and y.ndim == 2 else out[..., 0, :, :] if x.ndim == 2 \
        else out


def _operand(other) -> np.ndarray | None:
    """Limbs of what can stand beside shares, None for anything else."""
    if isinstance(other, ShareArray):
        return other.limbs
    if isinstance(other, FIELD):
        return field.limbs(other.value)
    if isinstance(other, (int, np.integer, np.bool_)):
        return field.limbs(int(other))
    if isinstance(other, np.ndarray) and (other.dtype.kind in 'iub' or other.dtype == object):
        return ShareArray(other).limbs
    return None


def _from_int64(x: np.ndarray) -> np.ndarray:
    out = np.empty((*x.shape, 2), np.uint64)
    negative = x < 0
    out[..., 0] = x.view(np.uint64) - negative
    out[..., 1] = np.where(negative, np.uint64(P >> 64), np.uint64(0))
    return out


def from_ints(ints: np.ndarray) -> np.ndarray:
    """Limbs of integers in [0, p)."""
    data = b''.join([int(v).to_bytes(16, 'little') for v in ints.ravel().tolist()])
    return np.frombuffer(bytearray(data), np.uint64).reshape(*ints.shape, 2)


def _total(x, axis=None, keepdims=False, initial=0):
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = sorted((a % x.ndim for a in axes), reverse=True)
    limbs = x.limbs
    for a in axes:
        limbs = field.total(limbs, a)
    if keepdims:
        limbs = limbs.reshape(*(1 if a in axes else s for a, s in enumerate(x.shape)), 2)
    initial = initial.value if isinstance(initial, FIELD) else initial
    return scalar_or_array(field.affine(limbs, 1, initial) if initial else limbs)


def _running_total(x, axis=None):
    limbs = x.limbs.reshape(-1, 2) if axis is None or x.ndim == 0 else x.limbs
    axis = 0 if axis is None or x.ndim == 0 else axis % x.ndim
    return ShareArray.of(np.moveaxis(field.cumsum(np.moveaxis(limbs, axis, 0)), 0, axis))


def _moved_by(func, args, kwargs):
    """func on whole elements: every array among the arguments is taken as an array of these."""
    def elements(x, nested=False):
        if isinstance(x, (ShareArray, FIELD)) or (nested and isinstance(x, (np.ndarray, int))):
            return np.ascontiguousarray(shares_of(x)).view(_ELEMENT)[..., 0]
        return [elements(a, True) for a in x] if isinstance(x, (list, tuple)) and \
            any(isinstance(a, (ShareArray, FIELD)) for a in x) else x

    def wrapped(x):
        if isinstance(x, (list, tuple)):
            return [wrapped(a) for a in x]
        return ShareArray.of(np.ascontiguousarray(x)[..., None].view(np.uint64)) if x.ndim else \
            scalar_or_array(np.frombuffer(x.tobytes(), np.uint64))
    values = [elements(a) for a in args]
    if func.__name__ == 'append':
        values[:2] = [elements(a, True) for a in args[:2]]
    return wrapped(func(*values, **kwargs))


# --- which secure types use this field ---

_stock = sectypes._pfield


@functools.wraps(_stock)
def _pfield(l, f, p, n):  # noqa: E741 (MPyC's name)
    """The field of a secure type: the engine's where its masked openings fit.

    MPyC opens x + 2^(l + f - 1) + r with r below 2^(l + f + k), so that l + f + k <= 126 keeps the
    sum below p.
    """
    if n == 2 and p in (None, P) and l + f + sectypes.runtime.options.sec_param <= 126:
        return FIELD
    return _stock(l, f, p, n)


sectypes._pfield = _pfield
