"""Parties that do not compute: who gets what from their desk, and what hostile ends come to."""

import asyncio
import base64
import secrets
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.credentials import job_key, self_signed
from parties.lifeline import ReservedPort
from parties.stats.inside import joined, split
from parties.stats.link import KEY_BYTES, Absent, Desk, Dial
from parties.worker import Outside

HOST = "127.0.0.1"
LIMIT = 5000


class End:
    """A party's job key and certificate."""

    def __init__(self) -> None:
        self.key = X25519PrivateKey.generate().private_bytes_raw()
        self.certificate = self_signed(job_key(self.key))

    @property
    def dial(self) -> Dial:
        return Dial(self.key, self.certificate)


COMPUTE = {f"c{i}": End() for i in range(3)}
BANK, HOLDER, STRANGER = End(), End(), End()


def desk_of(end: End = HOLDER, outside: tuple[End, ...] = (BANK,)) -> tuple[Desk, Outside]:
    """A desk with a message for each compute party, and how to reach it."""
    desk = Desk(
        end.certificate,
        end.key,
        {name: c.certificate for name, c in COMPUTE.items()},
        {f"o{i}": o.certificate for i, o in enumerate(outside)},
        LIMIT,
    )
    desk.messages = {name: name.encode() * 100 for name in COMPUTE}
    desk.ready.set()
    port = ReservedPort(HOST)
    port.lend()
    text = base64.b64encode(end.certificate).decode()
    return desk, Outside(name="holder", host=HOST, port=port.port, certificate=text)


def absent(work) -> None:
    """What is asked for does not come."""

    async def refused() -> None:
        with pytest.raises(Absent):
            await work()

    return refused()


def test_everybody_gets_their_own_and_results_come_back() -> None:
    async def run() -> None:
        desk, peer = desk_of()
        desk.key = secrets.token_bytes(KEY_BYTES)
        async with desk.open(HOST, peer.port):
            for name, end in COMPUTE.items():
                assert await end.dial.fetch(peer, LIMIT, 20) == name.encode() * 100
                await absent(lambda end=end: end.dial.fetch(peer, 199, 20))
                await absent(lambda end=end: end.dial.fetch_key(peer, 0.5))
            assert await BANK.dial.fetch_key(peer, 20) == desk.key
            await absent(lambda: BANK.dial.fetch(peer, LIMIT, 0.5))
            await absent(lambda: STRANGER.dial.fetch(peer, LIMIT, 0.5))
            assert not desk.all_results.is_set()
            for name, end in COMPUTE.items():
                await end.dial.deliver(peer, name.encode(), 20)
                await end.dial.deliver(peer, b"a second one does not count", 20)
                await absent(lambda end=end: end.dial.deliver(peer, bytes(LIMIT + 1), 0.5))
            assert desk.all_results.is_set()
            assert desk.results == {name: name.encode() for name in COMPUTE}
            await absent(lambda: BANK.dial.deliver(peer, b"not a compute party", 0.5))

    asyncio.run(run())


def test_who_listens_there_must_be_who_the_approval_names() -> None:
    async def run() -> None:
        desk, peer = desk_of()
        other = base64.b64encode(STRANGER.certificate).decode()
        async with desk.open(HOST, peer.port):
            wrong = peer.model_copy(update={"certificate": other})
            await absent(lambda: COMPUTE["c0"].dial.fetch(wrong, LIMIT, 0.5))
            # Whoever brings the certificate of another is not served, and harms nobody else.
            mine = base64.b64encode(COMPUTE["c0"].certificate).decode()
            copied = peer.model_copy(update={"certificate": mine})
            await absent(lambda: COMPUTE["c0"].dial.fetch(copied, LIMIT, 5))
        await absent(lambda: COMPUTE["c0"].dial.fetch(peer, LIMIT, 0.5))  # nobody listens

    asyncio.run(run())


def test_a_bank_with_a_certificate_of_a_compute_party_is_not_that_party() -> None:
    async def run() -> None:
        desk, peer = desk_of(outside=(COMPUTE["c1"], HOLDER))
        async with desk.open(HOST, peer.port):
            assert await COMPUTE["c1"].dial.fetch(peer, LIMIT, 20) == b"c1" * 100

    asyncio.run(run())


@pytest.mark.parametrize("answer", [
    b"", b"\x01", struct.pack("<Q", 1 << 60), struct.pack("<Q", 10) + b"short",
])
def test_lengths_are_not_trusted_and_no_wait_is_endless(answer: bytes) -> None:
    """A bank that answers something else, or begins and then says nothing more."""

    async def run() -> None:
        desk, peer = desk_of(BANK)
        parked = asyncio.Event()

        async def hostile(reader, writer) -> None:
            writer.write(answer)
            await parked.wait()
            writer.close()

        server = await asyncio.start_server(hostile, HOST, peer.port, ssl=desk._ends.server)
        await absent(lambda: COMPUTE["c2"].dial.fetch(peer, LIMIT, 0.5))
        parked.set()
        server.close()

    asyncio.run(run())


@settings(max_examples=200)
@given(st.binary(max_size=60), st.lists(st.binary(max_size=9), max_size=4))
def test_messages_of_parts(anything: bytes, parts: list[bytes]) -> None:
    names = [f"part {k}" for k in range(len(parts))]
    whole = joined(parts)
    assert split(whole, names) == dict(zip(names, parts, strict=True))
    for message in (anything, whole[:-1] if whole else b"", whole + anything):
        found = split(message, names)
        assert list(found) == names
        assert sum(map(len, found.values())) <= len(message)
