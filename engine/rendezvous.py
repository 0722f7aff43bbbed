"""How m parties find each other: one connection per pair, each proven before it counts.

Party i listens for lower-numbered parties and dials higher-numbered ones. Anybody can come to a
listening port: strangers get a few seconds, a few kilobytes and a bounded number of places, and
hold nothing up.
"""

import asyncio
import contextlib
import ipaddress

from engine import frames
from engine.credentials import Credentials
from engine.errors import EngineError, LocalProtocolError, PeerLost
from engine.handshake import Session
from engine.transport import TcpLink

HELLO_SECONDS = 10.0
"""How long somebody may take to prove who it is."""
STRANGERS = 64
"""How many may be about it at a time; one more pushes the oldest out."""
_PAUSE = 0.02
_WATCH = 0.2


class Rendezvous:
    """One party's side of connecting with all others; see `connect_all`."""

    def __init__(self, session: Session, addresses, credentials: Credentials | None):
        self.session, self.credentials, self.addresses = session, credentials, addresses
        self.taken: set[int] = set()
        self.links: dict[int, TcpLink] = {}
        self._m, self._pid = session.geometry.m, session.pid
        self._loop = asyncio.get_running_loop()
        self._done = self._loop.create_future()
        self._strangers: dict[TcpLink, asyncio.TimerHandle] = {}
        self._refused: dict[int | None, EngineError] = {}
        self._attempts: dict[int, str] = {}
        self._dials: set[asyncio.Task] = set()

    # --- what links report ---

    def arrived(self, link: TcpLink) -> None:
        """Somebody has connected to the listening port."""
        if len(self._strangers) >= STRANGERS:
            next(iter(self._strangers)).fail(PeerLost('crowded', 'too many strangers'))
        self._strangers[link] = self._loop.call_later(HELLO_SECONDS, link.fail, PeerLost(
            'hello-timeout', f'no proof of a party within {HELLO_SECONDS:g} s'))

    def ready(self, link: TcpLink, error: EngineError | None) -> None:
        """A link has proven its peer, or failed."""
        timer = self._strangers.pop(link, None)
        if timer is not None:
            timer.cancel()
        if self._done.done():
            return
        if error is None:
            assert link.peer is not None
            self.links[link.peer] = link
            if len(self.links) == self._m - 1:
                self._done.set_result(None)
        elif link.proven or self._final(link, error):
            self._done.set_exception(error)
        elif link.expected is not None:
            # Its place may have been taken by strangers, or its process is being replaced.
            self._attempts[link.expected] = error.cause
            self._dial(link.expected, 5 * _PAUSE)
        else:
            # Anybody can come to the listening port; the parties are still awaited.
            self._refused[error.party] = error

    def _final(self, link, error) -> bool:
        """Whether trying again, or waiting for somebody else, is hopeless."""
        if link.dialled:
            return error.code != 'peer-lost'
        known = link.number is not None or (
            self.session.approved is None and (self.credentials is None
                                               or not self.credentials.proves))
        return known and error.code.startswith('different-')

    # --- dialling and listening ---

    def _dial(self, peer, pause=0.0):
        task = self._loop.create_task(self._dialling(peer, pause))
        self._dials.add(task)
        task.add_done_callback(self._dials.discard)

    async def _dialling(self, peer, pause):
        host, port = self.addresses[peer]
        while True:
            await asyncio.sleep(pause)
            pause = _PAUSE
            try:
                await self._loop.create_connection(lambda: TcpLink(self, peer), host, port)
                return
            except OSError as exc:
                self._attempts[peer] = exc.strerror or str(exc)
            except (UnicodeError, ValueError, OverflowError) as exc:
                if not self._done.done():
                    self._done.set_exception(LocalProtocolError(
                        'bad-address', f'{host}:{port}: {exc}', party=peer,
                        remedy="correct that party's address"))
                return

    def watch(self, reason) -> None:
        """Give up when `reason()` returns an error."""
        if self._done.done():
            return
        error = reason()
        if error is None:
            self._loop.call_later(_WATCH, self.watch, reason)
        else:
            self._done.set_exception(error)

    async def run(self, deadline: float, everywhere: bool) -> dict[int, TcpLink]:
        """Connect with everybody; see `connect_all`."""
        server, failure = None, None
        try:
            if self._pid > 0:
                server = await self._listen(everywhere)
            for peer in range(self._pid + 1, self._m):
                self._dial(peer)
            if self._m > 1:
                async with asyncio.timeout(deadline):
                    await self._done
        except TimeoutError:
            failure = self._missing(deadline)
        except EngineError as error:
            failure = error
        finally:
            self._end(server, failure)
        if failure is not None:
            raise failure
        return self.links

    async def _listen(self, everywhere):
        host, port = self.addresses[self._pid]
        try:
            return await self._loop.create_server(lambda: TcpLink(self), None if everywhere
                                                  else host, port, reuse_address=True)
        except (OSError, UnicodeError, ValueError, OverflowError) as exc:
            cause = getattr(exc, 'strerror', None) or exc
            raise EngineError('port-in-use', f'cannot listen at {host}:{port}: {cause}',
                              party=self._pid, remedy='choose another port for this party'
                              ) from None

    def _missing(self, deadline):
        missing = sorted(set(range(self._m)) - {self._pid} - set(self.links))
        for party in missing:
            if party in self._refused:
                return self._refused[party]
        cause = f'no connection with party {missing} after {deadline:g} s'
        if missing[0] in self._attempts:
            cause += f'; the last attempt: {self._attempts[missing[0]]}'
        if None in self._refused:
            cause += f'; a stranger was refused: {self._refused[None].cause}'
        return PeerLost('connect-timeout', cause, party=missing[0], remedy=
                        'check that every party has started and that its address is reachable')

    def _end(self, server, failure):
        for task in self._dials:
            task.cancel()
        if server is not None:
            server.close()
        with contextlib.suppress(asyncio.CancelledError, asyncio.InvalidStateError):
            self._done.exception()
        self._done.cancel()
        for link in list(self._strangers):
            link.close()
        for timer in self._strangers.values():
            timer.cancel()
        if len(self.links) < self._m - 1:
            for link in self.links.values():
                if failure is not None:
                    link.send(frames.ABORT, 0, 0, 0, failure.report())
                link.close()


async def connect_all(session: Session, addresses, deadline: float,
                      credentials: Credentials | None = None,
                      everywhere: bool = False, watch=None) -> dict[int, TcpLink]:
    """Links to all other parties; party i listens at addresses[i] for the lower-numbered ones.

    With credentials every link is mutual TLS 1.3, without them bare TCP. `everywhere` listens at
    all addresses of this machine instead of the given one; `watch` is asked now and then for a
    reason to give up (an EngineError, or None). Raises PeerLost naming the missing parties when the
    deadline (seconds) passes, and the peer's misbehaviour as RemoteProtocolError. One TCP port per
    party.
    """
    meeting = Rendezvous(session, addresses, credentials)
    if watch is not None:
        meeting.watch(watch)
    return await meeting.run(deadline, everywhere)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its very address (no name but localhost is looked up)."""
    try:
        return host == 'localhost' or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def sharing_machine(addresses, pid: int) -> int:
    """How many parties, this one included, run on its machine, as far as addresses tell."""
    own = addresses[pid][0]
    return sum(host == own or (is_loopback(host) and is_loopback(own)) for host, _ in addresses)
