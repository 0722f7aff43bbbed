"""Common businesses as a job: joined and kept as shares, or revealed to those the manifest names.

`parties[i]` is MPC party i. Returns {"steps": {step: cost}, "outputs": {...}} and, for a shared
result, under "keep" this party's shares of the joined rows, with which a later job can go on
(`resume_join`). Outputs are there for the receivers of the task only:

- `rows_common`: how many businesses all owners have (in an inner join all required ones)
- `rows_each`: by partner, how many of the initiator's businesses it has
- `identifiers`: the receiver's own identifiers that all owners have, in the order of its table

Nothing else opens. What helpers see is in `protocols.join` and `protocols.psi`, and so are rounds
and bytes (`join_task_cost` adds them up).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engine.array import SecureArray
from protocols.column_source import ColumnSource, FixedColumns
from protocols.join import SecureJoin
from protocols.join_order import shuffled
from protocols.join_task import JoinTask
from protocols.psi import intersect
from protocols.steps import Progress, Steps

BLOCK = 4
"""Features that travel together."""


async def join_program(mpc, *, parties: Sequence[str], parameters: Any, progress: Progress,
                       task: JoinTask, ids: Sequence[str] | None,
                       source: ColumnSource | None) -> dict[str, Any]:
    """Run a task; `ids` (unique, normalised) at the owners, `source` where an owner has features.

    `source.read` gives float64 values with NaN for missing. Raises the errors of `SecureJoin.match`
    and `intersect`, and LocalProtocolError `out-of-range` for values that fixed point cannot hold.
    """
    steps = Steps(mpc, progress)
    own = ids if mpc.pid in task.owners else None
    kept: dict[str, Any] = {}
    if task.by_intersection:
        with steps.step('match'):
            found = await intersect(mpc, own, task.intersection)
        outputs: dict[str, Any] = {}
        if found is not None:
            outputs = {'rows_common': found.size} if found.rows is None else _named(own, found.rows)
    else:
        with steps.step('match'):
            join = SecureJoin(mpc, task.plan.rows, task.rows[0], kind=task.plan.kind,
                              partners=task.owners[1:], required=task.required or None,
                              bound=task.bound, same_order=task.same_order)
            order = None if mpc.pid or own is None else shuffled(len(own), task.rows[0])
            await join.match(own, order)
        if task.mode == 'shared':
            with steps.step('columns'):
                kept = await _joined(mpc, join, task, source)
        with steps.step('open'):
            outputs = await _opened(mpc, join, task, parties, own)
    return {'steps': steps.costs, 'outputs': outputs, 'keep': kept}


async def _joined(mpc, join: SecureJoin, task: JoinTask, source: ColumnSource | None
                  ) -> dict[str, np.ndarray]:
    """This party's shares of presence bits and features of all owners, one block after another."""
    place = [mpc.geometry.m, mpc.geometry.t, mpc.pid, join.size]
    kept = {'place': np.array(place), 'owners': np.array(task.owners),
            'widths': np.array(task.widths)}
    fixed = None if source is None else FixedColumns(source)
    for owner, width in zip(task.owners, task.widths, strict=True):
        kept[f'presence{owner}'] = await join.presence(owner).ready()
        blocks = []
        async for block in join.blocks(owner, fixed, 2 * width, 2 * BLOCK):
            blocks.append(await block.ready())
        if blocks:
            kept[f'columns{owner}'] = np.concatenate(blocks, axis=1)
    return kept


async def _opened(mpc, join: SecureJoin, task: JoinTask, parties, own) -> dict[str, Any]:
    outputs: dict[str, Any] = {}
    receives = mpc.pid in task.receivers
    if task.mode == 'reveal-identifiers':
        for opening in [mpc.output(join.joint(r), r) for r in task.receivers]:
            bits = await opening
            if bits is not None:
                outputs = _named(own, join.own_rows(bits))
        return outputs
    if task.plan.kind == 'inner' and task.bound is None:
        outputs['rows_common'] = join.size
    sums = {}
    if task.mode == 'reveal-size' or 'common' in task.counts:
        sums['rows_common'] = join.joint().sum()
    if 'each' in task.counts:
        sums |= {parties[p]: join.matches(0, p).sum() for p in task.owners[1:]}
    if not sums:
        return outputs
    opened = await mpc.output(mpc.stack([*sums.values()]), list(task.receivers))
    if receives:
        found = dict(zip(sums, opened.astype(int).tolist(), strict=True))
        if 'rows_common' in found:
            outputs['rows_common'] = found.pop('rows_common')
        if found:
            outputs['rows_each'] = found
    return outputs


def _named(own: Any, rows: np.ndarray) -> dict[str, Any]:
    return {'identifiers': [str(own[row]) for row in rows]}


def resume_join(mpc, kept: Mapping[str, Any]) -> tuple[dict[int, SecureArray],
                                                       dict[int, tuple[SecureArray, SecureArray]]]:
    """The joined rows of what a job left, in a later session of the same parties; no message.

    Returns by owner its presence bits (size, 1), and by owner with features their values
    (size, width) in fixed point, zero where missing, and bits that tell which are known. Raises
    ValueError for the part of another party or deployment.
    """
    m, t, pid, size = (int(v) for v in kept['place'])
    if (m, t, pid) != (mpc.geometry.m, mpc.geometry.t, mpc.pid):
        raise ValueError(f'the rows were kept by party {pid} of {m} with threshold {t}; this is '
                         f'party {mpc.pid} of {mpc.geometry.m} with threshold {mpc.geometry.t}')
    bits, columns = {}, {}
    for owner, width in zip(kept['owners'].tolist(), kept['widths'].tolist(), strict=True):
        bits[owner] = SecureArray(mpc, (size, 1), 0, _share(kept[f'presence{owner}'], size, 1))
        if width:
            pairs = _share(kept[f'columns{owner}'], size, 2 * width)
            columns[owner] = (
                SecureArray(mpc, (size, width), FixedColumns.FRAC,
                            np.ascontiguousarray(pairs[:, ::2])),
                SecureArray(mpc, (size, width), 0, np.ascontiguousarray(pairs[:, 1::2])))
    return bits, columns


def _share(array: Any, rows: int, width: int) -> np.ndarray:
    share = np.ascontiguousarray(array, np.uint64)
    if share.shape != (rows, width, 2):
        raise ValueError(f'shares of shape {share.shape}, expected {(rows, width, 2)}')
    return share
