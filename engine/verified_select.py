"""Rows at positions that two parties know, in verified mode for t = 1.

The holders' Shamir shares, weighted, sum up to the table. Each holder takes the rows of its own
summand and deals them (a checked dealing), so the sum of both dealings is the selection plus
whatever a cheating holder added: an error that it fixed when it dealt. Then random coefficients ρ
are opened, the holders put in the vector σ with σ[position of row i] = ρ[i] (`engine.joint`: one
alone cannot lie about it), and everybody opens

    Σ σ[j] x[j] - Σ ρ[i] selected[i]

per column. It is zero for the selection, and for anything else with probability 2^-126. Both sums
are inner products of shares, so the check costs 16 bytes per row of the table and little more. The
selected rows go on only when it has passed.

Source of the check: Freivalds, "Probabilistic machines can use less running time", IFIP 1977 (a
linear map is verified by its transpose on a random vector).
"""

import math

import numpy as np

from engine import costs, field
from engine.array import SecureArray
from engine.checked_opening import CheckedOpening, cheating
from engine.costs_verified import coin as coin_cost
from engine.costs_verified import predict, share
from engine.dealing import Dealing
from engine.errors import LocalProtocolError
from engine.joint import joint_input, joint_input_cost
from engine.open_inside import open_inside
from engine.operation import Operation
from engine.prss import expand
from engine.query import random_elements
from engine.verified import check_dealing

_PURPOSE = b'redeal'


def select_rows(mpc, x: SecureArray, holders, index: np.ndarray | None, rows: int) -> SecureArray:
    """`rows` rows of a table (r, k) at the positions `index`, given at two holders and known to
    nobody else; -1 is a zero row, no other position comes twice. Integers stay exact.

    Reveals nothing to a party that is no holder. A holder that selects other rows, changes, drops
    or swaps some ends the run with RemoteProtocolError `cheating-detected` before the result is
    used. 7 rounds; bytes: `select_rows_cost`.
    """
    if not mpc.geometry.verified or mpc.geometry.t != 1:
        raise LocalProtocolError('not-available', 'a checked selection outside of verified mode '
                                 'with threshold 1', remedy='use additive sharings')
    first, second = (_taken(mpc, x, holders, k, index, rows) for k in range(2))
    picked = first + second
    rho = _coefficients(mpc, picked, rows)

    def sigma(coefficients):
        out = np.zeros((len(x), 2), np.uint64)
        out[index[index >= 0]] = coefficients[index >= 0]
        return out
    weights = joint_input(mpc, holders, (len(x),), sigma, [rho])

    def difference(weights, x, rho, picked):
        return field.sub(_weighted(weights, x), _weighted(rho, picked))
    error = mpc.product('check_selection', [weights, x, rho, picked], difference, x.shape[1:], 0, 0,
                        work=8 * x.size)
    return _unless(mpc, error, picked)


def select_rows_cost(r: int, k: int, rows: int, geometry) -> costs.Prediction:
    """`select_rows` of `rows` out of r rows of k columns."""
    return costs.sequence(
        geometry.m,
        costs.Prediction(2, 2 * share(rows * k, geometry.m, geometry.t).total_bytes),
        coin_cost(geometry.m, geometry.t), joint_input_cost(r, geometry.m, True),
        predict('multiply', k, geometry), predict('open_inside', k, geometry))


def _weighted(weights, table):
    """Σ weights[j] table[j], shape (k, 2), of a table (n, k, 2), which may be empty."""
    if not len(table):
        return np.zeros((table.shape[1], 2), np.uint64)
    return field.matmul(weights.reshape(1, -1, 2), table).reshape(-1, 2)


def _taken(mpc, x, holders, k, index, rows):
    """Shares of the rows of one holder's summand; two rounds, the check of the dealing included."""
    g, holder, shape = mpc.geometry, holders[k], (rows, *x.shape[1:])
    op = Operation(mpc, 'redeal', shape)
    n = math.prod(shape)
    op.expected = predict('input', n, g)
    dealing = Dealing(op, holder, n, _PURPOSE)

    def pick(share):
        if len(index) != rows:
            raise LocalProtocolError('bad-positions', f'{len(index)} row positions, expected '
                                     f'{rows}', party=mpc.pid)
        weight = int(field.to_ints(g.recombination(tuple(holders))[k]))
        chosen = share[index] if len(share) else np.zeros((rows, *share.shape[1:]), np.uint64)
        chosen[index < 0] = 0
        return field.affine(chosen, weight).reshape(n, 2)

    async def body(op, share):
        if mpc.pid == holder:
            own = await dealing.give(await op.compute(2 * n, pick, share))
        else:
            own = await dealing.take()
        op.round()
        await check_dealing(op, own, holder)
        return own.reshape(*shape, 2)
    return mpc.issue(op, [x], body, SecureArray(mpc, shape, 0))


def _coefficients(mpc, picked, rows):
    """Random coefficients (rows,), opened once this party has its share of what they check.

    That share exists only when every receiver has confirmed the dealings, so whoever dealt could
    not know them. As a sharing: every share is the public value. One round.
    """
    op = Operation(mpc, 'coin', (1,))
    op.expected = coin_cost(mpc.geometry.m, mpc.geometry.t)

    async def body(op, own, _):
        coin = CheckedOpening(op, mpc.geometry.t, range(mpc.geometry.m))
        coin.send(own)
        shares, points = await coin.receive(own)
        op.round()
        seed = field.combine(shares, mpc.geometry.recombination(tuple(points)))
        return field.uniform(expand(seed.tobytes(), b'coefficients', 2 * rows).reshape(rows, 2))
    return mpc.issue(op, [random_elements(mpc, (1,)), picked], body, SecureArray(mpc, (rows,), 0))


def _unless(mpc, error, picked):
    """The selected rows, once the error has opened and is zero."""
    op = Operation(mpc, 'confirm_selection', picked.shape)
    op.expected = predict('open_inside', error.size, mpc.geometry)

    async def body(op, error, share):
        if (await open_inside(op, error)).any():
            raise cheating(op, 'the selected rows are not those at the agreed positions',
                           set(range(mpc.geometry.m)) - {mpc.pid})
        return share
    return mpc.issue(op, [error, picked], body, SecureArray(mpc, picked.shape, picked.frac))
