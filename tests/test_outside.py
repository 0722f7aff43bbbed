"""Shares for and from parties outside: any t say nothing, all say whether they belong together."""

from __future__ import annotations

import secrets

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import field
from engine.outside import SEED, consistent, dealt, deviating, drawn, opened
from engine.shamir import Geometry, reconstruct

DEPLOYMENTS = [(1, 0), (3, 1), (4, 1), (5, 2), (7, 2)]
VALUES = np.array([0, 1, -1, 2**62, -(2**62), 77])


def shares_of(m, t, values=VALUES):
    seeds = {p: secrets.token_bytes(SEED) for p in range(1, t + 1)}
    found = dealt(field.encode(values, 0), seeds, b"test", Geometry(m, t))
    return found | {p: drawn(seed, b"test", len(values)) for p, seed in seeds.items()}


@pytest.mark.parametrize("m, t", DEPLOYMENTS)
def test_what_is_dealt_opens(m, t):
    shares, g = shares_of(m, t), Geometry(m, t)
    assert sorted(shares) == list(range(m))
    np.testing.assert_array_equal(field.decode_int(opened(shares, g)), VALUES)
    some = dict(sorted(shares.items())[-t - 1:])
    assert [reconstruct({p: int(field.to_ints(s)[1]) for p, s in some.items()})] == [1]
    assert consistent(shares, g).all() and deviating(shares, g) == set()
    with pytest.raises(ValueError, match="seeds, expected"):
        dealt(field.encode(VALUES, 0), {p: bytes(SEED) for p in range(t + 1)}, b"x", g)


def test_seeds_are_of_one_purpose_and_shares_are_random_anew():
    seed = bytes(SEED)
    assert not np.array_equal(drawn(seed, b"one", 5), drawn(seed, b"other", 5))
    first, second = shares_of(4, 1), shares_of(4, 1)
    assert all((first[p] != second[p]).any(-1).all() for p in first)


@settings(max_examples=40)
@given(st.sampled_from([(4, 1), (7, 2), (5, 1)]), st.data())
def test_up_to_t_spoilt_shares_are_noticed_and_named(deployment, data):
    m, t = deployment
    shares, g = shares_of(m, t), Geometry(m, t)
    liars = data.draw(st.sets(st.integers(0, m - 1), min_size=1, max_size=t))
    at = data.draw(st.integers(0, len(VALUES) - 1))
    for p in liars:
        shares[p] = shares[p].copy()
        shares[p][at] = field.add(shares[p][at], field.limbs(data.draw(st.integers(1, 2**126))))
    assert consistent(shares, g).tolist() == [k != at for k in range(len(VALUES))]
    assert opened(shares, g) is None and deviating(shares, g) == liars


def test_fewer_parties_notice_and_cannot_name():
    shares, g = shares_of(3, 1), Geometry(3, 1)
    shares[2] = field.add(shares[2], field.limbs(1))
    assert opened(shares, g) is None and deviating(shares, g) == set()
