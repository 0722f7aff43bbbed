"""NumPy-named functions of secure arrays: selection, reductions, extremes, products.

Everything here is composed of the primitive operations and inherits their cost and privacy.
"""

import numpy as np

from engine import field
from engine.array import SecureArray, constant
from engine.base import RuntimeBase
from engine.scan import scan

BLOCK = 1 << 15
WINDOW = 3


class ArrayFunctions(RuntimeBase):
    """Composite functions (a mix-in of `engine.runtime.Runtime`)."""

    def where(self, condition: SecureArray, a, b) -> SecureArray:
        """a where the shared bit is 1, else b (broadcasting); one round."""
        return self.select(condition, self._secure(a), self._secure(b))

    def _secure(self, x) -> SecureArray:
        return x if isinstance(x, SecureArray) else constant(self, x)

    def dot(self, a, b) -> SecureArray:
        """a @ b; one round, traffic of the size of the result."""
        return self.matrix_product(a, b)

    def outer(self, a: SecureArray, b) -> SecureArray:
        """Outer product of two vectors; one round."""
        b = b if isinstance(b, SecureArray) else np.asarray(b)
        return a.reshape(-1, 1) * b.reshape(1, -1)

    def prod(self, x: SecureArray, axis: int = 0) -> SecureArray:
        """Product along an axis: ceil(log2 n) rounds."""
        x = self.moveaxis(x, axis)
        while x.shape[0] > 1:
            half = x.shape[0] // 2
            pairs = x[:half] * x[half:2 * half]
            x = self.concatenate([pairs, x[2 * half:]]) if x.shape[0] % 2 else pairs
        return x[0]

    def moveaxis(self, x: SecureArray, axis: int, to: int = 0) -> SecureArray:
        """The same elements with one axis moved; local."""
        return x.view(lambda a: np.moveaxis(a, axis, to), 'moveaxis')

    def any(self, bits: SecureArray, axis=None) -> SecureArray:
        """Whether any of the shared bits is 1: a sum and one comparison."""
        return 1 - (bits.sum(axis) < 1)

    def all(self, bits: SecureArray, axis=None) -> SecureArray:
        """Whether all of the shared bits are 1: a sum and one comparison."""
        count = bits.size if axis is None else bits.shape[axis]
        return 1 - (bits.sum(axis) < count)

    def argmax(self, x: SecureArray, axis: int | None = None) -> SecureArray:
        """Shared position of the first maximum along an axis, or in the flattened array.

        ceil(log2 n) comparisons deep.
        """
        return self._extreme(x.ravel() if axis is None else self.moveaxis(x, axis))[1]

    def argmin(self, x: SecureArray, axis: int | None = None) -> SecureArray:
        """Shared position of the first minimum along an axis, or in the flattened array."""
        return self.argmax(-x, axis)

    def max(self, x: SecureArray, axis: int | None = None) -> SecureArray:
        """Maximum along an axis, or of all elements."""
        return self._extreme(x.ravel() if axis is None else self.moveaxis(x, axis))[0]

    def min(self, x: SecureArray, axis: int | None = None) -> SecureArray:
        """Minimum along an axis, or of all elements."""
        return -self.max(-x, axis)

    def _extreme(self, x):
        """(maximum, its first position) along the first axis, by a tournament of pairs."""
        n = x.shape[0]
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
        """(values, positions) of the k largest elements, in descending order; both shared."""
        if not 0 < k <= x.shape[0]:
            raise ValueError(f'top_k: k = {k} of {x.shape[0]} elements')
        table = self.stack([x.reinterpret(0), constant(self, np.arange(x.shape[0]))], axis=1)
        best = (await self.sort_rows(table))[::-1][:k]
        return best[:, 0].reinterpret(x.frac), best[:, 1]

    async def sort(self, x: SecureArray) -> SecureArray:
        """A vector in ascending order."""
        return (await self.sort_rows(x.reshape(-1, 1)))[:, 0]

    async def argsort(self, x: SecureArray) -> SecureArray:
        """Shared positions that sort a vector; equal elements keep their order."""
        n = x.shape[0]
        table = self.stack([x.reinterpret(0), constant(self, np.arange(n))], axis=1)
        return (await self.sort_rows(table))[:, 1]

    async def quantiles(self, x: SecureArray, levels) -> SecureArray:
        """Order statistics at ceil(level·n) (at least the first) of a vector; shared."""
        n = x.shape[0]
        ranks = np.clip(np.ceil(np.asarray(levels) * n).astype(int) - 1, 0, n - 1)
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
        n = keys.shape[0]
        frac = values.frac
        table = self.concatenate([keys.reshape(n, 1), values.reinterpret(0)], axis=1)
        table = await self.sort_rows(table)
        keys, values = table[:, 0], table[:, 1:]
        ones = constant(self, np.ones((1,), np.int64))
        ends = self.concatenate([self.less(keys[:-1], keys[1:]), ones])
        running = self.concatenate(
            [values.cumsum(), constant(self, np.arange(1, n + 1).reshape(n, 1))], axis=1)
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
        value = self._secure(value).with_frac(x.frac)

        def put(share, fresh):
            out = share.copy()
            out[index] = fresh
            return out

        def checked(a, v):
            a = a.copy()
            a[index] = v
        checked(np.zeros(x.shape), np.broadcast_to(0.0, value.shape))
        if isinstance(index, np.ndarray) and index.dtype == bool:
            index = np.nonzero(index)
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

    def softmax(self, x: SecureArray) -> SecureArray:
        """exp(x) / Σ exp(x) along the last axis; absolute error 2e-5."""
        rows = x.reshape(-1, x.shape[-1])
        top = self.max(rows, axis=1)
        powers = self.exp(rows - top.reshape(-1, 1))
        inverse = self.reciprocal(powers.sum(1))
        return self.multiply(powers, inverse.reshape(-1, 1)).reshape(x.shape)

    def column_squares(self, x: SecureArray, frac: int) -> SecureArray:
        """Sums of squares of the columns of a matrix; one round."""
        return self.product('multiply', [x], lambda s: field.total(field.mul(s, s), 0),
                            (x.shape[1],), 2 * x.frac - frac, frac, work=4 * x.size)
