"""Bytes between a socket and frames: bare, or through TLS.

A channel says where the next received bytes belong, turns them into frames, and turns outgoing
bytes into what the socket is to send. It does no I/O itself. TLS runs on memory buffers, so that
decrypted bytes go straight into the memory of their frame, and encryption keeps pace with the
network.
"""

from collections.abc import Iterator
from typing import Any

from OpenSSL.SSL import Context

from engine import frames
from engine.tls import Tls

_RECEIVE = 1 << 17
_PIECE = 1 << 17


class PlainChannel:
    """Frames on bare TCP: bytes are received straight into their frame."""

    certificate: bytes | None = None
    piece = 1 << 62
    """How many bytes of a payload to encode at once."""

    def __init__(self) -> None:
        self.reader = frames.FrameReader()
        self.open = True

    def start(self) -> bytes:
        """What to send first; afterwards `open` says whether frames may be sent."""
        return b''

    def get_buffer(self) -> memoryview:
        """Memory for the next bytes from the socket."""
        return self.reader.get_buffer()

    def received(self, count: int) -> Iterator[tuple[frames.Frame, Any]]:
        """Frames that `count` more bytes complete."""
        return self.reader.received(count)

    def encode(self, data) -> Any:
        """What the socket is to send for `data` (bytes or memoryview)."""
        return data

    def pending(self) -> bytes:
        """Bytes that the socket is to send besides."""
        return b''


class TlsChannel:
    """Frames in TLS, on either side of a connection."""

    piece = _PIECE

    def __init__(self, context: Context, server_side: bool):
        self.reader = frames.FrameReader()
        self._tls = Tls(context, server_side)
        self._buffer = memoryview(bytearray(_RECEIVE))

    @property
    def open(self) -> bool:
        """Whether frames may be sent."""
        return self._tls.open

    @property
    def certificate(self) -> bytes | None:
        """The peer's certificate (DER), once the channel is open."""
        return self._tls.certificate

    def start(self) -> memoryview:
        """The client's first message."""
        self._tls.handshake()
        return self._tls.pending()

    def get_buffer(self) -> memoryview:
        """Memory for the next bytes from the socket."""
        return self._buffer

    def received(self, count: int) -> Iterator[tuple[frames.Frame, Any]]:
        """Frames that `count` more bytes complete; RemoteProtocolError if TLS breaks."""
        tls, reader = self._tls, self.reader
        tls.feed(self._buffer[:count])
        if not tls.open:
            tls.handshake()
            if not tls.open:
                return
        more = True
        while more:
            view = reader.get_buffer()
            got = tls.read_into(view)
            more = got == len(view)
            if got:
                yield from reader.received(got)

    def encode(self, data) -> memoryview:
        """The data as TLS records."""
        return self._tls.encrypt(data)

    def pending(self) -> memoryview:
        """Records of TLS itself: the handshake, or the alert that says why it failed."""
        return self._tls.pending()
