"""The process of a node: `python -m parties.node_process --home DIR`.

Its operator gives it commands (`commands.py`) through the socket in its home (`control.py`). A
supervised node also takes them as JSON lines on standard input, and reports on standard output what
its operator should see; it ends when that input ends.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parties.errors import LocalError, PartiesError
from parties.lifeline import die_with_parent
from parties.node import WORKER, Commands, Node
from parties.programs import PROGRAMS, Programs

PID_FILE = "node.pid"


async def _serve(home: Path, supervised: bool, worker: Sequence[str], programs: Programs) -> None:
    """Run a node until SIGTERM, SIGINT or, if supervised, the end of standard input."""
    loop = asyncio.get_running_loop()
    commands: Commands = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, commands.put_nowait, None)
    output = sys.stdout if supervised else sys.stderr

    def report(**fields: Any) -> None:
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(fields), file=output, flush=True)

    async def listen() -> None:
        reader = asyncio.StreamReader(limit=1 << 20)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            with contextlib.suppress(ValueError):
                command = json.loads(line)
                commands.put_nowait(command if isinstance(command, dict) else {})
        commands.put_nowait(None)

    listening = asyncio.create_task(listen()) if supervised else None
    try:
        node = Node(home, report=report, worker=worker, programs=programs)
        (home / PID_FILE).write_text(str(os.getpid()))
        await node.run(commands)
    finally:
        if listening:
            listening.cancel()


def first_error(exc: BaseException) -> LocalError:
    """The error of ours inside what a task group raised."""
    while isinstance(exc, BaseExceptionGroup):
        exc = (exc.subgroup(PartiesError) or exc).exceptions[0]
    if isinstance(exc, LocalError):
        return exc
    return LocalError("node_error", type(exc).__name__, "this is a defect: see the node's log")


def main(
    arguments: list[str] | None = None,
    worker: Sequence[str] = WORKER,
    programs: Programs = PROGRAMS,
) -> int:
    """Entry point; exit status 1 with an `error` line if the node could not go on."""
    parser = argparse.ArgumentParser(prog="python -m parties.node_process", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--supervised", action="store_true", help="commands on standard input")
    chosen = parser.parse_args(arguments)
    if chosen.supervised:
        die_with_parent()
    try:
        asyncio.run(_serve(chosen.home, chosen.supervised, worker, programs))
    except (PartiesError, BaseExceptionGroup) as exc:
        line = json.dumps({"event": "error", "error": first_error(exc).as_dict()})
        print(line, file=sys.stdout if chosen.supervised else sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
