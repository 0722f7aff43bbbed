"""`connect`: a runtime for one party of a job, on connections to all the others."""

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from engine import frames
from engine.credentials import Credentials
from engine.errors import LocalProtocolError
from engine.handshake import Session
from engine.rendezvous import is_loopback
from engine.runtime import Runtime
from engine.shamir import Geometry, largest_threshold


async def connect(*, pid: int, addresses, credentials: Credentials | None = None,
                  plain: bool = False, threshold: int | None = None, verified: bool = False,
                  job_key: bytes | None = None, peer_keys: list[bytes] | None = None,
                  session: bytes = bytes(32), program: bytes = bytes(32), deadline: float = 60.0,
                  idle_deadline: float = 120.0, job_deadline: float | None = None,
                  frame_bytes: int = frames.MAX_PAYLOAD,
                  check_inputs: int | None = None) -> Runtime:
    """A runtime connected with all parties of a job.

    `addresses` are (host, port) per party, `credentials` the certificates that prove who is who;
    `plain` gives up TLS, on loopback only. `verified` is verified mode (`engine.verified`), at all
    parties or none. `job_key` is this party's raw X25519 private key and `peer_keys` the approved
    public keys of all parties; `session` is the manifest's hash. The deadlines (seconds) are those
    of connecting, of every wait for a frame, and of the whole job from now on. Larger arrays travel
    in frames of `frame_bytes`, the same number at all parties. With `check_inputs` every input that
    states no bound of its own must be below 2^check_inputs units in magnitude (`Runtime.input`).
    Raises EngineError naming the party that could not be reached or does not match.
    """
    m = len(addresses)
    threshold = largest_threshold(m, verified) if threshold is None else threshold
    geometry = Geometry(m, threshold, verified)
    if not 1024 <= frame_bytes <= frames.MAX_PAYLOAD:
        raise LocalProtocolError('bad-frame-size', f'frame_bytes = {frame_bytes}', remedy=
                                 f'give 1024 to {frames.MAX_PAYLOAD}, the same at all parties')
    check_protection(addresses, credentials, plain)
    rt = Runtime(pid, geometry, session=session, idle_deadline=idle_deadline)
    rt.frame_bytes, rt.check_inputs = frame_bytes, check_inputs
    own = Session(pid, geometry, session, program, approved=peer_keys)
    if job_key is not None:
        own.private = X25519PrivateKey.from_private_bytes(job_key)
    await rt.open(own, addresses, deadline, credentials, job_deadline=job_deadline)
    return rt


def check_protection(addresses, credentials: Credentials | None, plain: bool) -> None:
    """Refuse connections that prove nothing, or are bare, anywhere but on this machine.

    Raises LocalProtocolError `no-credentials`, `plain-not-loopback` or `unproven-not-loopback`.
    """
    if len(addresses) == 1:
        return
    if credentials is None and not plain:
        raise LocalProtocolError(
            'no-credentials', 'the connections have no certificates', remedy='give credentials '
            '(engine.credentials), or plain=True if all parties are on this machine')
    if credentials is not None and (plain or credentials.proves):
        if plain:
            raise LocalProtocolError('plain-and-tls', 'plain connections have no certificates',
                                     remedy='give either credentials or plain')
        return
    outside = [host for host, _ in addresses if not is_loopback(host)]
    if outside:
        kind = 'plain' if plain else 'unproven'
        what = 'bare' if plain else 'proven by no certificate'
        raise LocalProtocolError(
            f'{kind}-not-loopback', f'connections with {outside[0]} would be {what}',
            remedy='give every party a certificate (python -m engine.credentials) and use --ssl')
