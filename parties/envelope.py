"""The signed envelope around every message on the bus.

The broker is not trusted: it may delay a message or drop it, but it cannot forge, alter, replay,
reorder or redirect one without `open_envelope` noticing. For that the signature covers the
sender, the recipient, a sequence number that only ever grows per sender and recipient, the
expiry, the job and the hash of its manifest. No I/O here: what is remembered about a sender's
last sequence number is the caller's to store.
"""

import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from parties import canonical
from parties.errors import LocalError, RemoteProtocolError
from parties.identity import Directory, Identity
from parties.manifest import Hex32, JobId, PartyName, Strict, explain

MAX_BYTES = 64 * 1024
LIFETIME = 300
CLOCK_SKEW = 60
_PURPOSE = b"sepc/envelope/1"


class Envelope(Strict):
    """A message with everything that its signature binds it to. Times are Unix seconds."""

    format: Literal["sepc-envelope/1"]
    sender: PartyName
    recipient: Annotated[str, Field(min_length=1, max_length=255)]
    sequence: Annotated[int, Field(ge=1)]
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    issued: Annotated[int, Field(ge=0)]
    expires: Annotated[int, Field(ge=0)]
    job_id: JobId | None
    manifest_sha256: Hex32 | None
    kind: Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")]
    body: dict[str, Any]
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


def seal(
    identity: Identity,
    *,
    recipient: str,
    sequence: int,
    kind: str,
    body: dict[str, Any],
    now: float,
    job_id: str | None = None,
    manifest_sha256: str | None = None,
    lifetime: int = LIFETIME,
) -> bytes:
    """The bytes of a new signed envelope; LocalError if they would be too many."""
    content = {
        "format": "sepc-envelope/1",
        "sender": identity.name,
        "recipient": recipient,
        "sequence": sequence,
        "id": secrets.token_hex(16),
        "issued": int(now),
        "expires": int(now) + lifetime,
        "job_id": job_id,
        "manifest_sha256": manifest_sha256,
        "kind": kind,
        "body": body,
    }
    signature = identity.sign(_PURPOSE, canonical.canonical(content))
    data = canonical.canonical({**content, "signature": signature})
    if len(data) > MAX_BYTES:
        raise LocalError(
            "message_too_large",
            f"a {kind} message has {len(data)} bytes, at most {MAX_BYTES} may travel on the bus",
            "use fewer or shorter column names: the bus carries control messages, not data",
            party=identity.name,
        )
    return data


def open_envelope(
    data: bytes,
    *,
    recipient: str,
    directory: Directory,
    last_sequence: Mapping[str, int],
    now: float,
) -> Envelope:
    """The envelope in `data` if it is genuine, for `recipient`, fresh and new.

    `recipient` is where the message arrived, and `last_sequence` the highest sequence number
    accepted there so far per sender. Raises RemoteProtocolError with one of the codes too_large,
    malformed, unknown_sender, bad_signature, wrong_recipient, not_yet_valid, expired, replayed.
    """
    if len(data) > MAX_BYTES:
        raise _refused("too_large", f"{len(data)} bytes, at most {MAX_BYTES} are accepted")
    try:
        content = canonical.parse(data)
        envelope = Envelope.model_validate_json(data)
    except (ValidationError, ValueError) as exc:
        raise _refused("malformed", explain(exc)) from None
    sender = envelope.sender
    if sender not in directory:
        raise _refused("unknown_sender", "the sender is not in the directory of parties")
    signature = content.pop("signature")
    if not directory.verify(sender, _PURPOSE, canonical.canonical(content), signature):
        raise _refused("bad_signature", "the signature is not the sender's", sender)
    if envelope.recipient != recipient:
        raise _refused("wrong_recipient", "the message was addressed elsewhere", sender)
    if envelope.issued > now + CLOCK_SKEW:
        ahead = int(envelope.issued - now)
        raise _refused("not_yet_valid", f"issued {ahead} s in the future: compare clocks", sender)
    if envelope.expires < now:
        raise _refused("expired", f"expired {int(now - envelope.expires)} s ago", sender)
    last = last_sequence.get(sender, 0)
    if envelope.sequence <= last:
        raise _refused("replayed", f"sequence {envelope.sequence} after {last}", sender)
    return envelope


def _refused(code: str, cause: str, sender: str | None = None) -> RemoteProtocolError:
    return RemoteProtocolError(
        code,
        f"a bus message was refused: {cause}",
        "the message is dropped; if it recurs, check the sender and the broker",
        party=sender,
    )
