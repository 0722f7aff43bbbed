"""Frames that no correct peer sends, and errors in programs: the run ends, and says why."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from engine_kit import secret

from engine import frames
from engine.cluster import run_cluster
from engine.errors import EngineError, LocalProtocolError, PeerLost
from engine.runtime import Runtime

ROOT = Path(__file__).resolve().parents[1]


def with_frames(change, program=None, **options):
    """Errors of a run whose frames from party 1 to party 0 go through `change`, as a list."""
    async def square(mpc):
        x = secret(mpc, np.arange(4.0), 1)
        return await mpc.output(x * x)

    def tap(source, target, frame, payload):
        if (source, target) == (1, 0) and frame.kind == frames.ARRAY:
            return change(frame, payload)
        return [(frame, payload)]

    return run_cluster(program or square, 4, tap=tap, raw_errors=True, **options)


@pytest.mark.parametrize("change, code", [
    (lambda f, p: [(f, p[:-8])], "wrong-length"),
    (lambda f, p: [(f, np.append(p, p))], "wrong-length"),
    (lambda f, p: [(f, p[:0])], "wrong-length"),
    (lambda f, p: [(f._replace(context=f.context ^ 1), p)], "program-divergence"),
    (lambda f, p: [], "peer-silent"),
    (lambda f, p: [(f._replace(operation=f.operation + 100), p)], "peer-silent"),
])
def test_damaged_frames_stop_the_run_and_name_the_sender(change, code):
    results = with_frames(change, idle_deadline=1.0 if code == "peer-silent" else 30.0)
    assert all(isinstance(r, EngineError) for r in results)
    assert (results[0].code, results[0].party) == (code, 1) and results[0].remedy
    # The others hear of it from party 0, or find out by themselves.
    assert {r.party for r in results} <= {0, 1}


def test_a_frame_sent_twice_is_refused():
    async def program(mpc):
        while mpc.pid == 0:  # late, so that both copies arrive before one is awaited
            mpc.check()
            await asyncio.sleep(0)
        return await mpc.output(secret(mpc, np.arange(4.0), 1))

    results = with_frames(lambda f, p: [(f, p), (f, p)], program)
    assert (results[0].code, results[0].party) == ("repeated-frame", 1)


def test_delayed_and_reordered_frames_change_nothing():
    async def program(mpc):
        x = secret(mpc, np.arange(-3.0, 3.0), 1)
        return await mpc.output([x * x, x < 0, mpc.sigmoid(x)])

    held = []

    def tap(source, target, frame, payload):
        """Frames of party 2 arrive one late, except that the last ones are let through."""
        if source != 2 or frame.kind != frames.ARRAY:
            return [(frame, payload)] if source != 2 else [*held_of(target), (frame, payload)]
        held.append((target, frame, payload))
        return []

    def held_of(target):
        mine = [(f, p) for t, f, p in held if t == target]
        held[:] = [item for item in held if item[0] != target]
        return mine[::-1]

    async def patient(mpc):
        # Party 2's frames are held back until it has nothing more to do.
        result = asyncio.ensure_future(program(mpc))
        while not result.done():
            for target, frame, payload in reversed(held):
                runtimes[target].delivered(2, frame, payload)
            held.clear()
            await asyncio.sleep(0)
        return result.result()

    runtimes: dict[int, Runtime] = {}

    async def entry(mpc):
        runtimes[mpc.pid] = mpc
        return await patient(mpc)

    for square, negative, _ in run_cluster(entry, 4, tap=tap):
        np.testing.assert_allclose(square, np.arange(-3.0, 3.0) ** 2, atol=1e-5)
        np.testing.assert_array_equal(negative, np.arange(-3, 3) < 0)


@pytest.mark.parametrize("payload", [b"", b"not json", b"[]", b'{"party": "x", "code": 5}',
                                     b'{"party": 3, "code": "c", "cause": "' + b"x" * 3000])
def test_any_abort_message_ends_the_run_with_a_structured_error(payload):
    async def program(mpc):
        x = secret(mpc, np.ones(3))
        await x.ready()
        if mpc.pid == 1:
            mpc._links[0].send(frames.ABORT, 0, 0, 0, payload)
        return await mpc.output(x * x)

    error = run_cluster(program, 4, raw_errors=True, idle_deadline=1)[0]
    assert isinstance(error, PeerLost)
    assert all(isinstance(v, str) for k, v in error.as_dict().items() if k != "party")
    assert error.party in (1, 3)


def test_an_error_in_a_program_ends_all_parties():
    async def program(mpc):
        x = secret(mpc, np.ones(3))
        if mpc.pid == 2:
            raise ValueError("private")
        return await mpc.output(x * x)

    *others, failed, last = run_cluster(program, 4, raw_errors=True)
    assert isinstance(failed, ValueError)
    for error in (*others, last):
        assert (error.code, error.party) == ("program-failed", 2) and "private" not in str(error)


def test_errors_name_code_party_step_cause_and_remedy():
    error = LocalProtocolError("c", "why", party=1, step="s", remedy="do")
    assert error.as_dict() == {"code": "c", "party": 1, "step": "s", "cause": "why", "remedy": "do"}
    assert str(error) == 'c (party 1) in step "s": why; do'
    assert str(EngineError("c", "why")) == "c: why"
