"""Runs of the demo as a process of its own, for tests that kill parts of it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
REAL = (sys.executable, "-m", "parties.cli", "demo", "--json")
FAKE = (sys.executable, str(ROOT / "tests" / "fakes" / "demo.py"))


class DemoRun:
    """A running demo, its narration line by line, and its processes.

    The narration says when a step begins, so a test can strike in the middle of it without
    guessing a time. Everything is bounded: a run that hangs is killed after `limit` seconds.
    """

    def __init__(self, command: Sequence[str], folder: Path, limit: float = 240.0) -> None:
        self.folder = folder
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200"},
        )
        self._timer = threading.Timer(limit, self._process.kill)
        self._timer.start()
        self.narration: list[str] = []

    def wait_for(self, text: str) -> None:
        """Read the narration up to a line with `text`."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.narration.append(line)
            if text in line:
                return
        _, document = self.finish()
        raise AssertionError(f"no {text!r} in {self.narration}; the run ended with {document}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the demo itself."""
        self._process.send_signal(number)

    def kill_node(self, party: str) -> None:
        """Kill a node's process, as a power cut would."""
        pid = (self.folder / "parties" / party / "node.pid").read_text()
        os.kill(int(pid), signal.SIGKILL)

    def kill_worker(self, party: str) -> None:
        """Kill a party's MPC worker."""
        (path,) = (self.folder / "parties" / party).glob("jobs/*/worker.pid")
        os.kill(int(path.read_text()), signal.SIGKILL)

    def kill_broker(self) -> None:
        """Kill the broker."""
        for pid, command in processes(self.folder):
            if "parties.broker" in command:
                os.kill(pid, signal.SIGKILL)

    def finish(self) -> tuple[int, Any]:
        """The exit status and the JSON document of standard output."""
        output, errors = self._process.communicate()
        self._timer.cancel()
        self.narration.append(errors)
        document = json.loads(output) if output else None
        return self._process.returncode, document


def processes(folder: Path) -> list[tuple[int, str]]:
    """Pid and command line of every living process that works in `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
            except (OSError, UnicodeDecodeError):
                continue  # it ended in the meantime
            if str(folder) in command and state not in "ZX" and int(entry.name) != os.getpid():
                found.append((int(entry.name), command))
    return found


def wait_until_none_left(folder: Path, limit: float = 60.0) -> None:
    """Return when no process works in `folder` any more; AssertionError after `limit` seconds."""
    end = time.monotonic() + limit
    while left := processes(folder):
        assert time.monotonic() < end, f"still running: {left}"
        time.sleep(0.05)
