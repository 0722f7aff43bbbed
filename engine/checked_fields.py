"""Verified mode over any finite field of MPyC's: opening, product and input that are checked.

MPyC's protocols send three things only: shares of what is opened, shares of products, and inputs.
Here is each of them in a form in which up to t of m >= 3t + 1 parties may lie. The field must have
more than m elements, as for any Shamir sharing, and may be small otherwise: nothing rests on a
random linear combination. Values are Python integers or polynomials over GF(p), as MPyC has them.

* An opening of degree at most 2t is that of `engine.checked_opening`, over this field.
* A product's shares of degree 2t, under a random mask and a sharing of zero from PRSS, are opened
  to all parties; the share of the product is what opened minus the mask's share.
* The owner of an input learns a random number r from PRSS and tells everybody the difference of its
  value and r, which all others then compare. The share is r's plus the difference: of degree t,
  whatever the owner does. For values in a subfield r is drawn there, and so must the difference be.

Bytes are those of elements in MPyC's portable format (`field.byte_length`). Sources: Damgård,
Nielsen, CRYPTO 2007 (products and inputs by opened masks); as in `engine.verified` otherwise.
"""

import numpy as np

from engine import costs, costs_verified
from engine._mpyc import asyncoro, mpyc_runtime
from engine.checked_opening import CheckedOpening, cheating
from engine.costs import Prediction
from engine.costs_verified import DIGEST
from engine.operation import Operation
from engine.verified import confirm

_DIFFERENCE, _SAME = 1, 2
_thresha = mpyc_runtime.thresha


def output_cost(n: int, width: int, m: int, t: int, receivers: int,
                masked: bool = False) -> Prediction:
    """`opened`: n elements of `width` bytes."""
    if not masked and _is_small(n, width):
        return costs_verified.sealed(n * width, m, receivers)
    return costs.sequence(m, Prediction(1 if masked else 2, _opening(n, width, m, t, receivers)))


def _is_small(n, width):
    return n * width <= costs.ELEMENT * costs_verified.SMALL_OUTPUT


def multiply_cost(n: int, width: int, m: int, t: int) -> Prediction:
    """`reduced`."""
    return costs.sequence(m, Prediction(1, _opening(n, width, m, t, m)))


def input_cost(n: int, width: int, m: int, t: int) -> Prediction:
    """`dealt`."""
    told = (m - 1) * width * n + DIGEST * (m - 1) * (m - 2)
    return costs.sequence(m, Prediction(3, _opening(n, width, m, t, 1) + told))


def _opening(n, width, m, t, receivers):
    return receivers * (width * n * 2 * t + DIGEST * (m - 1 - 2 * t))


class FieldOpening(CheckedOpening):
    """`CheckedOpening` of shares over a field of MPyC's, as bytes (n, field.byte_length)."""

    def __init__(self, op, field, degree: int, receivers, sealed=False):
        super().__init__(op, degree, receivers, full=2 * op.runtime.geometry.t, correct=True,
                         sealed=sealed)
        self.field = field

    async def opened(self, own: np.ndarray) -> list | None:
        """The n opened values at a receiver, None elsewhere; `own` are this party's shares."""
        self.send(own)
        if self.pid not in self.receivers:
            return None
        shares, points = await self.receive(own)
        return _recombined(self.field, self._numbers(shares), points, 0)

    async def _elements(self, party, n, tag):
        return await _received(self.op, self.field, party, n, tag)

    def _read(self, held):
        return None

    def _valid(self, share):
        return _are_elements(self.field, share)

    def _numbers(self, shares):
        return [self.field.from_bytes(words.tobytes()) for words in shares]

    async def _implied(self, fixing, points, party):
        return _words(self.field, _recombined(self.field, fixing, points, party + 1))

    def _vouch(self, receivers, own, tag):
        for receiver in receivers:
            self.op.send_digest(receiver, own, tag)

    async def _contradicting(self, fixing, points, digests, tag):
        return {p for p, digest in digests.items() if not self.op.vouches(
            p, digest, await self._implied(fixing, points, p), tag)}


def _recombined(field, shares, parties, at):
    if not shares[0]:
        return []
    points = [(p + 1, share) for p, share in zip(parties, shares, strict=True)]
    return [value % field.modulus for value in _thresha.recombine(field, points, at)]


def _words(field, values) -> np.ndarray:
    """Values in MPyC's portable format, shape (n, field.byte_length)."""
    data = np.frombuffer(field.to_bytes(values), np.uint8)
    return data.reshape(len(values), field.byte_length)


async def _received(op, field, party, n, tag):
    """n elements from a party; RemoteProtocolError `bad-element` for numbers that are none."""
    words = await op.receive(party, (n, field.byte_length), np.uint8, tag)
    if not _are_elements(field, words):
        raise op.bad_element(party)
    return words


def _are_elements(field, words):
    return all(int(value) < field.order for value in field.from_bytes(words.tobytes()))


def opened(rt, field, values: list, receivers, masked: bool = False) -> asyncoro.Future:
    """Future of the values of which `values` are this party's shares of degree t; None where
    this party is no receiver.

    Cost: `output_cost`. It opens only when all parties have come so far with every check passed: up
    to 4 kB under seals, more in two rounds. What is `masked`, so that it says nothing about any
    secret, opens in one round without seals. Wrong shares of up to t parties are corrected, and
    their senders named in `Runtime.suspects`. Opens to the receivers.
    """
    g, n = rt.geometry, len(values)
    receivers = sorted(receivers)
    op = Operation(rt, 'field_open_masked' if masked else 'field_output', (n, field.byte_length))
    op.expected = output_cost(n, field.byte_length, g.m, g.t, len(receivers), masked)
    own = _words(field, values)
    small = _is_small(*own.shape)

    async def body(op):
        if not masked and not small:
            await confirm(op)
        result = await FieldOpening(op, field, g.t, receivers, small and not masked).opened(own)
        op.round()
        return result
    return rt.issue_value(op, [], body)


def reduced(rt, field, values: list) -> asyncoro.Future:
    """Future of shares of degree t, fresh ones, of what `values` are shares of degree 2t.

    One round, `multiply_cost`. Reveals nothing to t parties: the mask is uniform in the field.
    Raises RemoteProtocolError `cheating-detected`, which cannot say who lied.
    """
    g, n = rt.geometry, len(values)
    mask = random_shares(rt, field, n)
    zero = zero_shares(rt, field, n)
    own = _words(field, [(v + r.value + z.value) % field.modulus
                         for v, r, z in zip(values, mask, zero, strict=True)])
    op = Operation(rt, 'field_multiply', (n, field.byte_length))
    op.expected = multiply_cost(n, field.byte_length, g.m, g.t)

    async def body(op):
        op.multiplications = n
        shown = await FieldOpening(op, field, 2 * g.t, range(g.m)).opened(own)
        op.round()
        return [(c - r.value) % field.modulus for c, r in zip(shown, mask, strict=True)]
    return rt.issue_value(op, [], body)


def dealt(rt, field, values: list | None, n: int, owner: int, subfield=None) -> asyncoro.Future:
    """Future of this party's shares of the owner's n values (`values` at the owner only).

    With `subfield`, a prime field inside of `field`, nothing else passes. Three rounds,
    `input_cost`. Reveals nothing to t parties. Raises RemoteProtocolError `cheating-detected` where
    the owner told two parties different things; it names nobody with t > 1, and otherwise the owner
    and whoever reports it.
    """
    g, pid = rt.geometry, rt.pid
    mask = random_shares(rt, field, n, None if subfield is None else subfield.order)
    op = Operation(rt, 'field_input', (n, field.byte_length))
    op.expected = input_cost(n, field.byte_length, g.m, g.t)
    others = [p for p in range(g.m) if p not in (owner, pid)]

    async def body(op):
        own = _words(field, [r.value for r in mask])
        known = await FieldOpening(op, field, g.t, [owner]).opened(own)
        op.round()
        if pid == owner:
            told = _words(field, [(v - r) % field.modulus
                                  for v, r in zip(values, known, strict=True)])
            for peer in others:
                op.send(peer, told, _DIFFERENCE)
            op.round()
        else:
            told = await _received(op, field, owner, n, _DIFFERENCE)
            op.round()
            for peer in others:
                op.send_digest(peer, told, _SAME)
            for peer in others:
                if not op.vouches(peer, await op.receive_digest(peer, _SAME), told, _SAME):
                    raise cheating(op, f'party {owner} told two parties different things',
                                   {owner, peer} if g.t == 1 else set(range(g.m)) - {pid})
        op.round()
        difference = field.from_bytes(told.tobytes())
        limit = field.order if subfield is None else subfield.order
        if pid != owner and any(int(d) >= limit for d in difference):
            raise cheating(op, f'party {owner} put in values outside of their field', {owner})
        return [(d + r.value) % field.modulus for d, r in zip(difference, mask, strict=True)]
    return rt.issue_value(op, [], body)


def random_shares(rt, field, n: int, bound: int | None = None) -> list:
    """Shares of n random elements that no t parties know, of those below `bound`; local."""
    prfs = rt.prfs(field.order if bound is None else bound)
    return _thresha.pseudorandom_share(field, rt.geometry.m, rt.pid, prfs, rt._prss_uci(), n)


def zero_shares(rt, field, n: int) -> list:
    """Shares of degree 2t of n zeros, random otherwise; local."""
    return _thresha.pseudorandom_share_zero(field, rt.geometry.m, rt.pid, rt.prfs(field.order),
                                            rt._prss_uci(), n)
