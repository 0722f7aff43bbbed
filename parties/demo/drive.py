"""`sepc demo` from the first check of the data to the report.

The driver starts the organisations and then only watches: it proposes the job through the
initiator's node and reads what the nodes say on the bus. It does hold all the tables, to compute
the plaintext twin that the secure result is compared with, after the job and outside all parties.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parties.demo.console import Console
from parties.demo.document import build, read_outputs
from parties.demo.fleet import BROKER, NODE, Fleet
from parties.demo.setup import Run, new_folder, prepare
from parties.demo.view import STEPS, View
from parties.demo.watch import Watch
from parties.errors import LocalError
from parties.holdings import shape
from parties.identity import Directory
from parties.manifest import Manifest
from parties.measurement import measurement
from parties.proposal import credit_manifest


def command_started() -> float:
    """When this process began, on the monotonic clock: imports are part of what a user waits for.

    Where the system does not say, it is now.
    """
    try:
        ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        age = 0.0
    return time.monotonic() - age


@dataclass(frozen=True)
class Options:
    """What `sepc demo` was asked for. `started` is when, on the monotonic clock."""

    data: Path | None = None
    id_name: str = "company_id"
    label_name: str = "default"
    businesses: int = 10_000
    out: Path | None = None
    deadline: int = 600
    language: str = "en"
    parameters: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=command_started)


@dataclass(frozen=True)
class Program:
    """Which processes and which program run; tests of the demo itself put others in place."""

    node: Sequence[str] = NODE
    broker: Sequence[str] = BROKER
    manifest: Callable[..., Manifest] = credit_manifest
    plain: Callable[[Sequence[Any], dict[str, Any]], Any] | None = None
    parameters: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    document: Callable[[Watch, dict[str, Any], Any, dict[str, float]], dict[str, Any]] = build
    write: Callable[[dict[str, Any], Path, str], dict[str, str]] | None = None
    steps: Mapping[str, str] = field(default_factory=lambda: STEPS)


def run_demo(options: Options, program: Program | None = None) -> dict[str, Any]:
    """Run the whole demonstration; returns the report's document.

    Raises LocalError, with no process left, for everything that goes wrong on the way, and
    `parties.data.DataError` before anything starts if the data cannot be used.
    """
    return asyncio.run(_interruptible(options, program or Program()))


async def _interruptible(options: Options, program: Program) -> dict[str, Any]:
    """Run, but end in order on SIGINT, SIGTERM and at the deadline."""
    work = asyncio.create_task(_run(options, program))
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []

    def interrupt(number: signal.Signals) -> None:
        received.append(number)
        work.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt, number)
    try:
        left = options.deadline - (time.monotonic() - options.started)
        async with asyncio.timeout(left):
            return await work
    except asyncio.CancelledError:
        if not received:
            raise
        raise LocalError(
            "interrupted", f"the demo was interrupted by {received[0].name}", "run it again"
        ) from None
    except TimeoutError:
        raise LocalError(
            "deadline",
            f"the demo was not done in {options.deadline} s",
            "allow more with --deadline, or use less data",
        ) from None


async def _run(options: Options, program: Program) -> dict[str, Any]:
    with View(program.steps) as view:
        parameters = (program.parameters or _parameters)(options.parameters)
        tables, files, folder = await asyncio.to_thread(_read_data, options, view)
        clock = _Clock(options.started)
        run = prepare(folder, tables, files, move=options.data is None)
        try:
            manifest = program.manifest(
                inputs={table.name: shape(table) for table in tables},
                keys=run.keys,
                parameters=parameters,
                measurement=measurement(),
                now=time.time(),
                seconds=max(1, int(options.deadline - (time.monotonic() - options.started))),
            )
        except ValueError as exc:
            raise LocalError("parameters", str(exc), "correct the file of parameters") from None
        clock.lap("data")
        watch = await _compute(run, manifest, view, clock, program)
        _, receipt = watch.receipts[manifest.initiator]
        outputs = read_outputs(run.homes[manifest.initiator], manifest, receipt)
        view.say("computing the plaintext twin on the pooled rows, outside the parties")
        try:
            plain = await asyncio.to_thread(program.plain or _plain, tables, parameters)
        except ValueError as exc:
            raise LocalError(
                "plaintext", str(exc), "bring tables with more rows in common", step="plaintext"
            ) from None
        clock.lap("plaintext")
    document = program.document(watch, outputs, plain, clock.laps)
    return await asyncio.to_thread(
        _write_report, document, run.folder, clock, options.language, program.write
    )


async def _compute(
    run: Run, manifest: Manifest, view: View, clock: "_Clock", program: Program
) -> Watch:
    """The job itself: processes, bus, proposal, receipts; no process is left afterwards."""
    watch = Watch(manifest, view.refresh)
    fleet = Fleet(run, watch.reported, program.node, program.broker)
    console = Console(run.console, Directory(run.keys), watch.heard)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fleet.start())
            group.create_task(console.open())
        clock.lap("start")
        view.watch = watch
        command = {"command": "propose", "manifest": manifest.document()}
        await fleet.propose(manifest.initiator, json.dumps(command))
        await watch.outcome()
        clock.step("approve", until=max(watch.approved.values()))
    except BaseExceptionGroup as exc:
        ours = exc.subgroup(LocalError)
        raise (ours or exc).exceptions[0] from None
    finally:
        await asyncio.shield(_close(console, fleet))
    return watch


async def _close(console: Console, fleet: Fleet) -> None:
    await console.close()
    await fleet.stop()


def _read_data(options: Options, view: View) -> tuple[list[Any], dict[str, Path], Path]:
    """The checked tables (initiator first), their files, and the run folder."""
    from parties.data import load_folder

    if options.data is not None:
        # Everything that is wrong with the data shows before anything is created.
        tables = load_folder(options.data, options.id_name, options.label_name)
        folder, source = new_folder(options.out), options.data
    else:
        from parties.world import ID_NAME, LABEL_NAME, SEED, write_world

        folder = new_folder(options.out)
        source = folder / "world"
        view.say(f"generating {options.businesses} businesses per party, seed {SEED}")
        try:
            write_world(source, options.businesses, SEED)
        except ValueError as exc:
            shutil.rmtree(folder)  # made just now
            raise LocalError("businesses", str(exc), "ask for another number") from None
        tables = load_folder(source, ID_NAME, LABEL_NAME)
    files = {path.stem: path.absolute() for path in source.iterdir() if path.is_file()}
    return tables, files, folder


def _parameters(document: dict[str, Any]) -> dict[str, Any]:
    from models.parameters import CreditParameters

    try:
        return CreditParameters.from_json({**document}).to_json()
    except (ValueError, TypeError) as exc:
        raise LocalError("parameters", str(exc), "correct the file of parameters") from None


def _plain(tables: Sequence[Any], parameters: dict[str, Any]) -> dict[str, Any]:
    from models.parameters import CreditParameters
    from models.plain.credit import plain_credit

    return plain_credit(tables, CreditParameters.from_json(parameters))


def _write_report(
    document: dict[str, Any],
    folder: Path,
    clock: "_Clock",
    language: str,
    write: Callable[[dict[str, Any], Path, str], dict[str, str]] | None,
) -> dict[str, Any]:
    """Write the page and the document: `report.html` and `report.json`, or another pair."""
    from parties.report.render import write_report

    with contextlib.suppress(OSError):
        (folder / "world").rmdir()
    name = "report" if write is None else "study"
    document["report"] = {kind: str(folder / f"{name}.{kind}") for kind in ("html", "json")}
    document["seconds"]["total"] = clock.total()
    (write or write_report)(document, folder, language)
    return document


class _Clock:
    """Wall-clock seconds between one lap and the next."""

    def __init__(self, started: float) -> None:
        self._started = self._last = started
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name] = round(now - self._last, 3)
        self._last = now

    def step(self, name: str, until: float) -> None:
        """A lap that ended at `until`; what came since is told elsewhere."""
        self.laps[name] = round(until - self._last, 3)
        self._last = time.monotonic()

    def total(self) -> float:
        return round(time.monotonic() - self._started, 3)
