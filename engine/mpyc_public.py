"""MPyC's secure arrays of numbers that the program knows, made without Python integers.

MPyC's constructors turn every element of a NumPy array into a Python integer, those of fixed-point
arrays by a Python call each. Over the engine's field (`engine.mpyc_field`) the numbers become limbs
at once. Operands of `x + a` or `x < a` are made like that, too. Nothing is sent; the numbers are
those that MPyC makes, as are the errors about what is no number.
"""

import numpy as np

from engine._mpyc import asyncoro, sectypes
from engine.mpyc_field import FIELD, ShareArray

_any_array = sectypes.SecureArray.__init__
_fixed_array = sectypes.SecureFixedPointArray.__init__


def replace_constructors() -> None:
    """From now on MPyC's arrays are made here."""
    sectypes.SecureArray.__init__ = _array
    sectypes.SecureFixedPointArray.__init__ = _array_of_fractions


def _array(self, value=None, shape=None):
    """SecureArray(value, shape): a ShareArray is taken as it is."""
    if isinstance(value, ShareArray):
        self.shape = value.shape
        asyncoro.SecureObject.__init__(self, value)
    else:
        _any_array(self, value, shape)


def _array_of_fractions(self, value=None, shape=None, integral=None):
    """SecureFixedPointArray(value, shape, integral)."""
    if isinstance(value, np.ndarray) and self.sectype.field is FIELD:
        units = units_of(value, self.frac_length)
        if units is not None:
            if integral is None:
                integral = value.dtype.kind != 'f' or bool((np.floor(value) == value).all())
            value = ShareArray(units)
    _fixed_array(self, value, shape, integral)


def units_of(values, frac):
    """Numbers as int64 units of 2^-frac; None where they have no room there, or are no numbers."""
    if not values.size or values.dtype.kind not in 'iuf':
        return None
    if values.dtype.kind != 'f':
        room = 1 << (63 - frac) if frac < 63 else 0
        fits = -room < int(values.min()) and int(values.max()) < room
        return np.asarray(values.astype(np.int64) << frac) if fits else None
    units = values * (1 << frac)
    return np.asarray(np.rint(units), np.int64) if np.abs(units).max() < 2.0**62 else None
