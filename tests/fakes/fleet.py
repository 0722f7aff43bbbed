"""A broker and nodes as real processes, given orders as an operator gives them."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from fakes.runs import ROOT
from parties.cli import app
from parties.demo.setup import make_homes

NAMES = ("bank", "fintech", "government", "telecom")


class Fleet:
    """Nodes of `names` under `folder`, with `fields` of node.json; use it as a context manager.

    `modules` says which module runs as a node, where it is another than `parties.node_process`.
    """

    def __init__(
        self,
        folder: Path,
        fields: Mapping[str, Mapping[str, Any]] | None = None,
        modules: Mapping[str, str] | None = None,
        names: Sequence[str] = NAMES,
    ) -> None:
        self._modules, self._names = modules or {}, names
        self._run = make_homes(folder, {name: (fields or {}).get(name, {}) for name in names})
        self.homes = self._run.homes
        self._broker: subprocess.Popen[str] | None = None
        self._nodes: dict[str, subprocess.Popen[str]] = {}

    def __enter__(self) -> "Fleet":
        self._broker = self._start("parties.broker", "--config", str(self._run.broker_file))
        for name in self._names:
            self.start(name, wait=False)
        for name in self._names:
            self._wait_online(name)
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._nodes):
            self.stop(name)
        if self._broker is not None:
            self._broker.kill()
            self._broker.communicate()

    def start(self, name: str, wait: bool = True) -> None:
        """Start a node; returns when it is on the bus."""
        home = str(self.homes[name])
        module = self._modules.get(name, "parties.node_process")
        self._nodes[name] = self._start(module, "--home", home, "--supervised")
        if wait:
            self._wait_online(name)

    def stop(self, name: str) -> None:
        """Stop a node in order."""
        self._nodes.pop(name).communicate(timeout=30)

    def kill(self, name: str) -> None:
        """End a node as a power cut would."""
        node = self._nodes.pop(name)
        node.kill()
        node.communicate()

    def events(self, name: str, wanted: str) -> dict[str, Any]:
        """The node's next report of a kind of event."""
        output = self._nodes[name].stdout
        assert output is not None
        for line in output:
            event: dict[str, Any] = json.loads(line)
            if event["event"] == wanted:
                return event
        raise AssertionError(f"the node of {name} ended: {(self.homes[name] / 'node.log')}")

    def finished(self, name: str, job_id: str) -> None:
        """Return when a node has reported that a job ended well there, and has logged it."""
        event: dict[str, Any] = {}
        while (event.get("job_id"), event.get("state")) != (job_id, "finished"):
            event = self.events(name, "job")

    def sepc(self, name: str, *arguments: object) -> dict[str, Any]:
        """The document of a command that succeeds."""
        document = self.attempt(name, *arguments)
        assert document.keys() != {"error"}, document
        return document

    def attempt(self, name: str, *arguments: object) -> dict[str, Any]:
        """The document of `sepc ... --home HOME --json`; under "error" why it failed."""
        words = [*map(str, arguments), "--home", str(self.homes[name]), "--json"]
        result = CliRunner().invoke(app, words)
        document: dict[str, Any] = json.loads(result.stdout)
        failed = document.keys() == {"error"} or document.get("healthy") is False
        assert (result.exit_code != 0) == failed, result.output
        return document

    def _wait_online(self, name: str) -> None:
        self.events(name, "online")

    def _start(self, module: str, *arguments: str) -> subprocess.Popen[str]:
        log = (self._run.folder / "processes.log").open("a")
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        with log:
            return subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONPATH": path},
            )
