"""Vectors of 64-bit words for Numba: the multiply-adds of thin matrix products, several at a time.

A `LANES` value holds one machine vector. Every processor of today multiplies 32-bit halves of its
lanes (``vpmuludq`` and its like), which needs no carries as long as the sums of products stay below
2^64. Here a word of the one operand, taken as two halves of 32 bits, meets the `LIMBS` limbs of
22 bits of the other, so that a lane has room for 2^10 products. LLVM maps the vectors to whatever
the processor has; results do not depend on it.
"""

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

WIDTH = 8 if llvm.get_host_cpu_features().get('avx512f') else 4
"""Words of a vector."""
LIMBS, LIMB_BITS, ROOM = 6, 22, 1 << 10
"""Limbs of a field element, their bits, and how many products a lane can sum."""

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
VECTOR = ir.VectorType(_I64, WIDTH)
"""The type of a vector in LLVM."""


class _Lanes(types.Type):
    def __init__(self):
        super().__init__(f'Lanes{WIDTH}')


LANES = _Lanes()
_SUMS = types.UniTuple(LANES, LIMBS)


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, numba_type):
        super().__init__(manager, numba_type, VECTOR)


def splat(b, value):
    """A vector of one value: a Python integer, or a 64-bit value of the builder `b`."""
    if isinstance(value, int):
        return ir.Constant(VECTOR, [value] * WIDTH)
    first = b.insert_element(ir.Constant(VECTOR, ir.Undefined), value, ir.Constant(_I32, 0))
    every = ir.Constant(ir.VectorType(_I32, WIDTH), [0] * WIDTH)
    return b.shuffle_vector(first, first, every)


def _place(context, b, array_type, array, i, j):
    """Pointer to element [i, j] of a C-contiguous matrix of words."""
    view = context.make_array(array_type)(context, b, array)
    columns = cgutils.unpack_tuple(b, view.shape, 2)[1]
    return b.gep(view.data, [b.add(b.mul(i, columns), j)])


def _load(context, b, array_type, array, i, j):
    at = b.bitcast(_place(context, b, array_type, array, i, j), VECTOR.as_pointer())
    value = b.load(at)
    value.align = 8
    return value


@intrinsic
def load(typingctx, array, i, j):
    """The vector at array[i, j:j + WIDTH]; the caller keeps it inside the array."""
    def codegen(context, b, sig, args):
        return _load(context, b, sig.args[0], *args)
    return LANES(array, types.intp, types.intp), codegen


@intrinsic
def high_halves(typingctx, x):
    """The upper 32 bits of every lane."""
    def codegen(context, b, sig, args):
        return b.lshr(args[0], splat(b, 32))
    return LANES(x), codegen


@intrinsic
def no_sums(typingctx):
    """LIMBS vectors of zeros."""
    def codegen(context, b, sig, args):
        return context.make_tuple(b, sig.return_type, [splat(b, 0)] * LIMBS)
    return _SUMS(), codegen


@intrinsic
def load_sums(typingctx, array, i, j):
    """The vectors at array[i + l, j:j + WIDTH] for l < LIMBS."""
    def codegen(context, b, sig, args):
        array, i, j = args
        rows = [b.add(i, ir.Constant(i.type, k)) for k in range(LIMBS)]
        return context.make_tuple(
            b, sig.return_type, [_load(context, b, sig.args[0], array, r, j) for r in rows])
    return _SUMS(array, types.intp, types.intp), codegen


@intrinsic
def store_sums(typingctx, array, i, j, sums):
    """The reverse of `load_sums`."""
    def codegen(context, b, sig, args):
        array, i, j, sums = args
        for k in range(LIMBS):
            at = _place(context, b, sig.args[0], array, b.add(i, ir.Constant(i.type, k)), j)
            b.store(b.extract_value(sums, k), b.bitcast(at, VECTOR.as_pointer())).align = 8
        return context.get_dummy_value()
    return types.void(array, types.intp, types.intp, _SUMS), codegen


@intrinsic
def add_products(typingctx, sums, x, array, i, j):
    """sums[l] + (x mod 2^32)·array[i + l, j:j + WIDTH] for l < LIMBS, lane by lane."""
    def codegen(context, b, sig, args):
        sums, x, array, i, j = args
        half = splat(b, (1 << 32) - 1)
        x = b.and_(x, half)
        results = []
        for k in range(LIMBS):
            y = _load(context, b, sig.args[2], array, b.add(i, ir.Constant(i.type, k)), j)
            results.append(b.add(b.extract_value(sums, k), b.mul(x, b.and_(y, half))))
        return context.make_tuple(b, sig.return_type, results)
    return _SUMS(_SUMS, LANES, array, types.intp, types.intp), codegen


@intrinsic
def across(typingctx, sums):
    """The sum of the lanes of each of LIMBS vectors."""
    def codegen(context, b, sig, args):
        add = cgutils.get_or_insert_function(
            b.module, ir.FunctionType(_I64, [VECTOR]), f'llvm.vector.reduce.add.v{WIDTH}i64')
        return context.make_tuple(
            b, sig.return_type, [b.call(add, [b.extract_value(args[0], k)]) for k in range(LIMBS)])
    return types.UniTuple(types.uint64, LIMBS)(_SUMS), codegen


@intrinsic
def prefetch(typingctx, array, i, j):
    """Ask for array[i, j] to be brought near; any i and j, they are a hint only."""
    def codegen(context, b, sig, args):
        at = b.bitcast(_place(context, b, sig.args[0], *args), _I8.as_pointer())
        fetch = cgutils.get_or_insert_function(
            b.module, ir.FunctionType(ir.VoidType(), [_I8.as_pointer(), *[_I32] * 3]),
            'llvm.prefetch.p0i8')
        b.call(fetch, [at, *[ir.Constant(_I32, v) for v in (0, 3, 1)]])  # read, keep, data
        return context.get_dummy_value()
    return types.void(array, types.intp, types.intp), codegen
