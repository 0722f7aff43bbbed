"""Private set intersection with named receivers: who is in both sets, or only how many.

The explicit reveal mode beside the join with shared output: its result is in the clear, at the
receivers that the manifest names and nowhere else. Two ways to compute it:

- With a helper H, which is neither owner: the owners tag their identifiers under a fresh pairwise
  key that H lacks and send H the tags, padded to the public sizes, in secret random orders. H tells
  each receiver which of its own slots match, or the size. H learns the size. One hash per row.
- Without a helper. Identifiers: the client (the first owner that is a receiver) and the server run
  the OPRF of RFC 9497; the server also sends the PRF values of its own set in a secret order; the
  client compares, and tells the server its matching slots if the server is a receiver too. Only
  the size: both mask the hashed identifiers with a secret exponent, each masks the other's list a
  second time, and the server returns the client's list sorted, so that positions say nothing; the
  client counts equal values. Two to three group operations per row and owner.

Semi-honest. In both modes without a helper, whoever takes part can put in identifiers that it
guesses, as many as its public size admits. `proved` adds the RFC's proof that the server used one
key for all that the client asked. Lists are padded with random identifiers, so what travels depends
on the public sizes only.

Sources: Meadows 1986 and Huberman, Franklin, Hogg, EC 1999 (double masking); Jarecki, Liu,
SCN 2010 (OPRF); De Cristofaro, Gasti, Tsudik, CANS 2012 (size only).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import LocalProtocolError, RemoteProtocolError
from protocols import oprf
from protocols.tags import Packed

CHUNK = 4096
"""Rows per message: while one party works on a chunk, the other works on the next."""

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Plan:
    """What the manifest states about one intersection.

    `rows` are the public sizes of the owners' sets, at most so many identifiers each. `receivers`
    learn the result: owners their own matching rows, or with `size_only` any parties the size.
    Raises ValueError for a plan that contradicts itself.
    """

    owners: tuple[int, int]
    rows: tuple[int, int]
    receivers: tuple[int, ...]
    size_only: bool = False
    helper: int | None = None
    proved: bool = False

    def __post_init__(self) -> None:
        if len(set(self.owners)) != 2 or self.helper in self.owners:
            raise ValueError(f'owners {self.owners} with helper {self.helper}, expected two '
                             'different owners and a helper that is neither')
        outsiders = sorted(set(self.receivers) - set(self.owners))
        if not self.receivers or len(set(self.receivers)) < len(self.receivers):
            raise ValueError(f'receivers {self.receivers}, expected one or more, each once')
        if outsiders and not self.size_only:
            raise ValueError(f'receivers {outsiders} own none of the sets, expected owners: others '
                             'can only receive the size')
        if self.helper is None and len(outsiders) == len(self.receivers):
            raise ValueError('no receiver among the owners, expected one: without a helper an '
                             'owner computes the result')
        if self.proved and (self.helper is not None or self.size_only):
            raise ValueError('a proof with a helper or for the size only, expected neither: the '
                             'proof belongs to the OPRF')

    @property
    def client(self) -> int:
        """The owner that computes the result where there is no helper."""
        return next(o for o in self.owners if o in self.receivers)

    @property
    def server(self) -> int:
        """The other owner."""
        return self.owners[1 - self.owners.index(self.client)]

    def size_of(self, owner: int) -> int:
        """The public size of an owner's set."""
        return self.rows[self.owners.index(owner)]

    def disclosures(self, names: Sequence[str]) -> dict[str, str]:
        """For every party that learns something, by name: what, in one sentence."""
        first, second = (names[o] for o in self.owners)
        told = {}
        for party in self.receivers:
            other = second if names[party] == first else first
            told[names[party]] = (
                f'learns how many identifiers {first} and {second} have in common, not which'
                if self.size_only else
                f'learns which of its own identifiers {other} has too, and nothing about the rest')
        if self.helper is not None and self.helper not in self.receivers:
            told[names[self.helper]] = (
                f'learns how many identifiers {first} and {second} have in common, not which')
        return told


@dataclass(frozen=True, eq=False)
class Intersection:
    """What a receiver learns: the size and, unless only that was agreed, its own matching rows
    in ascending order."""

    size: int
    rows: npt.NDArray[np.int64] | None

    def __repr__(self) -> str:
        return f'Intersection(rows={"not revealed" if self.rows is None else "…"})'


async def intersect(mpc, ids: Sequence[str] | None, plan: Plan) -> Intersection | None:
    """Run a plan; every party of the job calls it, the owners with their identifiers.

    `ids` are unique and normalised. None at parties that receive nothing. Raises ValueError at an
    owner whose identifiers repeat or exceed the public size, and RemoteProtocolError
    (`bad-element`, `repeated-element`, `bad-proof`, `wrong-length`) for what no correct peer sends.

    With n rows at each owner. Helper: a round, and one per receiver; 16n bytes from each owner, n/8
    bytes to each receiver. OPRF: 32n bytes from the client, 48n from the server. Size only: 32n and
    48n. Without a helper there are two to three rounds per chunk, which overlap.
    """
    if mpc.geometry.verified:
        raise LocalProtocolError(
            'not-verifiable', 'private set intersection: what an owner puts in cannot be checked',
            remedy='run this job in the default mode')
    owner = mpc.pid in plan.owners
    mine = _Padded(ids if owner and ids is not None else [], plan.size_of(mpc.pid) if owner else 0)
    if plan.helper is not None:
        return await _with_helper(mpc, mine, plan)
    return await (_size_only if plan.size_only else _by_oprf)(mpc, mine, plan)


class _Padded:
    """An owner's identifiers as bytes in a secret random order, padded with random ones."""

    def __init__(self, ids: Sequence[str], slots: int):
        if len(ids) > slots:
            raise ValueError(f'{len(ids)} rows, but the manifest states at most {slots}')
        if len(set(ids)) < len(ids):
            raise ValueError(f'{len(ids) - len(set(ids))} of {len(ids)} identifiers repeat, '
                             'expected each once: keep one row per identifier')
        rows = np.full(slots, -1, np.int64)
        rows[:len(ids)] = np.arange(len(ids))
        draws = np.frombuffer(secrets.token_bytes(16 * slots), np.uint64).reshape(slots, 2)
        self.rows = rows[np.lexsort(draws.T)]
        # A random string of 32 bytes is no identifier of anybody.
        self.inputs = [ids[row].encode() if row >= 0 else secrets.token_bytes(32)
                       for row in self.rows]

    def result(self, slots: npt.NDArray[np.int64]) -> Intersection:
        rows = np.sort(self.rows[slots])
        rows = rows[rows >= 0]
        return Intersection(len(rows), rows)


# --- with a helper ---

async def _with_helper(mpc, mine: _Padded, plan: Plan) -> Intersection | None:
    helper, label = plan.helper, b'psi-%d' % mpc.next_operation()
    tags = None
    if mpc.pid in plan.owners:
        other = plan.owners[1 - plan.owners.index(mpc.pid)]
        key = mpc.randomness.pair_secret(other, label)
        tags = await _compute(mpc, lambda: Packed(mine.inputs).tags(key))
    sent = [mpc.send_private(tags, owner, helper, (plan.size_of(owner), 2))
            for owner in plan.owners]
    lists = [await s for s in sent]
    found = await _compute(mpc, _matches, *lists) if mpc.pid == helper else None
    result = None
    for receiver in plan.receivers:
        if plan.size_only:
            size = None if found is None else len(found[0])
            result = await _tell_size(mpc, size, helper, receiver) or result
        else:
            slots = None if found is None else found[plan.owners.index(receiver)]
            result = await _tell_slots(mpc, slots, mine, plan, helper, receiver) or result
    return result


async def _tell_size(mpc, size, sender, receiver) -> Intersection | None:
    if sender != receiver:
        values = None if size is None else np.array([size], np.uint64)
        told = await mpc.send_private(values, sender, receiver, (1,))
        size = None if told is None else int(told[0])
    return Intersection(size, None) if mpc.pid == receiver else None


async def _tell_slots(mpc, slots, mine, plan, sender, receiver) -> Intersection | None:
    """Which of a receiver's slots match, as packed bits."""
    count = plan.size_of(receiver)
    bits = None
    if mpc.pid == sender:
        bits = np.zeros(-(-count // 64) * 64, np.uint8)
        bits[slots] = 1
        bits = np.packbits(bits).view(np.uint64)
    told = await mpc.send_private(bits, sender, receiver, (-(-count // 64),))
    if told is None:
        return None
    return mine.result(np.flatnonzero(np.unpackbits(told.view(np.uint8))[:count]))


# --- without a helper ---

async def _by_oprf(mpc, mine: _Padded, plan: Plan) -> Intersection | None:
    """In step k the client blinds chunk k and finalises chunk k - 2, while the server computes
    tags of its own chunk k and evaluates chunk k - 1 of the client's."""
    client, server = plan.client, plan.server
    is_client, is_server = mpc.pid == client, mpc.pid == server
    mode = oprf.MODE_VOPRF if plan.proved else oprf.MODE_OPRF
    key = oprf.random_scalar() if is_server else b''
    public = b''
    if plan.proved:
        told = await mpc.send_private(
            _words([oprf.public_key(key)], 4) if is_server else None, server, client, (1, 4))
        public = told.tobytes() if is_client else b''
    theirs, ours = _chunks(plan.size_of(server)), _chunks(plan.size_of(client))
    asked, answers, proofs, sent, kept = [], [], [], [], {}
    own: list[Words] = []
    other: list[Words] = []
    for k in range(max(len(theirs) + 1, len(ours) + 2)):
        if k < len(ours):
            blinded = None
            if is_client:
                kept[k] = await _compute(mpc, oprf.blind, mine.inputs[ours[k]], mode)
                blinded = kept[k][1].view(np.uint64)
            asked.append(mpc.send_private(blinded, client, server, (_length(ours[k]), 4)))
        if k < len(theirs):
            tags = None
            if is_server:
                tags = _tags(await _compute(mpc, oprf.evaluate, mine.inputs[theirs[k]], key, mode))
            sent.append(mpc.send_private(tags, server, client, (_length(theirs[k]), 2)))
        if 0 < k <= len(ours):
            question, answer, proof = await asked[k - 1], None, None
            if is_server:
                elements = question.view(np.uint8)
                evaluated = await _compute(mpc, oprf.multiply, elements, key, client)
                answer = evaluated.view(np.uint64)
                if plan.proved:
                    proof = await _compute(mpc, oprf.prove, key, elements, evaluated)
                    proof = _words([proof], 8)
            answers.append(mpc.send_private(answer, server, client, (_length(ours[k - 1]), 4)))
            if plan.proved:
                proofs.append(mpc.send_private(proof, server, client, (1, 8)))
        if 0 < k <= len(theirs):
            other.append(await sent[k - 1])
        if 1 < k <= len(ours) + 1:
            answer = await answers[k - 2]
            proof = await proofs[k - 2] if plan.proved else None
            if is_client:
                blinds, blinded = kept.pop(k - 2)
                evaluated = answer.view(np.uint8)
                if proof is not None:
                    await _compute(mpc, oprf.verify, public, blinded, evaluated, proof.tobytes(),
                                   server)
                own.append(_tags(await _compute(mpc, oprf.finalize, mine.inputs[ours[k - 2]],
                                                blinds, evaluated, server)))
    found = _matches(_joined(own), _joined(other)) if is_client else None
    result = None if found is None else mine.result(found[0])
    if server in plan.receivers:
        slots = None if found is None else found[1]
        result = await _tell_slots(mpc, slots, mine, plan, client, server) or result
    return result


async def _size_only(mpc, mine: _Padded, plan: Plan) -> Intersection | None:
    """In step k each owner masks its own chunk k and masks chunk k - 1 of the other's again."""
    client, server = plan.client, plan.server
    key = oprf.random_scalar()
    pairs = [(client, server), (server, client)]
    chunks = {owner: _chunks(plan.size_of(owner)) for owner in plan.owners}
    sent: dict[int, list[Any]] = {owner: [] for owner in plan.owners}
    twice: list[Words] = []
    for k in range(1 + max(map(len, chunks.values()))):
        for sender, receiver in pairs:
            if k < len(chunks[sender]):
                part, masked = chunks[sender][k], None
                if mpc.pid == sender:
                    masked = await _compute(mpc, _masked, mine.inputs[part], key)
                    masked = masked.view(np.uint64)
                sent[sender].append(mpc.send_private(masked, sender, receiver,
                                                     (_length(part), 4)))
        for sender, receiver in pairs:
            if 0 < k <= len(chunks[sender]):
                masked = await sent[sender][k - 1]
                if mpc.pid == receiver:
                    twice.append(_tags(await _compute(
                        mpc, oprf.multiply, masked.view(np.uint8), key, sender)))
    mixed = None
    if mpc.pid in plan.owners:
        peer = server if mpc.pid == client else client
        mixed = _sorted(_joined(twice), peer)
    back = await mpc.send_private(mixed if mpc.pid == server else None, server, client,
                                  (plan.size_of(client), 2))
    size = None if back is None or mixed is None else len(_matches(back, mixed)[0])
    result = None
    for receiver in plan.receivers:
        result = await _tell_size(mpc, size, client, receiver) or result
    return result


def _masked(inputs: list[bytes], key: bytes) -> oprf.Elements:
    return oprf.multiply(oprf.hash_to_group(inputs), key)


# --- the parts ---

async def _compute(mpc, function: Callable, *args) -> Any:
    """Run a kernel beside the event loop; raises what made the run fail meanwhile."""
    result = await asyncio.to_thread(function, *args)
    mpc.check()
    return result


def _chunks(rows: int) -> list[slice]:
    return [slice(a, min(a + CHUNK, rows)) for a in range(0, rows, CHUNK)]


def _length(part: slice) -> int:
    return part.stop - part.start


def _words(items: Sequence[bytes], width: int) -> Words:
    return np.frombuffer(b''.join(items), np.uint64).reshape(len(items), width)


def _tags(values: npt.NDArray[np.uint8]) -> Words:
    """The first 16 bytes of each value: distinct ones agree with probability 2^-128."""
    return np.ascontiguousarray(values[:, :16]).view(np.uint64).reshape(-1, 2)


def _joined(parts: list[Words]) -> Words:
    return np.concatenate(parts) if parts else np.empty((0, 2), np.uint64)


def _sorted(tags: Words, sender: int) -> Words:
    """Tags in ascending order, which does not depend on the order in which they came."""
    tags = tags[np.lexsort(tags.T)]
    repeated = int((tags[1:] == tags[:-1]).all(axis=1).sum())
    if repeated:
        # How often a value comes back would tell its sender which identifier it stands for.
        raise RemoteProtocolError(
            'repeated-element', f'{repeated} of {len(tags)} masked identifiers repeat',
            party=sender, remedy='do not run this job again with that party')
    return tags


def _matches(left: Words, right: Words) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Positions of the equal rows of two lists, each without repetitions."""
    tags = np.concatenate([left, right])
    order = np.lexsort(tags.T)
    ordered = tags[order]
    first, second = order[:-1], order[1:]
    same = ((ordered[1:] == ordered[:-1]).all(axis=1)
            & (first < len(left)) & (second >= len(left)))
    return first[same], second[same] - len(left)
