"""What the engine's numeric functions cost, for the formulas of the protocols that use them.

Compositions of the engine's operations (`engine.costs`), in its default mode: rounds, and payload
bytes over all parties for n numbers among m parties with threshold t.
"""

from __future__ import annotations

from engine.costs import Prediction, exponent, product, sequence, signed_exponent, truncate


def log(n: int, m: int, t: int) -> Prediction:
    """A logarithm with fewer than 28 fractional bits."""
    return _rounds(9, sequence(m, exponent(n, m, t), product(13 * n, m, t), truncate(n, m, t)),
                   exponent(n, m, t))


def reciprocal(n: int, m: int, t: int) -> Prediction:
    """A reciprocal."""
    return _rounds(9, sequence(m, signed_exponent(n, m, t), product(15 * n, m, t)),
                   signed_exponent(n, m, t))


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
