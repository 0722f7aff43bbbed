"""Secure arrays against NumPy: values, shapes, fractional bits, errors."""

from __future__ import annotations

import operator

import numpy as np
import pytest
from engine_kit import SIZES, opened, secret

from engine import field
from engine.cluster import run_cluster
from engine.errors import EngineError, LocalProtocolError
from engine.shamir import Geometry

UNIT = 2.0**-20
X = np.array([[1.5, -2.25, 3.0], [0.0, 1e3, -7.125]])
Y = np.array([[0.5, 4.0, -1.0], [2.5, -1e3, 0.25]])
K = np.array([[1, -2, 3], [0, 7, -5]])
deployments = pytest.mark.parametrize("m, t", SIZES)


def bound(m, t):
    """Stated error of one truncation in units of the last place."""
    return (len(Geometry(m, t).sets) + 1) / 2


@deployments
def test_sums_and_products_of_secret_arrays(m, t):
    def expressions(mpc, x, y, k):
        return [x + y, x - y, -x, x * y, k * x, x * k, k * k, k - x, (x * y) * k]
    expected = [X + Y, X - Y, -X, X * Y, K * X, X * K, K * K, K - X, X * Y * K]
    results = opened(expressions, X, Y, K, m=m, t=t)
    truncated = {3: 1, 8: np.abs(K).max()}
    for i, (got, want) in enumerate(zip(results, expected, strict=True)):
        assert got.dtype == want.dtype and got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=0, atol=truncated.get(i, 0) * bound(m, t) * UNIT)


@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul])
@pytest.mark.parametrize("other", [3, -2, 2.5, True, np.int8(4), np.float32(0.5), np.arange(3),
                                   np.linspace(-1, 1, 3), np.array([[1], [2]])], ids=repr)
def test_public_operands_on_both_sides(op, other):
    results = opened(lambda mpc, x, k: [op(x, other), op(other, x), op(k, other), op(other, k)],
                     X, K)
    for got, want in zip(results, [op(X, other), op(other, X), op(K, other), op(other, K)],
                         strict=True):
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, atol=3 * UNIT + 1e-7 * np.abs(want).max(), rtol=0)


def test_integers_stay_exact_integers():
    big = np.array([2**31 - 1, -(2**31) + 1])
    for result in opened(lambda mpc, a: [a * a, a + 5, 3 * a, a - a], big):
        assert result.dtype == np.int64
    np.testing.assert_array_equal(opened(lambda mpc, a: a * a, big), big * big)


@deployments
def test_products_with_public_reals_keep_24_digits(m, t):
    """A small public factor is not rounded to the array's own fractional bits first."""
    factor = 1 / 3000
    got = opened(lambda mpc, x: x * factor, X, m=m, t=t)
    np.testing.assert_allclose(got, X * factor, rtol=2.0**-22, atol=bound(m, t) * UNIT)


@deployments
def test_matrix_products(m, t):
    v, w = X[0], Y[:, 1]

    def expressions(mpc, x, y, k):
        return [x @ y.T, x @ y[0], x[0] @ y[0], x.T @ y, x.T @ k, k @ k.T, w @ x, x @ v,
                K.T @ x, k @ v, x @ K.T, mpc.dot(x[0], y[1]), mpc.outer(x[0], y[1])]
    results = opened(expressions, X, Y, K, m=m, t=t)
    expected = [X @ Y.T, X @ Y[0], X[0] @ Y[0], X.T @ Y, X.T @ K, K @ K.T, w @ X, X @ v,
                K.T @ X, K @ v, X @ K.T, X[0] @ Y[1], np.outer(X[0], Y[1])]
    for got, want in zip(results, expected, strict=True):
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=0, atol=bound(m, t) * UNIT)


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((2, 3), (4,)), ((2, 2, 2), (3, 2)),
                                    ((), (3,))])
def test_matrix_products_of_other_shapes_are_refused(shapes):
    async def program(mpc):
        a, b = (mpc.array(np.zeros(s)) for s in shapes)
        with pytest.raises(ValueError, match="matrix product of shapes"):
            a @ b
        with pytest.raises(ValueError, match="matrix product of shapes"):
            a @ np.zeros(shapes[1])

    run_cluster(program, 1)


@pytest.mark.parametrize("m", [1, 4])
@pytest.mark.parametrize("a, b", [((3,), (2, 3)), ((2, 1), (1, 3)), ((4, 1, 3), (2, 1)),
                                  ((), (2, 2)), ((0,), (1,)), ((2, 0), (2, 1))], ids=str)
def test_broadcasting(a, b, m):
    x = np.arange(np.prod(a, dtype=int)).reshape(a) + 1.5
    y = np.arange(np.prod(b, dtype=int)).reshape(b) - 0.5
    for got, want in zip(opened(lambda mpc, x, y: [x + y, x - y, x * y, x + y.reshape(-1)[:1]],
                                x, y, m=m),
                         [x + y, x - y, x * y, x + y.reshape(-1)[:1]], strict=True):
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, atol=3 * UNIT)


def test_shapes_that_do_not_fit_are_refused():
    async def program(mpc):
        x = mpc.array(np.zeros((2, 3)))
        for operation in (operator.add, operator.sub, operator.mul):
            for other in (mpc.array(np.zeros(2)), np.zeros(2), mpc.array(np.zeros((3, 2)))):
                with pytest.raises(ValueError, match="broadcast"):
                    operation(x, other)
        for wrong in (lambda: x[5], lambda: x.reshape(4), lambda: x[:, :, 0],
                      lambda: x.take([9])):
            with pytest.raises((ValueError, IndexError)):
                wrong()

    run_cluster(program, 1)


@pytest.mark.parametrize("m", [1, 3, 4])
def test_structure(m):
    index = np.array([2, 0, 0])

    def every(a, concatenate, stack):
        return [a[0], a[-1, 1:], a[:, ::-1], a[..., 1], a[None, :, None], a[:, index],
                a[[True, False]], a.T, a.reshape(3, 2), a.reshape((6,)), a.reshape(-1), a.ravel(),
                a.take(index, axis=1), concatenate([a, a[:1]]), concatenate([a, a[:, :1]], axis=1),
                concatenate([a, a], axis=-1), stack([a, a]), stack([a, a], axis=1),
                stack([a[0], a[1]], axis=-1)]
    results = opened(lambda mpc, a: every(a, mpc.concatenate, mpc.stack), X, m=m)
    for got, want in zip(results, every(X, np.concatenate, np.stack), strict=True):
        np.testing.assert_array_equal(got, want)


def test_structure_of_types():
    x, k = opened(lambda mpc, x, k: [mpc.concatenate([x, k]), mpc.stack([k, x])], X, K)
    np.testing.assert_array_equal(x, np.concatenate([X, K]))
    np.testing.assert_array_equal(k, np.stack([K, X]))
    assert opened(lambda mpc, x: x.broadcast_to((2, 2, 3)).sum(), X) == 2 * X.sum()
    assert opened(lambda mpc, x: mpc.moveaxis(x, 1), X).shape == (3, 2)


@deployments
def test_reductions(m, t):
    def every(mpc, x, k):
        return [x.sum(), x.sum(0), x.sum(1), x.sum(-1), k.sum(), k.sum(0), x[0].cumsum(),
                k.cumsum(), x.mean(), x.mean(0), x.mean(1), k.mean(), k.mean(0)]
    want = [X.sum(), X.sum(0), X.sum(1), X.sum(-1), K.sum(), K.sum(0), X[0].cumsum(), K.cumsum(),
            X.mean(), X.mean(0), X.mean(1), K.mean(), K.mean(0)]
    for i, (a, b) in enumerate(zip(opened(every, X, K, m=m, t=t), want, strict=True)):
        assert a.shape == b.shape
        tolerance = 0 if i < 8 else bound(m, t) * UNIT + 1e-7 * np.abs(b).max()
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


def test_assignment_leaves_earlier_operations_alone():
    async def program(mpc):
        x = secret(mpc, X)
        before, product = x * 1, x * x
        x[0, 1] = 9.0
        x[1] = x[0]
        x[:, 2] = np.array([7, 8])
        x[x.shape[0] - 1, 0] = secret(mpc, 0.25)
        return await mpc.output([before, product, x, x.sum()])

    changed = X.copy()
    changed[0, 1] = 9
    changed[1] = changed[0]
    changed[:, 2] = [7, 8]
    changed[1, 0] = 0.25
    for before, product, after, total in run_cluster(program, 4):
        np.testing.assert_array_equal(before, X)
        np.testing.assert_allclose(product, X * X, atol=2 * UNIT)
        np.testing.assert_array_equal(after, changed)
        assert total == changed.sum()


# --- fractional bits and truncation ---

def test_fractional_bits_follow_the_operands():
    async def program(mpc):
        x, k, w = mpc.array(X), mpc.array(K), mpc.array(X, 28)
        cases = [(x + k, 20), (x * k, 20), (x * x, 20), (k * k, 0), (k + 1, 0), (k * 2, 0),
                 (k * 2.0, 0), (k + 0.5, 20), (k * 0.5, 20), (x + w, 28), (x * w, 28), (-w, 28),
                 (x @ X.T, 20), (k @ K.T, 0), (x.sum(), 20), (x.with_frac(5), 5), (x < 0, 0),
                 (mpc.multiply(x, w, 10), 10), (mpc.concatenate([x, w]), 28), (k.mean(), 20)]
        for k, (array, frac) in enumerate(cases):
            assert array.frac == frac, k

    run_cluster(program, 1)


@deployments
@pytest.mark.parametrize("shift", [1, 8, 20, 40, 63])
def test_truncation_errs_by_less_than_stated_and_not_on_average(m, t, shift):
    rng = np.random.default_rng(shift)
    g = Geometry(m, t)
    limit = min(2**62, 2 ** (g.product_bits - 1))
    units = np.concatenate([rng.integers(-limit, limit, 400), [0, 1, -1, limit - 1, -limit + 1],
                            np.arange(-40, 40) << min(shift, 55)])
    got = opened(lambda mpc, x: mpc.truncate(x, shift, 0), units, m=m, t=t)
    below = units >> shift
    error = got - below - (units - (below << shift)) / 2.0**shift
    assert np.abs(error).max() < bound(m, t)
    if shift >= 20:
        # The sum of as many uniform errors as there are sets, and one more for the rounding.
        spread = np.sqrt((len(g.sets) + 1) / 12)
        assert abs(error.mean()) < 6 * spread / np.sqrt(error.size)


@deployments
def test_truncated_products_up_to_the_stated_magnitude(m, t):
    """Below 2^(product_bits - 1 - frac_a - frac_b) in value the bound holds."""
    top = 2.0 ** (Geometry(m, t).product_bits - 1 - 40)
    x = np.array([top / 2**20, -top / 2**20, 8.0, 12.0])
    y = np.array([2.0**20 - 1, 2.0**20 - 1, top / 16, -top / 16])
    got = opened(lambda mpc, x, y: x * y, x, y, m=m, t=t)
    np.testing.assert_allclose(got, x * y, rtol=2.0**-52, atol=bound(m, t) * UNIT)


@pytest.mark.parametrize("shift", [-1, 64, 100])
def test_impossible_shifts_are_refused(shift):
    async def program(mpc):
        with pytest.raises(ValueError, match="expected 0 to 63"):
            mpc.truncate(mpc.array(X), shift, 0)
        await mpc.output(mpc.array(1))

    run_cluster(program, 3)


@deployments
def test_with_frac_in_both_directions(m, t):
    for got in opened(lambda mpc, x: [x.with_frac(30), x.with_frac(30).with_frac(20)], X, m=m, t=t):
        np.testing.assert_allclose(got, X, rtol=0, atol=bound(m, t) * UNIT)
    coarse = opened(lambda mpc, x: x.with_frac(4), X, m=m, t=t)
    np.testing.assert_allclose(coarse, X, rtol=0, atol=bound(m, t) / 16)


def test_large_arrays_are_processed_in_pieces(monkeypatch):
    """More elements than a piece, and more bytes than a frame."""
    from engine import arithmetic
    from engine.runtime import Runtime

    monkeypatch.setattr(arithmetic, "_PIECE", 64)
    monkeypatch.setattr(Runtime, "frame_bytes", 1024)
    x = np.arange(-500, 500) / 8
    for m in (3, 4):
        product, same = opened(lambda mpc, x: [x * x, x], x, m=m)
        np.testing.assert_allclose(product, x * x, rtol=0, atol=bound(m, 1) * UNIT)
        np.testing.assert_array_equal(same, x)


def test_work_beyond_the_threshold_runs_in_the_worker_thread():
    x = np.linspace(-1, 1, 30_000)
    # x is put in within half a unit, which the square doubles.
    np.testing.assert_allclose(opened(lambda mpc, x: x * x + x, x, m=3), x * x + x,
                               atol=(bound(3, 1) + 1.5) * UNIT)


# --- input and output ---

@deployments
def test_everybody_can_put_values_in(m, t):
    async def program(mpc):
        arrays = mpc.input(mpc.array([mpc.pid + 0.5]))
        assert len(arrays) == m
        some = mpc.input(mpc.array([mpc.pid]), senders=[0, m - 1])
        return await mpc.output([*arrays, *some])

    for *values, first, last in run_cluster(program, m, t):
        assert [v.tolist() for v in values] == [[i + 0.5] for i in range(m)]
        assert (first.tolist(), last.tolist()) == ([0], [m - 1])


@deployments
def test_only_receivers_see_an_output(m, t):
    async def program(mpc):
        x = secret(mpc, K)
        one, some = await mpc.output(x, m - 1), await mpc.output([x, x + 1], [0, m - 1])
        return one, some

    results = run_cluster(program, m, t)
    for pid, (one, some) in enumerate(results):
        assert (one is not None) == (pid == m - 1)
        assert (some[0] is not None) == (pid in (0, m - 1)) == (some[1] is not None)
    np.testing.assert_array_equal(results[-1][0], K)
    np.testing.assert_array_equal(results[0][1][1], K + 1)


@pytest.mark.parametrize("which", [4, -1, [0, 4], "0", ["bank"], 1.0])
def test_parties_that_are_not_there_are_refused(which):
    async def program(mpc):
        with pytest.raises(ValueError, match=r"^senders .*: expected numbers of parties, 0 to 3"):
            mpc.input(mpc.array(K), senders=which)
        with pytest.raises(ValueError, match=r"^receivers .*: expected numbers of parties, 0 to 3"):
            mpc.output(mpc.array(K), which)
        return await mpc.output(mpc.array(K), np.int64(2))
    assert [r is None for r in run_cluster(program, 4)] == [True, True, False, True]


def test_raw_outputs_are_python_integers_of_any_size():
    async def program(mpc):
        x = secret(mpc, np.array([2**62, -(2**62)]))
        return await mpc.output(x * 2**40, raw=True)

    assert run_cluster(program, 4)[0].tolist() == [2**102, -(2**102)]


def test_an_integer_result_that_does_not_fit_is_an_error():
    async def program(mpc):
        return await mpc.output(secret(mpc, np.array([2**62])) * 4)

    with pytest.raises(EngineError, match="raised OverflowError") as caught:
        run_cluster(program, 4)
    assert "63 bits" not in str(caught.value) and "63 bits" in str(caught.value.__cause__)


@pytest.mark.parametrize("values", [[2.0**43], [1e30], [np.nan], [-np.inf]])
def test_values_outside_the_range_are_refused_on_entry(values):
    async def program(mpc):
        with pytest.raises((OverflowError, ValueError)):
            mpc.array(values)
        with pytest.raises((OverflowError, ValueError)):
            mpc.array([1.0]) + values
        with pytest.raises((OverflowError, ValueError)):
            mpc.array([1.0]) * ([*np.array(values), 0.5, 0.25])

    run_cluster(program, 1)


def test_parties_with_different_shapes_are_told_apart():
    async def program(mpc):
        return await mpc.output(mpc.input(mpc.array(np.zeros(3 + (mpc.pid == 1))), senders=0))

    with pytest.raises(EngineError) as caught:
        run_cluster(program, 4)
    assert caught.value.code == "program-divergence" and caught.value.remedy


def test_parties_with_different_fractional_bits_are_told_apart():
    """An owner that puts in reals where the others expect integers would be off by 2^20."""
    async def program(mpc):
        return await mpc.output(mpc.input(mpc.array([1.0 if mpc.pid == 0 else 1]), senders=0))

    with pytest.raises(EngineError) as caught:
        run_cluster(program, 4)
    assert caught.value.code == "program-divergence"


def test_an_owner_with_another_shape_than_it_says_is_refused():
    async def program(mpc):
        values = field.encode(np.zeros(4), 20)
        return await mpc.output(mpc.deal(values, 0, (3,), 20))

    with pytest.raises(LocalProtocolError, match="input of shape"):
        run_cluster(program, 1)


def test_secrets_are_neither_truth_values_nor_printed():
    async def program(mpc):
        x = mpc.array([12345.0])
        with pytest.raises(TypeError):
            bool(x)
        assert "12345" not in repr(x) and "shape=(1,)" in repr(x)
        with pytest.raises(TypeError):
            hash(x)

    run_cluster(program, 1)


def test_shares_look_random_and_differ_between_runs():
    async def program(mpc):
        x = secret(mpc, np.zeros(4))
        return (await mpc.gather(x)).tolist(), (await mpc.gather(x * x)).tolist()

    runs = [run_cluster(program, 4) for _ in range(2)]
    seen = [str(s) for run in runs for shares in run for s in shares]
    assert len(set(seen)) == len(seen)
