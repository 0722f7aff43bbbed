"""Programs as processes that start at once: forked from one that has loaded the engine already.

A process of its own spends a second of processor time on imports and kernels before its program
begins. These are as separate as any other, with a number, signals and an exit status of their own,
but the modules of the engine and its kernels are loaded.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]


class Forked:
    """One process; `communicate`, `kill` and `returncode` are as those of `subprocess.Popen`."""

    def __init__(self, server: socket.socket, program: Path, arguments: list[str], folder: Path):
        pipes = [os.pipe() for _ in range(3)]
        (given, write), (out, put), (err, log) = pipes
        order = {"argv": [str(program), *map(str, arguments)], "folder": str(folder)}
        socket.send_fds(server, [json.dumps(order).encode()], [given, put, log])
        for mine in (given, put, log):
            os.close(mine)
        self._server = server
        self.stdin, self.stdout, self.stderr = (
            os.fdopen(write, "w"), os.fdopen(out), os.fdopen(err))
        self.pid = int(server.recv(100))
        self.returncode: int | None = None

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def communicate(self, timeout: float = 60) -> tuple[str, str]:
        """Wait for the end, which comes by force after the timeout; what has not been read yet of
        standard output and of standard error (both short)."""
        if self.returncode is None:
            alarm = threading.Timer(timeout, self.kill)
            alarm.start()
            self._server.send(json.dumps({"wait": self.pid}).encode())
            self.returncode = int(self._server.recv(100))
            alarm.cancel()
            self.stdin.close()
            with self.stdout, self.stderr:
                self._left = self.stdout.read(), self.stderr.read()
        return self._left


@functools.cache
def _server() -> socket.socket:
    """The line to the process that forks; one for each process that runs tests."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = subprocess.Popen(
        [sys.executable, __file__, str(there.fileno())], pass_fds=[there.fileno()],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL)
    there.close()

    def end() -> None:
        here.close()
        process.wait()
    atexit.register(end)
    return here


def start(program: Path, arguments: Any, folder: Path) -> Forked:
    """Run a program in a folder."""
    return Forked(_server(), program, list(arguments), folder)


def _serve(line: socket.socket) -> dict[str, Any]:
    """Fork for every order; returns, in a child, what it is to run."""
    while True:
        data, given, *_ = socket.recv_fds(line, 1 << 16, 3)
        if not data:
            sys.exit()
        order: dict[str, Any] = json.loads(data)
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            line.send(str(os.waitstatus_to_exitcode(status)).encode())
            continue
        pid = os.fork()
        if pid == 0:
            line.close()
            for number, fd in enumerate(given):
                os.dup2(fd, number)
                os.close(fd)
            return order
        for fd in given:
            os.close(fd)
        line.send(str(pid).encode())


def _main() -> NoReturn:
    from engine import warm

    warm.ensure()
    warm.compile_all()
    order = _serve(socket.socket(fileno=int(sys.argv[1])))
    os.chdir(order["folder"])
    sys.argv = order["argv"]
    runpy.run_path(sys.argv[0], run_name="__main__")
    sys.exit()


if __name__ == "__main__":
    _main()
