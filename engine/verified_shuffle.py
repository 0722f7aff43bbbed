"""Secret shuffle in verified mode: that of the default mode, and a proof that rows only moved.

Groups of t + 1 parties in turn hold the table as an additive sharing and permute it (see
`engine.sorting`). What a party alone holds nobody can compare, so every row carries a tag, the
product z = Σ_j r_j x_j of its elements with secret random keys r_j. Whatever up to t parties do, by
a wrong summand or by another order than the group's, adds errors to rows and tags that they choose
without knowing r. So tags fit afterwards only if no row has an error:

* the last group deals the rows, and once all parties have their shares a coin opens that gives a
  public random ρ. Every party combines its shares of the rows to y_j = Σ_i ρ^i x_ij,
  every last holder its summands of the tags to w = Σ_i ρ^i z_i, and shows it under a pad that all
  parties hold shares of;
* the y_j, combined and under a mask, must lie on a polynomial of degree t;
* Σ w - Σ_j r_j y_j is opened with all shares checked, and must be 0.

A table that is not a permutation of its n rows passes with probability below n·2^-124. The rows go
on only after that. Nothing is revealed: what is opened is uniformly random, or 0 if nobody lied.

Beside the default mode's traffic: one element per row from each of t parties for the tags, one per
row and old holder at each handing over, and some kilobytes; 4 rounds more than groups. For m = 4
that is 6 elements per table element and 3 per row, in 6 rounds.

Sources: Laur, Willemson, Zhang, ISC 2011 (shuffle by groups); Chida, Genkin, Hamada, Ikarashi,
Kikuchi, Lindell, Nof, CRYPTO 2018 (tags against additive errors).
"""

import functools
import math

import numpy as np

from engine import field
from engine.additive import common_draws, deal_out, pass_on
from engine.array import SecureArray
from engine.checked_opening import CheckedOpening, cheating
from engine.costs_verified import predict
from engine.field import P
from engine.operation import Operation
from engine.permutation import inverse, move, random_order
from engine.verified import coin, compare_on_polynomial, random_sharing

_PAD, _SHOWN, _SAME, _ZERO = 0xffc0, 0xffd0, 0xffd1, 0xffd2


def shuffle(rt, table: SecureArray) -> SecureArray:
    """Rows of a table in a uniformly random order that no t parties know."""
    if not table.size:
        return table
    op = Operation(rt, 'shuffle', table.shape)
    op.expected = predict('shuffle', table.size, rt.geometry, rows=table.shape[0])
    body = _by_groups if rt.geometry.t else _by_all
    return rt.issue(op, [table], body, SecureArray(rt, table.shape, table.frac))


def follow(rt, table: SecureArray, orders: list[SecureArray], back: bool = False) -> SecureArray:
    """Rows of a table in an order that is kept (`engine.kept_order`), or brought back from it.

    `orders` hold the order of each group, None at who is not in it; with t = 0 there is one, which
    all parties know. The proof covers the order, too: a group has an honest member, and a row that
    another member moves to another place does not fit its tag. Costs as `shuffle`.
    """
    if not table.size:
        return table
    op = Operation(rt, 'shuffle', table.shape)
    op.expected = predict('shuffle', table.size, rt.geometry, rows=table.shape[0], kept=True)

    async def body(op, share, *orders):
        known = [None if o is None else inverse(o) if back else o for o in orders]
        if not rt.geometry.t:
            return share[known[0]]
        groups = rt.geometry.shuffle_groups()
        return await _through(op, share, groups[::-1] if back else groups,
                              known[::-1] if back else known)
    return rt.issue(op, [table, *orders], body, SecureArray(rt, table.shape, table.frac))


async def _by_all(op, share):
    """t = 0: one order that all parties know."""
    rows = len(share)
    return share[random_order(lambda k: op.of_set(0, b'order', k), rows)]


async def _by_groups(op, share):
    groups, rows = op.runtime.geometry.shuffle_groups(), len(share)
    draws = await common_draws(op, groups)
    orders = [await op.compute(20 * rows, random_order, draws[k], rows) if k in draws else None
              for k in range(len(groups))]
    return await _through(op, share, groups, orders)


async def _through(op, share, groups, orders):
    """The rows moved by each group in turn, and the proof; `orders` at the members of a group."""
    pid = op.runtime.pid
    rows, columns = len(share), math.prod(share.shape[1:-1])
    table = np.ascontiguousarray(share).reshape(rows, columns, 2)
    keys = random_sharing(op, b'keys', columns)
    held = await _tagged_summand(op, table, keys, groups[0])
    for k, group in enumerate(groups[:-1]):
        def moved(held=held, order=orders[k]):
            return _moved(held, order, columns)
        held = await pass_on(op, group, groups[k + 1], rows * (columns + 1), moved, k + 1)
        op.round()
    own = tags = None
    if pid in groups[-1]:
        held = await op.compute(8 * held.size, _moved, held, orders[-1], columns)
        own, tags = held[:rows * columns], held[rows * columns:]
    out = (await deal_out(op, groups[-1], own, rows * columns, len(groups))).reshape(table.shape)
    op.round()
    await _check(op, out, keys, groups[-1], tags)
    return out.reshape(share.shape)


async def _tagged_summand(op, table, keys, group):
    """At the first group: its summands of the rows, and behind them of their tags, flat
    (rows·(columns + 1), 2); one round.

    The tags are products, so t parties outside of the group have summands of them too.
    """
    g, pid, rows = op.runtime.geometry, op.runtime.pid, len(table)
    others = [p for p in range(g.m) if p not in group][:g.t]
    senders = (*group, *others)
    weights = g.recombination(senders)
    if pid in senders:
        keys = field.mul(keys, weights[senders.index(pid)])

    def tagged(factor):
        out = np.empty((rows * (len(keys) + 1), 2), np.uint64)
        field.combine([table.reshape(-1, 2)], factor, out[:-rows])
        field.combine_columns(table, keys, out[-rows:])
        return out
    held = None
    if pid in group:
        place = group.index(pid)
        held = await op.compute(8 * table.size, tagged, g.recombination(group)[place:place + 1])
    more = await pass_on(op, others, group, rows, lambda: field.combine_columns(table, keys))
    op.round()
    if held is not None:
        await op.compute(rows, field.add_to, held[-rows:], more)
    return held


def _moved(held, order, columns):
    """Rows and tags in another order."""
    rows, out = len(order), np.empty_like(held)
    body = rows * columns
    move(held[:body].reshape(rows, columns, 2), order, out[:body])
    move(held[body:], order, out[body:])
    return out


async def _check(op, out, keys, group, tags):
    """That the dealt rows are consistent, and that the tags fit; three rounds."""
    g, pid = op.runtime.geometry, op.runtime.pid
    rows, columns = out.shape[:2]
    pads = {holder: random_sharing(op, b'pad%d' % holder) for holder in group}
    openings = {holder: CheckedOpening(op, g.t, [holder]) for holder in group}
    for holder, opening in openings.items():
        opening.send(pads[holder], _PAD + holder)
    point, *across = field.uniform((await coin(op, 2 * (1 + columns))).reshape(-1, 2))
    sums = await op.compute(2 * out.size, field.evaluate_columns, out, point)

    # The combined rows are of degree t, and every last holder shows its part of the tags.
    same = field.add(_inner(np.stack(across), sums), random_sharing(op, b'same'))
    if pid in group:
        shares, points = await openings[pid].receive(pads[pid], _PAD + pid)
        pad = field.combine(shares, g.recombination(tuple(points)))
        [part] = await op.compute(rows, field.evaluate, [tags], point.reshape(1, 2))
        shown = {pid: field.sub(part, pad)}
        for peer in range(g.m):
            if peer != pid:
                op.send(peer, shown[pid], _SHOWN)
    else:
        shown = {}
    await compare_on_polynomial(op, same, range(g.m), _SAME, 'the rows dealt by a shuffle')
    for holder in group:
        if holder != pid:
            shown[holder] = await op.receive_elements(holder, 1, _SHOWN)
    op.round()

    # The tags less what they should be: shares of degree 2t, the same at all for the shown parts.
    total = functools.reduce(field.add, [*shown.values(), *pads.values()])
    own = field.add(field.sub(total, _inner(keys, sums)), _zero_sharing(op))
    opening = CheckedOpening(op, 2 * g.t, range(g.m))
    opening.send(own, _ZERO)
    shares, points = await opening.receive(own, _ZERO)
    op.round()
    if field.combine(shares, g.recombination(tuple(points))).any():
        raise cheating(op, 'the rows after the shuffle are not those before it',
                       set(range(g.m)) - {pid})


def _inner(x, y):
    """Σ_j x_j y_j, shape (1, 2)."""
    return field.total(field.mul(x, y)).reshape(1, 2)


def _zero_sharing(op):
    """A sharing of 0 of degree 2t, random otherwise; local."""
    g, pid = op.runtime.geometry, op.runtime.pid
    total = np.zeros((1, 2), np.uint64)
    for k in g.sets_of(pid):
        words = field.uniform(op.of_set(k, b'zero', 2 * g.t).reshape(g.t, 2))
        powers = field.table([g.set_value(k, pid) * pow(pid + 1, j + 1, P) for j in range(g.t)])
        total = field.add(total, _inner(words, powers))
    return total
