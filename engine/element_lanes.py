"""Vectors of field elements for Numba: the element-wise kernels, several elements at a time.

`WIDTH` elements of p = 2^127 - 1 lie in two vectors of 64-bit words, the low and the high ones (in
an order of their own, which `store` undoes). For products they are cut into limbs, in the form that
suits the processor (`engine.limbs`), and a sum of up to `TERMS` products is reduced once. Where a
processor has neither wide vectors nor many registers the same code is only slower; results do not
depend on it.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from engine.lanes import LANES, VECTOR, WIDTH, fetch, splat
from engine.limbs import FORM, joined

BITS, LIMBS, SHIFTS, VECTORS = FORM.bits, FORM.limbs, FORM.shifts, FORM.vectors
"""Bits of a limb, limbs of an element, shifts of the second factor's limbs, vectors of a sum."""

_PAIR = types.UniTuple(LANES, 2)
_SUM = types.UniTuple(LANES, VECTORS)
_HIGH_P = (1 << 63) - 1
_PLACES = ir.VectorType(ir.IntType(32), WIDTH)
_EVEN = [k + WIDTH * odd for k in range(0, WIDTH, 2) for odd in (0, 1)]
_ORDER = [k // 2 + WIDTH // 2 * (k % 2) for k in range(WIDTH)]
"""Which element is in which lane."""
_AHEAD = 256
"""Elements, 4 KB, between what is loaded and what is asked for."""


def _tuple(context, b, sig, values):
    return context.make_tuple(b, sig.return_type, values)


def _pair_at(b, words, i):
    """Pointers to the two vectors that hold elements i to i + WIDTH, `words` being a pointer."""
    first = b.mul(i, ir.Constant(i.type, 2))
    return [b.bitcast(b.gep(words, [b.add(first, ir.Constant(i.type, k))]), VECTOR.as_pointer())
            for k in (0, WIDTH)]


def _woven(b, x, y):
    """Even places of both, and odd places of both; twice applied it changes nothing."""
    return [b.shuffle_vector(x, y, ir.Constant(_PLACES, [k + odd for k in _EVEN]))
            for odd in (0, 1)]


def _load(context, b, sig, words, i):
    vectors = [b.load(at) for at in _pair_at(b, words, i)]
    for vector in vectors:
        vector.align = 8
    return _tuple(context, b, sig, _woven(b, *vectors))


def _fetch(b, words, i):
    """Ask for the elements that lie `_AHEAD` behind i to i + WIDTH."""
    for at in _pair_at(b, words, b.add(i, ir.Constant(i.type, _AHEAD))):
        fetch(b, at)


def _address(b, value):
    return b.inttoptr(value, ir.IntType(64).as_pointer())


@intrinsic
def load(typingctx, array, i):
    """(low words, high words) of array[i:i + WIDTH], the array of shape (n, 2) and contiguous."""
    def codegen(context, b, sig, args):
        words = context.make_array(sig.args[0])(context, b, args[0]).data
        return _load(context, b, sig, words, args[1])
    return _PAIR(array, types.intp), codegen


@intrinsic
def load_at(typingctx, address, i):
    """The same of the array whose memory is at `address`; those `_AHEAD` are brought near.

    A loop over arrays reads them all with this one instruction. Processors foresee that for some
    distances of the arrays only, and elsewhere memory takes four times as long.
    """
    def codegen(context, b, sig, args):
        words = _address(b, args[0])
        _fetch(b, words, args[1])
        return _load(context, b, sig, words, args[1])
    return _PAIR(types.uint64, types.intp), codegen


@intrinsic
def word_at(typingctx, address, k):
    """Word k of the memory at `address`."""
    def codegen(context, b, sig, args):
        return b.load(b.gep(_address(b, args[0]), [args[1]]))
    return types.uint64(types.uint64, types.intp), codegen


@intrinsic
def store(typingctx, array, i, x):
    """The reverse of `load`."""
    def codegen(context, b, sig, args):
        array, i, x = args
        words = context.make_array(sig.args[0])(context, b, array).data
        woven = _woven(b, *cgutils.unpack_tuple(b, x, 2))
        for vector, at in zip(woven, _pair_at(b, words, i), strict=True):
            b.store(vector, at).align = 8
        return context.get_dummy_value()
    return types.void(array, types.intp, _PAIR), codegen


def _words_at(context, b, array_type, array, i):
    words = context.make_array(array_type)(context, b, array).data
    return b.bitcast(b.gep(words, [i]), VECTOR.as_pointer())


def _ordered(b, x, order):
    return b.shuffle_vector(x, x, ir.Constant(_PLACES, order))


@intrinsic
def load_words(typingctx, array, i):
    """The words array[i:i + WIDTH], in the order of elements' words."""
    def codegen(context, b, sig, args):
        vector = b.load(_words_at(context, b, sig.args[0], *args))
        vector.align = 8
        return _ordered(b, vector, _ORDER)
    return LANES(array, types.intp), codegen


@intrinsic
def store_words(typingctx, array, i, words):
    """The reverse of `load_words`."""
    def codegen(context, b, sig, args):
        array, i, words = args
        words = _ordered(b, words, [_ORDER.index(k) for k in range(WIDTH)])
        b.store(words, _words_at(context, b, sig.args[0], array, i)).align = 8
        return context.get_dummy_value()
    return types.void(array, types.intp, LANES), codegen


@intrinsic
def sum_of_words(typingctx, x, y):
    """x + y modulo 2^64."""
    def codegen(context, b, sig, args):
        return b.add(*args)
    return LANES(LANES, LANES), codegen


@intrinsic
def successor(typingctx, words):
    """words + 1 modulo 2^64."""
    def codegen(context, b, sig, args):
        return b.add(args[0], splat(b, 1))
    return LANES(LANES), codegen


@intrinsic
def signed(typingctx, words):
    """The elements that words stand for as signed numbers."""
    def codegen(context, b, sig, args):
        sign = b.ashr(args[0], splat(b, 63))
        return _tuple(context, b, sig, [b.add(args[0], sign), b.and_(sign, splat(b, _HIGH_P))])
    return _PAIR(LANES), codegen


@intrinsic
def cut(typingctx, x, top):
    """Every x with its high word ANDed with `top`."""
    def codegen(context, b, sig, args):
        lo, hi = cgutils.unpack_tuple(b, args[0], 2)
        return _tuple(context, b, sig, [lo, b.and_(hi, splat(b, args[1]))])
    return _PAIR(_PAIR, types.uint64), codegen


@intrinsic
def shifted(typingctx, x, bits):
    """Every x >> bits, for 0 < bits < 64."""
    def codegen(context, b, sig, args):
        lo, hi = cgutils.unpack_tuple(b, args[0], 2)
        right = splat(b, args[1])
        left = splat(b, b.sub(ir.Constant(args[1].type, 64), args[1]))
        low = b.or_(b.lshr(lo, right), b.shl(hi, left))
        return _tuple(context, b, sig, [low, b.lshr(hi, right)])
    return _PAIR(_PAIR, types.uint64), codegen


def _carry(b, test):
    return b.zext(test, VECTOR)


def _settle(b, lo, hi):
    """Canonical form of lo + hi 2^64 < 2^128 - 1, word vectors."""
    top = b.lshr(hi, splat(b, 63))
    low = b.add(lo, top)
    high = b.add(b.and_(hi, splat(b, _HIGH_P)), _carry(b, b.icmp_unsigned('<', low, top)))
    return _without_p(b, low, high)


def _without_p(b, lo, hi):
    """The same with 0 in the place of p."""
    zero = splat(b, 0)
    is_p = b.and_(b.icmp_unsigned('==', lo, splat(b, (1 << 64) - 1)),
                  b.icmp_unsigned('==', hi, splat(b, _HIGH_P)))
    return [b.select(is_p, zero, lo), b.select(is_p, zero, hi)]


@intrinsic
def add(typingctx, x, y):
    """x + y mod p."""
    def codegen(context, b, sig, args):
        (xl, xh), (yl, yh) = (cgutils.unpack_tuple(b, v, 2) for v in args)
        lo = b.add(xl, yl)
        hi = b.add(b.add(xh, yh), _carry(b, b.icmp_unsigned('<', lo, xl)))
        return _tuple(context, b, sig, _settle(b, lo, hi))
    return _PAIR(_PAIR, _PAIR), codegen


@intrinsic
def sub(typingctx, x, y):
    """x - y mod p."""
    def codegen(context, b, sig, args):
        (xl, xh), (yl, yh) = (cgutils.unpack_tuple(b, v, 2) for v in args)
        # p - y has all 127 bits of y inverted.
        yl, yh = b.not_(yl), b.xor(yh, splat(b, _HIGH_P))
        lo = b.add(xl, yl)
        hi = b.add(b.add(xh, yh), _carry(b, b.icmp_unsigned('<', lo, xl)))
        return _tuple(context, b, sig, _settle(b, lo, hi))
    return _PAIR(_PAIR, _PAIR), codegen


@intrinsic
def canonical(typingctx, x):
    """Canonical form of values below 2^127."""
    def codegen(context, b, sig, args):
        return _tuple(context, b, sig, _without_p(b, *cgutils.unpack_tuple(b, args[0], 2)))
    return _PAIR(_PAIR), codegen


# --- sums of products ---

@intrinsic
def summand(typingctx, x):
    """A sum that is x."""
    def codegen(context, b, sig, args):
        return _tuple(context, b, sig, FORM.start(b, cgutils.unpack_tuple(b, args[0], 2)))
    return _SUM(_PAIR), codegen


@intrinsic
def no_sum(typingctx):
    """A sum that is zero."""
    def codegen(context, b, sig, args):
        return _tuple(context, b, sig, [splat(b, 0)] * VECTORS)
    return _SUM(), codegen


@intrinsic
def element(typingctx, array, i):
    """A sum that is array[i] everywhere."""
    def codegen(context, b, sig, args):
        words = context.make_array(sig.args[0])(context, b, args[0]).data
        first = b.mul(args[1], ir.Constant(args[1].type, 2))
        pair = [splat(b, b.load(b.gep(words, [b.add(first, ir.Constant(first.type, k))])))
                for k in (0, 1)]
        return _tuple(context, b, sig, FORM.start(b, pair))
    return _SUM(array, types.intp), codegen


@intrinsic
def plus(typingctx, total, x):
    """total + x."""
    def codegen(context, b, sig, args):
        total = cgutils.unpack_tuple(b, args[0])
        other = FORM.start(b, cgutils.unpack_tuple(b, args[1], 2))
        return _tuple(context, b, sig, [b.add(u, v) for u, v in zip(total, other, strict=True)])
    return _SUM(_SUM, _PAIR), codegen


@intrinsic
def plus_product(typingctx, total, x, y):
    """total + x·y."""
    def codegen(context, b, sig, args):
        total = cgutils.unpack_tuple(b, args[0])
        x, y = (FORM.cut(b, cgutils.unpack_tuple(b, pair, 2)) for pair in args[1:])
        y = [b.shl(limb, splat(b, shift)) for shift in SHIFTS for limb in y]
        return _tuple(context, b, sig, FORM.add_product(b, total, x, y))
    return _SUM(_SUM, _PAIR, _PAIR), codegen


@intrinsic
def plus_multiple(typingctx, total, x, table, j):
    """total + x·c for the constant c in row j of a table that `constant_limbs` has written."""
    def codegen(context, b, sig, args):
        total, x, table, j = args
        view = context.make_array(sig.args[2])(context, b, table)
        words = len(SHIFTS) * LIMBS
        first = b.mul(j, ir.Constant(j.type, words))
        y = [splat(b, b.load(b.gep(view.data, [b.add(first, ir.Constant(j.type, k))])))
             for k in range(words)]
        x = FORM.cut(b, cgutils.unpack_tuple(b, x, 2))
        return _tuple(context, b, sig, FORM.add_product(b, cgutils.unpack_tuple(b, total), x, y))
    return _SUM(_SUM, _PAIR, table, types.intp), codegen


@intrinsic
def reduced(typingctx, total):
    """The elements, canonical, that a sum stands for."""
    def codegen(context, b, sig, args):
        limbs = FORM.reduced(b, cgutils.unpack_tuple(b, args[0]))
        return _tuple(context, b, sig, _without_p(b, *joined(b, limbs, BITS)))
    return _PAIR(_SUM), codegen


@intrinsic
def across(typingctx, total):
    """The limbs, each below 2^56, of a number that is the sum of all lanes modulo p."""
    def codegen(context, b, sig, args):
        add = cgutils.get_or_insert_function(
            b.module, ir.FunctionType(ir.IntType(64), [VECTOR]),
            f'llvm.vector.reduce.add.v{WIDTH}i64')
        limbs = FORM.reduced(b, cgutils.unpack_tuple(b, args[0]))
        return _tuple(context, b, sig, [b.call(add, [limb]) for limb in limbs])
    return types.UniTuple(types.uint64, LIMBS)(_SUM), codegen


def _sum_at(context, b, sums_type, sums, j, c):
    """Pointers to the vectors of a sum, at sums[j, :, c:c + WIDTH]."""
    view = context.make_array(sums_type)(context, b, sums)
    slots = cgutils.unpack_tuple(b, view.shape, 3)[2]
    rows = [b.add(b.mul(j, ir.Constant(j.type, VECTORS)), ir.Constant(j.type, k))
            for k in range(VECTORS)]
    return [b.bitcast(b.gep(view.data, [b.add(b.mul(row, slots), c)]), VECTOR.as_pointer())
            for row in rows]


@intrinsic
def load_sum(typingctx, sums, j, c):
    """The sum that is at sums[j, :, c:c + WIDTH]."""
    def codegen(context, b, sig, args):
        vectors = [b.load(at) for at in _sum_at(context, b, sig.args[0], *args)]
        for vector in vectors:
            vector.align = 8
        return _tuple(context, b, sig, vectors)
    return _SUM(sums, types.intp, types.intp), codegen


@intrinsic
def store_sum(typingctx, sums, j, c, total):
    """The reverse of `load_sum`."""
    def codegen(context, b, sig, args):
        *place, total = args
        places = _sum_at(context, b, sig.args[0], *place)
        for vector, at in zip(cgutils.unpack_tuple(b, total), places, strict=True):
            b.store(vector, at).align = 8
        return context.get_dummy_value()
    return types.void(sums, types.intp, types.intp, _SUM), codegen
