"""`mpc` for programs run from the command line, with MPyC's options.

    python program.py -M4            four local parties (this one and three child processes)
    python program.py -P host0:port -P host1:port ... -I 1 --ssl
    python program.py -C parties.ini -I 1        (looked up in .config/, as in MPyC)

All connections are TLS 1.3. With `-M` the first party makes certificates for all; with `--ssl` they
are those in `.config` (`engine.credentials`); without, the parties must be on this machine, and
nothing proves which is which. All parties compare a hash of the program file before they begin.
"""

import asyncio
import atexit
import hashlib
import logging
import os
import pathlib
import subprocess
import sys
import tempfile

from engine import warm
from engine._mpyc import install, make_options
from engine.connect import check_protection
from engine.credentials import ENVIRONMENT, Credentials, write_pinned
from engine.errors import EngineError, LocalProtocolError, PeerLost
from engine.event_loop import new_loop
from engine.options import log_level, read_addresses, read_command_line
from engine.runtime import Runtime
from engine.shamir import Geometry, largest_threshold


def setup() -> Runtime:
    """The runtime of this process, configured from the command line."""
    options, rest = read_command_line(sys.argv[1:])
    argv, sys.argv = sys.argv, [sys.argv[0], *rest]
    logging.basicConfig(format='{asctime} {message}', style='{', stream=sys.stdout,
                        level=log_level(options))
    addresses, own = read_addresses(options)
    m = len(addresses)
    alone = own is None
    own = own or 0
    if not 0 <= own < m:
        raise LocalProtocolError('bad-index', f'party index {own} of {m} parties',
                                 remedy=f'give -I between 0 and {m - 1}')
    threshold = options.threshold if options.threshold is not None else \
        largest_threshold(m, options.verified)
    geometry = Geometry(m, threshold, options.verified)
    folder = os.environ.get(ENVIRONMENT)
    local = _Local(options, m) if alone and options.M and m > 1 else None
    if local is not None and not options.ssl:
        folder = local.folder
    credentials = _credentials(options, own, m, folder)
    check_protection(addresses, credentials, options.plain)
    warm.ensure()
    if local is not None:
        local.start(argv)
    at_once = m == 1 and (options.no_async or not (options.M or options.parties or options.config))
    options = make_options(geometry.t, options)
    options.no_async = at_once
    options.addresses, options.credentials = addresses, credentials
    # Remote parties reach this one at whatever address this machine has.
    options.everywhere = options.ssl and not options.M
    options.watch = None if local is None else local.ended_early
    options.connected = None if local is None else local.forget_keys
    options.program = _program_hash()
    if not options.no_uvloop:
        asyncio.set_event_loop(new_loop())
    runtime = Runtime(own, geometry, options, idle_deadline=options.idle_deadline)
    runtime.check_inputs = options.check_inputs
    if local is not None:
        local.runtime = runtime
    for party, (host, port) in zip(runtime.parties, addresses, strict=True):
        party.host, party.port = host, port
    if os.environ.get('SEPC_PROFILE'):
        runtime.profile = pathlib.Path(os.environ['SEPC_PROFILE'])
    install(runtime)
    return runtime


def _credentials(options, own, m, folder) -> Credentials | None:
    if options.plain and options.ssl:
        raise LocalProtocolError('plain-and-tls', '--plain and --ssl exclude each other',
                                 remedy='give one of them')
    if options.plain or m == 1:
        return None
    if options.ssl:
        return Credentials.authority(own)
    return Credentials.folder(own, m, folder) if folder else Credentials.unproven()


class _Local:
    """The other parties of `-M`, as child processes, with certificates for all of them."""

    def __init__(self, options, m: int):
        self._options, self._m = options, m
        self._directory = tempfile.TemporaryDirectory(prefix='sepc-')
        self._children: list[subprocess.Popen] = []
        self.folder = self._directory.name
        self.runtime: Runtime | None = None
        if not (options.plain or options.ssl):
            write_pinned(self.folder, m)

    def start(self, argv) -> None:
        """Start them as this process was started."""
        atexit.register(self._clean_up)
        environment = {**os.environ, ENVIRONMENT: self.folder}
        python = [sys.executable, *subprocess._args_from_interpreter_flags()]  # type: ignore
        for i in range(self._m - 1, 0, -1):
            command = [*python, *argv, '-I', str(i)]
            if self._options.output_windows:
                command = _in_window(command)
            if self._options.output_file:
                with open(f'party{self._m}_{i}.log', 'a') as file:
                    file.write(f'\n$> {" ".join(command)}\n')
                    file.flush()
                    child = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT,
                                             env=environment)
            else:
                child = subprocess.Popen(
                    command, stdout=subprocess.DEVNULL, env=environment,
                    stderr=subprocess.DEVNULL if os.getenv('SEPC_QUIET') else None)
            self._children.insert(0, child)

    def ended_early(self) -> EngineError | None:
        """Why connecting is hopeless: a child has ended already."""
        for i, child in enumerate(self._children, 1):
            status = None if self._options.output_windows else child.poll()
            if status:
                return PeerLost('peer-ended', f'the process of party {i} has ended with exit '
                                f'status {status}', party=i, remedy='see its own error')
        return None

    def forget_keys(self) -> None:
        """Everybody has connected, and so has read its key: remove the files."""
        self._directory.cleanup()

    def _clean_up(self):
        """No child outlives a run that has failed, or has never begun."""
        runtime = self.runtime
        if runtime is None or runtime._failure is not None or not hasattr(runtime, 'randomness'):
            for child in self._children:
                try:
                    child.wait(5.0)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
        self._directory.cleanup()


def _in_window(command: list[str]) -> list[str]:
    """The command in a terminal window of its own, as MPyC opens them."""
    if sys.platform == 'darwin':
        return ['osascript', '-e',
                f'tell application "Terminal" to do script "{" ".join(command)}"']
    return ['gnome-terminal', '--wait', '--', *command]


def _program_hash() -> bytes:
    path = getattr(sys.modules.get('__main__'), '__file__', None)
    content = pathlib.Path(path).read_bytes() if path and os.path.isfile(path) else b''
    return hashlib.sha256(content).digest()
