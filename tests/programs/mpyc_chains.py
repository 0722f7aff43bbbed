"""A one-way chain: x, h(x), h(h(x)), ... for a toy permutation over GF(2^8)."""

import functools

import numpy as np

from engine import mpc

secfld = mpc.SecFld(2**8)
f256 = secfld.field
MIX = [[2, 3, 1, 1], [1, 2, 3, 1], [1, 1, 2, 3], [3, 1, 1, 2]]
KEY = [0x2b, 0x7e, 0x15, 0x16]


def plain(x):
    """One step on public field elements."""
    y = [a**254 + f256(0x63) for a in x]
    mixed = [[f256(c) * b for c, b in zip(row, y, strict=True)] for row in MIX]
    return [functools.reduce(lambda s, t: s + t, row) + k
            for row, k in zip(mixed, map(f256, KEY), strict=True)]


def step(x):
    """One step on secret scalars."""
    y = [a**254 + 0x63 for a in x]
    return [mpc.in_prod([secfld(c) for c in r], y) + k for r, k in zip(MIX, KEY, strict=True)]


def np_step(x):
    """One step on a secret array."""
    y = x**254 + np.array([0x63] * 4)
    return secfld.array(np.array(MIX)) @ y + np.array(KEY)


async def main():
    async with mpc:
        start = [1, 0, 77, 255]
        clear = [f256(a) for a in start]
        x = mpc.input([secfld(a) for a in start], senders=0)
        v = mpc.input(secfld.array(np.array(start)), senders=0)
        for _ in range(3):
            clear, x, v = plain(clear), step(x), np_step(v)
        opened = await mpc.output(x)
        print(opened, opened == clear)
        print((await mpc.output(v)) == f256.array(np.array([int(a) for a in clear])))
        bits = mpc.to_bits(x[0])
        print(await mpc.output(bits), await mpc.output(mpc.from_bits(bits)) == clear[0])
        print(await mpc.output(x[0] & x[1]), await mpc.output(~x[0] ^ x[1]))

mpc.run(main())
