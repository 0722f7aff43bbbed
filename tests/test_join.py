"""The secure join against a dictionary: any overlap, padding, and what travels."""

from __future__ import annotations

import itertools
from hashlib import blake2b, sha256

import numpy as np
import pytest

from engine.cluster import run_cluster
from engine.errors import EngineError, LocalProtocolError
from protocols.join import SecureJoin, helpers, split_order, training_slots

NAMES = [f"company-{i:03d}" for i in range(40)] + ["名字", "Ünïcode AG", "x" * 500]


def joined(ids, order, rows=None, tap=None, width=2):
    """(match bits of the partners, all columns) on the initiator's slots, opened.

    Every party's columns are its row numbers plus one, and the same plus 1000.
    """
    rows = rows or [len(own) for own in ids]

    async def program(mpc):
        own = np.array(ids[mpc.pid], dtype=object)
        join = SecureJoin(mpc, rows, len(order))
        await join.match(own, np.asarray(order) if mpc.pid == 0 else None)
        values = 1 + np.arange(len(own))[:, None] + 1000 * np.arange(width)
        matches = [join.columns(p, np.ones((len(own), 1), np.uint8) if mpc.pid == p else None, 1)
                   for p in range(1, 4)]
        columns = [join.columns(p, values if mpc.pid == p else None, width) for p in range(4)]
        return await mpc.output([*matches, *columns])

    results = run_cluster(program, 4, tap=tap)
    for other in results[1:]:
        np.testing.assert_equal(other, results[0])
    return results[0][:3], results[0][3:]


def check(ids, order, rows=None, tap=None):
    matches, columns = joined(ids, order, rows, tap)
    slots = [ids[0][row] if row >= 0 else None for row in order]
    for party in range(4):
        places = {name: row for row, name in enumerate(ids[party])}
        where = np.array([places.get(name, -1) for name in slots])
        expected = np.where(where[:, None] < 0, 0, 1 + where[:, None] + [[0, 1000]])
        np.testing.assert_array_equal(columns[party], expected)
        if party:
            np.testing.assert_array_equal(matches[party - 1].ravel(), where >= 0)


def some(rng, count):
    return [NAMES[i] for i in rng.permutation(len(NAMES))[:count]]


@pytest.mark.parametrize("seed", range(3))
def test_random_overlaps(seed):
    rng = np.random.default_rng(seed)
    ids = [some(rng, n) for n in rng.integers(15, 40, 4)]
    order = rng.permutation(np.append(np.arange(len(ids[0])), [-1, -1]))
    check(ids, order)


def test_none_matching():
    check([NAMES[:5], NAMES[5:9], NAMES[9:20], NAMES[20:21]], [4, 2, 0, 1, 3])


def test_all_matching_in_other_orders():
    rng = np.random.default_rng(0)
    check([some(rng, len(NAMES)) for _ in range(4)], rng.permutation(len(NAMES)))


@pytest.mark.parametrize("same", [True, False])
def test_one_row(same):
    check([["a"], ["a"], ["a" if same else "b"], ["a"]], [0])


def test_one_row_and_padding_on_all_sides():
    check([["a"], ["b", "a"], ["a"], ["c"]], [-1, 0, -1], rows=[1, 5, 4, 2])


def test_more_rows_than_the_manifest_states_are_refused():
    async def program(mpc):
        join = SecureJoin(mpc, [2, 2, 2, 2], 3)
        await join.match(np.array(["a", "b", "c"], object), np.arange(3))

    results = run_cluster(program, 4, raw_errors=True)
    assert all(isinstance(r, LocalProtocolError) and r.code == "too-many-rows" for r in results)
    assert "3 rows, but the manifest states at most 2" in str(results[0])


def test_one_party_that_holds_more_stops_all_and_all_know_which():
    async def program(mpc):
        join = SecureJoin(mpc, [2, 2, 2, 2], 2)
        own = NAMES[:3] if mpc.pid == 1 else NAMES[:2]
        await join.match(own, np.arange(2) if mpc.pid == 0 else None)

    results = run_cluster(program, 4, raw_errors=True)
    assert {r.party for r in results} == {1} and results[1].code == "too-many-rows"
    assert {r.code for r in results} <= {"too-many-rows", "peer-stopped"}


@pytest.mark.parametrize("party", range(4))
def test_repeated_identifiers_are_refused_without_naming_them(party):
    async def program(mpc):
        join = SecureJoin(mpc, [4] * 4, 4)
        own = ["a", "b", "a", "a"] if mpc.pid == party else ["a", "b", "c", "d"]
        await join.match(own, np.arange(4) if mpc.pid == 0 else None)

    error = run_cluster(program, 4, raw_errors=True)[party]
    assert error.code == "repeated-identifiers"
    assert "2 of 4 identifiers repeat" in str(error) and "aggregation" in error.remedy


@pytest.mark.parametrize("order", [[0, 1], [0, 1, 1], [0, 1, 2, -1], [0, 1, 3], [-1, -1, -1]])
def test_an_order_that_loses_rows_is_refused(order):
    async def program(mpc):
        join = SecureJoin(mpc, [3, 3, 3, 3], 3)
        await join.match(np.array(["a", "b", "c"], object), np.array(order))

    error = run_cluster(program, 4, raw_errors=True, idle_deadline=5)[0]
    assert error.code == "bad-order" and "each of its rows in one slot" in str(error)


@pytest.mark.parametrize("m, t", [(5, 2), (4, 0), (3, 0), (1, 0)])
def test_other_deployments_are_refused(m, t):
    async def program(mpc):
        SecureJoin(mpc, [1] * m, 1)

    with pytest.raises(EngineError, match="expected 4 with threshold 1"):
        run_cluster(program, m, t)


def test_values_that_are_no_integers_or_of_the_wrong_length_are_refused():
    async def program(mpc, values):
        join = SecureJoin(mpc, [2, 2, 2, 2], 2)
        await join.match(np.array(["a", "b"], object), np.arange(2))
        return await mpc.output(join.columns(1, values if mpc.pid == 1 else None, 1))

    for values in (np.array([[np.nan], [1.0]]), np.array([["x"], ["y"]])):
        results = run_cluster(lambda mpc, v=values: program(mpc, v), 4, raw_errors=True)
        assert all(isinstance(r, (EngineError, ValueError, TypeError)) for r in results)


@pytest.mark.parametrize("m", [3, 4])
def test_the_helpers_are_the_parties_without_a_key(m):
    first = []
    for left, right in itertools.combinations(range(m), 2):
        rest = helpers(right, left, m)
        assert sorted({left, right, *rest}) == list(range(m))
        first.append(rest[0])
    # With four parties the initiator matches nobody's tags.
    assert set(first) == set(range(m)) - ({0} if m == 4 else set())


def test_the_wire_holds_no_identifier_nor_an_unkeyed_hash_of_one():
    wire = bytearray()

    def tap(source, target, frame, payload):
        wire.extend(payload.tobytes())
        return [(frame, payload)]

    ids = [NAMES] * 4
    check(ids, np.random.default_rng(1).permutation(len(NAMES)), tap=tap)
    for name in NAMES:
        raw = name.encode()
        for secret in (raw[:12], blake2b(raw, digest_size=16).digest(), sha256(raw).digest()[:16]):
            assert secret not in wire


def test_what_the_helpers_see_is_in_a_new_order_every_time():
    """The positions that match are those of fresh random orders, not of the files."""
    seen = []

    async def program(mpc):
        join = SecureJoin(mpc, [20] * 4, 20)
        await join.match(np.array(NAMES[:20], object), split_order(np.ones(20, bool), (20, 0))
                         if mpc.pid == 0 else None)
        return [pair._index.tolist() for (_, p), pair in join._pairs.items()
                if mpc.pid in helpers(p)]

    for _ in range(2):
        seen += [tuple(p) for party in run_cluster(program, 4) for p in party]
    assert all(sorted(p) == list(range(20)) for p in seen)
    # H and Q agree, so each of the three joins of a run shows up twice.
    assert sorted(seen.count(p) for p in set(seen)) == [2] * 6


def test_tags_of_two_joins_with_one_partner_cannot_be_linked():
    """Every join of a job has a key of its own."""
    seen = set()

    async def program(mpc):
        for _ in range(2):
            join = SecureJoin(mpc, [3] * 4, 3, partners=[1])
            with pytest.MonkeyPatch.context() as patch:
                send = mpc.send_private

                def watched(values, *args, send=send, **more):
                    if mpc.pid == 1 and values is not None:
                        seen.update(tuple(tag) for tag in np.asarray(values).tolist())
                    return send(values, *args, **more)
                patch.setattr(mpc, "send_private", watched)
                await join.match(NAMES[:3], np.arange(3) if mpc.pid == 0 else None)

    run_cluster(program, 4)
    assert len(seen) == 6


@pytest.mark.parametrize("options", [
    {"kind": "outer"}, {"partners": [0, 1]}, {"partners": [4]}, {"partners": []},
    {"partners": [1], "required": [2]}, {"required": []}, {"bound": 2},
    {"kind": "inner", "bound": 0}, {"kind": "inner", "bound": 4}])
def test_plans_that_contradict_themselves(options):
    async def program(mpc):
        SecureJoin(mpc, [3] * 4, 3, **options)

    with pytest.raises(EngineError, match="bad-plan"):
        run_cluster(program, 4)


@pytest.mark.parametrize("rows, share", [(1, 0.3), (2, 0.3), (10, 0.5), (997, 0.3), (5, 0.95)])
def test_slots_hold_any_stratified_split(rows, share):
    train, test = training_slots(rows, share)
    assert train + test == rows + 2
    for bad in range(rows + 1):
        mask = np.zeros(rows, bool)
        mask[:round((1 - share) * bad)] = True
        mask[bad:bad + round((1 - share) * (rows - bad))] = True
        order = split_order(mask, (train, test))
        assert sorted(order[order >= 0]) == list(range(rows))
        assert mask[order[:train][order[:train] >= 0]].all()
        assert not mask[order[train:][order[train:] >= 0]].any()


def test_a_split_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="3 rows for 2 slots"):
        split_order(np.array([True, True, True, False]), (2, 4))
