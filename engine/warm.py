"""Compile the kernels once per machine, before parties start.

Numba compiles a kernel on its first call and caches the machine code beside the source. Four
parties that start together would each compile everything; `ensure` lets one process do it under a
lock, says so in one line, and is a quick look at a stamp file afterwards.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import platform
import sys
import time
from importlib.metadata import version

from engine.kernel import fingerprint

_LONGEST = 1200
"""Seconds within which all kernels are compiled, or never will be."""


def ensure(stream=sys.stderr) -> None:
    """Make sure that compiled kernels are cached; others wait for the process that compiles."""
    stamp = _stamp()
    if stamp.exists():
        return
    with contextlib.suppress(OSError), open(stamp.with_suffix('.lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists():
            print('compiling the arithmetic kernels once for this machine ...', file=stream,
                  flush=True)
            started = time.perf_counter()
            compile_all()
            stamp.touch()
            print(f'compiled in {time.perf_counter() - started:.0f} s', file=stream, flush=True)


def _stamp() -> pathlib.Path:
    """Stamp file of this source and this compiler. (Imports nothing heavy: it is asked often.)"""
    here = pathlib.Path(__file__).parent
    digest = hashlib.sha256(f'{fingerprint()} {version("numba")} {platform.python_version()} '
                            f'{platform.machine()}'.encode())
    folder = here / '__pycache__'
    try:
        folder.mkdir(exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        folder = pathlib.Path(os.environ.get('XDG_CACHE_HOME', '~/.cache')).expanduser() / 'sepc'
        folder.mkdir(parents=True, exist_ok=True)
    return folder / f'kernels-{digest.hexdigest()[:16]}.ready'


def compile_all() -> None:
    """Call every kernel once, through two small computations of parties in this process."""
    import numpy as np

    from engine import field, field_kernels
    from engine.cluster import run_cluster
    from engine.permutation import random_order
    from engine.waves import waves

    def series(mpc, x):
        return waves(mpc, [x], lambda share: share, x.shape, 24, {1: 1.0})

    async def program(mpc):
        x = mpc.input(mpc.array(np.linspace(-1, 1, 6).reshape(3, 2)), senders=0)
        big = mpc.array(np.zeros((64, 1100), np.int64))
        y = x.T @ x + mpc.sigmoid(x[:2]) * 0.5 - x[:2] * x[:2]
        parts = [y @ np.ones((2, 2)), mpc.shuffle(x), mpc.log(x * x + 1.0), x.ravel().cumsum(),
                 x.sum(0), -x, x.T @ x[:, 0], big @ big.T, big @ big[0],
                 big.T @ big[:, 0], x < 0,
                 mpc.product('multiply', [series(mpc, x)], lambda s: s, x.shape, 0, 32)]
        await mpc.output(parts)

    async def checked(mpc):
        x = mpc.input(mpc.array(np.zeros((3, 2))), senders=0)
        await mpc.output([mpc.shuffle(x), x < 0])

    # To Numba, memory that must not be written, as of received bytes, is another type.
    words = np.frombuffer(160 * b'\1', np.uint64)
    random_order(lambda count: words[:count], 3)
    field_kernels.add_masks(words.reshape(10, 2), field.table([0]),
                            np.zeros((1, 10, 2), np.uint64), field.table([1]), 1,
                            np.uint64(1), np.empty((10, 2), np.uint64))
    # On a busy machine a kernel may take as long as a party may be silent.
    run_cluster(program, 3, idle_deadline=_LONGEST, deadline=_LONGEST)
    run_cluster(checked, 4, verified=True, idle_deadline=_LONGEST, deadline=_LONGEST)


if __name__ == '__main__':
    ensure()
