"""Certificates: how the parties prove their numbers to each other.

Every connection is mutual TLS 1.3, and a certificate must prove the party number that its holder
claims, on the dialling and on the listening side. There are two ways to know whose a certificate
is. *Pinned*: the certificates of all parties are known beforehand, from the signed approvals of a
job or from the process that starts all parties. *Authority*: a certification authority has signed
the certificates, and their subject's common name is `MPyC party i` (i from 0), as with MPyC's
`--ssl`. A third kind proves nothing: it only encrypts, for programs on one machine.

    python -m engine.credentials FOLDER -m 4

writes such an authority's certificate, and keys and certificates for four parties, under the names
that `--ssl` looks for in `.config`.
"""

import argparse
import contextlib
import datetime
import os
import pathlib
import re
import secrets
import ssl
import tempfile
from collections.abc import Callable, Iterator

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from engine import tls
from engine.errors import LocalProtocolError, RemoteProtocolError

CONFIG = '.config'
AUTHORITY = 'mpyc_ca.crt'
ENVIRONMENT = 'SEPC_CREDENTIALS'
"""Environment variable: a folder of `write_pinned`, for parties that are started together."""
_NAME = re.compile(r'(?:MPyC|SEPC) party (0|[1-9][0-9]{0,4})', re.ASCII)
_PEM = serialization.Encoding.PEM
_DER = serialization.Encoding.DER


class Credentials:
    """This party's certificate and private key, and how the others prove their numbers.

    `proves` is False only for certificates that encrypt and prove nothing. `context` is for the
    engine's links (`engine.tls`), `server` and `client` are for streams of asyncio.
    """

    def __init__(self, server: ssl.SSLContext, client: ssl.SSLContext, context: SSL.Context,
                 number: Callable[[bytes], int | None] | None):
        self.server, self.client, self.context, self._number = server, client, context, number

    @property
    def proves(self) -> bool:
        """Whether a peer's certificate proves its party number."""
        return self._number is not None

    def party_of(self, certificate: bytes | None) -> int | None:
        """The party number that a peer's certificate (DER) proves; None if none is asked for.

        Raises RemoteProtocolError `wrong-certificate`. TLS has verified by now that the peer holds
        the private key, and that the certificate is pinned or signed by the authority.
        """
        if self._number is None:
            return None
        try:
            number = self._number(certificate) if certificate else None
        except ValueError:
            number = None
        if number is None:
            raise RemoteProtocolError('wrong-certificate', 'the certificate is of no party',
                                      remedy='check who listens or dials there')
        return number

    @classmethod
    def pinned(cls, pid: int, certificates: list[bytes], key: Ed25519PrivateKey) -> 'Credentials':
        """Every party has exactly the certificate (DER) of its index in the list.

        Raises LocalProtocolError `bad-credentials` if one is damaged, two are the same, or `key`
        is not that of certificate `pid`.
        """
        if len(set(certificates)) != len(certificates):
            raise _bad('two parties have the same certificate')
        try:
            parsed = [parse(c) for c in certificates]
        except ValueError:
            raise _bad('not a certificate') from None
        pem = parsed[pid].public_bytes(_PEM) + key.private_bytes(
            _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        trusted = b''.join(certificates)
        try:
            with _private_file(pem) as path:
                server, client = (_context(side, path, cadata=trusted) for side in _SIDES)
        except ssl.SSLError as exc:
            raise _bad(f'certificate {pid}: {exc.reason}') from None
        return cls(server, client, tls.context([parsed[pid]], key, parsed),
                   {c: i for i, c in enumerate(certificates)}.get)

    @classmethod
    def authority(cls, pid: int, folder: str | os.PathLike = CONFIG) -> 'Credentials':
        """`party_{pid}.crt`, `party_{pid}.key` and `mpyc_ca.crt` in a folder, as MPyC's `--ssl`.

        Raises LocalProtocolError `bad-credentials` if one is missing or damaged, if the key is not
        the certificate's, or if the certificate names another party than `pid`.
        """
        base = pathlib.Path(folder)
        try:
            chain = (base / f'party_{pid}.crt').read_bytes()
            own = number_of(x509.load_pem_x509_certificate(chain))
            server, client = (_context(side, base / f'party_{pid}.crt', base / f'party_{pid}.key',
                                       cafile=base / AUTHORITY) for side in _SIDES)
            context = tls.context(
                x509.load_pem_x509_certificates(chain),
                serialization.load_pem_private_key((base / f'party_{pid}.key').read_bytes(), None),
                x509.load_pem_x509_certificates((base / AUTHORITY).read_bytes()))
        except (OSError, ValueError) as exc:
            name = getattr(exc, 'filename', None) or base
            raise _bad(f'{name}: {getattr(exc, "strerror", None) or "not a certificate"}; '
                       f'expected party_{pid}.crt, party_{pid}.key and {AUTHORITY}') from None
        if own != pid:
            raise _bad(f"the certificate's common name is that of party {own}, expected "
                       f'"MPyC party {pid}"')
        return cls(server, client, context, lambda certificate: number_of(parse(certificate)))

    @classmethod
    def folder(cls, pid: int, m: int, folder: str | os.PathLike) -> 'Credentials':
        """Pinned certificates of m parties, as `write_pinned` has left them in a folder."""
        base = pathlib.Path(folder)
        try:
            certificates = [x509.load_pem_x509_certificate((base / f'party_{i}.crt').read_bytes())
                            for i in range(m)]
            key = serialization.load_pem_private_key((base / f'party_{pid}.key').read_bytes(), None)
            if not isinstance(key, Ed25519PrivateKey):
                raise TypeError('not an Ed25519 key')
        except (OSError, ValueError, TypeError) as exc:
            raise _bad(f'{base}: {getattr(exc, "strerror", None) or "damaged"}') from None
        return cls.pinned(pid, [c.public_bytes(_DER) for c in certificates], key)

    @classmethod
    def unproven(cls) -> 'Credentials':
        """A throwaway certificate, and any of the peers': encryption without proof."""
        key = Ed25519PrivateKey.generate()
        certificate = self_signed(key)
        with _private_file(_pem(key, certificate)) as path:
            server, client = (_context(side, path) for side in _SIDES)
        server.verify_mode = client.verify_mode = ssl.CERT_NONE
        return cls(server, client, tls.context([parse(certificate)], key, [], verify=False), None)


def number_of(certificate: x509.Certificate) -> int | None:
    """The party number in a certificate's common name; None unless there is exactly one."""
    try:
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except (ValueError, TypeError):  # TypeError: a name that is no text but a string of bits
        return None
    match = _NAME.fullmatch(str(names[0].value)) if len(names) == 1 else None
    return int(match[1]) if match else None


def job_key(secret: bytes) -> Ed25519PrivateKey:
    """The key of a party's certificate in a job, derived from its job key."""
    seed = HKDF(SHA256(), length=32, salt=None, info=b'sepc-tls').derive(secret)
    return Ed25519PrivateKey.from_private_bytes(seed)


def self_signed(key: Ed25519PrivateKey, days: int = 8) -> bytes:
    """A certificate (DER) for a key; it says nothing but the key, so it must be pinned."""
    # OpenSSL finds trusted certificates by their subject, so every one has its own.
    name = f'SEPC {key.public_key().public_bytes_raw().hex()[:32]}'
    return _certificate(name, key, name, key, days).public_bytes(_DER)


def write_pinned(folder: str | os.PathLike, m: int) -> None:
    """Throwaway certificates and keys of m parties, for `Credentials.folder`."""
    for i in range(m):
        key = Ed25519PrivateKey.generate()
        _write_pair(pathlib.Path(folder), i, key, _certificate(
            f'SEPC party {i}', key, f'SEPC party {i}', key, 8))


def write_authority(folder: str | os.PathLike, m: int, days: int = 825) -> None:
    """An authority's certificate, and certificates and keys of m parties, for `--ssl`.

    The authority's key is not kept: nobody can sign another party's certificate later.
    """
    base = pathlib.Path(folder)
    base.mkdir(parents=True, exist_ok=True)
    name, issuer = 'SEPC certification authority', Ed25519PrivateKey.generate()
    root = _certificate(name, issuer, name, issuer, days, authority=True)
    (base / AUTHORITY).write_bytes(root.public_bytes(_PEM))
    for i in range(m):
        key = Ed25519PrivateKey.generate()
        _write_pair(base, i, key, _certificate(f'MPyC party {i}', key, name, issuer, days))


_SIDES = (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT)


def _context(side, certificate, key=None, **trusted) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # `party_of` checks the number instead
    context.verify_mode = ssl.CERT_REQUIRED
    context.options |= ssl.OP_NO_TICKET
    if side == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0  # connections are never resumed
    context.load_cert_chain(certificate, key, password=_no_password)
    if trusted:
        context.load_verify_locations(**trusted)
    return context


def _no_password():
    raise ValueError('the key has a password')


def _certificate(name, key, issuer, issuer_key, days, authority=False) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    return (x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            # An hour of grace for clocks that differ.
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .sign(issuer_key, None))


def parse(certificate: bytes) -> x509.Certificate:
    """A certificate (DER); ValueError if it is none."""
    try:
        return x509.load_der_x509_certificate(certificate)
    except x509.InvalidVersion:
        raise ValueError('not a certificate') from None


def _pem(key, certificate: bytes) -> bytes:
    return x509.load_der_x509_certificate(certificate).public_bytes(_PEM) + key.private_bytes(
        _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _write_pair(base, i, key, certificate):
    (base / f'party_{i}.crt').write_bytes(certificate.public_bytes(_PEM))
    handle = os.open(base / f'party_{i}.key', os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, 'wb') as file:
        file.write(key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8,
                                     serialization.NoEncryption()))


@contextlib.contextmanager
def _private_file(content: bytes) -> Iterator[str]:
    """A file for the length of a call: Python's ssl reads keys from files only."""
    path = os.path.join(tempfile.gettempdir(), f'sepc-{secrets.token_hex(16)}')
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, 'wb') as file:
            file.write(content)
        yield path
    finally:
        os.unlink(path)


def _bad(cause: str) -> LocalProtocolError:
    return LocalProtocolError('bad-credentials', cause, remedy='make certificates with python -m '
                              'engine.credentials, or check those that there are')


def main() -> None:
    """Write a folder of certificates."""
    parser = argparse.ArgumentParser(prog='python -m engine.credentials', description=
                                     'Certificates for --ssl; give every party its own key only.')
    parser.add_argument('folder', help='usually .config')
    parser.add_argument('-m', type=int, required=True, help='number of parties')
    options = parser.parse_args()
    write_authority(options.folder, options.m)
    print(f'wrote {AUTHORITY} and party_0 to party_{options.m - 1} to {options.folder}')


if __name__ == '__main__':
    main()
