"""`sepc node doctor`: does this node reach the broker and the others, and do they reach it?

To each other node goes a signed `ping` over the bus with a fresh certificate and a port; it answers
with a `pong` that carries its own, its clock and the measurement of its code. Then both dial each
other, in the mutual TLS that workers use: so both directions are tried, with what a job would need.
A node dials only the host that its own `node.json` gives for the peer, whatever a message says.
"""

import asyncio
import base64
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.credentials import Credentials, self_signed
from engine.errors import EngineError
from parties.envelope import CLOCK_SKEW
from parties.errors import PartiesError
from parties.lifeline import ReservedPort
from parties.measurement import measurement
from parties.messages import Certificate, Ping, Pong

if TYPE_CHECKING:
    from parties.node import Node

ANSWER = 8.0
"""Seconds for a pong, and for a connection."""
MAX_GUESTS = 8
_HELLO = b"\n"


@dataclass(frozen=True)
class Finding:
    """One thing that was tried; `seconds` where that tells something."""

    check: str
    party: str | None
    passed: bool
    found: str
    remedy: str = ""
    seconds: float | None = None


class Doctor:
    """Examines the surroundings of one node, and answers other nodes that do."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._waiting: dict[tuple[str, str], asyncio.Future[Pong]] = {}
        self._guests = 0

    # -- asking -------------------------------------------------------------------------------

    async def examine(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Try everything; the findings, the failed ones included."""
        others = [name for name in sorted(self._node.directory) if name != self._node.name]
        found = [await self._broker()]
        found += [await self._rights()] if found[0].passed else []
        for several in await asyncio.gather(*(self._peer(name) for name in others)):
            found += several
        return {
            "node": self._node.name,
            "healthy": all(finding.passed for finding in found),
            "findings": [asdict(finding) for finding in found],
        }

    async def _broker(self) -> Finding:
        broker = self._node.config.broker
        began = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER):
                _, writer = await asyncio.open_connection(broker.host, broker.port)
        except (OSError, TimeoutError) as exc:
            what = f"{broker.host}:{broker.port} cannot be reached ({type(exc).__name__})"
            return Finding("broker", None, False, what, "check its name, port, and firewalls")
        writer.close()
        what = f"{broker.host}:{broker.port} takes connections"
        return Finding("broker", None, True, what, seconds=_since(began))

    async def _rights(self) -> Finding:
        """A message to oneself needs the right to write and to read, and a subscription."""
        name, began = self._node.name, time.monotonic()
        pong = await self._ask(name, 1, "")
        if pong is None:
            return Finding(
                "broker rights", None, False, f"no message of {name} to itself came back",
                "let the node read and write its topics, and compare the passwords",
            )  # fmt: skip
        what = "the node may write and read what is its own"
        return Finding("broker rights", None, True, what, seconds=_since(began))

    async def _peer(self, name: str) -> list[Finding]:
        key = Ed25519PrivateKey.generate()
        own = self_signed(key)
        port = ReservedPort(self._node.config.host)
        try:
            sent, began = time.time(), time.monotonic()
            pong = await self._ask(name, port.port, base64.b64encode(own).decode())
            trip = _since(began)
            if pong is None or pong.port is None:
                what = f"the node of {name} did not answer in {ANSWER:.0f} s"
                return [Finding("answer", name, False, what, "have it started; compare keys")]
            middle = sent + trip / 2
            both = Credentials.pinned(0, [own, base64.b64decode(pong.certificate)], key)
            port.lend()
            async with _listening(self._node.config.host, port.port, both) as reached:
                there, back = await asyncio.gather(
                    _dial(self._host(name), pong.port, both), _within(reached)
                )
        except (EngineError, OSError) as exc:
            what = f"its answer cannot be used ({type(exc).__name__})"
            return [Finding("answer", name, False, what, "check host in node.json at both nodes")]
        finally:
            port.close()
        return [
            Finding("answer", name, True, "answers over the bus", seconds=trip),
            _clock(name, pong.time - middle, trip),
            _code(name, pong.measurement),
            _connection(f"{self._node.name} to {name}", name, there),
            _connection(f"{name} to {self._node.name}", name, back),
        ]

    async def _ask(self, name: str, port: int, certificate: str) -> Pong | None:
        nonce = secrets.token_hex(16)
        answer = self._waiting[name, nonce] = asyncio.get_running_loop().create_future()
        try:
            certificate = certificate or _throwaway()
            ping = Ping(nonce=nonce, port=port, certificate=certificate)
            async with asyncio.timeout(ANSWER):
                await self._node.send_alone(name, "ping", ping)
                return await answer
        except TimeoutError:
            return None
        finally:
            del self._waiting[name, nonce]

    def _host(self, name: str) -> str:
        config = self._node.config
        return config.hosts.get(name, config.host)

    # -- answering ----------------------------------------------------------------------------

    def heard(self, sender: str, pong: Pong) -> None:
        """Take a pong; one that nobody waits for changes nothing."""
        answer = self._waiting.get((sender, pong.nonce))
        if answer is not None and not answer.done():
            answer.set_result(pong)

    async def answer(self, sender: str, ping: Ping) -> None:
        """Answer a ping, listen for its sender, and dial it; what comes of it is for the sender."""
        if self._guests >= MAX_GUESTS:
            return
        self._guests += 1
        try:
            # Whatever is wrong with a ping must not stop this node; its sender hears nothing.
            with contextlib.suppress(PartiesError, EngineError, OSError):
                await self._meet(sender, ping)
        finally:
            self._guests -= 1

    async def _meet(self, sender: str, ping: Ping) -> None:
        key = Ed25519PrivateKey.generate()
        own = self_signed(key)

        async def reply(port: int | None) -> None:
            pong = Pong(
                nonce=ping.nonce,
                time=time.time(),
                measurement=measurement(),
                port=port,
                certificate=base64.b64encode(own).decode(),
            )
            await self._node.send_alone(sender, "pong", pong)

        if sender == self._node.name:
            await reply(None)
            return
        both = Credentials.pinned(1, [base64.b64decode(ping.certificate), own], key)
        with contextlib.closing(ReservedPort(self._node.config.host)) as port:
            port.lend()
            async with _listening(self._node.config.host, port.port, both) as reached:
                await reply(port.port)
                await asyncio.gather(_dial(self._host(sender), ping.port, both), _within(reached))


@contextlib.asynccontextmanager
async def _listening(host: str, port: int, both: Credentials) -> AsyncIterator[asyncio.Event]:
    """Listen for the one peer whose certificate is known; the event says that it came."""
    reached = asyncio.Event()

    async def welcome(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # TLS has verified the peer's certificate by now.
        reached.set()
        writer.write(_HELLO)
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(welcome, host, port, ssl=both.server)
    try:
        yield reached
    finally:
        server.close()


async def _dial(host: str, port: int, both: Credentials) -> float | None:
    """Seconds that a connection took, or None; tried again until `ANSWER` is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ANSWER):
            while True:
                began = time.monotonic()
                # ssl.SSLError is an OSError. The hello comes only if the other side accepts us.
                with contextlib.suppress(OSError):
                    reader, writer = await asyncio.open_connection(host, port, ssl=both.client)
                    hello = await reader.read(1)
                    writer.close()
                    if hello == _HELLO:
                        return _since(began)
                await asyncio.sleep(0.1)
    return None


async def _within(event: asyncio.Event) -> float | None:
    began = time.monotonic()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ANSWER):
            await event.wait()
            return _since(began)
    return None


def _throwaway() -> Certificate:
    return base64.b64encode(self_signed(Ed25519PrivateKey.generate())).decode()


def _since(began: float) -> float:
    return round(time.monotonic() - began, 4)


def _clock(name: str, offset: float, trip: float) -> Finding:
    # Half the round trip is what the comparison cannot tell.
    apart = max(0.0, abs(offset) - trip / 2)
    passed = apart < CLOCK_SKEW / 2
    what = f"clocks differ by {offset:+.1f} s, measured to {trip / 2:.1f} s"
    return Finding("clock", name, passed, what, "" if passed else "synchronise clocks with NTP")


def _code(name: str, measured: str) -> Finding:
    same = measured == measurement()
    what = "the same code" if same else f"other code: {measured[:16]}…, here {measurement()[:16]}…"
    return Finding("code", name, same, what, "" if same else "install the same version")


def _connection(way: str, name: str, seconds: float | None) -> Finding:
    if seconds is None:
        what = f"{way}: no TLS connection in {ANSWER:.0f} s"
        remedy = "check host and hosts in node.json, name resolution, and firewalls for TCP"
        return Finding("connection", name, False, what, remedy)
    return Finding("connection", name, True, f"{way}: TLS, both certificates", seconds=seconds)
