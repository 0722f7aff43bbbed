"""Sine series of a secret number in two rounds, whatever the number of terms.

f(x) = Σ c_k sin(2πkx / P) for public c_k and k, with a period P that is a power of two. x, a local
expression of degree 2t, is opened under masks to a dealer, as in `engine.compare`: so x = u + v
modulo P, where u is known to the dealer and v, the mask of the one set that lacks it, to all
others. Since sin k(u + v) = sin ku cos kv + cos ku sin kv, the dealer shares the sines and cosines
of its summand, those of the other are a sharing as they are, and the series is an inner product of
the two: local, and small, since what the others know they know in the clear. That the sum wraps
around modulo P is no matter: the sines do too. So a bounded function costs two rounds, and one more
to bring it back to degree t, which callers merge with what they need it for.

Beyond ±P/2 the series repeats, so x must be known to stay within. For t = 1, not in verified mode.
The dealer learns u, which is uniformly random within 2^-40; nobody learns more.

Sources: the angle addition on additive shares is folklore; the masked opening is that of Damgård
et al., TCC 2006, the sharing without messages that of Cramer, Damgård, Ishai, TCC 2005.
"""

from __future__ import annotations

import math

import numpy as np

from engine import costs, field
from engine.array import SecureArray
from engine.dealing import Dealing
from engine.i128 import f_mul, mac_small, reduce3
from engine.kernel import kernel
from engine.opening import Opening
from engine.operation import Operation

FRAC = 16
"""Fractional bits of the sines and cosines that are multiplied."""
_RADIANS = math.pi / 2 / 2.0**62
_SINE = tuple((-1)**k / math.factorial(2 * k + 1) for k in range(8))[::-1]
_COSINE = tuple((-1)**k / math.factorial(2 * k) for k in range(8))[::-1]

def can_wave(mpc) -> bool:
    """Whether `waves` works in this deployment."""
    g = mpc.geometry
    return g.t == 1 and not g.verified


def waves_cost(n: int, terms: int, m: int, t: int) -> costs.Prediction:
    """`waves` of n numbers: an opening of degree 2t to a dealer, and what it deals."""
    opening = costs.ELEMENT * 2 * t * n
    dealt = costs.share(2 * terms * n, m, t).total_bytes
    return costs.sequence(m, costs.Prediction(2, opening + dealt))


def waves(mpc, inputs, fn, shape, places: int, coefficients: dict[int, float],
          work=None) -> SecureArray:
    """A sharing *of degree 2t* of Σ_k c_k sin(2πkx / P), with 2·`FRAC` fractional bits.

    Only as a factor in what is opened or brought back: `Runtime.product` takes it as it is,
    `engine.query.collapse` times one more factor. x = fn(*shares) is a local expression of degree
    2t, an integer of magnitude below 2^83 (m = 4), and P = 2^places units of it, places <= 64.
    `coefficients` {k: c_k} with ascending k and |c_k| < 8; `work` as in `Runtime.product`.
    Two rounds; bytes: `waves_cost`, 32 + 64 K in all per number for m = 4. Raises ValueError where
    `can_wave` is false.
    """
    g, shape = mpc.geometry, tuple(shape)
    if not can_wave(mpc):
        raise ValueError(f'waves among {g.m} parties with threshold {g.t}: expected threshold 1, '
                         'and not verified mode')
    n, terms = math.prod(shape), len(coefficients)
    op = Operation(mpc, 'waves', (2 * terms, *shape))
    op.expected = waves_cost(n, terms, g.m, g.t)
    dealer = op.group[0]
    opening = Opening(op, 2 * g.t, op.group, receivers=(dealer,))
    dealing = Dealing(op, dealer, 2 * terms * n, b'factors', 1)

    async def body(op, *shares):
        op.multiplications = n
        word = await _word(op, opening, lambda: fn(*shares), n, work or 4 * n)
        mine = await op.compute(8 * terms * n, _factors, word, coefficients, places,
                                mpc.pid == dealer)
        if mpc.pid == dealer:
            await dealing.give(mine)
            op.round()
            # The others' sharing vanishes here.
            return np.zeros((*shape, 2), np.uint64)
        dealt = await dealing.take()
        op.round()
        [others] = [k for k, s in enumerate(g.sets) if dealer not in s]
        out = np.empty((n, 2), np.uint64)
        await op.compute(4 * terms * n, _inner, dealt.reshape(n, 2 * terms, 2), mine,
                         field.table([g.set_value(others, mpc.pid)]), out)
        return out.reshape(*shape, 2)
    return mpc.issue(op, inputs, body, SecureArray(mpc, shape, 2 * FRAC))


async def _word(op, opening, expression, n, work):
    """The summand of x modulo 2^64 that this party knows; one round."""
    g, pid, [dealer] = op.runtime.geometry, op.runtime.pid, opening.receivers
    sends, sets = pid in opening.senders, g.sets_of(pid)
    period = 1 + g.t if sends else 1
    draws = np.empty((len(sets) * period, n, 2), np.uint64)
    for j, index in enumerate(sets):
        op.of_set(index, b'wave', 2 * n * period, out=draws[j * period:(j + 1) * period])
    own = None
    if sends:
        z = (await op.compute(work, expression)).reshape(n, 2)
        coefs = field.table([g.set_value(k, pid) * (pid + 1)**j
                             for k in sets for j in range(period)])
        own = await op.compute(12 * n, field.add_masks, np.ascontiguousarray(z),
                               field.limbs(1 << (g.product_bits - 1)), draws, coefs, period,
                               g.mask_bits)
        opening.send(own, 0)
    masks = draws[::period, :, 0]
    if pid == dealer:
        shares, points = await opening.receive(own, 0, n)
        opened = await op.compute(4 * n, field.combine, shares,
                                  g.recombination(tuple(points)))
        word = opened[:, 0] - masks.sum(0, dtype=np.uint64)
    else:
        [others] = [j for j, index in enumerate(sets) if dealer not in g.sets[index]]
        word = np.uint64(0) - masks[others]
    op.round()
    return word


def _factors(word, coefficients, places, dealer):
    """Per number the 2 K factors: the dealer's (c sin, c cos) as elements, or (cos, sin) as int64.
    """
    terms = np.array(list(coefficients), np.int64)
    unit = float(1 << FRAC)
    turns = word << np.uint64(64 - places)
    if dealer:
        out = np.empty((len(word) * 2 * len(terms), 2), np.uint64)
        _fill_elements(turns, terms, np.array(list(coefficients.values())) * unit, out)
        return out
    small = np.empty((len(word), 2 * len(terms)), np.int64)
    _fill(turns, terms, np.full(len(terms), unit), small[:, 1::2], small[:, ::2])
    return small


@kernel
def _unit(turns):
    """(cos, sin) of the angle turns / 2^64, of a whole turn, within 1e-12.

    By additions and products of doubles only: all parties but the dealer must come to the very same
    numbers, and libraries differ in the last digit of a cosine, even by processor.
    """
    signed = np.int64(turns)
    quarter = ((signed >> np.int64(61)) + np.int64(1)) >> np.int64(1)
    z = np.float64(signed - (quarter << np.int64(62))) * _RADIANS
    square = z * z
    sine = cosine = 0.0
    for k in range(len(_SINE)):
        sine = sine * square + _SINE[k]
        cosine = cosine * square + _COSINE[k]
    sine *= z
    quarter &= np.int64(3)
    if quarter == 0:
        return cosine, sine
    if quarter == 1:
        return -sine, cosine
    if quarter == 2:
        return -cosine, -sine
    return sine, -cosine


@kernel
def _fill(turns, terms, scales, sines, cosines):
    """Scaled and rounded sines and cosines of multiples (ascending) of the angles turns / 2^64."""
    for i in range(turns.size):
        re, im = _unit(turns[i])
        x, y, k = 1.0, 0.0, 0
        for j in range(terms.size):
            while k < terms[j]:
                x, y = x * re - y * im, x * im + y * re
                k += 1
            sines[i, j] = np.int64(np.rint(y * scales[j]))
            cosines[i, j] = np.int64(np.rint(x * scales[j]))


@kernel
def _fill_elements(turns, terms, scales, out):
    """The same in the order sine, cosine, as field elements (n·2 K, 2)."""
    units = np.empty((1, 2 * terms.size), np.int64)
    for i in range(turns.size):
        _fill(turns[i:i + 1], terms, scales, units[:, ::2], units[:, 1::2])
        for j in range(units.size):
            # p - v is the bits of -v less one, under 2^63 - 1.
            below = np.uint64(units[0, j] < 0)
            at = i * units.size + j
            out[at, 0] = np.uint64(units[0, j]) - below
            out[at, 1] = below * np.uint64(0x7fffffffffffffff)


@kernel
def _inner(dealt, small, factor, out):
    """factor · Σ_j dealt[:, j]·small[:, j] for signed small[..] of at most 28 bits."""
    zero, top = np.uint64(0), np.uint64(0x7fffffffffffffff)
    for i in range(out.shape[0]):
        a0 = a1 = a2 = zero
        for j in range(small.shape[1]):
            # For a negative number the negative element, p - x.
            flip = np.uint64(small[i, j] >> np.int64(63))
            a0, a1, a2 = mac_small(a0, a1, a2, dealt[i, j, 0] ^ flip,
                                   (dealt[i, j, 1] ^ flip) & top, np.uint64(abs(small[i, j])))
        a0, a1 = reduce3(a0, a1, a2)
        out[i, 0], out[i, 1] = f_mul(a0, a1, factor[0, 0], factor[0, 1])
