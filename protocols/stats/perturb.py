"""Rounding and noise on shares: what is added to a figure before it opens.

Noise is drawn by all parties together; no t of them know it. A geometric variable's binary digits
are independent (Dwork et al., EUROCRYPT 2006, section 3.1), so a discrete Laplace variable is the
difference of two numbers whose digits are coins of public bias. A discrete Gaussian (Canonne,
Kamath, Steinke, NeurIPS 2020) is drawn by inversion: a uniform number is compared with the public
distribution function. Coins are exact to 2^-40 and the function to 2^-60, but for what lies beyond
eight standard deviations (2^-49), which is not drawn. Both are computed in decimals, not in floats:
to a comparison with a public number all parties must bring the same one, on whatever machine.

What is protected is a row: one line of an institution's file, added or taken away. It is in one
cell, where it changes a count by at most 1 and an amount by less than 2^bits of its measure, which
the checks of what institutions share enforce. Whoever has k rows (a company, or a loan in k
periods) is protected by k times epsilon (Dwork, Roth, "The Algorithmic Foundations of Differential
Privacy", 2014, theorem 2.2), or k^2 times rho (Bun, Steinke, TCC 2016, proposition 1.9).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction

import numpy as np

from engine import costs
from engine.array import SecureArray

_COIN_BITS = 40
_UNIFORM_BITS = 60
_LARGEST_SIGMA = 71
_MOST_DIGITS = 56
_EXACT = Context(prec=50)


@dataclass(frozen=True)
class Noise:
    """Noise of a release; public, and part of the manifest.

    kind        `laplace` or `gaussian`
    epsilon     of pure differential privacy per released figure (Laplace)
    rho         of zero-concentrated differential privacy per released figure (Gaussian)
    The parameters are for each figure and one row; `protocols.stats.ledger` adds them up.
    """

    kind: str
    epsilon: float = 0.0
    rho: float = 0.0

    def __post_init__(self) -> None:
        if self.kind == 'laplace' and not 1e-3 <= self.epsilon <= 100:
            raise ValueError(f'epsilon {self.epsilon}: expected 0.001 to 100')
        if self.kind == 'gaussian' and not 1e-4 <= self.rho <= 100:
            raise ValueError(f'rho {self.rho}: expected 0.0001 to 100')
        if self.kind not in ('laplace', 'gaussian'):
            raise ValueError(f"noise {self.kind!r}, expected 'laplace' or 'gaussian'")

    def largest(self, sensitivity: int) -> int:
        """No number that is drawn is larger than this, in units of the figure."""
        if self.kind == 'laplace':
            return 1 << _digits(_rate(sensitivity, self))
        sigma, width = _on_grid(sensitivity, self)
        return _reach(sigma) * width

    def deviation(self, sensitivity: int) -> float:
        """Standard deviation of what a figure gets, in its units; four digits.

        The same at all parties, who state it in manifests and records.
        """
        if self.kind == 'laplace':
            rate = _rate(sensitivity, self)
            odds = _EXACT.exp(_EXACT.divide(Decimal(-rate.numerator), Decimal(rate.denominator)))
            found = _EXACT.divide(_EXACT.sqrt(2 * odds), 1 - odds)
        else:
            sigma, width = _on_grid(sensitivity, self)
            found = Decimal(sigma) * width
        return float(f'{found:.4g}')


def perturbed(mpc, x: SecureArray, sensitivity: int, spec: Noise) -> SecureArray:
    """Integers 0 <= x < 2^62 with noise, where a row changes one of them by at most `sensitivity`.

    A Gaussian with a standard deviation above 71 units is drawn on a grid of public width (a power
    of two) that keeps it below. Figures are brought to the grid first, else their last digits would
    stay as they are (compare Mironov, CCS 2012): by a truncation, which for whatever mask is drawn
    takes numbers that differ by d at most ceil(d / width) steps apart. Its error is a few steps,
    where the standard deviation is 35 or more.

    Laplace: about 2 (log2(sensitivity / epsilon) + 6) coins of 1,700 bytes per party each.
    Gaussian: about 2,500 bytes and up to 1,140 comparisons per number.
    """
    if spec.kind == 'laplace':
        return x + laplace(mpc, x.shape, _rate(sensitivity, spec))
    sigma, width = _on_grid(sensitivity, spec)
    steps = mpc.truncate(x + width // 2, width.bit_length() - 1, 0) if width > 1 else x
    return (steps + gaussian(mpc, x.shape, sigma)) * width


def perturbed_cost(n: int, sensitivity: int, spec: Noise, m: int, t: int) -> costs.Prediction:
    """`perturbed` for n numbers."""
    if spec.kind == 'laplace':
        coins = 2 * n * _digits(_rate(sensitivity, spec))
        return costs.sequence(m, costs.random_bits(coins * _COIN_BITS, m, t),
                              costs.less_than(coins, m, t))
    sigma, width = _on_grid(sensitivity, spec)
    drawn = costs.sequence(m, costs.random_bits(n * _UNIFORM_BITS, m, t),
                           costs.less_than(2 * _reach(sigma) * n, m, t))
    # Figures come to the grid while noise is drawn.
    rest = costs.truncate(n, m, t).total_bytes if width > 1 else 0
    return costs.Prediction(drawn.rounds, drawn.total_bytes + rest)


def _rate(sensitivity, spec):
    return Fraction(spec.epsilon).limit_denominator(10**6) / sensitivity


def _on_grid(sensitivity, spec):
    """(standard deviation in steps of the grid, width of the grid)."""
    width = 1
    while (sigma := -(-sensitivity // width) / math.sqrt(2 * spec.rho)) > _LARGEST_SIGMA:
        width *= 2
    return sigma, width


def _digits(rate):
    # The binary logarithm, rounded up, in integers: floats of it differ by machine.
    return max(1, (math.ceil(_COIN_BITS / rate) - 1).bit_length())


def _reach(sigma):
    return math.ceil(8 * sigma) + 1


def laplace(mpc, shape, rate: Fraction) -> SecureArray:
    """P(k) proportional to exp(-rate |k|). 13 rounds; numbers up to about 40 / rate."""
    digits = _digits(rate)
    if digits > _MOST_DIGITS:
        raise ValueError(f'noise of rate {float(rate)}: expected 0.001 / 2^40 or more')
    coins = uniform(mpc, (2, *shape, digits), _COIN_BITS) < _coins(rate, digits)
    numbers = mpc.from_bits(coins)
    return numbers[0] - numbers[1]


def gaussian(mpc, shape, sigma: float) -> SecureArray:
    """P(k) proportional to exp(-k² / (2 sigma²)), sigma at most 71. 13 rounds."""
    if not 0 < sigma <= _LARGEST_SIGMA:
        raise ValueError(f'sigma {sigma}: expected up to {_LARGEST_SIGMA}')
    drawn = uniform(mpc, shape, _UNIFORM_BITS)
    # As many bounds are at most the number as the place it falls into.
    below = drawn.reshape(*shape, 1) < _distribution(sigma)
    return (1 - below).sum(len(shape)) - _reach(sigma)


@functools.lru_cache(16)
def _coins(rate, digits):
    """For digit j of a geometric number, which is one with odds exp(-rate 2^j), the share of ones
    in units of 2^-40."""
    found = []
    for j in range(digits):
        power = min(Fraction(700), rate * 2**j)
        odds = _EXACT.exp(_EXACT.divide(Decimal(power.numerator), Decimal(power.denominator)))
        found.append(round(_EXACT.divide(Decimal(1 << _COIN_BITS), _EXACT.add(1, odds))))
    return np.array(found, np.int64)


@functools.lru_cache(16)
def _distribution(sigma):
    """P(K <= k) for all k but the largest, in units of 2^-60."""
    reach = _reach(sigma)
    half = _EXACT.divide(Decimal(-1), _EXACT.multiply(2, _EXACT.multiply(Decimal(sigma),
                                                                         Decimal(sigma))))
    side = [_EXACT.exp(_EXACT.multiply(half, k * k)) for k in range(1, reach + 1)]
    weights = [*side[::-1], Decimal(1), *side]
    upto = [Decimal(0)]
    for weight in weights:
        upto.append(_EXACT.add(upto[-1], weight))
    unit = _EXACT.divide(Decimal(1 << _UNIFORM_BITS), upto[-1])
    return np.array([round(_EXACT.multiply(x, unit)) for x in upto[1:-1]], np.int64)


def uniform(mpc, shape, bits: int) -> SecureArray:
    """Uniformly random shared integers below 2^bits that no t parties know; 2 rounds."""
    return mpc.from_bits(mpc.random_bits((*shape, bits)))


def rounded(mpc, x: SecureArray, base: int) -> SecureArray:
    """The nearest multiples of a public base, halves upwards, of integers |x| < 2^53; exact."""
    return x if base < 2 else quotient(mpc, x + base // 2, base) * base


def quotient(mpc, x: SecureArray, base: int) -> SecureArray:
    """floor(x / base) for a public base in 2..1000 and integers |x| < 2^53; exact.

    It is first found by truncation, which may be a few off, and then corrected by comparisons:
    14 rounds for t = 1, eight comparisons per number.
    """
    places = 24 + base.bit_length()
    factor = round((1 << places) / base)
    # The factor is off by less than 2^-24 of itself, so each step leaves a 2^-24th of the rest.
    found = mpc.truncate(x * factor, places, 0)
    for _ in range(2):
        found = found + mpc.truncate((x - found * base) * factor, places, 0)
    steps = np.arange(-3, 5) * base
    reached = 1 - ((x - found * base).reshape(*x.shape, 1) < steps)
    return found + reached.sum(x.ndim) - 4


def rounded_cost(n: int, base: int, m: int, t: int) -> costs.Prediction:
    """`rounded` of n numbers."""
    if base < 2:
        return costs.Prediction(0, 0)
    return costs.sequence(m, *[costs.truncate(n, m, t)] * 3, costs.less_than(8 * n, m, t))
