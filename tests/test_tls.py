"""Connections on an open network: certificates prove party numbers, at both ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from pathlib import Path

import numpy as np
import pytest
from engine_kit import free_addresses, secret
from tls_kit import SESSION, meet, pinned, sessions

from engine import frames, rendezvous
from engine.connect import connect
from engine.credentials import (
    Credentials,
    write_authority,
    write_pinned,
)
from engine.errors import EngineError, PeerLost
from engine.rendezvous import connect_all
from engine.transport import HELLO_BYTES

ROOT = Path(__file__).resolve().parents[1]


async def reached(address):
    """A bare connection to a listening port, as soon as there is one."""
    while True:
        try:
            return await asyncio.open_connection(*address)
        except OSError:
            await asyncio.sleep(0.01)


# --- who may connect ---

@pytest.mark.parametrize("kind", ["pinned", "authority", "folder"])
def test_parties_compute_over_tls(kind, tmp_path):
    if kind == "pinned":
        credentials = pinned(4)
    elif kind == "authority":
        write_authority(tmp_path, 4)
        credentials = [Credentials.authority(i, tmp_path) for i in range(4)]
    else:
        write_pinned(tmp_path, 4)
        credentials = [Credentials.folder(i, 4, tmp_path) for i in range(4)]

    async def party(pid, at):
        mpc = await connect(pid=pid, addresses=at, credentials=credentials[pid], deadline=20)
        async with mpc:
            # Longer than a frame, so that pieces, back-pressure and joins all happen.
            x = secret(mpc, np.arange(1.5e5), 1)
            small = await mpc.output(mpc.input(mpc.array([pid + 0.5])))
            assert all(link.number == peer for peer, link in mpc._links.items())
            return (await mpc.output(x * x))[-1], [float(v[0]) for v in small]

    async def main():
        at = free_addresses(4)
        return await asyncio.gather(*[party(i, at) for i in range(4)])

    for last, small in asyncio.run(main()):
        assert last == pytest.approx((1.5e5 - 1) ** 2)
        assert small == [0.5, 1.5, 2.5, 3.5]


def test_only_tls_1_3_and_only_with_certificates():
    """On streams; for links see test_tls_buffers.py."""
    for context in (lambda c: c.server, lambda c: c.client):
        made = context(pinned(2)[0])
        assert made.minimum_version == ssl.TLSVersion.TLSv1_3
        assert made.verify_mode == ssl.CERT_REQUIRED


def test_what_crosses_the_wire_is_encrypted():
    """A relay between the two parties sees neither a frame's header nor a key."""
    seen = bytearray()

    async def main():
        front, back = free_addresses(2)
        credentials, everyone = pinned(2), sessions(2, 0)

        async def relay(reader, writer):
            other_reader, other_writer = await reached(back)

            async def pass_on(source, target):
                while data := await source.read(65536):
                    seen.extend(data)
                    target.write(data)
                target.close()
            await asyncio.gather(pass_on(reader, other_writer), pass_on(other_reader, writer))

        async with await asyncio.start_server(relay, *front):
            links = await asyncio.gather(
                connect_all(everyone[0], [("127.0.0.1", 1), front], 20, credentials[0]),
                connect_all(everyone[1], [("127.0.0.1", 1), back], 20, credentials[1]))
            for some in links:
                for link in some.values():
                    link.close()
        return everyone

    everyone = asyncio.run(main())
    assert len(seen) > 500
    assert b"SEPC" not in seen and SESSION not in seen
    for party in everyone:
        for key in (*party.set_keys.values(), *party.pair_keys.values()):
            assert key not in seen


@pytest.mark.parametrize("kind", ["pinned", "authority"])
def test_a_party_cannot_pose_as_another(kind, tmp_path):
    """MPyC's hole: with its own valid certificate, party 2 says that it is party 0 or 1."""
    if kind == "pinned":
        credentials = pinned(3)
    else:
        write_authority(tmp_path, 3)
        credentials = [Credentials.authority(i, tmp_path) for i in range(3)]

    async def listening():
        """Party 1 listens, and party 2 dials it as party 0."""
        at = free_addresses(3)
        impostor = sessions()[0]
        return await asyncio.gather(
            connect_all(sessions()[1], at, 5, credentials[1]),
            connect_all(impostor, at, 5, credentials[2]), return_exceptions=True)

    victim, impostor = asyncio.run(listening())
    assert isinstance(victim, EngineError) and victim.party in (0, 2)
    assert isinstance(impostor, EngineError)

    async def dialling():
        """Party 0 dials party 1, and party 2 answers at its address."""
        at = free_addresses(3)
        return await asyncio.gather(
            connect_all(sessions()[0], at, 5, credentials[0]),
            connect_all(sessions()[1], at, 5, credentials[2]), return_exceptions=True)

    victim, impostor = asyncio.run(dialling())
    assert (victim.code, victim.party) == ("wrong-certificate", 2)
    assert "address of party 1 proves to be party 2" in victim.cause
    assert isinstance(impostor, EngineError)


@pytest.mark.parametrize("foreign", [0, 1])
def test_an_unknown_certificate_is_refused_at_either_end(foreign):
    async def main():
        credentials, other = pinned(2), pinned(2)
        credentials[foreign] = other[foreign]
        return await meet(credentials, deadline=5, everyone=sessions(2, 0))

    dialler, listener = asyncio.run(main())
    assert dialler.code == "wrong-certificate" and dialler.party == 1
    # Whoever failed to prove itself at the port could have been anybody.
    assert listener.code in ("connect-timeout", "certificate-refused")
    assert listener.remedy and dialler.remedy


def test_a_certificate_of_another_authority_is_refused(tmp_path):
    for name in ("a", "b"):
        write_authority(tmp_path / name, 2)

    async def main():
        return await meet([Credentials.authority(0, tmp_path / "a"),
                           Credentials.authority(1, tmp_path / "b")], deadline=5,
                          everyone=sessions(2, 0))

    dialler, listener = asyncio.run(main())
    assert (dialler.code, dialler.party) == ("wrong-certificate", 1)
    assert isinstance(listener, PeerLost) and "stranger was refused" in listener.cause


@pytest.mark.parametrize("plain", [0, 1])
def test_tls_and_bare_tcp_do_not_mix(plain):
    async def main():
        credentials = pinned(2)
        credentials[plain] = None
        return await meet(credentials, deadline=5, everyone=sessions(2, 0))

    for error in asyncio.run(main()):
        assert isinstance(error, EngineError) and error.remedy
        assert error.code in ("tls-failed", "bad-frame", "connect-timeout", "frame-too-long")


def test_a_proven_party_of_another_program_is_refused_at_once():
    """A stranger could claim that; here the certificate says that it is the party itself."""
    async def main():
        everyone = sessions(2, 0)
        everyone[0].program = b"x" * 32
        return await meet(pinned(2), deadline=100, everyone=everyone)

    first, second = asyncio.run(main())
    assert (first.code, first.party) == ("different-program", 1)
    assert (second.code, second.party) == ("different-program", 0)


# --- strangers ---

def test_strangers_hold_nothing_up(monkeypatch):
    """Silent ones, rubbish, half a handshake, far too many: the parties still find each other."""
    monkeypatch.setattr(rendezvous, "STRANGERS", 5)
    monkeypatch.setattr(rendezvous, "HELLO_SECONDS", 5.0)

    async def main():
        at, credentials, everyone = free_addresses(3), pinned(3), sessions()
        last = asyncio.ensure_future(connect_all(everyone[2], at, 30, credentials[2]))
        held = [await reached(at[2]) for _ in range(20)]
        for k, (_, writer) in enumerate(held):
            with contextlib.suppress(ConnectionError):
                writer.write([b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00",
                              b"SEPC" + bytes(100), os.urandom(20_000)][k % 5])
        others = [connect_all(s, at, 30, c)
                  for s, c in zip(everyone[:2], credentials[:2], strict=True)]
        links = await asyncio.gather(last, *others)
        found = [sorted(some) for some in links]
        for some in links:
            for link in some.values():
                link.close()
        # Nobody is left waiting at the port.
        for reader, writer in held:
            with contextlib.suppress(ConnectionError):
                while await reader.read(65536):
                    pass
            writer.close()
        return found

    assert asyncio.run(main()) == [[0, 1], [1, 2], [0, 2]]


def test_a_silent_stranger_is_dropped_after_its_deadline(monkeypatch):
    monkeypatch.setattr(rendezvous, "HELLO_SECONDS", 0.2)

    async def main():
        at, [_, credentials] = free_addresses(2), pinned(2)
        waiting = asyncio.ensure_future(connect_all(sessions(2, 0)[1], at, 30, credentials))
        reader, writer = await reached(at[1])
        assert await reader.read(1000) == b""
        writer.close()
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting

    asyncio.run(main())


def test_what_a_stranger_may_send_is_bounded():
    """Also inside of TLS: a proven certificate, then no hello but megabytes."""
    async def main():
        at, credentials = free_addresses(2), pinned(2)
        waiting = asyncio.ensure_future(connect_all(sessions(2, 0)[1], at, 5, credentials[1]))
        while not waiting.done():
            try:
                reader, writer = await asyncio.open_connection(
                    *at[1], ssl=credentials[0].client, server_hostname="")
                break
            except OSError:
                await asyncio.sleep(0.01)
        header = frames.header(frames.ARRAY, 0, 0, 0, frames.MAX_PAYLOAD)
        with contextlib.suppress(ConnectionError):
            writer.write(header + bytes(4 * HELLO_BYTES))
            while await reader.read(65536):
                pass
        writer.close()
        return (await asyncio.gather(waiting, return_exceptions=True))[0]

    error = asyncio.run(main())
    assert error.code in ("bad-hello", "connect-timeout") and error.party == 0


def test_a_connection_to_oneself_is_not_taken_for_a_peer():
    """The kernel may give a dialling socket the port that it dials."""
    async def main():
        loop = asyncio.get_running_loop()
        meeting = rendezvous.Rendezvous(sessions(2, 0)[0], free_addresses(2), None)
        link = rendezvous.TcpLink(meeting, 1)
        with socket.socket() as own:
            own.bind(("127.0.0.1", 0))
            own.connect(own.getsockname())
            own.setblocking(False)
            await loop.create_connection(lambda: link, sock=own)
            assert not meeting.links and "led back" in meeting._attempts[1]
            meeting._end(None, None)

    asyncio.run(main())
