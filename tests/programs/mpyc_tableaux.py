"""What array programs do with structure: indexing, stacking, updates, sums, products, searches."""

import numpy as np

from engine import mpc


async def main():
    secint, secfxp = mpc.SecInt(32), mpc.SecFxp(32)
    A = np.arange(12).reshape(3, 4) - 5
    await mpc.start()

    async def show(label, x):
        if isinstance(x, (list, tuple)):
            y = [np.asarray(await mpc.output(a)).tolist() for a in x]
        else:
            y = np.asarray(await mpc.output(x)).tolist()
        print(label, y)

    for sectype in (secint, secfxp):
        a = mpc.input(sectype.array(A), senders=0)
        await show('slices', [a[1], a[:, 2], a[::-1, 1:3], a[[0, 2]], a[A > 2], a[..., None][0, 0]])
        await show('element', [a[2, 3], a[-1][-1]])
        await show('shapes', [a.T, a.reshape(2, 6), a.flatten(), np.roll(a, 1, axis=1),
                              np.flip(a), np.swapaxes(a, 0, 1), np.rot90(a)])
        await show('joins', [np.concatenate((a, a[:1])), np.vstack((a, a)), np.hstack((a, a)),
                             np.stack((a, -a)), np.append(a, a[0]), np.block([[a, a], [a, a]])])
        await show('sums', [np.sum(a), a.sum(axis=0), a.sum(axis=1, keepdims=True),
                            np.cumsum(a, axis=1), np.trace(a[:, :3]), np.diag(a[:, :3])])
        await show('products', [a * a, a * 2, 3 * a, a @ a.T, np.outer(a[0], a[1]), a[0] @ a[1],
                                A.T @ a, a**2, np.prod(a[:, 3]), np.convolve(a[0], a[1])])
        await show('signs', [a < 0, a >= 3, a == 0, a != A, np.absolute(a), mpc.np_sgn(a),
                             np.minimum(a, 2), np.maximum(a, -a), np.less(a, a.T.T)])
        await show('choices', [mpc.np_where(a < 0, -a, a), *mpc.np_if_swap(a[0] < 0, a[0], a[1]),
                               np.amax(a, axis=0), np.amin(a), mpc.np_argmax(a, axis=1),
                               mpc.np_all(a < 9), mpc.np_any(a == 3, axis=1)])
        await show('update', mpc.np_update(a, (slice(None), 0), a[:, 3]))
        await show('bits', [mpc.np_to_bits(a[2], 6 if sectype is secint else None)[..., -6:],
                            mpc.np_from_bits(mpc.np_to_bits(a[2]))])
        await show('lists', [mpc.np_fromlist(a[0].tolist()), mpc.np_fromlist(list(a.flat)),
                             mpc.np_unit_vector(sectype(3), 5)])
        print(a.shape, a.size, a.ndim, len(a), type(a).__name__)
    half = secfxp.array(np.array([0.5, -1.25, 3.0]))
    await show('exact', [half * 4, half * np.array([2, 4, 8]), half + 1, 2 - half, half / 0.25])
    for rounded in half * half, half / half, half * 0.3:
        print(np.round(await mpc.output(rounded) + 0.001, 2).tolist())
    print((await mpc.np_is_zero_public(secint.array(np.array([0, 3, 0])))).tolist())
    await mpc.shutdown()

mpc.run(main())
