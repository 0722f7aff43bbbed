"""Shares for and from parties outside of the computation.

An input party deals numbers to the compute parties with its own randomness; a receiver outside gets
a share from each of them. Neither takes part in a protocol, so what would be messages and checks
inside (`engine.sharing`, `engine.verified`) is computed here from the shares alone. Sources:
Shamir, CACM 1979; for what a receiver can tell from shares of which t may be wrong: McEliece,
Sarwate, CACM 1981.
"""

import itertools
from collections.abc import Mapping

import numpy as np

from engine import field
from engine.dealing import remaining_shares
from engine.prss import derive, expand
from engine.shamir import Geometry

SEED = 32
"""Bytes of a seed."""

Shares = Mapping[int, np.ndarray]
"""By party: its shares of the same n values, field elements (n, 2)."""


def dealt(values: np.ndarray, seeds: Mapping[int, bytes], purpose: bytes,
          geometry: Geometry) -> dict[int, np.ndarray]:
    """Shares (n, 2) for the parties that have no seed, of elements (n, 2).

    The t parties with a seed of 32 fresh random bytes each draw theirs (`drawn`). Any t parties'
    seeds and shares together are independent of the values.
    """
    if len(seeds) != geometry.t:
        raise ValueError(f'{len(seeds)} seeds, expected {geometry.t}')
    own = {party: drawn(seed, purpose, len(values)) for party, seed in seeds.items()}
    return remaining_shares(values, own, [p for p in range(geometry.m) if p not in seeds])


def drawn(seed: bytes, purpose: bytes, n: int) -> np.ndarray:
    """The n shares (n, 2) that a seed stands for; a purpose gives shares of its own."""
    return field.uniform(expand(derive(seed, purpose, length=16), b'share', 2 * n).reshape(n, 2))


def consistent(shares: Shares, geometry: Geometry) -> np.ndarray:
    """For each of n sharings whether all given shares lie on one polynomial of degree t (bool, n).

    Given the shares of more than 2t parties of which t may be wrong, what does lie on one has the
    value that was shared.
    """
    parties = sorted(shares)
    points, rest = tuple(parties[:geometry.t + 1]), parties[geometry.t + 1:]
    parts = [shares[p] for p in points]
    right = np.ones(len(parts[0]), bool)
    for p in rest:
        implied = field.combine(parts, geometry.recombination(points, p + 1))
        right &= (implied == shares[p]).all(-1)
    return right


def opened(shares: Shares, geometry: Geometry) -> np.ndarray | None:
    """The n values (n, 2), or None where the shares are not those of one sharing."""
    if not consistent(shares, geometry).all():
        return None
    points = tuple(sorted(shares)[:geometry.t + 1])
    return field.combine([shares[p] for p in points], geometry.recombination(points))


def deviating(shares: Shares, geometry: Geometry) -> set[int]:
    """The up to t parties without whose shares the others' are those of one sharing.

    With m >= 3t + 1 there is one such set at most, and these parties lied or their shares were
    spoilt. Empty where there is none, and where fewer parties cannot tell.
    """
    g = geometry
    if g.m >= 3 * g.t + 1:
        for count in range(g.t + 1):
            for left_out in itertools.combinations(sorted(shares), count):
                rest = {p: s for p, s in shares.items() if p not in left_out}
                if consistent(rest, g).all():
                    return set(left_out)
    return set()
