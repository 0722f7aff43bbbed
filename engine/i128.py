"""128-bit arithmetic for Numba: the few LLVM operations that Python integers cannot express fast.

Numba has no integer wider than 64 bits, yet LLVM has (`i128`, `i192`), and on a 64-bit processor
they compile to plain ``mulx``/``adc``. Each intrinsic here takes and returns 64-bit limbs, low limb
first, and is inlined into the kernels of `engine.field`. All arithmetic is modulo the Mersenne
prime p = 2^127 - 1 unless the name says otherwise; field elements are canonical, that is in [0, p).
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_U64 = types.uint64
_I64 = ir.IntType(64)
_I128 = ir.IntType(128)
_I192 = ir.IntType(192)
_P = (1 << 127) - 1


def _join(b, lo, hi):
    """128-bit value from two limbs."""
    wide = b.shl(b.zext(hi, _I128), ir.Constant(_I128, 64))
    return b.or_(b.zext(lo, _I128), wide)


def _limbs(context, b, sig, value, count):
    """Tuple of the low `count` limbs of an LLVM integer."""
    parts = []
    for k in range(count):
        part = b.lshr(value, ir.Constant(value.type, 64 * k)) if k else value
        parts.append(b.trunc(part, _I64))
    return context.make_tuple(b, sig.return_type, parts)


def _reduce_once(b, s):
    """Canonical form of s < 2^128 (that is s <= 2p + 1)."""
    p = ir.Constant(_I128, _P)
    folded = b.add(b.and_(s, p), b.lshr(s, ir.Constant(_I128, 127)))
    return b.select(b.icmp_unsigned('>=', folded, p), b.sub(folded, p), folded)


def _wide(b, x, y):
    """The four partial products of two field elements: ll, lh + hl (no overflow), hh."""
    def product(u, v):
        return b.mul(b.zext(u, _I128), b.zext(v, _I128))
    (xl, xh), (yl, yh) = x, y
    # The high limbs are below 2^63, so the two cross products together stay below 2^128.
    return product(xl, yl), b.add(product(xl, yh), product(xh, yl)), product(xh, yh)


def _fold(b, ll, mid, hh):
    """(ll + mid 2^64 + hh 2^128) mod p, not yet canonical but below 2^128."""
    p = ir.Constant(_I128, _P)
    low = b.add(ll, b.shl(mid, ir.Constant(_I128, 64)))
    carry = b.zext(b.icmp_unsigned('<', low, ll), _I128)
    high = b.add(b.add(hh, b.lshr(mid, ir.Constant(_I128, 64))), carry)
    top = b.or_(b.shl(high, ir.Constant(_I128, 1)), b.lshr(low, ir.Constant(_I128, 127)))
    return b.add(b.and_(low, p), top)


@intrinsic
def f_add(typingctx, xl, xh, yl, yh):
    """(x + y) mod p."""
    sig = types.UniTuple(_U64, 2)(_U64, _U64, _U64, _U64)

    def codegen(context, b, sig, args):
        s = b.add(_join(b, args[0], args[1]), _join(b, args[2], args[3]))
        p = ir.Constant(_I128, _P)
        s = b.select(b.icmp_unsigned('>=', s, p), b.sub(s, p), s)
        return _limbs(context, b, sig, s, 2)
    return sig, codegen


@intrinsic
def f_sub(typingctx, xl, xh, yl, yh):
    """(x - y) mod p."""
    sig = types.UniTuple(_U64, 2)(_U64, _U64, _U64, _U64)

    def codegen(context, b, sig, args):
        x, y = _join(b, args[0], args[1]), _join(b, args[2], args[3])
        p = ir.Constant(_I128, _P)
        d = b.sub(x, y)
        d = b.select(b.icmp_unsigned('<', x, y), b.add(d, p), d)
        return _limbs(context, b, sig, d, 2)
    return sig, codegen


@intrinsic
def f_mul(typingctx, xl, xh, yl, yh):
    """(x * y) mod p."""
    sig = types.UniTuple(_U64, 2)(_U64, _U64, _U64, _U64)

    def codegen(context, b, sig, args):
        s = _fold(b, *_wide(b, args[:2], args[2:]))
        return _limbs(context, b, sig, _reduce_once(b, s), 2)
    return sig, codegen


@intrinsic
def f_canonical(typingctx, lo, hi):
    """Canonical form of any 128-bit value."""
    sig = types.UniTuple(_U64, 2)(_U64, _U64)

    def codegen(context, b, sig, args):
        return _limbs(context, b, sig, _reduce_once(b, _join(b, *args)), 2)
    return sig, codegen


@intrinsic
def mac(typingctx, a0, a1, a2, xl, xh, yl, yh):
    """Add x * y, folded below 2^128, to a 192-bit accumulator: room for 2^64 terms.

    The sum stays unreduced until `reduce3`: an inner product of any length reduces once.
    """
    sig = types.UniTuple(_U64, 3)(*(_U64,) * 7)

    def codegen(context, b, sig, args):
        folded = _fold(b, *_wide(b, args[3:5], args[5:7]))
        acc = b.or_(b.zext(_join(b, args[0], args[1]), _I192),
                    b.shl(b.zext(args[2], _I192), ir.Constant(_I192, 128)))
        return _limbs(context, b, sig, b.add(acc, b.zext(folded, _I192)), 3)
    return sig, codegen


@intrinsic
def mac_small(typingctx, a0, a1, a2, xl, xh, y):
    """Add x * y for a field element x and y < 2^64 to a 192-bit accumulator, without folding.

    Room for 2^64 / y terms.
    """
    sig = types.UniTuple(_U64, 3)(*(_U64,) * 6)

    def codegen(context, b, sig, args):
        acc = b.or_(b.zext(_join(b, args[0], args[1]), _I192),
                    b.shl(b.zext(args[2], _I192), ir.Constant(_I192, 128)))
        y = b.zext(args[5], _I128)
        low = b.zext(b.mul(b.zext(args[3], _I128), y), _I192)
        high = b.shl(b.zext(b.mul(b.zext(args[4], _I128), y), _I192), ir.Constant(_I192, 64))
        return _limbs(context, b, sig, b.add(acc, b.add(low, high)), 3)
    return sig, codegen


@intrinsic
def reduce3(typingctx, a0, a1, a2):
    """Canonical form of a 192-bit accumulator."""
    sig = types.UniTuple(_U64, 2)(_U64, _U64, _U64)

    def codegen(context, b, sig, args):
        # 2^128 = 2 mod p: the top limb re-enters doubled, the rest folds at bit 127.
        p = ir.Constant(_I128, _P)
        low = _join(b, args[0], args[1])
        top = b.shl(b.zext(args[2], _I128), ir.Constant(_I128, 1))
        s = b.add(b.add(b.and_(low, p), b.lshr(low, ir.Constant(_I128, 127))), top)
        return _limbs(context, b, sig, _reduce_once(b, s), 2)
    return sig, codegen
