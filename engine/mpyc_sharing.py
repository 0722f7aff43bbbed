"""MPyC's sharing of many numbers at once over prime fields, by NumPy and without pickles.

MPyC shares, recombines and serialises arrays by NumPy where it may pickle them, and number by
number where it may not, as here (`engine._mpyc.make_options`). These functions take the place of
the latter: for primes below 2^31 all is done on machine words, for longer ones on Python integers
in NumPy arrays. Shares, bytes and results are those of MPyC's functions; short lists and extension
fields go to these as before.
"""

import os
import secrets

import numpy as np

from engine._mpyc import finfields, thresha

_LEAST = 32
"""Numbers for which arrays are worth making."""
_WORDS = 1 << 31
"""Products of two elements below this fit in an int64."""

_split_each = thresha.random_split
_recombine_each = thresha.recombine
_write_each = finfields.PrimeFieldElement.to_bytes.__func__
_read_each = finfields.PrimeFieldElement.from_bytes.__func__


def replace_functions() -> None:
    """From now on MPyC shares by these functions."""
    thresha.random_split, thresha.recombine = _random_split, _recombine
    finfields.PrimeFieldElement.to_bytes = classmethod(_to_bytes)
    finfields.PrimeFieldElement.from_bytes = classmethod(_from_bytes)


def _dtype(field, numbers):
    """What arrays of field values consist of; None where MPyC is to take them one by one."""
    if not issubclass(field, finfields.PrimeFieldElement) or len(numbers) < _LEAST \
            or isinstance(numbers[0], field):
        return None
    return np.int64 if field.modulus < _WORDS else object


def _random_split(field, s, t, m):
    """Shares of degree t of the numbers s, one list per party."""
    s = s.value if isinstance(s, field.array) else \
        [a.value for a in s] if len(s) and isinstance(s[0], field) else s
    dtype = _dtype(field, s)
    if dtype is None:
        return _split_each(field, s, t, m)
    p, secret = int(field.modulus), np.array(s, dtype)
    coefficients = [_uniform(p, len(s), dtype) for _ in range(t)]
    shares = []
    for x in range(1, m + 1):
        y = np.zeros(len(s), dtype)
        for coefficient in coefficients:
            y = (y + coefficient) * x % p
        shares.append(((y + secret) % p).tolist())
    return shares


def _uniform(p, n, dtype):
    """n numbers below p, exactly uniform."""
    if dtype is object:
        return np.array([secrets.randbelow(p) for _ in range(n)], object)
    last = np.uint64((1 << 64) // p * p - 1)  # of as many words for every number
    words = np.frombuffer(bytearray(os.urandom(8 * n)), np.uint64)
    while (over := words > last).any():
        words[over] = np.frombuffer(os.urandom(8 * int(over.sum())), np.uint64)
    return (words % np.uint64(p)).astype(np.int64)


def _recombine(field, points, x_rs=0):
    """The numbers at x_rs of which the points (party's x, its shares) are shares."""
    xs, shares = zip(*points, strict=True)
    dtype = None if isinstance(x_rs, list) else _dtype(field, shares[0])
    if dtype is None or any(len(share) != len(shares[0]) for share in shares):
        return _recombine_each(field, points, x_rs)
    p, total = int(field.modulus), np.zeros(len(shares[0]), dtype)
    for factor, share in zip(thresha._recombination_vector(field, xs, x_rs), shares, strict=True):
        total = (total + np.array(share, dtype) % p * int(factor)) % p
    return total.tolist()


def _to_bytes(cls, x):
    """The numbers as bytes of the field's length, little-endian."""
    length = cls.byte_length
    if _dtype(cls, x) is np.int64:
        words = np.array(x, '<u8')
        if not words.max() >> (8 * length):
            return words.view(np.uint8).reshape(-1, 8)[:, :length].tobytes()
    return _write_each(cls, x)


def _from_bytes(cls, data):
    """The numbers of such bytes, as a list."""
    length = cls.byte_length
    if length > 4 or len(data) < _LEAST * length or len(data) % length:
        return _read_each(cls, data)
    words = np.zeros((len(data) // length, 8), np.uint8)
    words[:, :length] = np.frombuffer(data, np.uint8).reshape(-1, length)
    return words.view('<u8')[:, 0].tolist()
