"""The statistics of a survey: means, medians, modes, spreads, regression, of integers and reals."""

from mpyc.statistics import mean, stdev

from engine import mpc

AGES = [23, 45, 31, 31, 62, 18, 31, 44, 52, 37]
PAY = [2.1, 4.4, 3.0, 3.2, 5.9, 1.5, 3.1, 4.1, 5.0, 3.5]


async def main():
    secint, secfxp = mpc.SecInt(), mpc.SecFxp(64)
    s = mpc.statistics
    async with mpc:
        ages = mpc.input([secint(a) for a in AGES], senders=0)
        years = mpc.input([secfxp(a) for a in AGES], senders=0)
        pay = mpc.input([secfxp(a) for a in PAY], senders=0)
        print(await mpc.output([mean(ages), s.median(ages), s.median_low(ages),
                                s.median_high(ages), s.mode(ages), stdev(ages),
                                s.pvariance(ages)]))
        print([round(a, 3) for a in await mpc.output(s.quantiles(pay, n=4))])
        for f in (mean, s.median, s.variance, s.stdev, s.pstdev):
            print(f.__name__, round(await mpc.output(f(pay)), 3))
        print(round(await mpc.output(s.covariance(years, pay)), 2),
              round(await mpc.output(s.correlation(years, pay)), 3))
        slope, intercept = s.linear_regression(years, pay)
        print(round(await mpc.output(slope), 3), round(await mpc.output(intercept), 2))
        print(s.mean([1, 2, 6]))

mpc.run(main())
