"""A child process that speaks JSON lines: started, listened to, and ended for certain.

The child's standard input is a pipe that this process holds open; when it closes, the child
knows that its parent is gone (see `lifeline`). What it writes to standard error goes to a file.
"""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

MAX_LINE = 1 << 20


class Child:
    """One running child process."""

    def __init__(self, process: asyncio.subprocess.Process, group: bool) -> None:
        self._process = process
        self._group = group

    @classmethod
    async def start(cls, command: Sequence[str], log: Path, *, new_group: bool = False) -> "Child":
        """Start `command` with its standard error in `log` (mode 0600).

        With `new_group` the child leads a process group of its own, which `stop` ends as a
        whole, and which a Ctrl-C in the terminal does not reach.
        """
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=handle,
                limit=MAX_LINE,
                start_new_session=new_group,
            )
        finally:
            os.close(handle)
        return cls(process, new_group)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.returncode is None

    async def send(self, line: str) -> None:
        """Write one line to the child; nothing happens if it is gone."""
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(line.encode() + b"\n")
            await self._process.stdin.drain()

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """The JSON objects that the child writes, to the end of its output; no other lines."""
        assert self._process.stdout is not None
        while True:
            try:
                line = await self._process.stdout.readline()
            except ValueError:  # longer than MAX_LINE
                continue
            if not line:
                return
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    yield event

    async def wait(self) -> int:
        """The exit status, once there is one; negative for a signal."""
        return await self._process.wait()

    async def stop(self, grace: float = 0.0) -> None:
        """End the child: ask, wait for `grace` seconds, then kill. Returns when it is gone."""
        assert self._process.stdin is not None
        if grace and self.running:
            self._process.stdin.close()
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._process.wait()
        self.kill()
        await self._process.wait()
        self._process.stdin.close()

    def kill(self) -> None:
        """Kill the child, and its process group if it leads one, without waiting."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._group:
                os.killpg(self._process.pid, signal.SIGKILL)
            elif self.running:
                self._process.kill()


def describe_exit(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = "unknown"
    return f"was ended by signal {-status} ({name})"
