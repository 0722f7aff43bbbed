"""A linear programme by the simplex method with exact integer pivoting on secret positions."""

from engine import mpc

TABLEAU = [[2, 1, 1, 0, 0, 18],
           [2, 3, 0, 1, 0, 42],
           [3, 1, 0, 0, 1, 24],
           [-3, -2, 0, 0, 0, 0]]


async def main():
    secint = mpc.SecInt(48)
    await mpc.start()
    T = [mpc.input([secint(a) for a in row], senders=0) for row in TABLEAU]
    _m, n = len(T) - 1, len(T[0]) - 1
    previous = secint(1)
    steps = 0
    while True:
        p, lowest = mpc.argmin(T[-1][:-1])
        if await mpc.output(lowest >= 0):
            break
        u = mpc.unit_vector(p, n)
        column = [mpc.in_prod(u, row[:-1]) for row in T]
        # The row with the least quotient b / c among those with c > 0, by cross products.
        ratios = [[row[-1] + (c <= 0) * 2**20, mpc.if_else(c <= 0, secint(1), c)]
                  for row, c in zip(T[:-1], column[:-1], strict=True)]
        v, _ = best_row(ratios)
        pivot = mpc.in_prod(v, column[:-1])
        row = mpc.matrix_prod([v], T[:-1])[0]
        v.append(secint(0))
        scaled = [c - e * c for c, e in zip(column, v, strict=True)]
        fresh = mpc.gauss(T, pivot, scaled, row)
        # Rows other than the pivot's are divided by the last pivot, which is exact.
        T = [[(e * a * previous + (1 - e) * b) / previous for a, b in zip(row, r, strict=True)]
             for e, r in zip(v, fresh, strict=True)]
        previous = pivot
        steps += 1
    optimum, scale = await mpc.output([T[-1][-1], previous])
    print('steps', steps, 'optimum', optimum, '/', scale, '=', optimum / scale)
    await mpc.shutdown()


def best_row(ratios):
    """Unit vector of the least b / c, and the pair."""
    if len(ratios) == 1:
        return [type(ratios[0][0])(1)], ratios[0]
    half = len(ratios) // 2
    u, (a, b) = best_row(ratios[:half])
    v, (c, d) = best_row(ratios[half:])
    less = c * b < a * d
    pair = mpc.if_else(less, [c, d], [a, b])
    return mpc.scalar_mul(1 - less, u) + mpc.scalar_mul(less, v), pair

mpc.run(main())
