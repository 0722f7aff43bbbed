"""One party of a benchmark run: `python -m bench.party JOB`, one JSON line per benchmark."""

import importlib
import json
import resource
import sys
import time
from typing import Any

from bench.suite import run
from engine import event_loop
from engine.connect import connect


async def _main(job: dict[str, Any]) -> None:
    # From the start of the process, imports included, to all parties connected.
    started = time.perf_counter() - time.process_time()
    mpc = await connect(pid=job['pid'], addresses=[tuple(a) for a in job['addresses']],
                        threshold=job['threshold'], idle_deadline=600.0)
    async with mpc:
        ready = time.perf_counter() - started
        if not job['names'] or 'startup' in job['names']:
            startup = {'seconds': ready, 'cpu_seconds': time.process_time(), 'rounds': 0,
                       'bytes': 0, 'multiplications': 0}
            _say({'name': 'startup', 'n': len(job['addresses']), 'runs': [startup],
                  'peak_rss_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})
        for benchmark in importlib.import_module(f'bench.{job["suite"]}_suite').suite():
            if job['names'] and benchmark.name not in job['names']:
                continue
            if job['sizes'] and str(benchmark.n) not in job['sizes']:
                continue
            _say(await run(mpc, benchmark))


def _say(result: dict[str, Any]) -> None:
    print(json.dumps(result), flush=True)


if __name__ == '__main__':
    event_loop.run(_main(json.loads(sys.argv[1])))
