"""An in-process cluster: m parties as tasks of one event loop, for tests and notebooks.

    from engine.cluster import run_cluster

    async def program(mpc):
        x = mpc.input(mpc.array([1.5, 2.5]), senders=0)
        return await mpc.output(x * x)

    results = run_cluster(program, m=4)        # one result per party

The parties are the real ones: the same runtime, operations, frames and event loop, on links in
memory. `tap` sees every frame (source, target, frame, payload) and returns the list to deliver, so
a test can record, change, drop or repeat traffic.
"""

import asyncio
import os

from engine import event_loop
from engine.runtime import Runtime
from engine.shamir import Geometry, largest_threshold
from engine.transport import MemoryLink
from engine.verified import agree_on_keys


def make_runtimes(m: int, t: int | None = None, tap=None, idle_deadline: float = 120.0,
                  session: bytes | None = None, verified: bool = False) -> list[Runtime]:
    """Connected runtimes of m parties in the running event loop."""
    g = Geometry(m, largest_threshold(m, verified) if t is None else t, verified)
    session = session or os.urandom(32)
    runtimes = [Runtime(i, g, session=session, idle_deadline=idle_deadline) for i in range(m)]
    links: list[dict] = [{} for _ in range(m)]
    pairs = {}
    label = int.from_bytes(session[:8], 'little')
    for i in range(m):
        for j in range(i + 1, m):
            a, b = MemoryLink(i, j, tap, label), MemoryLink(j, i, tap, label)
            a.other, b.other = b, a
            links[i][j], links[j][i] = a, b
            pairs[i, j] = pairs[j, i] = os.urandom(32)
    set_keys = [os.urandom(32) for _ in g.sets]
    for i, rt in enumerate(runtimes):
        rt.adopt(links[i], {k: set_keys[k] for k in g.sets_of(i)},
                 {j: pairs[i, j] for j in range(m) if j != i}, os.urandom(32))
    return runtimes


def run_cluster(program, m: int = 4, t: int | None = None, *, tap=None,
                idle_deadline: float = 120.0, deadline: float = 300.0, raw_errors=False,
                checking=False, verified=False, check_inputs=None):
    """Run `async program(mpc)` at all parties; results in party order.

    Raises the first error, or with `raw_errors` returns errors in place of results. `checking`
    finds overflow inside the computation (`Runtime.checking`); `verified` is verified mode
    (`engine.verified`), with the largest threshold unless given; `check_inputs` the bound in bits
    of inputs that state none.
    """
    async def main():
        runtimes = make_runtimes(m, t, tap, idle_deadline, verified=verified)

        async def party(rt):
            rt.checking, rt.check_inputs = checking, check_inputs
            async with rt:
                if verified:
                    await agree_on_keys(rt)
                return await program(rt)
        async with asyncio.timeout(deadline):
            return await asyncio.gather(*[party(rt) for rt in runtimes],
                                        return_exceptions=raw_errors)
    return event_loop.run(main())
