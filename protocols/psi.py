"""Private set intersection with named receivers: who is in both sets, or only how many.

The explicit reveal mode beside the join with shared output: its result is in the clear, at the
receivers that the manifest names and nowhere else. Two ways to compute it:

- With a helper H, which is neither owner: the owners tag their identifiers under a fresh pairwise
  key that H lacks and send H the tags, padded to the public sizes, in secret random orders. H tells
  each receiver which of its own slots match, or the size. H learns the size. One hash per row.
  With a witness, a second helper, both get the lists, agree that they are the same, match them each
  by itself, and tell each receiver, which compares: no helper alone can change the result. Verified
  mode asks for one.
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
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import LocalProtocolError, RemoteProtocolError
from engine.joint import agree
from protocols import oprf
from protocols.psi_plan import Intersection, Plan
from protocols.tags import Packed, repetitions

__all__ = ['Intersection', 'Plan', 'intersect']

CHUNK = 4096
"""Rows per message: while one party works on a chunk, the other works on the next."""

Words = npt.NDArray[np.uint64]


async def intersect(mpc, ids: Sequence[str] | None, plan: Plan) -> Intersection | None:
    """Run a plan; every party of the job calls it, the owners with their identifiers.

    `ids` are unique and normalised. None at parties that receive nothing. In verified mode it takes
    a helper and a witness. Raises LocalProtocolError `repeated-identifiers` or `too-many-rows` at
    an owner, and RemoteProtocolError (`bad-element`, `repeated-element`, `repeated-tag`,
    `bad-proof`, `wrong-length`, `cheating-detected`) for what no correct peer sends.

    With n rows at each owner. Helper: a round, and one per receiver; 16n bytes from each owner, n/8
    bytes to each receiver; a witness costs the same again, a round and 64 bytes. OPRF: 32n bytes
    from the client, 48n from the server. Size only: 32n and 48n. Without a helper there are two to
    three rounds per chunk, which overlap.
    """
    if mpc.geometry.verified and plan.witness is None:
        raise LocalProtocolError(
            'not-verifiable', 'private set intersection without a witness: nobody checks who '
            'computes the result', remedy='name a helper and a witness, or run this job in the '
            'default mode')
    owner = mpc.pid in plan.owners
    mine = _Padded(ids if owner and ids is not None else [], plan.size_of(mpc.pid) if owner else 0)
    if plan.helper is not None:
        return await _with_helper(mpc, mine, plan)
    return await (_size_only if plan.size_only else _by_oprf)(mpc, mine, plan)


class _Padded:
    """An owner's identifiers as bytes in a secret random order, padded with random ones."""

    def __init__(self, ids: Sequence[str], slots: int):
        if len(ids) > slots:
            raise LocalProtocolError(
                'too-many-rows', f'{len(ids)} rows, but the manifest states at most {slots}',
                remedy='state a larger size in the manifest, or bring fewer rows')
        if len(set(ids)) < len(ids):
            raise LocalProtocolError(
                'repeated-identifiers', f'{len(ids) - len(set(ids))} of {len(ids)} identifiers '
                'repeat, expected each once', remedy='keep one row per identifier')
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
    helpers, label = plan.helpers, b'psi-%d' % mpc.next_operation()
    tags = None
    if mpc.pid in plan.owners:
        other = plan.owners[1 - plan.owners.index(mpc.pid)]
        key = mpc.randomness.pair_secret(other, label)
        tags = await _compute(mpc, lambda: Packed(mine.inputs).tags(key))
    sent = [[mpc.send_private(tags, owner, helper, (plan.size_of(owner), 2)) for helper in helpers]
            for owner in plan.owners]
    got = [[await s for s in to_helpers] for to_helpers in sent]
    lists: list[Any] = [to_helpers[helpers.index(mpc.pid)] if mpc.pid in helpers else None
                        for to_helpers in got]
    if plan.witness is not None:
        # Before anything is matched: whether this stops says nothing about what matches.
        for agreed in [agree(mpc, helpers, words, (plan.size_of(owner), 2))
                       for words, owner in zip(lists, plan.owners, strict=True)]:
            await agreed
    found = None
    if mpc.pid in helpers:
        for owner, words in zip(plan.owners, lists, strict=True):
            count = repetitions(words)
            if count:
                raise RemoteProtocolError(
                    'repeated-tag', f'{count} of {len(words)} tags repeat', party=owner,
                    remedy='that party must bring each identifier once')
        found = await _compute(mpc, _matches, *lists)
    result = None
    for receiver in plan.receivers:
        if plan.size_only:
            size = None if found is None else len(found[0])
            result = await _tell_size(mpc, size, helpers, receiver) or result
        else:
            slots = None if found is None else found[plan.owners.index(receiver)]
            result = await _tell_slots(mpc, slots, mine, plan, helpers, receiver) or result
    return result


async def _tell(mpc, words, senders, receiver):
    """At the receiver: an array of words that each of the senders knows, if all say the same."""
    told = [mpc.send_private(words, sender, receiver, words.shape)
            for sender in senders if sender != receiver]
    heard = [await t for t in told]
    if mpc.pid != receiver:
        return None
    if receiver in senders:
        heard.append(words)
    if any(not np.array_equal(h, heard[0]) for h in heard):
        raise RemoteProtocolError(
            'cheating-detected', 'private set intersection: the helpers found different things; '
            f'one of the parties {sorted(senders)} deviated',
            remedy='replace that party before running again')
    return heard[0]


async def _tell_size(mpc, size, senders, receiver) -> Intersection | None:
    told = await _tell(mpc, np.array([0 if size is None else size], np.uint64), senders, receiver)
    return None if told is None else Intersection(int(told[0]), None)


async def _tell_slots(mpc, slots, mine, plan, senders, receiver) -> Intersection | None:
    """Which of a receiver's slots match, as packed bits."""
    count = plan.size_of(receiver)
    bits = np.zeros(-(-count // 64) * 64, np.uint8)
    if mpc.pid in senders:
        bits[slots] = 1
    told = await _tell(mpc, np.packbits(bits).view(np.uint64), senders, receiver)
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
        result = await _tell_slots(mpc, slots, mine, plan, (client,), server) or result
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
        result = await _tell_size(mpc, size, (client,), receiver) or result
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
