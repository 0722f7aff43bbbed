"""The wire format: fixed-width frames and a decoder without I/O.

Every frame is a 48-byte header and a payload of known length. Nothing in a payload is code or a
pickle: array frames are raw little-endian words, and the receiving operation knows how many it
expects. The decoder reads the header, bounds the length, allocates the destination once and lets
the transport receive straight into it.

Header, little-endian: magic "SEPC", version u8, kind u8, reserved u16, tag u32, length u32,
session u64, operation i64, shape u32, name u32, line u16, file u16, reserved u32. Session is a
digest that both ends of a connection derive afresh; name and shape are digests of the operation's;
file and line say where the sender's program issued it. Sender and receiver must agree on all but
the place in the program, which makes a disagreement readable.
"""

import struct
from typing import NamedTuple

import numpy as np

from engine.errors import RemoteProtocolError

HEADER = struct.Struct('<4sBBHIIQqQII')
MAGIC, VERSION = b'SEPC', 2
MAX_PAYLOAD = 16 << 20

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

    `get_buffer()` gives the memory that the next bytes belong in; `advance(n)` reports how many
    arrived and returns a finished (frame, payload) or None. `kinds` and `session`, where they are
    set, are the only ones accepted, which is checked before memory is allocated.
    """

    def __init__(self):
        self.kinds: tuple[int, ...] | None = None
        self.session: int | None = None
        self._header = bytearray(HEADER.size)
        self._frame = None
        self._start()

    def _start(self, frame=None):
        self._frame = frame
        self._target = np.empty(frame.length, np.uint8) if frame else self._header
        self._view = memoryview(self._target)
        self._filled = 0

    @property
    def halfway(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self._frame is not None or self._filled > 0

    def get_buffer(self) -> memoryview:
        """Writable memory for the next bytes."""
        return self._view[self._filled:]

    def advance(self, count: int):
        """Account for `count` received bytes; a finished frame and its payload, or None."""
        self._filled += count
        if self._filled < len(self._view):
            return None
        if self._frame is None:
            frame = parse(self._header)
            if self.kinds is not None and frame.kind not in self.kinds:
                raise RemoteProtocolError('bad-hello', f'a frame of kind {frame.kind} before the '
                                          'parties know each other')
            if self.session is not None and frame.session != self.session:
                raise RemoteProtocolError('wrong-session', 'a frame of another session',
                                          remedy='start all parties of one job together')
            if frame.length:
                self._start(frame)
                return None
            self._start()
            return frame, np.empty(0, np.uint8)
        done = self._frame, self._target
        self._start()
        return done
