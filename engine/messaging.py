"""Frames in and out of a runtime, and how a run fails.

Frames from peers are matched to the operations that wait for them; every wait has a deadline. The
first failure, of a peer, the network or this party's own program, is told to all peers and raised
wherever this party waits.
"""

import asyncio
import concurrent.futures
import contextlib

import numpy as np

from engine import frames
from engine.base import RuntimeBase
from engine.errors import (
    EngineError,
    LocalProtocolError,
    PeerLost,
    RemoteProtocolError,
    reported,
)


class Messaging(RuntimeBase):
    """Frames and failure (a mix-in of `engine.runtime.Runtime`)."""

    worker: concurrent.futures.ThreadPoolExecutor
    idle_deadline: float
    _links: dict
    _mail: dict
    _failure: EngineError | None
    _finished: set[int]
    _closing: bool

    step = ''
    """Name of the program's current step, for error messages."""

    frame_bytes = frames.MAX_PAYLOAD
    """Largest payload of a frame, at most 16 MiB; the same at all parties."""

    def close(self) -> None:
        """Close all connections at once."""
        self._closing = True
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

    def check(self) -> None:
        """Raise the failure of this run, if there is one."""
        if self._failure is not None:
            raise self._failure

    # --- frames ---

    def lost(self, peer: int, cause: EngineError) -> None:
        """A link reports that its peer is gone or misbehaves."""
        self._finished.add(peer)
        if self._closing:
            self._wake()
        else:
            # Give an abort from a third party, which may know better who failed first, a moment.
            self._loop.call_later(0.05, self.fail, cause)

    def _wake(self):
        future = getattr(self, '_all_done', None)
        if future is not None and not future.done():
            future.set_result(None)

    def delivered(self, peer: int, frame: frames.Frame, payload: np.ndarray) -> None:
        """A link hands over a frame."""
        if frame.kind == frames.BYE:
            self._finished.add(peer)
            self._wake()
        elif frame.kind == frames.ABORT:
            self.fail(reported(peer, payload.tobytes()))
        else:
            key = (peer, frame.kind, frame.operation, frame.tag)
            waiting = self._mail.pop(key, None)
            if waiting is None:
                self._mail[key] = (frame.context, payload)
            elif isinstance(waiting, asyncio.Future):
                if not waiting.done():
                    waiting.set_result((frame.context, payload))
            else:
                self.fail(RemoteProtocolError('repeated-frame', 'a frame was sent twice',
                                              party=peer))

    def send_frame(self, peer: int, kind: int, tag: int, operation: int, context: int, payload):
        """Send one frame."""
        self.check()
        self._links[peer].send(kind, tag, operation, context, payload)

    def _claim(self, key):
        waiting = self._mail.pop(key, None)
        if waiting is None:
            waiting = self._mail[key] = self._loop.create_future()
        return waiting

    async def receive_frame(self, peer, tag, operation, context, name) -> np.ndarray:
        """The payload of a frame that `peer` sends, at most the idle deadline from now."""
        self.check()
        waiting = self._claim((peer, frames.ARRAY, operation, tag))
        if isinstance(waiting, asyncio.Future):
            try:
                async with asyncio.timeout(self.idle_deadline):
                    waiting = await waiting
            except TimeoutError:
                error = self._silence(peer, f'operation {name}')
                self.fail(error)
                raise error from None
        received, payload = waiting
        if received != context:
            raise RemoteProtocolError(
                'program-divergence', f'the peer is at another operation than {name}', party=peer,
                step=self.step, remedy='control flow must not depend on local data')
        return payload

    def _silence(self, peer, where) -> PeerLost:
        return PeerLost('peer-silent', f'nothing received for {self.idle_deadline:g} s in {where}',
                        party=peer, step=self.step,
                        remedy='check the load and the network of that party')
