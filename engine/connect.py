"""`connect`: a runtime for one party of a job, on connections to all the others."""

from engine import frames
from engine.errors import LocalProtocolError
from engine.handshake import Session
from engine.runtime import Runtime
from engine.shamir import Geometry


async def connect(*, pid: int, addresses, threshold: int | None = None,
                  job_key: bytes | None = None, peer_keys: list[bytes] | None = None,
                  session: bytes = bytes(32), program: bytes = bytes(32), deadline: float = 60.0,
                  idle_deadline: float = 120.0, frame_bytes: int = frames.MAX_PAYLOAD) -> Runtime:
    """A runtime connected with all parties of a job.

    `addresses` are (host, port) per party, `job_key` this party's raw X25519 private key and
    `peer_keys` the approved public keys of all parties; `session` is the manifest's hash. Larger
    arrays travel in frames of `frame_bytes`, the same number at all parties. Raises EngineError
    naming the party that could not be reached or does not match.
    """
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    m = len(addresses)
    geometry = Geometry(m, (m - 1) // 2 if threshold is None else threshold)
    if not 1024 <= frame_bytes <= frames.MAX_PAYLOAD:
        raise LocalProtocolError('bad-frame-size', f'frame_bytes = {frame_bytes}', remedy=
                                 f'give 1024 to {frames.MAX_PAYLOAD}, the same at all parties')
    rt = Runtime(pid, geometry, session=session, idle_deadline=idle_deadline)
    rt.frame_bytes = frame_bytes
    own = Session(pid, geometry, session, program, approved=peer_keys)
    if job_key is not None:
        own.private = X25519PrivateKey.from_private_bytes(job_key)
    await rt.open(own, addresses, deadline)
    return rt
