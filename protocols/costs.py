"""What the engine's numeric functions cost, for the formulas of the protocols that use them.

Compositions of the engine's operations (`engine.costs`), in its default mode: rounds, and payload
bytes over all parties for n numbers among m parties with threshold t.
"""

from __future__ import annotations

from engine.costs import (
    Prediction,
    exponent,
    less_than,
    product,
    sequence,
    signed_exponent,
    truncate,
)
from engine.shamir import Geometry


def log(n: int, m: int, t: int) -> Prediction:
    """A logarithm with fewer than 28 fractional bits."""
    return _rounds(9, sequence(m, exponent(n, m, t), product(13 * n, m, t), truncate(n, m, t)),
                   exponent(n, m, t))


def reciprocal(n: int, m: int, t: int) -> Prediction:
    """A reciprocal."""
    return _rounds(9, sequence(m, signed_exponent(n, m, t), product(15 * n, m, t)),
                   signed_exponent(n, m, t))


def divide(n: int, m: int, t: int, frac: int = 20) -> Prediction:
    """Integers divided by integers, with so many fractional bits."""
    places = 48 - frac + 47 + 2
    early = places > Geometry(m, t).product_bits - 1
    whole = sequence(m, signed_exponent(n, m, t), product((18 + 2 * early) * n, m, t),
                     truncate(n, m, t), less_than(2 * n, m, t))
    return _rounds(9, whole, signed_exponent(n, m, t))


def rsqrt(n: int, m: int, t: int) -> Prediction:
    """An inverse square root."""
    return _rounds(10, sequence(m, exponent(n, m, t), product(20 * n, m, t)), exponent(n, m, t))


def products(n: int, m: int, t: int, rounds: int = 1) -> Prediction:
    """n products, some of them one after the other."""
    return _rounds(rounds, product(n, m, t), Prediction(0, 0))


def _rounds(more, whole, first):
    return Prediction(first.rounds + more if whole.rounds else 0, whole.total_bytes)


def total(rounds: int, *parts: Prediction) -> Prediction:
    """The bytes of all parts, with the rounds of their longest chain."""
    return Prediction(rounds, sum(p.total_bytes for p in parts))
