"""Logistic regression on shares: an estimator in the manner of scikit-learn's.

`LogisticRegression(...)` holds parameters; `await model.fit(mpc, columns, label)` trains on shares
and leaves shares: weights never open. What opens, to all parties, is at most: before training one
bit, whether both classes occur (a job that cannot work stops there), and one bit per look at
convergence, which is a single look at the end unless `monitor` says otherwise.

The objective, its standardisation and the solvers are described in `models.logistic_problem` and
`models.logistic_steps`; the twin in the clear is `models.plain.logistic`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.array import SecureArray
from engine.errors import LocalProtocolError
from models import logistic_steps as steps
from models.logistic_design import MEMORY, SLOPE, Design
from models.logistic_problem import STATE, Problem, standardise

SOLVERS = ('auto', 'newton', 'sampled', 'accelerated', 'minibatch')
MONITORS = ('end', 'each', 'none')
WEIGHTS, SCORING = 24, 16
_SAMPLE_FROM, _SAMPLE_PER_COLUMN, SAMPLE_STEPS = 20_000, 100, 4
_NEWTON_COLUMNS = 40
PASSES = {'newton': 8, 'sampled': 8, 'accelerated': 30, 'minibatch': 5}
FINE = 5
"""Passes at the end that take the precise logistic function, of those before the series."""


class LogisticRegression:
    """Minimises C Σ_i s_i log-loss_i + (1 - l1_ratio)/2 |w|² + l1_ratio |w|₁, intercept free.

    Parameters, as in scikit-learn where it has them: `C` (infinite for no penalty), `l1_ratio` from
    0 (ridge) to 1 (lasso), `class_weight` None or 'balanced' or {0: weight, 1: weight}, `max_iter`
    passes over the data (`newton`: steps), `tol` the length of the step, in standardised weights,
    at which training has converged. With `standardize` (the default) the penalty acts on the
    weights of columns scaled to variance 1, as of a StandardScaler before the estimator.

    `solver`: one of `SOLVERS`; 'auto' takes 'newton' for few rows and columns, 'sampled' when the
    rows are many times the columns, else 'accelerated'. `monitor`: 'end' opens one bit, whether
    training converged; 'each' one bit per step, and stops when it has; 'none' opens nothing at all,
    not even that a class is missing, and `converged_` stays a shared bit. `sample_rows` for
    'sampled' and 'minibatch', `batch_rows` for 'minibatch', `memory` in bytes for passes (see
    `Design`), `seed` of the public sample.

    After `fit`: `raw_` (d + 1,) shares of the weights of the columns [X, m] as they are,
    `scoring_` the same with 16 fractional bits, `state_` the standardised weights, `converged_`,
    `n_iter_` passes taken, `solver_`. A column that is not selected, or constant, has weight zero.
    """

    def __init__(self, *, C: float = 1.0, l1_ratio: float = 0.0, class_weight: Any = None,
                 solver: str = 'auto', max_iter: int | None = None, tol: float = 1e-4,
                 standardize: bool = True, monitor: str = 'end', sample_rows: int | None = None,
                 batch_rows: int = 1000, memory: int = MEMORY, seed: int = 0):
        self.C, self.l1_ratio, self.class_weight = C, l1_ratio, class_weight
        self.solver, self.max_iter, self.tol = solver, max_iter, tol
        self.standardize, self.monitor, self.sample_rows = standardize, monitor, sample_rows
        self.batch_rows, self.memory, self.seed = batch_rows, memory, seed

    async def fit(self, mpc, columns: Design | SecureArray, label, *, selected=None,
                  sample_weight=None, start=None, checkpoint=None) -> LogisticRegression:
        """Train on `columns` (n, d + 1) = [X, m] and `label` (n,), both shared.

        m is the 0/1 weight of a row, and the intercept's column; rows with m = 0 must be zero
        throughout, their label too. `selected` (d,) are shared bits, all columns if None.
        `sample_weight` (n,): shared numbers from 0 to 64, about 1 on average. `start` (d + 1,):
        weights of the columns as they are to start from (`raw_` of an earlier fit, of these or of
        other rows). `checkpoint`: a `models.checkpoints.Checkpoint` that keeps every step, and from
        which training goes on.

        Raises ValueError for parameters or shapes that do not fit, LocalProtocolError `one-class`
        when a class has no rows.
        """
        _check(self)
        design = columns if isinstance(columns, Design) else \
            await Design.of(columns, memory=self.memory)
        n, d = design.rows, design.columns - 1
        if label.shape != (n,):
            raise ValueError(f'label of shape {label.shape}, expected ({n},)')
        label = label.with_frac(SLOPE)
        sums, squares = await design.moments()
        bad = label.sum()
        # The sum of m has the matrix's fractional bits.
        good = sums[d] - bad
        if self.monitor != 'none':
            await _require_both(mpc, bad, good)
        weight = None if sample_weight is None else sample_weight.with_frac(SLOPE)
        if weight is not None:
            total = await design.pass_over(
                lambda block, rows: mpc.matrix_product(block[:, -1:].T, weight[rows], SLOPE))
            bad = mpc.matrix_product(label, weight, SLOPE)
            good = total[0] - bad
        if self.class_weight is not None:
            of_bad, of_good = self._of_classes(mpc, bad, good)
            factor = of_good + mpc.multiply(label, of_bad - of_good, SLOPE)
            weight = factor if weight is None else mpc.multiply(weight, factor, SLOPE)
            bad, good = (mpc.multiply(a, b, SLOPE) for a, b in ((bad, of_bad), (good, of_good)))
        affine, used, ridge = standardise(mpc, sums, squares, selected, design.frac,
                                          self.standardize)
        penalty = np.append(np.full(d, (1 - self.l1_ratio) / self.C / n), 0.0)
        problem = Problem(mpc, design, label, weight, affine, used, ridge, penalty,
                          self.l1_ratio / self.C / n)
        self.solver_ = self.solver if self.solver != 'auto' else _suited(n, d, self)
        plan = self._plan(problem, self.solver_)
        state = _start(mpc, bad, good, d) if start is None else problem.from_raw(start)
        secrets = await self._run(mpc, plan, {'base': state}, checkpoint)
        self.secrets_ = secrets
        await self._finish(mpc, problem, secrets)
        return self

    def decision_function(self, mpc, columns: SecureArray) -> SecureArray:
        """Log-odds of bad for rows of [X, m], as exact products without truncation; one round.

        Equal rows get exactly equal scores. Fractional bits: those of the columns plus 16.
        """
        return mpc.matrix_product(columns, self.scoring_, columns.frac + SCORING)

    async def scores(self, mpc, design: Design, start: int = 0,
                     stop: int | None = None) -> SecureArray:
        """`decision_function` of a design's rows from `start` to `stop`, block after block."""
        return await design.each(lambda block: self.decision_function(mpc, block), start, stop)

    def predict_proba(self, mpc, columns: SecureArray) -> SecureArray:
        """Chance of bad for rows of [X, m]; 19 rounds."""
        return mpc.sigmoid(mpc.matrix_product(columns, self.raw_, 20), 20)

    def _of_classes(self, mpc, bad, good):
        """The factors of the two classes; 'balanced' ones give each half of the weight."""
        if self.class_weight == 'balanced':
            inverse = mpc.reciprocal(mpc.stack([bad, good]).with_frac(8), 43)
            both = mpc.multiply(inverse, (bad + good) * 0.5, SLOPE)
        else:
            both = mpc.array(np.array([float(self.class_weight[k]) for k in (1, 0)]), SLOPE)
        return both[0], both[1]

    # --- plans ---

    def _plan(self, problem: Problem, solver: str):
        """[(action, whether it is a look at convergence)], the same whatever the data."""
        count = self.max_iter or PASSES[solver]
        # Momentum forgets the cheap function's error more slowly than Newton's steps do.
        last = max(FINE, count // 3 if solver == 'accelerated' else 0)
        # Whoever may stop at any step needs every one to be precise.
        last = count if self.monitor == 'each' else last
        fine = [k >= count - last for k in range(count)]
        if solver == 'newton':
            plan = [(steps.hessian_model(problem, True), False),
                    (steps.measure(problem, 'fine'), True)]
            for _ in range(count - 1):
                plan += [(steps.move(problem, 'fine'), False),
                         (steps.hessian_model(problem, True), False),
                         (steps.remodelled(problem), True)]
            return plan
        if solver == 'accelerated':
            return [(steps.bound_model(problem), False),
                    *[(steps.nesterov(problem, k, 'fine' if fine[k] else 'cheap'), fine[k])
                      for k in range(count)]]
        part = self._sampled(problem)
        plan = [(steps.hessian_model(part, False), False), (steps.measure(part, 'cheap'), False)]
        if solver == 'minibatch':
            batches = sum(-(-(r.stop - r.start) // self.batch_rows)
                          for r in problem.design.pieces())
            plan += [(steps.stochastic_pass(problem, self.batch_rows, k * batches), False)
                     for k in range(count)]
            return [*plan, (steps.measure(problem, 'fine'), True)]
        plan += [(steps.move(part, 'cheap'), False)] * SAMPLE_STEPS
        plan += [(steps.hessian_model(part, False), False), (steps.measure(part, 'cheap'), False)]
        plan += [(steps.move(part, 'cheap'), False)] * (SAMPLE_STEPS - 2)
        if early := fine.count(False):
            plan += [(steps.fence(part), False), (steps.measure(problem, 'series'), True)]
            plan += [(steps.move(problem, 'series'), True)] * (early - 1)
            plan.append((steps.unless_fenced(problem), False))
        # Steps on other rows, or by a more precise function, do not compare.
        plan.append((steps.measure(problem, 'fine'), True))
        plan += [(steps.move(problem, 'fine'), True)] * (fine.count(True) - 1)
        return plan

    def _sampled(self, problem):
        count = min(problem.design.rows, self.sample_rows or sample_size(problem.size))
        if count == problem.design.rows:
            return problem
        return problem.on(*problem.design.sample(count, self.seed))

    async def _run(self, mpc, plan, secrets, checkpoint):
        """Take the actions, from where a checkpoint says on."""
        done, self.n_iter_ = 0, 0
        if checkpoint is not None:
            done, secrets = await checkpoint.restore(mpc, secrets)
        for k, (action, look) in enumerate(plan):
            if k >= done:
                secrets = await action(secrets)
                if checkpoint is not None:
                    await checkpoint.save(k + 1, secrets)
            self.n_iter_ += look
            if look and self.monitor == 'each' and k >= done - 1 and \
                    await mpc.output(self._short(mpc, secrets)):
                break
        return secrets

    def _short(self, mpc, secrets):
        """Shared bit: whether the step from here is shorter than `tol`."""
        return mpc.less(secrets['size'], self.tol**2)

    async def _finish(self, mpc, problem, secrets):
        state = steps.target(mpc, secrets, final=True)
        used = problem.used
        if problem.l1:
            zero = mpc.equal(state[:-1], 0.0)
            used = used * (1 - mpc.concatenate([zero, mpc.array(np.zeros(1, np.int64))]))
        # What a truncation leaves of a zero weight would decide between rows of equal score.
        self.state_ = used * state
        self.raw_ = used * problem.raw(state, WEIGHTS)
        self.scoring_ = used * problem.raw(state, SCORING)
        self.problem_ = problem
        bit = self._short(mpc, secrets)
        self.converged_ = bit if self.monitor == 'none' else bool(await mpc.output(bit))
        await self.raw_.ready()
        await self.scoring_.ready()


async def _require_both(mpc, bad, good):
    """Open whether both classes have rows, and stop if not."""
    missing = mpc.any(mpc.less(mpc.stack([bad, good]), 0.5))
    if await mpc.output(missing):
        raise LocalProtocolError(
            'one-class', 'all rows of the training part are of one class, expected bad and good '
            'ones', remedy='train on rows of both classes')


def _start(mpc, bad, good, d):
    """Zero weights, and the log-odds of the (weighted) classes as intercept."""
    logs = mpc.log(mpc.stack([bad, good]), STATE)
    return mpc.concatenate([mpc.array(np.zeros(d), STATE), (logs[0] - logs[1]).reshape(1)])


def sample_size(size: int) -> int:
    """Rows whose Hessian is the model of `sampled`, if there are as many, for so many weights."""
    return max(_SAMPLE_FROM, _SAMPLE_PER_COLUMN * size)


def _suited(n, d, model):
    if n > 2 * (model.sample_rows or sample_size(d + 1)):
        return 'sampled'
    return 'newton' if d <= _NEWTON_COLUMNS else 'accelerated'


def _check(model):
    """Raise ValueError for a parameter out of its range."""
    number = (int, float)
    for name, value, expected, right in (
            ('C', model.C, 'a positive number',
             isinstance(model.C, number) and model.C > 0),
            ('l1_ratio', model.l1_ratio, 'a number from 0 to 1',
             isinstance(model.l1_ratio, number) and 0 <= model.l1_ratio <= 1),
            ('solver', model.solver, f'one of {", ".join(SOLVERS)}', model.solver in SOLVERS),
            ('monitor', model.monitor, f'one of {", ".join(MONITORS)}',
             model.monitor in MONITORS),
            ('tol', model.tol, 'a number from 2e-5 to 1',
             isinstance(model.tol, number) and 2e-5 <= model.tol <= 1),
            ('max_iter', model.max_iter, 'a positive whole number, or None',
             model.max_iter is None or (isinstance(model.max_iter, int) and model.max_iter > 0)),
            ('batch_rows', model.batch_rows, 'a whole number of at least 10',
             isinstance(model.batch_rows, int) and model.batch_rows >= 10)):
        if not right:
            raise ValueError(f'parameter {name} is {value!r}, expected {expected}')
    weights = model.class_weight
    if isinstance(weights, dict):
        fits = set(weights) == {0, 1} and all(
            isinstance(w, number) and math.isfinite(w) and 0 <= w <= 64 for w in weights.values())
    else:
        fits = weights in (None, 'balanced')
    if not fits:
        raise ValueError(f"parameter class_weight is {weights!r}, expected None, 'balanced', or "
                         'numbers from 0 to 64 for 0 and 1')
