"""Frames in and out of a runtime, and how a run fails.

Frames from peers are matched to the operations that wait for them; every wait has a deadline. The
first failure, of a peer, the network or this party's own program, is told to all peers and raised
wherever this party waits.
"""

import asyncio
import concurrent.futures
import contextlib
import logging

import numpy as np

from engine import divergence, frames
from engine.base import RuntimeBase
from engine.deadlines import Deadlines
from engine.errors import (
    EngineError,
    LocalProtocolError,
    PeerLost,
    RemoteProtocolError,
    reported,
)
from engine.liveness import Liveness
from engine.throttle import Throttle

_GRACE = 5.0
"""Seconds that a program has to end by itself after a failure."""
_FLUSH = 1.0
"""Seconds that the last messages have to leave."""
_KEPT = 256
"""What keeping a frame costs beyond its payload."""


class Messaging(RuntimeBase):
    """Frames and failure (a mix-in of `engine.runtime.Runtime`)."""

    suspects: dict[int, str]
    throttle: Throttle
    worker: concurrent.futures.ThreadPoolExecutor
    idle_deadline: float

    step = ''
    """Name of the program's current step, for error messages."""

    frame_bytes = frames.MAX_PAYLOAD
    """Largest payload of a frame, at most 16 MiB; the same at all parties."""

    early_bytes = 2 << 30
    """Most bytes kept of one peer's frames that no operation waits for yet."""

    def _begin_messaging(self) -> None:
        self._links: dict = {}
        self._mail: dict = {}
        self._failure: EngineError | None = None
        self._closing = False
        self._finished: set[int] = set()
        self._awaited: dict[tuple[int, int], int] = {}
        self._early: dict[tuple[int, int], list[int]] = {}
        self._held: dict[int, int] = {}
        self._liveness: Liveness | None = None
        self._deadlines = Deadlines(self._loop, self._late)
        self._ended_waits: set[int] = set()
        self._job_timer: asyncio.TimerHandle | None = None

    _ending: asyncio.Future | None = None
    """Done when a failure ends the program that `run` supervises."""

    _program: asyncio.Task | None = None
    """What `run` supervises: it may connect more than once."""

    def run(self, f):
        """Run the program's coroutine until it is done, as MPyC's `run`.

        A program that waits for something else when the connections fail gets a few seconds to
        find out; then it is cancelled and the failure raised. Where a loop runs already, as in a
        notebook, only what needs no waiting can be run: else LocalProtocolError `loop-runs`.
        """
        if self._loop.is_running():
            try:
                return super().run(f)
            except RuntimeError as exc:
                if "await wasn't used with future" not in str(exc):
                    raise
                raise LocalProtocolError('loop-runs', 'mpc.run() would have to wait in an event '
                                         'loop that runs already', party=self.pid,
                                         remedy='write await instead of mpc.run(), as notebooks '
                                         'allow') from exc
        return self._loop.run_until_complete(self._supervised(f))

    async def _supervised(self, f):
        task = asyncio.ensure_future(f)
        self._program = task if isinstance(task, asyncio.Task) else None
        self._ending = ending = self._loop.create_future()
        await asyncio.wait({task, ending}, return_when=asyncio.FIRST_COMPLETED)
        cancelled = False
        if not task.done():
            await asyncio.wait({task}, timeout=_GRACE)
        if not task.done():
            cancelled = task.cancel()
            await asyncio.wait({task}, timeout=_GRACE)
        if self._failure is not None:
            await self.flushed()
            if cancelled:
                raise self._failure
        return task.result()

    async def flushed(self) -> None:
        """Wait a moment for what has been sent to leave this process, and for the peers to part."""
        limit = self._loop.time() + _FLUSH
        while any(link.lingers for link in self._links.values()) and self._loop.time() < limit:
            await asyncio.sleep(0.001)

    def end_after(self, seconds: float) -> None:
        """Stop the job with the error `deadline` when it has not ended by itself by then."""
        self._job_timer = self._loop.call_later(seconds, self._out_of_time, seconds)

    def watch_peers(self) -> None:
        """From now on find out, while this party waits, which of the others are there."""
        self._liveness = Liveness(self.pid, self._links, self._waited_for, self.idle_deadline,
                                  self._loop)

    def _waited_for(self):
        yield from (key[0] for key, value in self._mail.items()
                    if isinstance(value, asyncio.Future) and not value.done())
        yield from self._ended_waits - self._finished

    def _out_of_time(self, seconds):
        waiting = list(self._waited_for())
        whom = f', and waits for party {waiting[0]}' if waiting else ''
        self.fail(PeerLost('deadline', f'the job has not ended within {seconds:g} s{whom}',
                           party=waiting[0] if waiting else self.pid,
                           remedy='give the job more time, or look at the slowest party'))

    def close(self) -> None:
        """Close all connections at once."""
        self._closing = True
        if self._job_timer is not None:
            self._job_timer.cancel()
        if self._liveness is not None:
            self._liveness.close()
        self._deadlines.close()
        for link in self._links.values():
            link.close()
        self.worker.shutdown(wait=False, cancel_futures=True)

    # --- failure ---

    def fail(self, error: EngineError) -> None:
        """Stop: tell the peers why, close, and raise `error` wherever this party waits."""
        if self._failure is not None:
            return
        if not error.step:
            error.step = self.step
        self._failure = error
        for link in self._links.values():
            with contextlib.suppress(Exception):
                link.send(frames.ABORT, 0, 0, 0, error.report())
        self.close()
        for waiting in self._mail.values():
            if isinstance(waiting, asyncio.Future) and not waiting.done():
                waiting.set_exception(error)
                waiting.exception()
        self._mail.clear()
        self.throttle.fail(error)
        self._early.clear()
        self._wake()
        if self._ending is not None and not self._ending.done():
            self._ending.set_result(None)

    def failed(self, exc: BaseException | None) -> EngineError:
        """Stop because a coroutine of the program raised `exc`; the error to pass on."""
        if isinstance(exc, EngineError):
            error = exc
        else:
            # The name only: a message may quote data, and the peers are told.
            name = 'cancelled' if exc is None else type(exc).__name__
            error = LocalProtocolError('program-failed', f'the program raised {name} at party '
                                       f'{self.pid}', party=self.pid)
            error.__cause__ = exc
        self.fail(error)
        return self._failure or error

    def suspect(self, op, parties) -> None:
        """Note parties that sent wrong shares of an output, which was corrected without them."""
        for party in parties:
            self.suspects.setdefault(party, '/'.join(op.path))
            logging.warning('party %d sent wrong shares in %s; the result is right without them',
                            party, '/'.join(op.path))

    def check(self) -> None:
        """Raise the failure of this run, if there is one."""
        if self._failure is not None:
            # It is raised wherever the program waits, and would tell of all these places.
            raise self._failure.with_traceback(None)

    # --- frames ---

    def lost(self, peer: int, cause: EngineError) -> None:
        """A link reports that its peer is gone or misbehaves."""
        if peer in self._finished:
            return
        # Give an abort from a third party, which may know better who failed first, a moment.
        self._loop.call_later(0.05, self.fail, cause)

    async def all_finished(self) -> None:
        """Wait until all peers have said that their programs are done."""
        while missing := set(self._links) - self._finished:
            self.check()
            self._all_done = self._loop.create_future()
            self._ended_waits = missing
            try:
                async with asyncio.timeout(self.idle_deadline):
                    await self._all_done
            except TimeoutError:
                self.fail(self._silence(min(missing), 'the end of the program'))
        self.check()

    def _wake(self):
        future = getattr(self, '_all_done', None)
        if future is not None and not future.done():
            future.set_result(None)

    def _reported(self, peer, payload):
        """The error of an ABORT: whom it names is the peer's word, in verified mode no evidence."""
        error = reported(peer, payload)
        if self.geometry.verified:
            named = '' if error.party in (peer, None) else f' (it names party {error.party})'
            return PeerLost('peer-stopped', f'{error.code}, {error.cause}{named}', party=peer,
                            step=error.step, remedy='see the errors of the other parties too')
        return error

    def delivered(self, peer: int, frame: frames.Frame, payload: np.ndarray) -> None:
        """A link hands over a frame."""
        if self._liveness is not None:
            self._liveness.heard(peer)
            if frame.kind == frames.PING:
                self._liveness.asked(peer)
            elif frame.kind == frames.PONG:
                self._liveness.answered(peer, frame.operation)
        if frame.kind in (frames.PING, frames.PONG):
            return
        if frame.kind == frames.BYE:
            self._goodbye(peer)
        elif frame.kind == frames.ABORT:
            self.fail(self._reported(peer, payload.tobytes()))
        elif frame.kind in (frames.HELLO, frames.KEYS):
            self.fail(RemoteProtocolError('bad-frame', 'a second hello', party=peer))
        else:
            key = (peer, frame.kind, frame.operation, frame.tag)
            waiting = self._mail.pop(key, None)
            if waiting is None:
                self._keep(key, frame.context, payload)
            elif isinstance(waiting, asyncio.Future):
                self._deadlines.end(key)
                self._awaited.pop((peer, frame.operation), None)
                if not waiting.done():
                    waiting.set_result(payload.tobytes() if frame.kind == frames.SCALAR
                                       else (frame.context, payload))
            else:
                self.fail(RemoteProtocolError('repeated-frame', 'a frame was sent twice',
                                              party=peer))

    def _goodbye(self, peer):
        self._finished.add(peer)
        for key, waiting in self._mail.items():
            if key[0] == peer and isinstance(waiting, asyncio.Future) and not waiting.done():
                self.fail(self._parted(peer, None, key[2]))
                return
        self._wake()

    def _keep(self, key, context, payload):
        """Keep a frame that nothing waits for yet."""
        peer, _, operation, _ = key
        own = self._awaited.get((peer, operation))
        if own is not None and not divergence.same(own, context):
            self.fail(self._parted(peer, context, operation))
            return
        held = self._held.get(peer, 0) + payload.size + _KEPT
        if held > self.early_bytes:
            self.fail(RemoteProtocolError(
                'flood', f'the peer is {held} bytes ahead, at most {self.early_bytes} are kept',
                party=peer, remedy='wait for results now and then in a long program'))
            return
        self._held[peer] = held
        self._early.setdefault((peer, operation), [context, 0])[1] += 1
        self._mail[key] = (context, payload)

    def send_frame(self, peer: int, kind: int, tag: int, operation: int, context: int, payload):
        """Send one frame."""
        self.check()
        if kind == frames.SCALAR:
            context = divergence.scalar_context(self._program)
        self._links[peer].send(kind, tag, operation, context, payload)

    def _claim(self, key, what, context=None):
        """What has arrived for a key, or a future of it, at most the idle deadline from now.

        `what` is waited for; `context` is this party's operation.
        """
        waiting = self._mail.pop(key, None)
        peer, _, operation, _ = key
        if waiting is not None and not isinstance(waiting, asyncio.Future):
            self._held[peer] -= waiting[1].size + _KEPT
            early = self._early[peer, operation]
            early[1] -= 1
            if not early[1]:
                del self._early[peer, operation]
            return waiting
        if context is None:
            context = divergence.scalar_context(self._program)
        self._awaited[peer, operation] = context
        early = self._early.get((peer, operation))
        if early is not None and not divergence.same(early[0], context):
            self.fail(self._parted(peer, early[0], operation))
        elif peer in self._finished:
            self.fail(self._parted(peer, None, operation))
        self.check()
        waiting = self._mail[key] = self._loop.create_future()
        self._deadlines.begin(key, waiting, self.idle_deadline, what)
        return waiting

    def _late(self, key, what):
        self.fail(self._silence(key[0], f'operation {what}' if key[1] == frames.ARRAY else what))

    def _parted(self, peer, theirs, operation):
        return divergence.diverged(peer, self.pid, theirs, self._awaited.get((peer, operation), 0),
                                   self.step)

    async def receive_frame(self, peer, tag, operation, context, name) -> np.ndarray:
        """The payload of a frame that `peer` sends, at most the idle deadline from now."""
        self.check()
        waiting = self._claim((peer, frames.ARRAY, operation, tag), name, context)
        received, payload = await waiting if isinstance(waiting, asyncio.Future) else waiting
        if not divergence.same(received, context):
            raise divergence.diverged(peer, self.pid, received, context, self.step)
        return payload

    def _silence(self, peer, what) -> PeerLost:
        early = next((c for (p, _), (c, _) in self._early.items() if p == peer), None)
        ahead = '' if early is None else \
            f'; party {peer} has sent frames of {divergence.describe(early)}'
        named, why = (peer, '') if self._liveness is None else self._liveness.culprit(
            peer, self._finished, trust=not self.geometry.verified)
        return PeerLost('peer-silent',
                        f'nothing received for {self.idle_deadline:g} s in {what}{why}{ahead}',
                        party=named, step=self.step,
                        remedy='check the load and the network of that party')
