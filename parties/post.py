"""What a node sends: letters to parties and its presence, sealed, numbered, put on the bus."""

import time
from functools import partial
from typing import Any

from parties.bus import Announcement, Bus
from parties.envelope import seal
from parties.identity import Identity
from parties.manifest import Manifest
from parties.messages import PRESENCE, Body, inbox_topic, presence_topic
from parties.store import Store

WILL_LIFETIME = 7 * 24 * 3600


class Post:
    """The outgoing messages of one node in one session.

    A letter is sealed when it leaves, not when it is written: its number and its time are those of
    the sending, also after the connection was lost in between.
    """

    def __init__(self, identity: Identity, store: Store, bus: Bus, session: str) -> None:
        self._identity, self._store, self._bus = identity, store, bus
        self._body = {"session": session}

    async def send(
        self, recipient: str, kind: str, body: Body, manifest: Manifest | None = None
    ) -> None:
        """To one party, about a job or about none."""
        about: dict[str, Any] = {"lifetime": 30}
        if manifest is not None:
            about = {"job_id": manifest.job_id, "manifest_sha256": manifest.sha256()}
        letter = partial(self._seal, recipient, kind, body.model_dump(mode="json"), **about)
        await self._bus.publish(inbox_topic(recipient, self._identity.name), letter)

    def announce(self) -> Announcement:
        """The birth of this session, and the will that says that it has ended."""
        # Arguments are evaluated in this order: the will's number follows the birth's.
        return Announcement(
            presence_topic(self._identity.name), self._presence("online"), self._presence("offline")
        )

    async def leave(self) -> None:
        """Say goodbye."""
        goodbye = partial(self._presence, "offline")
        await self._bus.leave(presence_topic(self._identity.name), goodbye)

    def _presence(self, state: str) -> bytes:
        body = {"state": state, **self._body}
        return self._seal(PRESENCE, "presence", body, lifetime=WILL_LIFETIME)

    def _seal(self, recipient: str, kind: str, body: dict[str, Any], **about: Any) -> bytes:
        return seal(
            self._identity,
            recipient=recipient,
            sequence=self._store.next_sequence(recipient),
            kind=kind,
            body=body,
            now=time.time(),
            **about,
        )
