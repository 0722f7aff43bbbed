"""`mpc` for programs run from the command line, with MPyC's options.

    python program.py -M4            four local parties (this one and three child processes)
    python program.py -P host0:port -P host1:port ... -I 1
    python program.py -C parties.ini -I 1        (looked up in .config/, as in MPyC)

`-T` sets the threshold, `-B` the base port, `--no-log` silences the log. The program's own
arguments stay in `sys.argv`. All parties compare a hash of the program file before they begin.
"""

import asyncio
import configparser
import hashlib
import logging
import os
import pathlib
import subprocess
import sys

from engine import warm
from engine._mpyc import argument_parser, install, make_options
from engine.errors import LocalProtocolError
from engine.event_loop import new_loop
from engine.runtime import Runtime
from engine.shamir import Geometry

_BASE_PORT = 11365


def setup() -> Runtime:
    """The runtime of this process, configured from the command line."""
    options, rest = argument_parser().parse_known_args()
    if options.HELP:
        argument_parser().print_help()
        sys.exit()
    argv, sys.argv = sys.argv, [sys.argv[0], *rest, *(['-h'] if options.help else [])]
    if options.ssl:
        raise LocalProtocolError('no-tls', '--ssl is not available in this version',
                                 remedy='run on loopback or inside a protected network')
    logging.basicConfig(format='{asctime} {message}', style='{', stream=sys.stdout,
                        level=logging.WARNING if options.no_log else logging.INFO)
    warm.ensure()
    addresses, own = _addresses(options)
    m = len(addresses)
    if own is None:
        own = 0
        if options.M and m > 1:
            _start_others(argv, m)
    if not 0 <= own < m:
        raise LocalProtocolError('bad-index', f'party index {own} of {m} parties',
                                 remedy=f'give -I between 0 and {m - 1}')
    geometry = Geometry(m, (m - 1) // 2 if options.threshold is None else options.threshold)
    options = make_options(geometry.t, options)
    options.addresses, options.deadline = addresses, 60.0
    options.program = _program_hash()
    if not options.no_uvloop:
        asyncio.set_event_loop(new_loop())
    runtime = Runtime(own, geometry, options)
    for party, (host, port) in zip(runtime.parties, addresses, strict=True):
        party.host, party.port = host, port
    if os.environ.get('SEPC_PROFILE'):
        runtime.profile = pathlib.Path(os.environ['SEPC_PROFILE'])
    install(runtime)
    return runtime


def _addresses(options):
    """(host, port) per party, and this party's index where it is known."""
    base, own = options.base_port or _BASE_PORT, options.index
    if options.config:
        config = configparser.ConfigParser()
        path = pathlib.Path('.config', options.config)
        if not config.read(path):
            raise LocalProtocolError('no-config', f'cannot read {path}',
                                     remedy='give an ini file with one section per party')
        raw = [(config.get(s, 'host', fallback=''), config.get(s, 'port', fallback=''))
               for s in config.sections()]
    elif options.parties:
        raw = [tuple(p.rsplit(':', 1)) if ':' in p else (p, '') for p in options.parties]
    else:
        return [('127.0.0.1', base + i) for i in range(options.M or 1)], own
    addresses = []
    for i, (host, port) in enumerate(raw):
        if not host and own is None:
            own = i
        if port and not (port.isdigit() and 0 < int(port) < 65536):
            raise LocalProtocolError('bad-port', f'port {port!r} of party {i}',
                                     remedy='give a number from 1 to 65535')
        addresses.append((host or 'localhost', int(port) if port and not options.base_port
                          else base + i))
    return addresses, own


def _start_others(argv, m):
    for i in range(m - 1, 0, -1):
        subprocess.Popen([sys.executable, *argv, '-I', str(i)], stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL if os.getenv('SEPC_QUIET') else None)


def _program_hash() -> bytes:
    path = getattr(sys.modules.get('__main__'), '__file__', None)
    content = pathlib.Path(path).read_bytes() if path and os.path.isfile(path) else b''
    return hashlib.sha256(content).digest()
