"""Models and checkpoints of one party, in a folder: shares of arrays and what they belong to.

A party stores its own shares only, so a folder alone says nothing about the weights: any t folders
together do not. Saving and loading are bit-exact. Nothing here sends a message, except that parties
that resume a training agree on the step.

    folder/NAME/VERSION/model.json   what the model is: manifest, lineage, metrics, state, digest
    folder/NAME/VERSION/shares.npz   this party's shares; gone after `delete`

Every change of a file is a new file that replaces the old one, readable by its user only.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import secrets
import time
import zipfile
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine import field as elements
from engine.array import SecureArray
from engine.errors import LocalProtocolError
from models.model_states import TRANSITIONS

_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z')
_KEPT = 2
_ORDER = 'order.npy'
_UNREADABLE = (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile)
_SESSION_BITS = 40
Decide = Callable[[], Awaitable[Mapping[str, SecureArray]]]


@dataclass(frozen=True)
class Record:
    """What a stored version is. `identity` is the same at all parties of the training."""

    name: str
    version: int
    state: str
    identity: str
    manifest_hash: str
    party: int
    parties: int
    threshold: int
    saved_at: float
    arrays: dict[str, dict[str, Any]]
    digest: str
    lineage: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)


class ModelStore:
    """The models of one party under a folder."""

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = Path(folder)

    async def save(self, mpc, name: str, arrays: Mapping[str, SecureArray], *, manifest_hash: str,
                   lineage: Mapping[str, Any] | None = None,
                   metrics: Mapping[str, float] | None = None,
                   card: Mapping[str, Any] | None = None) -> Record:
        """Store shares as the next version of a name, in state `draft`.

        `lineage`, `metrics` and `card` are JSON: which data and splits, which opened figures, and
        what is public about scoring with it (features, breaks, scaling). Every party of the
        computation calls this. Raises LocalProtocolError `bad-name`.
        """
        shares = {key: (await array.ready(), array.frac) for key, array in arrays.items()}
        return self.put(name, shares, session=mpc.session, manifest_hash=manifest_hash,
                        place=(mpc.pid, mpc.geometry.m, mpc.geometry.t), lineage=lineage,
                        metrics=metrics, card=card)

    def put(self, name: str, shares: Mapping[str, tuple[Any, int]], *, session: bytes,
            manifest_hash: str, place: tuple[int, int, int],
            lineage: Mapping[str, Any] | None = None, metrics: Mapping[str, float] | None = None,
            card: Mapping[str, Any] | None = None) -> Record:
        """As `save`, for a computation that has ended: share arrays with their fractional bits.

        `session` is a text that the parties agree on, `place` the party, their number and the
        threshold.
        """
        folder = self.folder / _checked_name(name)
        version = 1 + max((r.version for r in self.versions(name)), default=0)
        data = _packed({key: share for key, (share, _) in shares.items()})
        identity = hashlib.sha256(b'\0'.join(
            (b'model', session, name.encode(), manifest_hash.encode()))).hexdigest()
        record = Record(
            name, version, 'draft', identity, manifest_hash, *place, time.time(),
            {key: {'shape': list(share.shape[:-1]), 'frac': frac}
             for key, (share, frac) in shares.items()},
            hashlib.sha256(data).hexdigest(), dict(lineage or {}), dict(metrics or {}),
            dict(card or {}))
        (folder / str(version)).mkdir(parents=True)
        _write(folder / str(version) / 'shares.npz', data)
        self._write_record(record)
        return record

    def load(self, mpc, name: str, version: int | None = None, *,
             identity: str | None = None) -> tuple[Record, dict[str, SecureArray]]:
        """(record, arrays) of a version, or of the live one, as shares of this computation.

        `identity` is what a manifest says the model is: shares of different trainings must not
        meet. Raises LocalProtocolError: `no-model`, `model-destroyed`, `other-model`,
        `other-deployment` (another party number, or number of parties), `damaged-model`.
        """
        record = self.record(name, version)
        where = f'version {record.version} of model {name}'
        if identity is not None and identity != record.identity:
            raise LocalProtocolError(
                'other-model', f'{where} is {record.identity[:16]}, expected {identity[:16]}',
                remedy='name a version that all parties stored in the same training')
        deployment = (mpc.pid, mpc.geometry.m, mpc.geometry.t)
        if deployment != (record.party, record.parties, record.threshold):
            raise LocalProtocolError(
                'other-deployment', f'{where} was stored by party {record.party} of '
                f'{record.parties} with threshold {record.threshold}, this is party '
                f'{deployment[0]} of {deployment[1]} with threshold {deployment[2]}',
                remedy='run with the parties in the order of the training')
        path = self._path(record) / 'shares.npz'
        if not path.exists():
            raise LocalProtocolError('model-destroyed', f'the shares of {where} were deleted',
                                     remedy='train again, or take another version')
        data = path.read_bytes()
        shapes = {key: (*a['shape'], 2) for key, a in record.arrays.items()}
        if hashlib.sha256(data).hexdigest() != record.digest:
            raise _damaged(where)
        shares = _unpacked(data, shapes, where)
        return record, {key: SecureArray(mpc, shares[key].shape[:-1], a['frac'], shares[key])
                        for key, a in record.arrays.items()}

    def record(self, name: str, version: int | None = None) -> Record:
        """What a version is (the live one if None); raises LocalProtocolError `no-model`."""
        found = [r for r in self.versions(name)
                 if (r.state == 'live' if version is None else r.version == version)]
        if not found:
            which = 'live version' if version is None else f'version {version}'
            raise LocalProtocolError('no-model', f'there is no {which} of model {name}',
                                     remedy='see which versions there are')
        return found[0]

    def find(self, identity: str) -> Record:
        """The version of that identity; raises LocalProtocolError `no-model`."""
        for name in self.names():
            for record in self.versions(name):
                if record.identity == identity:
                    return record
        raise LocalProtocolError('no-model', f'there is no model {identity[:16]} here',
                                 remedy='see which models there are')

    def versions(self, name: str) -> list[Record]:
        """All versions of a name, the oldest first, deleted ones included."""
        paths = (self.folder / _checked_name(name)).glob('*/model.json')
        records = [Record(**json.loads(path.read_text(encoding='utf-8'))) for path in paths]
        return sorted(records, key=lambda r: r.version)

    def names(self) -> list[str]:
        """Names of all models."""
        return sorted(p.name for p in self.folder.glob('*') if _NAME.match(p.name))

    def set_state(self, name: str, version: int, state: str) -> Record:
        """Move a version to another state (`TRANSITIONS`).

        Raises LocalProtocolError `wrong-state`, also for a second live version.
        """
        record = self.record(name, version)
        live = [r.version for r in self.versions(name) if r.state == 'live']
        if state not in TRANSITIONS.get(record.state, ()) or (state == 'live' and live):
            allowed = ', '.join(TRANSITIONS.get(record.state, ())) or 'nothing'
            raise LocalProtocolError(
                'wrong-state', f'version {version} of model {name} is {record.state}, cannot become'
                f' {state} (expected {allowed})' + (f'; version {live[0]} is live' if live else ''),
                remedy='retire the live version first' if live else '')
        return self._write_record(replace(record, state=state))

    def delete(self, name: str, version: int) -> dict[str, Any]:
        """Destroy the shares of a version; its record stays, retired.

        The file is overwritten before it is removed; a file system that keeps old blocks may still
        hold them, but t + 1 parties would have to fail to destroy theirs. Returns what an audit log
        should say: name, version, identity, digest, and that the shares are destroyed.
        """
        record = self._write_record(replace(self.record(name, version), state='retired'))
        destroy(self._path(record) / 'shares.npz')
        return {'event': 'model-destroyed', 'model': name, 'version': version,
                'identity': record.identity, 'digest': record.digest, 'party': record.party}

    def _path(self, record):
        return self.folder / record.name / str(record.version)

    def _write_record(self, record):
        text = json.dumps(asdict(record), indent=1, sort_keys=True)
        _write(self._path(record) / 'model.json', text.encode())
        return record


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
        _write(self._path(step), _packed(held, about), durable=False)
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
                about, shares = _read(self._path(step), f'the checkpoint of step {step}')
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
        return Checkpoint(self.folder / _checked_name(training), self.job)

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
        except _UNREADABLE:
            return None

    def keep_order(self, order: np.ndarray) -> None:
        """Keep this party's own order of its rows, in the clear: a number per slot.

        Solvers that take samples or batches of rows resume on the same ones.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        buffer = io.BytesIO()
        np.save(buffer, order)
        _write(self.folder / _ORDER, buffer.getvalue(), durable=False)

    def clear(self) -> None:
        """Destroy them all, and the order."""
        self._clear_but(frozenset())
        destroy(self.folder / _ORDER)

    def _clear_but(self, names: AbstractSet[str]) -> None:
        for folder in self.folder.glob('*'):
            if folder.is_dir() and folder.name not in names:
                Checkpoint(folder, self.job).clear()


def _state_name(step, session):
    """A state as one whole number: its step, and below it a digest of its session."""
    digest = hashlib.sha256(b'checkpoint' + session).digest()
    return step << _SESSION_BITS | int.from_bytes(digest, 'big') >> 256 - _SESSION_BITS


def destroy(path: Path) -> None:
    """Overwrite a file with random bytes, and remove it."""
    if not path.exists():
        return
    with open(path, 'r+b') as file:
        left = path.stat().st_size
        while left > 0:
            left -= file.write(secrets.token_bytes(min(left, 1 << 20)))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()


def _write(path, data, durable=True):
    """Replace a file by a new one, readable by its user only."""
    fresh = path.with_name(f'.{path.name}.{secrets.token_hex(4)}')
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, 'wb') as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    os.replace(fresh, path)


def _packed(shares, about=None):
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(about or {}).encode(), np.uint8)
    np.savez(buffer, about=text, **{f'share:{key}': share for key, share in shares.items()})
    return buffer.getvalue()


def _read(path, where):
    """(what a file is about, its shares); LocalProtocolError `damaged-model` for a torn file."""
    data = path.read_bytes()
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            about = json.loads(file['about'].tobytes())
            shapes = {key[6:]: file[key].shape for key in file.files if key.startswith('share:')}
        return about, _unpacked(data, shapes, where)
    except _UNREADABLE as error:
        raise _damaged(where) from error


def _unpacked(data, shapes, where):
    """{name: shares}, each of its shape and made of field elements."""
    shares = {}
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        for key, shape in shapes.items():
            share = file[f'share:{key}']
            if share.dtype != np.uint64 or share.shape != shape or not elements.canonical(share):
                raise _damaged(where)
            shares[key] = share
    return shares


def _damaged(where):
    return LocalProtocolError('damaged-model', f'the shares of {where} are not what was stored',
                              remedy='restore the folder from a backup, or train again')


def _checked_name(name):
    if not isinstance(name, str) or not _NAME.match(name):
        raise LocalProtocolError('bad-name', f'model name of {len(str(name))} characters, expected '
                                 'up to 64 letters, digits, dots, dashes or underscores')
    return name
