"""Numbers as field elements and back: the fixed-point encoding.

A fixed-point number is the integer round(value * 2^frac); a signed integer x with |x| < 2^126 is
the element x mod p. Overflow is an error, never silent.
"""

import numbers

import numpy as np

from engine import encoding_kernels as kernels

P = (1 << 127) - 1
_MASK64 = (1 << 64) - 1


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
    out = np.empty((*x.shape, 2), dtype=np.uint64)
    if x.dtype.kind in 'biu':
        limit = (1 << (bits - 1 - frac)) - 1
        if x.dtype == np.uint64 and x.size and int(x.max()) > limit:
            raise OverflowError(_overflow(frac, bits))
        result = kernels.from_ints(_flat(x, np.int64), frac, limit, out.reshape(-1, 2))
    elif x.dtype.kind == 'f':
        result = kernels.from_floats(_flat(x, np.float64), 2.0 ** frac, 2.0 ** (bits - 1),
                                     out.reshape(-1, 2))
    else:
        raise TypeError(f'encode: expected numbers, got an array of {x.dtype}')
    if result == kernels.NOT_FINITE:
        raise ValueError('encode: expected finite numbers, got NaN or infinity; '
                         'give missing values their own bin or an explicit code')
    if result == kernels.TOO_LARGE:
        raise OverflowError(_overflow(frac, bits))
    return out


def _flat(x, dtype):
    # Kernels are compiled for writable contiguous arrays; a read-only view would compile anew.
    return np.require(x, dtype, 'CW').reshape(-1)


def _overflow(frac, bits):
    return (f'encode: a value is outside the fixed-point range; expected magnitude below '
            f'2^{bits - 1 - frac} for {frac} fractional bits of {bits}; rescale the data')


def decode_float(x, frac: int) -> np.ndarray:
    """Signed fixed-point values as float64 (exact up to 53 significant bits)."""
    out = np.empty(x.shape[:-1])
    kernels.to_floats(_flat(x, np.uint64).reshape(-1, 2), 2.0 ** (64 - frac), 2.0 ** -frac,
                      out.reshape(-1))
    return out


def decode_int(x) -> np.ndarray:
    """Signed integers as int64; raises OverflowError where one does not fit."""
    out = np.empty(x.shape[:-1], np.int64)
    if not kernels.to_int64(_flat(x, np.uint64).reshape(-1, 2), out.reshape(-1)):
        raise OverflowError('output: an integer result needs more than 63 bits; '
                            'open it with raw=True for Python integers')
    return out
