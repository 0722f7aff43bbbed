"""A three-qubit circuit on a secret state: complex numbers as pairs of fixed-point arrays."""

import numpy as np

from engine import mpc

secfxp = mpc.SecFxp(40, 20)
H = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
S = np.diag([1, 1j])


def gate(state, matrix, qubit):
    """Apply a public 2 × 2 gate to one qubit of (real, imaginary)."""
    re, im = state
    shape = re.shape
    def move(x):
        return mpc.np_swapaxes(x, 0, qubit).reshape(2, -1)
    def back(x):
        return mpc.np_swapaxes(x.reshape(*shape), 0, qubit)
    re, im = move(re), move(im)
    a, b = secfxp.array(matrix.real.copy()), secfxp.array(matrix.imag.copy())
    return back(a @ re - b @ im), back(a @ im + b @ re)


def cnot(state, control, target):
    """Controlled not: a public permutation of the amplitudes."""
    out = []
    for x in state:
        flipped = np.flip(x, axis=target)
        index = [slice(None)] * 3
        index[control] = slice(1, 2)
        out.append(mpc.np_update(x, tuple(index), flipped[tuple(index)]))
    return tuple(out)


async def main():
    async with mpc:
        k = 5
        clear = np.zeros(8)
        clear[k] = 1.0
        re = mpc.input(secfxp.array(clear.reshape(2, 2, 2), integral=False), senders=0)
        state = re, secfxp.array(np.zeros((2, 2, 2)), integral=False)
        for matrix, qubit in ((H, 0), (S.astype(complex), 1), (H, 2), (H, 1)):
            state = gate(state, np.asarray(matrix, complex), qubit)
        state = cnot(state, 0, 2)
        state = gate(state, np.asarray(H, complex), 0)
        chance = state[0] * state[0] + state[1] * state[1]
        p = await mpc.output(chance.flatten())
        print([abs(round(float(a), 3)) for a in p], round(float(sum(p)), 3))
        print(await mpc.output(mpc.np_sum(chance)) > 0.999)

mpc.run(main())
