"""What arrives for one party: every message is verified here before anything else sees it."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from parties.envelope import Envelope, open_envelope
from parties.errors import RemoteProtocolError
from parties.identity import Directory
from parties.messages import PRESENCE, Body, Presence, read_body, recipient_of
from parties.presence import Roster
from parties.store import Store


@dataclass(frozen=True)
class Letter:
    """A verified message: its envelope, its typed body, and its bytes as evidence."""

    envelope: Envelope
    body: Body
    payload: bytes


class Inbox:
    """Opens messages for `party`; presence goes to the roster, the rest is returned."""

    def __init__(
        self,
        party: str,
        directory: Directory,
        store: Store,
        roster: Roster,
        refused: Callable[[RemoteProtocolError], None],
    ) -> None:
        self._party = party
        self._directory = directory
        self._store = store
        self._roster = roster
        self._refused = refused

    def receive(self, topic: str, payload: bytes) -> Letter | None:
        """The letter in a bus message, or None if it is presence, repeated, or refused."""
        presence = recipient_of(topic) == PRESENCE
        try:
            envelope = open_envelope(
                payload,
                recipient=PRESENCE if presence else self._party,
                directory=self._directory,
                last_sequence=self._roster.sequences if presence else self._store.last_sequences(),
                now=time.time(),
            )
            body = read_body(envelope)
            if isinstance(body, Presence) != presence:
                raise RemoteProtocolError(
                    "wrong_recipient",
                    f"a {envelope.kind} message on the wrong topic",
                    party=envelope.sender,
                )
        except RemoteProtocolError as exc:
            if not self._redelivered(exc, payload, presence):
                self._refused(exc)
            return None
        if isinstance(body, Presence):
            self._roster.met(envelope, body)
            return None
        self._store.accept(envelope)
        return Letter(envelope, body, payload)

    def _redelivered(self, exc: RemoteProtocolError, payload: bytes, presence: bool) -> bool:
        """Whether this is a message that was accepted before; MQTT may deliver one twice."""
        if exc.code != "replayed":
            return False
        return presence or self._store.known_message(json.loads(payload)["id"])
