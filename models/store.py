"""Models of one party, in a folder: shares of arrays and what they belong to.

A party stores its own shares only, so a folder alone says nothing about the weights: any t folders
together do not. Saving and loading are bit-exact. Nothing here sends a message.

    folder/NAME/VERSION/model.json   what the model is: manifest, lineage, metrics, state, digest
    folder/NAME/VERSION/shares.npz   this party's shares; gone after `delete`

Every change of a file is a new file that replaces the old one, readable by its user only.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.array import SecureArray
from engine.errors import LocalProtocolError
from models.kept_shares import NAME, checked_name, damaged, destroy, packed, unpacked, write
from models.model_states import TRANSITIONS


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
        folder = self.folder / checked_name(name)
        version = 1 + max((r.version for r in self.versions(name)), default=0)
        data = packed({key: share for key, (share, _) in shares.items()})
        identity = hashlib.sha256(b'\0'.join(
            (b'model', session, name.encode(), manifest_hash.encode()))).hexdigest()
        record = Record(
            name, version, 'draft', identity, manifest_hash, *place, time.time(),
            {key: {'shape': list(share.shape[:-1]), 'frac': frac}
             for key, (share, frac) in shares.items()},
            hashlib.sha256(data).hexdigest(), dict(lineage or {}), dict(metrics or {}),
            dict(card or {}))
        (folder / str(version)).mkdir(parents=True)
        write(folder / str(version) / 'shares.npz', data)
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
            raise damaged(where)
        shares = unpacked(data, shapes, where)
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
        paths = (self.folder / checked_name(name)).glob('*/model.json')
        records = [Record(**json.loads(path.read_text(encoding='utf-8'))) for path in paths]
        return sorted(records, key=lambda r: r.version)

    def names(self) -> list[str]:
        """Names of all models."""
        return sorted(p.name for p in self.folder.glob('*') if NAME.match(p.name))

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
        write(self._path(record) / 'model.json', text.encode())
        return record
