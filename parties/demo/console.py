"""The operator's console on the bus: it reads what the nodes say about a job, and says nothing.

It believes signatures only, like every party, and keeps no state beyond the run.
"""

import asyncio
import time
from collections.abc import Callable

from parties.bus import Address, Bus
from parties.envelope import Envelope, open_envelope
from parties.errors import RemoteProtocolError
from parties.identity import Directory
from parties.messages import PRESENCE, Body, read_body, recipient_of, subscriptions


class Console:
    """Hands each genuine message about the job to `heard(envelope, body)`."""

    def __init__(
        self, address: Address, directory: Directory, heard: Callable[[Envelope, Body], None]
    ) -> None:
        self._name = address.username
        self._bus = Bus(address, subscriptions(address.username))
        self._directory = directory
        self._heard = heard
        self._sequences: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect; returns once subscribed."""
        self._task = asyncio.create_task(self._bus.run(self._receive))
        await self._bus.wait_connected()

    async def close(self) -> None:
        """Disconnect."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _receive(self, topic: str, payload: bytes) -> None:
        if recipient_of(topic) == PRESENCE:
            return
        try:
            envelope = open_envelope(
                payload,
                recipient=self._name,
                directory=self._directory,
                last_sequence=self._sequences,
                now=time.time(),
            )
            body = read_body(envelope)
        except RemoteProtocolError:
            return
        self._sequences[envelope.sender] = envelope.sequence
        self._heard(envelope, body)
