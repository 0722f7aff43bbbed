"""NumPy-named functions of secure arrays: selection, reductions, extremes, products.

Everything here is composed of the primitive operations and inherits their cost and privacy.
"""

import math

import numpy as np

from engine import field
from engine.array import SecureArray, constant, elements
from engine.base import RuntimeBase
from engine.encoding import public
from engine.scan import scan

BLOCK = 1 << 15
WINDOW = 3


class ArrayFunctions(RuntimeBase):
    """Composite functions (a mix-in of `engine.runtime.Runtime`)."""

    def where(self, condition: SecureArray, a, b) -> SecureArray:
        """a where the shared bit is 1, else b (broadcasting); one round."""
        return self.select(condition, self.secure(a), self.secure(b))

    def dot(self, a, b) -> SecureArray:
        """a @ b; one round, traffic of the size of the result."""
        return self.matrix_product(a, b)

    def outer(self, a: SecureArray, b) -> SecureArray:
        """Outer product of two vectors; one round."""
        b = b if isinstance(b, SecureArray) else np.asarray(b)
        return a.reshape(-1, 1) * b.reshape(1, -1)

    def prod(self, x: SecureArray, axis=None, keepdims: bool = False) -> SecureArray:
        """Product over one axis, several, or all elements: ceil(log2 n) rounds."""
        x, kept = x.reduced(axis)
        if not x.shape[0]:
            x = constant(self, np.ones((1, *x.shape[1:])), x.frac)
        while x.shape[0] > 1:
            half = x.shape[0] // 2
            pairs = x[:half] * x[half:2 * half]
            x = self.concatenate([pairs, x[2 * half:]]) if x.shape[0] % 2 else pairs
        return x.reshape(kept) if keepdims else x[0]

    def power(self, x: SecureArray, exponent: int) -> SecureArray:
        """x to a public power of 0 or more; `x ** exponent`. At most 2 log2(exponent) rounds."""
        if isinstance(exponent, bool) or not isinstance(exponent, int | np.integer) or exponent < 0:
            raise TypeError(f'power {exponent!r} of a secure array; expected a public integer of 0 '
                            'or more, or mpc.exp of a product with mpc.log')
        if not exponent:
            return constant(self, np.ones(x.shape), x.frac)
        out = x.copy()
        for bit in bin(exponent)[3:]:
            out = out * out
            if bit == '1':
                out = out * x
        return out

    def moveaxis(self, x: SecureArray, axis: int, to: int = 0) -> SecureArray:
        """The same elements with one axis moved; local."""
        return x.view(lambda a: np.moveaxis(a, axis, to), 'moveaxis')

    def abs(self, x: SecureArray) -> SecureArray:
        """`absolute` under MPyC's name."""
        return self.absolute(x)

    def any(self, bits: SecureArray, axis=None, keepdims: bool = False) -> SecureArray:
        """Whether any of the shared bits is 1: a sum and one comparison."""
        return 1 - (bits.sum(axis, keepdims) < 1)

    def all(self, bits: SecureArray, axis=None, keepdims: bool = False) -> SecureArray:
        """Whether all of the shared bits are 1: a sum and one comparison."""
        return 1 - ((bits - 1).sum(axis, keepdims) < 0)

    def argmax(self, x: SecureArray, axis: int | None = None) -> SecureArray:
        """Shared position of the first maximum along an axis, or in the flattened array.

        ceil(log2 n) comparisons deep.
        """
        return self._extreme(x.ravel() if axis is None else self.moveaxis(x, axis))[1]

    def argmin(self, x: SecureArray, axis: int | None = None) -> SecureArray:
        """Shared position of the first minimum along an axis, or in the flattened array."""
        return self.argmax(-x, axis)

    def max(self, x: SecureArray, axis=None, keepdims: bool = False) -> SecureArray:
        """Maximum over one axis, several, or all elements."""
        x, kept = x.reduced(axis)
        found = self._extreme(x)[0]
        return found.reshape(kept) if keepdims else found

    def min(self, x: SecureArray, axis=None, keepdims: bool = False) -> SecureArray:
        """Minimum over one axis, several, or all elements."""
        return -self.max(-x, axis, keepdims)

    def _extreme(self, x):
        """(maximum, its first position) along the first axis, by a tournament of pairs."""
        n = x.shape[0]
        if not n:
            raise ValueError(f'no largest or smallest of an axis of length 0 (shape {x.shape}); '
                             'expected one element or more')
        places = np.arange(n).reshape((n,) + (1,) * (x.ndim - 1))
        table = self.stack([x.reinterpret(0), constant(self, np.broadcast_to(places, x.shape))],
                           axis=x.ndim)
        while table.shape[0] > 1:
            even = table.shape[0] // 2 * 2
            first, second = table[:even:2], table[1:even:2]
            # Neighbours, and strictly less: of equal values the first one stays.
            later = self.less(first[..., 0], second[..., 0])
            best = self.select(later.reshape((*later.shape, 1)), second, first)
            table = self.concatenate([best, table[even:]]) if even < table.shape[0] else best
        return table[0][..., 0].reinterpret(x.frac), table[0][..., 1]

    async def top_k(self, x: SecureArray, k: int) -> tuple[SecureArray, SecureArray]:
        """(values, positions) of the k largest elements of a vector, in descending order, of equal
        ones the first positions first; both shared."""
        n = _length(x, 'top_k')
        if not 0 < k <= n:
            raise ValueError(f'top_k: k = {k} of {n} elements; expected 1 to {n}')
        table = self.stack([-x.reinterpret(0), constant(self, np.arange(n))], axis=1)
        best = (await self.sort_rows(table))[:k]
        return -best[:, 0].reinterpret(x.frac), best[:, 1]

    async def sort(self, x: SecureArray, axis: int = -1) -> SecureArray:
        """Ascending order along an axis; vectors beside each other share the rounds of one sort."""
        return await self._sorted(x, axis, 0)

    async def argsort(self, x: SecureArray, axis: int = -1) -> SecureArray:
        """Shared positions that sort along an axis; equal elements keep their order."""
        return await self._sorted(x, axis, 1)

    async def _sorted(self, x, axis, column):
        """One column of (values, positions), sorted by values along an axis."""
        lines = self.moveaxis(x, axis, -1)
        n, kept = lines.shape[-1], lines.shape
        places = constant(self, np.arange(n)) if column else None
        tables = [self.stack([line, places] if column else [line], axis=1)
                  for line in lines.reshape(math.prod(kept[:-1]), n).reinterpret(0)]
        ordered = await self.sort_tables(tables) if tables else []
        if not ordered:
            return x if not column else constant(self, np.zeros(x.shape, np.int64))
        found = self.stack([table[:, column] for table in ordered]).reshape(kept)
        return self.moveaxis(found.reinterpret(0 if column else x.frac), -1, axis)

    async def quantiles(self, x: SecureArray, levels) -> SecureArray:
        """Order statistics at ceil(level·n) (at least the first) of a vector; shared."""
        n, levels = _length(x, 'quantiles'), np.asarray(levels)
        if not n or not ((levels >= 0) & (levels <= 1)).all():
            raise ValueError(f'quantiles at {levels.tolist()} of {n} elements; expected levels '
                             'from 0 to 1 and one element or more')
        ranks = np.clip(np.ceil(levels * n).astype(int) - 1, 0, n - 1)
        return (await self.sort(x)).take(ranks)

    def random_permutation(self, n: int) -> SecureArray:
        """A uniformly random order of 0..n-1 that no t parties know."""
        return self.shuffle(constant(self, np.arange(n)).reshape(n, 1))[:, 0]

    def group_sums(self, keys: SecureArray, values: SecureArray):
        """Coroutine: sums of `values` (n, k) per value of the secret integer `keys` (n,).

        Returns (ends, keys, sums, counts) of n rows each: a row whose shared bit `ends` is 1 holds
        one group's key, sums and size; the other rows are zero. Rows are in ascending order of the
        key, so the number of groups stays secret. One sort and one scan (`engine.scan`).
        """
        return self._group_sums(keys, values)

    async def _group_sums(self, keys, values):
        n = _length(keys, 'group_sums')
        if values.ndim != 2 or len(values) != n or keys.frac:
            raise ValueError(f'group_sums: keys {keys!r} and values {values!r}; expected integers '
                             f'of shape (n,) and values of shape (n, k)')
        frac = values.frac
        table = self.concatenate([keys.reshape(n, 1), values.reinterpret(0)], axis=1)
        table = await self.sort_rows(table)
        keys, values = table[:, 0], table[:, 1:]
        ones = constant(self, np.ones((1,), np.int64))
        ends = self.concatenate([self.less(keys[:-1], keys[1:]), ones])
        running = self.concatenate(
            [values.cumsum(0), constant(self, np.arange(1, n + 1).reshape(n, 1))], axis=1)
        before = self.last_marked(running, ends)
        held = ends.reshape(n, 1) * self.concatenate([running - before, keys.reshape(n, 1)], axis=1)
        k = values.shape[1]
        return ends, held[:, k + 1], held[:, :k].reinterpret(frac), held[:, k]

    def last_marked(self, values: SecureArray, marks: SecureArray) -> SecureArray:
        """For each row the `values` (n, k) of the last marked row before it, zero if there is none.

        An exclusive segmented scan (`engine.scan`): a round for the marks and one per level, k + 1
        products per row that a level combines.
        """
        k = values.shape[1]
        marks = marks.reshape(-1, 1)

        def fill(earlier, later):
            return later + (1 - later[:, k:]) * earlier
        state = scan(self, self.concatenate([marks * values, marks], axis=1), fill)
        start = constant(self, np.zeros((1, k), np.int64))
        return self.concatenate([start, state[:-1, :k]], axis=0)

    def assign(self, x: SecureArray, index, value) -> SecureArray:
        """x with the elements at a public index replaced; local. `x[index] = value` uses it."""
        if isinstance(value, SecureArray):
            if value.frac and not x.frac:
                raise TypeError(f'assignment of {value!r} to an array of integers; expected '
                                'integers, or an array of fixed point')
            value = value.with_frac(x.frac)
        else:
            value = public(value)
            if not x.frac and value.dtype.kind == 'f' and (value != np.rint(value)).any():
                raise TypeError('assignment of fractions to an array of integers; expected '
                                'integers, or an array of fixed point')
            value = constant(self, value, x.frac)

        def put(share, fresh):
            out = share.copy()
            elements(out)[index] = elements(fresh)
            return out
        np.zeros(x.shape)[index] = np.broadcast_to(0.0, value.shape)
        return self.local('assign', [x, value], put, x.shape, x.frac)

    def in_blocks(self, fn, x: SecureArray, *more: SecureArray) -> SecureArray:
        """fn(x, *more) for a composite element-wise function of arrays of one shape.

        Long arrays are processed in blocks of which a few are under way at a time: a block starts
        when an earlier one is done, so the intermediate results of a function with many steps stay
        within a few blocks, while network and computation still overlap.
        """
        if x.size <= BLOCK:
            return fn(x, *more)
        flat = [a.ravel() for a in (x, *more)]
        done: list[SecureArray] = []
        for start in range(0, x.size, BLOCK):
            pieces = [a[start:start + BLOCK] for a in flat]
            if len(done) >= WINDOW:
                pieces[0] = self.local('after', [pieces[0], done[-WINDOW]], lambda a, b: a,
                                       pieces[0].shape, pieces[0].frac)
            done.append(fn(*pieces))
        return self.concatenate(done).reshape(x.shape)

    def softmax(self, x: SecureArray, axis: int = -1) -> SecureArray:
        """exp(x) / Σ exp(x) along an axis; absolute error 2e-5."""
        x = self.moveaxis(x, axis)
        powers = self.exp(x - self.max(x, axis=0))
        return self.moveaxis(powers * self.reciprocal(powers.sum(0)), 0, axis)

    def column_squares(self, x: SecureArray, frac: int) -> SecureArray:
        """Sums of squares of the columns of a matrix; one round."""
        return self.product('multiply', [x], lambda s: field.total(field.mul(s, s), 0),
                            (x.shape[1],), 2 * x.frac - frac, frac, work=4 * x.size)


def _length(x, name):
    if x.ndim != 1:
        raise ValueError(f'{name} of an array of shape {x.shape}; expected a vector')
    return x.shape[0]
