"""The node's own socket: how its operator's commands reach the running node.

A Unix socket `node.sock` in the node's home, mode 0600: whoever may read the home's keys may give
orders. A connection carries one command, a JSON object on one line; the answer is one line,
`{"done": {...}}` or `{"error": {...}}`. Nothing of it is logged.
"""

import asyncio
import contextlib
import json
import os
import socket
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from parties.errors import LocalError, PartiesError, as_error

SOCKET = "node.sock"
MAX_LINE = 1 << 25
_MAX_PATH = 100  # what a socket's address may have everywhere, with some room

Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


@contextlib.asynccontextmanager
async def serve(home: Path, handler: Handler) -> AsyncIterator[None]:
    """Take commands while the block runs; LocalError if a node runs on this home already."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(json.dumps(await _obey(reader, handler)).encode() + b"\n")
            await writer.drain()
        writer.close()

    listening = _listen(home)
    server = await asyncio.start_unix_server(answer, sock=listening, limit=MAX_LINE)
    try:
        yield
    finally:
        server.close()
        (home / SOCKET).unlink(missing_ok=True)


async def _obey(reader: asyncio.StreamReader, handler: Handler) -> dict[str, Any]:
    try:
        command = json.loads(await reader.readline())
        if not isinstance(command, dict):
            raise ValueError
        return {"done": await handler(command)}
    except PartiesError as exc:
        return {"error": exc.as_dict()}
    except (ValueError, RecursionError):  # not JSON, or longer than MAX_LINE
        error = LocalError("command", "the command is not a line of JSON", "use the command sepc")
        return {"error": error.as_dict()}
    except Exception as exc:
        # Where, but not what: an unforeseen message may quote a key.
        traceback.print_tb(exc.__traceback__)
        error = LocalError("node_error", type(exc).__name__, "this is a defect: see the node's log")
        return {"error": error.as_dict()}


def _listen(home: Path) -> socket.socket:
    with _address(home) as address, contextlib.closing(_socket()) as earlier:
        with contextlib.suppress(OSError):
            earlier.connect(address)
            raise LocalError(
                "already_running",
                f"a node runs on {home} already",
                "stop it first, or use another home",
            )
        (home / SOCKET).unlink(missing_ok=True)
        listening = _socket()
        mask = os.umask(0o177)
        try:
            listening.bind(address)
        finally:
            os.umask(mask)
        listening.listen()
    return listening


def order(home: Path, command: dict[str, Any], seconds: float | None = 30.0) -> dict[str, Any]:
    """Have the running node obey a command; LocalError with its reason if it did not.

    `seconds` bounds the wait for each answer; None waits as long as the node works on it.
    """
    try:
        with contextlib.closing(_socket()) as line:
            line.settimeout(seconds)
            with _address(home) as address:
                line.connect(address)
            line.sendall(json.dumps(command).encode() + b"\n")
            with line.makefile("rb") as answers:
                answer = answers.readline()
    except TimeoutError:
        raise _silent(home, f"did not answer in {seconds:.0f} s") from None
    except OSError as exc:
        raise _silent(home, f"cannot be reached ({exc.strerror})") from None
    if not answer:
        raise _silent(home, "ended before it answered")
    told: dict[str, Any] = json.loads(answer)
    if "error" in told:
        raise as_error(told["error"])
    done: dict[str, Any] = told["done"]
    return done


def _silent(home: Path, what: str) -> LocalError:
    return LocalError(
        "node_unreachable",
        f"the node of {home} {what}",
        f"start it with: sepc node up --home {home}",
        step="node",
    )


def _socket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)


@contextlib.contextmanager
def _address(home: Path) -> Iterator[str]:
    """The socket's address; Linux reaches a long path through the open folder."""
    path = str(home / SOCKET)
    if len(os.fsencode(path)) <= _MAX_PATH or not sys.platform.startswith("linux"):
        yield path
        return
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{SOCKET}"
    finally:
        os.close(folder)
