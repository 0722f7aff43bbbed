"""The same products on stock MPyC, for comparison: `python -m bench.stock_mpyc SIZE -M4 -T1`.

Prints one JSON line with the seconds of an element-wise product of `SecFxp(64)` arrays and of
`SecInt(32)` arrays of the given size. Runs MPyC's own runtime, not ours.
"""

import json
import sys
import time

from mpyc.numpy import np
from mpyc.runtime import mpc


async def main() -> None:
    """Time both products once, after one warm-up of a hundredth of the size."""
    size = int(sys.argv[1])
    await mpc.start()
    result = {}
    for name, sectype, values in (('multiply_fixed', mpc.SecFxp(64), np.linspace(-9, 9, size)),
                                  ('multiply_int', mpc.SecInt(32), np.arange(size) - size // 2)):
        x = mpc.input(sectype.array(values), senders=0)
        for part in (x[:max(1, size // 100)], x):
            started = time.perf_counter()
            await mpc.gather(part * part)
            result[name] = time.perf_counter() - started
    await mpc.shutdown()
    if mpc.pid == 0:
        print(json.dumps({'n': size, 'seconds': result}))


mpc.run(main())
