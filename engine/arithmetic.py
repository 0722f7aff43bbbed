"""Arithmetic on secure arrays: linear operations and one-round products.

The heart is `product`: any expression whose shares can be computed locally as a polynomial of
degree 2t (an element-wise product, a matrix product, a selection) is brought back to degree t, and
truncated if wanted, in one round whose traffic is the size of the result.

Protocol (design 3.3): with [r] = Σ r_A f_A from PRSS and a degree-2t sharing of zero, 2t + 1
parties send their share of c = z + offset + r to the active parties. These hold c, so the share of
z >> f is (c >> f) h(x_i) - Σ (r_A >> f) f_A(x_i) - constant, where h vanishes at the parties that
got nothing. Dropping f bits of each of the S masks separately errs by less than (S + 1) / 2 units
in the last place (2.5 for m = 4), and by nothing on average. Without truncation the masks are
uniform field elements; the result is exact. Sources: Damgård, Nielsen, CRYPTO 2007 (degree
reduction); Catrina, de Hoogh, SCN 2010 (probabilistic truncation); Cramer, Damgård, Ishai, TCC
2005.

Revealed: nothing to t parties; masked values are within 2^-40 of uniform (`STATISTICAL_SECURITY`).
"""

import functools
import math

import numpy as np

from engine import field
from engine.array import SecureArray, constant
from engine.base import RuntimeBase
from engine.checked_opening import CheckedOpening
from engine.encoding import public
from engine.errors import LocalProtocolError
from engine.masking import MaskPlan
from engine.opening import Opening
from engine.operation import Operation

_PIECE = 1 << 17
_WINDOW = 4


class ArrayOperations(RuntimeBase):
    """The runtime's operations on secure arrays (a mix-in of `engine.runtime.Runtime`)."""

    # --- local operations ---

    def local(self, name, inputs, fn, shape, frac, work=None) -> SecureArray:
        """An operation without communication: `fn` maps share arrays to the result's share."""
        out = SecureArray(self, shape, frac)
        if work is None:
            work = out.size
        if all(x.known for x in inputs) and work < 20_000:
            out.share = fn(*[x.share for x in inputs])
            out.depth = max((x.depth for x in inputs), default=0)
            return out

        async def body(op, *shares):
            return await op.compute(work, fn, *shares)
        return self.issue(Operation(self, name, shape, local=True), inputs, body, out)

    def _public(self, values, frac):
        return field.encode(values, frac)

    def add_arrays(self, a: SecureArray, b, sign: int = 1) -> SecureArray:
        """a + sign·b; b may be public. Local."""
        if not isinstance(b, SecureArray):
            b = public(b)
            if b.dtype.kind == 'f' and a.frac < self.frac:
                a = a.with_frac(self.frac)
            encoded = self._public(b, a.frac)
            shape = np.broadcast_shapes(a.shape, b.shape)
            fn = field.add if sign > 0 else field.sub
            return self.local('add', [a], lambda x: fn(x, encoded), shape, a.frac)
        frac = max(a.frac, b.frac)
        a, b = a.with_frac(frac), b.with_frac(frac)
        shape = np.broadcast_shapes(a.shape, b.shape)
        fn = field.add if sign > 0 else field.sub
        return self.local('add', [a, b], fn, shape, frac)

    def scale(self, a: SecureArray, factor: int) -> SecureArray:
        """Exact product with one public integer. Local."""
        return self.local('scale', [a], lambda x: field.affine(x, factor), a.shape, a.frac)

    def secure(self, x) -> SecureArray:
        """A secure array as it is, and public values as one that holds them."""
        return x if isinstance(x, SecureArray) else constant(self, x)

    def concatenate(self, arrays, axis=0) -> SecureArray:
        """Join arrays, of which some may be public, along an axis. Local."""
        arrays = [self.secure(a) for a in arrays]
        if len(arrays) == 1:
            return arrays[0].copy()
        shapes = [a.shape for a in arrays]
        if not arrays or len({(len(s), s[:axis], s[axis:][1:]) for s in shapes}) > 1 \
                or not -len(shapes[0]) <= axis < len(shapes[0]):
            raise ValueError(f'concatenate arrays of shapes {shapes} along axis {axis}; expected '
                             'the same shapes but for that axis')
        frac = max(a.frac for a in arrays)
        arrays = [a.with_frac(frac) for a in arrays]
        axis %= arrays[0].ndim
        shape = list(shapes[0])
        shape[axis] = sum(s[axis] for s in shapes)
        return self.local('concatenate', arrays, lambda *x: np.concatenate(x, axis), shape, frac)

    def stack(self, arrays, axis=0) -> SecureArray:
        """Join arrays of one shape, of which some may be public, along a new axis. Local."""
        arrays = [self.secure(a) for a in arrays]
        if len({a.shape for a in arrays}) != 1:
            raise ValueError(f'stack arrays of shapes {[a.shape for a in arrays]}; expected one '
                             'shape')
        axis %= arrays[0].ndim + 1
        index = (slice(None),) * axis + (None,)
        return self.concatenate([a[index] for a in arrays], axis)

    # --- products ---

    def multiply(self, a: SecureArray, b, frac: int | None = None) -> SecureArray:
        """a·b element-wise, broadcasting. One round (none for a public integer b).

        The result has `frac` fractional bits: by default the larger of the operands', with the
        excess truncated. Bytes as in `product`.
        """
        if not isinstance(b, SecureArray):
            return self._multiply_public(a, b, frac)
        total = a.frac + b.frac
        frac = _target(a.frac, b.frac) if frac is None else frac
        if a.shape == b.shape:
            return self.product('multiply', [a, b], field.mul, a.shape, total - frac, frac,
                                elementwise=True)
        shape = np.broadcast_shapes(a.shape, b.shape)
        return self.product('multiply', [a, b], field.mul, shape, total - frac, frac)

    def _multiply_public(self, a, b, frac):
        b = public(b)
        if b.dtype.kind == 'f' and (b == np.rint(b)).all() and (np.abs(b) < 2**53).all():
            b = b.astype(np.int64)
        shape = np.broadcast_shapes(a.shape, b.shape)
        # Python integers that do not fit into 64 bits are refused by their encoding.
        integral = b.dtype.kind in 'iubO'
        bits = 0 if integral else _significant(b, self.frac)
        encoded = self._public(b, bits)
        out = self.local('multiply_public', [a], lambda x: field.mul(x, encoded), shape,
                         a.frac + bits)
        if frac is None:
            frac = a.frac if integral else max(a.frac, self.frac)
        return out.with_frac(frac)

    def matrix_product(self, a, b, frac: int | None = None) -> SecureArray:
        """a @ b with the shapes of NumPy's matmul; one operand may be public.

        One round whose traffic is the size of the result; local for a public integer operand.
        """
        fa = a.frac if isinstance(a, SecureArray) else _public_frac(a, self.frac)
        fb = b.frac if isinstance(b, SecureArray) else _public_frac(b, self.frac)
        sa, sb = np.shape(a) if not isinstance(a, SecureArray) else a.shape, \
            np.shape(b) if not isinstance(b, SecureArray) else b.shape
        if not sa or not sb or sa[-1] != sb[max(0, len(sb) - 2)]:
            raise ValueError(f'matrix product of shapes {sa} and {sb}')
        rows = (1, *sa) if len(sa) == 1 else sa
        columns = (*sb, 1) if len(sb) == 1 else sb
        lead = np.broadcast_shapes(rows[:-2], columns[:-2])
        shape = (*lead, *(() if len(sa) == 1 else rows[-2:-1]),
                 *(() if len(sb) == 1 else columns[-1:]))
        work = math.prod(lead) * rows[-2] * rows[-1] * columns[-1] * 4

        def kernel(x, y):
            x = x.reshape(*rows, 2) if len(sa) == 1 else x
            y = y.reshape(*columns, 2) if len(sb) == 1 else y
            return field.matmul(x, y).reshape(*shape, 2)
        frac = _target(fa, fb) if frac is None else frac
        if isinstance(a, SecureArray) and isinstance(b, SecureArray):
            return self.product('matmul', [a, b], kernel, shape, fa + fb - frac, frac, work=work)
        if isinstance(a, SecureArray):
            public = self._public(b, fb)
            out = self.local('matmul_public', [a], lambda x: kernel(x, public), shape, fa + fb,
                             work)
        else:
            public = self._public(a, fa)
            out = self.local('matmul_public', [b], lambda y: kernel(public, y), shape, fa + fb,
                             work)
        return out.with_frac(frac)

    def select(self, bit: SecureArray, a, b) -> SecureArray:
        """a where the shared bit is 1, else b: b + bit·(a - b), one round."""
        if not isinstance(b, SecureArray):
            b = constant(self, np.broadcast_to(np.asarray(b, float), np.shape(b)), None)
        difference = (a if isinstance(a, SecureArray) else constant(self, a)) - b
        return b + bit * difference

    def product(self, name, inputs, fn, shape, shift: int, frac: int, *, work=None,
                elementwise=False) -> SecureArray:
        """One round: fn(*shares), a sharing of degree 2t, truncated by `shift` bits to degree t.

        With `elementwise` the inputs have the result's shape and are processed in pieces, so that
        computation and network overlap. `work` is a rough number of element operations of
        `fn` (`Operation.compute`), 4 n unless told. Cost: one round, 16 (2t + 1)(holders - 1) n
        bytes in all (24 n per party on average for m = 4, t = 1).
        """
        shape = tuple(shape)
        op = Operation(self, name, shape)
        n = math.prod(shape)
        _check_shift(shift)

        async def body(op, *shares):
            op.multiplications = n
            if elementwise:
                flat = [np.ascontiguousarray(s).reshape(n, 2) for s in shares]

                def piece(lo, hi):
                    return fn(*[s[lo:hi] for s in flat])
            else:
                whole = await op.compute(work or 4 * n, fn, *shares)
                whole = np.ascontiguousarray(whole).reshape(n, 2)

                def piece(lo, hi):
                    return whole[lo:hi]
            out = await self._reduce(op, piece, n, shift, 2 * self.geometry.t)
            return out.reshape(*shape, 2)
        return self.issue(op, inputs, body, SecureArray(self, shape, frac))

    def truncate(self, x: SecureArray, shift: int, frac: int) -> SecureArray:
        """x / 2^shift within (number of sets + 1) / 2 units; `frac` labels the result.

        One round, 16 (t + 1)(active - 1) n bytes in all (16 n per party for m = 4, t = 1).
        """
        op = Operation(self, 'truncate', x.shape)
        _check_shift(shift)

        async def body(op, share):
            flat = np.ascontiguousarray(share).reshape(-1, 2)
            out = await self._reduce(op, lambda lo, hi: flat[lo:hi], len(flat), shift,
                                     self.geometry.t)
            return out.reshape(*x.shape, 2)
        return self.issue(op, [x], body, SecureArray(self, x.shape, frac))

    async def reduce_product(self, op, x, y) -> np.ndarray:
        """Inside an operation: shares of the exact products of two flat share arrays; one round."""
        op.multiplications += len(x)
        return await self._reduce(op, lambda lo, hi: field.mul(x[lo:hi], y[lo:hi]), len(x), 0,
                                  2 * self.geometry.t)

    async def reduce_alone(self, share) -> np.ndarray:
        """Shares of degree t of what a flat array has shares of degree 2t of, as the operation
        `multiply` of a coroutine that counts itself, without the array and the task that `product`
        makes; one round."""
        op = Operation(self, 'multiply', (len(share),))
        op.depth, op.multiplications = op.floor, len(share)
        out = await self._reduce(op, lambda lo, hi: share[lo:hi], len(share), 0,
                                 2 * self.geometry.t)
        op.finish()
        return out

    async def _reduce(self, op, piece, n, shift, degree):
        """Masked opening of n elements given piecewise, back to degree t and `shift` bits less."""
        group = self.geometry.holding_group(op.rotation)
        out = np.empty((n, 2), np.uint64)
        plan = self._mask_plan(group, shift, degree)
        opening = (CheckedOpening if self.geometry.verified else Opening)(op, degree, group)
        if self.checking and shift:
            await self._check_range(op, piece(0, n), group[:degree + 1])
        pending = []

        async def complete():
            k, own, rest = pending.pop(0)
            if self.pid in group:
                shares, points = await opening.receive(own, k, len(rest))
                await op.compute(8 * len(rest), plan.finish, shares, points, rest)

        starts = range(0, max(n, 1), _PIECE)
        for k, lo in enumerate(starts, op.claim(len(starts))):
            hi = min(n, lo + _PIECE)
            own, rest = await op.compute(12 * (hi - lo), plan.start, op, piece, lo, hi, k,
                                         self.pid in opening.senders, out[lo:hi])
            opening.send(own, k)
            pending.append((k, own, rest))
            if len(pending) > _WINDOW:
                await complete()
        while pending:
            await complete()
        op.round()
        return out

    @functools.cache
    def _mask_plan(self, group, shift, degree):
        return MaskPlan(self.geometry, self.pid, group, shift, degree)

    async def _check_range(self, op, own, senders):
        """Checking mode: open what is about to be truncated, and refuse what does not fit."""
        [tag] = range(op.claim(1), op.pieces)
        own = np.ascontiguousarray(own)
        if self.pid in senders:
            for peer in range(self.geometry.m):
                if peer != self.pid:
                    op.send(peer, own, tag)
        shares = [own if p == self.pid else await op.receive(p, own.shape, tag=tag)
                  for p in senders]
        opened = field.combine(shares, self.geometry.recombination(tuple(senders)))
        limit = 1 << (self.geometry.product_bits - 1)
        outside = sum(1 for v in field.to_ints(opened)
                      if not -limit < (v - field.P if v > field.P // 2 else v) < limit)
        if outside:
            raise LocalProtocolError(
                'overflow', f'{outside} of {len(own)} products in {op.name} need more than '
                f'{self.geometry.product_bits} bits', step='/'.join(op.path),
                remedy='rescale the operands or use fewer fractional bits')


def _target(fa, fb):
    """Fractional bits of a product: integers keep the other's, else the larger of the two."""
    return max(fa, fb)


def _significant(values, frac):
    """Fractional bits that give a public factor 24 significant bits, and never fewer than `frac`.

    A small factor such as 1/n would otherwise lose its digits before the product is truncated.
    """
    largest = float(np.abs(values).max(initial=0.0))
    return frac if largest == 0 else min(60, max(frac, 24 - math.frexp(largest)[1]))


def _public_frac(values, frac):
    return 0 if np.asarray(values).dtype.kind in 'iub' else frac


def _check_shift(shift):
    if not 0 <= shift < 64:
        raise ValueError(f'truncation by {shift} bits: expected 0 to 63')
