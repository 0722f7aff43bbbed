"""Numeric functions of secret fixed-point numbers: reciprocal, logarithm, square roots, sigmoid.

Inputs are normalised: a prefix network finds the exponent k of x = ±u 2^k, 1 <= u <= 2, as shared
bits, a product of powers of two scales x to u, and a Chebyshev polynomial with public
coefficients does the rest. Polynomials are evaluated in the Chebyshev basis, whose coefficients and
intermediate values are small, with the truncations folded into the products; internal results carry
28 fractional bits. The sigmoid is one odd Chebyshev polynomial on a clipped argument.

Nothing is revealed. Errors given are maxima over the stated domain, measured by the tests; "one
truncation" stands for that of `engine.arithmetic`, 2.5 units of the result's last place for m = 4.

Functions are total, for every |x| < 2^63 units unless they say less. What lies outside of a domain
is found by comparison, on the bits that the function needs anyway, and gets a defined value; the
inverse of zero is zero, as in a pseudo-inverse, and a quotient that is too large the largest one.
"""

import functools

import numpy as np
from numpy.polynomial import chebyshev

from engine import field
from engine.array import SecureArray, constant
from engine.base import RuntimeBase
from engine.chebyshev import WORK, Basis
from engine.decompose import binary_value
from engine.operation import Operation
from engine.verified_bits import bit_network

_EXPONENT_BITS = 6
_QUOTIENT_BITS = 47
"""A quotient of at least 2^_QUOTIENT_BITS units counts as that: what its products have room for."""
SIGMOID_BOUND = 12.0
_EXP_DOMAIN = (-21.0, 14.0)
_EXP_BIAS = 31


def _blockwise(method):
    """Process long arguments in blocks, so that the intermediate results stay few."""
    @functools.wraps(method)
    def in_blocks(self, x, *args, **options):
        return self.in_blocks(lambda piece: method(self, piece, *args, **options), x)
    return in_blocks


class NumericOperations(RuntimeBase):
    """Numeric functions (a mix-in of `engine.runtime.Runtime`)."""

    @_blockwise
    def reciprocal(self, x: SecureArray, frac: int | None = None, bits: int = 48) -> SecureArray:
        """1/x for 1 <= |x·2^frac_x| < 2^bits; relative error 5e-7 plus one truncation.

        0 for x = 0 (nothing to divide by) and for larger |x|. Needs 28 <= bits <= 54. 26 rounds for
        t = 1.
        """
        if not WORK <= bits <= 54:
            raise ValueError(f'bits = {bits}: expected {WORK} to 54')
        frac = self.frac if frac is None else frac
        s, _, _, scale = self._normalise(x, bits, signed=True)
        y = self.chebyshev(s, _coefficients('reciprocal'), WORK)
        return self.product('multiply', [y, scale], field.mul, x.shape,
                            WORK + bits - x.frac - frac, frac)

    def divide(self, a, b) -> SecureArray:
        """a / b for a public divisor, or a secret one with 1 <= |b·2^frac_b| < 2^48.

        0 where b = 0, and for larger |b|. A quotient of 2^47 units of the result or more (2^27 for
        20 fractional bits) counts as ±2^47; the comparison that finds it is not sharp, so one of
        less than twice that may still come out right. Relative error 5e-7 plus one truncation and
        a quarter, or a half where b has few fractional bits. 26 rounds for t = 1. Raises
        ZeroDivisionError for a public zero, ValueError for over 56 fractional bits more than a's.
        """
        if not isinstance(b, SecureArray):
            if not np.all(b):
                raise ZeroDivisionError('division by a public zero')
            return a * (1.0 / np.asarray(b, float))
        a = a if isinstance(a, SecureArray) else constant(self, a)
        shape = np.broadcast_shapes(a.shape, b.shape)
        if b.shape == shape:
            return self.in_blocks(lambda b, a: self._quotient(a, b), b, a.broadcast_to(shape))
        return self._quotient(a, b)

    def _quotient(self, a, b):
        frac, bits = max(a.frac, self.frac), 48
        shape = np.broadcast_shapes(a.shape, b.shape)
        places = bits + a.frac - b.frac
        if places < frac - WORK:
            raise ValueError(f'a divisor with {b.frac} fractional bits: expected at most '
                             f'{b.frac + places - frac + WORK} for a dividend with {a.frac}')
        s, digits, direction, scale = self._normalise(b, bits, signed=True)
        early = max(0, places - frac + _QUOTIENT_BITS + 2 - (self.geometry.product_bits - 1))
        if early:
            # a·2^(bits - k) would not fit under a mask: 2^16 of it, if it has that, goes first.
            scale = self._times((scale, 1, 0), (digits[-1], _inverse_power(16) - 1, 1))
        y, scale, direction = (x.broadcast_to(shape) for x in (
            self.chebyshev(s, _coefficients('reciprocal'), WORK), scale, direction))
        a = a.broadcast_to(shape)
        beyond = self._too_large(a, b.broadcast_to(shape), frac)
        a = a * (1 - self.multiply(beyond, beyond))
        # a·2^(bits - k) is the quotient times u: small where the inverse of b has few digits.
        inner = min(places, frac + 4)
        if early:
            # Where 2^16 is not part of the factor, that is below 2^32 and the last `early` bits of
            # a do not count.
            def power(a, digit):
                return field.mul(a, field.affine(digit, (1 << 16) - 1, 1))
            a = self.product('multiply', [a, digits[-1].broadcast_to(shape)], power, shape, early,
                             0, elementwise=True)
        scaled = self.product('multiply', [a, scale], field.mul, shape, places - inner - early,
                              inner, elementwise=True)
        shift = inner + WORK - frac

        def kernel(scaled, y, beyond, direction):
            largest = field.affine(field.mul(beyond, direction), 1 << _QUOTIENT_BITS + shift)
            return field.add(field.mul(scaled, y), largest)
        return self.product('multiply', [scaled, y, beyond, direction], kernel, shape, shift, frac,
                            elementwise=True)

    def _too_large(self, a, b, frac):
        """The sign of a where |a / b| is at least 1.6·2^_QUOTIENT_BITS units, 0 where it is at most
        1.4 times that, and either one between.

        With |a| / 2^r against 3/2·2^j·|b|: only if the former is greater have their sum and their
        difference the same sign, that of a. b is scaled up so far that the truncation's error,
        (number of sets + 1) / 2, is a tenth of 2^j·|b| at most.
        """
        j = (5 * len(self.geometry.sets) + 4).bit_length()
        r = _QUOTIENT_BITS - frac + a.frac - b.frac - j
        a, b = a.reinterpret(0), self.scale(b.reinterpret(0), 3 << j - 1)
        a = self.truncate(a, r, 0) if r > 0 else a.shift(-r)
        signs = self.negative(self.stack([a - b, a + b]))
        return 1 - signs[0] - signs[1]

    @_blockwise
    def log(self, x: SecureArray, frac: int | None = None) -> SecureArray:
        """Natural logarithm; absolute error 1e-6.

        Zero and negative numbers count as the smallest positive one, 2^-frac_x. 26 rounds for
        t = 1.
        """
        frac, bits = self.frac if frac is None else frac, 62
        s, digits, _, _ = self._normalise(x, bits)
        y = self.chebyshev(s, _coefficients('log'), WORK)
        ln2 = round(np.log(2) * (1 << WORK))
        weights = field.table([-ln2 << j for j in range(_EXPONENT_BITS)])

        def kernel(y, digits):
            e = field.combine(digits.reshape(_EXPONENT_BITS, -1, 2), weights).reshape(y.shape)
            return field.affine(field.add(y, e), 1, (bits - x.frac) * ln2)
        return self.local('log', [y, digits], kernel, x.shape, WORK).with_frac(frac)

    @_blockwise
    def rsqrt(self, x: SecureArray, frac: int | None = None) -> SecureArray:
        """1/sqrt(x), 0 for x <= 0; relative error 5e-7 plus one truncation. 27 rounds for t = 1."""
        bits = 62 + x.frac % 2
        s, digits, inside, _ = self._normalise(x, bits)
        y = self.chebyshev(s, _coefficients('rsqrt'), WORK)
        return self._half_power(y, digits, inside, (x.frac - bits) // 2, frac)

    @_blockwise
    def sqrt(self, x: SecureArray, frac: int | None = None) -> SecureArray:
        """sqrt(x), 0 for x <= 0; relative error 5e-7 plus one truncation. 27 rounds for t = 1."""
        bits = 63 - x.frac % 2
        s, digits, inside, _ = self._normalise(x, bits)
        y = self.chebyshev(s, _coefficients('sqrt'), WORK)
        # 63 minus the number of complemented digits: it counts up with x.
        return self._half_power(y, 1 - digits, inside, (bits - 63 - x.frac) // 2, frac)

    def _half_power(self, y, digits, inside, offset, frac):
        """y·2^(e / 2 + offset) for the six shared digits of e; 0 where the bit inside is 0."""
        frac = self.frac if frac is None else frac
        odd = digits[0] * round((np.sqrt(2) - 1) * (1 << WORK)) + (1 << WORK)
        y = self.multiply(y, odd.reinterpret(WORK), WORK)
        shift = WORK - offset - frac
        power = self._power(digits, 1, (inside, 1, 0))
        return self.product('multiply', [y, power], field.mul, y.shape, max(0, shift),
                            frac + min(0, shift), elementwise=True).with_frac(frac)

    def clipped(self, x: SecureArray, bound: float, factor: int, shift: int,
                frac: int) -> SecureArray:
        """x, or ±bound where it is beyond, for |x| <= 2^62 units; in units times the integer
        `factor`, truncated by `shift` bits: `frac` says what they mean.

        12 rounds for t = 1; two comparisons and a product per element.
        """
        limit = round(bound * (1 << x.frac))
        outside = self.negative(self.stack([x + bound, bound - x]))

        def clip(below, above, x):
            # Exact before the truncation: below and above are never both 1.
            z = field.add(field.mul(below, field.affine(x, -1, -limit)),
                          field.mul(above, field.affine(x, -1, limit)))
            return field.affine(field.add(z, x), factor)
        return self.product('clip', [outside[0], outside[1], x], clip, x.shape, shift, frac)

    @_blockwise
    def sigmoid(self, x: SecureArray, frac: int | None = None) -> SecureArray:
        """1/(1 + exp(-x)) for |x| <= 2^62 units; absolute error 8e-6 plus one truncation.

        Arguments beyond ±12 are clipped by comparison. 18 rounds for t = 1; two comparisons and 14
        products per element.
        """
        frac = self.frac if frac is None else frac
        inverse = round((1 << (WORK + 4)) / SIGMOID_BOUND)
        s = self.clipped(x, SIGMOID_BOUND, inverse, x.frac + 4, WORK)
        return self.chebyshev(s, _coefficients('sigmoid'), frac) + 0.5

    def tanh(self, x: SecureArray, frac: int | None = None) -> SecureArray:
        """tanh(x) = 2 sigmoid(2x) - 1 for |x| <= 2^61 units; twice the error of `sigmoid`."""
        return self.scale(self.sigmoid(x * 2, frac), 2) - 1

    @_blockwise
    def exp(self, x: SecureArray, frac: int | None = None) -> SecureArray:
        """exp(x) for |x| <= 2^62 units; relative error 3e-7 plus one truncation.

        Arguments above 14 count as 14, those below -21 as -21. One decomposition: the integer part
        of x·log2(e) selects the power of two, a polynomial gives 2^fraction. 28 rounds for t = 1.
        """
        frac = self.frac if frac is None else frac
        low, high = _EXP_DOMAIN
        outside = self.negative(self.stack([x - low, high - x]))
        lo, hi = round(low * (1 << x.frac)), round(high * (1 << x.frac))
        shift = x.frac + 4
        log2e = round((1 << (WORK + 4)) * np.log2(np.e))

        def clip(below, above, x):
            z = field.add(field.mul(below, field.affine(x, -1, lo)),
                          field.mul(above, field.affine(x, -1, hi)))
            return field.affine(field.add(z, x), log2e)
        y = self.product('clip', [outside[0], outside[1], x], clip, x.shape, shift, WORK) \
            + _EXP_BIAS
        bits = self.to_bits(y, WORK + _EXPONENT_BITS)
        digits = self.moveaxis(bits[..., WORK:], x.ndim)
        whole = self.from_bits(bits[..., WORK:])
        fraction = y - whole
        power = self.chebyshev(2 * fraction - 1, _coefficients('exp2'), WORK)
        return self.product('multiply', [power, self._power(digits, 0)], field.mul, x.shape,
                            WORK + _EXP_BIAS - frac, frac)

    def chebyshev(self, x: SecureArray, coefficients, frac: int) -> SecureArray:
        """Σ c_k T_k(x) for x in [-1, 1] with WORK fractional bits and public |c_k| < 8.

        About 2 log2(degree) rounds. Source: Paterson, Stockmeyer 1973, in the Chebyshev basis.
        """
        return Basis(self, x).evaluate(np.asarray(coefficients, float), frac)

    def _normalise(self, x, bits, signed=False):
        """(2u - 3, digits, inside, scale) of x = u·2^(bits - e) units, 1 <= u <= 2.

        `digits` (6, *x.shape) are the shared bits of e, `scale` is 2^e. The shared bit `inside` is
        1 for x > 0. With `signed` it is the sign of x for 0 < |x| < 2^bits, which `scale` has too,
        and u is that of |x|. Where it is 0, u is 1, e that of x = 1 unit (0 if signed), `scale` 0.
        """
        n = x.size
        planes = _EXPONENT_BITS + 1 + signed
        op = Operation(self, 'signed_exponent' if signed else 'exponent', (n,))

        async def body(op, share):
            return await _exponent_bits(op, share, bits, signed)
        found = self.issue(op, [x.ravel()], body, SecureArray(self, (planes, n), 0))
        found = found.reshape((planes, *x.shape))
        digits, inside = found[:_EXPONENT_BITS], found[_EXPONENT_BITS]
        direction = self._times((inside, 1, 0), (found[_EXPONENT_BITS + 1], -2, 1)) if signed \
            else inside
        scale = self._power(digits, 0, (direction, 1, 0))

        def kernel(x, scale, inside):
            # 2·2^bits·u - 3·2^bits, where u is 1 if not inside.
            outside = field.affine(inside, -2 << bits, -1 << bits)
            return field.add(field.affine(field.mul(x, scale), 2), outside)
        s = self.product('multiply', [x, scale, inside], kernel, x.shape, bits - WORK, WORK,
                         elementwise=True)
        return s, digits, direction, scale

    def _power(self, digits, skip, *factors):
        """Π_j 2^(digit_j 2^(j - skip)) over j >= skip times the factors, an exact integer.

        A factor a·v + b is given as (v, a, b); it is computed where it is multiplied.
        """
        factors = [(digits[j], (1 << (1 << (j - skip))) - 1, 1)
                   for j in range(skip, _EXPONENT_BITS)] + list(factors)
        while len(factors) > 1:
            paired = [(self._times(p, q), 1, 0)
                      for p, q in zip(factors[::2], factors[1::2], strict=False)]
            factors = paired + (factors[-1:] if len(factors) % 2 else [])
        return factors[0][0]

    def _times(self, p, q):
        (v, *left), (w, *right) = p, q

        def kernel(v, w):
            v = v if left == [1, 0] else field.affine(v, *left)
            return field.mul(v, w if right == [1, 0] else field.affine(w, *right))
        return self.product('multiply', [v, w], kernel, v.shape, 0, 0, elementwise=True)


async def _exponent_bits(op, share, bits, signed):
    """Field shares of six bits of e, of the bit `inside` and, if signed, of the sign.

    All on the bits of x in two's complement: of a negative number those of 2|x| - 1 are used, which
    has its leading one where 2|x| has, or, for a power of two, one place below (u = 2).
    """
    net = bit_network(op, len(share))
    x = net.xor_public(await binary_value(net, share, 1 << 63), 1 << 63)
    sign = x >> np.uint64(63)
    if signed:
        x = (x ^ sign * np.uint64((1 << 64) - 1)) << np.uint64(1) | sign
    for shift in (1, 2, 4, 8, 16, 32):
        down = x >> np.uint64(shift)
        x = x ^ down ^ await net.and_(x, down)
    # Bit i of x now says that the leading one is at i or above.
    above = np.uint64(bits + 1 if signed else 63)
    inside = x ^ (x >> above)
    x = net.xor_public(x & np.uint64((1 << 64) - 2), 1)
    lead = x ^ (x >> np.uint64(1))
    planes = [_parity(lead & np.uint64(_index_mask(j, bits, signed)))
              for j in range(_EXPONENT_BITS)]
    planes += [(word & np.uint64(1)).astype(np.uint8) for word in (inside, sign)[:1 + signed]]
    return await net.to_field(np.stack(planes, axis=1))


def _index_mask(j, bits, signed):
    """The places of a leading one for which bit j of e is 1."""
    def e(place):
        if signed:
            return max(0, bits + 1 - place)
        return bits - place if place < 63 else bits
    return sum(1 << place for place in range(64) if e(place) >> j & 1)


def _inverse_power(k):
    """2^-k in the field: an exact quotient for what 2^k divides."""
    return pow(2, -k, field.P)


def _parity(x):
    for shift in (32, 16, 8, 4, 2, 1):
        x = x ^ (x >> np.uint64(shift))
    return (x & np.uint64(1)).astype(np.uint8)


@functools.cache
def _coefficients(name):
    def centred(f, degree):
        return chebyshev.chebinterpolate(lambda s: f(1.5 + 0.5 * s), degree)
    if name == 'sigmoid':
        b = SIGMOID_BOUND
        c = chebyshev.chebinterpolate(lambda s: 1 / (1 + np.exp(-b * s)) - 0.5, 47)
        c[::2] = 0
        return c
    return {'reciprocal': lambda: centred(lambda u: 1 / u, 9),
            'log': lambda: centred(np.log, 9),
            'sqrt': lambda: centred(np.sqrt, 9),
            'exp2': lambda: chebyshev.chebinterpolate(lambda s: 2 ** ((1 + s) / 2), 8),
            'rsqrt': lambda: centred(lambda u: u**-0.5, 9)}[name]()
