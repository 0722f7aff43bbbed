"""The wire format: fixed-width frames and a decoder without I/O.

Every frame is a 48-byte header and a payload of known length. Nothing in a payload is code or a
pickle: array frames are raw little-endian words, and the receiving operation knows how many it
expects. The decoder reads the header, bounds the length, allocates the destination once and lets
the transport receive a large payload straight into it.

Header, little-endian: magic "SEPC", version u8, kind u8, reserved u16, tag u32, length u32,
session u64, operation i64, shape u32, name u32, line u16, file u16, reserved u32. Session is a
digest that both ends of a connection derive afresh; name and shape are digests of the operation's;
file and line say where the sender's program issued it. Sender and receiver must agree on all but
the place in the program, which makes a disagreement readable.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from engine.errors import RemoteProtocolError

HEADER = struct.Struct('<4sBBHIIQqQII')
MAGIC, VERSION = b'SEPC', 2
MAX_PAYLOAD = 16 << 20
READ_AHEAD = 1 << 16
"""Bytes of small frames that are received at once."""

HELLO, KEYS, ARRAY, SCALAR, ABORT, BYE, PING, PONG = range(8)
_SMALL = {HELLO: 512, KEYS: 4096, ABORT: 4096, BYE: 0, PING: 0, PONG: 0}

WHAT = (1 << 64) - 1
"""Mask of that part of a context which both sides must agree on: the operation's name and shape."""


class Frame(NamedTuple):
    """A decoded header; `payload` travels beside it.

    `context` holds shape (bits 0 to 31), name (32 to 63), line (64 to 79) and file (80 to 95).
    """

    kind: int
    tag: int
    operation: int
    context: int
    length: int
    session: int


def header(kind: int, tag: int, operation: int, context: int, length: int,
           session: int = 0) -> bytes:
    """Encoded header of a frame."""
    return HEADER.pack(MAGIC, VERSION, kind, 0, tag, length, session, operation, context & WHAT,
                       context >> 64, 0)


def parse(data) -> Frame:
    """Decode and validate a header; RemoteProtocolError names what was wrong."""
    (magic, version, kind, reserved, tag, length, session, operation, what, where,
     more) = HEADER.unpack(data)
    if magic != MAGIC or version != VERSION:
        raise RemoteProtocolError('bad-frame', 'the peer does not speak this frame format',
                                  remedy='install the same SEPC version at all parties')
    if kind > PONG or reserved or more:
        raise RemoteProtocolError('bad-frame', f'unknown frame kind {kind}')
    limit = _SMALL.get(kind, MAX_PAYLOAD)
    if length > limit:
        raise RemoteProtocolError(
            'frame-too-long', f'frame of {length} bytes, expected at most {limit}')
    return Frame(kind, tag, operation, what | where << 64, length, session)


class FrameReader:
    """Incremental decoder in the shape of asyncio's BufferedProtocol.

    `get_buffer()` gives the memory that the next bytes belong in; `received(n)` reports how many
    arrived and yields the frames, with their payloads, that are now complete. Small frames arrive
    together in a buffer of fixed size, the rest of a large payload straight in its own memory.
    `kinds` and `session`, where they are set, are the only ones accepted, which is checked before
    memory is allocated; both may be set while the frames of one call are handled.
    """

    def __init__(self):
        self.kinds: tuple[int, ...] | None = None
        self.session: int | None = None
        self._ahead = memoryview(bytearray(READ_AHEAD))
        self._kept = 0  # bytes of an incomplete header, at the beginning of the buffer
        self._frame: Frame | None = None
        self._payload = np.empty(0, np.uint8)
        self._missing = 0  # bytes of the payload
        self._direct = False

    @property
    def halfway(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self._frame is not None or self._kept > 0

    def get_buffer(self) -> memoryview:
        """Writable memory for the next bytes."""
        self._direct = self._missing >= READ_AHEAD
        if self._direct:
            return self._payload.data[-self._missing:]
        return self._ahead[self._kept:] if self._kept else self._ahead

    def received(self, count: int) -> Iterator[tuple[Frame, np.ndarray]]:
        """Account for `count` bytes in the buffer given last; the frames that they complete."""
        if self._direct:
            self._missing -= count
            if not self._missing:
                yield self._finished()
            return
        ahead, at, end = self._ahead, 0, self._kept + count
        self._kept = 0
        while True:
            if self._frame is None:
                if end - at < HEADER.size:
                    break
                self._frame = frame = self._accepted(ahead[at:at + HEADER.size])
                at += HEADER.size
                self._missing = frame.length
                self._payload = np.empty(frame.length, np.uint8)
            part = min(self._missing, end - at)
            if part:
                start = len(self._payload) - self._missing
                self._payload.data[start:start + part] = ahead[at:at + part]
                at += part
                self._missing -= part
            if self._missing:
                return
            yield self._finished()
        if at < end:
            self._kept = end - at
            ahead[:self._kept] = bytes(ahead[at:end])

    def _accepted(self, data):
        frame = parse(data)
        if self.kinds is not None and frame.kind not in self.kinds:
            raise RemoteProtocolError('bad-hello', f'a frame of kind {frame.kind} before the '
                                      'parties know each other')
        if self.session is not None and frame.session != self.session:
            raise RemoteProtocolError('wrong-session', 'a frame of another session',
                                      remedy='start all parties of one job together')
        return frame

    def _finished(self):
        frame, self._frame = self._frame, None
        return frame, self._payload
