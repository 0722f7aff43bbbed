"""Outputs in verified mode: right whatever t parties send, cheap as long as nobody lies."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from adversary import KINDS, Attack, attacked, frames_of
from engine_kit import measured, secret

from engine import costs, field, frames
from engine.cluster import run_cluster
from engine.costs import LONG_OUTPUT
from engine.costs_verified import SMALL_OUTPUT, predict
from engine.errors import EngineError
from engine.field import P
from engine.operation import _LABEL
from engine.output import _MORE, _WORD
from engine.shamir import Geometry, lagrange

LARGE = SMALL_OUTPUT + 1
DEPLOYMENTS = [(3, 0), (4, 1), (5, 1), (7, 1), (7, 2)]


async def opens(mpc, n=LARGE, receivers=None):
    x = secret(mpc, np.arange(n) / 4)
    result = await mpc.output(x, receivers)
    return None if result is None else result.tolist()


def right(n=LARGE):
    return (np.arange(n) / 4).tolist()


@pytest.mark.parametrize("m, t", DEPLOYMENTS)
@pytest.mark.parametrize("n", [0, 1, SMALL_OUTPUT, LARGE])
def test_the_receivers_and_only_they_learn_the_value_at_the_predicted_cost(m, t, n):
    program = functools.partial(opens, n=n, receivers=[0, 2])
    for pid, result in enumerate(run_cluster(program, m, t, verified=True)):
        assert result == (right(n) if pid in (0, 2) else None)
    expected = predict("output", n, Geometry(m, t, verified=True), receivers=2)
    assert measured(program, m, t, verified=True)["output"] == (1, *expected)


def test_a_large_output_costs_the_bytes_of_the_default_mode():
    ours = predict("output", 10**6, Geometry(4, 1, verified=True)).total_bytes
    assert ours == costs.open_all(10**6, 4, 1).total_bytes + 4 * (16 + 1)


def suspected(tap, m=4, t=None, cheaters=(), n=LARGE, **options):
    """(results, suspects) of the honest parties of `opens`."""
    runtimes = {}

    async def program(mpc):
        runtimes[mpc.pid] = mpc
        return await opens(mpc, n)
    results = run_cluster(program, m, t, tap=tap, raw_errors=True, verified=True, **options)
    honest = [pid for pid in range(m) if pid not in cheaters]
    return [results[p] for p in honest], [sorted(runtimes[p].suspects) for p in honest]


def lies(cheaters, shares=True, digests=True, n=LARGE, tags=(0, _MORE)):
    """A tap: what `cheaters` send of the output's shares is wrong, and more so to others."""
    def tap(source, target, frame, payload):
        share = len(payload) in (8 * n, 16 * n) and shares and frame.tag >> 16 in tags
        digest = len(payload) == 16 and digests and frame.tag == 0xffff
        if source in cheaters and frame.kind == frames.ARRAY and (share or digest):
            payload = payload.copy()
            payload[-16] ^= np.uint8(1 + target)
        return [(frame, payload)]
    return tap


@pytest.mark.parametrize("cheater", range(1, 4))
@pytest.mark.parametrize("which", ["shares", "digests", "both"])
def test_one_liar_of_four_is_corrected_and_named(cheater, which):
    # Party 0 deals the value, so all that the others send in this size belongs to the output.
    tap = lies([cheater], shares=which != "digests", digests=which != "shares")
    results, suspects = suspected(tap, cheaters=[cheater])
    assert results == [right()] * 3
    told = {"shares": [(cheater - 1) % 4], "digests": [(cheater - k) % 4 for k in (2, 3)],
            "both": [0, 1, 2, 3]}[which]
    honest = [pid for pid in range(4) if pid != cheater]
    assert suspects == [[cheater] if pid in told else [] for pid in honest]


@pytest.mark.parametrize("cheater", range(1, 4))
@pytest.mark.parametrize("which", ["words", "shares", "digests", "all"])
def test_a_liar_in_a_long_output_is_corrected_and_named(cheater, which):
    """Words are half a share, of the party before; shares are asked for where these are wrong."""
    tags = {"words": [0], "shares": [_MORE]}.get(which, [0, _MORE])
    tap = lies([cheater], which != "digests", which in ("digests", "all"), LONG_OUTPUT, tags)
    results, suspects = suspected(tap, cheaters=[cheater], n=LONG_OUTPUT)
    assert results == [right(LONG_OUTPUT)] * 3
    told = {"words": [(cheater - 1) % 4], "shares": [],
            "digests": [(cheater - k) % 4 for k in (2, 3)], "all": [0, 1, 2, 3]}[which]
    honest = [pid for pid in range(4) if pid != cheater]
    assert suspects == [[cheater] if pid in told else [] for pid in honest]


@pytest.mark.parametrize("cheater", range(1, 4))
@pytest.mark.parametrize("digests", [False, True])
def test_a_liar_among_numbers_that_do_not_fit_is_corrected_and_named(cheater, digests):
    """Everybody asks for whole shares, and those of the liar are wrong at two receivers."""
    runtimes = {}

    async def program(mpc):
        runtimes[mpc.pid] = mpc
        x = secret(mpc, np.arange(LONG_OUTPUT) / 4) * 2**50
        return (await mpc.output(x)).tolist()
    tap = lies([cheater], True, digests, LONG_OUTPUT, [_MORE])
    results = run_cluster(program, 4, tap=tap, raw_errors=True, verified=True)
    for pid in {0, 1, 2, 3} - {cheater}:
        assert results[pid] == [k * 2.0**48 for k in range(LONG_OUTPUT)]
        asked = (cheater - pid) % 4 in (1, 2)
        assert sorted(runtimes[pid].suspects) == ([cheater] if asked or digests else [])


def test_who_knows_a_number_that_does_not_fit_cannot_have_the_lower_half_taken_for_it():
    """Party 3 vouches for the share that follows if receiver 0 believes the words of party 1.

    It can: the words tell 0 a number that is less by 2^64, so what 3 must add to its digest does
    not depend on anything that it does not know.
    """
    runtimes, cheater, receiver, source = {}, 3, 0, 1

    async def program(mpc):
        runtimes[mpc.pid] = mpc
        return await mpc.output(secret(mpc, np.arange(LONG_OUTPUT) + 2**62) * 2, receiver)

    def tap(sender, target, frame, payload):
        if (sender, target) == (cheater, receiver) and frame.kind == frames.ARRAY and \
                len(payload) == 16 and frame.tag == 0xffff:
            drawn = runtimes[cheater].randomness.of_pair(
                receiver, _LABEL.pack(frame.operation, b"digest%d" % cheater, 0), 2)
            point = int(field.to_ints(field.uniform(drawn.reshape(1, 2)))[0])
            error = -(2**64) * pow(lagrange([receiver + 1, source + 1], 0)[1], -1, P)
            error *= lagrange([receiver + 1, source + 1], cheater + 1)[1]
            powers = (pow(point, LONG_OUTPUT, P) - 1) * pow(point - 1, -1, P)
            digest = int(field.to_ints(payload.view(np.uint64))) + error * powers
            payload = field.limbs(digest).view(np.uint8)
            told.append(payload)
        return [(frame, payload)]
    told = []
    results = run_cluster(program, 4, tap=tap, raw_errors=True, verified=True)
    assert len(told) == 1 and isinstance(results[receiver], EngineError)
    assert "OverflowError" in str(results[receiver])
    assert sorted(runtimes[receiver].suspects) == [cheater]


@pytest.mark.parametrize("cheaters", [(1, 2), (3, 5), (2, 6), (4, 5)])
def test_two_liars_of_seven_are_corrected_and_named(cheaters):
    """Whether they send their shares at once, only when asked, or vouch for them."""
    results, suspects = suspected(lies(cheaters), 7, 2, cheaters)
    assert results == [right()] * 5
    assert suspects == [list(cheaters)] * 5


@pytest.mark.parametrize("n, givers", [(LARGE, [0]), (LONG_OUTPUT, [0, 3])])
def test_who_asks_for_more_gets_no_more_than_its_own_output(n, givers):
    """Party 2 asks without need."""
    sent = []

    def tap(source, target, frame, payload):
        if frame.kind == frames.ARRAY and frame.tag >> 16 == _WORD and source == 2:
            payload = np.ones_like(payload)
        if frame.kind == frames.ARRAY and frame.tag >> 16 == _MORE:
            sent.append((source, target))
        return [(frame, payload)]
    results, suspects = suspected(tap, cheaters=[2], n=n)
    assert results == [right(n)] * 3 and suspects == [[]] * 3
    assert sorted(sent) == [(giver, 2) for giver in givers]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n, last", [(LARGE, 7), (LONG_OUTPUT, 8)])
def test_every_frame_of_a_large_output_can_be_attacked(kind, n, last):
    """Confirmations, shares, digests and words: the value is right, or there is an error."""
    cheater, program = 2, functools.partial(opens, n=n)
    sent = frames_of(program, cheater, verified=True)
    for at in range(sent - last, sent):
        outcome = attacked(program, Attack(kind, at), cheater, idle_deadline=0.5, verified=True)
        for result in outcome:
            assert isinstance(result, EngineError) or result == right(n), (at - sent, kind)
        if kind in ("wrong", "random", "equivocate", "repeat"):
            # Nothing is missing or of another length, so nobody has a reason to stop, unless
            # what should be an element is none, or one frame came twice.
            codes = {r.code for r in outcome if isinstance(r, EngineError)}
            assert codes <= {"bad-element", "repeated-frame", "peer-stopped"}, (at - sent, codes)


def test_a_receiver_that_never_says_its_word_holds_nobody_up_for_long():
    def tap(source, target, frame, payload):
        dropped = source == 2 and frame.kind == frames.ARRAY and frame.tag >> 16 == _WORD
        return [] if dropped else [(frame, payload)]
    results, _ = suspected(tap, cheaters=[2], idle_deadline=0.5)
    assert any(isinstance(r, EngineError) for r in results)
    assert all(isinstance(r, EngineError) or r == right() for r in results)


def test_a_share_that_is_asked_for_and_does_not_come():
    lying = lies([1])

    def tap(source, target, frame, payload):
        if frame.kind == frames.ARRAY and frame.tag >> 16 == _MORE:
            return []
        return lying(source, target, frame, payload)
    results, _ = suspected(tap, cheaters=[1], idle_deadline=0.5)
    assert all(isinstance(r, EngineError) or r == right() for r in results)
    assert any(isinstance(r, EngineError) for r in results)
