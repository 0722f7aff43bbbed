"""Checkpoints of one party: what a resumed job starts from, as shares in a folder.

    folder/NAME/STEP.npz    a training's state after a step, or what was decided under a name
    folder/order.npy        the order of this party's own rows, if it keeps one

Nothing here sends a message, except that parties that resume agree on the step.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import numpy as np

from engine import costs
from engine.array import SecureArray
from engine.errors import LocalProtocolError
from models.kept_shares import UNREADABLE, checked_name, destroy, packed, read, write

_KEPT = 2
_ORDER = 'order.npy'
_SESSION_BITS = 40
Decide = Callable[[], Awaitable[Mapping[str, SecureArray]]]


class Checkpoint:
    """The state of one training at this party, after each of its steps.

    `job` names what is computed (a hash of the manifest's work): a checkpoint of other work is
    refused. The last two steps are kept, so that parties that ended at different steps find one in
    common. A resumed training continues with fresh randomness: its session is another, and a state
    is known by its step and its session, so that shares of two runs of a step never meet.
    """

    def __init__(self, folder: str | os.PathLike[str], job: str):
        self.folder, self.job = Path(folder), job

    async def save(self, step: int, state: Mapping[str, SecureArray]) -> None:
        """Store the shares after a step."""
        held = {key: await array.ready() for key, array in state.items()}
        session = next(iter(state.values())).runtime.session
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = {'job': self.job, 'frac': {key: a.frac for key, a in state.items()},
                 'name': _state_name(step, session)}
        # Not forced to the disk at every step: a file that a power cut tears is found out.
        write(self._path(step), packed(held, about), durable=False)
        for old in self._steps()[:-_KEPT]:
            self._path(old).unlink()

    async def restore(self, mpc, state: dict[str, SecureArray]) -> tuple[int, dict[str, Any]]:
        """(step, state) of the last step that all parties have; (0, `state`) if there is none.

        The parties open to each other which states they have (steps, and digests of sessions), in
        two rounds; later ones are destroyed. Raises LocalProtocolError `other-checkpoint`.
        """
        own, found = np.zeros(_KEPT, np.int64), {}
        for place, step in enumerate(self._steps()[-_KEPT:]):
            try:
                about, shares = read(self._path(step), f'the checkpoint of step {step}')
            except LocalProtocolError:
                continue  # torn or damaged: as good as none
            if about['job'] != self.job:
                raise LocalProtocolError(
                    'other-checkpoint', f'the checkpoint of step {step} belongs to another job',
                    remedy='give every job a folder of its own')
            own[place] = about['name']
            found[about['name']] = about, shares
        everyones = await mpc.output(mpc.input(mpc.array(own)))
        common = set.intersection(*(set(names.tolist()) - {0} for names in everyones))
        last = max(common, default=0)
        for step in self._steps():
            if step > last >> _SESSION_BITS:
                destroy(self._path(step))
        if not last:
            return 0, state
        about, shares = found[last]
        return last >> _SESSION_BITS, {
            key: SecureArray(mpc, share.shape[:-1], about['frac'][key], share)
            for key, share in shares.items()}

    def clear(self) -> None:
        """Destroy all checkpoints of the training."""
        for step in self._steps():
            destroy(self._path(step))

    def _steps(self):
        return sorted(int(p.stem) for p in self.folder.glob('*.npz') if p.stem.isdigit())

    def _path(self, step):
        return self.folder / f'{step}.npz'


def restore_cost(m: int, t: int) -> costs.Prediction:
    """Rounds and bytes over all parties of `Checkpoint.restore`."""
    named = costs.share(_KEPT, m, t)
    told = costs.Prediction(named.rounds, m * named.total_bytes)
    return costs.sequence(m, told, costs.open_all(m * _KEPT, m, t))


class Checkpoints:
    """The checkpoints of one job at this party: of its trainings, by their names, and of what was
    decided before them.

    Decisions on shares (which bins are merged, which features stay) come out the same in two runs
    of a job only up to the truncation error: of equals, either may be taken. The weights of an
    interrupted training belong to what its own run decided, so a resumed job must not decide anew.
    """

    def __init__(self, folder: str | os.PathLike[str], job: str):
        self.folder, self.job = Path(folder), job
        self._settled: set[str] = set()

    def of(self, training: str) -> Checkpoint:
        """Those of one training; raises LocalProtocolError `bad-name`."""
        return Checkpoint(self.folder / checked_name(training), self.job)

    async def settled(self, mpc, name: str, decide: Decide) -> dict[str, SecureArray]:
        """What the interrupted run decided under a name, or what `decide()` gives, which is kept.

        If some party has lost the shares, everything that was kept after that decision is destroyed
        with it at all parties, which decide anew and train from the start. Opens what
        `Checkpoint.restore` does, in two rounds.
        """
        kept = self.of(name)
        step, found = await kept.restore(mpc, {})
        if not step:
            self._clear_but(self._settled)
            found = dict(await decide())
            await kept.save(1, found)
        self._settled.add(name)
        return found

    def order(self) -> np.ndarray | None:
        """The order of its rows that this party has kept for itself, if it has."""
        try:
            return np.load(self.folder / _ORDER, allow_pickle=False)
        except UNREADABLE:
            return None

    def keep_order(self, order: np.ndarray) -> None:
        """Keep this party's own order of its rows, in the clear: a number per slot.

        Solvers that take samples or batches of rows resume on the same ones.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        buffer = io.BytesIO()
        np.save(buffer, order)
        write(self.folder / _ORDER, buffer.getvalue(), durable=False)

    def clear(self) -> None:
        """Destroy them all, and the order."""
        self._clear_but(frozenset())
        destroy(self.folder / _ORDER)

    def _clear_but(self, names: AbstractSet[str]) -> None:
        for folder in self.folder.glob('*'):
            if folder.is_dir() and folder.name not in names:
                Checkpoint(folder, self.job).clear()


async def settled(checkpoints: Checkpoints | None, mpc, name: str,
                  decide: Decide) -> Mapping[str, SecureArray]:
    """`Checkpoints.settled`; a job without checkpoints decides, and keeps nothing."""
    return await (decide() if checkpoints is None else checkpoints.settled(mpc, name, decide))


def _state_name(step, session):
    """A state as one whole number: its step, and below it a digest of its session."""
    digest = hashlib.sha256(b'checkpoint' + session).digest()
    return step << _SESSION_BITS | int.from_bytes(digest, 'big') >> 256 - _SESSION_BITS
