"""Counts of private bins against shared classes: right, at the predicted cost, for any data."""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import OF_PROGRAMS, secret

from engine.cluster import run_cluster
from engine.errors import EngineError
from protocols.binning_counts import (
    counts_of_words,
    label_counts,
    packed_words,
    packing,
    private_counts,
    private_counts_cost,
)


def tables(index, classes, bins):
    """Counts (features, bins, classes) by NumPy."""
    return np.stack([[np.bincount(column, weights=c, minlength=bins) for c in classes.T]
                     for column in index.T]).transpose(0, 2, 1)


def bins_of(rng, rows, features, bins):
    return [rng.integers(0, bins, (rows, f)).astype(np.uint8) for f in features]


def counted(index, classes, features, bins, m, tap=None, verified=False):
    """(opened counts per owner, rounds, bytes over all parties)."""

    async def program(mpc):
        shared = secret(mpc, classes)
        await shared.ready()
        mpc.floor = mpc.meter.depth
        with mpc.meter.measure() as cost:
            found = await private_counts(mpc, index[mpc.pid], shared, features, bins)
            for counts in found:
                if counts is not None:
                    await counts.ready()
        opened = [None if c is None else await mpc.output(c) for c in found]
        return opened, cost.rounds, cost.bytes_sent
    results = run_cluster(program, m, tap=tap, verified=verified)
    return results[0][0], results[0][1], sum(r[2] for r in results)


@pytest.mark.parametrize(("m", "rows", "features", "bins"), [
    (4, 300, [2, 0, 3, 1], 7), (3, 5000, [1, 2, 1], 11), (4, 9, [1, 1, 0, 0], 1),
])
def test_counts_and_their_cost(m, rows, features, bins):
    rng = np.random.default_rng(rows)
    index = bins_of(rng, rows, features, bins)
    label = rng.integers(0, 2, rows)
    classes = np.column_stack([label, 1 - label]) * (rng.random(rows) < 0.8)[:, None]
    found, rounds, sent = counted(index, classes, features, bins, m)
    for own, counts in zip(index, found, strict=True):
        assert counts is None if own.shape[1] == 0 else np.array_equal(
            counts, tables(own, classes, bins))
    assert (rounds, sent) == private_counts_cost(rows, features, bins, 2, m)


@pytest.mark.parametrize(("m", "verified"), [(5, False), (4, True), (1, False)])
def test_other_thresholds_and_verified_mode_deal_the_words(m, verified):
    rng = np.random.default_rng(m)
    features = [1] + [0] * (m - 2) + [2] * (m > 1)
    index = bins_of(rng, 120, features, 5)
    classes = rng.integers(0, 2, (120, 1))
    found, _, _ = counted(index, classes, features, 5, m, verified=verified)
    for own, counts in zip(index, found, strict=True):
        assert counts is None if own.shape[1] == 0 else np.array_equal(
            counts, tables(own, classes, 5))


def test_in_verified_mode_a_changed_word_ends_the_run():
    rng = np.random.default_rng(2)
    features, index = [1, 0, 0, 0], bins_of(rng, 40, [1, 0, 0, 0], 3)

    def tap(source, target, frame, payload):
        if source == 0 and len(payload) == 40 * 16:
            payload = payload.copy()
            payload[3] ^= 1
        return [(frame, payload)]
    with pytest.raises(EngineError):
        counted(index, np.ones((40, 1), np.int64), features, 3, 4, tap=tap, verified=True)


def test_the_traffic_does_not_depend_on_bins_or_classes():
    def shapes(seed, classes):
        seen = []

        def tap(source, target, frame, payload):
            if frame.kind in OF_PROGRAMS:
                seen.append((source, target, frame.kind, len(payload)))
            return [(frame, payload)]
        rng = np.random.default_rng(seed)
        counted(bins_of(rng, 200, [1, 2, 0, 0], 4), classes, [1, 2, 0, 0], 4, 4, tap=tap)
        return sorted(seen)
    assert shapes(1, np.ones((200, 1), np.int64)) == shapes(2, np.zeros((200, 1), np.int64))


def test_all_rows_count_and_the_owner_of_the_label_counts_alone():
    rng = np.random.default_rng(4)
    features, bins = [2, 1, 0, 2], 6
    index = bins_of(rng, 250, features, bins)
    label = rng.integers(0, 2, 250)

    async def program(mpc):
        shared = secret(mpc, label)
        found = await label_counts(mpc, index[mpc.pid], shared, features, bins, 0,
                                   label if mpc.pid == 0 else None)
        return [None if c is None else await mpc.output(c) for c in found]

    for own, counts in zip(index, run_cluster(program, 4)[0], strict=True):
        assert counts is None if own.shape[1] == 0 else np.array_equal(
            counts, tables(own, np.column_stack([label, 1 - label]), bins))


def test_words_of_rows_in_a_secret_order():
    """As after a join: rows without a match are zero and have no class."""
    rng = np.random.default_rng(9)
    index, matched = rng.integers(0, 7, (90, 3)), rng.random(90) < 0.7
    label = rng.integers(0, 2, 90)
    classes = np.column_stack([label, 1 - label]) * matched[:, None]
    words = packed_words(index, packing(90, 7)) * matched[:, None]

    async def program(mpc):
        return await mpc.output(
            counts_of_words(mpc, secret(mpc, words, 1), secret(mpc, classes), 7))
    np.testing.assert_array_equal(run_cluster(program, 4)[0], tables(index, classes, 7))


def test_wrong_bins_are_refused():
    async def program(mpc):
        label = secret(mpc, np.ones((10, 1), int))
        for index, text in ((np.full((10, 1), 3), "expected 0 to 2"),
                            (np.zeros((9, 1), int), r"expected \(10, 1\)"),
                            (None, r"expected \(10, 1\)")):
            with pytest.raises(ValueError, match=text):
                await private_counts(mpc, index, label, [1], 3)
        return True
    assert run_cluster(program, 1) == [True]


def test_packing_holds_every_counter():
    for rows in (1, 10, 1000, 10**5, 10**7):
        for bins in (2, 5, 11, 50):
            p = packing(rows, bins)
            assert p.per * p.bits <= 60 and p.per * p.words >= bins - 1
            assert p.rows < 1 << p.bits and p.sums(rows) * p.rows >= rows
