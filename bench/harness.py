"""Run a suite with real parties: one process each, on loopback, and one document of results.

All connections are TLS unless told otherwise. `run_suite` starts the parties, waits for all within
a deadline and merges what they measured: seconds and memory are the greatest over the parties,
bytes the average, rounds are the same at all.
A calibration loop (a NumPy pass over a fixed array) says how fast the machine was meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from engine import tls
from engine.credentials import write_pinned
from engine.shamir import largest_threshold

SUITES = ('engine', 'graph', 'join', 'models', 'pir', 'stats')
KINDS = ('tls', 'plain', 'verified')


class BenchError(Exception):
    """A benchmark run that failed; the message names the party and its last words.

    `results` are those of the benchmarks that had ended by then.
    """

    def __init__(self, message: str, results: list[dict[str, Any]] | None = None):
        super().__init__(message)
        self.results = results or []


@contextlib.contextmanager
def free_ports(count: int) -> Iterator[list[int]]:
    """Loopback ports for listeners that allow reuse, as asyncio's servers do.

    On Linux they are held until the end, so that nothing else takes one before its listener is
    there, not even a connection that somebody opens. Other systems let no listener bind beside.
    """
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(('127.0.0.1', 0))
        ports = [s.getsockname()[1] for s in sockets]
        for s in sockets:
            if sys.platform.startswith('linux'):
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            else:
                s.close()
        yield ports


def calibrate() -> float:
    """Seconds of a fixed piece of work: multiply-add passes over 16 MB of words."""
    x = np.arange(1 << 21, dtype=np.uint64)
    started = time.perf_counter()
    for _ in range(40):
        x = x * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
    return time.perf_counter() - started


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {'processor': platform.processor() or platform.machine(), 'cores': os.cpu_count(),
            'python': platform.python_version(), 'system': platform.platform(),
            'tls': tls.VERSION, 'calibration_seconds': round(calibrate(), 3)}


def run_suite(suite: str, *, parties: int = 4, threshold: int | None = None,
              names: list[str] | None = None, sizes: list[str] | None = None,
              deadline: float = 1800.0, main: str = 'tls',
              beside: tuple[str, ...] | None = None) -> dict[str, Any]:
    """{"machine": ..., "results": [...]} of a suite; `names` and `sizes` select benchmarks.

    `main` is the kind of runtime that is measured: `tls`, `plain` (bare TCP) or `verified` (TLS and
    verified mode). Those of `beside` are measured along with it, in the same processes, on all
    benchmarks that take seconds at most; `plain` with `tls` unless told otherwise. Raises
    BenchError when a party fails or the deadline (seconds) passes.
    """
    from engine.warm import ensure

    if suite not in SUITES:
        raise BenchError(f'no suite {suite!r}, expected one of {", ".join(SUITES)}')
    if beside is None:
        beside = ('plain',) if main == 'tls' else ()
    if threshold is None:
        threshold = largest_threshold(parties, 'verified' in (main, *beside))
    for kind in (main, *beside):
        if kind not in KINDS:
            raise BenchError(f'no runtime {kind!r}, expected one of {", ".join(KINDS)}')
    ensure()
    with tempfile.TemporaryDirectory(prefix='sepc-') as folder, \
            free_ports(parties * (1 + len(beside))) as ports:
        write_pinned(folder, parties)
        job = {'suite': suite, 'threshold': threshold, 'names': names, 'sizes': sizes,
               'folder': folder, 'main': main, 'beside': beside,
               'addresses': [[['127.0.0.1', port] for port in ports[k::1 + len(beside)]]
                             for k in range(1 + len(beside))]}
        outputs = [pathlib.Path(folder, f'results_{pid}') for pid in range(parties)]
        failure = _failure(job, outputs, deadline)
        # A run that failed may have left the last line with some parties only, or half of it.
        lines = [out.read_text().split('\n')[:-1] for out in outputs]
    results = [_merged([json.loads(line) for line in rows], parties, threshold, main)
               for rows in zip(*lines, strict=failure is None)]
    if failure is not None:
        raise BenchError(failure, results)
    return {'machine': machine(), 'results': results}


def _failure(job, outputs, deadline):
    """Run the parties, each with an output of its own; what went wrong, or None."""
    until = time.perf_counter() + deadline
    with contextlib.ExitStack() as stack:
        workers = []
        for pid, path in enumerate(outputs):
            out = stack.enter_context(path.open('w'))
            workers.append(subprocess.Popen(
                [sys.executable, '-m', 'bench.party', json.dumps({**job, 'pid': pid})],
                stdout=out, stderr=subprocess.PIPE, text=True))
            stack.callback(_end, workers[-1])
        try:
            for pid, worker in enumerate(workers):
                _, err = worker.communicate(timeout=max(1.0, until - time.perf_counter()))
                if worker.returncode:
                    return f'party {pid} failed: {err.strip()[-600:]}'
        except subprocess.TimeoutExpired:
            return f'not all benchmarks ended within {deadline:g} s; choose some with --names ' \
                   'and --sizes, or give more time with --deadline'
        return None


def _end(worker):
    worker.kill()
    worker.wait()


def _typical(every_partys_runs):
    """The run whose slowest party is the median one: one row per party."""
    runs = list(zip(*every_partys_runs, strict=True))
    return sorted(runs, key=lambda run: max(r['seconds'] for r in run))[len(runs) // 2]


def _merged(rows, parties, threshold, main):
    """One result from all parties' rows."""
    run = _typical([r['runs'] for r in rows])
    others = {}
    for kind in rows[0].get('beside', {}):
        other = _typical([r['beside'][kind] for r in rows])
        others[f'seconds_{kind}'] = round(max(r['seconds'] for r in other), 4)
        others[f'cpu_seconds_per_party_{kind}'] = round(
            sum(r['cpu_seconds'] for r in other) / parties, 4)
        if kind == 'verified':
            others['bytes_per_party_verified'] = round(sum(r['bytes'] for r in other) / parties)
            others['rounds_verified'] = max(r['rounds'] for r in other)
    return {'name': rows[0]['name'], 'n': rows[0]['n'], 'parties': parties,
            'threshold': threshold, 'transport': 'plain' if main == 'plain' else 'tls',
            'verified': main == 'verified',
            'seconds': round(max(r['seconds'] for r in run), 4), **others,
            'cpu_seconds_per_party': round(sum(r['cpu_seconds'] for r in run) / parties, 4),
            'bytes_per_party': round(sum(r['bytes'] for r in run) / parties),
            'rounds': max(r['rounds'] for r in run),
            'multiplications': max(r['multiplications'] for r in run),
            'peak_rss_mb': round(max(r['peak_rss_mb'] for r in rows), 1)}


def compare_mpyc(parties: int = 4, threshold: int | None = None, size: int = 2000,
                 deadline: float = 600.0) -> dict[str, Any]:
    """Seconds per element of stock MPyC's products beside ours, and their ratio, in one run.

    MPyC is measured at `size` elements (it is linear in that range and would take minutes at 10^5),
    ours at 10^6.
    """
    threshold = (parties - 1) // 2 if threshold is None else threshold
    ours = run_suite('engine', parties=parties, threshold=threshold,
                     names=['multiply_fixed', 'multiply_int'], sizes=['1000000'],
                     deadline=deadline)
    with free_ports(1) as [base]:
        command = [sys.executable, '-m', 'bench.stock_mpyc', str(size), f'-M{parties}',
                   f'-T{threshold}', '--no-log', '-B', str(base)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=deadline,
                              check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith('{')]
    if done.returncode or not lines:
        raise BenchError(f'stock MPyC failed: {done.stderr.strip()[-600:]}')
    stock = json.loads(lines[-1])
    rows = []
    for result in ours['results']:
        mine = result['seconds'] / int(result['n'])
        theirs = stock['seconds'][result['name']] / stock['n']
        rows.append({'name': result['name'], 'parties': parties, 'threshold': threshold,
                     'ours_n': result['n'], 'ours_seconds_per_element': mine,
                     'mpyc_n': stock['n'], 'mpyc_seconds_per_element': theirs,
                     'ratio': round(theirs / mine)})
    return {'machine': ours['machine'], 'results': ours['results'], 'comparison': rows}
