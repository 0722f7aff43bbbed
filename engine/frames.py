"""The wire format: fixed-width frames and a decoder without I/O.

Every frame is a 32-byte header and a payload of known length. Nothing in a payload is code or a
pickle: array frames are raw little-endian words, and the receiving operation knows how many it
expects. The decoder reads the header, bounds the length, allocates the destination once and lets
the transport receive straight into it.

Header, little-endian: magic "SEPC", version u8, kind u8, reserved u16, tag u32, operation i64,
context u64 (digest of the operation's name and shape), length u32.
"""

import struct
from typing import NamedTuple

import numpy as np

from engine.errors import RemoteProtocolError

HEADER = struct.Struct('<4sBBHIqQI')
MAGIC, VERSION = b'SEPC', 1
MAX_PAYLOAD = 16 << 20

HELLO, KEYS, ARRAY, SCALAR, ABORT, BYE = range(6)
_SMALL = {HELLO: 512, KEYS: 4096, ABORT: 4096, BYE: 0}


class Frame(NamedTuple):
    """A decoded header; `payload` travels beside it."""

    kind: int
    tag: int
    operation: int
    context: int
    length: int


def header(kind: int, tag: int, operation: int, context: int, length: int) -> bytes:
    """Encoded header of a frame."""
    return HEADER.pack(MAGIC, VERSION, kind, 0, tag, operation, context, length)


def parse(data) -> Frame:
    """Decode and validate a header; RemoteProtocolError names what was wrong."""
    magic, version, kind, reserved, tag, operation, context, length = HEADER.unpack(data)
    if magic != MAGIC or version != VERSION:
        raise RemoteProtocolError('bad-frame', 'the peer does not speak this frame format',
                                  remedy='install the same SEPC version at all parties')
    if kind > BYE or reserved:
        raise RemoteProtocolError('bad-frame', f'unknown frame kind {kind}')
    limit = _SMALL.get(kind, MAX_PAYLOAD)
    if length > limit:
        raise RemoteProtocolError(
            'frame-too-long', f'frame of {length} bytes, expected at most {limit}')
    return Frame(kind, tag, operation, context, length)


class FrameReader:
    """Incremental decoder in the shape of asyncio's BufferedProtocol.

    `get_buffer()` gives the memory that the next bytes belong in; `advance(n)` reports how many
    arrived and returns a finished (frame, payload) or None.
    """

    def __init__(self):
        self._header = bytearray(HEADER.size)
        self._frame = None
        self._start()

    def _start(self, frame=None):
        self._frame = frame
        self._target = np.empty(frame.length, np.uint8) if frame else self._header
        self._view = memoryview(self._target)
        self._filled = 0

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
            if frame.length:
                self._start(frame)
                return None
            self._start()
            return frame, np.empty(0, np.uint8)
        done = self._frame, self._target
        self._start()
        return done
