"""Bytes between a socket and frames: bare, or through TLS.

A channel says where the next received bytes belong, turns them into frames, and turns outgoing
bytes into what the socket is to send. It does no I/O itself. TLS runs on memory buffers, so that
decrypted bytes go straight into the memory of their frame, and encryption keeps pace with the
network.
"""

import ssl
from collections.abc import Iterator
from typing import Any

from engine import frames
from engine.errors import EngineError, LocalProtocolError, RemoteProtocolError

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

    def __init__(self, context: ssl.SSLContext, server_side: bool):
        self.reader = frames.FrameReader()
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=server_side)
        self._buffer = memoryview(bytearray(_RECEIVE))
        self.open = False

    @property
    def certificate(self) -> bytes | None:
        """The peer's certificate (DER), once the channel is open."""
        return self._tls.getpeercert(True)

    def start(self) -> bytes:
        """The client's first message."""
        self._handshake()
        return self._out.read()

    def get_buffer(self) -> memoryview:
        """Memory for the next bytes from the socket."""
        return self._buffer

    def received(self, count: int) -> Iterator[tuple[frames.Frame, Any]]:
        """Frames that `count` more bytes complete; RemoteProtocolError if TLS breaks."""
        self._in.write(self._buffer[:count])
        if not self.open:
            self._handshake()
            if not self.open:
                return
        tls, waiting, reader = self._tls, self._in, self.reader
        read: Any = tls.read
        more = True
        while more:
            view = reader.get_buffer()
            size, got = len(view), 0
            try:
                # One record, 16 KiB at most, at a time. To ask for one that is not there costs an
                # exception, as much as decrypting it.
                while got < size and (more := waiting.pending > 0 or tls.pending() > 0):
                    part = read(size - got, view[got:] if got else view)
                    if not part:
                        raise RemoteProtocolError('tls-failed', 'the peer has ended TLS')
                    got += part
            except ssl.SSLWantReadError:
                more = False
            except ssl.SSLError as error:
                raise _broken(error) from None
            if got:
                yield from reader.received(got)

    def encode(self, data) -> bytes:
        """The data as TLS records."""
        self._tls.write(data)
        return self._out.read()

    def pending(self) -> bytes:
        """Records of TLS itself: the handshake, or the alert that says why it failed."""
        return self._out.read() if self._out.pending else b''

    def _handshake(self):
        try:
            self._tls.do_handshake()
            self.open = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            raise _broken(error) from None


def _broken(error: ssl.SSLError) -> EngineError:
    """A failure of TLS as an error that says who must look where."""
    reason = (error.reason or 'UNKNOWN').lower().replace('_', ' ')
    if isinstance(error, ssl.SSLCertVerificationError):
        return RemoteProtocolError('wrong-certificate', f'{error.verify_message or reason}',
                                   remedy='check who listens or dials there, and the certificates')
    if 'alert' in reason:
        return LocalProtocolError(
            'certificate-refused', f"the peer refused this party's connection: {reason}",
            remedy='give all parties certificates of one kind, and see the peer\'s error')
    if 'not return a certificate' in reason:
        return RemoteProtocolError('wrong-certificate', 'the peer shows no certificate',
                                   remedy='give all parties certificates of one kind')
    return RemoteProtocolError('tls-failed', f'no TLS 1.3 with the peer: {reason}',
                               remedy='use the same kind of connection at all parties')
