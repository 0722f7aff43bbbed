"""One party of a benchmark run: `python -m bench.party JOB`, one JSON line per benchmark."""

import contextlib
import importlib
import json
import resource
import sys
import time
from typing import Any

from bench.suite import run
from engine import event_loop
from engine.connect import connect
from engine.credentials import Credentials


async def _main(job: dict[str, Any]) -> None:
    # From the start of the process, imports included, to all parties connected.
    started = time.perf_counter() - time.process_time()
    async with contextlib.AsyncExitStack() as stack:
        mpc = await stack.enter_async_context(await _connected(job, job['main'], 0))
        ready = time.perf_counter() - started
        if not job['names'] or 'startup' in job['names']:
            startup = {'seconds': ready, 'cpu_seconds': time.process_time(), 'rounds': 0,
                       'bytes': 0, 'multiplications': 0}
            _say({'name': 'startup', 'n': len(job['addresses'][0]), 'runs': [startup],
                  'peak_rss_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})
        beside = {kind: await stack.enter_async_context(await _connected(job, kind, k))
                  for k, kind in enumerate(job['beside'], 1)}
        for benchmark in importlib.import_module(f'bench.{job["suite"]}_suite').suite():
            if job['names'] and benchmark.name not in job['names']:
                continue
            if job['sizes'] and str(benchmark.n) not in job['sizes']:
                continue
            _say(await run(mpc, benchmark, beside))


async def _connected(job, kind, place):
    """A runtime of a kind of connections and security: tls, plain or verified."""
    m = len(job['addresses'][place])
    credentials = None if kind == 'plain' else Credentials.folder(job['pid'], m, job['folder'])
    return await connect(
        pid=job['pid'], addresses=[tuple(a) for a in job['addresses'][place]],
        threshold=job['threshold'], idle_deadline=600.0, credentials=credentials,
        plain=kind == 'plain', verified=kind == 'verified')


def _say(result: dict[str, Any]) -> None:
    print(json.dumps(result), flush=True)


if __name__ == '__main__':
    event_loop.run(_main(json.loads(sys.argv[1])))
