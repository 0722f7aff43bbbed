"""Who is on the bus. A node announces itself with a retained birth and leaves a last will.

Both are signed. The will is made together with the birth, with the next sequence number, so it
is believed after that birth and not after a later one. A broker that publishes the will too early
does no more than it could do by cutting the connection.
"""

import asyncio
import contextlib
from collections.abc import Callable

from parties.envelope import Envelope
from parties.messages import Presence


class Roster:
    """The parties that are online, as far as their presence messages say.

    `lost(party, cause)` is called when a node is gone: it left and was not back within `grace`
    seconds, or another start of it has appeared.
    """

    def __init__(self, grace: float, lost: Callable[[str, str], None]) -> None:
        self._grace = grace
        self._lost = lost
        self._sessions: dict[str, str] = {}
        self._changed = asyncio.Event()
        # In memory only: after a restart the retained presence, an old message, must count again.
        self.sequences: dict[str, int] = {}

    def met(self, envelope: Envelope, presence: Presence) -> None:
        """Take note of a verified presence message."""
        party = envelope.sender
        self.sequences[party] = envelope.sequence
        known = self._sessions.get(party)
        if presence.state == "online":
            self._sessions[party] = presence.session
            self._changed.set()
            if known is not None and known != presence.session:
                self._lost(party, f"the node of {party} was started anew")
        elif known is None or known == presence.session:
            self._sessions.pop(party, None)
            asyncio.get_running_loop().call_later(self._grace, self._still_gone, party)

    @property
    def online(self) -> set[str]:
        """Who is there."""
        return set(self._sessions)

    async def wait_for(self, parties: set[str], seconds: float) -> list[str]:
        """Wait until all of them are online; returns those that are still missing."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not parties <= set(self._sessions):
                    self._changed.clear()
                    await self._changed.wait()
        return sorted(parties - set(self._sessions))

    def _still_gone(self, party: str) -> None:
        if party not in self._sessions:
            self._lost(party, f"the node of {party} left the bus")
