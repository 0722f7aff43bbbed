"""The protocol profiler: what a program costs, operation by operation, and what it would take
on other networks.

`profile_program` runs an MPC program with real local parties and collects every party's meter:
rounds, bytes, products, time in kernels and wall time per call path, the predicted rounds and bytes
beside the measured ones. `project` extrapolates to a network: the run that was measured, plus one
delay per message of connecting and per sequential round, plus the busiest party's bytes at the
given rate. It does not model TCP's congestion control: docs/benchmarks.md has what that adds.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bench.harness import BenchError, free_ports
from engine.credentials import ENVIRONMENT, write_pinned
from engine.shamir import STATISTICAL_SECURITY


@dataclass(frozen=True)
class Network:
    """Bits per second of each party's link, and the delay of a message in seconds."""

    name: str
    bandwidth: float
    delay: float


CONNECTING = 7
"""Sequential messages before the first round: two of TCP's, three of TLS 1.3, hello, keys."""
NETWORKS = (Network('LAN', 10e9, 0.0002), Network('metro', 1e9, 0.002), Network('WAN', 100e6, 0.04))


def profile_program(program: str, arguments: Iterable[str] = (), *, parties: int = 4,
                    threshold: int | None = None, deadline: float = 600.0,
                    prefix: Iterable[list[str]] | None = None,
                    addresses: list[str] | None = None) -> dict[str, Any]:
    """Run `program` once and return its profile document.

    `prefix` gives a command to put before each party's (to start it in a network namespace), with
    `addresses` (host:port) to match; by default all parties are on loopback. Raises BenchError
    when a party fails or the deadline (seconds) passes.
    """
    if not pathlib.Path(program).is_file():
        raise BenchError(f'no program {program!r}: give the path of a Python file')
    if addresses is None:
        with free_ports(parties) as ports:
            return profile_program(program, arguments, parties=parties, threshold=threshold,
                                   deadline=deadline, prefix=prefix,
                                   addresses=[f'127.0.0.1:{port}' for port in ports])
    before = list(prefix) if prefix is not None else [[] for _ in addresses]
    places = [part for a in addresses for part in ('-P', a)]
    limit = [] if threshold is None else ['-T', str(threshold)]
    with tempfile.TemporaryDirectory() as folder, \
            tempfile.TemporaryDirectory(prefix='sepc-') as certificates:
        write_pinned(certificates, len(addresses))
        environment = {**os.environ, 'SEPC_PROFILE': folder, ENVIRONMENT: certificates}
        workers = [subprocess.Popen([*before[i], sys.executable, program, *arguments, *places,
                                     '-I', str(i), *limit, '--no-log'], env=environment,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                   for i in range(len(addresses))]
        try:
            for i, worker in enumerate(workers):
                _, err = worker.communicate(timeout=deadline)
                if worker.returncode:
                    raise BenchError(f'party {i} of {program} failed: {err.strip()[-600:]}')
        except subprocess.TimeoutExpired:
            raise BenchError(f'{program} did not end within {deadline:g} s') from None
        finally:
            for worker in workers:
                if worker.poll() is None:
                    worker.kill()
        files = sorted(pathlib.Path(folder).glob('party_*.json'))
        if len(files) != len(addresses):
            raise BenchError(f'{program} ended without mpc.shutdown(): '
                             'start and end it with `async with mpc:`')
        return _merge([json.loads(f.read_text()) for f in files])


def _merge(profiles):
    m = len(profiles)
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for profile in profiles:
        for entry in profile['paths']:
            row = rows.setdefault(tuple(entry['path']), {
                'path': entry['path'], 'calls': 0, 'rounds': 0, 'predicted_rounds': 0,
                'total_bytes': 0, 'predicted_total_bytes': 0, 'multiplications': 0,
                'cpu_seconds': 0.0, 'seconds': 0.0})
            row['total_bytes'] += entry['bytes_sent']
            row['cpu_seconds'] += entry['cpu_seconds'] / m
            for key in ('calls', 'rounds', 'predicted_rounds', 'predicted_total_bytes',
                        'multiplications', 'seconds'):
                row[key] = max(row[key], entry[key])
    first = profiles[0]
    document = {'parties': first['m'], 'threshold': first['t'],
                'statistical_security': STATISTICAL_SECURITY,
                'rounds': max(p['rounds'] for p in profiles),
                'seconds': max(p['seconds'] for p in profiles),
                'cpu_seconds_per_party': sum(p['total']['cpu_seconds'] for p in profiles) / m,
                'bytes_per_party': sum(p['total']['bytes_sent'] for p in profiles) / m,
                'most_bytes': max(p['total']['bytes_sent'] for p in profiles),
                'operations': [r for r in sorted(rows.values(), key=lambda r: r['path'])
                               if r['calls']]}
    document['projection'] = {n.name: project(document, n) for n in NETWORKS}
    return document


def project(document: dict[str, Any], network: Network) -> float:
    """Seconds that the profiled run would take on a network."""
    return float(document['seconds'] + (CONNECTING + document['rounds']) * network.delay
                 + 8 * document['most_bytes'] / network.bandwidth)


def print_profile(document: dict[str, Any]) -> None:
    """The profile as a tree on the terminal."""
    from rich.console import Console

    from bench.tables import table_of

    table = table_of(['operation'], [
        'calls', 'rounds', 'predicted', 'bytes, all', 'predicted', 'products', 'CPU s', 'wall s'],
        f'{document["parties"]} parties, threshold {document["threshold"]}')
    open_sections: tuple[str, ...] = ()
    for row in document['operations']:
        *sections, name = row['path']
        if tuple(sections) != open_sections:
            open_sections = tuple(sections)
            for depth, section in enumerate(sections):
                table.add_row('  ' * depth + section)
        known = row['predicted_rounds'] or row['predicted_total_bytes'] or not row['total_bytes']
        table.add_row('  ' * len(sections) + name, f'{row["calls"]}', f'{row["rounds"]}',
                      f'{row["predicted_rounds"]}' if known else '-', f'{row["total_bytes"]:,}',
                      f'{row["predicted_total_bytes"]:,}' if known else '-',
                      f'{row["multiplications"]:,}', f'{row["cpu_seconds"]:.3f}',
                      f'{row["seconds"]:.3f}')
    console = Console()
    console.print(table)
    console.print(f'{document["seconds"]:.2f} s, {document["bytes_per_party"] / 1e6:.2f} MB sent '
                  f'per party, {document["rounds"]} sequential rounds, every masked opening '
                  f'within 2^-{document["statistical_security"]}')
    for name, seconds in document['projection'].items():
        console.print(f'projected on {name}: {seconds:.2f} s')
