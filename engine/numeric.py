"""Numeric functions of secret fixed-point numbers: reciprocal, logarithm, square roots, sigmoid.

Positive inputs are normalised: a prefix network finds the exponent k of x = u 2^k, 1 <= u < 2, as
shared bits, a product of powers of two scales x to u, and a Chebyshev polynomial with public
coefficients does the rest. Polynomials are evaluated in the Chebyshev basis, whose coefficients and
intermediate values are small, with the truncations folded into the products; internal results carry
28 fractional bits. The sigmoid is one odd Chebyshev polynomial on a clipped argument.

Nothing is revealed. Errors given are maxima over the stated domain, measured by the tests; "one
truncation" stands for that of `engine.arithmetic`, 2.5 units of the result's last place for m = 4.
Outside of a stated domain the result is arbitrary.
"""

import functools

import numpy as np
from numpy.polynomial import chebyshev

from engine import field
from engine.array import SecureArray, constant
from engine.base import RuntimeBase
from engine.bits import BitNetwork
from engine.decompose import binary_value
from engine.operation import Operation

WORK = 28
"""Fractional bits inside the numeric functions."""
_COEF = 22
_EXPONENT_BITS = 6
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
        """1/x for 1 <= x·2^frac_x < 2^bits; relative error 5e-7 plus one truncation.

        Needs 28 <= bits <= 54. 26 rounds for t = 1.
        """
        frac = self.frac if frac is None else frac
        u, comp = self._normalise(x, bits)
        y = self.chebyshev(2 * u - 3, _coefficients('reciprocal'), WORK)
        s = _power(comp, 0)
        return self.product('multiply', [y, s], field.mul, x.shape,
                            WORK + bits - x.frac - frac, frac)

    def divide(self, a, b) -> SecureArray:
        """a / b for a public divisor, or a secret one with 1 <= b·2^frac_b < 2^48.

        |a / b| < 2^27. Relative error 5e-7 plus one truncation and a quarter. 26 rounds for t = 1.
        """
        if not isinstance(b, SecureArray):
            return a * (1.0 / np.asarray(b, float))
        a = a if isinstance(a, SecureArray) else constant(self, a)
        frac, bits = max(a.frac, self.frac), 48
        u, comp = self._normalise(b, bits)
        y = self.chebyshev(2 * u - 3, _coefficients('reciprocal'), WORK)
        # a·2^(bits - k) is the quotient times u: small where the inverse of b has few digits.
        scale = bits + a.frac - b.frac
        inner = min(scale, frac + 4)
        shape = np.broadcast_shapes(a.shape, b.shape)
        scaled = self.product('multiply', [a, _power(comp, 0)], field.mul, shape, scale - inner,
                              inner)
        return self.multiply(scaled, y, frac)

    @_blockwise
    def log(self, x: SecureArray, frac: int | None = None, bits: int = 48) -> SecureArray:
        """Natural logarithm for 1 <= x·2^frac_x < 2^bits; absolute error 1e-6.

        26 rounds for t = 1.
        """
        frac = self.frac if frac is None else frac
        u, comp = self._normalise(x, bits)
        y = self.chebyshev(2 * u - 3, _coefficients('log'), WORK)
        weights = np.array([1 << j for j in range(_EXPONENT_BITS)]).reshape(
            (-1,) + (1,) * len(x.shape))
        exponent = bits - x.frac - (comp * weights).sum(0)
        ln2 = round(np.log(2) * (1 << WORK))
        return (y + self.scale(exponent, ln2).reinterpret(WORK)).with_frac(frac)

    @_blockwise
    def rsqrt(self, x: SecureArray, frac: int | None = None, bits: int = 48) -> SecureArray:
        """1/sqrt(x) for 1 <= x·2^frac_x < 2^bits; relative error 5e-7 plus one truncation.

        Needs 28 <= bits <= 54. 27 rounds for t = 1.
        """
        frac = self.frac if frac is None else frac
        bits += (bits - x.frac) % 2
        u, comp = self._normalise(x, bits)
        y = self.chebyshev(2 * u - 3, _coefficients('rsqrt'), WORK)
        return self._half_power(y, comp, WORK + (bits - x.frac) // 2 - frac, frac)

    def sqrt(self, x: SecureArray, frac: int | None = None, bits: int = 48) -> SecureArray:
        """sqrt(x) for 1 <= x·2^frac_x < 2^bits; relative error 5e-7 plus one truncation.

        Needs 28 <= bits <= 54. 27 rounds for t = 1.
        """
        frac = self.frac if frac is None else frac
        bits += 1 - (bits - x.frac) % 2
        u, comp = self._normalise(x, bits)
        y = self.chebyshev(2 * u - 3, _coefficients('sqrt'), WORK)
        # The complement of bits - k counts up with k: k = 63 - comp - (63 - bits).
        return self._half_power(y, 1 - comp, WORK + (63 - bits + x.frac) // 2 - frac, frac)

    def _half_power(self, y, exponent, shift, frac):
        """y·2^(e / 2) / 2^shift, where e is given by six shared bits."""
        odd = exponent[0] * round((np.sqrt(2) - 1) * (1 << WORK)) + (1 << WORK)
        y = self.multiply(y, odd.reinterpret(WORK), WORK)
        return self.product('multiply', [y, _power(exponent, 1)], field.mul, y.shape, shift, frac)

    @_blockwise
    def sigmoid(self, x: SecureArray, frac: int | None = None) -> SecureArray:
        """1/(1 + exp(-x)) for |x| <= 2^62 units; absolute error 8e-6 plus one truncation.

        Arguments beyond ±12 are clipped by comparison. 18 rounds for t = 1; two comparisons and 14
        products per element.
        """
        frac = self.frac if frac is None else frac
        bound = SIGMOID_BOUND
        limit = round(bound * (1 << x.frac))
        outside = self.negative(self.stack([x + bound, bound - x]))
        shift = x.frac + 4
        inverse = round((1 << (WORK + 4)) / bound)

        def clip(below, above, x):
            # Exact before the truncation: below and above are never both 1.
            z = field.add(field.mul(below, field.affine(x, -1, -limit)),
                          field.mul(above, field.affine(x, -1, limit)))
            return field.affine(field.add(z, x), inverse)
        s = self.product('clip', [outside[0], outside[1], x], clip, x.shape, shift, WORK)
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
        factors = _product([digits[j] * ((1 << (1 << j)) - 1) + 1 for j in range(_EXPONENT_BITS)])
        return self.product('multiply', [power, factors], field.mul, x.shape,
                            WORK + _EXP_BIAS - frac, frac)

    def chebyshev(self, x: SecureArray, coefficients, frac: int) -> SecureArray:
        """Σ c_k T_k(x) for x in [-1, 1] with WORK fractional bits and public |c_k| < 8.

        About 2 log2(degree) rounds. Source: Paterson, Stockmeyer 1973, in the Chebyshev basis.
        """
        basis = _Basis(self, x)
        return basis.evaluate(np.asarray(coefficients, float), frac)

    def _normalise(self, x, bits):
        """(u, comp): u = x·2^(bits - k) as WORK-bit fixed point in [1, 2), and the six shared
        bits of bits - k, where 2^k <= x < 2^(k + 1) in units; comp has shape (6, *x.shape)."""
        if not WORK <= bits <= 55:
            raise ValueError(f'bits = {bits}: expected {WORK} to 55')
        n = x.size
        shifted = x.ravel().shift(63 - bits)
        op = Operation(self, 'exponent', (n,))
        exponent = self.issue(op, [shifted], _exponent_bits,
                              SecureArray(self, (_EXPONENT_BITS, n), 0))
        comp = (1 - exponent).reshape((_EXPONENT_BITS, *x.shape))
        s = _power(comp, 0)
        u = self.product('multiply', [x, s], field.mul, x.shape, bits - WORK, WORK)
        return u, comp


def _power(comp, skip):
    """Π_j 2^(comp_j 2^(j - skip)) over j >= skip, an exact integer."""
    return _product([comp[j] * ((1 << (1 << (j - skip))) - 1) + 1
                     for j in range(skip, _EXPONENT_BITS)])


def _product(factors):
    while len(factors) > 1:
        paired = [a * b for a, b in zip(factors[::2], factors[1::2], strict=False)]
        factors = paired + (factors[-1:] if len(factors) % 2 else [])
    return factors[0]


async def _exponent_bits(op, share):
    """Field shares (6, n) of the bits of the position of the leading one of 0 < x < 2^64."""
    net = BitNetwork(op, len(share))
    x = await binary_value(net, share, 0)
    for shift in (1, 2, 4, 8, 16, 32):
        down = x >> np.uint64(shift)
        x = x ^ down ^ await net.and_(x, down)
    lead = x ^ (x >> np.uint64(1))
    bits = np.stack([_parity(lead & np.uint64(_index_mask(j)))
                     for j in range(_EXPONENT_BITS)], axis=1)
    return await net.to_field(bits)


def _index_mask(j):
    return sum(1 << i for i in range(64) if i >> j & 1)


def _parity(x):
    for shift in (32, 16, 8, 4, 2, 1):
        x = x ^ (x >> np.uint64(shift))
    return (x & np.uint64(1)).astype(np.uint8)


class _Basis:
    """Chebyshev polynomials T_k of one secret argument, each computed once."""

    def __init__(self, rt, x):
        self.rt = rt
        self.known = {1: x.with_frac(WORK)}

    def t(self, k):
        """T_k by T_2a = 2 T_a^2 - 1 and T_(a+b) = 2 T_a T_b - T_(a-b)."""
        if k not in self.known:
            a = 1 << (k.bit_length() - 1)
            if a == k:
                half = self.t(k // 2)
                self.known[k] = 2 * (half * half) - 1
            else:
                b = k - a
                self.known[k] = 2 * (self.t(a) * self.t(b)) - self.t(a - b)
        return self.known[k]

    def evaluate(self, c, frac):
        """Value of Σ c_k T_k with `frac` fractional bits."""
        return self._combine(c, frac, self._baby(len(c)))

    @staticmethod
    def _baby(terms):
        return 4 if terms <= 16 else 8

    def _combine(self, c, frac, baby):
        rt, x = self.rt, self.known[1]
        if len(c) <= baby:
            # At the top only for short polynomials: one truncation of the linear combination.
            return self._linear(c).with_frac(frac)
        m = baby
        while 2 * m < len(c):
            m *= 2
        # Σ c_k T_k = T_m q + r with T_(m+j) = 2 T_m T_j - T_(m-j).
        q, r = 2 * c[m:], c[:m].copy()
        q[0] /= 2
        for j in range(1, len(c) - m):
            r[m - j] -= c[m + j]
        left = self._part(q, baby)
        right = self._part(r, baby)
        shift = left.frac + WORK - frac
        lift = left.frac + WORK - right.frac

        def fused(a, b, rest):
            return field.add(field.mul(a, b), field.affine(rest, 1 << lift))
        return rt.product('multiply', [left, self.t(m), right], fused, x.shape, shift, frac)

    def _part(self, c, baby):
        return self._linear(c) if len(c) <= baby else self._combine(c, WORK, baby)

    def _linear(self, c):
        """Σ c_k T_k over a few terms, untruncated: WORK + _COEF fractional bits."""
        scaled = [round(v * (1 << _COEF)) for v in c]
        terms = [k for k in range(1, len(c)) if scaled[k]]
        inputs = [self.t(k) for k in terms]
        x = self.known[1]

        def kernel(*shares):
            total = None
            for k, share in zip(terms, shares, strict=True):
                part = field.affine(share, scaled[k],
                                    scaled[0] << WORK if total is None else 0)
                total = part if total is None else field.add(total, part)
            return total
        if not terms:
            zero = self.rt.scale(x, 0).reinterpret(WORK + _COEF)
            return zero + float(c[0])
        return self.rt.local('linear', inputs, kernel, x.shape, WORK + _COEF,
                             2 * x.size * len(terms))


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
