"""Predicted cost of a job that finds common businesses: rounds, and payload bytes over all parties.

From the public task alone. Of an inner join without a bound the number of rows is not known before;
the greatest possible one is taken. Without a helper the rounds overlap, and are at most those given
here. The tests assert that the rest is what the meter measures.
"""

from __future__ import annotations

from typing import Any

from engine.costs import Prediction
from engine.costs_verified import DIGEST, predict
from protocols.join_costs import JoinCosts
from protocols.join_program import BLOCK
from protocols.join_task import JoinTask
from protocols.psi import CHUNK

_TAG, _ELEMENT, _PROOF, _WORD = 16, 32, 64, 8
"""Bytes."""


def join_task_cost(task: JoinTask, geometry: Any, size: int | None = None) -> Prediction:
    """`join_program` on a task; `size` as in `protocols.join_costs.join_cost`."""
    if task.mode == 'ecdh':
        return _without_helper(task)
    if task.by_intersection:
        return _with_helper(task)
    if task.plan.kind == 'inner' and task.bound is None and size is None:
        size = task.rows[0]
    return _TaskCosts(task, geometry, size).total()


def _told(task: JoinTask, receiver: int, senders: tuple[int, ...]) -> int:
    """Bytes of what a receiver is told."""
    rows = 0 if task.reveals_size else task.rows[task.owners.index(receiver)]
    words = 1 if task.reveals_size else -(-rows // 64)
    return _WORD * words * sum(sender != receiver for sender in senders)


def _with_helper(task):
    helpers = task.intersection.helpers
    total = _TAG * sum(task.rows) * len(helpers)
    total += 4 * DIGEST if len(helpers) == 2 else 0
    told = [_told(task, receiver, helpers) for receiver in task.receivers]
    return Prediction(len(helpers) + sum(size > 0 for size in told), total + sum(told))


def _without_helper(task):
    plan = task.intersection
    client, server = plan.size_of(plan.client), plan.size_of(plan.server)
    chunks = [-(-rows // CHUNK) for rows in (client, server)]
    told = sum(_told(task, r, (plan.client,)) for r in task.receivers)
    if task.reveals_size:
        total = (_ELEMENT + _TAG) * client + _ELEMENT * server
    else:
        total = 2 * _ELEMENT * client + _TAG * server
        total += (_ELEMENT + _PROOF * chunks[0]) if task.proved else 0
    rounds = max(chunks) + 2 + task.proved + (len(task.receivers) > 1)
    return Prediction(rounds, total + told)


class _TaskCosts(JoinCosts):
    """The join, and what opens after it."""

    def __init__(self, task, geometry, size):
        widths = {owner: [2 * min(BLOCK, width - first) for first in range(0, width, BLOCK)]
                  for owner, width in zip(task.owners, task.widths, strict=True)}
        super().__init__(task.plan, geometry, widths, size)
        self.task = task

    def total(self) -> Prediction:
        task, depth = self.task, 2
        if task.mode == 'shared':
            depth = super().total().rounds
        else:
            self._matching()
        if task.mode == 'reveal-identifiers':
            ends = [self._add(self._output(self.plan.slots_of(r), 1), self._joint(r, depth))
                    for r in task.receivers]
            return Prediction(max(ends), self.bytes)
        opened = ('common' in task.counts or task.mode == 'reveal-size') + \
            ('each' in task.counts) * (len(task.owners) - 1)
        if opened:
            if 'common' in task.counts or task.mode == 'reveal-size':
                depth = self._joint(0, depth)
            depth = self._add(self._output(opened, len(task.receivers)), depth)
        return Prediction(depth, self.bytes)

    def _output(self, elements, receivers):
        return predict('output', elements, self.g, receivers=receivers)

    def _joint(self, party, depth):
        """The bits whether all owners have the rows of a party's list."""
        others = [p for p in [0, *self.plan.asked] if p != party]
        depth = max([depth, *(self._match_bits(party, p) for p in others)])
        for _ in others[1:]:
            depth = self._add(predict('multiply', self.plan.slots_of(party), self.g), depth)
        return depth
