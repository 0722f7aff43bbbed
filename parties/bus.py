"""The port to the MQTT bus: connect, publish, subscribe, presence. Nothing else uses aiomqtt.

A `Bus` keeps one connection for as long as `run` runs. When the connection breaks it is made
again, and what could not be published is published then, under the same message id; only when
the broker stays away for longer than the deadline does `run` give up. Messages are published one
after the other, each acknowledged by the broker before the next (QoS 1), because sequence
numbers must arrive in order.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import aiomqtt
from aiomqtt.exceptions import MqttConnectError

from parties.errors import LocalError

QOS = 1
KEEPALIVE = 10
HEARTBEAT = 2.0
ATTEMPT = 5.0
MAX_WAITING = 10_000


@dataclass(frozen=True)
class Address:
    """Where the broker is, and how this party proves its name there."""

    host: str
    port: int
    username: str
    password: str


@dataclass(frozen=True)
class Announcement:
    """What is retained about this party while it is connected, and after it vanished."""

    topic: str
    birth: bytes
    will: bytes


Handler = Callable[[str, bytes], Awaitable[None]]


class Bus:
    """A party's connection to the broker."""

    def __init__(self, address: Address, topics: tuple[str, ...], deadline: float = 15.0) -> None:
        self._address = address
        self._topics = topics
        self._deadline = deadline
        # A name that others cannot guess: MQTT lets a newcomer with the same one take over.
        self._identifier = f"{address.username}-{secrets.token_hex(8)}"
        self._client: aiomqtt.Client | None = None
        self._connected = asyncio.Event()
        self._order = asyncio.Lock()
        self._heartbeat: asyncio.Task[None] | None = None

    async def run(
        self, handler: Handler, presence: Callable[[], Announcement] | None = None
    ) -> None:
        """Stay connected and hand every message to `handler`, until cancelled.

        `presence` makes a fresh birth and will for each connection. Raises LocalError
        (bus_refused, bus_lost) when there is no connection to be had.
        """
        loop = asyncio.get_running_loop()
        away_since = loop.time()
        while True:
            try:
                async with self._connection(presence() if presence else None) as client:
                    self._client = client
                    self._connected.set()
                    async for message in client.messages:
                        payload = message.payload
                        await handler(
                            str(message.topic), payload if isinstance(payload, bytes) else b""
                        )
            except aiomqtt.MqttError as exc:
                if self._connected.is_set():
                    away_since = loop.time()
                self._connected.clear()
                self._give_up(exc, loop.time() - away_since)
                await asyncio.sleep(0.1)
            finally:
                self._connected.clear()

    async def wait_connected(self) -> None:
        """Return once subscribed; LocalError after the deadline."""
        try:
            async with asyncio.timeout(self._deadline):
                await self._connected.wait()
        except TimeoutError:
            raise self._lost("could not be reached") from None

    async def publish(
        self, topic: str, payload: bytes | Callable[[], bytes], retain: bool = False
    ) -> None:
        """Have the broker take a message; LocalError after the deadline.

        A callable is asked for its payload when the message's turn has come, so that sequence
        numbers are drawn in the order of sending.
        """
        async with self._order:
            data = payload if isinstance(payload, bytes) else payload()
            try:
                async with asyncio.timeout(self._deadline):
                    while True:
                        await self._connected.wait()
                        assert self._client is not None
                        with contextlib.suppress(aiomqtt.MqttError):
                            await self._client.publish(topic, data, qos=QOS, retain=retain)
                            return
                        await asyncio.sleep(0.1)
            except TimeoutError:
                raise self._lost("did not take a message") from None

    async def leave(self, topic: str, farewell: Callable[[], bytes]) -> None:
        """Replace the retained birth: a client that disconnects properly triggers no will."""
        self._stop_heartbeat()
        await self.publish(topic, farewell, retain=True)

    def _stop_heartbeat(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            self._heartbeat = None

    @contextlib.asynccontextmanager
    async def _connection(self, presence: Announcement | None) -> AsyncIterator[aiomqtt.Client]:
        will = presence and aiomqtt.Will(presence.topic, presence.will, qos=QOS, retain=True)
        client = aiomqtt.Client(
            self._address.host,
            self._address.port,
            username=self._address.username,
            password=self._address.password,
            identifier=self._identifier,
            clean_session=False,
            will=will or None,
            keepalive=KEEPALIVE,
            timeout=min(ATTEMPT, self._deadline),
            max_queued_incoming_messages=MAX_WAITING,
        )
        async with client:
            granted = await client.subscribe([(topic, QOS) for topic in self._topics])
            if any((code if isinstance(code, int) else code.value) >= 0x80 for code in granted):
                raise LocalError(
                    "bus_forbidden",
                    f"the broker lets {self._address.username} not subscribe to its own topics",
                    "check the access rules of the broker",
                    party=self._address.username,
                )
            if presence:
                await client.publish(presence.topic, presence.birth, qos=QOS, retain=True)
                self._heartbeat = asyncio.create_task(_repeat(client, presence))
            try:
                yield client
            finally:
                self._stop_heartbeat()

    def _give_up(self, exc: aiomqtt.MqttError, away: float) -> None:
        """Refused credentials are final at once, a lost connection after the deadline."""
        if isinstance(exc, MqttConnectError) and exc.rc in (4, 5, 134, 135):
            raise LocalError(
                "bus_refused",
                f"the broker at {self._address.host}:{self._address.port} refused the user name "
                f"or password of {self._address.username}",
                "compare the node's credentials with the broker's",
                party=self._address.username,
                step="bus",
            ) from None
        if away > self._deadline:
            raise self._lost("was away") from None

    def _lost(self, how: str) -> LocalError:
        return LocalError(
            "bus_lost",
            f"the broker at {self._address.host}:{self._address.port} {how} "
            f"for {self._deadline:.0f} s",
            "check that the broker runs and can be reached from here",
            party=self._address.username,
            step="bus",
        )


async def _repeat(client: aiomqtt.Client, presence: Announcement) -> None:
    """Publish the birth again and again: the same bytes, for whoever missed it."""
    with contextlib.suppress(aiomqtt.MqttError):
        while True:
            await asyncio.sleep(HEARTBEAT)
            await client.publish(presence.topic, presence.birth, qos=QOS, retain=True)
