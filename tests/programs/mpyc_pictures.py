"""A small convolutional classifier on secret pictures: integers with np_* functions, then reals."""

import numpy as np

from engine import mpc


def patches(x, k):
    """All k × k windows of (n, h, w), flattened: (n, h - k + 1, w - k + 1, k²)."""
    _n, h, w = x.shape
    cols = [x[:, i:h - k + 1 + i, j:w - k + 1 + j] for i in range(k) for j in range(k)]
    return np.stack(cols, axis=3)


def classify(x, kernels, dense, mx, relu, reshape):
    y = patches(x, 3) @ kernels                    # (n, 6, 6, 4)
    y = relu(y)
    n = y.shape[0]
    y = mx(mx(y[:, ::2], y[:, 1::2])[:, :, ::2], mx(y[:, ::2], y[:, 1::2])[:, :, 1::2])
    return reshape(y, (n, -1)) @ dense


async def main():
    rng = np.random.default_rng(5)
    pictures = rng.integers(0, 16, (3, 8, 8))
    kernels, dense = rng.integers(-3, 4, (9, 4)), rng.integers(-3, 4, (36, 5))
    expected = classify(pictures, kernels, dense, np.maximum, lambda a: a * (a >= 0), np.reshape)
    secint, secfxp = mpc.SecInt(37), mpc.SecFxp(48, 20)
    async with mpc:
        for stype, scale in ((secint, 1), (secfxp, 8.0)):
            if stype is secint:
                arrays = [stype.array(a) for a in (pictures, kernels, dense)]
            else:
                arrays = [stype.array(a / scale) for a in (pictures, kernels, dense)]
            x, k, d = [mpc.input(a, senders=0) for a in arrays]
            scores = classify(x, k, d, mpc.np_maximum, lambda a: a * (a >= 0), mpc.np_reshape)
            opened = np.asarray(await mpc.output(scores), float)
            error = np.abs(opened - expected / scale**3).max()
            labels = [int(await mpc.output(mpc.argmax(row.tolist())[0])) for row in scores]
            print(scores.shape, bool(error < (1e-3 if scale > 1 else 1e-9)), labels,
                  labels == expected.argmax(1).tolist())

mpc.run(main())
