"""The command line of an MPC program: MPyC's options, and a few of this engine.

    -M m  -I i  -P host:port ...  -C file.ini  -T t  -B port  --ssl        as in MPyC
    --plain             bare TCP, for parties on this machine only
    --verified          verified mode (`engine.verified`)
    --check-inputs BITS every input is proven to be below 2^BITS units (with --verified)
    --connect-deadline, --idle-deadline, --job-deadline SECONDS

The program's own arguments stay in `sys.argv`.
"""

import argparse
import configparser
import logging
import math
import pathlib
import re
import sys
from importlib.metadata import version

from engine._mpyc import argument_parser
from engine.credentials import CONFIG
from engine.errors import LocalProtocolError

BASE_PORT = 11365
_LEVELS = {'n': logging.NOTSET, 'd': logging.DEBUG, 'i': logging.INFO, 'w': logging.WARNING,
           'e': logging.ERROR, 'c': logging.CRITICAL}


def own_parser() -> argparse.ArgumentParser:
    """The options that MPyC does not have. Never abbreviated: a program may have `--plan`."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    group = parser.add_argument_group('SEPC')
    group.add_argument('--plain', action='store_true', help='bare TCP, on this machine only')
    group.add_argument('--verified', action='store_true', help='check what the others send')
    group.add_argument('--check-inputs', type=int, choices=range(1, 64), metavar='bits',
                       help='prove that every input is below 2^bits units (with --verified)')
    for name, default, what in (('connect', 60.0, 'connecting'), ('idle', 120.0, 'every wait'),
                                ('job', None, 'the whole run')):
        group.add_argument(f'--{name}-deadline', type=_seconds, default=default, metavar='s',
                           help=f'seconds for {what}')
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f'{text!r} is not a number of seconds')
    return value


def read_command_line(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The runtime's options, and what is left for the program; may print and exit (-V, -H)."""
    own, rest = own_parser().parse_known_args(argv)
    options, rest = argument_parser().parse_known_args(rest, own)
    if options.VERSION:
        print(f'MPyC {version("mpyc")}')
        sys.exit()
    if options.HELP:
        argument_parser().print_help()
        own_parser().print_help()
        sys.exit()
    return options, [*rest, *(['-h'] if options.help else [])]


def log_level(options) -> int:
    """The level of messages, by the first letter of `--log-level` as in MPyC."""
    return logging.WARNING if options.no_log else \
        _LEVELS.get(options.log_level[:1].lower(), logging.NOTSET)


def read_addresses(options) -> tuple[list[tuple[str, int]], int | None]:
    """(host, port) per party, and this party's index where it is known.

    As in MPyC the own party may be the one without a host. Raises LocalProtocolError `no-config`,
    `bad-config` or `bad-port`.
    """
    base, own = options.base_port or BASE_PORT, options.index
    if options.config:
        raw = read_config(pathlib.Path(CONFIG, options.config))
    elif options.parties:
        raw = [split_address(address) for address in options.parties]
    else:
        count = 1 if options.M is None else options.M
        if count < 1:
            raise LocalProtocolError('bad-parties', f'-M {count}', remedy='give at least one party')
        raw = [('127.0.0.1', '')] * count
    if not raw:
        raise LocalProtocolError('bad-config', 'no parties', remedy='one section per party')
    addresses = []
    for i, (host, port) in enumerate(raw):
        if not host:
            own = i
        number = base + i if options.base_port or not port else _port(port, i)
        if not 0 < number < 65536:
            raise _bad_port(number, i)
        addresses.append((host or 'localhost', number))
    return addresses, own


def split_address(address: str) -> tuple[str, str]:
    """'host:port', '[v6]:port', 'host' or ':port' as host and port."""
    match = re.fullmatch(r'\[([^\]]*)\](?::(.*))?', address)
    if match:
        return match[1], match[2] or ''
    host, _, port = address.rpartition(':') if ':' in address else (address, '', '')
    return host, port


def read_config(path: pathlib.Path) -> list[tuple[str, str]]:
    """Host and port of every section of an ini file."""
    config = configparser.ConfigParser(interpolation=None)
    try:
        text = path.read_text('utf-8')
    except (OSError, ValueError) as exc:
        raise LocalProtocolError('no-config', f'cannot read {path}: '
                                 f'{getattr(exc, "strerror", None) or "not a text"}',
                                 remedy='give an ini file with one section per party') from None
    try:
        config.read_string(text)
    except configparser.Error as exc:
        raise LocalProtocolError('bad-config', f'{path}: {type(exc).__name__}',
                                 remedy='one section per party, with host and port') from None
    return [(config.get(s, 'host', fallback='').strip(), config.get(s, 'port', fallback='').strip())
            for s in config.sections()]


def _port(text: str, party: int) -> int:
    if not re.fullmatch(r'[0-9]{1,5}', text):
        raise _bad_port(text, party)
    return int(text)


def _bad_port(port, party):
    return LocalProtocolError('bad-port', f'port {str(port)[:20]!r} of party {party}',
                              remedy='give a number from 1 to 65535')
