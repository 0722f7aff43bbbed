"""TLS on memory buffers: any bytes arrive as they were sent, or the connection ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from tls_kit import pinned

from engine.credentials import Credentials
from engine.errors import EngineError
from engine.tls import Tls

CREDENTIALS = pinned(2)


def shake(one: Tls, other: Tls, turns: int = 4) -> None:
    """Pass the handshake's messages to and fro."""
    one.handshake()
    for _ in range(turns):
        for source, target in ((one, other), (other, one)):
            if message := source.pending():
                target.feed(memoryview(message))
                if not target.open:
                    target.handshake()


def pair(credentials=CREDENTIALS) -> tuple[Tls, Tls]:
    """Two ends that have met: the one that dialled, and the one that listened."""
    ends = Tls(credentials[0].context, False), Tls(credentials[1].context, True)
    shake(*ends)
    assert ends[0].open and ends[1].open
    return ends


ENDS = pair()


@settings(max_examples=60)
@given(st.lists(st.integers(1, 70_000), min_size=1, max_size=4),
       st.lists(st.integers(1, 40_000), min_size=1, max_size=9), st.booleans())
def test_any_split_of_the_records_gives_the_data(sizes, cuts, back):
    source, target = ENDS[::-1] if back else ENDS
    data = [np.random.default_rng(size).bytes(size) for size in sizes]
    wire = b"".join(bytes(source.encrypt(memoryview(part))) for part in data)
    memory, got = bytearray(sum(sizes)), 0
    for k in range(len(wire)):
        if not wire:
            break
        size = cuts[k % len(cuts)]
        target.feed(memoryview(wire[:size]))
        wire = wire[size:]
        got += target.read_into(memoryview(memory)[got:])
    assert got == sum(sizes) and memory == b"".join(data)
    assert target.read_into(memoryview(bytearray(10))) == 0


def test_the_memory_is_not_exceeded():
    source, target = ENDS
    target.feed(source.encrypt(b"x" * 20_000))
    memory = bytearray(b"-" * 100)
    assert target.read_into(memoryview(memory)[10:20]) == 10
    assert memory == b"-" * 10 + b"x" * 10 + b"-" * 80
    assert target.read_into(memoryview(bytearray(30_000))) == 19_990
    with pytest.raises((BufferError, TypeError)):
        target.read_into(memoryview(bytes(10)))


@pytest.mark.parametrize("place", [0, 3, 5, 30, -1])
def test_a_changed_byte_ends_the_connection(place):
    source, target = pair()
    wire = bytearray(source.encrypt(b"secret" * 100))
    wire[place] ^= 1
    with pytest.raises(EngineError) as caught:
        target.feed(memoryview(wire))
        # A longer record that never comes is not read either.
        assert target.read_into(memoryview(bytearray(1000))) == 0
        target.feed(memoryview(bytes(1 << 15)))
        target.read_into(memoryview(bytearray(1000)))
    assert caught.value.code == "tls-failed"


def test_a_record_that_comes_twice_ends_the_connection():
    source, target = pair()
    wire = bytes(source.encrypt(b"once"))
    target.feed(memoryview(wire + wire))
    memory = bytearray(100)
    with pytest.raises(EngineError, match=r"no TLS 1\.3") as caught:
        target.read_into(memoryview(memory))
    assert caught.value.code == "tls-failed"


def test_a_peer_that_ends_tls():
    source, target = pair()
    source._connection.shutdown()
    target.feed(memoryview(source.pending()))
    with pytest.raises(EngineError, match="has ended TLS"):
        target.read_into(memoryview(bytearray(10)))


@pytest.mark.parametrize("old_one_listens", [False, True])
def test_no_older_version(old_one_listens):
    credentials = pinned(2)
    old = SSL.Context(SSL.TLS_METHOD)
    old.set_max_proto_version(SSL.TLS1_2_VERSION)
    contexts = [old, credentials[1].context]
    ends = [Tls(contexts[old_one_listens], False), Tls(contexts[not old_one_listens], True)]
    with pytest.raises(EngineError) as caught:
        shake(*ends)
    assert caught.value.code in ("tls-failed", "certificate-refused")
    assert not ends[0].open and not ends[1].open


@pytest.mark.parametrize("stranger_listens", [False, True])
@pytest.mark.parametrize("stranger", [lambda: pinned(2)[0], Credentials.unproven])
def test_strangers_are_refused(stranger, stranger_listens):
    contexts = [stranger().context, CREDENTIALS[1].context]
    ends = [Tls(contexts[stranger_listens], False), Tls(contexts[not stranger_listens], True)]
    with pytest.raises(EngineError) as caught:
        shake(*ends)
    assert caught.value.code == "wrong-certificate"
    assert not ends[not stranger_listens].open, "the end that knows whom to trust"


def test_no_certificate():
    """Nor does a dialling side without one get in."""
    bare = SSL.Context(SSL.TLS_METHOD)
    ends = Tls(bare, False), Tls(CREDENTIALS[1].context, True)
    with pytest.raises(EngineError, match="shows no certificate"):
        shake(*ends)
    assert not ends[1].open


def test_each_sees_the_certificate_of_the_other():
    one, other = pair()
    assert CREDENTIALS[0].party_of(one.certificate) == 1
    assert CREDENTIALS[1].party_of(other.certificate) == 0
