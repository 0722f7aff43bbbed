"""Rows of a shared table to secret places, and the rows that a shared bit marks to the front.

The rows are shuffled together with their places, by an order that nobody knows; then the places
open. They are a uniformly random permutation whatever the data, and everybody puts the rows where
they belong. Several tables are brought to the same places by calls of their own.

Source: Hamada, Kikuchi, Ikarashi, Chida, Takahashi, ICISC 2012 (radix sort after a shuffle).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine import field
from engine.array import SecureArray
from engine.costs import Prediction, sequence, shuffle
from engine.costs_verified import predict
from engine.errors import RemoteProtocolError
from engine.open_inside import open_inside
from engine.operation import Operation


def arrange(mpc: Any, table: SecureArray, place: SecureArray, keep: int | None = None,
            owner: int | None = None) -> SecureArray:
    """Row i of an integer table (n, k) at place[i]; `place` (n,) is a shared permutation of 0 to
    n - 1. Only the first `keep` places are returned, all by default.

    Reveals nothing: a random permutation opens. One shuffle of k + 1 columns and one opened column;
    `arrange_cost`. Fails with RemoteProtocolError `bad-order` if the places are no permutation;
    `owner` is the party that put them in.
    """
    n, k = table.shape
    keep = n if keep is None else keep
    mixed = mpc.shuffle(mpc.concatenate([table, place.reshape(n, 1)], axis=1))
    op = Operation(mpc, 'arrange', (keep, k))
    op.expected = predict('open_inside', n, mpc.geometry)

    async def body(op, share):
        places = field.decode_int(await open_inside(op, share[:, k]))
        if not np.array_equal(np.sort(places), np.arange(n)):
            raise RemoteProtocolError('bad-order', 'what should be a permutation is none',
                                      party=owner, remedy='ask that party what it runs')
        rows = np.argsort(places)[:keep]
        return await op.compute(2 * keep * k, lambda: np.ascontiguousarray(share[rows, :k]))
    return mpc.issue(op, [mixed], body, SecureArray(mpc, (keep, k), table.frac))


def arrange_cost(n: int, k: int, geometry: Any) -> Prediction:
    """`arrange` of n rows of k columns."""
    return sequence(geometry.m, _shuffle_cost(n, k + 1, geometry),
                    predict('open_inside', n, geometry))


def _shuffle_cost(n, k, geometry):
    if geometry.verified:
        return predict('shuffle', n * k, geometry, rows=n)
    return shuffle(n * k, geometry.m, geometry.t)


def front_places(mpc: Any, bits: SecureArray) -> SecureArray:
    """For every row of shared bits (n,) its place if the marked rows come first, both kinds in
    their present order. One product per row."""
    n = bits.size
    row = np.arange(n)
    ones = bits.cumsum()
    # An unmarked row: all marked ones and the unmarked ones before it. A marked row: the marked
    # ones before it.
    unmarked = bits.sum().reshape(1).broadcast_to((n,)) - ones + row
    return unmarked + bits * (ones - 1 - unmarked)
