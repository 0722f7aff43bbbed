"""How parties that do not compute are met by those that do: TCP with mutual TLS 1.3.

Nothing of this goes over the bus. A party that does not compute listens at the one port of its
approval; the certificates of both ends are those of the signed approvals, so each end knows who
the other is. A connection carries one request, a letter, and its answer: `F` fetches the message
that is for whoever dials, `K` the key of tags, `R` and a message hand a result over. Lengths come
before contents and are bounded by what the manifest makes possible; every wait has a deadline.
"""

import asyncio
import base64
import contextlib
import struct
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from engine.credentials import Credentials, job_key
from engine.errors import EngineError
from parties.worker import Outside

FETCH, KEY, RESULT = b"F", b"K", b"R"
_LENGTH = struct.Struct("<Q")
_DONE = b"A"
KEY_BYTES = 32
RETRY = 0.2
CONNECTION_SECONDS = 60.0
"""Longest time that a connection may take at a party that listens."""


class Absent(Exception):
    """Nothing usable came from the other end in time."""


@dataclass(frozen=True)
class Dial:
    """This party's end of connections to parties that do not compute."""

    key: bytes
    certificate: bytes

    async def fetch(self, peer: Outside, limit: int, seconds: float) -> bytes:
        """The message that `peer` has for this party; Absent, also if it is longer than `limit`.

        Tries again until the deadline while nobody listens there yet.
        """
        return await self._ask(peer, FETCH, limit, seconds)

    async def fetch_key(self, peer: Outside, seconds: float) -> bytes:
        """The key of tags."""
        return await self._ask(peer, KEY, KEY_BYTES, seconds)

    async def deliver(self, peer: Outside, message: bytes, seconds: float) -> None:
        """Hand a result over; Absent if it was not taken."""
        await self._ask(peer, RESULT + _LENGTH.pack(len(message)) + message, 0, seconds)

    async def _ask(self, peer: Outside, request: bytes, limit: int, seconds: float) -> bytes:
        try:
            async with asyncio.timeout(seconds):
                while True:
                    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                        return await self._once(peer, request, limit)
                    await asyncio.sleep(RETRY)
        except TimeoutError:
            raise Absent from None

    async def _once(self, peer: Outside, request: bytes, limit: int) -> bytes:
        theirs = base64.b64decode(peer.certificate)
        try:
            # Only the two ends: whatever certificate a peer brings concerns no other link.
            ends = Credentials.pinned(0, [self.certificate, theirs], job_key(self.key))
        except EngineError:
            raise Absent from None
        reader, writer = await asyncio.open_connection(peer.host, peer.port, ssl=ends.client)
        try:
            proof = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            if proof != theirs:
                raise Absent
            writer.write(request)
            await writer.drain()
            if request[:1] == RESULT:
                if await reader.readexactly(1) != _DONE:
                    raise Absent
                return b""
            (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
            if length > limit:
                raise Absent
            return await reader.readexactly(length)
        finally:
            writer.close()


class Desk:
    """A party that does not compute: what it has for whom, and what has been handed to it.

    `messages` are for the compute parties, `results` come from them; `key` is for the parties
    `outside`, and told to nobody that computes. `ready` is to be set when there are messages.
    """

    def __init__(
        self,
        certificate: bytes,
        key: bytes,
        compute: Mapping[str, bytes],
        outside: Mapping[str, bytes],
        limit: int,
    ) -> None:
        # One certificate can be one party's only; whoever brings another's is not served.
        known = {**{c: n for n, c in outside.items()}, **{c: n for n, c in compute.items()}}
        known.pop(certificate, None)
        self._names = known
        self._compute = frozenset(compute)
        self._ends = Credentials.pinned(0, [certificate, *known], job_key(key))
        self._limit = limit
        self.messages: dict[str, bytes] = {}
        self.ready = asyncio.Event()
        self.key: bytes | None = None
        self.results: dict[str, bytes] = {}
        self.all_results = asyncio.Event()

    @contextlib.asynccontextmanager
    async def open(self, host: str, port: int) -> AsyncIterator[None]:
        """Listen while the block runs."""
        server = await asyncio.start_server(self._answer, host, port, ssl=self._ends.server)
        try:
            yield
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            proof = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            name = self._names.get(proof)
            if name is not None:
                async with asyncio.timeout(CONNECTION_SECONDS):
                    await self._serve(name, reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # whoever dialled tries again
        finally:
            writer.close()

    async def _serve(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        request = await reader.readexactly(1)
        computes = name in self._compute
        if request == FETCH and computes:
            await self.ready.wait()
            message = self.messages.get(name)
            if message is not None:
                writer.write(_LENGTH.pack(len(message)) + message)
        elif request == KEY and not computes and self.key is not None:
            writer.write(_LENGTH.pack(len(self.key)) + self.key)
        elif request == RESULT and computes:
            (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
            if length <= self._limit:
                # The first result counts.
                self.results.setdefault(name, await reader.readexactly(length))
                writer.write(_DONE)
                if self.results.keys() == self._compute:
                    self.all_results.set()
        await writer.drain()
