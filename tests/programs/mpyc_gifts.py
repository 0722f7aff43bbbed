"""Everybody draws a name from a hat and nobody the own one; random numbers of many kinds."""

from mpyc.seclists import seclist

from engine import mpc


@mpc.coroutine
async def derangement(stype, n):
    """Unit vectors of a permutation without fixed points."""
    await mpc.returnType(stype, n, n)
    while True:
        hat = [[stype(int(i == j)) for j in range(n)] for i in range(n)]
        for i in range(n - 1):
            u = mpc.random.random_unit_vector(stype, n - i)
            drawn = mpc.matrix_prod([u], hat[i:])[0]
            moved = mpc.matrix_prod([[b] for b in u], [mpc.vector_sub(hat[i], drawn)])
            hat[i] = drawn
            hat[i + 1:] = mpc.matrix_add(hat[i + 1:], moved[1:])
        fixed = mpc.prod([1 - hat[i][i] for i in range(n)])
        if await mpc.output(fixed):
            return hat


async def main():
    async with mpc:
        for stype in (mpc.SecInt(8), mpc.SecFld(101), mpc.SecFld(2**8)):
            rows = [[int(b) for b in await mpc.output(r)] for r in derangement(stype, 5)]
            columns = zip(*rows, strict=True)
            print(stype.__name__, [sum(r) for r in rows], [sum(c) for c in columns],
                  sum(rows[i][i] for i in range(5)))
        secint = mpc.SecInt(32)
        print(all(3 <= a < 9 for a in await mpc.output(
            [mpc.random.randint(secint, 3, 8) for _ in range(6)])))
        x = list(seclist(range(10), secint))
        mpc.random.shuffle(secint, x)
        print(sorted(await mpc.output(x)))
        print(len(set(await mpc.output(mpc.random.sample(secint, range(40), 7)))))
        print(sorted(await mpc.output(mpc.random.random_permutation(secint, 6))))
        print(await mpc.output(mpc.random.choice(secint, [7, 7, 7])))
        u = await mpc.output(mpc.random.uniform(mpc.SecFxp(32), -1, 2))
        print(-1 <= u <= 2, set(await mpc.output(mpc.random_bits(secint, 20))) <= {0, 1})

mpc.run(main())
