"""Bin counts of features that their owner knows in the clear, against shared classes.

Sharing an indicator per bin and row costs bins × rows field elements. Here a row of a feature is
one or two 64-bit words: counters stand side by side in a word, and the row's bin adds one to
its counter, so the words' inner product with a class is all the counts of a block of rows at once.

Protocol (t = 1): let O own the feature, A and B be two others, y a shared class. A and B draw
b from their common key; y + b opens to O alone, who learns a uniformly random number (2^-80). With
W the words of the feature, O and A draw R from their common key, and O sends W - R to B.
Then Σ W y = Σ W (y + b) - Σ R b - Σ (W - R) b, modulo 2^64, and O, A and B each compute one of the
three sums alone. They share their sums, and a decomposition into bits unpacks the counters. Only
O -> B sends anything of the size of the data, eight bytes per word. For other thresholds and in
verified mode the owner deals the words as field elements. Nothing is revealed to t parties.

Source: additive masking as in Beaver, CRYPTO 1991, with a helper that knows one factor of each
product in place of triples.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from engine import costs, field
from engine.additive import AdditiveArray
from engine.operation import Operation

_WORD_BITS = 60
"""Bits of a word that hold counters: three summands below 2^60 add up to less than 2^63."""
_BLOCK_WORDS = 1 << 22
_WINDOW = 2


class Packing(NamedTuple):
    """How counters share words: `per` counters of `bits` bits per word, `rows` rows per sum."""

    bits: int
    per: int
    words: int
    rows: int

    def sums(self, rows: int) -> int:
        """Number of blocks of rows that are summed up apart."""
        return -(-rows // self.rows)


def packing(rows: int, bins: int) -> Packing:
    """The packing with the least traffic for so many rows; the last bin needs no counter.

    Narrow counters need fewer words per row, and more sums that are taken apart into bits.
    """
    counters = max(1, bins - 1)

    def with_bits(bits):
        per = _WORD_BITS // bits
        return Packing(bits, per, -(-counters // per), (1 << bits) - 1)

    def traffic(p):
        bits = costs.to_bits(1, 4, 1, _WORD_BITS).total_bytes
        return p.words * (8 * rows + p.sums(rows) * bits)
    return min((with_bits(b) for b in range(2, 31)), key=traffic)


async def private_counts(mpc, index, classes, features, bins: int):
    """Shared counts (features[p], bins, classes) of every party p's own features.

    `index` (rows, features[pid]) are the bins of this party's own rows, in the order of the shared
    bits `classes` (rows, classes); None at a party without features. Returns one array per party,
    None without features. For t = 1 four rounds and 11 of the decomposition into bits; bytes as in
    `private_counts_cost`. Memory: a few blocks of 32 MiB.
    Raises ValueError for an index of the wrong shape or outside of the bins.
    """
    rows = classes.shape[0]
    _check(index, rows, features[mpc.pid], bins)
    plan = packing(rows, bins)
    totals = classes.sum(0)
    apart = mpc.geometry.t == 1 and not mpc.geometry.verified
    owners = [p for p, count in enumerate(features) if count]
    blinds = await _blind(mpc, classes, owners) if apart else {}
    width = max(1, _BLOCK_WORDS // (rows * plan.words))
    sums: dict[int, list] = {p: [] for p in owners}
    # The owners take turns, so that all parties have something to do at any time.
    for start in range(0, max(features), width):
        for p in owners:
            size = min(width, features[p] - start)
            if size <= 0:
                continue
            own = _plain(index[:, start:start + size]) if mpc.pid == p else None
            if apart:
                part = _sums_apart(mpc, p, own, blinds[p], (rows, size, classes.shape[1]), plan)
            else:
                part = _sums_dealt(mpc, p, own, classes, (rows, size), plan)
            sums[p].append(part)
            if len(sums[p]) > _WINDOW:
                await sums[p][-_WINDOW - 1].ready()
    return [_unpack(mpc, mpc.concatenate(sums[p], axis=1), totals, bins, plan)
            if p in sums else None for p in range(len(features))]


async def label_counts(mpc, index, label, features, bins: int, label_owner: int | None = None,
                       own_label=None):
    """Shared counts (features[p], bins, 2) [bad, good] where every row counts.

    As `private_counts`; `label` (rows,) are shared bits, 1 for bad. An owner counts its rows per
    bin itself, so that only the bad ones are computed jointly; `label_owner`, whose `own_label`
    is what it has shared, counts both itself and only deals the counts. One round more at most, 8
    bytes per party and count.
    """
    rows = label.shape[0]
    _check(index, rows, features[mpc.pid], bins)
    joint = [0 if p == label_owner else count for p, count in enumerate(features)]
    mine = index if joint[mpc.pid] else None
    bad = await private_counts(mpc, mine, label.reshape(rows, 1), joint, bins) if any(joint) \
        else [None] * len(features)
    tables: list[Any] = []
    for p, count in enumerate(features):
        if not count:
            tables.append(None)
            continue
        own = np.zeros((count, bins, 2), np.int64)
        if mpc.pid == p:
            own[:, :, 1] = _histogram(_plain(index), np.ones(rows, np.int64), bins)
            if p == label_owner:
                weights = np.ascontiguousarray(own_label, np.int64)
                own[:, :, 0] = _histogram(_plain(index), weights, bins)
        dealt = mpc.deal(field.encode(own, 0), p, own.shape, 0)
        known = dealt[:, :, :1] if p == label_owner else bad[p]
        tables.append(mpc.concatenate([known, dealt[:, :, 1:] - known], axis=2))
    return tables


@njit(cache=True, nogil=True)
def _histogram(index, weights, bins):
    out = np.zeros((index.shape[1], bins), np.int64)
    for r in range(index.shape[0]):
        for f in range(index.shape[1]):
            out[f, np.int64(index[r, f])] += weights[r]
    return out


def private_counts_cost(rows: int, features, bins: int, classes: int, m: int) -> costs.Prediction:
    """Rounds and bytes over all parties of `private_counts` for t = 1, given shared classes."""
    plan, total = packing(rows, bins), 0
    for count in features:
        if count:
            sums = plan.sums(rows) * count * plan.words * classes
            total += (costs.share(rows * classes, m, 1).total_bytes
                      + costs.ELEMENT * rows * classes + costs.WORD * rows * count * plan.words
                      + costs.to_shared(sums, m, 1, 3).total_bytes
                      + costs.to_bits(sums, m, 1, plan.per * plan.bits).total_bytes)
    return costs.Prediction(4 + costs.to_bits(1, m, 1).rounds, total)


def _check(index, rows, features, bins):
    if not features:
        return
    if index is None or np.shape(index) != (rows, features):
        raise ValueError(f'bins of shape {np.shape(index)}, expected {(rows, features)}')
    if rows and not 0 <= int(index.min()) <= int(index.max()) < bins:
        raise ValueError(f'bins from {index.min()} to {index.max()}, expected 0 to {bins - 1}')


def _plain(index):
    """Of one type and contiguous: every other kind of array would compile the kernels anew."""
    return np.ascontiguousarray(index, np.int32)


def _helpers(mpc, owner):
    m = mpc.geometry.m
    return (owner + 1) % m, (owner + 2) % m


async def _blind(mpc, classes, owners):
    """{owner: y + b at the owner, b at its helpers}, 64-bit words (rows, classes); None elsewhere.

    All owners at once: two rounds.
    """
    masks = [(p, _drawn_mask(mpc, classes, p)) for p in owners]
    opened = []
    for p, future in masks:
        mask, (a, _) = await future, _helpers(mpc, p)
        own = mask.reshape(*classes.shape, 2) if mpc.pid == a else None
        blinded = classes + mpc.deal(own, a, classes.shape, 0)
        opened.append((p, mask, _open_to_owner(mpc, blinded, p, a)))
    result = {}
    for p, mask, future in opened:
        value = await future
        words = value if mpc.pid == p else mask
        result[p] = None if words is None else \
            np.ascontiguousarray(words[:, 0]).reshape(classes.shape)
    return result


def _drawn_mask(mpc, classes, owner):
    """Future of integers below 2^100, limbs (size, 2), at the owner's helpers."""
    a, b = _helpers(mpc, owner)
    op = Operation(mpc, 'draw_mask', classes.shape)

    async def body(op):
        if mpc.pid not in (a, b):
            return None
        raw = op.of_pair(b if mpc.pid == a else a, b'blind', 2 * classes.size).reshape(-1, 2)
        raw[:, 1] &= np.uint64((1 << 36) - 1)
        return raw
    return mpc.issue_value(op, [], body)


def _open_to_owner(mpc, x, owner, sender):
    """Future of the opened elements (size, 2) at the owner: one share from one helper."""
    n = x.size
    op = Operation(mpc, 'open_blinded', x.shape)
    op.expected = costs.Prediction(1, costs.ELEMENT * n)

    async def body(op, share):
        share = np.ascontiguousarray(share).reshape(n, 2)
        received = await op.exchange({owner: share} if mpc.pid == sender else {},
                                     [sender] if mpc.pid == owner else [], n)
        if mpc.pid != owner:
            return None
        weights = mpc.geometry.recombination((owner, sender))
        return await op.compute(4 * n, field.combine, [share, *received], weights)
    return mpc.issue_value(op, [x], body)


def _sums_apart(mpc, owner, own, blind, shape, plan):
    """Shared sums of words (sums, features, words, classes), modulo 2^60, of one block."""
    a, b = _helpers(mpc, owner)
    rows, features, classes = shape
    size = (plan.sums(rows), features, plan.words, classes)
    words = (rows, features * plan.words)
    op = Operation(mpc, 'bin_counts', size)
    op.expected = costs.Prediction(1, 8 * math.prod(words))

    async def body(op):
        op.round()
        if mpc.pid == owner:
            mask = op.of_pair(a, b'words', math.prod(words)).reshape(rows, features, plan.words)
            await op.compute(math.prod(words), _pack, own, mask, plan.bits, plan.per)
            op.send(b, mask)
            mine = await op.compute(rows * features, _count, own, blind, plan, size)
        elif mpc.pid in (a, b):
            known = op.of_pair(owner, b'words', math.prod(words)) if mpc.pid == a \
                else await op.receive(owner, words)
            mine = -await op.compute(math.prod(words), _weigh, known.reshape(words), blind, plan,
                                     size)
        else:
            return None
        out = np.zeros((*size, 2), np.uint64)
        out[..., 0] = mine & np.uint64((1 << _WORD_BITS) - 1)
        return out
    return mpc.issue(op, [], body, AdditiveArray(mpc, (owner, a, b), size, 0)).to_shared()


def _sums_dealt(mpc, owner, own, classes, shape, plan):
    """The same sums of words that the owner deals as field elements."""
    rows, features = shape
    values = None if mpc.pid != owner else field.encode(packed_words(own, plan), 0)
    words = mpc.deal(values, owner, (rows, features * plan.words), 0)
    return _sums_of(mpc, words, classes, features, plan)


def _sums_of(mpc, words, classes, features, plan):
    sums = [words[k:k + plan.rows].T @ classes[k:k + plan.rows]
            for k in range(0, words.shape[0], plan.rows)]
    return mpc.stack(sums).reshape(len(sums), features, plan.words, classes.shape[1])


def packed_words(index, plan: Packing):
    """An owner's bins (rows, features) as words (rows, features·plan.words), to be shared."""
    packed = np.zeros((*index.shape, plan.words), np.uint64)
    _pack(_plain(index), packed, plan.bits, plan.per)
    return packed.astype(np.int64).reshape(len(index), -1)


def counts_of_words(mpc, words, classes, bins: int):
    """Shared counts (features, bins, classes) from shared `packed_words` and classes (rows, k).

    For rows that a join has put in a secret order: share the words in place of indicators, several
    times fewer. `words` are packed by `packing(rows, bins)`; rows that are zero throughout (no
    match) must have no class. One round and the decomposition into bits.
    """
    plan = packing(words.shape[0], bins)
    sums = _sums_of(mpc, words, classes, words.shape[1] // plan.words, plan)
    return _unpack(mpc, sums, classes.sum(0), bins, plan)


def _unpack(mpc, sums, totals, bins, plan):
    """Counts (features, bins, classes) from sums of packed counters."""
    used = plan.per * plan.bits
    bits = mpc.to_bits(sums, used)
    digits = mpc.from_bits(bits.reshape(*sums.shape, plan.per, plan.bits)).sum(0)
    features, words, classes = sums.shape[1:]
    counters = mpc.moveaxis(digits, 2, 3).reshape(features, words * plan.per, classes)
    counters = counters[:, :bins - 1]
    return mpc.concatenate([counters, (totals - counters.sum(1)).reshape(features, 1, classes)],
                           axis=1)


@njit(cache=True, nogil=True)
def _pack(index, words, bits, per):
    """words = (one in the counter of each row's bin) - words, modulo 2^64, in place."""
    rows, features, count = words.shape
    for r in range(rows):
        for f in range(features):
            for w in range(count):
                words[r, f, w] = np.uint64(0) - words[r, f, w]
            k = np.int64(index[r, f])
            if k // per < count:
                words[r, f, k // per] += np.uint64(1) << np.uint64(bits * (k % per))


def _count(index, blind, plan, size):
    out = np.zeros(size, np.uint64)
    _count_into(index, blind, plan.bits, plan.per, plan.rows, out)
    return out


@njit(cache=True, nogil=True)
def _count_into(index, blind, bits, per, block, out):
    for r in range(index.shape[0]):
        for f in range(index.shape[1]):
            k = np.int64(index[r, f])
            if k // per < out.shape[2]:
                for c in range(blind.shape[1]):
                    out[r // block, f, k // per, c] += blind[r, c] << np.uint64(bits * (k % per))


def _weigh(words, blind, plan, size):
    out = np.zeros((size[0], words.shape[1], size[3]), np.uint64)
    _weigh_into(words, blind, plan.rows, out)
    return out.reshape(size)


@njit(cache=True, nogil=True)
def _weigh_into(words, blind, block, out):
    for c in range(blind.shape[1]):
        for r in range(words.shape[0]):
            b, s = blind[r, c], r // block
            for w in range(words.shape[1]):
                out[s, w, c] += words[r, w] * b
