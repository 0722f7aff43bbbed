"""The join in verified mode: whatever one party does, the result is right or the job stops."""

from __future__ import annotations

import numpy as np
import pytest
from adversary import KINDS, Attack, attacked, frames_of
from join_kit import Case, names, ordered

import engine.verified_select
from engine import field
from engine.cluster import run_cluster
from engine.dealing import Dealing
from engine.errors import EngineError
from protocols.join import SecureJoin, helpers

IDS = [names(0, 1, 2, 3), names(2, 9, 0, 1), names(3, 0, 5), names(8, 7, 3)]
ROWS = [len(own) for own in IDS]
H, Q = helpers(1)


async def program(mpc, cheat=None):
    """The join of the initiator with party 1; what comes out is all of the joined table.

    `cheat(mpc, join)` runs between matching and the columns, at every party.
    """
    own = IDS[mpc.pid]
    join = SecureJoin(mpc, ROWS, ROWS[0], partners=[1])
    await join.match(own if mpc.pid < 2 else None, np.arange(4) if mpc.pid == 0 else None)
    if cheat:
        cheat(mpc, join)
    values = 10 * (1 + np.arange(4))[:, None] + np.arange(2)
    opened = await mpc.output([join.presence(1),
                               join.columns(1, values if mpc.pid == 1 else None, 2)])
    return np.concatenate(opened, axis=1).tolist()


RIGHT = [[1, 30, 31], [1, 40, 41], [1, 10, 11], [0, 0, 0]]


def outcome_of(cheater, cheat):
    """What the honest parties end with when one party's join is changed before its columns."""
    results = run_cluster(
        lambda mpc: program(mpc, lambda m, j: cheat(j._pairs[0, 1]) if m.pid == cheater else None),
        4, verified=True, raw_errors=True, idle_deadline=2)
    return [r for pid, r in enumerate(results) if pid != cheater]


def assert_stopped(outcome):
    assert all(isinstance(r, EngineError) for r in outcome), outcome
    assert "cheating-detected" in {r.code for r in outcome}


def test_honest_parties_get_what_pandas_finds():
    assert run_cluster(program, 4, verified=True) == [RIGHT] * 4


def positions_changed(pair):
    pair._index = np.roll(pair._index, 1)


def two_rows_swapped(pair):
    pair._index = pair._index[[1, 0, 2, 3]]


def row_dropped(pair):
    pair._index = np.where(np.arange(4) == 1, -1, pair._index)


def row_invented(pair):
    pair._index = np.where(pair._index < 0, 1, pair._index)


def row_twice(pair):
    pair._index = np.where(np.arange(4) == 1, pair._index[0], pair._index)


def bit_dropped(pair):
    pair._matched = np.where(np.arange(4) == 1, -1, pair._matched)


def bit_invented(pair):
    pair._matched = np.where(pair._matched < 0, 1, pair._matched)


@pytest.mark.parametrize("cheater", [H, Q])
@pytest.mark.parametrize("cheat", [positions_changed, two_rows_swapped, row_dropped, row_invented,
                                   row_twice, bit_dropped, bit_invented], ids=lambda c: c.__name__)
def test_a_helper_that_changes_the_positions_is_found(cheat, cheater):
    assert_stopped(outcome_of(cheater, cheat))


@pytest.mark.parametrize("cheater", [H, Q])
@pytest.mark.parametrize("change", [
    lambda x: field.affine(x, 1, 1),  # each element one more
    lambda x: np.concatenate([field.affine(x[:1], 1, 5), x[1:]]),  # the first element alone
    lambda x: np.zeros_like(x),
    lambda x: field.affine(x, 2)], ids=["more", "one", "zero", "double"])
def test_a_helper_that_changes_what_it_deals_is_found(monkeypatch, cheater, change):
    class Changed(Dealing):
        async def give(self, values):
            return await super().give(change(values) if self.dealer == cheater else values)
    monkeypatch.setattr(engine.verified_select, "Dealing", Changed)
    assert_stopped(outcome_of(cheater, lambda pair: None))


@pytest.mark.parametrize("cheater", [H, Q])
def test_a_helper_that_makes_a_match_vanish_consistently_is_found(monkeypatch, cheater):
    """It knows that the column of ones has a 1 there, and takes away exactly that."""
    class Changed(Dealing):
        async def give(self, values):
            if self.dealer == cheater:
                values = field.sub(values, field.encode(np.array([30, 31] + [0] * 6), 0))
            return await super().give(values)
    monkeypatch.setattr(engine.verified_select, "Dealing", Changed)
    assert_stopped(outcome_of(cheater, lambda pair: None))


@pytest.mark.parametrize("slot", range(4))
@pytest.mark.parametrize("owner", [0, 1])
def test_an_owner_that_tells_the_helpers_different_lists_is_found(owner, slot):
    """Before anything is matched: whether it stops does not depend on who matches."""
    async def two_faced(mpc):
        send, receivers = mpc.send_private, []

        def changed(values, sender, receiver, shape, *more):
            if values is not None and sender == mpc.pid == owner:
                receivers.append(receiver)
                if len(receivers) > 1:
                    values = values.copy()
                    values[slot] ^= np.uint64(1)
            return send(values, sender, receiver, shape, *more)
        mpc.send_private = changed
        return await program(mpc)

    results = run_cluster(two_faced, 4, verified=True, raw_errors=True)
    assert_stopped([r for pid, r in enumerate(results) if pid != owner])
    assert any("told both helpers" in str(r) for r in results)


def test_repeated_tags_are_refused_by_the_helpers():
    async def doubled(mpc):
        send = mpc.send_private

        def changed(values, sender, *more):
            if values is not None and sender == mpc.pid == 1:
                values = values.copy()
                values[2] = values[0]
            return send(values, sender, *more)
        mpc.send_private = changed
        return await program(mpc)

    for verified in (False, True):
        results = run_cluster(doubled, 4, verified=verified, raw_errors=True)
        assert ("repeated-tag", 1) in {(r.code, r.party) for r in results}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cheater", range(4))
def test_attacks_on_single_frames(kind, cheater):
    """A sample of the frames of every party; some attacks go on from there."""
    sent = frames_of(program, cheater, verified=True)
    at = (KINDS.index(kind) * 7 + cheater) % sent
    attack = Attack(kind, at, onwards=(KINDS.index(kind) + cheater) % 3 == 0)
    for result in attacked(program, attack, cheater, idle_deadline=1, verified=True):
        # The owners may put in what they like; a changed frame of their tags is no match.
        assert isinstance(result, EngineError) or result == RIGHT, (result, at, sent)


@pytest.mark.parametrize("cheater", [H, Q])
def test_every_frame_of_a_helper(cheater):
    sent = frames_of(program, cheater, verified=True)
    stopped = 0
    for at in range(sent):
        outcome = attacked(program, Attack("equivocate", at), cheater, verified=True)
        for result in outcome:
            assert isinstance(result, EngineError) or result == RIGHT, (result, at, sent)
        stopped += any(isinstance(r, EngineError) for r in outcome)
    assert stopped > sent // 3


def test_the_same_attacks_succeed_in_the_default_mode():
    """What the tests above rule out does happen where nobody checks."""
    results = run_cluster(
        lambda mpc: program(mpc, lambda m, j: two_rows_swapped(j._pairs[0, 1])
                            if m.pid in (H, Q) else None), 4)
    assert results[0] != RIGHT and results == results[:1] * 4


@pytest.mark.parametrize("options", [{"kind": "inner", "bound": 3, "same_order": False},
                                     {"kind": "full"}])
def test_attacks_on_inner_and_full_joins(options):
    case = Case(IDS, options, width=1)

    async def rows(mpc):
        opened = await case.opened(mpc)
        return ordered(opened[opened.any(axis=1)]).tolist()

    expected = case.expected().tolist()
    for cheater in range(4):
        sent = frames_of(rows, cheater, verified=True)
        for k in range(2):
            at = (2 * k + 1) * sent // 4 + cheater
            outcome = attacked(rows, Attack("wrong", at, onwards=k == 1), cheater, verified=True)
            for result in outcome:
                # An owner's other tags are another input; those are its first frames.
                assert isinstance(result, EngineError) or result == expected, (cheater, at, sent)
