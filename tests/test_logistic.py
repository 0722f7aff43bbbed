"""Logistic regression on shares against scikit-learn's on the same rows."""

from __future__ import annotations

import tracemalloc
import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from engine_kit import secret
from sklearn.metrics import roc_auc_score

from engine.cluster import run_cluster
from engine.errors import LocalProtocolError
from models.evaluation import evaluate
from models.logistic import LogisticRegression
from models.logistic_design import Design, check_columns
from models.logistic_inference import inference
from models.plain.evaluation import auc
from models.plain.logistic import PlainLogisticRegression
from models.plain.scorecard import plain_scorecard
from models.plain.woe import woe_table
from models.scorecard import SecretScorecard
from models.share_file import ShareFile
from parties.data import load_folder
from protocols.binning import fit_breaks

TAIWAN = Path(__file__).resolve().parents[1] / "../shared/data/taiwan_credit"


def trained(columns, label, *, rows=None, weight=None, selected=None, m=4, verified=False,
            memory=None, raw_errors=False, **parameters):
    """(opened raw weights, opened log-odds, converged_, the model) of party 0.

    `rows` says which rows count; the others are zero throughout, as unmatched ones are.
    """
    n = len(columns)
    counted = np.ones(n) if rows is None else rows.astype(float)
    table = np.column_stack([columns * counted[:, None], counted])

    async def program(mpc):
        shared = secret(mpc, table, 1 % m, frac=24)
        model = LogisticRegression(**parameters)
        design = shared if memory is None else await Design.of(shared, memory=memory)
        await model.fit(
            mpc, design, secret(mpc, label * counted, frac=24),
            selected=None if selected is None else secret(mpc, np.asarray(selected)),
            sample_weight=None if weight is None else secret(mpc, weight, frac=24))
        opened = await mpc.output([model.raw_, model.decision_function(mpc, shared)])
        return *opened, model.converged_, model

    return run_cluster(program, m, verified=verified, raw_errors=raw_errors)[0]


def encoded(rows, columns, seed, strength=1.0):
    """Columns like WOE values, exact in 24 fractional bits, and labels that depend on them."""
    rng = np.random.default_rng(seed)
    x = np.rint(rng.normal(size=(rows, columns)) * 2) / 4
    chance = 1 / (1 + np.exp(1 - strength * x @ rng.normal(1, 0.3, columns)))
    return x, (rng.random(rows) < chance).astype(int)


@pytest.mark.parametrize("solver, m, bound", [
    ("newton", 4, 1e-5), ("newton", 1, 1e-5), ("sampled", 4, 2e-4), ("sampled", 3, 2e-4),
    ("accelerated", 3, 1e-3)])
def test_weights_agree_with_scikit_learn(solver, m, bound):
    x, y = encoded(300, 2, 1)
    twin = PlainLogisticRegression().fit(x, y)
    raw, odds, converged, _ = trained(x, y, solver=solver, m=m, sample_rows=200, tol=3e-3,
                                      max_iter={"newton": 4, "accelerated": 15}.get(solver))
    assert np.abs(raw - twin.raw_).max() < bound
    # Scores have 16 fractional bits: 2.5 units of truncation and half a unit of rounding on top.
    np.testing.assert_allclose(odds, twin.decision_function(x), rtol=0, atol=7 * bound + 1e-4)
    assert converged


def test_in_verified_mode_too():
    x, y = encoded(60, 1, 1)
    raw, *_ = trained(x, y, solver="sampled", verified=True, max_iter=3)
    assert np.abs(raw - PlainLogisticRegression().fit(x, y).raw_).max() < 1e-3


@pytest.mark.parametrize("parameters", [
    {"C": 0.02}, {"class_weight": "balanced"}, {"class_weight": {0: 1, 1: 3}},
    {"standardize": False, "C": 0.05}], ids=str)
def test_penalty_and_weights_are_scikit_learns(parameters):
    x, y = encoded(240, 2, 2)
    weight = np.random.default_rng(2).integers(0, 8, 240) / 4
    twin = PlainLogisticRegression(**parameters).fit(x, y, weight)
    raw, *_ = trained(x, y, weight=weight, solver="sampled", max_iter=4, **parameters)
    assert np.abs(raw - twin.raw_).max() < 2e-4


@pytest.mark.parametrize("solver, ratio", [("accelerated", 1.0), ("newton", 0.5)])
def test_lasso_and_elastic_net_agree_with_scikit_learn(solver, ratio):
    """The same weights vanish, exactly, and the others are the same."""
    x, y = encoded(200, 3, 3)
    x[:, 1] = np.random.default_rng(4).integers(-3, 4, 200) / 4
    twin = PlainLogisticRegression(C=0.04, l1_ratio=ratio).fit(x, y)
    raw, *_ = trained(x, y, C=0.04, l1_ratio=ratio, solver=solver, m=3,
                      max_iter=3 if solver == "newton" else 12)
    assert twin.raw_[1] == 0 == raw[1]
    assert np.abs(raw - twin.raw_).max() < 2e-3


def test_small_batches_come_close_and_averages_do_not_drift():
    x, y = encoded(600, 2, 5)
    twin = PlainLogisticRegression().fit(x, y)
    raw, *_ = trained(x, y, solver="minibatch", batch_rows=60, max_iter=2, sample_rows=200)
    error = np.abs(raw - twin.raw_) / twin.inference().errors
    assert error.max() < 1.0, "within one standard error of the optimum"


def test_blocks_of_rows_change_nothing():
    x, y = encoded(700, 1, 6)
    whole, *_ = trained(x, y, solver="sampled", max_iter=2, sample_rows=300)
    blocks, *_ = trained(x, y, solver="sampled", max_iter=2, sample_rows=300,
                         memory=256 * 2 * 16 * 4)
    # Two passes leave what the truncations of either run add up to.
    np.testing.assert_allclose(blocks, whole, atol=4e-5)


@pytest.mark.parametrize("standardize", [True, False])
def test_warm_start_needs_one_pass(standardize):
    """From weights of the same rows, one column of which is constant, and in another unit."""
    x, y = encoded(200, 3, 7)
    x[:, 1], x[:, 2] = 0.5, 8 * x[:, 2]
    twin = PlainLogisticRegression(standardize=standardize).fit(x, y)
    table = np.column_stack([x, np.ones(200)])

    async def program(mpc):
        shared, label = secret(mpc, table, frac=24), secret(mpc, y * 1.0, frac=24)
        first, again = (LogisticRegression(solver="newton", max_iter=k, standardize=standardize)
                        for k in (4, 1))
        await first.fit(mpc, shared, label)
        await again.fit(mpc, shared, label, start=first.raw_)
        return await mpc.output(again.raw_), again.converged_

    raw, converged = run_cluster(program, 3)[0]
    assert np.abs(raw - twin.raw_).max() < 1e-5 and converged


def test_early_stopping_opens_bits_and_stops():
    x, y = encoded(200, 1, 8)
    raw, _, converged, model = trained(x, y, solver="sampled", monitor="each", max_iter=30, m=3)
    assert converged and model.n_iter_ < 10
    assert np.abs(raw - PlainLogisticRegression().fit(x, y).raw_).max() < 1e-4


def test_random_labels_give_nothing():
    """No weight beyond what scikit-learn finds in the same noise, and no AUC out of nowhere."""
    rng = np.random.default_rng(3)
    x, _ = encoded(400, 3, 3)
    y = rng.integers(0, 2, 400)
    rows = np.arange(400) < 200
    twin = PlainLogisticRegression().fit(x[rows], y[rows])
    raw, *_ = trained(x, y, rows=rows, solver="sampled", max_iter=3)
    assert np.abs(raw - twin.raw_).max() < 2e-4
    held_out = x[200:] @ raw[:-1] + raw[-1]
    assert 0.4 < auc(y[200:], held_out) < 0.6


def test_columns_that_must_not_count_have_no_weight():
    """Not selected, constant, zero; two equal columns share their weight; unmatched rows."""
    x, y = encoded(240, 3, 4)
    table = np.column_stack([x[:, 0], x[:, 1], np.full(240, 0.75), x[:, 2], np.zeros(240), x[:, 0]])
    rows = np.random.default_rng(5).random(240) < 0.7
    raw, odds, *_ = trained(table, y, rows=rows, selected=[1, 1, 1, 0, 1, 1], solver="sampled")
    chosen = [0, 1, 2, 4, 5]
    twin = PlainLogisticRegression().fit(table[rows][:, chosen], y[rows])
    assert raw[[2, 3, 4]].tolist() == [0, 0, 0], "or they would decide between equal scores"
    assert np.abs(raw[[*chosen, 6]] - twin.raw_).max() < 1e-3
    assert raw[0] == pytest.approx(raw[5], abs=1e-4)
    np.testing.assert_allclose(odds[rows], twin.decision_function(table[rows][:, chosen]),
                               rtol=0, atol=1e-2)
    assert not odds[~rows].any()


def test_nothing_selected_leaves_the_rate_of_bad_rows():
    x, y = encoded(100, 2, 6)
    raw, *_ = trained(x, y, selected=[0, 0], solver="sampled", max_iter=1)
    assert raw[:2].tolist() == [0, 0]
    assert raw[2] == pytest.approx(np.log(y.mean() / (1 - y.mean())), abs=1e-4)


def test_equal_rows_have_exactly_equal_scores():
    """Scores are exact products: ties in the data are ties in the ranking."""
    x, y = encoded(60, 2, 7)
    _, odds, *_ = trained(np.vstack([x, x]), np.append(y, y), solver="sampled", max_iter=1)
    np.testing.assert_array_equal(odds[:60], odds[60:])


def test_separable_rows_converge_to_the_penalised_optimum_or_say_that_they_have_not():
    x = np.repeat([[-1.0], [1.0]], 30, axis=0)
    y = (x[:, 0] > 0).astype(int)
    twin = PlainLogisticRegression(C=1.0).fit(x, y)
    raw, _, converged, _ = trained(x, y, solver="newton", m=3, max_iter=7)
    assert np.abs(raw - twin.raw_).max() < 1e-3 and converged
    *_, converged, _ = trained(x, y, solver="newton", m=3, max_iter=2, C=1e9)
    assert not converged


def test_ten_rows_and_an_outlier():
    x = np.array([-1, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1, 1.25, 30.0]).reshape(-1, 1)
    y = np.array([0, 0, 1, 0, 0, 1, 0, 1, 1, 1])
    twin = PlainLogisticRegression().fit(x / 8, y)
    raw, *_ = trained(x / 8, y, solver="newton", m=3)
    assert np.abs(raw - twin.raw_).max() < 1e-3


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_is_an_error_at_every_party(label):
    x, _ = encoded(30, 1, 9)
    with pytest.raises(LocalProtocolError) as caught:
        trained(x, np.full(30, label))
    assert caught.value.code == "one-class" and caught.value.remedy


@pytest.mark.parametrize("values, message", [
    (np.array([[0.5], [np.nan]]), "missing or infinite"), (np.array([[0.5], [1e5]]), "beyond"),
    (np.full((5, 2), 5.0), "mean square")])
def test_owners_refuse_columns_that_would_not_fit(values, message):
    with pytest.raises(ValueError, match=message):
        check_columns(values)
    check_columns(np.clip(np.nan_to_num(values), -4, 4))


@pytest.mark.parametrize("parameters, message", [
    ({"C": 0}, "C is 0, expected a positive number"), ({"l1_ratio": 2}, "l1_ratio is 2"),
    ({"solver": "lbfgs"}, "expected one of auto, newton"),
    ({"class_weight": {0: 1}}, "for 0 and 1"),
    ({"tol": 0}, "tol is 0")])
def test_parameters_are_checked(parameters, message):
    x, y = encoded(20, 1, 9)
    with pytest.raises(ValueError, match=message):
        trained(x, y, m=1, **parameters)


def test_a_matrix_in_a_file_trains_alike_and_leaves_nothing(tmp_path, monkeypatch):
    """With weights of rows; of the matrix a few blocks are there at a time, however many it has."""
    n = 1500
    x, y = encoded(n, 2, 10)
    weight = np.random.default_rng(10).integers(0, 8, n) / 4
    twin = PlainLogisticRegression().fit(x, y, weight)
    read, held, counts = ShareFile.read, {}, []

    def watched(file, start, stop):
        share = read(file, start, stop)
        own = held.setdefault(id(file), [])
        own[:] = [one for one in own if one() is not None] + [weakref.ref(share)]
        counts.append(len(own))
        return share
    monkeypatch.setattr(ShareFile, "read", watched)

    async def program(mpc):
        design = Design(mpc, n, 3, folder=tmp_path, memory=256 * 3 * 16 * 4)
        for j in range(2):
            await design.put(j, secret(mpc, x[:, j:j + 1], j, frac=24))
        await design.put(2, mpc.array(np.ones((n, 1)), 24))
        assert not design.shares.size and len(design.pieces()) == 6
        some = await (await design.take([2, 0])).each(lambda block: block[:, 1], 100, 580)
        np.testing.assert_allclose(await mpc.output(some), x[100:580, 0], atol=1e-6)
        sums, gram = await design.first(500).with_label(secret(mpc, y[:500] * 1.0, frac=24))
        both = np.column_stack([x, y])[:500]
        np.testing.assert_allclose(await mpc.output(sums), [*both.sum(0), 500], atol=1e-3)
        np.testing.assert_allclose(await mpc.output(gram), both.T @ both, atol=1e-3)
        # Nothing is left of it even if the process is killed here.
        assert list(tmp_path.iterdir()) == []
        model = LogisticRegression(solver="sampled", max_iter=3, sample_rows=1000)
        counts.clear()
        await model.fit(mpc, design, secret(mpc, y * 1.0, frac=24),
                        sample_weight=secret(mpc, weight, frac=24))
        design.close()
        return await mpc.output(model.raw_)

    raw = run_cluster(program, 4)[0]
    assert np.abs(raw - twin.raw_).max() < 1e-3
    assert max(counts) <= 3
    assert list(tmp_path.iterdir()) == []


def test_a_matrix_without_room_is_refused_before_it_is_made(tmp_path, monkeypatch):
    from models import share_file

    monkeypatch.setattr(share_file.shutil, "disk_usage",
                        lambda folder: SimpleNamespace(free=16 * 600 * 3 - 1))

    async def program(mpc):
        Design(mpc, 600, 3, folder=tmp_path)
    with pytest.raises(LocalProtocolError, match="no-space: the shares of 600 rows of 3 columns"):
        run_cluster(program, 1)
    assert list(tmp_path.iterdir()) == []


def test_errors_and_intervals_agree_with_the_twin():
    x, y = encoded(400, 2, 11)
    x[:, 1] = np.random.default_rng(1).integers(-4, 5, 400) / 4
    twin = PlainLogisticRegression(C=10.0).fit(x, y).inference(0.9)

    async def program(mpc):
        model = LogisticRegression(solver="newton", max_iter=4, C=10.0)
        await model.fit(mpc, secret(mpc, np.column_stack([x, np.ones(400)]), frac=24),
                        secret(mpc, y * 1.0, frac=24))
        return await (await inference(mpc, model, 0.9)).open(mpc, 1)

    results = run_cluster(program, 4)
    assert [r is None for r in results] == [True, False, True, True]
    for name in ("errors", "low", "high"):
        np.testing.assert_allclose(results[1][name], getattr(twin, name), rtol=3e-4, atol=1e-4)
    np.testing.assert_allclose(results[1]["z"], np.clip(twin.z, -6, 6), rtol=3e-4)
    # If z moves by 3 · 10^-4 of itself, p = 2 (1 - Φ(|z|)) moves by as much of 2 φ(z) |z|, which is
    # 0.484 at most.
    np.testing.assert_allclose(results[1]["p"], twin.p, rtol=0, atol=2e-4)


def test_passes_hold_a_few_blocks_and_never_the_matrix(tmp_path):
    """NumPy reports its buffers to tracemalloc; the file of the shares is not among them."""
    n, d, memory = 1 << 15, 16, 1 << 20

    async def program(mpc):
        design = Design(mpc, n, d, memory=memory, folder=tmp_path)
        for j in range(0, d, 4):
            await design.put(j, mpc.array(np.full((n, 4), 0.5), 24))
        raw, label = mpc.array(np.zeros(d), 30), mpc.array(np.zeros(n, np.int64))
        for measured in (False, True):  # kernels are loaded at their first use
            if measured:
                tracemalloc.start()
            await design.moments()
            await design.pass_over(lambda block, rows: mpc.matrix_product(
                block.T, mpc.matrix_product(block, raw, 20), 24))
            curvature = await design.curvature(raw, lambda odds, rows, f: odds.with_frac(f))
            await curvature.ready()
            for sums in await design.with_label(label):
                await sums.ready()
            some = await design.take(range(8))
            await (await some.each(lambda block: block.sum(1), 100)).ready()
            for part in (some, design.sample(n // 2, 1)[0]):
                assert not part.shares.size
                part.close()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        design.close()
        return peak
    # Tasks and messages are not of the passes.
    assert run_cluster(program, 1)[0] < 2 * memory + (1 << 20) < 16 * n * d / 2


def test_taiwan_credit():
    """Newton's weights within 1e-4 of scikit-learn's, the accelerated solver's within 1e-3, the
    points of the card those of the twin, and the AUC on shares within 1e-4."""
    if not TAIWAN.is_dir():
        pytest.skip(f"the development data set is not at {TAIWAN}")
    tables = load_folder(TAIWAN, "company_id", "default")
    bank = next(t for t in tables if t.label is not None)
    bins = [woe_table(v, bank.label, 10, fit_breaks(v, 10)) for v in bank.columns.values()]
    x = np.column_stack([table.encode(v)
                         for table, v in zip(bins, bank.columns.values(), strict=True)])
    twin = PlainLogisticRegression().fit(x, bank.label)
    raw, odds, *_ = trained(x, bank.label, solver="newton", m=3, max_iter=3)
    assert np.abs(raw - twin.raw_).max() < 1e-4
    woe = np.array([table.woe for table in bins])

    async def card(mpc):
        weights = secret(mpc, raw, frac=24)
        made = await SecretScorecard.build(mpc, bank.features, secret(mpc, woe, frac=24),
                                           weights[:-1], weights[len(raw) - 1])
        return await made.open(mpc, 0)
    points = run_cluster(card, 3)[0]
    plain = plain_scorecard(bank.features, woe, twin.raw_[:-1], twin.raw_[-1])
    np.testing.assert_array_equal(points.points, plain.points)
    assert points.base == plain.base
    raw, *_ = trained(x, bank.label, solver="accelerated", m=3)
    assert np.abs(raw - twin.raw_).max() < 1e-3

    async def program(mpc):
        classes = secret(mpc, np.stack([bank.label, 1 - bank.label], 1).astype(int))
        figures = await evaluate(mpc, secret(mpc, odds), classes, points=10, edges=np.array([0.0]))
        return await figures.open(mpc, [0])
    found = run_cluster(program, 3)[0]["auc"]
    assert found == pytest.approx(roc_auc_score(bank.label, odds), abs=1e-4)
