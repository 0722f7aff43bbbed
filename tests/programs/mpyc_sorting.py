"""Sorting in many ways: built-in, networks on lists and arrays, by key, stable pairs, floats."""

import numpy as np

from engine import mpc


def exchange(x, i, j, up):
    """Order the pair at i and j."""
    c = (x[i] > x[j]) if up else (x[i] < x[j])
    x[i], x[j] = mpc.if_swap(c, x[i], x[j])


def bitonic(x, lo, n, up=True):
    """Bitonic sort of any length."""
    if n > 1:
        half = n // 2
        bitonic(x, lo, half, not up)
        bitonic(x, lo + half, n - half, up)
        merge(x, lo, n, up)


def merge(x, lo, n, up):
    if n > 1:
        step = 1 << (n - 1).bit_length() - 1
        for i in range(lo, lo + n - step):
            exchange(x, i, i + step, up)
        merge(x, lo, step, up)
        merge(x, lo + step, n - step, up)


async def main():
    secint, secfxp = mpc.SecInt(), mpc.SecFxp()
    values = [5, -3, 8, 0, 0, 12, -9, 7, 1]
    async with mpc:
        x = mpc.input([secint(a) for a in values], senders=0)
        print(await mpc.output(mpc.sorted(x)), await mpc.output(mpc.sorted(x, reverse=True)))
        print(await mpc.output(mpc.sorted(x, key=lambda a: a * a)))
        y = x[:]
        bitonic(y, 0, len(y))
        print(await mpc.output(y))
        lists = mpc.seclist([secfxp(a / 4) for a in values])
        lists.sort()
        print(await mpc.output(list(lists)))
        a = mpc.input(secint.array(np.array(values)), senders=0)
        print((await mpc.output(mpc.np_sort(a))).tolist())
        b = secint.array(np.array([values, values[::-1], sorted(values)]))
        print((await mpc.output(np.sort(b, axis=1))).tolist())
        print((await mpc.output(np.sort(b, axis=0))).tolist())
        print((await mpc.output(mpc.np_sort(a, key=lambda c: c * c))).tolist()[:3])
        big = secint.array(np.arange(300) * 7919 % 1009 - 500)
        print(bool(((await mpc.output(big.sort())) == np.sort(np.arange(300) * 7919 % 1009
                                                               - 500)).all()))
        print(await mpc.output(list(mpc.argmax(x))), await mpc.output(list(mpc.min_max(x))))
        m = mpc.np_argmin(a), mpc.np_amax(a), *a.argmin()
        print([np.array(await mpc.output(c)).tolist() for c in m])

mpc.run(main())
