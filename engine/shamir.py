"""Shamir secret sharing: the public constants of one deployment, and plain sharing.

Party i (0 <= i < m) holds shares at x = i + 1. `Geometry` gathers every constant that depends only
on (m, t): the sets of the pseudorandom secret sharing, Lagrange coefficients, and the groups that
the protocols address. Sources: Shamir 1979; Cramer, Damgård, Ishai, "Share conversion,
pseudorandom secret-sharing and applications", TCC 2005.
"""

import functools
import itertools
import math
import secrets

import numpy as np

from engine import field
from engine.errors import LocalProtocolError
from engine.field import P

STATISTICAL_SECURITY = 40
"""Every masked opening hides its value up to a statistical distance of 2^-40 or less."""


def lagrange(points, at: int) -> list[int]:
    """Coefficients c_j with f(at) = Σ c_j f(points[j]) for every f of degree < len(points)."""
    result = []
    for j, xj in enumerate(points):
        num = den = 1
        for k, xk in enumerate(points):
            if k != j:
                num, den = num * (at - xk) % P, den * (xj - xk) % P
        result.append(num * pow(den, -1, P) % P)
    return result


def largest_threshold(m: int, verified: bool = False) -> int:
    """The largest threshold that m parties allow.

    Raises LocalProtocolError for verified mode with two or three parties: it would be 0, which
    hides nothing from anybody. (A threshold of 0 can still be asked for by name.)
    """
    if verified and 1 < m < 4:
        raise LocalProtocolError('too-few-parties', f'verified mode with {m} parties',
                                 remedy='run at least 4 parties, or use the default mode')
    return (m - 1) // (3 if verified else 2)


class Geometry:
    """Constants of m parties with threshold t (0 <= t, 2t < m).

    sets      the C(m, t) sets A of m - t parties; each has one PRSS key, known exactly to A
    mask_bits bits of a bounded mask r_A, so that Σ r_A over all sets stays below p
    holders   number of parties that a product's masked values are opened to:
              m - min(t, m - 2t - 1). What they know is turned into shares with a public polynomial
              of degree <= t that vanishes at the others, which therefore need no message (design
              3.3).
    active    number of parties that compute on bits: the holders, in verified mode all
    verified  whether the parties check each other (`engine.verified`); needs m >= 3t + 1
    """

    def __init__(self, m: int, t: int, verified: bool = False):
        if not 0 <= 2 * t < m:
            raise ValueError(f'threshold {t} with {m} parties: expected 0 <= 2t < m')
        if verified and m < 3 * t + 1:
            raise ValueError(f'verified mode with {m} parties and threshold {t}: expected at least '
                             f'{3 * t + 1} parties, or a lower threshold')
        if verified and m > 8:
            # The number of intersections of two sets is part of a frame's tag (`verified_bits`).
            raise ValueError(f'verified mode with {m} parties: expected at most 8')
        self.m, self.t, self.verified = m, t, verified
        self.sets = list(itertools.combinations(range(m), m - t))
        self.mask_bits = 127 - math.ceil(math.log2(len(self.sets) + 1))
        self.product_bits = self.mask_bits - STATISTICAL_SECURITY
        self.holders = m - min(t, m - 2 * t - 1)
        self.active = m if verified else self.holders

    @functools.cache
    def set_value(self, index: int, pid: int) -> int:
        """f_A(x_pid): the degree-t polynomial that is 1 at 0 and 0 at every party outside A."""
        if pid not in self.sets[index]:
            return 0
        outside = [j + 1 for j in range(self.m) if j not in self.sets[index]]
        return lagrange([0, *outside], pid + 1)[0]

    def sets_of(self, pid: int) -> list[int]:
        """Indices of the sets that contain a party."""
        return [k for k, s in enumerate(self.sets) if pid in s]

    @functools.cache
    def active_group(self, rotation: int) -> tuple[int, ...]:
        """The active parties of an operation, rotated by its number for even load."""
        return tuple((rotation + k) % self.m for k in range(self.active))

    @functools.cache
    def holding_group(self, rotation: int) -> tuple[int, ...]:
        """The holders of an operation's masked values, rotated likewise."""
        return self.active_group(rotation)[:self.holders]

    @functools.cache
    def carrier(self, group: tuple[int, ...], pid: int) -> int:
        """h(x_pid): h has degree <= t, h(0) = 1, and vanishes at the parties outside `group`."""
        outside = [j + 1 for j in range(self.m) if j not in group]
        return lagrange([0, *outside], pid + 1)[0]

    @functools.cache
    def recombination(self, group: tuple[int, ...], at: int = 0) -> np.ndarray:
        """Lagrange coefficients from the shares of `group` to the point `at`, as elements."""
        return field.table(lagrange([j + 1 for j in group], at))

    @functools.cache
    def reading(self, degree: int) -> np.ndarray:
        """A matrix (m - degree, m, 2) of elements. Of the shares of all parties its first row makes
        the value, and the others make zeros where one polynomial of that degree fits them all."""
        points, m = tuple(range(degree + 1)), self.m
        rows = np.zeros((m - degree, m, 2), np.uint64)
        for row, at in enumerate([0, *range(degree + 2, m + 1)]):
            rows[row, :degree + 1] = self.recombination(points, at)
            if at:
                rows[row, at - 1] = field.table([-1])
        return rows

    @functools.cache
    def shuffle_groups(self) -> list[tuple[int, ...]]:
        """Groups of t + 1 parties such that every t parties are disjoint from at least one.

        Disjoint groups while they fit (two pairs for m = 4, t = 1), otherwise a greedy cover.
        """
        t, m = self.t, self.m
        if m >= (t + 1) ** 2:
            return [tuple(range(k * (t + 1), (k + 1) * (t + 1))) for k in range(t + 1)]
        missing, groups = set(itertools.combinations(range(m), t)), []
        while missing:
            best = max(itertools.combinations(range(m), t + 1),
                       key=lambda g: sum(set(g).isdisjoint(s) for s in missing))
            missing = {s for s in missing if not set(best).isdisjoint(s)}
            groups.append(best)
        return groups

    @functools.cache
    def joint_groups(self) -> list[tuple[int, ...]]:
        """Groups of t + 1 parties such that every PRSS set contains one of them.

        What a group knows is known to at least one honest party, and what a set knows is known to
        a group. Two pairs for m = 4, t = 1; a greedy cover in general.
        """
        missing, groups = set(self.sets), []
        while missing:
            best = max(itertools.combinations(range(self.m), self.t + 1),
                       key=lambda g: sum(set(g) <= set(s) for s in missing))
            missing = {s for s in missing if not set(best) <= set(s)}
            groups.append(best)
        return groups

    def covering_sets(self, group: tuple[int, ...]) -> list[int]:
        """One PRSS set per (|group| - t)-subset of an active group: subset plus all outsiders."""
        outside = tuple(j for j in range(self.m) if j not in group)
        subsets = itertools.combinations(sorted(group), len(group) - self.t)
        return [self.sets.index(tuple(sorted(s + outside))) for s in subsets]


def share(secret: int, geometry: Geometry) -> list[int]:
    """Fresh shares of one secret for all parties (plain reference implementation)."""
    coefs = [secret] + [secrets.randbelow(P) for _ in range(geometry.t)]
    return [sum(c * (i + 1) ** k for k, c in enumerate(coefs)) % P for i in range(geometry.m)]


def reconstruct(shares: dict[int, int]) -> int:
    """Secret from the shares {party: value} of more than t parties."""
    coefs = lagrange([i + 1 for i in shares], 0)
    return sum(c * s for c, s in zip(coefs, shares.values(), strict=True)) % P
