"""What a query needs beyond the one-round product: expressions of higher degree, private openings.

The arithmetic of `engine.arithmetic` brings expressions of degree 2t back to degree t and opens
values of degree t. With m >= 3t + 1 parties a product of *three* shared factors can be opened as
well: `collapse` does that. `open_expression` opens an expression of any degree below m to one
party, without bringing it back first, and `open_nonzero` tells one party whether numbers are zero.
In verified mode an opening needs honest shares to spare, so `open_expression` takes the round of
a checked product first, and `collapse` is not available.
"""

import functools
import itertools
import math

import numpy as np

from engine import costs, field
from engine.array import SecureArray
from engine.checked_opening import cheating
from engine.errors import RemoteProtocolError
from engine.masking import MaskPlan
from engine.opening import Opening
from engine.operation import Operation


def collapse_cost(n: int, m: int, t: int, degree: int) -> costs.Prediction:
    """`collapse`: degree + 1 senders to a group of at least that many; n is the result's size."""
    group = max(m - min(t, m - 2 * t - 1), degree + 1)
    return costs.sequence(m, costs.Prediction(1, costs.ELEMENT * n * (degree + 1) * (group - 1)))


def open_expression_cost(n: int, m: int, degree: int) -> costs.Prediction:
    """`open_expression`: the receiver gets `degree` shares of n elements."""
    return costs.sequence(m, costs.Prediction(1, costs.ELEMENT * n * degree))


def can_collapse(mpc, degree: int) -> bool:
    """Whether an expression of a degree opens in one round here."""
    return not mpc.geometry.verified and mpc.geometry.m > degree


def collapse(mpc, name, inputs, fn, shape, degree: int, work=None, shift: int = 0,
             frac: int = 0) -> SecureArray:
    """Shares of degree t of fn(*shares), a local expression of up to `degree` < m, t <= degree.

    One round like `Runtime.product`, which this generalises: the value is opened under a random
    mask of which any t parties know nothing, to at least degree + 1 parties. Truncated by `shift`
    bits, with the range and the error of `Runtime.product`, or exact, integers of the field; `frac`
    labels the result. Reveals nothing to t parties. Bytes: `collapse_cost`, 192 n in all for m = 4,
    t = 1 and degree 3.
    """
    g, shape = mpc.geometry, tuple(shape)
    if not can_collapse(mpc, degree):
        raise ValueError(f'an expression of degree {degree} among {g.m} parties: expected a degree '
                         'below that number, and not verified mode')
    op = Operation(mpc, name, shape)
    n = math.prod(shape)
    op.expected = collapse_cost(n, g.m, g.t, degree)
    group = tuple((op.rotation + k) % g.m for k in range(max(g.active, degree + 1)))
    plan, opening = _plan(g, mpc.pid, group, shift, degree), Opening(op, degree, group)

    async def body(op, *shares):
        op.multiplications = n
        z = await op.compute(work or 4 * n, fn, *shares)
        z = np.ascontiguousarray(z).reshape(n, 2)
        piece = op.claim(1)
        own, masks = await op.compute(12 * n, plan.start, op, lambda lo, hi: z[lo:hi], 0, n,
                                      piece, mpc.pid in opening.senders)
        opening.send(own, piece)
        opened, points = await opening.receive(own, piece, n) if mpc.pid in group else ([], ())
        op.round()
        out = await op.compute(8 * n, plan.finish, opened, points, masks)
        return out.reshape(*shape, 2)
    return mpc.issue(op, inputs, body, SecureArray(mpc, shape, frac))


@functools.lru_cache(256)
def _plan(geometry, pid, group, shift, degree):
    return MaskPlan(geometry, pid, group, shift, degree)


def open_expression(mpc, name, inputs, fn, shape, degree: int, receiver: int):
    """Open fn(*shares), a local expression of up to `degree`, to one party and nobody else.

    Awaitable: Python integers in [0, p), an object array of the shape, at the receiver; None
    elsewhere. The shares are made independent of the factors by a fresh sharing of zero, so the
    receiver learns the values and nothing of what they were computed from; the others send and
    receive nothing that depends on them. One round, 16 degree n bytes in all (32 n for t = 1 and
    degree 2). In verified mode: a product, and an output.
    """
    g, shape = mpc.geometry, tuple(shape)
    if g.verified:
        product = mpc.product('multiply', inputs, fn, shape, 0, 0)
        return _unsigned(mpc.open_array(product, receiver, raw=True))
    op = Operation(mpc, name, shape)
    n = math.prod(shape)
    op.expected = open_expression_cost(n, g.m, degree)
    others = [(receiver + 1 + (op.rotation + k) % (g.m - 1)) % g.m for k in range(degree)]

    async def body(op, *shares):
        if mpc.pid != receiver and mpc.pid not in others:
            op.round()
            return None
        z = await op.compute(4 * n, fn, *shares)
        own = await op.compute(12 * n, _rerandomised, op, z.reshape(n, 2), degree)
        if mpc.pid != receiver:
            await op.exchange({receiver: own}, [], n)
            return None
        held = [own, *await op.exchange({}, others, n)]
        weights = g.recombination((receiver, *others))
        opened = await op.compute(4 * n, field.combine, held, weights)
        return field.to_ints(opened).reshape(shape)
    return mpc.issue_value(op, inputs, body)


async def _unsigned(opened):
    values = await opened
    return None if values is None else values % field.P


def _rerandomised(op, z, degree):
    """This party's share of z plus a sharing of zero of that degree (see `engine.masking`)."""
    g, pid = op.runtime.geometry, op.runtime.pid
    sets, powers, n = g.sets_of(pid), range(1, 1 + degree - g.t), len(z)
    draws = np.empty((len(sets) * len(powers), n, 2), np.uint64)
    for j, index in enumerate(sets):
        op.of_set(index, b'zero', 2 * n * len(powers),
                  out=draws[j * len(powers):(j + 1) * len(powers)])
    coefs = field.table([g.set_value(k, pid) * (pid + 1)**j for k in sets for j in powers])
    return field.add_masks(np.ascontiguousarray(z), field.limbs(0), draws, coefs, 1, 127)


def random_elements(mpc, shape) -> SecureArray:
    """Uniformly random field elements that no t parties know; local."""
    op = Operation(mpc, 'random_elements', shape)
    g, n = mpc.geometry, math.prod(shape)

    async def body(op):
        sets = g.sets_of(mpc.pid)
        draws = np.stack([field.uniform(op.of_set(k, b'random', 2 * n).reshape(n, 2))
                          for k in sets])
        coefs = field.table([g.set_value(k, mpc.pid) for k in sets])
        return field.combine(draws, coefs).reshape(*shape, 2)
    return mpc.issue(op, [], body, SecureArray(mpc, shape, 0))


async def open_nonzero(mpc, x: SecureArray, receiver: int):
    """Booleans [x is not 0] at one party, None elsewhere: random multiples of x open to it.

    A number other than zero opens as a uniformly random one, so nothing else shows. Wrong with
    probability 2^-127 per number. One round, 32 bytes per number in all for t = 1.
    """
    opened = await open_expression(mpc, 'open_nonzero', [x, random_elements(mpc, x.shape)],
                                   field.mul, x.shape, 2 * mpc.geometry.t, receiver)
    return None if opened is None else opened != 0


def check_indicators(mpc, x: SecureArray, sizes, dealer: int):
    """Check that rows of x (k, sum of sizes), dealt by one party, are indicators side by side.

    Every stretch of the given sizes must hold one 1 and zeros. The other parties open
    Σ ρ (x² - x) + Σ ρ' (sum of a stretch - 1) among themselves, with coefficients from a key that
    they share and the dealer lacks: it is zero for indicators, and for anything else with
    probability 2^-126. A future of None that fails with RemoteProtocolError `not-an-indicator`,
    in verified mode with `cheating-detected`, because any of the three that open may have lied.
    Reveals nothing about indicators. One round, `check_indicators_cost`; needs t = 1 and m >= 4.
    """
    g, sizes = mpc.geometry, list(sizes)
    op = Operation(mpc, 'check_indicators', x.shape)
    op.expected = check_indicators_cost(g.m, g.t)
    others = [(dealer + 1 + (op.rotation + k) % (g.m - 1)) % g.m for k in range(g.m - 1)]
    [known] = [k for k, s in enumerate(g.sets) if dealer not in s]

    async def body(op, share):
        if mpc.pid == dealer:
            op.round()
            return
        own = await op.compute(8 * x.size, _indicator_check, op, share, sizes, known)
        own = _rerandomised(op, own, 2)
        senders = others[:3]
        outgoing = {p: own for p in others if p != mpc.pid} if mpc.pid in senders else {}
        got = await op.exchange(outgoing, [p for p in senders if p != mpc.pid], 1)
        held = iter(got)
        shares = [own if p == mpc.pid else next(held) for p in senders]
        if field.combine(shares, g.recombination(tuple(senders))).any():
            if g.verified:
                # Three shares fix the value and nothing checks them: any of the three may lie.
                raise cheating(op, f'the query of party {dealer} could not be confirmed',
                               set(range(g.m)) - {mpc.pid})
            raise RemoteProtocolError(
                'not-an-indicator', f'the query of party {dealer} does not select single places',
                party=dealer, step='/'.join(op.path),
                remedy='nothing was opened to that party; ask what it runs')
    return mpc.issue_value(op, [x], body)


def check_indicators_cost(m: int, t: int) -> costs.Prediction:
    """`check_indicators`: three parties send one element to all others but the dealer."""
    return costs.sequence(m, costs.Prediction(1, costs.ELEMENT * 3 * (m - 2)))


def _indicator_check(op, share, sizes, known):
    k, width = share.shape[:2]
    raw = op.of_set(known, b'coefficients', 2 * k * (width + len(sizes)))
    rho = field.uniform(raw.reshape(k, width + len(sizes), 2))
    squares = field.total(field.mul(rho[:, :width], field.sub(field.mul(share, share), share)))
    starts = np.cumsum([0, *sizes])
    sums = np.stack([field.total(share[:, a:b], 1)
                     for a, b in itertools.pairwise(starts)], 1)
    one = np.broadcast_to(field.limbs(1), sums.shape)
    linear = field.total(field.mul(rho[:, width:], field.sub(sums, one)))
    return field.add(squares.reshape(1, 2), linear.reshape(1, 2))
