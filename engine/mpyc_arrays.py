"""MPyC's secure arrays on the engine's protocols.

MPyC computes on arrays through methods `np_*` of its runtime, which the operators of its `SecInt`
and `SecFxp` arrays call. The primitive ones are overridden here for arrays over the engine's field
(`engine.mpyc_field`); everything that MPyC composes of them (minimum, argmax, division, sine, ...)
follows. Arrays over other fields, and numbers too long for a protocol, keep MPyC's own code.

Results are those of MPyC but for the rounding of truncated products, which is the engine's: see
`docs/mpyc.md`. Costs are those of the engine's operations `multiply`, `matmul`, `truncate`,
`less_than`, `equal`, `to_bits`, `random_bits`, `input` and `output`, under whose names they are
metered; what each reveals is said there as well. Comparisons are in `engine.mpyc_bits`.
"""

import numpy as np

from engine import field
from engine._mpyc import asyncoro, mpyc_runtime, sectypes
from engine.array import SecureArray
from engine.base import RuntimeBase
from engine.errors import LocalProtocolError
from engine.mpyc_bits import WORD_BITS, numbers
from engine.mpyc_field import FIELD, ShareArray, matrix_product, scalar_or_array, shares_of
from engine.mpyc_public import units_of
from engine.ranges import refuse_outside
from engine.shamir import Geometry

_NUMBERS = (sectypes.SecureIntegerArray, sectypes.SecureFixedPointArray)


def accelerated(x) -> bool:
    """Whether x is an array of MPyC's secure integers or fixed-point numbers over our field."""
    return isinstance(x, _NUMBERS) and x.sectype.field is FIELD


class MpycArrays(RuntimeBase, mpyc_runtime.Runtime):
    """MPyC's array methods, accelerated (a mix-in of `engine.runtime.Runtime`)."""

    @property
    def threshold(self) -> int:
        """The threshold t; programs may set it before `start`."""
        return self._threshold

    @threshold.setter
    def threshold(self, t: int) -> None:
        if t != self.geometry.t:
            if hasattr(self, 'randomness'):
                raise LocalProtocolError('late-threshold', f'threshold set to {t} after the start',
                                         remedy='set mpc.threshold before mpc.start()')
            self.geometry = Geometry(self.geometry.m, t, self.geometry.verified)
        mpyc_runtime.Runtime.threshold.fset(self, t)

    # --- products ---

    def np_multiply(self, a, b):
        """a·b element-wise, broadcasting: one round; none for public integers."""
        return (self._fast_multiply if accelerated(a) else super().np_multiply)(a, b)

    @asyncoro.mpc_coro
    async def _fast_multiply(self, a, b):
        stype, secret = type(a), isinstance(b, asyncoro.SecureObject)
        shape = np.broadcast_shapes(a.shape, getattr(b, 'shape', (1,)))
        b, zeros = (b, 0) if secret else _scaled(b, stype.frac_length)
        excess = stype.frac_length - zeros
        integral = stype.frac_length and (a.integral, secret and b.integral)
        if stype.frac_length:
            await self.returnType((stype, a.integral and (integral[1] or not excess), shape))
        else:
            await self.returnType((stype, shape))
        exact = excess if integral and any(integral) else 0
        x, y = await self._limbs_of(a, b)
        share = await self._fast_product('multiply', x, y, field.mul, shape, exact, excess - exact,
                                    _bits(stype), secret)
        return ShareArray.of(share)

    def np_matmul(self, A, B):
        """A @ B: one round whose traffic is the size of the result."""
        if accelerated(A) or accelerated(B):
            return self._fast_matmul(A, B)
        return super().np_matmul(A, B)

    @asyncoro.mpc_coro
    async def _fast_matmul(self, A, B):
        stype = type(A) if accelerated(A) else type(B)
        shape = np._matmul_shape(A.shape, B.shape)
        f = stype.frac_length
        secret = accelerated(A) and accelerated(B)
        zeros, integral = 0, []
        operands = [A, B]
        for k, x in enumerate(operands):
            if accelerated(x):
                integral.append(f and x.integral)
            else:
                operands[k], zeros = _scaled(x, f)
                integral.append(zeros == f)
        target = stype.sectype if shape is None else stype
        dims = () if shape is None else (shape,)
        kind = (target, integral[0] and integral[1], *dims) if f else (target, *dims)
        await self.returnType(kind if len(kind) > 1 else target)
        excess = f - zeros
        exact = excess if any(integral) else 0
        x, y = await self._limbs_of(*operands)
        share = await self._fast_product('matmul', x, y, matrix_product, shape or (), exact,
                                    excess - exact, _bits(stype), secret,
                                    4 * x.size * max(1, y.shape[-2]))
        return scalar_or_array(share)

    def np_outer(self, a, b):
        """Outer product of the flattened arguments; one round."""
        if not (accelerated(a) or accelerated(b)):
            return super().np_outer(a, b)
        return np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1))

    def np_trunc(self, a, f=None, l=None):  # noqa: E741 (MPyC's name)
        """a / 2^f within (number of sets + 1) / 2 units; one round."""
        if not (accelerated(a) or isinstance(a, ShareArray)):
            return super().np_trunc(a, f, l)
        stype = type(a)
        shift = stype.frac_length if f is None else f
        bits = l or (stype.sectype.bit_length if accelerated(a) else 0)
        if isinstance(a, sectypes.SecureFixedPointArray):
            bits += shift
        if not 0 < shift < 64 or bits + self.options.sec_param > 126:
            return super().np_trunc(a, f, l)
        return self._fast_truncate(a, shift, bits)

    @asyncoro.mpc_coro
    async def _fast_truncate(self, a, shift, bits):
        await self.returnType((type(a), a.shape) if accelerated(a) else asyncoro.Future)
        [x] = await self._limbs_of(a)
        return ShareArray.of(await self._fast_product('truncate', x, None, None, a.shape, 0, shift,
                                                 bits, False))

    def _reshare(self, x):
        """Fresh shares of degree t of products of shares; one round."""
        first = x[0] if isinstance(x, list) and x else x
        if self.threshold == 0 or not (accelerated(first) or isinstance(first, ShareArray)):
            return super()._reshare(x)
        if isinstance(x, list):
            return self._reshare_all(x)
        return self._reshare_one(x)

    @asyncoro.mpc_coro
    async def _reshare_one(self, x):
        await self.returnType(_like(x) if accelerated(x) else asyncoro.Future)
        [limbs] = await self._limbs_of(x)
        return ShareArray.of(await self._fast_product('multiply', limbs, limbs, lambda u, _: u,
                                                 x.shape, 0, 0, 0, True))

    @asyncoro.mpc_coro
    async def _reshare_all(self, x):
        await self.returnType(*(_like(x[0]), len(x)) if accelerated(x[0]) else (asyncoro.Future,))
        return await self.gather([self._reshare_one(a) for a in x])

    async def _fast_product(self, name, x, y, kernel, shape, exact, shift, bits, secret, work=None):
        """Limbs of kernel(x, y) / 2^(exact + shift): `exact` bits are known to be zero.

        With `secret` the kernel's result has degree 2t. `bits` bound it where it is truncated. The
        engine's offset makes room for `product_bits`; what MPyC's type may need beyond is added
        before and taken away after, so that all of the type's range is computed rightly. Such large
        numbers are hidden as well as in MPyC (docs/mpyc.md).
        """
        lift = max(0, (1 << (bits - 1)) - (1 << (self.geometry.product_bits - 1))) if shift else 0
        factor = pow(2, -exact, field.P)

        def local(*shares):
            z = kernel(*shares) if kernel else shares[0]
            return field.affine(z, factor, lift) if exact or lift else z
        if secret:
            operands = [SecureArray(self, s.shape[:-1], 0, s) for s in (x, y)]
            same = work is None and x.shape == y.shape == (*shape, 2)
            out = self.product(name, operands, local, shape, shift, 0, work=work, elementwise=same)
        else:
            operand = SecureArray(self, x.shape[:-1], 0, x)
            out = self.local(f'{name}_public', [operand],
                             lambda s: np.ascontiguousarray(local(s, y)).reshape(*shape, 2),
                             shape, 0, work)
            if shift:
                out = self.truncate(out, shift, 0)
        share = await out.ready()
        return field.affine(share, 1, -(lift >> shift)) if lift else share

    # --- random bits, sorting ---

    def np_random_bits(self, sftype, n, signed=False):
        """n uniformly random bits, or with `signed` numbers 1 and -1, that no t parties know."""
        ours = FIELD in (sftype, getattr(sftype, 'field', None))
        return (self._fast_random_bits if ours and n else super().np_random_bits)(sftype, n, signed)

    @asyncoro.mpc_coro
    async def _fast_random_bits(self, sftype, n, signed):
        number = issubclass(sftype, asyncoro.SecureObject)
        await self.returnType((sftype.array, True, (n,)) if number else asyncoro.Future)
        bits = self.random_bits((n,))
        return await numbers(2 * bits - 1 if signed else bits, sftype if number else _Units)

    def np_sort(self, a, axis=-1, key=None):
        """Sorted copy along an axis (of the flattened array for None); a secret shuffle and opened
        comparisons of distinct keys, which tell nothing about the values."""
        rows = 1 if axis is None else a.size // max(1, a.shape[axis])
        if key is not None or not accelerated(a) or a.size < 2 or rows > 8 \
                or a.sectype.bit_length >= WORD_BITS:
            return super().np_sort(a, axis, key)
        if axis is None:
            return self._fast_sort(a.flatten())
        return np.swapaxes(self._fast_sort(np.swapaxes(a, axis, -1)), axis, -1)

    @asyncoro.mpc_coro
    async def _fast_sort(self, a):
        await self.returnType(_like(a))
        [limbs] = await self._limbs_of(a)
        n = a.shape[-1]
        tables = [SecureArray(self, (n, 1), 0, np.ascontiguousarray(row))
                  for row in limbs.reshape(-1, n, 1, 2)]
        ordered = await self.sort_tables(tables, key_bits=a.sectype.bit_length)
        share = await self.stack(ordered).ready()
        return ShareArray.of(share.reshape(*a.shape, 2))

    # --- in and out ---

    def _distribute(self, x, senders):
        if x and accelerated(x[0]):
            return self._fast_input(x, senders)
        return super()._distribute(x, senders)

    @asyncoro.mpc_coro
    async def _fast_input(self, x, senders):
        if any(a.shape != x[0].shape for a in x):
            shapes = [a.shape for a in x]
            raise ValueError(f'input of arrays of shapes {shapes}, expected one shape')
        await self.returnType(_like(x[0]), len(senders), len(x))
        mine = np.stack(await self._limbs_of(*x)) if self.pid in senders else None
        bits = self.check_inputs
        if bits is not None and mine is not None:
            refuse_outside(mine, bits)
        dealt = [self.deal(mine, owner, (len(x), *x[0].shape), x[0].frac_length)
                 for owner in senders]
        if bits is not None and self.geometry.verified:
            dealt = [self.proven(a, bits) for a in dealt]
        return [[ShareArray.of(share) for share in await shares.ready()] for shares in dealt]

    def output(self, x, receivers=None, threshold=None, raw=False):
        """Open arrays as MPyC does: integers as objects, fixed point as floats."""
        first = x[0] if isinstance(x, list) and x else x
        if not (accelerated(first) or isinstance(first, ShareArray)):
            return super().output(x, receivers, threshold, raw)
        return self._fast_output(x, receivers, threshold, raw)

    @asyncoro.mpc_coro
    async def _fast_output(self, x, receivers, threshold, raw) -> asyncoro.Future:
        arrays = x if isinstance(x, list) else [x]
        shares = [ShareArray.of(limbs) for limbs in await self._limbs_of(*arrays)]
        if threshold is not None and threshold > self.threshold:
            shares = await self.gather([self._reshare(share) for share in shares])
        pending = [self.open_array(SecureArray(self, share.shape, frac, share.limbs), receivers,
                                   raw=not frac)
                   for a, share in zip(arrays, shares, strict=True)
                   for frac in [0 if raw or not accelerated(a) else a.frac_length]]
        opened = [_as_mpyc(await value, a, raw) for a, value in zip(arrays, pending, strict=True)]
        return opened if isinstance(x, list) else opened[0]

    async def _limbs_of(self, *operands) -> list[np.ndarray]:
        """Limbs of secret and public operands, once their shares are known."""
        known = [await self.gather(x) if isinstance(x, asyncoro.SecureObject) else x
                 for x in operands]
        return [shares_of(x) for x in known]


class _Units:
    """Stands for the type of plain field elements."""

    frac_length = 0


def _bits(stype) -> int:
    """Bits of a product that is to be truncated."""
    return stype.sectype.bit_length + stype.frac_length


def _like(a):
    """MPyC's return type for an array like this one."""
    return (type(a), a.integral, a.shape) if a.frac_length else (type(a), a.shape)


def _scaled(b, f):
    """(public factor as integers, fractional bits that it is short of f) as MPyC scales it."""
    if isinstance(b, (np.floating, float)):
        b = round(float(b) * 2**f)
        zeros = max(0, min(f, (b & -b).bit_length() - 1)) if b else f
        return b >> zeros, zeros
    if isinstance(b, np.ndarray) and b.dtype.kind == 'f':
        units = units_of(b, f)
        if units is None:
            units = np.vectorize(int, otypes='O')(np.rint(np.ldexp(b.astype(np.float64), f)))
        return units, 0
    # Integers need no scaling; elements of the field are taken as they are.
    return b, 0 if isinstance(b, (ShareArray, FIELD)) else f


def _as_mpyc(value, a, raw):
    if value is None:
        return None
    if raw or not accelerated(a):
        return ShareArray(value)
    return value if value.ndim or not a.frac_length else float(value)
