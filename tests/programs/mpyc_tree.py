"""A decision tree by the Gini index, on secret rows; the tree itself is public."""

import argparse
import asyncio

import numpy as np

from engine import mpc

secint = mpc.SecInt(32)


@mpc.coroutine
async def best(rows, columns, target, classes) -> asyncio.Future:
    """Index of the column that separates best."""
    gains = []
    for column, values in columns:
        gain = secint(0)
        for v in values:
            chosen = mpc.schur_prod(rows, [c == v for c in column])
            size = mpc.sum(chosen)
            counts = [mpc.in_prod(chosen, [t == k for t in target]) for k in range(classes)]
            squares = mpc.in_prod(counts, counts)
            gain += 10 * squares - size * size
        gains.append(gain)
    return int(await mpc.output(mpc.argmax(gains)[0]))


async def grow(rows, columns, names, target, classes):
    counts = [mpc.in_prod(rows, [t == k for t in target]) for k in range(classes)]
    index, top = mpc.argmax(counts)
    stop = mpc.sum(rows) == top
    if not columns or await mpc.output(stop):
        return int(await mpc.output(index))
    k = await best(rows, columns, target, classes)
    column, values = columns[k]
    rest = columns[:k] + columns[k + 1:]
    left = names[:k] + names[k + 1:]
    return names[k], {v: await grow(mpc.schur_prod(rows, [c == v for c in column]), rest, left,
                                    target, classes) for v in values}


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('-n', type=int, default=12)
    args = parser.parse_args()
    rng = np.random.default_rng(7)
    data = rng.integers(0, 3, (args.n, 3))
    target = (data[:, 1] > 0).astype(int) + (data[:, 1] * data[:, 0] > 2)
    async with mpc:
        secret = [mpc.input([secint(int(a)) for a in data[:, j]], senders=0) for j in range(3)]
        goal = mpc.input([secint(int(a)) for a in target], senders=0)
        tree = await grow([secint(1)] * args.n, [(c, range(3)) for c in secret],
                          ['outlook', 'wind', 'pressure'], goal, 3)
        print(tree)

mpc.run(main())
