"""What two parties know alike: that it is the same, and shares of it for everybody.

A value that two parties (the holders) know, and t = 1 other party may not learn, needs no dealer.
It is split into r, from the key that all parties but a hold, and the rest, which the holders know
too and tell a (of more than four parties all others but b). Both summands are known to whole PRSS
sets, so each party's share is local (share conversion, Cramer, Damgård, Ishai, TCC 2005). In
verified mode one holder sends the rest and the other vouches for it, so neither can change the
value alone (joint messages: Dalskov, Escudero, Keller, "Fantastic Four", USENIX Security 2021).
"""

import math

import numpy as np

from engine import field
from engine.array import SecureArray
from engine.checked_opening import cheating
from engine.costs import ELEMENT, Prediction
from engine.costs_verified import DIGEST
from engine.errors import LocalProtocolError
from engine.operation import Operation
from engine.verified import receive_jointly, send_jointly, speakers


def joint_input(mpc, holders, shape, values, inputs=()) -> SecureArray:
    """Shares of integers (field elements, shape (*shape, 2)) that two parties know.

    `values(*shares)` gives them at the holders, from their shares of the arrays `inputs`, and is
    not called elsewhere. Needs t = 1 and m >= 4. One round; `joint_input_cost`. Reveals nothing to
    any one party that is no holder. In verified mode the shares are right if one holder is honest:
    another one's lie ends in RemoteProtocolError `cheating-detected`.
    """
    g, shape = mpc.geometry, tuple(shape)
    others = [p for p in range(g.m) if p not in holders]
    if g.t != 1 or len(holders) != 2 or len(others) < 2:
        raise LocalProtocolError(
            'not-available', f'an input of parties {tuple(holders)} among {g.m} with threshold '
            f'{g.t}: expected two holders, two or more others and threshold 1',
            remedy='let one of the holders put it in')
    op, n = Operation(mpc, 'joint_input', shape), math.prod(shape)
    op.expected = joint_input_cost(n, g.m, g.verified)
    a, b = (others * 2)[op.rotation % len(others):][:2]
    keyed, told = _all_but(g, a), _all_but(g, b)
    receivers = [p for p in others if p != b]
    group = speakers(holders, 1 if g.verified else 0, op.rotation)

    async def body(op, *shares):
        own = rest = None
        if mpc.pid != a:
            own = field.uniform(op.of_set(keyed, b'joint', 2 * n).reshape(n, 2))
        if mpc.pid in holders:
            known = await op.compute(2 * n, values, *shares)
            if known.shape != (*shape, 2):
                raise LocalProtocolError(
                    'wrong-shape', f'input of shape {known.shape[:-1]}, expected {shape}')
            rest = field.sub(known.reshape(n, 2), own)
            if mpc.pid in group:
                send_jointly(op, group, receivers, rest, 0)
        elif mpc.pid in receivers:
            rest = await receive_jointly(op, group, (n, 2), np.uint64, 0, elements=True)
        op.round()
        parts = [(own, keyed), (rest, told)]
        weighted = [field.affine(part, g.set_value(k, mpc.pid)) for part, k in parts
                    if part is not None and g.set_value(k, mpc.pid)]
        total = weighted[0] if len(weighted) == 1 else field.add(*weighted)
        return total.reshape(*shape, 2)
    return mpc.issue(op, list(inputs), body, SecureArray(mpc, shape, 0))


def joint_input_cost(n: int, m: int, verified: bool) -> Prediction:
    """`joint_input` of n elements: all others but one are told the rest."""
    return Prediction(1, (m - 3) * (ELEMENT * n + (DIGEST if verified else 0)))


def _all_but(g, party):
    """Index of the PRSS set that lacks one party."""
    return next(k for k, s in enumerate(g.sets) if party not in s)


def agree(mpc, holders, words, shape):
    """A future that fails with `cheating-detected` unless both holders have the same words.

    `words` (an array of that shape at the holders, of any type) stay where they are; each holder
    gets a digest of the other's. One round, 32 bytes in all. For verified mode.
    """
    op = Operation(mpc, 'agree', shape)
    op.expected = Prediction(1, 2 * DIGEST)

    async def body(op):
        if mpc.pid in holders:
            other = holders[1 - holders.index(mpc.pid)]
            op.send_digest(other, words)
            if not op.vouches(other, await op.receive_digest(other), words):
                raise cheating(op, 'what an owner told both helpers is not the same',
                               set(range(mpc.geometry.m)) - {mpc.pid})
        op.round()
    return mpc.issue_value(op, [], body)
