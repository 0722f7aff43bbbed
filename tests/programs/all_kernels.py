"""Operations that between them call every kernel, on shares that were received and computed."""

import numpy as np

from engine import mpc


async def main():
    async with mpc:
        x = mpc.input(mpc.array(np.linspace(0.5, 2, 300).reshape(150, 2)), senders=0)
        wide = mpc.input(mpc.array(np.ones((64, 1100))), senders=1)
        y = x * x
        parts = [x < 0, y < 1, x == y, y / x, mpc.sqrt(y), mpc.exp(-x), mpc.log(x), mpc.sigmoid(y),
                 mpc.shuffle(x), mpc.shuffle(y), await mpc.sort_rows(x, 0), wide @ wide.T, x.T @ x,
                 wide @ wide[0], y.cumsum(0), y.max(0), mpc.cholesky(x.T @ x), x[:, :1] + y]
        await mpc.output(parts)


mpc.run(main())
