"""TLS 1.3 on memory buffers, by the OpenSSL that the `cryptography` package brings.

Python's own `ssl` is as fast as the OpenSSL it was linked with, and 3.0, which is still in most
systems, takes twice as long for AES-GCM as later versions. pyOpenSSL makes contexts and
connections here; the bytes of frames go past its methods, which copy every record and take longer
than decrypting it, straight between OpenSSL and the memory of frames.
"""

from collections.abc import Iterable

from cryptography import x509
from OpenSSL import SSL, crypto
from OpenSSL._util import ffi as _ffi
from OpenSSL._util import lib as _lib

from engine.errors import EngineError, LocalProtocolError, RemoteProtocolError

VERSION = SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode()
"""The library and its version."""
_RECORD = 1 << 14
"""Bytes of data in a full record."""
_new = _ffi.new_allocator(should_clear_after_alloc=False)


def context(chain: Iterable[x509.Certificate], key, trusted: Iterable[x509.Certificate],
            verify: bool = True) -> SSL.Context:
    """A context for either side: its certificate and what signed it, its private key.

    The peer's certificate must be one of `trusted` or signed by one. Without `verify` it may be
    any, or on the listening side none.
    """
    made = SSL.Context(SSL.TLS_METHOD)
    made.set_min_proto_version(SSL.TLS1_3_VERSION)
    made.set_options(SSL.OP_NO_TICKET)
    made.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # connections are never resumed
    # Else it stops after every record, which pyOpenSSL wants and takes 10 % longer.
    _lib.SSL_CTX_clear_mode(made._context, _lib.SSL_MODE_ENABLE_PARTIAL_WRITE)
    own, *rest = chain
    made.use_certificate(own)
    for certificate in rest:
        made.add_extra_chain_cert(certificate)
    made.use_privatekey(key)
    made.check_privatekey()
    store = made.get_cert_store()
    assert store is not None
    for certificate in trusted:
        store.add_cert(crypto.X509.from_cryptography(certificate))
    made.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT if verify
                    else SSL.VERIFY_NONE)
    return made


class Tls:
    """One connection. `open` says whether the handshake has ended."""

    def __init__(self, context: SSL.Context, server_side: bool):
        self._connection = SSL.Connection(context, None)
        if server_side:
            self._connection.set_accept_state()
        else:
            self._connection.set_connect_state()
        self._ssl = self._connection._ssl
        self._in, self._out = self._connection._into_ssl, self._connection._from_ssl
        self._place = _ffi.new('char **')
        self.open = False

    @property
    def certificate(self) -> bytes | None:
        """The peer's certificate (DER)."""
        shown = self._connection.get_peer_certificate()
        return None if shown is None else crypto.dump_certificate(crypto.FILETYPE_ASN1, shown)

    def handshake(self) -> None:
        """Go on with the handshake, as far as the bytes received allow."""
        try:
            self._connection.do_handshake()
            self.open = True
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            raise self._broken(error) from None

    def feed(self, received: memoryview) -> None:
        """Bytes from the peer."""
        source = _ffi.from_buffer(received)
        if _lib.BIO_write(self._in, source, len(source)) != len(source):
            raise MemoryError('no memory for received bytes')

    def read_into(self, view: memoryview) -> int:
        """Decrypt whole records into the memory until it is full or none is left; bytes written."""
        target = _ffi.from_buffer(view, require_writable=True)
        size, got = len(target), 0
        while got < size:
            count = _lib.SSL_read(self._ssl, target + got, size - got)
            if count <= 0:
                if _lib.SSL_get_error(self._ssl, count) != _lib.SSL_ERROR_WANT_READ:
                    self._check(count)
                break
            got += count
            # After the last record of a message: to be told that there is no more takes longer
            # than to look.
            if count < _RECORD and not _lib.SSL_pending(self._ssl) and \
                    not _lib.BIO_get_mem_data(self._in, self._place):
                break
        return got

    def encrypt(self, data) -> memoryview:
        """Records with the data (bytes or a memoryview), and what there is to send besides."""
        source = _ffi.from_buffer(data)
        size, at = len(source), 0
        while at < size:
            count = _lib.SSL_write(self._ssl, source + at, size - at)
            if count <= 0:
                self._check(count)
                raise RemoteProtocolError('tls-failed', 'TLS takes no more data')
            at += count
        return self.pending()

    def pending(self) -> memoryview:
        """What there is to send: the handshake, or the alert that says why it failed."""
        size = _lib.BIO_get_mem_data(self._out, self._place)
        memory = _new('char[]', max(size, 1))
        _lib.BIO_read(self._out, memory, size)
        return memoryview(_ffi.buffer(memory, size))

    def _check(self, result):
        """Raise what has gone wrong, unless bytes of the peer are missing only."""
        try:
            self._connection._raise_ssl_error(self._ssl, result)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            raise RemoteProtocolError('tls-failed', 'the peer has ended TLS') from None
        except SSL.Error as error:
            raise self._broken(error) from None

    def _broken(self, error: SSL.Error) -> EngineError:
        """A failure of TLS as an error that says who must look where."""
        details = error.args[0] if error.args and isinstance(error.args[0], list) else []
        reason = str(details[-1][-1]) if details else 'unknown'
        verified = _lib.SSL_get_verify_result(self._ssl)
        if 'certificate verify failed' in reason:
            message = _ffi.string(_lib.X509_verify_cert_error_string(verified)).decode()
            return RemoteProtocolError(
                'wrong-certificate', message,
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
