"""What every primitive costs in verified mode; `predict` for either mode.

As in `engine.costs`, with 16 bytes more for every digest: an opening of degree d reaches each
receiver as d shares and m - 1 - d digests, and what a group of parties knows is sent once, and all
of it in one operation vouched for t times. A dealt sharing takes one more round, in which it is
checked.
"""

import functools
import itertools
import math

from engine import costs
from engine.costs import DIGEST, ELEMENT, WORD, Prediction
from engine.sealing import sealed_size
from engine.shamir import Geometry

PIECE = 1 << 17
"""Elements of a product that are opened, and vouched for, together."""
FEW = 16
"""Elements of an opening up to which all parties send their shares, and none a digest."""
SMALL_OUTPUT = 1 << 8
"""Elements up to which an output is opened with everybody's shares, sealed and without digests."""


def predict(name: str, n: int, geometry: Geometry, **more) -> Prediction | None:
    """The cost of one operation, None for one that is not listed (local).

    `more` refines it: `receivers` of an output (number), `bits` of a decomposition.
    """
    return _predict(name, n, geometry.m, geometry.t, geometry.verified, **more)


@functools.lru_cache(4096)
def _predict(name, n, m, t, verified, **more):
    formula = (COSTS if verified else costs.COSTS).get(name)
    return formula(n, m, t, **more) if formula else None


def share(n: int, m: int, t: int) -> Prediction:
    """An input, and the comparison of one combination among the receivers."""
    check = costs.Prediction(1, ELEMENT * (m - 1) * (m - 2))
    if t > 1:
        check = _sum(m, check, sealed(ELEMENT, m, m))
    return _sum(m, costs.share(n, m, t), check)


def coin(m: int, t: int) -> Prediction:
    """The opening of a public coin, to all parties."""
    return _sum(m, Prediction(1, _opening(1, m, t, m)))


def open_all(n: int, m: int, t: int, receivers: int | None = None,
             raw: bool = False) -> Prediction:
    """An output as long as nobody lies and the numbers fit 64 bits: sealed shares of a small one,
    otherwise the word of all parties, and what a masked one costs."""
    receivers = m if receivers is None else receivers
    if n <= SMALL_OUTPUT:
        return sealed(ELEMENT * n, m, receivers)
    return _sum(m, Prediction(1, 0), open_masked(n, m, t, receivers, raw))


def sealed(size: int, m: int, receivers: int) -> Prediction:
    """`size` bytes of every party to some receivers, under seals."""
    return _sum(m, Prediction(1, receivers * (m - 1) * sealed_size(size, m)))


def open_masked(n: int, m: int, t: int, receivers: int | None = None,
                raw: bool = False) -> Prediction:
    """An output of what says nothing about a secret: t shares, or half a share, and m - 1 - t
    digests for every receiver, and its word that it has its value. Of a small one all shares."""
    receivers = m if receivers is None else receivers
    shares, words = (m - 1, 0) if n <= SMALL_OUTPUT else (t, t)
    size = ELEMENT * n * shares
    if costs.takes_low_words(n, t, raw):
        size, words = WORD * n, 2
    return _sum(m, Prediction(1, receivers * (size + DIGEST * (m - 1 - shares) + words)))


def open_inside(n: int, m: int, t: int) -> Prediction:
    """An opening to all parties inside of an operation: sealed shares of few numbers, otherwise the
    word of all, shares and digests."""
    if n <= SMALL_OUTPUT:
        return sealed(ELEMENT * n, m, m)
    return _sum(m, Prediction(2, m * (ELEMENT * n * t + DIGEST * (m - 1 - t))))


def product(n: int, m: int, t: int) -> Prediction:
    """A product with or without truncation; n is the size of the result."""
    return _sum(m, Prediction(1, _reduction(n, m, t, 2 * t)))


def truncate(n: int, m: int, t: int) -> Prediction:
    """A truncation alone."""
    return _sum(m, Prediction(1, _reduction(n, m, t, t)))


def less_than(n: int, m: int, t: int) -> Prediction:
    """A sign bit, as in the default mode."""
    return _sum(m, _summands(n, m, t), _and(n, m, t, () if t == 0 else costs.CARRY),
                _to_field(n, m, t), _vouched(m, t))


def open_negative(n: int, m: int, t: int) -> Prediction:
    """A sign bit that is opened at once: the word of all parties, then every party is told the
    components that it lacks."""
    sets = len(Geometry(m, t).sets)
    return _sum(m, _summands(n, m, t), _and(n, m, t, () if t == 0 else costs.CARRY),
                _vouched(m, t), Prediction(2, sets * t * (-(-n // 8) + DIGEST * t)))


def equal(n: int, m: int, t: int) -> Prediction:
    """A test for zero."""
    opening = _open_to_group(n, m, t) if t < 2 else _summands(n, m, t)
    widths = costs.ZERO if t < 2 else (WORD, *costs.ZERO)
    return _sum(m, opening, _and(n, m, t, widths), _to_field(n, m, t), _vouched(m, t))


def exponent(n: int, m: int, t: int, planes: int = 7) -> Prediction:
    """The position of the leading one and whether it is in the domain; n input elements."""
    return _sum(m, _summands(n, m, t), _and(n, m, t, (*costs.all_carries(t), *(WORD,) * 6)),
                _to_field(planes * n, m, t), _vouched(m, t))


def signed_exponent(n: int, m: int, t: int) -> Prediction:
    """The same of the magnitude, and a sign bit."""
    return exponent(n, m, t, planes=8)


def to_bits(n: int, m: int, t: int, bits: int = 64) -> Prediction:
    """The low bits of n numbers, as shared bits."""
    return _sum(m, _summands(n, m, t), _and(n, m, t, costs.all_carries(t)),
                _to_field(n * bits, m, t), _vouched(m, t))


def random_bits(n: int, m: int, t: int) -> Prediction:
    """Random bits are drawn from keys; bringing them to the field costs."""
    return _sum(m, _to_field(n, m, t), _vouched(m, t, ands=False))


def check_range(n: int, m: int, t: int) -> Prediction:
    """A proof of range."""
    words, sets = 1 if t == 0 else 2, len(Geometry(m, t).sets)
    start = Prediction(2, _opening(n, m, t, t + 1) + _deal(words * WORD * n, m, t))
    adders = (2 * WORD,) * max(0, _groups(m, t) - 2)
    return _sum(m, start, _and(n, m, t, adders + costs.range_ands(t)), _vouched(m, t),
                Prediction(2, sets * t * (-(-n // 8) + DIGEST * t)))


def shuffle(n: int, m: int, t: int, rows: int | None = None, kept: bool = False) -> Prediction:
    """As in the default mode with one more column while the groups hold the table, and the check
    (`engine.verified_shuffle`); n is rows times columns, of which there is one unless told. An
    order that is `kept` is not drawn again."""
    rows = n if rows is None else rows
    if not t or not n:
        return Prediction(0, 0)
    groups = Geometry(m, t, True).shuffle_groups()
    seeds = 0 if kept else len(groups) * costs.permute(1, m, t).total_bytes
    handing = _sum(m, *[costs.hand_over(n + rows, m, t, a, b)
                        for a, b in itertools.pairwise(groups)])
    check = _opening(1, m, t, t + 1) + sealed(ELEMENT, m, m).total_bytes + \
        _opening(1, m, 2 * t, m) + ELEMENT * (m + t + 1) * (m - 1)
    return _sum(m, Prediction(1, seeds + t * ELEMENT * rows), handing, costs.to_shared(n, m, t),
                Prediction(3, check))


def agree_on_keys(n: int, m: int, t: int) -> Prediction:
    """At the start, the fingerprints of common keys between every two parties."""
    return _sum(m, Prediction(1, DIGEST * m * (m - 1) * (math.comb(m - 2, t) if m > 1 else 0)))


COSTS = {
    'agree_on_keys': agree_on_keys,
    'input': share, 'output': open_all, 'open_masked': open_masked, 'open_inside': open_inside,
    'multiply': product, 'matmul': product, 'clip': product, 'encode': product,
    'truncate': truncate, 'less_than': less_than, 'open_negative': open_negative, 'equal': equal,
    'exponent': exponent, 'signed_exponent': signed_exponent, 'to_bits': to_bits,
    'random_bits': random_bits, 'check_range': check_range, 'shuffle': shuffle,
}


# --- the parts ---

def _sum(m, *parts):
    return costs.sequence(m, *parts)


def _opening(n, m, degree, receivers):
    """Bytes of an opening: shares, and a digest per piece from everybody else; all shares of a
    small piece."""
    whole, last = divmod(n, PIECE)
    total = whole * (ELEMENT * PIECE * degree + DIGEST * (m - 1 - degree))
    if last > FEW:
        total += ELEMENT * last * degree + DIGEST * (m - 1 - degree)
    else:
        total += ELEMENT * last * (m - 1)
    return receivers * total


def _reduction(n, m, t, degree):
    """Bytes of masked values that go back to degree t: opened to the holders only."""
    return _opening(n, m, degree, Geometry(m, t, True).holders)


def _deal(size, m, t):
    """Bytes of the words that each of the joint groups deals to one set's others."""
    return _groups(m, t) * (m - 2 * t - 1) * size


def _vouched(m, t, ands=True):
    """The digests of all that one operation deals so, and of its ANDs if there are any."""
    receivers = _groups(m, t) * (m - 2 * t - 1)
    if ands:
        receivers += sum(m - t - size for size in _intersections(m, t))
    return Prediction(0, DIGEST * t * receivers)


@functools.cache
def _groups(m, t):
    return len(Geometry(m, t, True).joint_groups())


def _open_to_group(n, m, t):
    """Masked shares to the first group, then a word from every group to a set's others."""
    return Prediction(2, _opening(n, m, t, t + 1) + _deal(WORD * n, m, t))


def _summands(n, m, t):
    """The opening, and carry-save adders from one word per group to two."""
    return _sum(m, _open_to_group(n, m, t), _and(n, m, t, (WORD,) * max(0, _groups(m, t) - 2)))


def _and(n, m, t, widths):
    """ANDs one after the other; every intersection of two sets tells a set's others."""
    return Prediction(len(widths), sum(
        w * n * (m - t - size) for w in widths for size in _intersections(m, t)))


@functools.cache
def _intersections(m, t):
    """Sizes of the different intersections of two sets."""
    sets = Geometry(m, t).sets
    return [len(k) for k in {frozenset(a) & frozenset(b) for a in sets for b in sets if a != b}]


def _to_field(n, m, t):
    """One number from every group, combined in pairs."""
    groups = _groups(m, t)
    total, rounds = _deal(ELEMENT * n, m, t), 1
    while groups > 1:
        pairs = groups // 2
        total += _reduction(n * pairs, m, t, 2 * t)
        groups, rounds = groups - pairs, rounds + 1
    return Prediction(rounds, total)
