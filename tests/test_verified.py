"""Verified mode: right results at their predicted cost, and no cheater gets away with anything."""

from __future__ import annotations

import numpy as np
import pytest
from adversary import KINDS, Attack, attacked, frames_of
from engine_kit import measured, primitives, secret

from engine import frames
from engine.cluster import run_cluster
from engine.costs_verified import COSTS, predict
from engine.errors import EngineError
from engine.runtime import Runtime
from engine.shamir import Geometry

X = np.array([-2.5, -0.5, 0.0, 1.5, 3.0])
Y = np.array([4, 0, -3, 7, 3])
DEPLOYMENTS = [(3, 0), (4, 1), (5, 1), (7, 2)]


async def opens(mpc, result):
    """The opened result as plain lists, so that results compare."""
    return np.asarray(await mpc.output(result)).tolist()


async def inputs(mpc):
    return secret(mpc, X), secret(mpc, Y, 1)


async def input_and_output(mpc):
    x, _ = await inputs(mpc)
    return await opens(mpc, x)


async def multiply(mpc):
    _, y = await inputs(mpc)
    return await opens(mpc, y * y)


async def matmul(mpc):
    _, y = await inputs(mpc)
    return await opens(mpc, mpc.outer(y, y) @ y)


async def truncate(mpc):
    # A quarter of multiples of a half: what is dropped are zeros, so the result is exact.
    x, _ = await inputs(mpc)
    return [round(v, 3) for v in await opens(mpc, x * 0.25)]


async def less(mpc):
    _, y = await inputs(mpc)
    return await opens(mpc, y < 3)


async def equal(mpc):
    _, y = await inputs(mpc)
    return await opens(mpc, y == 3)


async def open_sign(mpc):
    x, _ = await inputs(mpc)
    return (await mpc.open_negative(x)).tolist()


async def bits(mpc):
    _, y = await inputs(mpc)
    return await opens(mpc, mpc.to_bits(y, 4))


async def drawn_bits(mpc):
    drawn = mpc.random_bits((6,))
    return await opens(mpc, drawn * (1 - drawn))


async def shuffle(mpc):
    _, y = await inputs(mpc)
    return await opens(mpc, mpc.shuffle(mpc.stack([y, y], 1)).sum(0))


async def sort(mpc):
    _, y = await inputs(mpc)
    return await opens(mpc, await mpc.sort(y))


async def numeric(mpc):
    _, y = await inputs(mpc)
    z = mpc.sigmoid(y * 1.0)
    return [round(v, 4) for v in await opens(mpc, z)]


PROGRAMS = {
    input_and_output: X.tolist(), multiply: (Y * Y).tolist(),
    matmul: (np.outer(Y, Y) @ Y).tolist(), truncate: (X / 4).tolist(),
    less: (Y < 3).tolist(), equal: (Y == 3).tolist(), open_sign: (X < 0).tolist(),
    bits: ((Y[:, None] >> np.arange(4)) & 1).tolist(), drawn_bits: [0] * 6,
    shuffle: [Y.sum()] * 2, sort: np.sort(Y).tolist(),
    numeric: np.round(1 / (1 + np.exp(-Y.astype(float))), 4).tolist(),
}


def near(result, expected):
    return np.allclose(result, expected, atol=2e-4)


@pytest.mark.parametrize("m, t", DEPLOYMENTS)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_honest_parties_get_the_right_result(program, m, t):
    for result in run_cluster(program, m, t, verified=True):
        assert near(result, PROGRAMS[program])


def assert_right_or_stopped(outcome, expected, what):
    """Nobody honest ends with a wrong result, and if one stops before the output, all do."""
    for result in outcome:
        assert isinstance(result, EngineError) or near(result, expected), what
    stopped = [r for r in outcome if isinstance(r, EngineError)]
    early = [e for e in stopped if not e.step.startswith("output") and "output" not in e.cause]
    assert not early or len(stopped) == len(outcome), (what, [str(e) for e in stopped])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_every_attack_on_every_operation(program, kind):
    """A sample of the frames that two of the parties send; on some, all frames from there on."""
    places = 1 if kind in ("drop", "reorder") else 2
    first = (KINDS.index(kind) + list(PROGRAMS).index(program)) % 2
    for cheater in (first, first + 2):
        sent = frames_of(program, cheater, verified=True)
        for k in range(places):
            at = (2 * k + 1) * sent // (2 * places) + cheater
            attack = Attack(kind, min(at, sent - 1), onwards=(k + cheater) % 3 == 0)
            outcome = attacked(program, attack, cheater, idle_deadline=0.5, verified=True)
            assert_right_or_stopped(outcome, PROGRAMS[program], (cheater, at, sent))


def test_the_same_attacks_succeed_in_the_default_mode():
    """What the tests above rule out does happen where nobody checks."""
    fooled = set()
    for program in (multiply, less, shuffle, bits):
        for at in range(frames_of(program, 2)):
            for result in attacked(program, Attack("wrong", at), 2):
                if not isinstance(result, EngineError) and not near(result, PROGRAMS[program]):
                    fooled.add(program)
    assert fooled == {multiply, less, shuffle, bits}


def seen_by(program, attack, cheater):
    """(outcome of the honest parties, the honest parties' runtimes)."""
    runtimes = {}

    async def watched(mpc):
        runtimes[mpc.pid] = mpc
        return await program(mpc)
    # No frame is lost here, so that nobody needs to wait for any.
    outcome = attacked(watched, attack, cheater, verified=True, idle_deadline=10)
    return outcome, [rt for pid, rt in runtimes.items() if pid != cheater]


@pytest.mark.parametrize("cheater", range(4))
def test_a_wrong_share_of_an_output_is_corrected_and_its_sender_named(cheater):
    sent = frames_of(input_and_output, cheater, verified=True)
    # The last three frames: full shares to two parties and a digest to the third.
    outcome, runtimes = seen_by(input_and_output, Attack("wrong", sent - 3, onwards=True), cheater)
    assert all(near(result, X) for result in outcome)
    assert [list(rt.suspects) for rt in runtimes] == [[cheater]] * 3


def test_an_inconsistent_dealing_stops_everything_before_a_share_is_used():
    """The dealer of x gives one party another share; no party sends anything of the product."""
    product_frames = []

    async def program(mpc):
        x = secret(mpc, X)
        return await opens(mpc, x * x)

    attack = Attack("wrong", 4)  # after the fingerprints of keys and the first receiver's share
    change = attack.tap(0)

    def tap(source, target, frame, payload):
        if frame.kind == frames.ARRAY and source != 0 and len(payload) == 16 * len(X):
            product_frames.append((source, target))
        return change(source, target, frame, payload)
    results = run_cluster(program, 4, tap=tap, raw_errors=True, verified=True, idle_deadline=2)
    codes = {r.code for r in results[1:]}
    assert "cheating-detected" in codes <= {"cheating-detected", "peer-stopped"}
    assert not product_frames
    assert all(isinstance(r, EngineError) for r in results[1:])


def test_a_lie_in_a_product_is_found_by_each_party_that_hears_it():
    cheater = 3
    sent = frames_of(multiply, cheater, verified=True)
    codes = set()
    for at in range(sent - 9, sent - 6):  # the output's confirmation and shares follow
        outcome, _ = seen_by(multiply, Attack("random", at), cheater)
        codes |= {r.code for r in outcome if isinstance(r, EngineError)}
        assert_right_or_stopped(outcome, PROGRAMS[multiply], at)
    assert "cheating-detected" in codes


def test_numbers_that_are_no_field_elements_are_refused():
    def tap(source, target, frame, payload):
        if source == 2 and frame.kind == frames.ARRAY and len(payload) == 16 * len(Y):
            payload = np.full_like(payload, 255)
        return [(frame, payload)]
    for verified in (False, True):
        results = run_cluster(multiply, 4, tap=tap, raw_errors=True, verified=verified)
        assert "bad-element" in {getattr(r, "code", None) for r in results}


@pytest.mark.parametrize("m, t", [*DEPLOYMENTS, (7, 1)])
@pytest.mark.parametrize("rotation", [0, 3])
def test_the_predicted_cost_is_the_measured_one(m, t, rotation):
    n = 7

    async def program(mpc):
        for _ in range(rotation):
            mpc.next_operation()
        x = secret(mpc, np.linspace(-2, 2, n))
        mpc.shuffle(x.reshape(n, 1))
        await primitives(mpc, x)

    sizes, g = {"matmul": 6, "random_bits": 2 * n}, Geometry(m, t, verified=True)
    costs = measured(program, m, t, verified=True)
    assert costs.pop("to_bits") == (1, *predict("to_bits", n, g, bits=5))
    costly = {name: cost for name, cost in costs.items() if cost[1] or cost[2]}
    for name, cost in costly.items():
        assert cost == (1, *predict(name, sizes.get(name, n), g)), name
    assert set(costly) <= set(COSTS) and (t == 0 or len(costly) >= 9)


def test_the_cost_of_a_product_with_four_parties():
    """Two shares and a digest for each of three parties: the elements of the default mode."""
    g = Geometry(4, 1, verified=True)
    assert predict("multiply", 1000, g) == (1, 3 * (2 * 16 * 1000 + 16))
    default = Geometry(4, 1)
    for name in COSTS:
        # One step instead of several; no such steps.
        if name not in ("shuffle", "agree_on_keys", "open_masked"):
            ratio = predict(name, 10**5, g).total_bytes / predict(name, 10**5, default).total_bytes
            assert ratio <= 2.001, name


def test_a_leader_that_gives_two_parties_different_keys_is_found(monkeypatch):
    """Party 0 draws the key of the set {0, 1, 2} and gives party 2 another one than party 1."""
    adopt = Runtime.adopt

    def deceived(self, links, set_keys, pair_keys, own_key):
        if self.pid == 2:
            set_keys = {**set_keys, self.geometry.sets.index((0, 1, 2)): bytes(32)}
        adopt(self, links, set_keys, pair_keys, own_key)
    monkeypatch.setattr(Runtime, "adopt", deceived)
    results = run_cluster(multiply, 4, verified=True, raw_errors=True)
    assert all(isinstance(r, EngineError) for r in results)
    assert "cheating-detected" in {r.code for r in results}
    assert any("one of the parties [0, 2]" in r.cause for r in results)


def test_too_few_parties():
    with pytest.raises(ValueError, match="expected at least 4 parties"):
        run_cluster(multiply, 3, 1, verified=True)
    with pytest.raises(EngineError, match="too-few-parties"):
        run_cluster(multiply, 3, verified=True)  # t = 0 would hide nothing
    with pytest.raises(ValueError, match="expected at most 8"):
        Geometry(9, 2, verified=True)


def test_an_abort_is_no_evidence_against_whom_it_names():
    """Party 3 accuses party 1: the others know only that party 3 stopped."""

    async def program(mpc):
        if mpc.pid == 3:
            accusation = EngineError("cheating-detected", "it lied", party=1)
            mpc._links[0].send(frames.ABORT, 0, 0, 0, accusation.report())
            await mpc.output(mpc.array(X))
        return await multiply(mpc)
    for result in run_cluster(program, 4, verified=True, raw_errors=True)[:3]:
        assert (result.code, result.party) in {("peer-stopped", 3), ("peer-stopped", 0)}


def test_the_modulus_does_not_pass_for_zero():
    """It would make an honest party's share look wrong where shares are compared."""
    alias = np.array([2**64 - 1, 2**63 - 1], np.uint64)

    def tap(source, target, frame, payload):
        if source == 2 and frame.kind == frames.ARRAY and len(payload) == 16 * len(Y):
            payload = np.tile(alias, (len(Y), 1)).view(np.uint8).reshape(-1)
        return [(frame, payload)]
    results = run_cluster(multiply, 4, tap=tap, raw_errors=True, verified=True)
    assert "bad-element" in {getattr(r, "code", None) for r in results}


def test_empty_arrays():
    async def program(mpc):
        empty = secret(mpc, np.zeros((0, 3)))
        x = empty[:, 0]
        return [(await mpc.output(r)).shape for r in (
            mpc.shuffle(empty), x * x, x < 0, mpc.to_bits(x, 3), empty.T @ empty)]
    assert run_cluster(program, 4, verified=True)[0] == [(0, 3), (0,), (0,), (0, 3), (3, 3)]


def test_nobody_sees_opened_signs_unless_all_checks_before_have_passed():
    """A lie in any frame before the opening: its author does not get the signs either."""
    for cheater in (0, 1):
        sent = frames_of(open_sign, cheater, verified=True)
        for at in range(sent - 12, sent - 5):  # the confirmation and the opening follow
            results = run_cluster(open_sign, 4, tap=Attack("wrong", at).tap(cheater),
                                  raw_errors=True, verified=True, idle_deadline=2)
            honest = [r for pid, r in enumerate(results) if pid != cheater]
            if any(isinstance(r, EngineError) for r in honest):
                assert isinstance(results[cheater], EngineError)


def test_what_cannot_be_checked_is_refused():
    async def additive(mpc):
        return mpc.deal_additive(None, 0, (1, 2), (3,), 0)

    async def scalar(mpc):
        mpc._send_message(1 - mpc.pid % 2, b"what MPyC's own protocols send")
    for program in (additive, scalar):
        with pytest.raises(EngineError, match="not-verifiable"):
            run_cluster(program, 4, verified=True)
