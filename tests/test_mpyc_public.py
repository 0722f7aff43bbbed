"""MPyC's secure arrays of public numbers are those that MPyC's own constructors make."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from mpyc_kit import run_mpyc

from engine import mpyc_public
from engine._mpyc import sectypes

SHAPES = nps.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
NUMBERS = st.one_of(*[
    nps.arrays(dtype, SHAPES) for dtype in (np.int8, np.int64, np.uint32, np.uint64, bool)], *[
    nps.arrays(dtype, SHAPES, elements=nps.from_dtype(np.dtype(dtype)))
    for dtype in (np.float32, np.float64)], nps.arrays(
    np.float64, SHAPES, elements=st.integers(-2**20, 2**20).map(lambda k: k / 32)))


def made(constructor, stype, values, **more):
    """(integers, shape, integral) of an array, or the type of the error."""
    array = stype.__new__(stype)
    try:
        constructor(array, values.copy(), **more)
    except (TypeError, ValueError, OverflowError) as exc:
        return type(exc)
    return (array.share.value.tolist(), array.shape, getattr(array, "integral", None))


@given(NUMBERS, st.sampled_from([(16, 4), (32, 16), (64, 32)]), st.sampled_from([None, False]))
def test_arrays_of_fractions(values, lengths, integral):
    async def program(mpc):
        stype = mpc.SecFxp(*lengths).array
        with np.errstate(all="ignore"):
            ours, mpycs = (made(constructor, stype, values, integral=integral) for constructor in (
                mpyc_public._array_of_fractions, mpyc_public._fixed_array))
        assert ours == mpycs
    run_mpyc(program, 1)


@given(nps.arrays(np.int64, SHAPES))
def test_arrays_of_integers(values):
    async def program(mpc):
        stype = mpc.SecInt(64).array
        constructor = sectypes.SecureIntegerArray.__init__
        ours = made(constructor, stype, values)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sectypes.SecureArray, "__init__", mpyc_public._any_array)
            assert made(constructor, stype, values) == ours
    run_mpyc(program, 1)


def test_the_callers_array_is_its_own():
    async def program(mpc):
        values = np.array([1.5, 2.0])
        x = mpc.SecFxp(32).array(values)
        whole = np.array([3, 4])
        y = mpc.SecInt(32).array(whole)
        values[0] = whole[0] = 9
        return (await mpc.output(x)).tolist(), (await mpc.output(y)).tolist()
    assert run_mpyc(program, 3) == [([1.5, 2.0], [3, 4])] * 3
