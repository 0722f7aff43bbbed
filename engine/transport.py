"""Links between parties: TCP with or without TLS for real runs, memory for the in-process cluster.

A link offers `send(frame header, payload)` and hands what arrives to its owner's `delivered`; loss
of the peer goes to `lost`. The owner (the runtime) does all matching of frames to operations.
"""

import asyncio
import collections
import contextlib
from typing import Protocol

import numpy as np

from engine import frames
from engine.channel import PlainChannel, TlsChannel
from engine.credentials import Credentials
from engine.errors import EngineError, PeerLost, RemoteProtocolError, reported
from engine.handshake import Session

_JOINED = 1 << 16
"""Payloads up to this size share a system call with their header."""
HELLO_BYTES = 8192
"""What a peer may send before it has proven who it is."""
_AHEAD = 1 << 20
"""Bytes that the socket's buffer takes before the link waits; what follows stays unencrypted."""
_LINGER = 1.0
"""Seconds that a closed link goes on taking what the peer still sends, without looking at it."""
_DISCARD = 1 << 16


class Owner(Protocol):
    """What a link reports to."""

    def delivered(self, peer: int, frame: frames.Frame, payload: np.ndarray) -> None:
        """A whole frame has arrived."""

    def lost(self, peer: int, cause: EngineError) -> None:
        """The peer is gone or misbehaves."""


class Meeting(Protocol):
    """What links report to until their peers are known (`engine.rendezvous`)."""

    session: Session
    credentials: Credentials | None
    taken: set[int]

    def arrived(self, link: 'TcpLink') -> None:
        """Somebody has connected."""

    def ready(self, link: 'TcpLink', error: EngineError | None) -> None:
        """The link has proven its peer, or failed."""


class TcpLink(asyncio.BufferedProtocol):
    """One TCP connection to a peer, from hello to bye; with credentials, in mutual TLS 1.3."""

    def __init__(self, meeting: Meeting, peer: int | None = None):
        self._meeting, self._expected = meeting, peer
        self.peer: int | None = None
        self.number: int | None = None
        self.proven = False
        credentials = meeting.credentials
        self._channel: PlainChannel | TlsChannel = PlainChannel() if credentials is None else \
            TlsChannel(credentials.context, peer is None)
        self._channel.reader.kinds = (frames.HELLO, frames.ABORT)
        self._owner: Owner | None = None
        self._backlog: list = []
        self._transport: asyncio.Transport | None = None
        self._queue: collections.deque = collections.deque()
        self._paused = self._greeted = self._failed = self._ended = self._half = False
        self._turn = False
        self._key, self._session, self._early = b'', 0, 0
        self._error: EngineError | None = None

    @property
    def expected(self) -> int | None:
        """The party that this side dialled."""
        return self._expected

    @property
    def dialled(self) -> bool:
        """Whether this side opened the connection."""
        return self._expected is not None

    @property
    def lingers(self) -> bool:
        """Whether the connection still stands, be it in one direction only."""
        return self._transport is not None and not self._transport.is_closing()

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
        if self._ended:
            return
        data = memoryview(payload).cast('B') if len(payload) else b''
        head = frames.header(kind, tag, operation, context, len(data), self._session)
        if len(data) <= _JOINED:
            self._queue.append(head + bytes(data))
            if self._turn:
                return
            self._turn = True
            asyncio.get_running_loop().call_soon(self._end_turn)
        else:
            self._queue.extend((head, data))
        self._pump()

    def _end_turn(self):
        """What has come in a turn of the event loop after its first small frame goes together."""
        self._turn = False
        if self._queue:
            self._pump()

    def close(self):
        """Close after everything queued has been sent."""
        self._failed = self._ended = True
        self._pump()

    def _pump(self):
        """Encode and hand over what is queued, as far as the socket takes it."""
        transport, queue, channel = self._transport, self._queue, self._channel
        if transport is None or transport.is_closing():
            queue.clear()
            return
        while queue and not self._paused and channel.open:
            data = queue.popleft()
            if len(data) > channel.piece:
                queue.appendleft(data[channel.piece:])
                data = data[:channel.piece]
            elif queue and len(data) + len(queue[0]) <= _JOINED:
                data = self._joined(data)
            transport.write(channel.encode(data))
        if self._ended and (not queue or not channel.open):
            self._hang_up()

    def _joined(self, data):
        parts, size = [data], len(data)
        while self._queue and size + len(self._queue[0]) <= _JOINED:
            size += len(self._queue[0])
            parts.append(self._queue.popleft())
        return b''.join(parts)

    def _hang_up(self):
        """Close one's own direction, and the other one when the peer has done the same.

        Closing both at once while the peer sends would make its own sending fail, before it has
        read why.
        """
        if not self._half:
            self._half = True
            self._transport.write_eof()
            asyncio.get_running_loop().call_later(_LINGER, self._transport.close)

    # asyncio callbacks

    def connection_made(self, transport):
        """Both sides speak first."""
        self._transport = transport
        if self.dialled and transport.get_extra_info('sockname') == \
                transport.get_extra_info('peername'):
            # The kernel may give a dialling socket the very port that it dials.
            self._fail(PeerLost('peer-lost', 'the connection led back to this party'))
            return
        transport.set_write_buffer_limits(high=_AHEAD)
        if not self.dialled:
            self._meeting.arrived(self)
        transport.write(self._channel.start())
        self._greet()

    def pause_writing(self):
        """The socket's buffer is full."""
        self._paused = True

    def resume_writing(self):
        """The socket takes more."""
        self._paused = False
        self._pump()

    def get_buffer(self, sizehint):
        """Memory that the next bytes are received into."""
        if self._failed:
            return bytearray(_DISCARD)
        buffer = self._channel.get_buffer()
        return buffer if self.proven else buffer[:HELLO_BYTES]

    def buffer_updated(self, nbytes):
        """Bytes have arrived in the buffer given last."""
        if self._failed:
            return
        try:
            for frame, payload in self._channel.received(nbytes):
                self._greet()
                self._handle(frame, payload)
                if self._failed:
                    return
            if not self.proven:
                self._early += nbytes
                self._greet()
                if self._early > HELLO_BYTES:
                    raise RemoteProtocolError(
                        'bad-hello', f'more than {HELLO_BYTES} bytes before the peer is known')
        except EngineError as error:
            self._fail(error)

    def connection_lost(self, exc):
        """The peer has closed, or the network has."""
        where = ' in the middle of a frame' if self._channel.reader.halfway else ''
        self._fail(PeerLost('peer-lost', f'the connection was closed by the peer{where}'
                            if exc is None else f'connection error{where}: {exc}',
                            remedy="see the peer's own error; restart the job when it is back"))

    def fail(self, error: EngineError):
        """Give this connection up."""
        self._fail(error)

    def _greet(self):
        """Go on with TLS; once it stands, check the certificate and send the hello."""
        if self._greeted:
            return
        out = self._channel.pending()
        if out:
            self._transport.write(out)
        if not self._channel.open:
            return
        credentials = self._meeting.credentials
        if credentials is not None:
            self.number = credentials.party_of(self._channel.certificate)
            if self.dialled and self.number not in (None, self._expected):
                raise RemoteProtocolError(
                    'wrong-certificate', f'who answers at the address of party {self._expected} '
                    f'proves to be party {self.number}', remedy='check addresses and certificates')
        self._greeted = True
        self.send(frames.HELLO, 0, 0, 0, self._meeting.session.hello())

    def _fail(self, error):
        if self._failed:
            return
        self._failed, self._error = True, error
        if error.party is None:
            known = (self.peer, self.number, self._expected)
            error.party = next((p for p in known if p is not None), None)
        if self._greeted and not self.proven and not self.dialled:
            # Somebody whose certificate is in order, but not its hello, is told why.
            self.send(frames.ABORT, 0, 0, 0, error.report())
        elif not self._greeted and not self._transport.is_closing():
            self._transport.write(self._channel.pending())
        self.close()
        if self._owner is not None:
            self._owner.lost(self.peer, error)
        else:
            self._meeting.ready(self, error)

    def _handle(self, frame, payload):
        if self.proven:
            if frame.kind in (frames.HELLO, frames.KEYS):
                raise RemoteProtocolError('bad-frame', 'a second hello on one connection')
            if self._owner is not None:
                self._owner.delivered(self.peer, frame, payload)
            elif frame.kind == frames.ABORT:
                self._fail(reported(self.peer, payload.tobytes()))
            else:
                self._backlog.append((frame, payload))
        elif frame.kind == frames.ABORT:
            if not self.dialled:
                raise RemoteProtocolError('bad-hello', 'the first frame must be a hello')
            self._fail(reported(self._expected, payload.tobytes()))
        elif self.peer is None:
            meeting, reader = self._meeting, self._channel.reader
            self.peer, self._key, sealed = meeting.session.greet(
                payload.tobytes(), self._expected, meeting.taken, self.number)
            self._session = reader.session = meeting.session.frame_session(self._key)
            reader.kinds = (frames.KEYS,)
            self.send(frames.KEYS, 0, 0, 0, sealed)
        else:
            self._accept(payload)

    def _accept(self, payload):
        meeting = self._meeting
        if self.peer in meeting.taken:
            raise RemoteProtocolError('wrong-party', 'the party is connected already')
        meeting.session.accept_keys(self.peer, self._key, payload.tobytes())
        meeting.taken.add(self.peer)
        self.proven = True
        self._channel.reader.kinds = None
        meeting.ready(self, None)


class MemoryLink:
    """A link inside one process and event loop, for the test cluster.

    `tap`, where given, sees every frame and may change, drop or repeat it: it returns the list of
    (frame, payload) to deliver. Questions whether a party is there (`engine.liveness`) pass it by:
    whether there are any depends on how fast the machine is.
    """

    lingers = False

    def __init__(self, source: int, target: int, tap=None, session: int = 0):
        self.source, self.peer, self._tap, self._session = source, target, tap, session
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
        frame = frames.parse(frames.header(kind, tag, operation, context, len(data),
                                           self._session))
        untapped = self._tap is None or kind in (frames.PING, frames.PONG)
        out = [(frame, data)] if untapped else self._tap(self.source, self.peer, frame, data)
        for item in out:
            asyncio.get_running_loop().call_soon(self.other._arrive, *item)

    def _arrive(self, frame, payload):
        if self._closed or self._owner is None:
            return
        if frame.session != self._session:
            self._owner.lost(self.peer, RemoteProtocolError(
                'wrong-session', 'a frame of another session', party=self.peer,
                remedy='start all parties of one job together'))
        else:
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
