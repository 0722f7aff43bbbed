"""Arrays over the field of p = 2^127 - 1 elements: kernels, encoding and decoding.

An array of n elements is a C-contiguous ``uint64`` array of shape (n..., 2), low limb first, every
element canonical (below p). The kernels are compiled by Numba without the interpreter lock, so a
worker thread can run them while the event loop keeps frames moving. `engine.field_reference` holds
the same operations over Python integers; the tests compare the two.

Signed numbers are embedded as x mod p with |x| < 2^126. A fixed-point number is the integer
round(value * 2^frac).
"""

import numpy as np
from numba import njit, uint64

from engine.i128 import f_add, f_canonical, f_mul, f_sub, mac, reduce3
from engine.matmul import matmul

__all__ = ['P', 'add', 'add_masks', 'affine', 'broadcast', 'broadcast_to', 'combine', 'cumsum',
           'decode_float', 'decode_int', 'encode', 'limbs', 'matmul', 'mul', 'neg', 'sub', 'table',
           'to_ints', 'total', 'uniform', 'unmask']

P = (1 << 127) - 1
_MASK64 = (1 << 64) - 1
_HI_P = np.uint64(P >> 64)
_LO_P = np.uint64(P & ((1 << 64) - 1))
_SIGN = np.uint64(1 << 62)
_ZERO = uint64(0)


def _jit(*args, **kwargs):
    return njit(*args, cache=True, nogil=True, boundscheck=False, **kwargs)


def limbs(value: int) -> np.ndarray:
    """The field element of a Python integer (reduced mod p), shape (2,)."""
    value %= P
    return np.array([value & _MASK64, value >> 64], dtype=np.uint64)


def table(values) -> np.ndarray:
    """Field elements of several Python integers, shape (k, 2)."""
    return np.array([limbs(v) for v in values], dtype=np.uint64).reshape(-1, 2)


def to_ints(x: np.ndarray) -> np.ndarray:
    """Canonical values as an object array of Python integers, shape x.shape[:-1]."""
    return x[..., 0].astype(object) + (x[..., 1].astype(object) << 64)


# --- element-wise kernels over flat (n, 2) arrays ---

@_jit()
def _add(x, y, out):
    for i in range(x.shape[0]):
        out[i, 0], out[i, 1] = f_add(x[i, 0], x[i, 1], y[i, 0], y[i, 1])


@_jit()
def _sub(x, y, out):
    for i in range(x.shape[0]):
        out[i, 0], out[i, 1] = f_sub(x[i, 0], x[i, 1], y[i, 0], y[i, 1])


@_jit()
def _mul(x, y, out):
    for i in range(x.shape[0]):
        out[i, 0], out[i, 1] = f_mul(x[i, 0], x[i, 1], y[i, 0], y[i, 1])


@_jit()
def _affine(x, a, b, out):
    for i in range(x.shape[0]):
        lo, hi = f_mul(x[i, 0], x[i, 1], a[0], a[1])
        out[i, 0], out[i, 1] = f_add(lo, hi, b[0], b[1])


def _flat(x):
    # Kernels are compiled for writable contiguous arrays; a read-only view would compile anew.
    if not x.flags.carray:
        x = np.require(x, requirements='CW')
    return x.reshape(-1, 2)


def stack(arrays) -> np.ndarray:
    """Arrays of one shape along a new first axis."""
    out = np.empty((len(arrays), *arrays[0].shape), arrays[0].dtype)
    for k, x in enumerate(arrays):
        out[k] = x
    return out


def _binary(kernel, x, y):
    if x.shape != y.shape:
        x, y = broadcast(x, y)
    out = np.empty(x.shape, dtype=np.uint64)
    kernel(_flat(x), _flat(y), out.reshape(-1, 2))
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
    return _binary(_add, x, y)


def sub(x, y):
    """x - y, broadcasting."""
    return _binary(_sub, x, y)


def mul(x, y):
    """x * y, broadcasting."""
    return _binary(_mul, x, y)


def affine(x, a: int, b: int = 0):
    """a * x + b for public integers a and b."""
    out = np.empty(x.shape, dtype=np.uint64)
    _affine(_flat(x), limbs(a), limbs(b), out.reshape(-1, 2))
    return out


def neg(x):
    """-x."""
    return affine(x, -1)


@_jit()
def _combine(stack, coefs, out):
    for i in range(stack.shape[1]):
        a0 = a1 = a2 = _ZERO
        for j in range(stack.shape[0]):
            a0, a1, a2 = mac(
                    a0, a1, a2, stack[j, i, 0], stack[j, i, 1], coefs[j, 0], coefs[j, 1])
        out[i, 0], out[i, 1] = reduce3(a0, a1, a2)


def combine(stack, coefs):
    """Sum over j of coefs[j] * stack[j]: stack (k, n, 2), coefs (k, 2), result (n, 2)."""
    out = np.empty(stack.shape[1:], dtype=np.uint64)
    _combine(stack, coefs, out)
    return out


@_jit()
def _sum_axis(x, out):
    for i in range(x.shape[0]):
        for j in range(x.shape[2]):
            s0 = s1 = s2 = _ZERO
            for k in range(x.shape[1]):
                lo = x[i, k, j, 0]
                s0 += lo
                carry = uint64(s0 < lo)
                hi = x[i, k, j, 1]
                s1 += carry
                s2 += uint64(s1 < carry)
                s1 += hi
                s2 += uint64(s1 < hi)
            out[i, j, 0], out[i, j, 1] = reduce3(s0, s1, s2)


def total(x, axis=None):
    """Sum of elements over one axis (or all)."""
    if axis is None:
        x, axis = x.reshape(-1, 2), 0
    axis %= x.ndim - 1
    shape = x.shape[:axis] + x.shape[axis + 1:]
    lead, tail = int(np.prod(x.shape[:axis])), int(np.prod(x.shape[axis + 1:-1]))
    x = np.ascontiguousarray(x).reshape(lead, x.shape[axis], tail, 2)
    out = np.empty((lead, tail, 2), dtype=np.uint64)
    _sum_axis(x, out)
    return out.reshape(shape)


@_jit()
def _cumsum(x, out):
    for j in range(x.shape[1]):
        lo = hi = _ZERO
        for i in range(x.shape[0]):
            lo, hi = f_add(lo, hi, x[i, j, 0], x[i, j, 1])
            out[i, j, 0] = lo
            out[i, j, 1] = hi


def cumsum(x):
    """Running sums along the first axis."""
    out = np.empty(x.shape, dtype=np.uint64)
    columns = (x.shape[0], int(np.prod(x.shape[1:-1])), 2)
    _cumsum(np.require(x, requirements='CW').reshape(columns), out.reshape(columns))
    return out


# --- masks of the one-round multiplication (design 3.2, 3.3) ---

@_jit()
def _add_masks(z, offset, draws, coefs, period, top, out):
    """out = z + offset + sum_j coefs[j] * draws[j]; every `period`-th draw is cut to `top`."""
    for i in range(z.shape[0]):
        a0, a1 = f_add(z[i, 0], z[i, 1], offset[0], offset[1])
        a2 = _ZERO
        for j in range(draws.shape[0]):
            lo, hi = draws[j, i, 0], draws[j, i, 1]
            hi &= top if j % period == 0 else uint64(0x7fffffffffffffff)
            a0, a1, a2 = mac(a0, a1, a2, lo, hi, coefs[j, 0], coefs[j, 1])
        out[i, 0], out[i, 1] = reduce3(a0, a1, a2)


def add_masks(z, offset, draws, coefs, period: int, bits: int):
    """z + offset + Σ coefs[j]·draws[j], where draws (k, n, 2) are raw pseudorandom limbs.

    Draws 0, period, 2·period, ... are cut to `bits` bits, the others to 127.
    """
    out = np.empty_like(z)
    _add_masks(z, offset, draws, coefs, period, np.uint64((1 << (bits - 64)) - 1), out)
    return out


@_jit()
def _unmask(stack, lagrange, h, offset, draws, coefs, period, shift, top, out):
    """out = h * ((Σ lagrange_j stack_j) >> shift) + offset + Σ coefs_j (draws_(j·period) >> shift).
    """
    left = uint64(64) - shift
    for i in range(out.shape[0]):
        lo, hi = _ZERO, _ZERO
        if stack.shape[0] > 0:
            a0 = a1 = a2 = _ZERO
            for j in range(stack.shape[0]):
                a0, a1, a2 = mac(
                    a0, a1, a2, stack[j, i, 0], stack[j, i, 1], lagrange[j, 0], lagrange[j, 1])
            lo, hi = reduce3(a0, a1, a2)
            if shift > 0:
                lo = (lo >> shift) | (hi << left)
                hi = hi >> shift
            lo, hi = f_mul(lo, hi, h[0], h[1])
        a0, a1, a2 = offset[0], offset[1], _ZERO
        for j in range(coefs.shape[0]):
            dl, dh = draws[j * period, i, 0], draws[j * period, i, 1] & top
            if shift > 0:
                dl = (dl >> shift) | (dh << left)
                dh = dh >> shift
            a0, a1, a2 = mac(a0, a1, a2, dl, dh, coefs[j, 0], coefs[j, 1])
        rl, rh = reduce3(a0, a1, a2)
        out[i, 0], out[i, 1] = f_add(lo, hi, rl, rh)


def unmask(stack, lagrange, h, offset, draws, coefs, period: int, shift: int, bits: int):
    """Share of the (truncated) value from the opened masked shares and this party's masks.

    stack (s, n, 2) holds the masked shares received (s = 0 where this party receives none),
    every `period`-th of `draws` is a bounded mask, `coefs` are the negated values of f_A at this
    party, `shift` < 64 the bits to drop.
    """
    out = np.empty(draws.shape[1:] if draws.size else stack.shape[1:], dtype=np.uint64)
    _unmask(stack, lagrange, h, offset, draws, coefs, period, np.uint64(shift),
            np.uint64((1 << (bits - 64)) - 1), out)
    return out


@_jit()
def _uniform(x):
    for i in range(x.shape[0]):
        x[i, 0], x[i, 1] = f_canonical(x[i, 0], x[i, 1] & uint64(0x7fffffffffffffff))


def uniform(raw):
    """Field elements from uniformly random 128-bit limbs, in place: the top bit is dropped."""
    _uniform(raw.reshape(-1, 2))
    return raw


def canonical(x) -> bool:
    """Whether all limbs are those of field elements, that is below p."""
    if x.size == 0 or x[..., 1].max() < _HI_P:
        return True
    return not ((x[..., 1] > _HI_P) | ((x[..., 1] == _HI_P) & (x[..., 0] == _LO_P))).any()


# --- encoding ---

def encode(values, frac: int, bits: int = 64) -> np.ndarray:
    """Field elements of numbers in fixed point with `frac` fractional bits.

    Integers and booleans are exact; floats are rounded to the nearest multiple of 2^-frac.
    Raises OverflowError where the magnitude reaches 2^(bits-1), ValueError for NaN or infinity.
    """
    x = np.asarray(values)
    if x.dtype == object:
        scaled = np.array([round(v * (1 << frac)) for v in x.ravel()], dtype=object)
        if any(abs(v) >> (bits - 1) for v in scaled):
            raise OverflowError(_overflow(frac, bits))
        return table(scaled).reshape(*x.shape, 2)
    if x.dtype.kind == 'b':
        x = x.astype(np.int64)
    if x.dtype.kind in 'iu':
        limit = 1 << (bits - 1 - frac)
        if x.size and (int(x.max()) >= limit or int(x.min()) <= -limit):
            raise OverflowError(_overflow(frac, bits))
        v = x.astype(np.int64) << frac
    elif x.dtype.kind != 'f':
        raise TypeError(f'encode: expected numbers, got an array of {x.dtype}')
    else:
        if not np.isfinite(x).all():
            raise ValueError('encode: expected finite numbers, got NaN or infinity; '
                             'give missing values their own bin or an explicit code')
        v = np.rint(np.ldexp(x.astype(np.float64), frac))
        if x.size and np.abs(v).max() >= 2.0 ** (bits - 1):
            raise OverflowError(_overflow(frac, bits))
        v = v.astype(np.int64)
    out = np.empty((*v.shape, 2), dtype=np.uint64)
    negative = v < 0
    out[..., 0] = v.view(np.uint64) - negative
    out[..., 1] = np.where(negative, _HI_P, np.uint64(0))
    return out


def _overflow(frac, bits):
    return (f'encode: a value is outside the fixed-point range; expected magnitude below '
            f'2^{bits - 1 - frac} for {frac} fractional bits of {bits}; rescale the data')


def _split_sign(x):
    negative = x[..., 1] >= _SIGN
    lo = np.where(negative, ~x[..., 0], x[..., 0])
    hi = np.where(negative, _HI_P - x[..., 1], x[..., 1])
    return negative, lo, hi


def decode_float(x, frac: int) -> np.ndarray:
    """Signed fixed-point values as float64 (exact up to 53 significant bits)."""
    negative, lo, hi = _split_sign(x)
    v = np.ldexp(hi.astype(np.float64), 64 - frac) + np.ldexp(lo.astype(np.float64), -frac)
    return np.where(negative, -v, v)


def decode_int(x) -> np.ndarray:
    """Signed integers as int64; raises OverflowError where one does not fit."""
    negative, lo, hi = _split_sign(x)
    if (hi != 0).any() or (lo >> np.uint64(63)).any():
        raise OverflowError('output: an integer result needs more than 63 bits; '
                            'open it with raw=True for Python integers')
    v = lo.view(np.int64) if lo.flags.c_contiguous else lo.astype(np.int64)
    return np.where(negative, -v, v)
