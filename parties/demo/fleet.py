"""The processes of a run: the broker and one node per party. None of them outlives the demo.

Three nets under one another: `stop` asks, waits and kills; an exit handler kills whatever is left
when the interpreter ends in any orderly way; and each child dies with its parent (`lifeline`)
when it does not.
"""

import asyncio
import atexit
import sys
from collections.abc import Callable, Sequence
from typing import Any

from parties.child import Child, describe_exit
from parties.demo.setup import Run
from parties.errors import LocalError, as_error

START_DEADLINE, START_EACH = 30.0, 3.0
"""How long nodes may take to come online: altogether at least, and for each."""
STOP_GRACE = 5.0
BROKER = (sys.executable, "-m", "parties.broker")
NODE = (sys.executable, "-m", "parties.node_process")


class Fleet:
    """Starts the processes, hears what the nodes report, and ends them all.

    `report(party, event)` is called for each line of a node, and with an `exit` event when a
    node or the broker (party None) ends on its own.
    """

    def __init__(
        self,
        run: Run,
        report: Callable[[str | None, dict[str, Any]], None],
        node: Sequence[str] = NODE,
        broker: Sequence[str] = BROKER,
    ) -> None:
        self._run = run
        self._report = report
        self._node = node
        self._broker = broker
        self._children: list[Child] = []
        self._nodes: dict[str, Child] = {}
        self._online = {name: asyncio.Event() for name in run.homes}
        self._listeners: list[asyncio.Task[None]] = []
        self._failed: asyncio.Future[LocalError] = asyncio.get_running_loop().create_future()
        self._stopping = False
        atexit.register(self._kill)

    async def start(self) -> None:
        """Start everything and return when every node is on the bus."""
        await self._start(None, [*self._broker, "--config", str(self._run.broker_file)])
        for name, home in self._run.homes.items():
            await self._start(name, [*self._node, "--home", str(home), "--supervised"])
        online = asyncio.create_task(self._all_online())
        seconds = max(START_DEADLINE, START_EACH * len(self._online))
        try:
            async with asyncio.timeout(seconds):
                both: set[asyncio.Future[Any]] = {online, self._failed}
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            late = [name for name, event in self._online.items() if not event.is_set()]
            raise LocalError(
                "start",
                f"the node of {', '.join(late)} did not come online in {seconds:.0f} s",
                "see node.log in its folder",
                party=late[0],
                step="start",
            ) from None
        finally:
            online.cancel()
        if self._failed.done():
            raise self._failed.result()

    async def _all_online(self) -> None:
        for event in self._online.values():
            await event.wait()

    async def propose(self, initiator: str, line: str) -> None:
        """Give the initiator's operator's order."""
        await self._nodes[initiator].send(line)

    async def stop(self) -> None:
        """End all processes; returns when there are none left."""
        self._stopping = True
        nodes = [child for child in self._children if child in self._nodes.values()]
        await asyncio.gather(*(child.stop(STOP_GRACE) for child in nodes))
        others = [child for child in self._children if child not in nodes]
        await asyncio.gather(*(child.stop(STOP_GRACE) for child in others))
        for listener in self._listeners:
            listener.cancel()
        await asyncio.gather(*self._listeners, return_exceptions=True)
        self._failed.cancel()
        atexit.unregister(self._kill)

    async def _start(self, name: str | None, command: Sequence[str]) -> None:
        home = self._run.homes[name] if name else self._run.folder
        log = home / ("node.log" if name else "broker.log")
        child = await Child.start(command, log, new_group=True)
        self._children.append(child)
        if name:
            self._nodes[name] = child
        self._listeners.append(asyncio.create_task(self._listen(name, child)))

    async def _listen(self, name: str | None, child: Child) -> None:
        error: LocalError | None = None
        async for event in child.events():
            if event.get("event") == "online" and name:
                self._online[name].set()
            elif event.get("event") == "error":
                error = as_error(event.get("error") or {})
            self._report(name, event)
        status = await child.wait()
        if self._stopping:
            return
        who = f"node of {name}" if name else "broker"
        error = error or LocalError(
            "node_lost" if name else "broker_lost",
            f"the process of the {who} {describe_exit(status)}",
            f"see {'node.log in the folder of ' + name if name else 'broker.log'}",
            party=name,
        )
        if not self._failed.done():
            self._failed.set_result(error)
        self._report(name, {"event": "exit", "error": error.as_dict()})

    def _kill(self) -> None:
        for child in self._children:
            child.kill()
