"""The compiled kernels against Python integers, and the encodings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from engine import field, multi_modular, products
from engine import field_kernels as kernels
from engine import field_reference as reference
from engine.field import P

EDGES = [0, 1, 2, P - 1, P - 2, P // 2, P // 2 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**64 + 1,
         2**126, 2**126 - 1, (2**63 - 1) << 64, P - 2**64, P - 2**63]
ELEMENT = st.one_of(st.sampled_from(EDGES), st.integers(0, P - 1))
fast = settings(max_examples=40)


def elements(shape):
    """Arrays of field elements of a shape, edge values included."""
    size = int(np.prod(shape))
    return st.lists(ELEMENT, min_size=size, max_size=size).map(
        lambda values: field.table(values).reshape(*shape, 2))


def same(x, y):
    assert x.dtype == y.dtype == np.uint64
    np.testing.assert_array_equal(x, y)


def pairs():
    """Lengths below, at and beyond the width of a vector (4 or 8 elements), and what is left."""
    return st.integers(0, 19).flatmap(lambda n: st.tuples(elements((n,)), elements((n,))))


@pytest.mark.parametrize("name", ["add", "sub", "mul"])
def test_all_pairs_of_edge_values(name):
    x, y = (field.table(v) for v in zip(*[(a, b) for a in EDGES for b in EDGES], strict=True))
    same(getattr(field, name)(x, y), getattr(reference, name)(x, y))


@fast
@given(pairs())
def test_elementwise_kernels(pair):
    for name in ("add", "sub", "mul"):
        same(getattr(field, name)(*pair), getattr(reference, name)(*pair))
    same(field.neg(pair[0]), reference.sub(np.zeros_like(pair[0]), pair[0]))


@fast
@given(elements((2, 1, 3)), elements((4, 1)))
def test_broadcasting(x, y):
    for name in ("add", "sub", "mul"):
        result = getattr(field, name)(x, y)
        assert result.shape == (2, 4, 3, 2)
        same(result, getattr(reference, name)(x, y))


@fast
@given(st.integers(0, 19).flatmap(lambda n: elements((n,))), ELEMENT, ELEMENT)
@example(field.table(EDGES), P - 1, P - 1)
def test_affine(x, a, b):
    expected = field.table([a * v + b for v in field.to_ints(x)])
    same(field.affine(x, a, b), expected)
    same(field.affine(x, a - P, b - 3 * P), expected)


@fast
@given(st.tuples(st.integers(1, 5), st.integers(1, 17)).flatmap(
    lambda s: st.tuples(elements(s), elements(s[:1]))))
def test_combine(arguments):
    same(field.combine(*arguments), reference.combine(*arguments))


@pytest.mark.parametrize("n", [0, 1, 31, 63, 64, 65, 127, 128, 129, 1023, 1024, 1025, 2100])
def test_polynomials(n):
    """Lengths at and around a run of vectors, of four or eight elements, and the part that is near.

    One array has edge values only, at points that are edge values too.
    """
    rng = np.random.default_rng(n)
    arrays = [rng.choice(EDGES, n).tolist(), [int(v) << 70 for v in rng.integers(1, 2**56, n)]]
    points = [0, 1, P - 1, 2**104 - 1, int(rng.integers(2, 2**62)) << 60]
    expected = [[_horner(values, r) for r in points] for values in arrays]
    parts = [field.table(values) for values in arrays]
    same(field.evaluate(parts, field.table(points)),
         np.stack([field.table(row) for row in expected]))
    same(field.evaluate_columns(np.stack(parts, axis=1), field.limbs(points[-1])),
         field.table([row[-1] for row in expected]))
    same(field.evaluate_columns(parts[1][:, None], field.limbs(points[-1])),
         field.table([expected[1][-1]]))


def _horner(values, point):
    result = 0
    for value in values:
        result = (result * point + value) % P
    return result


@pytest.mark.parametrize("rows, k", [(64, 1), (32, 2), (21, 3), (2, 40), (0, 2)])
@pytest.mark.parametrize("piece", [20, 1 << 17])
def test_tables_piece_by_piece(monkeypatch, rows, k, piece):
    monkeypatch.setattr(field, "_PIECE", piece)
    x = field.table((EDGES * 5)[:rows * k]).reshape(rows, k, 2)
    whole = [_horner(field.to_ints(x[:, j]).tolist(), 12345) for j in range(k)]
    same(field.evaluate_columns(x, field.limbs(12345)), field.table(whole))
    coefs = field.table(EDGES[-k:] if k < 9 else range(k))
    same(field.combine_columns(x, coefs), reference.total(reference.mul(x, coefs), 1))


def test_sums_in_place():
    x, y = field.table(EDGES), field.table(EDGES[::-1])
    expected = reference.add(x, y)
    assert field.add_to(x, y) is x
    same(x, expected)


@pytest.mark.parametrize("bits", [0, 1, 18, 26, 27, 39, 52, 53, 63, 64, 104, 126])
def test_products_that_end_at_the_border_of_a_limb(bits):
    """What is carried around a last time makes the first limb too large only for such results."""
    rng = np.random.default_rng(bits)
    x = [int.from_bytes(rng.bytes(15), "little") + 1 for _ in range(40)]
    for result in {2**bits - 1, 2**bits, 2**bits + 1} - {0}:
        y = [result * pow(v, -1, P) % P for v in x]
        same(field.mul(field.table(x), field.table(y)), field.table([result] * 40))
        # The same as sums of two products; and zero, which must not become p.
        stack = field.table([*x, *x]).reshape(2, 40, 2)
        for k in range(40):
            half = y[k] * pow(2, -1, P) % P
            for coefs, expected in (([half, half], result), ([y[k], P - y[k]], 0)):
                combined = field.combine(stack[:, k:k + 1].repeat(8, axis=1), field.table(coefs))
                same(combined, field.table([expected] * 8))


def addresses(arrays):
    return np.array([x.ctypes.data for x in arrays], np.uint64)


@pytest.mark.parametrize("k", [1, 62, 63, 64, 65, 127, 128, 300])
@pytest.mark.parametrize("value", [P - 1, P - 2**64, 2**104 - 1])
def test_combinations_of_the_largest_values_never_overflow(k, value):
    stack = np.broadcast_to(field.limbs(value), (k, 9, 2))
    coefs = np.ascontiguousarray(np.broadcast_to(field.limbs(value), (k, 2)))
    expected = field.table([k * value * value] * 9)
    same(field.combine(stack, coefs), expected)
    draws = np.ascontiguousarray(stack)
    zero = np.zeros((9, 2), np.uint64)
    same(field.add_masks(zero, field.limbs(0), draws, coefs, 1, 127), expected)
    out, one, no_shift = np.empty_like(zero), field.table([1]), np.uint64(0)
    kernels.shifted_masks(draws, zero[:1], coefs, 1, no_shift, np.uint64(2**63 - 1), out)
    same(out, expected)
    kernels.add_opened(addresses(draws), coefs, one, no_shift, zero)
    same(zero, expected)


@fast
@given(elements((2, 3, 4)), st.sampled_from([None, 0, 1, 2, -1]))
def test_total(x, axis):
    same(field.total(x, axis), reference.total(x, axis))


def test_total_of_many_large_elements_carries_beyond_128_bits():
    x = np.broadcast_to(field.limbs(P - 1), (100_000, 2))
    assert field.to_ints(field.total(x)) == (P - 1) * 100_000 % P


def test_total_of_nothing_is_zero():
    assert field.to_ints(field.total(np.empty((0, 2), np.uint64))) == 0
    same(field.total(np.empty((0, 3, 2), np.uint64), 0), np.zeros((3, 2), np.uint64))


@fast
@given(elements((6,)))
def test_cumsum(x):
    same(field.cumsum(x), field.table(np.cumsum(field.to_ints(x))))


@fast
@given(st.tuples(*[st.integers(0, 4)] * 3).flatmap(
    lambda s: st.tuples(elements(s[:2]), elements(s[1:]))))
def test_matmul(operands):
    a, b = operands
    expected = field.table(np.dot(*map(field.to_ints, operands)).ravel()).reshape(
        len(a), b.shape[1], 2)
    same(field.matmul(a, b), expected)
    same(field.matmul(np.ascontiguousarray(a.swapaxes(0, 1)).swapaxes(0, 1), b), expected)
    same(field.matmul(a, np.ascontiguousarray(b.swapaxes(0, 1)).swapaxes(0, 1)), expected)


@settings(max_examples=25)
@given(st.tuples(st.integers(1, 21), st.integers(1, 21), st.integers(1, 10)), st.data())
@example((4, 4, 1), None)
@example((9, 20, 9), None)
@example((2, 21, 21), None)
def test_thin_products_of_every_layout(shape, data):
    """Sizes around the width of a vector, and operands as they are or as transposed views."""
    n, k, m = shape
    seed = data.draw(st.integers(0, 99)) if data else 0
    rng = np.random.default_rng(seed)
    a, b = (field.table(rng.choice(np.array(EDGES, object), x * y)).reshape(x, y, 2)
            for x, y in ((n, k), (k, m)))
    expected = reference.matmul(a, b)
    for x in (a, np.ascontiguousarray(a.swapaxes(0, 1)).swapaxes(0, 1)):
        for y in (b, np.ascontiguousarray(b.swapaxes(0, 1)).swapaxes(0, 1)):
            np.testing.assert_array_equal(field.matmul(x, y), expected)


@pytest.mark.parametrize("k", [8, 62, 63, 64, 503, 504, 505, 511, 512, 513, 1023, 1025, 1 << 18])
@pytest.mark.parametrize("value", [P - 1, P - 2**64, P // 2])
def test_sums_of_the_largest_products_never_overflow(k, value):
    """With fewer rows than a vector has lanes, and with more; rows and columns of odd number."""
    for n, m in ((5, 2), (9, 3)):
        a = np.broadcast_to(field.limbs(value), (n, k, 2))
        b = np.broadcast_to(field.limbs(value), (k, m, 2))
        expected = np.broadcast_to(field.limbs(value * value * k), (n, m, 2))
        np.testing.assert_array_equal(field.matmul(a, b), expected)
        np.testing.assert_array_equal(field.matmul(np.ascontiguousarray(a), b), expected)
        columns = np.ascontiguousarray(a.swapaxes(0, 1)).swapaxes(0, 1)
        np.testing.assert_array_equal(field.matmul(columns, b), expected)


@pytest.mark.parametrize("shape", [(70, 1100, 66), (64, 600, 130)])
def test_large_products_by_either_kernel(shape):
    """Which of the two a processor takes is a matter of speed."""
    n, k, m = shape
    rng = np.random.default_rng(k)
    a, b = (field.table(rng.choice(np.array(EDGES, object), x * y)).reshape(x, y, 2)
            for x, y in ((n, k), (k, m)))
    expected = reference.matmul(a, b)
    same(multi_modular.product(a, b), expected)
    same(products.times_columns(a, np.ascontiguousarray(b.swapaxes(0, 1))), expected)
    same(field.matmul(a, b), expected)


def test_long_inner_products_reduce_once_and_right():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 2**63, (2, 5000, 2), dtype=np.uint64)
    a[0, :9] = field.limbs(P - 1)
    b = np.ascontiguousarray(a[:, ::-1].swapaxes(0, 1))
    assert (a[..., 1] < 2**63).all()
    expected = reference.matmul(a, b)
    same(field.matmul(a, b), expected)
    transposed = np.ascontiguousarray(a.swapaxes(0, 1)).swapaxes(0, 1)
    same(field.matmul(transposed, b), expected)


@fast
@given(st.data(), st.sampled_from([1, 3, 8, 13]), st.integers(0, 63), st.integers(1, 4),
       st.integers(1, 3), st.integers(0, 3))
def test_masks(data, n, shift, sets, period, opened):
    """The fused kernels of the one-round product, against the formulas of their docstrings."""
    bits = data.draw(st.integers(100, 127))
    z, out, offset, h, constant = (data.draw(elements(s)) for s in ((n,), (n,), (), (), ()))
    raw = st.lists(st.integers(0, 2**128 - 1), min_size=n, max_size=n)
    draws = [data.draw(raw) for _ in range(sets * period)]
    coefs = data.draw(elements((sets * period,)))
    words = np.array([[[v & 2**64 - 1, v >> 64] for v in row] for row in draws], np.uint64)
    cut = [[v % 2 ** (127 if j % period else bits) for v in row] for j, row in enumerate(draws)]
    c = field.to_ints(coefs)

    masked = field.add_masks(z, offset, words, coefs, period, bits)
    same(masked, field.table(
        [int(field.to_ints(z)[i]) + int(field.to_ints(offset))
         + sum(c[j] * cut[j][i] for j in range(len(cut))) for i in range(n)]))

    rest, top = np.empty_like(z), np.uint64((1 << (bits - 64)) - 1)
    kernels.shifted_masks(words, constant.reshape(1, 2), coefs[:sets], period, np.uint64(shift),
                          top, rest)
    same(rest, field.table(
        [int(field.to_ints(constant))
         + sum(c[j] * (cut[j * period][i] >> shift) for j in range(sets)) for i in range(n)]))

    shares, weights = data.draw(elements((opened, n))), data.draw(elements((opened,)))
    w, s = field.to_ints(weights), field.to_ints(shares).reshape(opened, n)
    expected = field.table(
        [int(field.to_ints(h)) * (sum(w[j] * s[j, i] for j in range(opened)) % P >> shift)
         + int(v) for i, v in enumerate(field.to_ints(out))])
    kernels.add_opened(addresses(shares), weights, h.reshape(1, 2), np.uint64(shift), out)
    same(out, expected)


@pytest.mark.parametrize("place", [0, 7, 8, 12])
@pytest.mark.parametrize("value", [P, P + 1, 2**127, 2**128 - 1, 2**64 - 1, P - 1])
def test_canonical(place, value):
    x = np.zeros((13, 2), np.uint64)
    assert field.canonical(x) and field.canonical(x[:0])
    x[place] = value & 2**64 - 1, value >> 64
    assert field.canonical(x) == (value < P)


@fast
@given(st.lists(st.integers(0, 2**128 - 1), max_size=19))
@example([P, 2**127, 2**128 - 1, P - 1, 0] * 3)
def test_uniform_is_canonical(values):
    raw = np.array([[v & 2**64 - 1, v >> 64] for v in values], np.uint64).reshape(-1, 2)
    same(field.uniform(raw), field.table([v % 2**127 for v in values]))


# --- encoding ---

@fast
@given(st.lists(st.integers(-(2**63) + 1, 2**63 - 1), max_size=35))
@example([0, 1, -1, 2**63 - 1, -(2**63) + 1] * 8)
def test_integers_come_back(values):
    x = np.array(values, np.int64)
    encoded = field.encode(x, 0)
    assert field.decode_int(encoded).tolist() == values
    assert reference.signed(encoded) == values
    same(field.encode(np.array(values, object), 0), encoded)


@fast
@given(st.integers(0, 40), st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=35))
@example(1, [k / 4 for k in range(-20, 20)])
def test_floats_come_back_within_half_a_unit(frac, values):
    encoded = field.encode(np.array(values), frac)
    assert np.abs(field.decode_float(encoded, frac) - values).max() <= 2.0 ** -(frac + 1)
    assert reference.signed(encoded) == [round(v * 2.0**frac) for v in values]


@fast
@given(array_shapes(max_dims=3, max_side=3), st.sampled_from([np.int8, np.uint16, np.bool_]))
def test_shapes_and_small_types(shape, dtype):
    x = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
    encoded = field.encode(x, 3)
    assert encoded.shape == (*shape, 2)
    np.testing.assert_array_equal(field.decode_float(encoded, 3), x.astype(float))


@pytest.mark.parametrize("values, frac", [
    ([2.0**43], 20), ([-(2.0**43)], 20), ([1e300], 20), ([2**43], 20), ([-(2**43)], 20),
    (np.array([2**63], np.uint64), 0), ([-(2**63)], 0), (np.array([2**70], object), 0),
    (np.array([-(2**63)], object), 0), ([2.0**63], 0),
])
def test_overflow_is_an_error(values, frac):
    with pytest.raises(OverflowError, match="outside the fixed-point range"):
        field.encode(values, frac)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 7, 39])
def test_missing_and_infinite_values_are_refused(value, place):
    values = np.full(40, 1e300)  # each too large, which is not what matters most
    values[place] = value
    with pytest.raises(ValueError, match="NaN or infinity"):
        field.encode(values, 20)


@pytest.mark.parametrize("values", [[1j], ["3"], [b"3"]])
def test_only_numbers_are_encoded(values):
    with pytest.raises(TypeError):
        field.encode(values, 20)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 2**100, P // 2])
@pytest.mark.parametrize("place", [0, 7, 39])
def test_large_integers_do_not_wrap_when_opened(value, place):
    values = [-1] * 40
    values[place] = value
    with pytest.raises(OverflowError, match="more than 63 bits"):
        field.decode_int(field.table(values))


@fast
@given(st.lists(st.integers(-P // 2 + 1, P // 2), min_size=1, max_size=35), st.integers(0, 62))
def test_fixed_point_of_any_magnitude(values, frac):
    """Two roundings: of the number, and of its upper half."""
    decoded = field.decode_float(field.table(values), frac)
    np.testing.assert_allclose(decoded, [v / 2**frac for v in values], rtol=2**-52)
    small = [k for k, v in enumerate(values) if abs(v) < 2**53]
    assert decoded[small].tolist() == [values[k] / 2**frac for k in small]


def test_decoding_a_view_is_the_same():
    x = field.encode(np.arange(-6, 6).reshape(3, 4), 5)
    np.testing.assert_array_equal(
        field.decode_float(x.swapaxes(0, 1), 5), np.arange(-6, 6).reshape(3, 4).T)
    np.testing.assert_array_equal(
        field.decode_int(x.swapaxes(0, 1)), 32 * np.arange(-6, 6).reshape(3, 4).T)
