"""Large matrix products over the field of p = 2^127 - 1 with floating-point BLAS, exactly.

They are computed modulo twelve 22.5-bit primes, where sums of products of signed residues stay
below 2^53 and so are exact in floats, and put together by the Chinese remainder theorem. Source:
the multi-modular method of exact linear algebra, e.g. Dumas, Giorgi, Pernet, "Dense linear algebra
over word-size prime fields", ACM TOMS 35 (2008).
"""

import functools

import numpy as np
from numba import uint64
from threadpoolctl import ThreadpoolController

from engine import threads
from engine.i128 import f_add, mac, reduce3
from engine.kernel import kernel

_P = (1 << 127) - 1
_ZERO = uint64(0)
_DEPTH = 1024


@functools.cache
def _moduli():
    """Primes below 2^22.5 whose product exceeds 2^10·2^254 by a margin of 2^5.

    Sums of 2^10 products of their signed residues stay below 2^53.
    """
    primes, candidate = [], 5_925_001
    while len(primes) < 12:
        if all(candidate % d for d in range(3, int(candidate**0.5) + 1, 2)):
            primes.append(candidate)
        candidate -= 2
    product = 1
    for q in primes:
        product *= q
    weights = [product // q for q in primes]
    inverses = [pow(w, -1, q) for w, q in zip(weights, primes, strict=True)]
    return primes, [w % _P for w in weights], inverses, product % _P, product


@kernel
def _residues(x, q, out):
    """Signed residues of x modulo a prime q < 2^22.5, as floats of magnitude below 2^21.5."""
    mask = np.int64((1 << 32) - 1)
    w1 = np.int64(1 << 32) % q
    w2 = w1 * w1 % q
    w3 = w2 * w1 % q
    inverse = 1.0 / float(q)
    for i in range(x.shape[0]):
        lo, hi = np.int64(x[i, 0]), np.int64(x[i, 1])
        s = (hi >> 32) * w3 + (hi & mask) * w2 + ((lo >> 32) & mask) * w1 + (lo & mask)
        # s < 2^57: the float quotient errs by less than 2^-17, so the residue by less than q 2^-17.
        out[i] = float(s - np.int64(np.rint(float(s) * inverse)) * q)


@kernel
def _digits(c, q, inverse, out, quotient):
    """c·inverse mod q, and the fraction of q that it is added to `quotient`."""
    fq, per, inv = float(q), 1.0 / float(q), float(inverse)
    for i in range(c.shape[0]):
        # Every product below 2^53 is exact; floor(x / q) may be off by one.
        r = c[i] - np.floor(c[i] * per) * fq
        v = r * inv
        v = v - np.floor(v * per) * fq
        v = v + fq if v < 0 else v
        v = v - fq if v >= fq else v
        out[i] = np.uint32(v)
        quotient[i] += v * per


@kernel
def _finish(digits, weights, quotient, minus_product, out):
    """Σ v_q M_q - floor(Σ v_q / q) M, modulo p."""
    for i in range(out.shape[0]):
        a0 = a1 = a2 = _ZERO
        for j in range(digits.shape[0]):
            a0, a1, a2 = mac(a0, a1, a2, uint64(digits[j, i]), _ZERO, weights[j, 0], weights[j, 1])
        turns = uint64(np.floor(quotient[i] + 1e-4))
        a0, a1, a2 = mac(a0, a1, a2, turns, _ZERO, minus_product[0], minus_product[1])
        out[i, 0], out[i, 1] = reduce3(a0, a1, a2)


@kernel
def _add_in_place(x, y):
    for i in range(x.shape[0]):
        x[i, 0], x[i, 1] = f_add(x[i, 0], x[i, 1], y[i, 0], y[i, 1])


def _limbs(value):
    return np.array([value & ((1 << 64) - 1), value >> 64], dtype=np.uint64)


def product(a, b):
    """a @ b for matrices of elements (n, k, 2) and (k, m, 2)."""
    with _controller().limit(limits=threads.count(), user_api='blas'):
        return _product(a, b)


@functools.cache
def _controller():
    return ThreadpoolController()


def _product(a, b):
    n, k, m = a.shape[0], a.shape[1], b.shape[1]
    primes, weights, inverses, product_mod_p, _ = _moduli()
    result = None
    for start in range(0, k, _DEPTH):
        stop = min(k, start + _DEPTH)
        left = np.require(a[:, start:stop], requirements='CW').reshape(-1, 2)
        right = np.require(b[start:stop], requirements='CW').reshape(-1, 2)
        digits, quotient = np.empty((len(primes), n * m), np.uint32), np.zeros(n * m)
        fa, fb = np.empty((n, stop - start)), np.empty((stop - start, m))
        for j, (q, inverse) in enumerate(zip(primes, inverses, strict=True)):
            _residues(left, np.int64(q), fa.reshape(-1))
            _residues(right, np.int64(q), fb.reshape(-1))
            c = fa @ fb
            _digits(c.reshape(-1), np.int64(q), np.int64(inverse), digits[j], quotient)
        out = np.empty((n * m, 2), np.uint64)
        _finish(digits, np.array([_limbs(w) for w in weights]), quotient,
                _limbs(_P - product_mod_p), out)
        if result is None:
            result = out
        else:
            _add_in_place(result, out)
    return result.reshape(n, m, 2)
