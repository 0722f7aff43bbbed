"""Secret shuffle in verified mode, for t = 1: every row that moves is known to two parties.

For every party `a` in turn, the others permute the rows by an order from the key that only they
have; nobody knows the composition. While `a` is left out the rows are the sum of components u_y,
one per other party y, which everybody but a and y holds, so each is known to at least two. Before
the turn of the next party b, a is told the components that it will hold, masked afresh by the
others' key, by one holder and vouched for by another. The first turn begins with an opening
of x - r, the last one ends in Shamir shares by share conversion.

m + 1 rounds; 16 ((m - 2) + (m - 1)^2) bytes in all per table element (11 elements for m = 4).
Sources: Laur, Willemson, Zhang, ISC 2011 (resharing-based shuffle); Dalskov, Escudero, Keller,
"Fantastic Four", USENIX Security 2021 (joint messages).
"""

import functools
import math

import numpy as np

from engine import field
from engine.array import SecureArray
from engine.errors import LocalProtocolError
from engine.operation import Operation
from engine.permutation import move, random_order
from engine.verified import CheckedOpening, receive_jointly, send_jointly, speakers


def shuffle(rt, table: SecureArray) -> SecureArray:
    """Rows of a table in a uniformly random order that no party knows.

    Raises LocalProtocolError for t > 1.
    """
    if rt.geometry.t > 1:
        raise LocalProtocolError(
            'not-available', f'shuffle and sort in verified mode with t = {rt.geometry.t}',
            remedy='use t = 1, or the default mode')
    op = Operation(rt, 'shuffle', table.shape)
    body = _by_turns if rt.geometry.t else _by_all
    return rt.issue(op, [table], body, SecureArray(rt, table.shape, table.frac))


async def _by_all(op, share):
    """t = 0: one order that all parties know."""
    return share[_order(op, 0, 0, len(share))]


def _order(op, key, piece, rows):
    return random_order(lambda k: op.of_set(key, b'order', k, piece), rows)


async def _by_turns(op, share):
    rt, pid, shape = op.runtime, op.runtime.pid, share.shape
    m, rows = rt.geometry.m, shape[0]
    table = np.ascontiguousarray(share).reshape(rows, math.prod(shape[1:-1]), 2)
    # The index of the set of all parties but one, by that one.
    key = {a: k for k, s in enumerate(rt.geometry.sets) for a in range(m) if a not in s}
    held = await _components(op, table, key)
    for a in range(m):
        b = a + 1 if a + 1 < m else None
        told = [y for y in range(m) if y not in (a, b)]
        new = {}
        if pid != a:
            new = await op.compute(40 * table.size, _turn, op, key[a], a, b, told, held, rows)
        for y in told:
            group = speakers([p for p in range(m) if p not in (a, y)], 1, op.rotation + y)
            if pid in group:
                send_jointly(op, group, [a], new[y], a * m + y)
            elif pid == a:
                new[y] = await receive_jointly(op, group, table.shape, np.uint64, a * m + y,
                                               elements=True)
        op.round()
        held = new if pid != b else {}
    values = [field.affine(c, rt.geometry.set_value(key[z], pid)) for z, c in held.items()]
    return functools.reduce(field.add, values).reshape(shape)


def _turn(op, key, a, b, told, held, rows):
    """What a party other than `a` makes of its components {y: u_y} when a's turn to be left out
    ends: those that a will hold, less a mask, and the one that a will lack, with all masks."""
    shape = next(iter(held.values())).shape
    draws = np.empty((len(told), *shape), np.uint64)
    op.of_set(key, b'mask', draws.size, a, draws)
    order = _order(op, key, a, rows)
    new = {y: move(held[y], order, draws[j:j + 1], False)
           for j, y in enumerate(told) if y in held}
    if b is None:
        new[a] = move(np.zeros((1, *shape[1:]), np.uint64), np.zeros(rows, np.int64), draws, True)
    elif b in held:
        new[a] = move(held[b], order, draws, True)
    return new


async def _components(op, table, key):
    """The components u_y of this party while party 0 is left out; one round."""
    rt, pid, n = op.runtime, op.runtime.pid, table.size // 2
    m, first, tag = rt.geometry.m, 1, rt.geometry.m**2
    receivers = [p for p in range(m) if p not in (0, first)]

    def masked():
        masks = {z: field.uniform(op.of_set(key[z], b'hide', 2 * n).reshape(n, 2))
                 for z in range(m) if z != pid}
        weights = field.table([-rt.geometry.set_value(key[z], pid) for z in masks])
        return masks, field.add(table.reshape(n, 2),
                                field.combine(field.stack(list(masks.values())), weights))
    masks, own = await op.compute(20 * n, masked)
    opening = CheckedOpening(op, rt.geometry.t, receivers)
    opening.send(own, tag)
    if pid in receivers:
        shares, points = await opening.receive(own, tag)
        opened = await op.compute(4 * n, field.combine, field.stack(shares),
                                  rt.geometry.recombination(tuple(points)))
        masks[first] = field.add(opened, field.add(masks[first], masks[0]))
    op.round()
    return {y: u.reshape(table.shape) for y, u in masks.items() if y} if pid else {}
