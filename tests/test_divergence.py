"""Programs that part: an error names what both are at, and where, and comes without waiting."""

from __future__ import annotations

import asyncio
import inspect
import re
import timeit

import numpy as np
from engine_kit import secret

from engine import divergence, frames
from engine.cluster import run_cluster
from engine.errors import EngineError

FILE = "test_divergence.py"


def line_of(text):
    """The line of this file that says `# text`."""
    source = inspect.getsource(inspect.getmodule(line_of)).splitlines()
    return next(k for k, line in enumerate(source, 1) if line.endswith(f"# {text}"))


def failures(program, m=4, **options):
    return [e for e in run_cluster(program, m, raw_errors=True, idle_deadline=60, **options)
            if isinstance(e, EngineError)]


def test_both_operations_and_their_places_are_named():
    async def program(mpc):
        x, y = secret(mpc, [1.0, 2.0], 0), secret(mpc, [3.0, 4.0], 0)
        await mpc.output(x)
        if mpc.pid == 1:
            return await mpc.output(x < y)  # strays
        return await mpc.output(x * y)  # stays

    errors = failures(program)
    assert len(errors) == 4 and {e.code for e in errors} == {"program-divergence"}
    found = next(e for e in errors if not re.match(r"party \d stopped", e.cause))
    strays, stays = (f"{name} ({FILE}:{line_of(text)})" for name, text in (
        ("less_than", "strays"), ("multiply", "stays")))
    assert found.cause.count(strays) == found.cause.count(stays) == 1, found.cause
    # Everybody hears of it, in full.
    assert all(strays in e.cause or "stopped" in e.cause for e in errors)
    assert found.remedy


def test_another_shape_is_another_operation():
    async def program(mpc):
        x = secret(mpc, np.ones(6), 0)
        x = x.reshape(2, 3) if mpc.pid == 1 else x.reshape(3, 2)
        return await mpc.output(x * x)

    errors = failures(program)
    assert {e.code for e in errors} == {"program-divergence"}
    assert any("on another shape" in e.cause for e in errors)


def test_the_same_operation_at_different_places_is_no_divergence():
    async def program(mpc):
        # As programs do that put in values of their own.
        if mpc.pid == 0:
            x = mpc.input(mpc.array([5.0]), senders=0)
        else:
            x = mpc.input(mpc.array([0.0]), senders=0)
        return (await mpc.output(x)).tolist()

    assert run_cluster(program, 3) == [[5.0]] * 3


def test_a_peer_that_has_ended_is_not_waited_for():
    async def program(mpc):
        x = secret(mpc, [1.0], 0)
        await mpc.output(x * x)
        if mpc.pid != 1:
            await mpc.output(x + x)  # more

    errors = failures(program, 3)
    assert {e.code for e in errors} == {"program-divergence"}
    found = next(e for e in errors if "has ended its program" in e.cause)
    assert found.party == 1 and f"{FILE}:{line_of('more')}" in found.cause


def test_frames_of_another_session_are_refused():
    def tap(source, target, frame, payload):
        return [(frame._replace(session=frame.session ^ (source == 1)), payload)]

    async def program(mpc):
        return await mpc.output(secret(mpc, [1.0], 1))

    errors = failures(program, tap=tap)
    assert errors[0].code == "wrong-session" and errors[0].party == 1


def test_frames_that_nothing_waits_for_are_bounded():
    """A peer that runs far ahead, or floods: its frames are kept up to a limit in bytes."""
    def tap(source, target, frame, payload):
        if (source, target) != (1, 0) or frame.kind != frames.ARRAY:
            return [(frame, payload)]
        flood = [(frame._replace(operation=10_000 + k), np.zeros(1000, np.uint8))
                 for k in range(100)]
        return [(frame, payload), *flood]

    async def program(mpc):
        mpc.early_bytes = 50_000
        x = secret(mpc, [1.0], 1)
        for _ in range(20):
            x = x * x
        return await mpc.output(x)

    errors = failures(program, tap=tap)
    assert (errors[0].code, errors[0].party) == ("flood", 1)
    assert "at most 50000 are kept" in errors[0].cause


def test_frames_that_are_claimed_no_longer_count():
    async def program(mpc):
        mpc.early_bytes = 20_000
        x = secret(mpc, np.ones(100), 1)
        for _ in range(30):
            x = x * 1.5
            await mpc.output(x[:1])
        assert not mpc._early and sum(mpc._held.values()) == 0
        return True

    assert all(run_cluster(program, 4))


def test_the_place_is_found_quickly():
    """Well below what an operation costs; measured as a ratio to be independent of the machine."""
    async def main():
        def deep(k):
            return deep(k - 1) if k else divergence.call_site()
        assert deep(5)
        own = min(timeit.repeat(divergence.call_site, number=2000, repeat=5))
        yardstick = min(timeit.repeat("sorted(range(300))", number=2000, repeat=5))
        assert own < 3 * yardstick

    asyncio.run(main())


def test_a_context_holds_name_shape_and_place():
    context = divergence.context_of("multiply", (2, 3)) | divergence.call_site()  # here
    assert divergence.describe(context) == f"multiply ({FILE}:{line_of('here')})"
    assert divergence.same(context, divergence.context_of("multiply", (2, 3)))
    assert not divergence.same(context, divergence.context_of("multiply", (3, 2)))
    assert not divergence.same(context, divergence.context_of("matmul", (2, 3)))
    assert "does not know" in divergence.describe(1 << 60)
    assert "has not loaded" in divergence.describe(context ^ 0xffff << 80)
