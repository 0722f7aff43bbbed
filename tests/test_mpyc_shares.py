"""The arrays of shares behind MPyC's secure arrays, without any parties: as NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpyc_kit import plain

from engine import field
from engine._mpyc import finfields
from engine.mpyc_field import FIELD, ShareArray, shares_of

A = np.arange(-6, 18).reshape(2, 3, 4)


@pytest.mark.parametrize("fn", [
    lambda a: a + a, lambda a: a - 3, lambda a: 3 - a, lambda a: -a, lambda a: a * a,
    lambda a: a * np.arange(4), lambda a: np.arange(4) + a, lambda a: a << 5, lambda a: a[1],
    lambda a: a[..., 0], lambda a: a[:, [0, 2]], lambda a: a[A > 3], lambda a: a[0, 1, 2],
    lambda a: a[None, ::-1], lambda a: a.reshape(4, 6), lambda a: a.flatten("F"),
    lambda a: a.transpose(2, 0, 1), lambda a: a.T, lambda a: a.swapaxes(0, 2), lambda a: a.copy(),
    lambda a: np.concatenate((a, a), axis=1), lambda a: np.stack((a, a), axis=-1),
    lambda a: np.block([[a[0, 0, 0]]]), lambda a: np.block([a[0], a[1, :, :1]]),
    lambda a: np.vstack((a[0], a[1])), lambda a: np.hstack((a[0], np.ones((3, 1), int))),
    lambda a: np.roll(a, 2, axis=2), lambda a: np.flip(a, axis=0), lambda a: np.rot90(a),
    lambda a: np.expand_dims(a, 1), lambda a: np.squeeze(a[:, :1]), lambda a: np.diag(a[0, :, :3]),
    lambda a: np.diag(a[0, 0]), lambda a: np.diagflat(a[0, 0], 1), lambda a: np.append(a, a[0]),
    lambda a: np.diagonal(a, axis1=0, axis2=1), lambda a: np.sum(a), lambda a: np.sum(a, axis=1),
    lambda a: np.sum(a, axis=(0, 2), keepdims=True), lambda a: np.cumsum(a),
    lambda a: np.cumsum(a, axis=2), lambda a: np.trace(a[0]), lambda a: a[0] @ a[1].T,
    lambda a: a[0, 0] @ a[1].T, lambda a: a @ np.arange(4), lambda a: A @ a[0].T,
    lambda a: a[0, 0] @ a[0, 1], lambda a: a[0] @ np.swapaxes(a, 1, 2),
    lambda a: np.convolve(a[0, 0], a[0, 1]), lambda a: np.outer(a[0, 0], a[0, 1]),
])
@pytest.mark.parametrize("form", ["limbs", "integers"])
def test_share_arrays_do_as_numpy_does(fn, form):
    share = ShareArray(A)
    if form == "integers":
        share.value  # noqa: B018 (reading it changes the form)
    expected = np.asarray(fn(A), dtype=object)
    result = fn(share)
    assert isinstance(result, (ShareArray, FIELD))
    assert np.shape(result.value) == expected.shape and (plain(result) == expected).all()
    # The operand is as it was.
    assert (plain(share) == A).all()


@pytest.mark.parametrize("key, value", [
    (0, 5), ((1, 2, 3), -7), ((slice(None), 0), A[:, 1]), ((..., [0, 2]), 9), (A > 3, 0),
    (0, ShareArray(A[1])), ((0, 0, 0), FIELD(-1))])
def test_updates_change_the_array_and_nothing_else(key, value):
    share, expected = ShareArray(A), A.copy()
    view, before = share[0], share.limbs
    kept = before.copy()
    share[key] = value
    expected[key] = plain(value) if isinstance(value, (ShareArray, FIELD)) else value
    assert (plain(share) == expected).all()
    assert (plain(view) == A[0]).all() and (before == kept).all()


def test_operators_in_place_work_on_either_form():
    share = ShareArray(A)
    share += 3
    share *= 4
    share -= A
    share <<= 2
    assert (plain(share) == ((A + 3) * 4 - A) * 4).all()
    share >>= 2
    assert (plain(share) == (A + 3) * 4 - A).all() and (plain(share**2) == (3 * A + 12)**2).all()
    assert ((share == 0) == (A == -4)).all() and share.tolist()[0][0][0] == FIELD(-6)


def test_updates_of_the_wrong_shape_are_refused():
    share = ShareArray(A)
    with pytest.raises(ValueError, match="broadcast"):
        share[0] = np.arange(5)
    with pytest.raises(IndexError):
        share[9] = 1
    assert (plain(share) == A).all()


@given(st.lists(st.integers(0, field.P - 1), min_size=1, max_size=20))
def test_both_forms_of_shares_hold_the_same_elements(values):
    share = ShareArray(np.array(values, dtype=object))
    limbs = share.limbs
    assert (field.to_ints(limbs) == np.array(values, dtype=object)).all()
    assert share.value.tolist() == values and (shares_of(share) == limbs).all()
    # Python code may write to what it reads; the limbs must not stay behind.
    share.value[0] = 12345
    assert int(field.to_ints(share.limbs)[0]) == 12345


def test_arrays_over_the_field_meet_no_others():
    with pytest.raises(TypeError):
        ShareArray(A) + 0.5
    with pytest.raises(TypeError):
        ShareArray(A) * "x"
    assert finfields.GF(field.P) is not FIELD and FIELD.is_signed
