"""Chebyshev series of a secret argument, with the truncations folded into the products.

Source: Paterson, Stockmeyer, "On the number of nonscalar multiplications necessary to evaluate
polynomials", SIAM J. Comput. 2 (1973), in the Chebyshev basis.
"""

from engine import field

WORK = 28
"""Fractional bits inside the numeric functions."""
_COEF = 22


class Basis:
    """Chebyshev polynomials T_k of one secret argument, each computed once."""

    def __init__(self, rt, x):
        self.rt = rt
        self.known = {1: x.with_frac(WORK)}

    def t(self, k):
        """T_k by T_2a = 2 T_a^2 - 1 and T_(a+b) = 2 T_a T_b - T_(a-b)."""
        if k not in self.known:
            a = 1 << (k.bit_length() - 1)
            a = k // 2 if a == k else a
            b = k - a
            one = 1 << WORK

            def kernel(x, y, rest=None):
                z = field.affine(field.mul(x, y), 2, -one * one if rest is None else 0)
                return z if rest is None else field.sub(z, field.affine(rest, one))
            rest = [self.t(a - b)] if a > b else []
            x = self.known[1]
            self.known[k] = self.rt.product('multiply', [self.t(a), self.t(b), *rest], kernel,
                                            x.shape, WORK, WORK, elementwise=True)
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
        return rt.product('multiply', [left, self.t(m), right], fused, x.shape, shift, frac,
                          elementwise=True)

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
