"""What two parties check before the first share moves, and what an eavesdropper sees of it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from engine_kit import free_addresses

from engine import frames, transport
from engine.connect import connect
from engine.errors import EngineError, LocalProtocolError, PeerLost, RemoteProtocolError
from engine.handshake import Session
from engine.rendezvous import connect_all
from engine.shamir import Geometry
from engine.transport import TcpLink

SESSION, PROGRAM = b"s" * 32, b"p" * 32


def sessions(m=4, t=1, **changes):
    g = Geometry(m, t)
    return [Session(i, g, SESSION, PROGRAM, **changes) for i in range(m)]


def shake(a, b):
    """Both sides of one handshake (a dials b); returns everything that crossed the wire."""
    hellos = a.hello(), b.hello()
    _, key, for_b = a.greet(hellos[1], b.pid, set())
    _, same, for_a = b.greet(hellos[0], None, set())
    assert key == same
    a.accept_keys(b.pid, key, for_a)
    b.accept_keys(a.pid, key, for_b)
    return b"".join([*hellos, for_a, for_b])


def public(session):
    return session.private.public_key().public_bytes_raw()


def test_everybody_ends_up_with_the_keys_of_its_sets():
    everyone = sessions(5, 2)
    for a, b in itertools.combinations(everyone, 2):
        shake(a, b)
    g = everyone[0].geometry
    for party in everyone:
        assert sorted(party.set_keys) == g.sets_of(party.pid)
        assert sorted(party.pair_keys) == [i for i in range(5) if i != party.pid]
    for k, members in enumerate(g.sets):
        assert len({everyone[i].set_keys[k] for i in members}) == 1
    assert len({key for p in everyone for key in p.set_keys.values()}) == len(g.sets)
    for a, b in itertools.combinations(everyone, 2):
        assert a.pair_keys[b.pid] == b.pair_keys[a.pid]


def test_no_key_crosses_the_wire_in_the_clear():
    everyone = sessions()
    wire = b"".join(shake(a, b) for a, b in itertools.combinations(everyone, 2))
    for party in everyone:
        for key in [*party.set_keys.values(), *party.pair_keys.values(),
                    party.private.private_bytes_raw()]:
            assert key not in wire
            # Nor a part of it, such as the 16 bytes that MPyC would send.
            assert key[:16] not in wire and key[16:] not in wire


def test_sessions_have_fresh_keys():
    first, second = sessions(), sessions()
    shake(first[0], first[1])
    shake(second[0], second[1])
    assert not set(first[0].set_keys.values()) & set(second[0].set_keys.values())
    assert first[0].pair_keys != second[0].pair_keys


@pytest.mark.parametrize("change, code", [
    ({"session": b"x" * 32}, "different-session"),
    ({"program": b"x" * 32}, "different-program"),
    ({"geometry": Geometry(4, 0)}, "different-setup"),
    ({"geometry": Geometry(5, 1)}, "different-setup"),
    ({"geometry": Geometry(4, 1, verified=True)}, "different-setup"),
])
def test_a_mismatch_is_refused_by_both_sides(change, code):
    values = {"pid": 1, "geometry": Geometry(4, 1), "session": SESSION, "program": PROGRAM}
    one, other = sessions()[0], Session(**{**values, **change})
    with pytest.raises(RemoteProtocolError) as caught:
        one.greet(other.hello(), 1, set())
    assert (caught.value.code, caught.value.party) == (code, 1) and caught.value.remedy
    with pytest.raises(RemoteProtocolError) as caught:
        other.greet(one.hello(), None, set())
    assert (caught.value.code, caught.value.party) == (code, 0)


@pytest.mark.parametrize("own, claims, expected, taken", [
    (0, 2, 1, set()),      # dialled party 1, party 2 answers
    (0, 0, 1, set()),      # connected to itself
    (2, 3, None, set()),   # a higher number must not dial in
    (2, 2, None, set()),   # its own number
    (2, 1, None, {1}),     # a second party 1
    (2, 900, None, set()),
])
def test_a_wrong_party_number_is_refused(own, claims, expected, taken):
    party = sessions()[own]
    hello = struct.pack("<H", claims) + sessions()[1].hello()[2:]
    with pytest.raises(RemoteProtocolError) as caught:
        party.greet(hello, expected, taken)
    assert caught.value.code == "wrong-party"


def test_an_unapproved_key_is_refused():
    everyone = sessions()
    approved = [public(s) for s in everyone]
    for party in everyone:
        party.approved = approved
    shake(everyone[0], everyone[1])
    stranger = Session(1, Geometry(4, 1), SESSION, PROGRAM)
    with pytest.raises(RemoteProtocolError) as caught:
        everyone[0].greet(stranger.hello(), 1, set())
    assert (caught.value.code, caught.value.party) == ("wrong-key", 1)


def test_an_approved_party_cannot_pose_as_another():
    everyone = sessions()
    for party in everyone:
        party.approved = [public(s) for s in everyone]
    everyone[2].pid = 1
    with pytest.raises(RemoteProtocolError) as caught:
        everyone[0].greet(everyone[2].hello(), 1, set())
    assert caught.value.code == "wrong-key"


def test_a_public_key_without_its_private_key_is_useless():
    """Somebody replays party 0's hello; without the key it can neither answer nor read."""
    everyone = sessions()
    thief = Session(0, Geometry(4, 1), SESSION, PROGRAM)
    _, key, _ = everyone[1].greet(everyone[0].hello(), None, set())
    _, _, sealed = thief.greet(everyone[1].hello(), 1, set())
    with pytest.raises(RemoteProtocolError) as caught:
        everyone[1].accept_keys(0, key, sealed)
    assert (caught.value.code, caught.value.party) == ("wrong-key", 0)


def test_an_answer_cannot_be_reflected():
    a, b = sessions()[:2]
    a.greet(b.hello(), 1, set())
    _, key, sealed_by_b = b.greet(a.hello(), None, set())
    with pytest.raises(RemoteProtocolError):
        b.accept_keys(0, key, sealed_by_b)


def test_a_recorded_connection_cannot_be_replayed():
    """The same job keys in a second run: fresh pairwise keys, and old messages open nothing."""
    keys = [X25519PrivateKey.generate() for _ in range(4)]

    def run():
        everyone = sessions()
        for party, key in zip(everyone, keys, strict=True):
            party.private = key
        return everyone

    a, b = run()[:2]
    recorded = a.hello()
    _, old, sealed = a.greet(b.hello(), 1, set())
    again = run()[1]
    _, key, _ = again.greet(recorded, None, set())
    assert key != old
    with pytest.raises(RemoteProtocolError) as caught:
        again.accept_keys(0, key, sealed)
    assert caught.value.code == "wrong-key"


def test_low_order_public_keys_are_refused():
    """A key that makes the shared secret zero must not pass as an agreement."""
    party = sessions()[1]
    hello = sessions()[0].hello()[:-64] + bytes(64)
    with pytest.raises(RemoteProtocolError) as caught:
        party.greet(hello, None, set())
    assert caught.value.code == "wrong-key"


@pytest.mark.parametrize("length", [0, 1, 135, 137])
def test_hellos_of_another_length_are_refused(length):
    party = sessions()[1]
    with pytest.raises(RemoteProtocolError) as caught:
        party.greet(bytes(length), None, set())
    assert caught.value.code == "bad-hello"


def test_damaged_keys_are_refused():
    a, b = sessions()[:2]
    _, key, _ = b.greet(a.hello(), None, set())
    _, _, sealed = a.greet(b.hello(), 1, set())
    for damaged in (sealed[:-1], bytes([sealed[0] ^ 1]) + sealed[1:], b""):
        with pytest.raises(RemoteProtocolError) as caught:
            b.accept_keys(0, key, damaged)
        assert caught.value.code == "wrong-key" and 0 not in b.pair_keys


@pytest.mark.parametrize("session, program", [(b"short", PROGRAM), (SESSION, b"")])
def test_hashes_have_32_bytes(session, program):
    with pytest.raises(LocalProtocolError):
        Session(0, Geometry(3, 1), session, program)


# --- over TCP ---

async def join_all(everyone, at, deadline=20.0):
    return await asyncio.gather(*[connect_all(s, at, deadline) for s in everyone],
                                return_exceptions=True)


def test_parties_connect_in_any_order_over_one_port_each():
    async def main():
        at = free_addresses(4)
        keys = [X25519PrivateKey.generate() for _ in range(4)]

        async def party(pid):
            return await connect(pid=pid, addresses=at, job_key=keys[pid].private_bytes_raw(),
                                 peer_keys=[k.public_key().public_bytes_raw() for k in keys],
                                 session=SESSION, deadline=20, plain=True)
        runtimes = await asyncio.gather(*[party(i) for i in (2, 0, 3, 1)])

        async def program(rt):
            x = rt.input(rt.array([rt.pid * 1.5]))
            result = await rt.output(sum(x[1:], x[0]))
            await rt.shutdown()
            return result.tolist()
        assert await asyncio.gather(*map(program, runtimes)) == [[9.0]] * 4

    asyncio.run(main())


def test_a_missing_party_is_named_when_the_deadline_passes():
    """Also by the party that still had time to wait: the other one tells it."""
    async def main():
        at, everyone = free_addresses(3), sessions(3, 1)
        return await asyncio.gather(connect_all(everyone[0], at, 4),
                                    connect_all(everyone[1], at, 20), return_exceptions=True)

    for error in asyncio.run(main()):
        assert isinstance(error, PeerLost)
        assert (error.code, error.party) == ("connect-timeout", 2)
        assert "[2]" in error.cause and error.remedy


@pytest.mark.parametrize("authenticated", [False, True])
def test_both_sides_report_a_mismatch(authenticated):
    """Without approved keys at once; with them a stranger could pretend, so after the deadline."""
    async def main():
        one, other = sessions(2, 0)
        if authenticated:
            one.approved = other.approved = [public(one), public(other)]
        other.program = b"x" * 32
        deadline = 4 if authenticated else 20
        return await join_all([one, other], free_addresses(2), deadline)

    first, second = asyncio.run(main())
    assert isinstance(first, EngineError) and isinstance(second, EngineError)
    assert (first.code, first.party) == ("different-program", 1)
    assert (second.code, second.party) == ("different-program", 0)


def test_strangers_at_the_port_do_not_stop_the_parties():
    async def main():
        at = free_addresses(3)
        everyone = sessions(3, 1)
        for party in everyone:
            party.approved = [public(s) for s in everyone]

        async def stranger(data):
            while True:
                try:
                    reader, writer = await asyncio.open_connection(*at[2])
                    break
                except OSError:
                    await asyncio.sleep(0.01)
            writer.write(data)
            with contextlib.suppress(ConnectionError):
                while await reader.read(1000):
                    pass
            writer.close()

        last = asyncio.ensure_future(connect_all(everyone[2], at, 20))
        await stranger(b"GET / HTTP/1.1\r\n\r\n" + bytes(100))
        await stranger(frames.header(frames.HELLO, 0, 0, 0, 400_000))
        intruder = Session(0, Geometry(3, 1), b"x" * 32, PROGRAM)
        hello = intruder.hello()
        await stranger(frames.header(frames.HELLO, 0, 0, 0, len(hello)) + hello)
        # Knows all that is public, and replays party 1's hello without its key.
        hello = everyone[1].hello()
        await stranger(frames.header(frames.HELLO, 0, 0, 0, len(hello)) + hello
                       + frames.header(frames.KEYS, 0, 0, 0, 48) + bytes(48))
        links = await asyncio.gather(last, *[connect_all(s, at, 20) for s in everyone[:2]])
        for some in links:
            for link in some.values():
                link.close()
        return [sorted(some) for some in links]

    assert asyncio.run(main()) == [[0, 1], [1, 2], [0, 2]]


def test_a_party_lost_while_others_still_connect_is_named():
    """Party 1 vanishes after its handshake, while party 0 waits for party 2."""
    async def main():
        at = free_addresses(3)
        everyone = sessions(3, 1)
        first = asyncio.ensure_future(connect_all(everyone[0], at, 5))
        second = asyncio.ensure_future(connect_all(everyone[1], at, 5))
        while 0 not in everyone[1].pair_keys or 1 not in everyone[0].pair_keys:
            await asyncio.sleep(0)
        second.cancel()
        return await asyncio.gather(first, second, return_exceptions=True)

    error, _ = asyncio.run(main())
    assert isinstance(error, PeerLost) and error.party == 1 and error.code == "peer-lost"


def test_a_port_in_use_is_said_so():
    async def main():
        with socket.create_server(("127.0.0.1", 0)) as holder:
            at = [("127.0.0.1", 1), holder.getsockname()]
            return await join_all([sessions(2, 0)[1]], at, deadline=2)

    [error] = asyncio.run(main())
    assert (error.code, error.party) == ("port-in-use", 1)


def test_a_link_that_has_ended_still_takes_what_its_peer_sends(monkeypatch):
    """Or the peer's own sending would fail before it has read why."""
    # However long a busy machine takes for it.
    monkeypatch.setattr(transport, "_LINGER", 60.0)

    class Waiting:
        credentials, taken, session = None, set(), sessions()[0]

        def arrived(self, link):
            self.link = link

        def ready(self, link, error):
            self.error = error

    async def run():
        meeting = Waiting()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: TcpLink(meeting), "127.0.0.1", 0)
        peer = socket.create_connection(server.sockets[0].getsockname())
        peer.settimeout(60)

        def talk():
            while peer.recv(1 << 16):
                pass
            for _ in range(64):
                peer.sendall(bytes(1 << 16))
            peer.shutdown(socket.SHUT_WR)

        talking = loop.run_in_executor(None, talk)
        async with asyncio.timeout(60), server:
            while not hasattr(meeting, "link"):
                await asyncio.sleep(0)
            meeting.link.send(frames.ABORT, 0, 0, 0, b"why")
            meeting.link.close()
            assert meeting.link.lingers
            await talking
            while meeting.link.lingers:
                await asyncio.sleep(0)
        peer.close()

    asyncio.run(run())
