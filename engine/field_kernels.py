"""The kernels of `engine.field`: element-wise operations over flat (n, 2) arrays, and sums.

Each goes through whole vectors of elements first (`engine.element_lanes`) and through what is left
over one by one (`engine.i128`). They are compiled without the interpreter lock.
"""

import numpy as np
from numba import uint64

from engine import element_lanes as lanes
from engine.i128 import f_add, f_canonical, f_mul, f_sub, mac, reduce3
from engine.kernel import kernel
from engine.lanes import WIDTH
from engine.limbs import TERMS

_ZERO = uint64(0)
_ALL = uint64(0x7fffffffffffffff)
_LIMB = uint64((1 << lanes.BITS) - 1)
_SHIFTS = np.array(lanes.SHIFTS, np.uint64)
_RUN = 16
"""Vectors of a polynomial that are added up before they are reduced."""
STEP = _RUN * WIDTH
"""Elements of these."""


@kernel
def add(x, y, out):
    """out = x + y."""
    n = x.shape[0]
    whole = n - n % WIDTH
    for i in range(0, whole, WIDTH):
        lanes.store(out, i, lanes.add(lanes.load(x, i), lanes.load(y, i)))
    for i in range(whole, n):
        out[i, 0], out[i, 1] = f_add(x[i, 0], x[i, 1], y[i, 0], y[i, 1])


@kernel
def sub(x, y, out):
    """out = x - y."""
    n = x.shape[0]
    whole = n - n % WIDTH
    for i in range(0, whole, WIDTH):
        lanes.store(out, i, lanes.sub(lanes.load(x, i), lanes.load(y, i)))
    for i in range(whole, n):
        out[i, 0], out[i, 1] = f_sub(x[i, 0], x[i, 1], y[i, 0], y[i, 1])


@kernel
def mul(x, y, out):
    """out = x·y."""
    n = x.shape[0]
    whole = n - n % WIDTH
    for i in range(0, whole, WIDTH):
        z = lanes.plus_product(lanes.no_sum(), lanes.load(x, i), lanes.load(y, i))
        lanes.store(out, i, lanes.reduced(z))
    for i in range(whole, n):
        out[i, 0], out[i, 1] = f_mul(x[i, 0], x[i, 1], y[i, 0], y[i, 1])


@kernel
def constant_limbs(c):
    """A table of constants (k, 2) for `lanes.plus_multiple`: limbs, once for each shift."""
    out = np.empty((c.shape[0], _SHIFTS.size, lanes.LIMBS), np.uint64)
    for j in range(c.shape[0]):
        lo, hi = c[j, 0], c[j, 1]
        for k in range(lanes.LIMBS):
            for copy in range(_SHIFTS.size):
                out[j, copy, k] = (lo & _LIMB) << _SHIFTS[copy]
            lo = (lo >> uint64(lanes.BITS)) | (hi << uint64(64 - lanes.BITS))
            hi >>= uint64(lanes.BITS)
    return out


@kernel
def affine(x, a, b, out):
    """out = a·x + b for constants of shape (1, 2)."""
    n = x.shape[0]
    whole = n - n % WIDTH
    table = constant_limbs(a)
    for i in range(0, whole, WIDTH):
        z = lanes.plus_multiple(lanes.element(b, 0), lanes.load(x, i), table, 0)
        lanes.store(out, i, lanes.reduced(z))
    for i in range(whole, n):
        lo, hi = f_mul(x[i, 0], x[i, 1], a[0, 0], a[0, 1])
        out[i, 0], out[i, 1] = f_add(lo, hi, b[0, 0], b[0, 1])


@kernel
def combine(places, coefs, out):
    """out = Σ coefs[j]·x_j, where x_j lies at the address places[j]."""
    k, n = places.shape[0], out.shape[0]
    whole = n - n % WIDTH
    table = constant_limbs(coefs)
    for i in range(0, whole, WIDTH):
        z = lanes.no_sum()
        for j in range(k):
            if j % TERMS == TERMS - 1:
                z = lanes.summand(lanes.reduced(z))
            z = lanes.plus_multiple(z, lanes.load_at(places[j], i), table, j)
        lanes.store(out, i, lanes.reduced(z))
    for i in range(whole, n):
        a0 = a1 = a2 = _ZERO
        for j in range(k):
            lo, hi = lanes.word_at(places[j], 2 * i), lanes.word_at(places[j], 2 * i + 1)
            a0, a1, a2 = mac(a0, a1, a2, lo, hi, coefs[j, 0], coefs[j, 1])
        out[i, 0], out[i, 1] = reduce3(a0, a1, a2)


@kernel
def sum_axis(x, out):
    """out[i, j] = Σ_k x[i, k, j]."""
    for i in range(x.shape[0]):
        for j in range(x.shape[2]):
            s0 = s1 = s2 = _ZERO
            for k in range(x.shape[1]):
                lo = x[i, k, j, 0]
                s0 += lo
                carry = uint64(s0 < lo)
                hi = x[i, k, j, 1]
                s1 += carry
                s2 += uint64(s1 < carry)
                s1 += hi
                s2 += uint64(s1 < hi)
            out[i, j, 0], out[i, j, 1] = reduce3(s0, s1, s2)


@kernel
def cumsum(x, out):
    """Running sums along the first axis."""
    for j in range(x.shape[1]):
        lo = hi = _ZERO
        for i in range(x.shape[0]):
            lo, hi = f_add(lo, hi, x[i, j, 0], x[i, j, 1])
            out[i, j, 0] = lo
            out[i, j, 1] = hi


@kernel
def uniform(x):
    """In place: elements from uniformly random words, the top bit dropped."""
    n = x.shape[0]
    whole = n - n % WIDTH
    for i in range(0, whole, WIDTH):
        lanes.store(x, i, lanes.canonical(lanes.cut(lanes.load(x, i), _ALL)))
    for i in range(whole, n):
        x[i, 0], x[i, 1] = f_canonical(x[i, 0], x[i, 1] & _ALL)


@kernel
def evaluate(places, n, points, out):
    """out[j, k] = Σ_i points[k]^(n-1-i)·x_i, where the n elements x lie at the address places[j].

    Horner's rule, each lane for itself and `_RUN` vectors at a time; the points take turns while a
    part of x is near.
    """
    table, whole, part = powers(points), n - n % STEP, 8 * STEP
    for j in range(places.shape[0]):
        sums = np.zeros((points.shape[0] * WIDTH, 2), np.uint64)
        for first in range(0, whole, part):
            add_steps(sums, places[j], first, min(first + part, whole), table)
        add_last(sums, places[j], whole, n, points, out[j])


@kernel
def powers(points):
    """What `add_steps` needs of the points of some polynomials."""
    found = np.empty((points.shape[0], _RUN, 2), np.uint64)
    for k in range(points.shape[0]):
        lo, hi = uint64(1), _ZERO
        for i in range(STEP):
            lo, hi = f_mul(lo, hi, points[k, 0], points[k, 1])
            found[k, i // WIDTH, 0], found[k, i // WIDTH, 1] = lo, hi
    return constant_limbs(found.reshape(-1, 2))


@kernel
def add_steps(sums, place, first, end, table):
    """Go on with polynomials of which `sums` has the lanes, those of a point behind another's, by
    the elements from `first` to `end`, a multiple of `STEP`, of what lies at the address."""
    for k in range(sums.shape[0] // WIDTH):
        total = lanes.load(sums, k * WIDTH)
        for i in range(first, end, STEP):
            z = lanes.summand(lanes.load_at(place, i + STEP - WIDTH))
            for j in range(_RUN - 1):
                x = lanes.load_at(place, i + STEP - (j + 2) * WIDTH)
                z = lanes.plus_multiple(z, x, table, k * _RUN + j)
            total = lanes.reduced(lanes.plus_multiple(z, total, table, k * _RUN + _RUN - 1))
        lanes.store(sums, k * WIDTH, total)


@kernel
def add_last(sums, place, first, end, points, out):
    """out[k] = the polynomials, with the elements from `first` to `end` as the last ones."""
    for k in range(points.shape[0]):
        lo = hi = _ZERO
        for i in range(k * WIDTH, (k + 1) * WIDTH):
            lo, hi = f_mul(lo, hi, points[k, 0], points[k, 1])
            lo, hi = f_add(lo, hi, sums[i, 0], sums[i, 1])
        for i in range(2 * first, 2 * end, 2):
            lo, hi = f_mul(lo, hi, points[k, 0], points[k, 1])
            lo, hi = f_add(lo, hi, lanes.word_at(place, i), lanes.word_at(place, i + 1))
        out[k, 0], out[k, 1] = lo, hi


@kernel
def canonical(x):
    """Whether all are below p."""
    wrong = False
    for i in range(x.shape[0]):
        wrong |= (x[i, 1] > _ALL) | ((x[i, 1] == _ALL) & (x[i, 0] == ~_ZERO))
    return not wrong


# --- masks of the one-round product (design 3.2, 3.3) ---

@kernel
def add_masks(z, offset, draws, coefs, period, top, out):
    """out = z + offset + Σ coefs[j]·draws[j]; every `period`-th high word is ANDed with `top`."""
    k, n = draws.shape[:2]
    whole = n - n % WIDTH
    table, rows = constant_limbs(coefs), draws.reshape(k * n, 2)
    for i in range(0, whole, WIDTH):
        total = lanes.plus(lanes.element(offset, 0), lanes.load(z, i))
        for first in range(0, k, period):
            for j in range(first, first + period):
                if j % TERMS == TERMS - 1:
                    total = lanes.summand(lanes.reduced(total))
                cut = top if j == first else _ALL
                draw = lanes.cut(lanes.load(rows, j * n + i), cut)
                total = lanes.plus_multiple(total, draw, table, j)
        lanes.store(out, i, lanes.reduced(total))
    for i in range(whole, n):
        a0, a1 = f_add(z[i, 0], z[i, 1], offset[0, 0], offset[0, 1])
        a2 = _ZERO
        for j in range(k):
            lo, hi = draws[j, i, 0], draws[j, i, 1] & (_ALL if j % period else top)
            a0, a1, a2 = mac(a0, a1, a2, lo, hi, coefs[j, 0], coefs[j, 1])
        out[i, 0], out[i, 1] = reduce3(a0, a1, a2)


@kernel
def shifted_masks(draws, constant, coefs, period, shift, top, out):
    """out = constant + Σ coefs[j]·(draws[j·period] >> shift), high words ANDed with `top` before.
    """
    k, n = coefs.shape[0], draws.shape[1]
    whole = n - n % WIDTH
    table, rows = constant_limbs(coefs), draws.reshape(draws.shape[0] * n, 2)
    left = uint64(64) - shift
    for i in range(0, whole, WIDTH):
        total = lanes.element(constant, 0)
        for j in range(k):
            if j % TERMS == TERMS - 1:
                total = lanes.summand(lanes.reduced(total))
            draw = lanes.cut(lanes.load(rows, j * period * n + i), top)
            if shift > 0:
                draw = lanes.shifted(draw, shift)
            total = lanes.plus_multiple(total, draw, table, j)
        lanes.store(out, i, lanes.reduced(total))
    for i in range(whole, n):
        a0, a1, a2 = constant[0, 0], constant[0, 1], _ZERO
        for j in range(k):
            lo, hi = draws[j * period, i, 0], draws[j * period, i, 1] & top
            if shift > 0:
                lo = (lo >> shift) | (hi << left)
                hi = hi >> shift
            a0, a1, a2 = mac(a0, a1, a2, lo, hi, coefs[j, 0], coefs[j, 1])
        out[i, 0], out[i, 1] = reduce3(a0, a1, a2)


@kernel
def add_opened(shares, weights, factor, shift, out):
    """out += factor·((Σ weights[j]·s_j) >> shift), where s_j lies at the address shares[j]."""
    k, n = shares.shape[0], out.shape[0]
    whole = n - n % WIDTH
    table, last = constant_limbs(weights), constant_limbs(factor)
    left = uint64(64) - shift
    for i in range(0, whole, WIDTH):
        total = lanes.no_sum()
        for j in range(k):
            if j % TERMS == TERMS - 1:
                total = lanes.summand(lanes.reduced(total))
            total = lanes.plus_multiple(total, lanes.load_at(shares[j], i), table, j)
        opened = lanes.reduced(total)
        if shift > 0:
            opened = lanes.shifted(opened, shift)
        total = lanes.plus_multiple(lanes.summand(lanes.load(out, i)), opened, last, 0)
        lanes.store(out, i, lanes.reduced(total))
    for i in range(whole, n):
        a0 = a1 = a2 = _ZERO
        for j in range(k):
            lo, hi = lanes.word_at(shares[j], 2 * i), lanes.word_at(shares[j], 2 * i + 1)
            a0, a1, a2 = mac(a0, a1, a2, lo, hi, weights[j, 0], weights[j, 1])
        lo, hi = reduce3(a0, a1, a2)
        if shift > 0:
            lo = (lo >> shift) | (hi << left)
            hi = hi >> shift
        lo, hi = f_mul(lo, hi, factor[0, 0], factor[0, 1])
        out[i, 0], out[i, 1] = f_add(lo, hi, out[i, 0], out[i, 1])
