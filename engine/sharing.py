"""Sharing and opening: how values enter secure arrays, and how they leave.

Sources: Shamir, "How to share a secret", CACM 1979; for shares that are derived from keys, Cramer,
Damgård, Ishai, TCC 2005.
"""

import math
from collections.abc import Iterable

import numpy as np

from engine import field
from engine.array import SecureArray
from engine.base import RuntimeBase
from engine.costs_verified import predict
from engine.dealing import Dealing
from engine.errors import LocalProtocolError
from engine.operation import Operation
from engine.output import CheckedOutput, Output
from engine.verified import check_dealing


class Sharing(RuntimeBase):
    """Inputs and outputs of secure arrays (a mix-in of `engine.runtime.Runtime`)."""

    def deal(self, values, owner: int, shape, frac: int) -> SecureArray:
        """Shares of the owner's field elements (`values` is used at the owner only).

        t receivers derive their share from a pairwise key; the others are sent one element per
        value: one round, 16 (m - 1 - t) n bytes in all. Reveals nothing to t parties. In verified
        mode the receivers check that the shares are consistent before anything uses them.
        """
        shape = tuple(shape)
        # The digest of shape and frac travels with the shares: reals must not be read as integers.
        op = Operation(self, 'input', (*shape, frac))
        op.expected = predict('input', math.prod(shape), self.geometry)

        async def body(op):
            n = math.prod(shape)
            dealing = Dealing(op, owner, n)
            if self.pid == owner:
                if values.shape[:-1] != shape:
                    raise LocalProtocolError(
                        'wrong-shape', f'input of shape {values.shape[:-1]}, expected {shape}')
                share = await dealing.give(values.reshape(-1, 2))
            else:
                share = await dealing.take()
            op.round()
            if self.geometry.verified:
                await check_dealing(op, share, owner)
            return share.reshape(*shape, 2)
        return self.issue(op, [], body, SecureArray(self, shape, frac))

    def open_array(self, x: SecureArray, receivers=None, raw=False, masked=False):
        """Future of the opened value at the receivers, of None elsewhere.

        Every receiver gets t shares: one round, 16 t n bytes per receiver; with t = 1 from 4,096
        numbers on 8 n + 17, and two rounds and 16 n bytes more, which tells those who send them,
        where a number does not fit 64 bits (`engine.output`). With `raw` they may be any elements,
        and 16 t n bytes are sent. In verified mode above 256 numbers a round before it in which all
        parties confirm that they have got here, and digests of the other shares; of fewer numbers
        all m - 1 shares, under seals, and 32 m bytes with each. Wrong shares of up to t
        parties are corrected, at the cost of two rounds and 32 t n bytes where that is necessary,
        and their senders named in `Runtime.suspects`. What is `masked`, so that it says nothing
        about any secret, opens without that first round or seals. Raises ValueError for receivers
        that are no parties.
        """
        receivers = {*party_numbers(receivers, self.geometry.m, 'receivers')}
        verified = self.geometry.verified
        name = 'open_masked' if masked and verified else 'output'
        op = Operation(self, name, x.shape)
        op.expected = predict(name, x.size, self.geometry, receivers=len(receivers), raw=raw)

        async def body(op, deliver, share):
            flat = field.rows(share)
            what = (op, receivers, x.size, x.frac, raw)
            opening = CheckedOutput(*what, masked) if verified else Output(*what)
            await opening.give(flat)
            attending = opening.attend(flat)
            opened = await opening.receive(flat) if self.pid in receivers else None
            op.round()
            deliver(None if opened is None else _decoded(opened, x.shape, x.frac, raw))
            await attending
        return self.issue_early(op, [x], body)


def party_numbers(which, m: int, what: str) -> list[int]:
    """One party's number, those of several, or None for all m, as a list.

    Raises ValueError that says what was expected of `what` for anything else.
    """
    found = range(m) if which is None else list(which) if isinstance(which, Iterable) else [which]
    if not all(isinstance(party, int | np.integer) and 0 <= party < m for party in found):
        raise ValueError(f'{what} {which!r}: expected numbers of parties, 0 to {m - 1}')
    return [int(party) for party in found]


def parties_of(which, m: int, what: str):
    """`which` as MPyC's functions take it: None, one party's number, or a list of those of several.

    Raises ValueError for numbers that are none of a party. A program for several parties may run
    alone: then other receivers get nothing, as with MPyC.
    """
    if which is None:
        return None
    if m == 1 and what == 'receivers':
        which = [p for p in (which if isinstance(which, Iterable) else [which]) if p == 0]
    found = party_numbers(which, m, what)
    return found if isinstance(which, Iterable) else found[0]


def _decoded(x, shape, frac, raw):
    if x.ndim == 1:
        return x.reshape(shape)
    x = x.reshape(*shape, 2)
    if raw:
        signed = field.to_ints(x)
        return np.where(signed > field.P // 2, signed - field.P, signed)
    return field.decode_float(x, frac) if frac else field.decode_int(x)
