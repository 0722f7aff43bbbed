"""Issuing operations: each gets its number, waits for its inputs, runs, and passes on its result.

Every operation of the engine goes through `issue` or one of its two forms for public values.
Placeholders of results are futures; an error stops the run and is raised wherever somebody waits.
A party that is alone runs an operation where it is issued (`at_once`).
"""

import argparse
import asyncio
import math
import time

from engine.array import SecureArray
from engine.errors import EngineError, LocalProtocolError
from engine.messaging import Messaging
from engine.operation import Operation


class Issuing(Messaging):
    """Operations under way (a mix-in of `engine.runtime.Runtime`)."""

    _unfinished: dict[asyncio.Future, asyncio.Task | None]
    _program_counter: list[int]
    _pc_level: int
    options: argparse.Namespace

    floor = 0
    """Depth of the last opened value: what the program issues after it cannot start earlier."""

    def next_operation(self) -> int:
        """The number of the next operation (MPyC's program counter)."""
        self._program_counter[0] += 1
        return self._program_counter[0]

    def issue(self, op: Operation, inputs, body, out: SecureArray) -> SecureArray:
        """Run `body(op, *shares)` once the inputs are known; its result becomes `out`'s share."""
        if self.at_once:
            return self._issue_at_once(op, inputs, body, out)
        out.share = future = self._loop.create_future()
        # The shares as they are now: an array may be assigned to while this operation waits.
        held = [(x.share, x.depth) for x in inputs]
        ticket = self._ticket(op, out)
        self._unfinished[future] = None
        unknown = [share for share, _ in held
                   if isinstance(share, asyncio.Future) and not share.done()]

        def begin():
            self._unfinished[future] = self._loop.create_task(
                self._run(op, held, body, out, future, ticket))

        def known(share):
            # No task waits for inputs: most of a program's operations do, and each wait costs.
            unknown.remove(share)
            if not unknown:
                begin()
        if unknown:
            for share in list(unknown):
                share.add_done_callback(known)
        else:
            begin()
        return out

    @property
    def at_once(self) -> bool:
        """Whether operations are done, or raise their errors, where they are issued: those of a
        party that is alone, as MPyC's without ``-M``."""
        return self.options.no_async and self.geometry.m == 1

    def _issue_at_once(self, op, inputs, body, out):
        shares = [x.share.result() if isinstance(x.share, asyncio.Future) else x.share
                  for x in inputs]
        op.depth = max([op.floor, *(x.depth for x in inputs)])
        coroutine = body(op, *shares)
        try:
            coroutine.send(None)  # there is nobody to wait for
        except StopIteration as done:
            op.finish()
            out.share, out.depth = done.value, op.depth
            return out
        finally:
            coroutine.close()
        raise LocalProtocolError('waits', f'{op.name} waits for other parties', party=self.pid,
                                 remedy='set mpc.options.no_async for a single party only')

    def _ticket(self, op, out):
        # Inside MPyC's coroutines the order of issue depends on timing, which admission must not.
        if op.id == 0 or self._pc_level:
            return None
        sent = op.expected.total_bytes // self.geometry.m if op.expected else 0
        return self.throttle.register(16 * math.prod(out.shape) + 2 * sent)

    def issue_value(self, op: Operation, inputs, body) -> asyncio.Future:
        """Like `issue`, for an operation whose result is a public value: a future of it.

        What the program issues after it has seen the value counts as later rounds.
        """
        out = SecureArray(self, (), 0)

        async def opening(op, *shares):
            value = await body(op, *shares)
            self._seen(op)
            return value
        share = self.issue(op, inputs, opening, out).share
        return self.known(share, out.depth) if self.at_once else share

    def known(self, value, depth: int = 0) -> asyncio.Future:
        """A future of what is known already."""
        future = self._loop.create_future()
        future.set_result(value)
        future.depth = depth  # type: ignore[attr-defined]  # as of those in `_run`
        return future

    def issue_early(self, op: Operation, inputs, body) -> asyncio.Future:
        """Like `issue_value`, for an operation that goes on after its value is known.

        It is called as `body(op, deliver, *shares)` and calls `deliver(value)` once. Its cost is
        metered then, so that a program which has the value finds the cost, too.
        """
        value = self._loop.create_future()

        def deliver(result):
            self._seen(op)
            op.finish()
            value.set_result(result)

        def ended(done):
            if not value.done():
                value.set_exception(done.exception() or self._failure)
                value.exception()

        async def opening(op, *shares):
            await body(op, deliver, *shares)
        out = self.issue(op, inputs, opening, SecureArray(self, (), 0))
        if not self.at_once:
            out.share.add_done_callback(ended)
        return value

    def _seen(self, op):
        self.floor = max(self.floor, op.depth + op.rounds)

    async def _run(self, op, held, body, out, future, ticket):
        try:
            shares, op.depth = [], op.floor
            for share, depth in held:
                if isinstance(share, asyncio.Future):
                    share, depth = share.result(), share.depth
                shares.append(share)
                op.depth = max(op.depth, depth)
            if ticket is not None:
                await self.throttle.admit(ticket)
            op.started = time.perf_counter()
            result = await body(op, *shares)
            op.finish()
            future.depth = op.depth
            if out.share is future:
                out.share, out.depth = result, op.depth
            if not future.done():
                future.set_result(result)
        except BaseException as exc:
            error = exc if isinstance(exc, EngineError) else LocalProtocolError(
                'operation-failed', f'{op.name} raised {type(exc).__name__}', party=self.pid,
                step='/'.join(op.path), remedy="see that party's traceback")
            if error is not exc:
                # Its text stays here: it may quote data, and the peers are told the error.
                error.__cause__ = exc
            self.fail(error)
            if not future.done():
                future.set_exception(self._failure)
                future.exception()
            if not isinstance(exc, Exception):
                raise
        finally:
            self._unfinished.pop(future, None)
            if ticket is not None:
                self.throttle.release(ticket)
