"""Kaplan-Meier and a logrank statistic over the patients of all parties; public times exchanged."""

import logging

from mpyc.mpctools import accumulate

from engine import mpc


async def main():
    secfxp = mpc.SecFxp(64)
    async with mpc:
        logging.debug('sizes')
        times = {0: [(1, 1), (3, 1), (4, 0), (6, 1)], 1: [(2, 1), (3, 0), (6, 1), (7, 1)]}
        # All parties agree on the horizon; each contributes counts of its own patients.
        horizon = max(await mpc.transfer(max(t for g in times.values() for t, _ in g)))
        counts = []
        for group in (0, 1):
            died = [sum(1 for t, e in times[group] if t == u and e)
                    for u in range(1, horizon + 1)]
            at_risk = [sum(1 for t, _ in times[group] if t >= u) for u in range(1, horizon + 1)]
            counts.append([mpc.input([secfxp(a) for a in x], senders=0) for x in (died, at_risk)])
        for group, (died, at_risk) in enumerate(counts):
            factors = [1 - mpc.if_else(n == 0, secfxp(0), d / (n + (n == 0)))
                       for d, n in zip(died, at_risk, strict=True)]
            curve = list(accumulate(factors, lambda a, b: a * b))
            print(group, [abs(round(a, 3)) for a in await mpc.output(curve)])
        (d1, n1), (d2, n2) = counts
        d, n = mpc.vector_add(d1, d2), mpc.vector_add(n1, n2)
        shares = [a / (b + (b == 0)) for a, b in zip(d, n, strict=True)]
        excess = mpc.sum(d1) - mpc.in_prod(n1, shares)
        print('excess', round(await mpc.output(excess), 3))
        print('ever', await mpc.output(mpc.max(d)), await mpc.output(mpc.min(n)))

mpc.run(main())
