"""What two parties prove and agree before the first share moves.

TLS comes first: the certificates prove the party numbers (`engine.credentials`). Inside of it each
side sends a hello (party number, m, t, mode, session, program hash, X25519 key, nonce). Both check
that they are in the same session of the same program, that the number is the proven one, and, where
the job names the peers' keys, that the key is the approved one. The pairwise key comes from the key
agreement bound to both hellos, so it is fresh even where a job is started again with the same keys;
each side then proves that it holds it by a sealed message. That message carries the PRSS keys of
the sets that its sender leads, so no key crosses the wire in the clear even without TLS.
"""

import secrets
import struct
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from engine.errors import LocalProtocolError, RemoteProtocolError
from engine.prss import derive
from engine.shamir import Geometry

_HELLO = struct.Struct('<HHHH32s32s32s32s')
_KEY = 32


@dataclass
class Session:
    """This party's side of one session; collects the keys as the peers connect."""

    pid: int
    geometry: Geometry
    session: bytes
    program: bytes
    private: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)
    approved: list[bytes] | None = None
    nonce: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    set_keys: dict[int, bytes] = field(default_factory=dict)
    pair_keys: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self):
        if len(self.session) != 32 or len(self.program) != 32:
            raise LocalProtocolError('bad-session', 'session and program hash must be 32 bytes')
        for k, members in enumerate(self.geometry.sets):
            if members[0] == self.pid:
                self.set_keys[k] = secrets.token_bytes(_KEY)

    def hello(self) -> bytes:
        """This party's hello."""
        g = self.geometry
        public = self.private.public_key().public_bytes_raw()
        return _HELLO.pack(self.pid, g.m, g.t, g.verified, self.session, self.program, public,
                           self.nonce)

    def greet(self, payload: bytes, expected: int | None, taken,
              proven: int | None = None) -> tuple[int, bytes, bytes]:
        """Check a peer's hello; returns its party number, the key with it, and the sealed answer.

        `expected` is the party that this side dialled (None on the listening side), `taken` the
        party numbers that are connected already, `proven` the number of the peer's certificate.
        """
        if len(payload) != _HELLO.size:
            raise RemoteProtocolError('bad-hello', f'hello of {len(payload)} bytes')
        pid, m, t, verified, session, program, public, _ = _HELLO.unpack(payload)
        g = self.geometry
        if proven is not None and pid != proven:
            raise RemoteProtocolError(
                'wrong-party', f'party {proven}, by its certificate, claims to be party {pid}',
                party=proven, remedy='check indices and certificates')
        if (m, t, verified) != (g.m, g.t, g.verified):
            modes = ['verified mode' if v else 'default mode' for v in (verified, g.verified)]
            raise RemoteProtocolError(
                'different-setup', f'the peer runs {m} parties with threshold {t} in {modes[0]}, '
                f'this party {g.m} with {g.t} in {modes[1]}', party=pid,
                remedy='give all parties the same setup')
        allowed = {expected} if expected is not None else set(range(self.pid))
        if pid not in allowed or pid in taken:
            raise RemoteProtocolError(
                'wrong-party', f'a peer claims to be party {pid}, expected one of '
                f'{sorted(allowed - set(taken))}', remedy='check indices and addresses')
        if session != self.session:
            raise RemoteProtocolError('different-session', 'the peer is in another session',
                                      party=pid, remedy='start all parties of one job together')
        if program != self.program:
            raise RemoteProtocolError('different-program', 'the peer runs another program',
                                      party=pid, remedy='install the same version everywhere')
        if self.approved is not None and public != self.approved[pid]:
            raise RemoteProtocolError('wrong-key', 'the peer shows a key that was not approved',
                                      party=pid, remedy='check who listens at that address')
        try:
            shared = self.private.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError:
            raise RemoteProtocolError('wrong-key', 'the peer shows a key of low order',
                                      party=pid) from None
        low, high = sorted(((self.pid, self.hello()), (pid, bytes(payload))))
        key = derive(shared, b'sepc-pair', low[1], high[1])
        led = b''.join(self.set_keys[k] for k, s in self._led_by(self.pid) if pid in s)
        return pid, key, _aead(key, self.pid).encrypt(bytes(12), led, None)

    def accept_keys(self, pid: int, key: bytes, payload: bytes):
        """Open the peer's sealed message: proof of its key, and the PRSS keys it leads."""
        try:
            keys = _aead(key, pid).decrypt(bytes(12), bytes(payload), None)
        except InvalidTag:
            raise RemoteProtocolError('wrong-key', 'the peer cannot prove its key',
                                      party=pid) from None
        wanted = [k for k, s in self._led_by(pid) if self.pid in s]
        if len(keys) != _KEY * len(wanted):
            raise RemoteProtocolError('bad-keys', f'{len(keys)} bytes of keys', party=pid)
        self.pair_keys[pid] = key
        for j, k in enumerate(wanted):
            self.set_keys[k] = keys[_KEY * j:_KEY * (j + 1)]

    def frame_session(self, key: bytes) -> int:
        """The digest that every frame between two parties carries, fresh for each connection."""
        return int.from_bytes(derive(key, b'frames', self.session, length=8), 'little')

    def _led_by(self, pid):
        return [(k, s) for k, s in enumerate(self.geometry.sets) if s[0] == pid]


def _aead(key, sender):
    # The key is fresh and seals one message per direction, so the constant nonce is used once.
    return ChaCha20Poly1305(derive(key, b'seal', sender.to_bytes(2, 'little')))
