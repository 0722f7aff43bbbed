"""Fifty dependent rounds and a megabyte: the program that the projection is tested with."""

import numpy as np

from engine import mpc


async def main():
    async with mpc:
        x = mpc.input(mpc.array(np.linspace(-1, 1, 2000)), senders=0)
        for _ in range(50):
            x = x * x
        await mpc.output(x)


mpc.run(main())
