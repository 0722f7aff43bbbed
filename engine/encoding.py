"""Numbers as field elements and back: the fixed-point encoding.

A fixed-point number is the integer round(value * 2^frac); a signed integer x with |x| < 2^126 is
the element x mod p. Overflow is an error, never silent.
"""

import numbers

import numpy as np

P = (1 << 127) - 1
_MASK64 = (1 << 64) - 1
_HI_P = np.uint64(P >> 64)
_SIGN = np.uint64(1 << 62)


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


def public(values) -> np.ndarray:
    """Public values as an array; objects of which some are no integers become floats."""
    x = np.asarray(values)
    if x.dtype == object and all(isinstance(v, numbers.Real) for v in x.ravel()) \
            and not all(isinstance(v, numbers.Integral) for v in x.ravel()):
        return x.astype(np.float64)
    return x


def encode(values, frac: int, bits: int = 64) -> np.ndarray:
    """Field elements of numbers in fixed point with `frac` fractional bits.

    Integers and booleans are exact; floats are rounded to the nearest multiple of 2^-frac.
    Raises OverflowError where the magnitude reaches 2^(bits-1), ValueError for NaN or infinity.
    """
    x = np.asarray(values)
    if x.dtype == object:
        if not all(isinstance(v, numbers.Real) for v in x.ravel()):
            raise TypeError('encode: expected numbers, got objects of other types')
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
