"""How vectors of field elements are multiplied: as limbs, in the form that suits the processor.

Every processor of today multiplies 32-bit halves of the lanes of a vector (``vpmuludq`` and its
like); some also multiply 52-bit parts and add the lower or the upper 52 bits of the product
(AVX-512 IFMA). A form says how elements of p = 2^127 - 1 are cut into limbs for that, and how sums
of products are kept, without a carry, until they are reduced. Both compute the same numbers.

The functions here emit LLVM's instructions with a builder `b`, and `engine.element_lanes` makes
functions for Numba of them. An element is a pair of word vectors, low and high.
"""

from llvmlite import ir
from numba.core import cgutils

from engine.lanes import FEATURES, VECTOR, WIDTH, splat

TERMS = 64
"""How many products a sum has room for."""


class Halves:
    """Five limbs of 26 bits.

    Every product of limbs fits 52 bits, and 25 of them give a product modulo p: limbs beyond bit
    130 re-enter eightfold, because 2^130 = 8 mod p. A sum is five vectors.
    """

    bits, limbs, vectors = 26, 5, 5
    """Bits of a limb, limbs of an element, vectors of a sum."""
    shifts = (0, 3)
    """The second factor of a product is given as its limbs shifted by each of these."""

    def cut(self, b, x):
        """The limbs of elements, as factors."""
        lo, hi = x
        middle = b.or_(_shifted(b, lo, -52), _shifted(b, hi, 12))
        parts = [lo, _shifted(b, lo, -26), middle, _shifted(b, hi, -14)]
        return [_low(b, part, 26) for part in parts] + [_shifted(b, hi, -40)]

    def start(self, b, x):
        """A sum that is one element."""
        return self.cut(b, x)

    def add_product(self, b, total, x, y):
        """The sum `total` and x·y, for the limbs x, and the limbs y in all shifts."""
        # The masks tell LLVM that upper halves are zero; it emits none of them.
        y = [_low(b, limb, 32) for limb in y]
        out = []
        for k, value in enumerate(total):
            for i in range(5):
                value = b.add(value, b.mul(x[i], y[k - i] if i <= k else y[k - i + 10]))
            out.append(value)
        return out

    def reduced(self, b, total):
        """The limbs of the elements, below 2^127, that a sum stands for."""
        return _carried(b, total, 26)


class Ifma:
    """Three limbs of 52 bits, the last of 23: 17 multiply-adds give a product.

    They take the low 52 bits of the lanes of their factors, whatever is above. A sum is five
    vectors, the limbs of a number of up to 254 bits and the carries of its terms.
    """

    bits, limbs, vectors = 52, 3, 5
    shifts = (0,)

    def cut(self, b, x):
        lo, hi = x
        return [lo, b.or_(_shifted(b, lo, -52), _shifted(b, hi, 12)), _shifted(b, hi, -40)]

    def start(self, b, x):
        one, two, three = self.cut(b, x)
        return [_low(b, one, 52), _low(b, two, 52), three, splat(b, 0), splat(b, 0)]

    def add_product(self, b, total, x, y):
        # A multiply-add waits for the one before it. The two sums of five get a second chain.
        out, second = list(total), {2: splat(b, 0), 3: splat(b, 0)}
        places = [(i, j) for i in range(3) for j in range(3)]
        for i, j in places:
            out[i + j] = self._multiply_add(b, 'l', out[i + j], x[i], y[j])
        for i, j in places[:-1]:  # the product of the last limbs has no upper part
            at = i + j + 1
            chain = second if at in second else out
            chain[at] = self._multiply_add(b, 'h', chain[at], x[i], y[j])
        for at, part in second.items():
            out[at] = b.add(out[at], part)
        return out

    def reduced(self, b, total):
        # 2^127 = 1 mod p: what counts for bits from 127 on is added 127 bits below.
        one, two, three, four, five = total
        return _carried(b, [
            b.add(one, b.add(_shifted(b, three, -23), _low(b, _shifted(b, four, 29), 52))),
            b.add(two, b.add(_shifted(b, four, -23), _low(b, _shifted(b, five, 29), 52))),
            b.add(_low(b, three, 23), _shifted(b, five, -23))], 52)

    @staticmethod
    def _multiply_add(b, part, total, x, y):
        function = cgutils.get_or_insert_function(
            b.module, ir.FunctionType(VECTOR, [VECTOR] * 3),
            f'llvm.x86.avx512.vpmadd52{part}.uq.{64 * WIDTH}')
        return b.call(function, [total, x, y])


IFMA = '+avx512ifma' in FEATURES and WIDTH == 8
"""Whether kernels use AVX-512 IFMA."""
FORM: Ifma | Halves = Ifma() if IFMA else Halves()
"""The form of this processor."""


def _shifted(b, x, bits):
    """x << bits, or x >> -bits."""
    if bits == 0:
        return x
    return b.shl(x, splat(b, bits)) if bits > 0 else b.lshr(x, splat(b, -bits))


def _low(b, x, bits):
    return b.and_(x, splat(b, (1 << bits) - 1))


def _carried(b, limbs, bits):
    """Limbs within their bits for the same number mod p, below 2^127, from larger ones."""
    limbs, last = list(limbs), 127 - (len(limbs) - 1) * bits
    for _ in range(2):
        for k in range(len(limbs) - 1):
            limbs[k + 1] = b.add(limbs[k + 1], _shifted(b, limbs[k], -bits))
            limbs[k] = _low(b, limbs[k], bits)
        # 2^127 = 1 mod p.
        limbs[0] = b.add(limbs[0], _shifted(b, limbs[-1], -last))
        limbs[-1] = _low(b, limbs[-1], last)
    # What is left of the second turn is 0 or 1. With 1 the first limb may have become 2^bits, but
    # the others are small then: adding up all, as `joined` does, carries into no further word.
    return limbs


def joined(b, limbs, bits):
    """The word vectors of elements from their limbs."""
    words = [splat(b, 0), splat(b, 0)]
    for k, limb in enumerate(limbs):
        for word in range(2):
            at = k * bits - 64 * word
            if -bits < at < 64:
                words[word] = b.add(words[word], _shifted(b, limb, at))
    return words
