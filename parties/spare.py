"""A worker in reserve: started ahead, so that a query need not wait for imports and kernels.

It belongs to no job, holds nothing of any, and computes nothing until a job's folder and secrets
come on its standard input; then it is that job's worker and ends with it.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from parties.child import Child

LOG = "spare.log"


class Spare:
    """At most one idle worker of a node."""

    def __init__(self, command: Sequence[str], home: Path) -> None:
        self._command = [*command, "--spare"]
        self._log = home / LOG
        self._child: Child | None = None
        self._closed = False
        # Jobs that end, and sessions that open, may ask for one at the same time.
        self._starting = asyncio.Lock()

    async def prepare(self) -> None:
        """Have a worker in reserve."""
        async with self._starting:
            if not self._closed and (self._child is None or not self._child.running):
                self._child = await Child.start(self._command, self._log)

    async def take(self, folder: str) -> Child | None:
        """The worker in reserve, now that of the job in `folder`; None if there is none."""
        child, self._child = self._child, None
        if child is None or not child.running:
            return None
        await child.send(folder)
        return child

    async def stop(self) -> None:
        """End it, and prepare no other."""
        self._closed = True
        child, self._child = self._child, None
        if child is not None:
            await child.stop()
