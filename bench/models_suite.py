"""The models' benchmarks: WOE-like columns of four owners, from counts to a trained model.

`logistic_pass` is one guarded full-batch step on all rows, as training takes them until it takes
the precise logistic function (`logistic_pass_fine`), `logistic_batches` one pass in batches of
1,000 rows, `logistic` a training from shares to a converged model, `score_one` the score of one
applicant. Every result is checked after the clock has stopped. Sizes are rows x features. A matrix
that would not fit beside those of the other parties of one machine lies in a file.
"""

from __future__ import annotations

import tempfile

import numpy as np

from bench.suite import Benchmark
from engine import field
from models import logistic_steps as steps
from models.evaluation import evaluate
from models.logistic import LogisticRegression
from models.logistic_design import SLOPE, Design
from models.parameters import Scaling
from models.plain.evaluation import auc, ks
from models.plain.logistic import PlainLogisticRegression
from models.scorecard import SecretScorecard, score_rows
from protocols.binning_counts import label_counts
from protocols.woe import FRAC, woe_iv

_LEVELS = np.array([-1.25, -0.5, -0.125, 0.25, 0.75, 1.5])
_BLOCK_ELEMENTS = 1 << 23
_IN_MEMORY = 120_000_000
"""Elements of a matrix that four parties of one machine keep in memory."""
_BINS = 11
_EDGES = np.linspace(-4, 2, 15)


def _column(n, j):
    """Column j of the features: one of six values per row."""
    return _LEVELS[np.random.default_rng([n, j]).integers(0, len(_LEVELS), n)]


def _truth(d):
    return np.random.default_rng(d).normal(0.4, 0.3, d) / np.sqrt(max(1, d / 10))


def _label(n, d):
    odds = np.full(n, -1.5)
    for j, weight in enumerate(_truth(d)):
        odds += weight * _column(n, j)
    return (np.random.default_rng(n + d).random(n) < 1 / (1 + np.exp(-odds))).astype(np.int64)


def _dealt(mpc, values, owner, shape, frac):
    """An owner's values as shares; `values` is called at the owner only."""
    own = field.encode(values(), frac) if mpc.pid == owner else None
    return mpc.deal(own, owner, shape, frac)


def _data(n, d):
    """Prepare (design, label): features dealt by the four owners in turn, in blocks of columns."""
    async def prepare(mpc):
        folder = tempfile.gettempdir() if n * (d + 1) > _IN_MEMORY else None
        design = Design(mpc, n, d + 1, folder=folder)
        width = max(1, _BLOCK_ELEMENTS // n)
        for first in range(0, d, width):
            columns = range(first, min(d, first + width))
            block = _dealt(mpc, lambda c=columns: np.stack([_column(n, j) for j in c], 1),
                           (first // width) % mpc.geometry.m, (n, len(columns)), FRAC)
            await design.put(first, block)
        await design.put(d, mpc.array(np.ones((n, 1)), FRAC))
        label = _dealt(mpc, lambda: _label(n, d), 0, (n,), 0).with_frac(SLOPE)
        await label.ready()
        return [design, label]
    return prepare


def _prepared_step(n, d, solver):
    """Prepare (problem, secrets) where a step on all rows begins."""
    async def prepare(mpc):
        design, label = await _data(n, d)(mpc)
        model = LogisticRegression(solver=solver, max_iter=1, monitor='none',
                                   sample_rows=max(200, 4 * d))
        await model.fit(mpc, design, label)
        return [model.problem_, model.secrets_]
    return prepare


def _full_step(precision):
    async def step(mpc, operands):
        problem, secrets = operands
        return list((await steps.move(problem, precision)(secrets)).values())
    return step


async def _batches(mpc, operands):
    problem, secrets = operands
    return list((await steps.stochastic_pass(problem, 1000, 0)(secrets)).values())


async def _train(mpc, operands):
    design, label = operands
    return await LogisticRegression().fit(mpc, design, label)


def _check_model(n, d):
    """Against scikit-learn's weights, or for large tables against those that made the labels."""
    async def check(mpc, operands, model):
        weights = (await mpc.output(model.raw_))[:-1]
        length = np.sqrt(await mpc.output(model.secrets_['size']))
        assert model.converged_, f'did not converge: the last step is {length:.2e} long'
        if n * d <= 3 * 10**7:
            columns = np.stack([_column(n, j) for j in range(d)], 1)
            twin = PlainLogisticRegression().fit(columns, _label(n, d))
            np.testing.assert_allclose(weights, twin.raw_[:-1], rtol=0, atol=1e-3)
        else:
            error = 6 / np.sqrt(n * 0.1 * _LEVELS.var())
            np.testing.assert_allclose(weights, _truth(d), rtol=0, atol=error)
        operands[0].close()
    return check


def _pass_check():
    async def check(mpc, operands, result):
        operands[0].design.close()
    return check


def _binned(n, d):
    """Prepare (this party's own bins (n, k), how many features each party has, shared label)."""
    async def prepare(mpc):
        ends = np.round(np.linspace(0, d, mpc.geometry.m + 1)).astype(int)
        own = range(ends[mpc.pid], ends[mpc.pid + 1])
        index = np.stack([_bin(n, j) for j in own], 1)
        label = mpc.input(mpc.array(_label(n, 4)), 0)
        await label.ready()
        return [index, np.diff(ends).tolist(), label]
    return prepare


def _bin(n, j):
    return np.random.default_rng([n, j]).integers(0, _BINS, n).astype(np.uint8)


async def _woe_iv(mpc, operands):
    index, features, label = operands
    n = len(index)
    own = _label(n, 4) if mpc.pid == 0 else None
    tables = await label_counts(mpc, index, label, features, _BINS, 0, own)
    counts = mpc.concatenate([table for table in tables if table is not None])
    return woe_iv(mpc, counts, counts[0].sum(0))


def _check_woe(n, d):
    async def check(mpc, operands, result):
        from models.plain.woe import woe_iv as plain
        opened, label = await mpc.output(result[1]), _label(n, 4)
        for j in range(0, d, max(1, d // 5)):
            bad, good = (np.bincount(_bin(n, j)[label == k], minlength=_BINS) for k in (1, 0))
            np.testing.assert_allclose(opened[j], plain(bad, good)[1].sum(), atol=1e-5)
    return check


def _scores(n):
    def prepare(mpc):
        label = _label(n, 4)
        odds = sum(_truth(4)[j] * _column(n, j) for j in range(4)) + _column(n, 9) / 7
        return [mpc.input(mpc.array(odds), 0),
                mpc.input(mpc.array(np.stack([label, 1 - label], 1)), 0)]
    return prepare


async def _evaluate(mpc, operands):
    figures = await evaluate(mpc, *operands, points=50, edges=_EDGES)
    return [figures.auc, figures.ks, figures.curve, figures.histogram]


def _check_scores(n):
    async def check(mpc, operands, result):
        odds, label = await mpc.output(operands[0]), _label(n, 4)
        figures = await mpc.output(result)
        np.testing.assert_allclose(figures[0], auc(label, odds), atol=1e-5)
        np.testing.assert_allclose(figures[1], ks(label, odds), atol=1e-5)
    return check


def _card(d):
    """Prepare (card, this party's bins of one applicant), the features spread over the owners."""
    async def prepare(mpc):
        rng = np.random.default_rng(d)
        points = rng.integers(-60, 61, (d, _BINS))
        card = SecretScorecard(
            tuple(f'x{j}' for j in range(d)), mpc.input(mpc.array(points), 0),
            mpc.array(np.array(500)), mpc.array(points.max(1)), Scaling())
        await card.points.ready()
        bins = rng.integers(0, _BINS, (1, d))
        m = mpc.geometry.m
        ends = np.round(np.linspace(0, d, m + 1)).astype(int)
        owners = [(p, int(ends[p + 1] - ends[p])) for p in range(m)]
        return [card, owners, bins[:, ends[mpc.pid]:ends[mpc.pid + 1]],
                500 + points[np.arange(d), bins[0]].sum()]
    return prepare


async def _score_one(mpc, operands):
    card, owners, own, _ = operands
    return await score_rows(mpc, card, owners, 1, own, 0)


async def _check_score(mpc, operands, result):
    assert (result is None) == (mpc.pid != 0)
    assert result is None or result.tolist() == [operands[3]]


def suite() -> list[Benchmark]:
    """All benchmarks of the suite; the largest, at the end, need 64 GB of disk and up to hours."""
    benchmarks = [
        Benchmark('woe_iv', f'{n}x{d}', _binned(n, d), _woe_iv, 1, _check_woe(n, d))
        for n, d in ((10**4, 100), (10**5, 221), (10**6, 221))]
    for n, d in ((10**4, 100), (10**5, 100), (10**5, 221), (10**6, 221)):
        benchmarks += _logistic(n, d)
    benchmarks += [Benchmark('evaluate', str(n), _scores(n), _evaluate, 1, _check_scores(n))
                   for n in (10**4, 10**5, 10**6)]
    benchmarks += [Benchmark('score_one', f'1x{d}', _card(d), _score_one, 5, _check_score)
                   for d in (20, 221)]
    return benchmarks + _logistic(10**6, 1000)


def _logistic(n, d):
    """Passes and a training over n rows of d features."""
    size, repeat = f'{n}x{d}', 3 if n * d <= 10**7 else 1
    return [
        *(Benchmark(name, size, _prepared_step(n, d, 'sampled'), _full_step(precision), repeat,
                    _pass_check())
          for name, precision in (('logistic_pass', 'series'), ('logistic_pass_fine', 'fine'))),
        Benchmark('logistic_batches', size, _prepared_step(n, d, 'minibatch'), _batches, 1,
                  _pass_check()),
        Benchmark('logistic', size, _data(n, d), _train, 1, _check_model(n, d))]
