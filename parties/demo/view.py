"""Live progress on standard error: a table of steps by parties; plain lines if no terminal."""

import sys
import time
from collections.abc import Mapping
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from parties.demo.watch import Watch

STEPS = {
    "approve": "approve",
    "load": "read own data",
    "connect": "connect",
    "join": "join rows",
    "woe_iv": "WOE and IV",
    "select": "select features",
    "train_joint": "train, joint",
    "train_bank": "train, bank alone",
    "evaluate": "evaluate",
    "scorecard": "scorecard",
    "open": "open results",
}


class View:
    """Shows a `Watch`. Use it as a context manager; `refresh` is cheap."""

    def __init__(self, steps: Mapping[str, str] = STEPS) -> None:
        self.watch: Watch | None = None
        self._steps = steps
        self._began = time.monotonic()
        self._console = Console(file=sys.stderr, highlight=False)
        self._live = Live(
            console=self._console,
            get_renderable=self._table,
            refresh_per_second=8,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._said: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """One line of narration."""
        self._console.print(text, style="dim")

    def refresh(self) -> None:
        """Something changed: without a terminal, say which step began or ended everywhere."""
        if self._console.is_terminal or self.watch is None:
            return
        names = self.watch.manifest.names
        for step, title in self._steps.items():
            for word, times in (("started", self.watch.began), ("done", self.watch.ended)):
                parties = sum((name, step) in times for name in names)
                complete = parties == len(names) if word == "done" else parties > 0
                if complete and (step, word) not in self._said:
                    self._said.add((step, word))
                    self.say(f"[{time.monotonic() - self._began:6.1f} s] {title}: {word}")

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 2), header_style="bold")
        table.add_column(f"{time.monotonic() - self._began:5.0f} s")
        if self.watch is None:
            table.add_row("starting the bus and the nodes")
            return table
        for name in self.watch.manifest.names:
            table.add_column(name, justify="right")
        for step, title in self._steps.items():
            table.add_row(
                title, *(self._cell(self.watch, name, step) for name in self.watch.manifest.names)
            )
        return table

    @staticmethod
    def _cell(watch: Watch, name: str, step: str) -> Text:
        if step == "approve":
            return Text("✓", style="green") if name in watch.approved else Text("·", style="dim")
        began, ended = watch.began.get((name, step)), watch.ended.get((name, step))
        if began is None:
            return Text("·", style="dim")
        if ended is not None:
            return Text(f"✓ {ended - began:.1f} s", style="green")
        if name in watch.stopped or name in watch.gone:
            return Text("stopped", style="red")
        return Text(f"{time.monotonic() - began:.1f} s", style="yellow")
