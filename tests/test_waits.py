"""Many waits under one timer: which are told as late, also where this process stood still."""

from __future__ import annotations

import asyncio
import socket
import time

from engine import event_loop
from engine.deadlines import Deadlines


def late_ones(seconds, body, last=False):
    """The keys told as late, `body(deadlines, waits, told)` being run with three waits of so many
    seconds; with `last` the first that is late ends all, as a failure does."""
    keys = []

    async def main():
        loop = asyncio.get_running_loop()
        problems, told = [], loop.create_future()
        loop.set_exception_handler(lambda _, problem: problems.append(problem))

        def late(key, what):
            keys.append(key)
            assert what == f"wait {key}"
            if last:
                deadlines.close()
            if len(keys) == 1:
                loop.call_soon(told.set_result, None)
        deadlines = Deadlines(loop, late)
        waits = {key: loop.create_future() for key in "abc"}
        for key, waiting in waits.items():
            deadlines.begin(key, waiting, seconds, f"wait {key}")
        async with asyncio.timeout(60):
            await body(deadlines, waits, told)
        deadlines.close()
        assert not problems
    event_loop.run(main())
    return keys


def stand_still(seconds):
    """Hold the loop up, as a kernel does, or the lack of a processor."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def test_only_waits_that_are_not_over_are_told():
    async def body(deadlines, waits, told):
        deadlines.end("b")
        waits["c"].set_result(None)
        await told
    assert late_ones(0.01, body) == ["a"]


def test_the_first_late_wait_may_end_all_others():
    async def body(deadlines, waits, told):
        await told
    assert late_ones(0.01, body, last=True) == ["a"]


def test_what_arrived_while_this_process_stood_still_is_read_first():
    here, there = socket.socketpair()

    async def body(deadlines, waits, told):
        # No await before it stands still: a short stop there would be no reason to wait longer.
        read = asyncio.Event()

        def arrived():
            for byte in here.recv(3):
                deadlines.end(chr(byte))
            asyncio.get_running_loop().remove_reader(here)
            read.set()
        asyncio.get_running_loop().add_reader(here, arrived)
        there.send(b"abc")
        stand_still(0.5)
        await read.wait()
        assert not told.done()
    with here, there:
        assert late_ones(0.1, body) == []


def test_a_process_that_stands_still_again_and_again_says_at_last_who_is_late():
    async def body(deadlines, waits, told):
        while not told.done():
            stand_still(0.15)
            await asyncio.sleep(0)
    assert late_ones(0.05, body) == ["a", "b", "c"]
