"""Secure floating point and conversions between all kinds of secure numbers."""

from engine import mpc


async def main():
    secint, secfxp, secflt = mpc.SecInt(), mpc.SecFxp(), mpc.SecFlt(32)
    secfld = mpc.SecFld(2**31 - 1)
    async with mpc:
        a, b = mpc.input(secflt(3.5), senders=0), secflt(-0.0625)
        print(await mpc.output([a + b, a * b, a - b]), round(await mpc.output(a / b), 3))
        print(await mpc.output([a < b, a == a, a >= b]))
        print(await mpc.output(mpc.max([secflt(0.1 * k) for k in (3, 7, 5)])) > 0.69)
        x = mpc.input(secint(-17), senders=0)
        print(await mpc.output(mpc.convert(x, secfxp)), await mpc.output(x % 4),
              await mpc.output(x // 4), await mpc.output(abs(x)))
        print(await mpc.output(mpc.convert(secint(99), secfld)),
              await mpc.output(mpc.convert(mpc.convert(secfxp(7), secint), secfld)))
        print(await mpc.output(mpc.convert([secfld(5), secfld(6)], secint)))
        print(await mpc.output(mpc.gcd(secint(84), secint(-36))),
              await mpc.output(mpc.lcm(secint(4), secint(6))),
              await mpc.output(mpc.inverse(secint(3), secint(7))))
        print([round(v, 2) for v in await mpc.output([mpc.sin(secfxp(1.0)), mpc.cos(secfxp(1.0)),
                                                      1 / secfxp(0.7), secfxp(2.5)**3])])
        print((await mpc.output(mpc.trailing_zeros(secint(24))))[:4])
        print(await mpc.output(mpc.lsb(x)), await mpc.output(x**3), await mpc.output(secint(5) / 5))
        print(await mpc.eq_public(x, secint(-17)), await mpc.is_zero_public(x))

mpc.run(main())
