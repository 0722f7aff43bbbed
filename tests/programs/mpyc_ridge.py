"""Ridge regression on data that several parties hold, by elimination on fixed-point arrays."""

import numpy as np

from engine import mpc


def solve(A, b):
    """A^-1 b for a secret positive definite matrix."""
    n = A.shape[0]
    A = mpc.np_hstack((A, b.reshape(n, 1)))
    for i in range(n):
        row = A[i:i + 1] * (1 / A[i, i])
        factors = A[:, i:i + 1]
        update = factors @ row
        A = mpc.np_update(A - update, i, row[0])
    return A[:, n]


async def main():
    secfxp = mpc.SecFxp(64)
    rng = np.random.default_rng(3)
    X = np.round(rng.normal(size=(60, 3)), 4)
    y = np.round(X @ np.array([0.5, -1.25, 2.0]) + 0.01 * rng.normal(size=60), 4)
    lam = 0.5
    async with mpc:
        sX = mpc.input(secfxp.array(X), senders=0)
        sy = mpc.input(secfxp.array(y), senders=0)
        A = sX.T @ sX + secfxp.array(lam * np.eye(3))
        w = await mpc.output(solve(A, sX.T @ sy))
        expected = np.linalg.solve(X.T @ X + lam * np.eye(3), X.T @ y)
        print('weights', np.round(w, 2).tolist(), bool(np.abs(w - expected).max() < 1e-4))
        residuals = sy - sX @ secfxp.array(w)
        print('error', round(await mpc.output(mpc.np_sum(residuals * residuals)), 2))

mpc.run(main())
