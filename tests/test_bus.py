"""The real embedded broker on loopback, its guests, and what becomes of hostile messages."""

import asyncio
import contextlib
import json
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from fakes.consortium import DIRECTORY, IDENTITIES, NAMES, identity
from fakes.runs import ROOT

from parties.broker import broker
from parties.broker_config import BrokerConfig, password_digest, read_config
from parties.bus import Address, Announcement, Bus
from parties.envelope import seal
from parties.errors import LocalError, RemoteProtocolError
from parties.identity import Identity
from parties.inbox import Inbox, Letter
from parties.lifeline import ReservedPort
from parties.messages import PRESENCE, Presence, inbox_topic, presence_topic, subscriptions
from parties.presence import Roster
from parties.store import Store

PASSWORDS = {name: secrets.token_hex(32) for name in NAMES}


@contextlib.asynccontextmanager
async def running_broker() -> AsyncIterator[Callable[[str], Address]]:
    """A broker for the four parties; yields a party's address on it."""
    reserved = ReservedPort("127.0.0.1")
    reserved.lend()
    users = {name: password_digest(password) for name, password in PASSWORDS.items()}
    server = broker(BrokerConfig(host="127.0.0.1", port=reserved.port, users=users))
    await server.start()
    try:
        yield lambda name: Address("127.0.0.1", reserved.port, name, PASSWORDS.get(name, ""))
    finally:
        await server.shutdown()
        reserved.close()


class Guest:
    """A connected party that keeps what it hears."""

    def __init__(self, address: Address, deadline: float = 10.0) -> None:
        self.name = address.username
        self.bus = Bus(address, subscriptions(self.name), deadline)
        self.heard: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    async def hear(self, topic: str, payload: bytes) -> None:
        self.heard.put_nowait((topic, payload))

    async def next(self, topic: str) -> bytes:
        """The next message on `topic`."""
        while True:
            heard, payload = await self.heard.get()
            if heard == topic:
                return payload


@contextlib.asynccontextmanager
async def guest(address: Address, presence: bool = False) -> AsyncIterator[Guest]:
    """A guest that is connected and subscribed."""
    who = Guest(address)

    def announce() -> Announcement:
        return Announcement(presence_topic(who.name), b"born", b"gone")

    task = asyncio.create_task(who.bus.run(who.hear, announce if presence else None))
    try:
        await who.bus.wait_connected()
        yield who
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):
            await scene()

    asyncio.run(limited())


def test_messages_arrive_once_and_in_order() -> None:
    async def scene() -> None:
        async with (
            running_broker() as at,
            guest(at("bank")) as bank,
            guest(at("telecom")) as telecom,
        ):
            topic = inbox_topic("telecom", "bank")
            sent = [str(number).encode() for number in range(200)]
            await asyncio.gather(*(bank.bus.publish(topic, payload) for payload in sent))
            assert [await telecom.next(topic) for _ in sent] == sent

    play(scene)


@pytest.mark.parametrize(
    ("username", "password"),
    [("bank", "wrong"), ("bank", ""), ("eve", PASSWORDS["bank"]), ("", "")],
    ids=["wrong", "empty", "of another", "none"],
)
def test_wrong_credentials_are_refused_at_once(username: str, password: str) -> None:
    async def scene() -> None:
        async with running_broker() as at:
            address = replace(at("bank"), username=username, password=password)
            stranger = Guest(address)
            with pytest.raises(LocalError) as caught:
                await stranger.bus.run(stranger.hear)
            assert caught.value.code == "bus_refused"
            assert not password or password not in str(caught.value)

    play(scene)


def test_anonymous_clients_are_refused() -> None:
    async def scene() -> None:
        async with running_broker() as at:
            address = at("bank")
            with pytest.raises(aiomqtt.MqttError, match=r"(?i)not authori"):
                async with aiomqtt.Client(address.host, address.port):
                    pass

    play(scene)


def test_a_party_cannot_take_another_s_client_identifier() -> None:
    async def scene() -> None:
        async with running_broker() as at:
            address = at("bank")
            client = aiomqtt.Client(
                address.host,
                address.port,
                username="bank",
                password=address.password,
                identifier="telecom-1",
            )
            with pytest.raises(aiomqtt.MqttError, match=r"(?i)not authori"):
                async with client:
                    pass

    play(scene)


@pytest.mark.parametrize("wanted", ["#", "sepc/v1/#", "sepc/v1/inbox/#", "sepc/v1/inbox/+/+"])
def test_a_party_cannot_read_another_s_messages(wanted: str) -> None:
    async def scene() -> None:
        async with running_broker() as at:
            curious = Bus(at("bank"), (wanted,))
            with pytest.raises(LocalError) as caught:
                await curious.run(Guest(at("bank")).hear)
            assert caught.value.code == "bus_forbidden"

    play(scene)


def test_a_party_cannot_write_in_another_s_name() -> None:
    async def scene() -> None:
        async with (
            running_broker() as at,
            guest(at("bank")) as bank,
            guest(at("telecom")) as telecom,
        ):
            await bank.bus.publish(inbox_topic("telecom", "fintech"), b"forged")
            await bank.bus.publish(presence_topic("fintech"), b"forged", retain=True)
            await bank.bus.publish("sepc/v1/elsewhere/bank", b"forged")
            await bank.bus.publish(inbox_topic("telecom", "bank"), b"own")
            assert await telecom.heard.get() == (inbox_topic("telecom", "bank"), b"own")

    play(scene)


def test_a_last_will_tells_of_a_client_that_vanished() -> None:
    async def scene() -> None:
        async with (
            running_broker() as at,
            guest(at("telecom")) as telecom,
            guest(at("bank"), presence=True) as bank,
        ):
            assert await telecom.next(presence_topic("bank")) == b"born"
            assert bank.bus._client is not None
            bank.bus._client._client._sock.shutdown(2)  # the connection breaks
            assert await telecom.next(presence_topic("bank")) == b"gone"
            # The bus connects again by itself, and what it publishes then arrives.
            assert await telecom.next(presence_topic("bank")) == b"born"
            await bank.bus.publish(inbox_topic("telecom", "bank"), b"still here")
            assert await telecom.next(inbox_topic("telecom", "bank")) == b"still here"
            await bank.bus.leave(presence_topic("bank"), lambda: b"left")
            assert await telecom.next(presence_topic("bank")) == b"left"

    play(scene)


def test_a_broker_that_stays_away_ends_the_bus() -> None:
    async def scene() -> None:
        reserved = ReservedPort("127.0.0.1")
        reserved.close()
        address = Address("127.0.0.1", reserved.port, "bank", "x")
        lonely = Guest(address, deadline=0.3)
        with pytest.raises(LocalError) as caught:
            await lonely.bus.run(lonely.hear)
        assert caught.value.code == "bus_lost"
        with pytest.raises(LocalError):
            await lonely.bus.publish("sepc/v1/inbox/x/bank", b"")

    play(scene)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.1", "::", "localhost"])
def test_the_embedded_broker_listens_on_loopback_only(tmp_path: Path, host: str) -> None:
    path = tmp_path / "broker.json"
    path.write_text(json.dumps({"host": host, "port": 20_000, "users": {"bank": "x"}}))
    with pytest.raises(LocalError, match="loopback"):
        read_config(path)


def test_the_broker_process_says_why_it_cannot_serve(tmp_path: Path) -> None:
    path = tmp_path / "broker.json"
    path.write_text(json.dumps({"host": "127.0.0.1", "port": 20_000, "users": {}}))
    command = [sys.executable, "-m", "parties.broker", "--config", str(path)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert done.returncode == 1
    assert json.loads(done.stderr.splitlines()[-1])["error"]["code"] == "broker_config"
    assert done.stdout == ""


class Desk:
    """Telecom's inbox behind a broker that delivers what it likes."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "node.db")
        self.lost: list[str] = []
        self.refused: list[RemoteProtocolError] = []
        self.roster = Roster(0.0, lambda party, cause: self.lost.append(party))
        self.open()

    def open(self) -> None:
        self.inbox = Inbox("telecom", DIRECTORY, self.store, self.roster, self.refused.append)

    def deliver(self, payload: bytes, sender: str = "bank") -> Letter | None:
        return self.inbox.receive(inbox_topic("telecom", sender), payload)

    def codes(self) -> list[str]:
        return [error.code for error in self.refused]


def letter(sequence: int, who: Identity = IDENTITIES["bank"], **changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "recipient": "telecom",
        "sequence": sequence,
        "kind": "progress",
        "body": {"step": "join", "state": "start"},
        "now": time.time(),
        "job_id": "credit-0123456789abcdef",
        "manifest_sha256": "cd" * 32,
    }
    return seal(who, **{**fields, **changes})


def test_redelivery_is_silent_and_replay_is_recorded(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    first, second = letter(1), letter(2)
    assert desk.deliver(first) and desk.deliver(second)
    assert desk.deliver(first) is None
    assert desk.deliver(second) is None
    assert desk.codes() == []
    assert desk.deliver(letter(2)) is None  # another message under a used number
    assert desk.codes() == ["replayed"]
    desk.store.close()


def test_a_restart_forgets_no_replay(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.deliver(letter(5))
    desk.store.close()
    again = Desk(tmp_path)
    assert again.deliver(letter(4)) is None
    assert again.codes() == ["replayed"]
    again.store.close()


def test_forged_redirected_and_stale_messages_are_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    mallory = identity("bank")
    hostile = [
        letter(1, mallory),
        letter(1, identity("eve")),
        letter(1, recipient="fintech"),
        letter(1, now=time.time() - 4000),
        letter(1, now=time.time() + 4000),
        letter(1, kind="presence", job_id=None, manifest_sha256=None),
        letter(1, body={"step": "join", "state": "start", "rows": 1}),
        b"noise",
    ]
    assert [desk.deliver(payload) for payload in hostile] == [None] * len(hostile)
    assert desk.codes() == [
        "bad_signature",
        "unknown_sender",
        "wrong_recipient",
        "expired",
        "not_yet_valid",
        "bad_message",
        "bad_message",
        "malformed",
    ]
    assert desk.store.last_sequences() == {}
    assert desk.deliver(letter(1))  # nothing of it stands in the way of the real message
    desk.store.close()


def test_the_roster_believes_births_and_the_will_that_belongs_to_them(tmp_path: Path) -> None:
    async def scene() -> None:
        desk = Desk(tmp_path)

        def meet(sequence: int, state: str, session: str) -> None:
            body = Presence(state=state, session=session * 32).model_dump()  # type: ignore[arg-type]
            payload = seal(
                IDENTITIES["bank"],
                recipient=PRESENCE,
                sequence=sequence,
                kind="presence",
                body=body,
                now=time.time(),
            )
            assert desk.inbox.receive(presence_topic("bank"), payload) is None

        meet(1, "online", "a")
        assert await desk.roster.wait_for({"bank"}, 0.1) == []
        assert await desk.roster.wait_for({"bank", "fintech"}, 0.01) == ["fintech"]
        meet(3, "online", "a")  # it connected again
        meet(2, "offline", "a")  # the will of its first connection comes late
        assert await desk.roster.wait_for({"bank"}, 0.1) == []
        meet(4, "offline", "a")
        assert await desk.roster.wait_for({"bank"}, 0.01) == ["bank"]
        assert desk.lost == ["bank"]
        meet(5, "online", "b")
        meet(6, "online", "c")  # another start of the node: what ran there is gone
        assert desk.lost == ["bank", "bank"]
        assert desk.codes() == []
        desk.store.close()

    play(scene)
