"""The MPC worker of one job at one party: `python -m parties.worker --job DIR`, or `--spare`.

A process of its own, because MPyC's runtime is process-wide and because a job that goes wrong
must not take its node with it. It reads `job.json`, gets the job's private key and, if this party
asks for some, the keys of its query on standard input (in a file they would outlive the job),
computes, and leaves `result.json` for its owner, and shares if the program keeps some.
A spare worker is ready before there is a job, and gets the job's folder as a first line.
Standard output carries one JSON line per event; the node relays those over the bus, and for that
reason no event, and no error, repeats a value of the data. The exception are answers of a session:
they are for the operator who asked, and the node relays no event of a session. Its requests come on
standard input, as further lines.
"""

import argparse
import asyncio
import base64
import contextlib
import gc
import json
import os
import resource
import secrets
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from pydantic import ValidationError

from engine.credentials import Credentials, job_key
from parties import canonical
from parties.errors import LocalError, PartiesError
from parties.lifeline import die_with_parent, on_end_of_input
from parties.manifest import Hex32, Manifest, PartyName, Port, Strict, explain
from parties.measurement import measurement
from parties.messages import Certificate
from parties.programs import PROGRAMS, Programs, find, imported

JOB_FILE = "job.json"
RESULT_FILE = "result.json"
PID_FILE = "worker.pid"
LOG_FILE = "worker.log"
CHECKPOINTS = "checkpoints"
Connect = Callable[..., Awaitable[Any]]


class Outside(Strict):
    """Where a party is met that does not compute, by its approval."""

    name: PartyName
    host: str
    port: Port
    certificate: Certificate


class Job(Strict):
    """`job.json`: the agreed manifest, this party's place in it, and the files that it reads.

    Addresses, keys and certificates are those of the parties that compute, in MPC order; `outside`
    are those of the others, as far as they have approved.
    """

    manifest: dict[str, Any]
    party: PartyName
    files: dict[str, str]
    addresses: tuple[tuple[str, Port], ...]
    peer_keys: tuple[Hex32, ...]
    certificates: tuple[Certificate, ...]
    outside: tuple[Outside, ...] = ()
    connect_deadline: float


@dataclass(frozen=True)
class Secrets:
    """What comes on standard input: the job's private key, and the keys of this party's query."""

    job_key: bytes
    keys: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        return "Secrets(...)"


class Events:
    """Writes events to the node and remembers which step the program is in."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.step = "load"

    def emit(self, event: str, **fields: Any) -> None:
        """One JSON line on what was standard output."""
        print(json.dumps({"event": event, **fields}), file=self._stream, flush=True)

    def progress(self, step: str, state: str) -> None:
        """The program's progress callback."""
        if state == "start":
            self.step = step
        self.emit("progress", step=step, state=state)


class Lines:
    """Lines that come on standard input while the job runs: dropped until a program takes them."""

    def __init__(self) -> None:
        self._taken: Callable[[bytes], object] = lambda line: None

    def put(self, line: bytes) -> None:
        """A line has come; called in the thread that reads them."""
        self._taken(line)

    def to(self, take: Callable[[bytes], object]) -> None:
        """From now on have the running event loop call `take` with each line."""
        loop = asyncio.get_running_loop()

        def passed_on(line: bytes) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the job with it
                loop.call_soon_threadsafe(take, line)

        self._taken = passed_on


async def run(
    folder: Path,
    given: Secrets,
    events: Events,
    programs: Programs,
    connect: Connect | None,
    lines: Lines,
) -> dict[str, Any]:
    """Run the job in `folder`; returns the fields of the closing event."""
    job, manifest = _read_job(folder)
    if manifest.measurement != measurement():
        raise LocalError(
            "measurement",
            "the code changed between approval and start",
            "restart the node and propose the job again",
        )
    program = find(programs, manifest.program.name, manifest.program.version)
    parameters = program.read_parameters(manifest.parameters)
    if job.party not in manifest.compute:
        assert program.outside is not None
        apart = imported(program.outside)
        result = await apart(folder, job, manifest, parameters, given.job_key, events.progress)
        return _closing(folder, result)
    function = program.load()
    bring = imported(program.bring)
    brought = bring(job.party, manifest, parameters, job.files, given.keys)
    if program.links is not None:
        brought |= imported(program.links)(folder, job, manifest, parameters, given.job_key)
    checkpoints = _checkpoints(folder, manifest) if program.checkpoints else None
    if checkpoints is not None:
        brought["checkpoints"] = checkpoints
    if program.serves:
        brought["requests"].report = events.emit
        lines.to(brought["requests"].take)
    events.progress("load", "done")
    events.progress("connect", "start")
    if connect is None:
        from engine.connect import connect as engine_connect
        from engine.warm import ensure

        # On a machine's first run one worker compiles the kernels and the others wait for it.
        await asyncio.to_thread(ensure)
        connect = engine_connect
    pid = manifest.compute.index(job.party)
    certificates = [base64.b64decode(text) for text in job.certificates]
    mpc = await connect(
        pid=pid,
        addresses=list(job.addresses),
        threshold=manifest.threshold,
        verified=manifest.verified,
        job_key=given.job_key,
        peer_keys=[bytes.fromhex(public) for public in job.peer_keys],
        credentials=Credentials.pinned(pid, certificates, job_key(given.job_key)),
        session=bytes.fromhex(manifest.sha256()),
        deadline=job.connect_deadline,
        # The node ends the job when the manifest expires; this is for a node that cannot.
        job_deadline=max(0.0, manifest.expires - time.time()) + 5.0,
    )
    events.progress("connect", "done")
    result = await function(
        mpc,
        parties=list(manifest.compute),
        parameters=parameters,
        progress=events.progress,
        **brought,
    )
    await mpc.shutdown()
    if program.keep is not None:
        imported(program.keep)(folder, manifest, result["keep"])
    closing = _closing(folder, result)
    if checkpoints is not None:
        checkpoints.clear()
    return closing


def _closing(folder: Path, result: dict[str, Any]) -> dict[str, Any]:
    """Leave the outputs for their owner; returns what the receipt says of them."""
    outputs = {"outputs": result["outputs"], "salt": secrets.token_hex(32)}
    _write_private(folder / RESULT_FILE, {**outputs, "steps": result["steps"]})
    return {"steps": result["steps"], "outputs_sha256": canonical.sha256(outputs)}


def _checkpoints(folder: Path, manifest: Manifest) -> Any:
    """Where the trainings keep their steps: in the folder of the job that was interrupted first."""
    from models.checkpoints import Checkpoints

    first = manifest.continues.job_id if manifest.continues else manifest.job_id
    return Checkpoints(folder.parent / first / CHECKPOINTS, manifest.work_sha256())


def peak_rss_mb() -> float:
    """The most memory this process has had resident, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)


def failure(
    exc: BaseException, manifest_names: tuple[str, ...], party: str, step: str
) -> dict[str, Any]:
    """Any exception as the structured error, without a word of an unforeseen message."""
    if hasattr(exc, "as_dict"):
        error = {**exc.as_dict()}
        culprit = error.get("party")
        # The engine knows parties by number.
        if culprit is not None and str(culprit).isdecimal() and int(culprit) < len(manifest_names):
            culprit = manifest_names[int(culprit)]
        return {**error, "party": culprit or party, "step": error.get("step") or step}
    place = traceback.extract_tb(exc.__traceback__)[-1] if exc.__traceback__ else None
    where = f" at {Path(place.filename).name}:{place.lineno}" if place else ""
    return LocalError(
        "worker_error",
        f"{type(exc).__name__}{where}",
        "this is a defect: the party's worker.log says where it happened",
        party=party,
        step=step,
    ).as_dict()


def _read_job(folder: Path) -> tuple[Job, Manifest]:
    try:
        job = Job.model_validate_json((folder / JOB_FILE).read_bytes())
        return job, Manifest.read(job.manifest)
    except (OSError, ValidationError) as exc:
        cause = exc.strerror if isinstance(exc, OSError) else explain(exc)
        raise LocalError("job_file", f"{folder / JOB_FILE}: {cause}", "start the node") from None


def _write_private(path: Path, document: dict[str, Any]) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(canonical.canonical(document))


def _read_lines(count: int) -> list[bytes]:
    """The first lines of standard input; the pipe stays open as the lifeline."""
    received, lines = bytearray(), 0
    while lines < count:
        piece = os.read(0, 1 << 20)
        if not piece:
            os._exit(1)
        received += piece
        lines += piece.count(b"\n")
    return bytes(received).split(b"\n")[:count]


def _read_secrets(key: bytes, keys: bytes) -> Secrets:
    """From the job key in hexadecimal digits, and `null` or the keys of a query as JSON."""
    asked = json.loads(keys)
    return Secrets(bytes.fromhex(key.decode()), None if asked is None else tuple(asked))


def _log_to(path: Path) -> None:
    """Have standard error, and what programs print, in a file of the job."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in (1, 2):
        os.dup2(handle, number)
    os.close(handle)


def _prepare() -> None:
    """Load what a query or a score needs, by answering nobody's within this process."""
    from engine.warm import ensure
    from models import serving
    from protocols import pir_program

    # What the job will be compared with is the code that is loaded now.
    measurement()
    ensure()
    import_module("parties.list_work")
    import_module("parties.model_work")
    import_module("parties.session_work")
    import_module("parties.data.registry")
    import_module("parties.data.reader")
    import_module("engine.connect")
    pir_program.rehearse()
    serving.rehearse()
    # Nobody waits for a look at all of that by the garbage collector in the middle of an answer.
    gc.collect()
    gc.freeze()


def main(
    arguments: list[str] | None = None,
    programs: Programs = PROGRAMS,
    connect: Connect | None = None,
) -> int:
    """Entry point. Exit status 0 with a closing `done` event, or 1 with an `error` event."""
    parser = argparse.ArgumentParser(prog="python -m parties.worker", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--job", type=Path)
    which.add_argument("--spare", action="store_true")
    chosen = parser.parse_args(arguments)
    die_with_parent()
    # A core file would hold shares and own data.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A program or library that prints must not be able to write events.
    events = Events(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)
    if chosen.spare:
        _prepare()
        path, *secret = _read_lines(3)
        folder = Path(path.decode())
        _log_to(folder / LOG_FILE)
    else:
        folder, secret = chosen.job, _read_lines(2)
    given, lines = _read_secrets(*secret), Lines()
    on_end_of_input(partial(os._exit, 1), lines.put)
    (folder / PID_FILE).write_text(str(os.getpid()))
    party = ""
    names: tuple[str, ...] = ()
    try:
        job, manifest = _read_job(folder)
        party, names = job.party, manifest.compute
        from engine import event_loop

        closing = event_loop.run(run(folder, given, events, programs, connect, lines))
    except Exception as exc:
        if not isinstance(exc, PartiesError):
            # Where, but not what: an unforeseen message may quote data.
            print(type(exc).__name__, file=sys.stderr)
            traceback.print_tb(exc.__traceback__)
        events.emit("error", error=failure(exc, names, party, events.step))
        return 1
    events.emit("done", peak_rss_mb=peak_rss_mb(), **closing)
    return 0


if __name__ == "__main__":
    sys.exit(main())
