"""How many threads a matrix product may use: the cores that this party does not share.

Parties on one machine divide its cores, so four local ones on two cores use one thread each, and an
institution's server all of its cores. Results do not depend on it.
"""

import concurrent.futures
import os
import threading
import time
from collections.abc import Callable

_MOST = 32
_state: dict = {'count': 1, 'pool': None}


def divide_cores(parties: int) -> None:
    """From now on use this process's part of the cores that so many parties share."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    use(min(_MOST, (cores or 1) // parties))


def use(count: int) -> None:
    """From now on use so many threads, at least one."""
    if max(1, count) != _state['count']:
        _state.update(count=max(1, count), pool=None)


def count() -> int:
    """How many threads a matrix product may use."""
    return _state['count']


def spread(n: int, least: int, step: int, fn: Callable[[int, int], None]) -> None:
    """fn(lo, hi) for ranges that make up 0..n, at the same time where there are threads.

    No range but the last is shorter than `least`, and all but the last begin and end at multiples
    of `step`. Returns, or raises, when all have ended.
    """
    parts = min(count(), n // max(1, least))
    if parts < 2:
        fn(0, n)
        return
    size = -(-n // (parts * step)) * step
    first, *rest = [(lo, min(n, lo + size)) for lo in range(0, n, size)]
    if _state['pool'] is None:
        _state['pool'] = concurrent.futures.ThreadPoolExecutor(
            count() - 1, thread_name_prefix='product')
    others = [_state['pool'].submit(_timed, fn, *part) for part in rest]
    try:
        fn(*first)
    finally:
        concurrent.futures.wait(others)
    _elsewhere.seconds += sum(other.result() for other in others)


def cpu_time() -> float:
    """Seconds of processor time of this thread, and of others in `spread` on its behalf."""
    return time.thread_time() + _elsewhere.seconds


def _timed(fn, lo, hi):
    started = time.thread_time()
    fn(lo, hi)
    return time.thread_time() - started


class _Elsewhere(threading.local):
    seconds = 0.0


_elsewhere = _Elsewhere()
