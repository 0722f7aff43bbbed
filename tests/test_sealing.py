"""Small outputs in verified mode: one round, closed until all parties confirm, right or stopped."""

from __future__ import annotations

import functools
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from adversary import KINDS, Attack, attacked, frames_of
from engine_kit import measured, secret
from mpyc_kit import at_party

from engine import checked_fields, frames
from engine.cluster import run_cluster
from engine.costs_verified import SMALL_OUTPUT, predict
from engine.errors import EngineError
from engine.sealing import Seals, _sealed, _sum, liars, sealed_size
from engine.shamir import Geometry

VALUES = np.array([3, -1, 2**40])
SIZE, KEY = 16 * len(VALUES), 16


async def opens(mpc, receivers=None):
    result = await mpc.output(secret(mpc, VALUES), receivers)
    return None if result is None else result.tolist()


async def opens_bytes(mpc):
    """The same over a field of MPyC's."""
    x = mpc.input([mpc.SecFld(2**61 - 1)(k) for k in (5, 6)], senders=0)
    return [int(value) for value in await mpc.output(x)]


def part(name, cheater):
    """Where in a sealed message of one of four parties something is changed."""
    others = [p for p in range(4) if p != cheater]
    keys = [SIZE + KEY * p for p in others]
    digests = [SIZE + KEY * (4 + p) for p in others]
    return {"content": [0], "key": keys[:1], "keys": keys, "digests": digests,
            "own key": [SIZE + KEY * cheater], "own digest": [SIZE + KEY * (4 + cheater)],
            "content and digests": [0, *digests], "all": [0, *keys, *digests]}[name]


def run(change, m=4, t=None, program=opens, **options):
    """(results, suspects) by party, where `change(source, target, payload)` changes sealed
    messages."""
    runtimes = {}

    async def watched(mpc):
        runtimes[mpc.pid] = mpc
        return await program(mpc)

    def tap(source, target, frame, payload):
        if frame.kind == frames.ARRAY and len(payload) == sealed_size(SIZE, m):
            payload = change(source, target, payload.copy())
        return [] if payload is None else [(frame, payload)]
    results = run_cluster(watched, m, t, tap=tap, raw_errors=True, verified=True, **options)
    return results, [sorted(runtimes[p].suspects) for p in range(m)]


def lying(cheaters, where):
    def change(source, target, payload):
        if source in cheaters:
            for at in part(where, source):
                payload[at] ^= np.uint8(1 + target)
        return payload
    return change


@pytest.mark.parametrize("m, t", [(2, 0), (4, 1), (5, 1), (7, 2)])
def test_a_small_output_takes_one_round_and_the_predicted_bytes(m, t):
    for receivers in (None, [1]):
        program = functools.partial(opens, receivers=receivers)
        for pid, result in enumerate(run_cluster(program, m, t, verified=True)):
            assert result == (VALUES.tolist() if receivers is None or pid == 1 else None)
        count = m if receivers is None else 1
        cost = predict("output", 3, Geometry(m, t, verified=True), receivers=count)
        assert cost == (1, count * (m - 1) * (48 + 32 * m))
        assert measured(program, m, t, verified=True)["output"] == (1, *cost)


@pytest.mark.parametrize("cheater", range(1, 4))
@pytest.mark.parametrize("where, named", [
    ("content", True), ("key", False), ("digests", False), ("content and digests", True),
    ("own key", True), ("own digest", False)])
def test_a_lie_that_spoils_one_share_is_corrected(cheater, where, named):
    """And the liar is named, unless a key and its digest are one's word against another's; digests
    matter only where shares do not agree."""
    results, suspects = run(lying([cheater], where))
    for pid in {0, 1, 2, 3} - {cheater}:
        assert results[pid] == VALUES.tolist()
        assert suspects[pid] == ([cheater] if named else [])


@pytest.mark.parametrize("cheater", range(1, 4))
@pytest.mark.parametrize("where", ["keys", "all"])
def test_who_spoils_all_seals_is_named_and_the_run_ends(cheater, where):
    results, suspects = run(lying([cheater], where))
    errors = [results[pid] for pid in {0, 1, 2, 3} - {cheater}]
    assert all(isinstance(error, EngineError) for error in errors)
    own = [error for error in errors if error.code == "cheating-detected"]
    assert own and {error.party for error in own} == {cheater}
    assert suspects == [[]] * 4, "nothing was corrected"


@pytest.mark.parametrize("cheaters", list(itertools.combinations(range(1, 7), 2)))
def test_two_liars_of_seven(cheaters):
    results, suspects = run(lying(cheaters, "content"), 7, 2)
    for pid in set(range(7)) - set(cheaters):
        assert results[pid] == VALUES.tolist() and suspects[pid] == list(cheaters)


@pytest.mark.parametrize("silent", range(4))
def test_nothing_opens_without_the_word_of_all(silent):
    def change(source, target, payload):
        return None if source == silent else payload
    results, _ = run(change, idle_deadline=0.5)
    errors = [result for pid, result in enumerate(results) if pid != silent]
    assert all(isinstance(error, EngineError) for error in errors)
    assert {error.party for error in errors} == {silent}


class Alone:
    """What `Seals` needs of an operation of four parties: keys, and where its messages go."""

    def __init__(self, pid, messages):
        self.runtime = SimpleNamespace(pid=pid, geometry=Geometry(4, 1, verified=True))
        self.messages = messages

    def of_pair(self, peer, purpose, count, piece):
        name = [*sorted((self.runtime.pid, peer)), *purpose, piece]
        return np.random.default_rng(name).integers(0, 2**63, count, np.uint64)

    def send(self, receiver, words, tag):
        self.messages[self.runtime.pid, receiver] = words.tobytes()


def test_what_a_receiver_has_of_all_but_one_honest_party_opens_no_seal():
    """Party 0 has the messages of 1 and 2; 3 has not said its word. No subset of the keys that it
    knows or has been sent opens the seal of 1, and with 3's key it does open."""
    messages: dict = {}
    content = {pid: bytes([pid]) * SIZE for pid in range(4)}
    parties = [Seals(Alone(pid, messages), 0) for pid in range(4)]
    for pid, seals in enumerate(parties):
        seals.send([0], content[pid])
    assert set(messages) == {(1, 0), (2, 0), (3, 0)}

    def keys(message):
        return [message[SIZE + k:SIZE + k + KEY] for k in range(0, 4 * KEY, KEY)]
    known = {*keys(bytes(SIZE) + parties[0]._keys[0]), *parties[0]._own,
             *keys(messages[1, 0]), *keys(messages[2, 0])}
    assert len(known) == 7 + 3 + 3, "two of the keys of 0 are those that 1 and 2 send"
    missing = keys(messages[3, 0])[1]

    def opening(more=()):
        return any(_sealed(messages[1, 0][:SIZE], _sum([*tried, *more])) == content[1]
                   for count in range(1, 6) for tried in itertools.combinations(known, count))
    assert not opening() and opening([missing])


def test_the_same_array_has_another_seal_each_time():
    seen = []

    def change(source, target, payload):
        seen.append(payload.tobytes())
        return payload

    async def twice(mpc):
        x = secret(mpc, VALUES)
        return [(await mpc.output(x)).tolist() for _ in range(2)]
    results, _ = run(change, program=twice)
    assert results == [[VALUES.tolist()] * 2] * 4
    assert len(seen) == 24 and len(set(seen)) == 8, "each party sends all the same, and twice"
    parts = [text[at:at + KEY] for text in set(seen) for at in range(0, len(text), KEY)]
    assert len(set(parts)) == len(parts)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("program, right", [
    (opens, VALUES.tolist()), (at_party(opens_bytes), [5, 6])], ids=["engine", "other"])
def test_every_frame_of_a_small_output_can_be_attacked(program, right, kind):
    cheater = 2
    sent = frames_of(program, cheater, verified=True)
    for at in range(sent - 3, sent):
        outcome = attacked(program, Attack(kind, at), cheater, verified=True)
        assert all(isinstance(r, EngineError) or r == right for r in outcome), (at - sent, kind)
        if kind == "wrong":
            assert outcome == [right] * 3


@pytest.mark.parametrize("conflicts, named", [
    ({(1, 2)}, set()), ({(0, 2)}, {2}), ({(2, 0)}, {2}), ({(1, 2), (2, 3)}, {2}),
    ({(1, 2), (2, 1)}, set()), ({(1, 2), (1, 3), (0, 1)}, {1}), (set(), set())])
def test_who_must_have_lied(conflicts, named):
    assert liars(conflicts, 0, 1) == named


def test_the_limit_of_small_outputs():
    g = Geometry(4, 1, verified=True)
    assert predict("output", SMALL_OUTPUT, g).rounds == 1
    assert predict("output", SMALL_OUTPUT + 1, g).rounds == 2
    assert checked_fields.output_cost(512, 8, 4, 1, 4).rounds == 1
    assert checked_fields.output_cost(513, 8, 4, 1, 4).rounds == 2
