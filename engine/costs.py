"""What every primitive costs, predicted from its size: rounds, and payload bytes over all parties.

`COSTS[name](n, m, t)` is the prediction for one operation of that name (as the meter records it)
with n result elements, m parties and threshold t. The roles of the parties rotate with the
operation's number, so only the sum over all parties is fixed; a party's share of it is 1/m on
average. The tests assert that prediction and measurement agree exactly.

Operations that are not listed are local: no rounds, no bytes.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

from engine.shamir import Geometry

ELEMENT = 16
"""Bytes of a field element."""
WORD = 8
"""Bytes of a word of packed secret bits, and of half an element."""
DIGEST = 16
"""Bytes of a digest."""
LONG_OUTPUT = 1 << 12
"""Elements from which on the bytes that half a share saves are worth a digest and a word."""


class Prediction(NamedTuple):
    """Rounds, and payload bytes sent by all parties together."""

    rounds: int
    total_bytes: int


# --- sharing, opening, products ---

def share(n: int, m: int, t: int) -> Prediction:
    """An input: t receivers derive their share, m - 1 - t are sent theirs."""
    return _prediction(m, 1, ELEMENT * n * (m - 1 - t))


def open_all(n: int, m: int, t: int, receivers: int | None = None,
             raw: bool = False) -> Prediction:
    """An output: every receiver gets t shares, or half a share and a digest, and says its word.

    So it is while the numbers fit 64 bits.
    """
    size = WORD * n + DIGEST + 1 if takes_low_words(n, t, raw) else ELEMENT * n * t
    return _prediction(m, 1, size * (m if receivers is None else receivers))


def open_inside(n: int, m: int, t: int) -> Prediction:
    """An opening of any elements to all parties, inside of an operation."""
    return open_all(n, m, t, raw=True)


def takes_low_words(n: int, t: int, raw: bool) -> bool:
    """Whether an output sends half a share first (`engine.output`)."""
    return t == 1 and n >= LONG_OUTPUT and not raw


def product(n: int, m: int, t: int) -> Prediction:
    """A product with or without truncation; n is the size of the result."""
    return _prediction(m, 1, ELEMENT * n * (2 * t + 1) * (_active(m, t) - 1))


def truncate(n: int, m: int, t: int) -> Prediction:
    """A truncation alone: only t + 1 parties send."""
    return _prediction(m, 1, ELEMENT * n * (t + 1) * (_active(m, t) - 1))


# --- comparison and bits ---

def less_than(n: int, m: int, t: int) -> Prediction:
    """A sign bit: opening, carry-save adders, the carry into bit 63, back to the field."""
    return sequence(m, _summands(n, m, t), _and(n, m, t, () if t == 0 else CARRY),
                _to_field(n, m, t))


def open_negative(n: int, m: int, t: int) -> Prediction:
    """A sign bit that is opened at once: t + 1 parties broadcast packed bits."""
    return sequence(m, _summands(n, m, t), _and(n, m, t, () if t == 0 else CARRY),
                Prediction(1, (t + 1) * (m - 1) * -(-n // 8)))


def equal(n: int, m: int, t: int) -> Prediction:
    """A test for zero: an AND of 64 bits in six levels; with t > 1 the sum is not needed either."""
    opening = _open_to_dealers(n, m, t) if t < 2 else _summands(n, m, t)
    return sequence(m, opening, _and(n, m, t, ZERO if t < 2 else (WORD, *ZERO)), _to_field(n, m, t))


def exponent(n: int, m: int, t: int, planes: int = 7) -> Prediction:
    """The position of the leading one, in six shared bits per element, and a bit that tells whether
    it is in the domain; n input elements.
    """
    return sequence(m, _summands(n, m, t), _and(n, m, t, (*all_carries(t), *(WORD,) * 6)),
                _to_field(planes * n, m, t))


def signed_exponent(n: int, m: int, t: int) -> Prediction:
    """The same of the magnitude, and a sign bit."""
    return exponent(n, m, t, planes=8)


def to_bits(n: int, m: int, t: int, bits: int = 64) -> Prediction:
    """The low bits of n numbers, as shared bits."""
    return sequence(m, _summands(n, m, t), _and(n, m, t, all_carries(t)), _to_field(n * bits, m, t))


def random_bits(n: int, m: int, t: int) -> Prediction:
    """Random bits are drawn from keys; bringing them to the field costs."""
    return sequence(m, _to_field(n, m, t))


def check_range(n: int, m: int, t: int) -> Prediction:
    """A proof of range: two words are added, and one bit per number opened."""
    words = 1 if t == 0 else 2
    deal = n * WORD * words * (t + 1) * (_active(m, t) - t - 1)
    return sequence(m, Prediction(2, ELEMENT * t * n + deal),
                    _and(n, m, t, (2 * WORD,) * max(0, t - 1) + range_ands(t)),
                    Prediction(1, (t + 1) * (m - 1) * -(-n // 8)))


# --- additive sharings, shuffle ---

def input_additive(n: int, m: int, t: int, owner_receives: bool = False) -> Prediction:
    """An owner's values among holders: all but one summand come from keys."""
    return _prediction(m, 1, 0 if owner_receives else ELEMENT * n)


def to_shared(n: int, m: int, t: int, holders: int | None = None) -> Prediction:
    """Every holder (t + 1 by default) deals its summand as an input."""
    return _prediction(m, 1, (t + 1 if holders is None else holders) * share(n, m, t).total_bytes)


def hand_over(n: int, m: int, t: int, old: tuple[int, ...] | None = None,
              new: tuple[int, ...] | None = None) -> Prediction:
    """Every old holder sends one summand, unless it is itself the receiver.

    By default between disjoint groups of t + 1.
    """
    if old is None or new is None:
        return _prediction(m, 1, ELEMENT * n * (t + 1))
    sent = sum(giver != new[j % len(new)] for j, giver in enumerate(old))
    return _prediction(m, 1, ELEMENT * n * sent)


def permute(n: int, m: int, t: int) -> Prediction:
    """Two holders have a common key; among t + 1 > 2 the first one sends a 16-byte seed."""
    return Prediction(0, 0) if t < 2 else _prediction(m, 1, 16 * t)


def shuffle(n: int, m: int, t: int) -> Prediction:
    """The whole shuffle of a table of n elements."""
    groups = Geometry(m, t).shuffle_groups()
    return sequence(m, *[permute(n, m, t) for _ in groups], to_shared(n, m, t),
                *[hand_over(n, m, t, a, b) for a, b in itertools.pairwise(groups)])


def send_private(n: int, m: int, t: int) -> Prediction:
    """n words of 8 bytes from one party to another."""
    return _prediction(m, 1, WORD * n)


COSTS: dict[str, Callable[[int, int, int], Prediction]] = {
    'input': share, 'output': open_all, 'open_inside': open_inside, 'multiply': product,
    'matmul': product, 'clip': product, 'encode': product, 'truncate': truncate,
    'less_than': less_than, 'open_negative': open_negative, 'equal': equal,
    'exponent': exponent, 'signed_exponent': signed_exponent, 'to_bits': to_bits,
    'random_bits': random_bits, 'check_range': check_range, 'input_additive': input_additive,
    'to_shared': to_shared,
    'hand_over': hand_over, 'permute': permute, 'draw_order': permute,
    'send_private': send_private,
}


# --- the parts ---

CARRY = (WORD, 8, 4, 2, 1, 1, 1)
"""Widths in bytes of the ANDs on the way to one carry: generate, then six levels."""
ZERO = (4, 2, 1, 1, 1, 1)
"""Widths of the ANDs of a test for zero."""


def _prediction(m, rounds, total_bytes):
    return Prediction(rounds, total_bytes) if m > 1 else Prediction(0, 0)


def sequence(m, *parts):
    """The cost of steps one after the other."""
    return _prediction(m, sum(p.rounds for p in parts), sum(p.total_bytes for p in parts))


def _active(m, t):
    return m - min(t, m - 2 * t - 1)


def _open_to_dealers(n, m, t):
    """t masked shares to the first dealer, then a word from every dealer to a set's others."""
    return Prediction(2, n * (ELEMENT * t + WORD * (t + 1) * (_active(m, t) - t - 1)))


def _summands(n, m, t):
    """The opening, and carry-save adders from t + 1 words to two."""
    return sequence(m, _open_to_dealers(n, m, t), _and(n, m, t, (WORD,) * max(0, t - 1)))


def _and(n, m, t, widths):
    """ANDs one after the other, of so many bytes per element each."""
    active = _active(m, t)
    return Prediction(len(widths), n * sum(widths) * active * (active - t - 1))


def range_ands(t):
    """Widths of the ANDs of a proof of range."""
    return ZERO if t == 0 else (*CARRY, 1, WORD, *ZERO)


def all_carries(t):
    """Widths of the ANDs of a full sum of two words; with t = 0 there is only one word."""
    return () if t == 0 else (WORD, *(2 * WORD,) * 6)


def _to_field(n, m, t):
    """t + 1 dealt parts, combined in pairs by t products."""
    deals = (t + 1) * share(n, m, t).total_bytes
    return Prediction(1 + t.bit_length(), deals + product(n * t, m, t).total_bytes)
