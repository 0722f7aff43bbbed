"""The ways to write asynchronous programs: coroutines, placeholders, reductions, barriers."""

import asyncio
import operator

import mpyc.random
from mpyc import asyncoro, mpctools
from mpyc.runtime import mpc as also

from engine import mpc

secint = mpc.SecInt(24)


@mpc.coroutine
async def squares(x):
    """A list of squares, as a protocol of its own."""
    await mpc.returnType(secint, len(x))
    x = await mpc.gather(x)
    return await mpc.gather([secint(a) * secint(a) for a in x])


@asyncoro.mpc_coro
async def opened(x) -> asyncio.Future:
    """A public value."""
    return int(await mpc.output(x))


async def main():
    await mpc.start()
    print(also is mpc or also.__dict__ is mpc.__dict__)
    x = mpc.input([secint(a) for a in range(1, 8)], senders=0)
    print(await mpc.output(squares(x)))
    print(await mpc.output(mpctools.reduce(operator.mul, x)))
    print(await mpc.output(list(mpctools.accumulate(x, operator.add))))
    print(await opened(mpc.sum(x)), await asyncio.gather(*[opened(a * 2) for a in x[:3]]))
    y = x[0]
    for k in range(40):
        y = y * x[1] - y
        await mpc.throttler(0.1)
        if k % 10 == 9:
            await mpc.barrier(f'step {k}')
    print(await mpc.output(y))
    mpc.peek(y)
    print(await mpc.output([]), await mpc.output(mpc.input([secint(4)], senders=0)))
    bits = mpyc.random.getrandbits(secint, 5)
    print(await mpc.output(bits) < 32, isinstance(y, mpc.SecureObject))
    print(await mpc.output(mpc.if_else(y == 1, x[:2], x[2:4])), mpc.options.no_prss, mpc.version)
    late = mpc.output(mpc.prod(x), receivers=[0])
    print(await late if mpc.pid == 0 else 5040)
    await mpc.shutdown()

mpc.run(main())
