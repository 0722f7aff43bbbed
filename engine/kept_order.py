"""Secret orders that are kept: further tables follow a shuffle or a sort, and come back.

A `SecretOrder` is the composition of one order per group of t + 1 parties, as in the shuffle
(`engine.sorting`), but drawn once. Any table of as many rows can be moved by it, or back, in the
rounds and bytes of one shuffle, and each time under fresh masks. An `Ordering` is what a sort
leaves: a secret order, and the public places of the rows after it. So a sort by a key that stays
the same (Araki et al., CCS 2021, "Secure graph analysis at scale") is paid for once.

In verified mode every move is proven as a shuffle is (`engine.verified_shuffle`).
"""

import functools

import numpy as np

from engine.additive import AdditiveArray
from engine.array import SecureArray, constant
from engine.base import RuntimeBase
from engine.operation import Operation
from engine.permutation import inverse, move, random_order
from engine.prss import expand
from engine.verified_shuffle import follow


class SecretOrder:
    """A uniformly random order of `rows` rows that no t parties know."""

    def __init__(self, runtime, rows: int):
        self.runtime, self.rows = runtime, rows
        self._groups = runtime.geometry.shuffle_groups()
        self._orders = [self._draw(group) for group in self._groups]

    def apply(self, table: SecureArray) -> SecureArray:
        """The rows of a table in this order; for m = 4 two rounds, 6 elements sent per element.

        In verified mode 6 rounds, and 3 elements more per row.
        """
        return self._through(table, range(len(self._groups)), False)

    def undo(self, table: SecureArray) -> SecureArray:
        """The inverse of `apply`, at the same cost."""
        return self._through(table, reversed(range(len(self._groups))), True)

    def _draw(self, group):
        """A future of the order that a group draws; None at the others."""
        rt, lead = self.runtime, group[0]
        op = Operation(rt, 'draw_order', (self.rows,))

        async def body(op):
            if rt.geometry.verified and not rt.geometry.t:
                return random_order(functools.partial(op.of_set, 0, b'order'), self.rows)
            if len(group) > 2:
                op.round()
            if rt.pid not in group:
                return None
            if len(group) <= 2:
                peer = group[-1] if rt.pid == lead else lead
                draw = functools.partial(op.of_pair, peer, b'order')
            else:
                seed = op.of_pair(rt.pid, b'seed', 2)
                if rt.pid == lead:
                    for peer in group[1:]:
                        op.send(peer, seed ^ op.of_pair(peer, b'pad', 2))
                else:
                    seed = await op.receive(lead, (2,)) ^ op.of_pair(lead, b'pad', 2)
                draw = functools.partial(expand, seed.tobytes(), b'order')
            return await op.compute(20 * self.rows, random_order, draw, self.rows)
        return SecureArray(rt, (self.rows,), 0, rt.issue_value(op, [], body))

    def _through(self, table, groups, back):
        if table.shape[0] != self.rows:
            raise ValueError(f'a table of {table.shape[0]} rows for an order of {self.rows}')
        if self.runtime.geometry.verified:
            return follow(self.runtime, table, self._orders, back)
        held = None
        for k in groups:
            group = self._groups[k]
            held = self.runtime.to_additive(table, group) if held is None else \
                held.hand_over(group)
            held = self._moved(held, self._orders[k], back)
        return held.to_shared()

    def _moved(self, held, order, back):
        op = Operation(self.runtime, 'move_rows', held.shape, local=True)

        async def body(op, share, order):
            if order is None:
                return None
            return await op.compute(4 * held.shape[0], lambda: move(
                share, inverse(order) if back else order))
        return self.runtime.issue(op, [held, order], body, AdditiveArray(
            self.runtime, held.holders, held.shape, held.frac))


class Ordering:
    """The order that a sort found, kept for further tables of as many rows."""

    def __init__(self, mixed: SecretOrder, places: np.ndarray):
        self._mixed, self._places = mixed, places

    def sort(self, table: SecureArray) -> SecureArray:
        """The rows of a table in the order of the keys; costs as `SecretOrder.apply`."""
        return self._mixed.apply(table)[self._places]

    def restore(self, table: SecureArray) -> SecureArray:
        """The inverse of `sort`, at the same cost."""
        return self._mixed.undo(table[inverse(self._places)])


class KeptOrders(RuntimeBase):
    """Orders to keep (a mix-in of `engine.runtime.Runtime`)."""

    def secret_order(self, rows: int) -> SecretOrder:
        """A uniformly random order that no t parties know; no bytes for t = 1."""
        return SecretOrder(self, rows)

    async def ordering(self, keys: SecureArray, key_bits: int = 63,
                       fixed_shape: bool = False) -> Ordering:
        """The ascending order of secret integer keys (n,), or of rows (n, k) of several keys.

        Equal keys keep their order. Reveals, costs and options as `sort_rows`.
        """
        n = keys.shape[0]
        columns = keys.reshape(n, -1).reinterpret(0)
        mixed = self.secret_order(n)
        if n < 2:
            return Ordering(mixed, np.arange(n))
        place = constant(self, np.arange(n).reshape(n, 1))
        moved = mixed.apply(self.concatenate([columns, place], axis=1))
        k, places = columns.shape[1], n.bit_length()
        if k == 1 and key_bits + places <= 62:
            moved = moved[:, [0]].shift(places) + moved[:, [1]]
        return Ordering(mixed, await self._quicksort(moved, n, 1, fixed_shape))
