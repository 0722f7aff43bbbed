"""A hostile broker can delay and drop; everything else that it does to a message shows."""

import json
from typing import Any

import pytest
from fakes.consortium import CERTIFICATE, DIRECTORY, IDENTITIES, NOW, identity
from hypothesis import given
from hypothesis import strategies as st

from parties import canonical
from parties.envelope import MAX_BYTES, Envelope, open_envelope, seal
from parties.errors import LocalError, RemoteProtocolError
from parties.messages import read_body

APPROVAL = {"job_key": "ab" * 32, "certificate": CERTIFICATE, "host": "h", "port": 1}
JOB = {"job_id": "credit-0123456789abcdef", "manifest_sha256": "cd" * 32}


def sealed(**changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "recipient": "telecom",
        "sequence": 5,
        "kind": "progress",
        "body": {"step": "join", "state": "start"},
        "now": NOW,
        **JOB,
    }
    return seal(IDENTITIES["bank"], **{**fields, **changes})


def opened(data: bytes, recipient: str = "telecom", last: int = 4, now: float = NOW) -> Envelope:
    return open_envelope(
        data, recipient=recipient, directory=DIRECTORY, last_sequence={"bank": last}, now=now
    )


def refusal(data: bytes, **where: Any) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        opened(data, **where)
    assert caught.value.cause and caught.value.remedy
    return caught.value.code


def test_a_genuine_envelope_opens() -> None:
    envelope = opened(sealed())
    assert (envelope.sender, envelope.kind, envelope.sequence) == ("bank", "progress", 5)
    assert envelope.body == {"step": "join", "state": "start"}


def test_a_sender_may_be_new() -> None:
    data = sealed(sequence=1)
    arguments = {"recipient": "telecom", "directory": DIRECTORY, "now": NOW}
    assert open_envelope(data, last_sequence={}, **arguments).sequence == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sender", "fintech"),
        ("recipient", "government"),
        ("sequence", 6),
        ("id", "0" * 32),
        ("issued", NOW + 1),
        ("expires", NOW + 10_000),
        ("job_id", "credit-fedcba9876543210"),
        ("manifest_sha256", "ce" * 32),
        ("kind", "receipt"),
        ("body", {"step": "join", "state": "done"}),
    ],
)
def test_no_field_can_be_changed(field: str, value: object) -> None:
    content = json.loads(sealed())
    content[field] = value
    assert refusal(canonical.canonical(content)) == "bad_signature"


def test_a_stranger_cannot_speak_for_a_party() -> None:
    mallory = identity("bank")
    data = seal(mallory, recipient="telecom", sequence=5, kind="progress", body={}, now=NOW)
    assert refusal(data) == "bad_signature"
    unknown = seal(identity("eve"), recipient="telecom", sequence=5, kind="x", body={}, now=NOW)
    assert refusal(unknown) == "unknown_sender"


def test_a_message_counts_once_and_in_order() -> None:
    assert refusal(sealed(), last=5) == "replayed"
    assert refusal(sealed(), last=9) == "replayed"


def test_a_message_counts_only_where_it_was_addressed() -> None:
    assert refusal(sealed(), recipient="government") == "wrong_recipient"


def test_a_message_counts_for_its_lifetime() -> None:
    assert refusal(sealed(), now=NOW + 301) == "expired"
    assert refusal(sealed(), now=NOW - 61) == "not_yet_valid"
    assert opened(sealed(), now=NOW - 59)


def test_size_is_limited_on_both_sides() -> None:
    with pytest.raises(LocalError, match="message_too_large"):
        sealed(body={"text": "x" * MAX_BYTES})
    assert refusal(b"x" * (MAX_BYTES + 1)) == "too_large"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data + b" ",
        lambda data: data.replace(b'"sequence":5', b'"sequence":5.0'),
        lambda data: data.replace(b'"sequence":5', b'"sequence":4,"sequence":5'),
        lambda data: data.replace(b'"sequence":5', b'"sequence":NaN'),
        lambda data: data.replace(b'"sequence":5', b'"sequence":"5"'),
        lambda data: data.replace(b'"sequence":5,', b""),
        lambda data: data.replace(b'{"body"', b'{"admin":true,"body"'),
        lambda data: data.replace(b"sepc-envelope/1", b"sepc-envelope/2"),
        lambda data: data[:-10],
        lambda data: b"[" * 10_000 + b"]" * 10_000,
        lambda data: b"null",
        lambda data: b"\xff\xfe",
        lambda data: b"",
    ],
)
def test_what_is_not_an_envelope_is_malformed(spoil: Any) -> None:
    assert refusal(spoil(sealed())) == "malformed"


@given(st.binary(max_size=2_000))
def test_no_bytes_do_anything_but_be_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        opened(data)


@given(st.integers(min_value=0, max_value=10_000), st.integers(min_value=0, max_value=7))
def test_no_flipped_bit_goes_unnoticed(place: int, bit: int) -> None:
    data = bytearray(sealed())
    data[place % len(data)] ^= 1 << bit
    with pytest.raises(RemoteProtocolError):
        opened(bytes(data))


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "gossip"},
        {"kind": "progress", "body": {"step": "join"}},
        {"kind": "progress", "body": {"step": "join", "state": "start", "rows": [1, 2]}},
        {"kind": "approval", "body": {**APPROVAL, "job_key": "zz"}},
        {"kind": "approval", "body": {**APPROVAL, "port": "1"}},
        {"kind": "approval", "body": {**APPROVAL, "certificate": "AAAA"}},
        {"kind": "approval", "body": {**APPROVAL, "certificate": "no base64"}},
        {"kind": "approval", "body": {k: v for k, v in APPROVAL.items() if k != "certificate"}},
        {"kind": "presence", "body": {"state": "online", "session": "0" * 32}},
        {"job_id": None, "manifest_sha256": None},
    ],
)
def test_a_body_must_fit_its_kind(changes: dict[str, Any]) -> None:
    envelope = opened(sealed(**changes))
    with pytest.raises(RemoteProtocolError) as caught:
        read_body(envelope)
    assert caught.value.code == "bad_message"
    assert caught.value.party == "bank"
