"""Vectors of 64-bit words for Numba: the type, what the processor can do, and fetching ahead.

A `LANES` value holds one machine vector. LLVM maps it to whatever the processor has; results do not
depend on it.
"""

from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic, models, register_model

_CHOSEN = config.CPU_FEATURES  # type: ignore[attr-defined]  # made at run time
FEATURES = (get_host_cpu_features() if _CHOSEN is None else _CHOSEN).split(',')
"""What kernels may use of the processor, as ``+avx2``; NUMBA_CPU_FEATURES overrides what it has."""
WIDTH = 8 if '+avx512f' in FEATURES else 4
"""Words of a vector."""

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
VECTOR = ir.VectorType(_I64, WIDTH)
"""The type of a vector in LLVM."""


class _Lanes(types.Type):
    def __init__(self):
        super().__init__(f'Lanes{WIDTH}')


LANES = _Lanes()


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


def fetch(b, pointer):
    """Ask for what lies there, or anywhere, to be brought near."""
    call = cgutils.get_or_insert_function(
        b.module, ir.FunctionType(ir.VoidType(), [_I8.as_pointer(), *[_I32] * 3]),
        'llvm.prefetch.p0i8')
    pointer = b.bitcast(pointer, _I8.as_pointer())
    b.call(call, [pointer, *[ir.Constant(_I32, v) for v in (0, 3, 1)]])  # read, keep, data


@intrinsic
def prefetch(typingctx, array, i, j):
    """Ask for array[i, j] of a C-contiguous matrix of words to be brought near.

    Any i and j will do, they are a hint only.
    """
    def codegen(context, b, sig, args):
        array, i, j = args
        view = context.make_array(sig.args[0])(context, b, array)
        columns = cgutils.unpack_tuple(b, view.shape, 2)[1]
        fetch(b, b.gep(view.data, [b.add(b.mul(i, columns), j)]))
        return context.get_dummy_value()
    return types.void(array, types.intp, types.intp), codegen
