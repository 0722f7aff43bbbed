"""Connections between parties: TCP for real runs, memory for the in-process cluster.

A link offers `send(frame header, payload)` and hands what arrives to its owner's `delivered`; loss
of the peer goes to `lost`. The owner (the runtime) does all matching of frames to operations.
"""

import asyncio
import contextlib
from typing import Protocol

import numpy as np

from engine import frames
from engine.errors import EngineError, PeerLost, RemoteProtocolError, reported
from engine.handshake import Session

_JOINED = 1 << 16
"""Payloads up to this size share a system call with their header."""


class Owner(Protocol):
    """What a link reports to."""

    def delivered(self, peer: int, frame: frames.Frame, payload: np.ndarray) -> None:
        """A whole frame has arrived."""

    def lost(self, peer: int, cause: EngineError) -> None:
        """The peer is gone or misbehaves."""


class TcpLink(asyncio.BufferedProtocol):
    """One TCP connection to a peer, from hello to bye."""

    def __init__(self, session: Session, taken, ready, peer: int | None = None):
        self._session, self._taken, self._ready = session, taken, ready
        self._expected = peer
        self.peer: int | None = None
        self._owner: Owner | None = None
        self._backlog: list = []
        self._reader = frames.FrameReader()
        self._transport: asyncio.Transport | None = None
        self._key = b''
        self.proven = False
        self._failed = False
        self._error: EngineError | None = None

    @property
    def dialled(self) -> bool:
        """Whether this side opened the connection."""
        return self._expected is not None

    def attach(self, owner: Owner):
        """Deliver to `owner` from now on, beginning with what has arrived already."""
        assert self.peer is not None
        self._owner = owner
        backlog, self._backlog = self._backlog, []
        for frame, payload in backlog:
            owner.delivered(self.peer, frame, payload)
        if self._error is not None:
            owner.lost(self.peer, self._error)

    def send(self, kind: int, tag: int, operation: int, context: int, payload) -> None:
        """Queue one frame; the payload must not change afterwards."""
        data = memoryview(payload).cast('B') if len(payload) else b''
        head = frames.header(kind, tag, operation, context, len(data))
        assert self._transport is not None
        if len(data) <= _JOINED:
            self._transport.write(head + bytes(data))
        else:
            self._transport.write(head)
            self._transport.write(data)

    def close(self):
        """Close after everything queued has been sent."""
        self._failed = True
        if self._transport is not None:
            self._transport.close()

    # asyncio callbacks

    def connection_made(self, transport):
        """Both sides speak first."""
        self._transport = transport
        self.send(frames.HELLO, 0, 0, 0, self._session.hello())

    def get_buffer(self, sizehint):
        """Memory that the next bytes are received into."""
        return self._reader.get_buffer()

    def buffer_updated(self, nbytes):
        """Bytes have arrived in the buffer given last."""
        try:
            done = self._reader.advance(nbytes)
            if done is not None:
                self._handle(*done)
        except EngineError as error:
            self._fail(error)

    def connection_lost(self, exc):
        """The peer has closed, or the network has."""
        self._fail(PeerLost('peer-lost', 'the connection was closed by the peer'
                            if exc is None else f'connection error: {exc}',
                            remedy="see the peer's own error; restart the job when it is back"))

    def _fail(self, error):
        if self._failed:
            return
        self._failed, self._error = True, error
        if error.party is None:
            error.party = self._expected if self.peer is None else self.peer
        self._transport.close()
        if self._owner is not None:
            self._owner.lost(self.peer, error)
        else:
            self._ready(self, error)

    def _handle(self, frame, payload):
        if self.peer is None:
            if frame.kind != frames.HELLO:
                raise RemoteProtocolError('bad-hello', 'the first frame must be a hello')
            self.peer, self._key, sealed = self._session.greet(
                payload.tobytes(), self._expected, self._taken)
            self.send(frames.KEYS, 0, 0, 0, sealed)
        elif not self.proven:
            if frame.kind != frames.KEYS:
                raise RemoteProtocolError('bad-hello', 'expected the sealed keys')
            if self.peer in self._taken:
                raise RemoteProtocolError('wrong-party', 'the party is connected already')
            self._session.accept_keys(self.peer, self._key, payload.tobytes())
            self._taken.add(self.peer)
            self.proven = True
            self._ready(self, None)
        elif frame.kind in (frames.HELLO, frames.KEYS):
            raise RemoteProtocolError('bad-frame', 'a second hello on one connection')
        elif self._owner is None and frame.kind == frames.ABORT:
            self._fail(reported(self.peer, payload.tobytes()))
        elif self._owner is None:
            self._backlog.append((frame, payload))
        else:
            self._owner.delivered(self.peer, frame, payload)


async def connect_all(session: Session, addresses, deadline: float) -> dict[int, TcpLink]:
    """Links to all other parties; party i listens at addresses[i] for the lower-numbered ones.

    Raises PeerLost naming the missing parties when the deadline (seconds) passes, and the peer's
    misbehaviour as RemoteProtocolError. One TCP port per party.
    """
    loop = asyncio.get_running_loop()
    m, pid = session.geometry.m, session.pid
    links: dict[int, TcpLink] = {}
    taken: set[int] = set()
    refused: dict[int | None, EngineError] = {}
    failure: EngineError | None = None
    done = loop.create_future()

    def ready(link, error):
        if done.done():
            return
        if error is None:
            links[link.peer] = link
            if len(links) == m - 1:
                done.set_result(None)
        elif link.proven or link.dialled or (session.approved is None and error.party is not None):
            done.set_exception(error)
        else:
            # Anybody can come to the listening port; the parties are still awaited.
            refused[error.party] = error

    async def dial(peer):
        host, port = addresses[peer]
        while True:
            try:
                await loop.create_connection(
                    lambda: TcpLink(session, taken, ready, peer), host, port)
                return
            except OSError:
                await asyncio.sleep(0.02)

    server = None
    dials = []
    try:
        if pid > 0:
            host, port = addresses[pid]
            try:
                server = await loop.create_server(
                    lambda: TcpLink(session, taken, ready), host, port, reuse_address=True)
            except OSError as exc:
                raise EngineError('port-in-use', f'cannot listen at {host}:{port}: {exc.strerror}',
                                  party=pid, remedy='choose another port for this party') from None
        dials = [asyncio.ensure_future(dial(peer)) for peer in range(pid + 1, m)]
        if m > 1:
            async with asyncio.timeout(deadline):
                await done
    except TimeoutError:
        missing = sorted(set(range(m)) - {pid} - set(links))
        failure = next((refused[p] for p in missing if p in refused), PeerLost(
            'connect-timeout', f'no connection with party {missing} after {deadline:g} s',
            party=missing[0],
            remedy='check that every party has started and that its address is reachable'))
    except EngineError as error:
        failure = error
    finally:
        for task in dials:
            task.cancel()
        if server is not None:
            server.close()
        if done.done() and not done.cancelled():
            done.exception()
        if len(links) < m - 1:
            for link in links.values():
                if failure is not None:
                    link.send(frames.ABORT, 0, 0, 0, failure.report())
                link.close()
    if failure is not None:
        raise failure
    return links


class MemoryLink:
    """A link inside one process and event loop, for the test cluster.

    `tap`, where given, sees every frame and may change, drop or repeat it: it returns the list of
    (frame, payload) to deliver.
    """

    def __init__(self, source: int, target: int, tap=None):
        self.source, self.peer, self._tap = source, target, tap
        self.other: MemoryLink | None = None
        self._owner: Owner | None = None
        self._closed = False

    def attach(self, owner: Owner):
        """Deliver to `owner`."""
        self._owner = owner

    def send(self, kind, tag, operation, context, payload):
        """Deliver a copy to the other end in the next turn of the event loop."""
        data = np.frombuffer(memoryview(payload).cast('B'), np.uint8).copy() if len(payload) \
            else np.empty(0, np.uint8)
        frame = frames.parse(frames.header(kind, tag, operation, context, len(data)))
        out = [(frame, data)] if self._tap is None else self._tap(
            self.source, self.peer, frame, data)
        for item in out:
            asyncio.get_running_loop().call_soon(self.other._arrive, *item)

    def _arrive(self, frame, payload):
        if not self._closed and self._owner is not None:
            self._owner.delivered(self.peer, frame, payload)

    def close(self):
        """Tell the other end that this one is gone."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().call_soon(self.other._hung_up)

    def _hung_up(self):
        if not self._closed and self._owner is not None:
            self._owner.lost(self.peer, PeerLost('peer-lost', 'the connection was closed',
                                                 party=self.peer))
