"""Shares, and the constants of a deployment."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import field, shamir
from engine.dealing import deal_roles
from engine.field import P
from engine.shamir import Geometry, lagrange, reconstruct

SIZES = [(1, 0), (2, 0), (3, 0), (3, 1), (4, 1), (5, 1), (5, 2), (6, 2), (7, 3)]


def polynomial(coefficients, at):
    return sum(c * at**k for k, c in enumerate(coefficients)) % P


def degree(shares):
    """Degree of the polynomial through {party: share}."""
    points = sorted(shares)
    for d in range(len(points)):
        basis = [i + 1 for i in points[:d + 1]]
        if all(sum(c * shares[i] for c, i in zip(lagrange(basis, j + 1), points, strict=False)) % P
               == shares[j] for j in points):
            return d
    raise AssertionError("no polynomial")


@given(st.lists(st.integers(0, P - 1), min_size=1, max_size=5), st.integers(0, P - 1),
       st.permutations(range(1, 9)))
@settings(max_examples=50)
def test_lagrange_gives_the_polynomial_anywhere(coefficients, at, points):
    points = points[:len(coefficients)]
    weights = lagrange(points, at)
    values = [polynomial(coefficients, x) for x in points]
    assert sum(w * v for w, v in zip(weights, values, strict=True)) % P \
        == polynomial(coefficients, at)


@pytest.mark.parametrize("m, t", SIZES)
def test_any_t_plus_1_shares_reconstruct(m, t):
    for secret in (0, 1, P - 1, 12345678901234567890):
        shares = dict(enumerate(shamir.share(secret, Geometry(m, t))))
        assert degree(shares) <= t
        for some in itertools.combinations(shares, t + 1):
            assert reconstruct({i: shares[i] for i in some}) == secret


def test_fewer_shares_say_nothing():
    """t shares fit every secret: the missing share can always be made up."""
    g = Geometry(5, 2)
    shares = shamir.share(42, g)
    for secret in (0, 7, P - 1):
        # The polynomial through (0, secret) and the two known shares exists and has degree 2.
        points = [0, 1, 2]
        third = sum(c * v for c, v in zip(lagrange(points, 3), [secret, *shares[:2]],
                                          strict=True)) % P
        assert reconstruct({0: shares[0], 1: shares[1], 2: third}) == secret


@pytest.mark.parametrize("m, t", [(0, 0), (2, 1), (4, 2), (3, -1)])
def test_impossible_thresholds_are_refused(m, t):
    with pytest.raises(ValueError, match="expected 0 <= 2t < m"):
        Geometry(m, t)


@pytest.mark.parametrize("m, t", SIZES)
def test_set_polynomials(m, t):
    g = Geometry(m, t)
    assert len(g.sets) == len(set(g.sets)) and all(len(s) == m - t for s in g.sets)
    for k, members in enumerate(g.sets):
        values = {i: g.set_value(k, i) for i in range(m)}
        assert [i for i in values if values[i]] == list(members)
        assert degree(values) <= t and reconstruct(values) == 1
    for i in range(m):
        assert [g.sets[k] for k in g.sets_of(i)] == [s for s in g.sets if i in s]


@pytest.mark.parametrize("m, t", SIZES)
def test_masks_never_wrap(m, t):
    """The sum of all bounded masks, plus what they hide, stays below p; 40 bits are spare."""
    g = Geometry(m, t)
    assert len(g.sets) * (2**g.mask_bits - 1) + 2**g.product_bits < P
    assert g.mask_bits - g.product_bits >= shamir.STATISTICAL_SECURITY
    assert g.mask_bits - 64 >= shamir.STATISTICAL_SECURITY


@pytest.mark.parametrize("m, t", SIZES)
@pytest.mark.parametrize("rotation", range(4))
def test_active_groups(m, t, rotation):
    g = Geometry(m, t)
    group = g.active_group(rotation)
    assert len(set(group)) == g.active >= 2 * t + 1 and group[0] == rotation % m
    outside = set(range(m)) - set(group)
    assert len(outside) <= t
    carrier = {i: g.carrier(group, i) for i in range(m)}
    assert degree(carrier) <= t and reconstruct(carrier) == 1
    assert {i for i in range(m) if carrier[i] == 0} == outside
    covering = g.covering_sets(group)
    assert len(covering) == len(set(covering))
    inside = {frozenset(g.sets[k]) & frozenset(group) for k in covering}
    assert inside == {frozenset(s) for s in itertools.combinations(group, len(group) - t)}
    weights = field.to_ints(g.recombination(group[:t + 1]))
    assert weights.tolist() == lagrange([i + 1 for i in group[:t + 1]], 0)


@pytest.mark.parametrize("m, t", SIZES)
def test_no_t_parties_see_every_order_of_a_shuffle(m, t):
    groups = Geometry(m, t).shuffle_groups()
    assert all(len(set(g)) == t + 1 for g in groups)
    for corrupt in itertools.combinations(range(m), t):
        assert any(not set(corrupt) & set(group) for group in groups)


@pytest.mark.parametrize("m, t", SIZES)
def test_roles_of_a_deal(m, t):
    g = Geometry(m, t)
    seen = np.zeros(m, int)
    for owner, rotation in itertools.product(range(m), range(m * (m - 1))):
        seeded, sent = deal_roles(g, owner, rotation)
        assert len(seeded) == t
        assert sorted([owner, *seeded, *sent]) == list(range(m))
        seen[sent] += 1
    assert len(set(seen)) == 1, "the load is even"
