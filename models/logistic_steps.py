"""The steps of logistic regression on shares, and the plans that solvers make of them.

A plan is a public list of actions; each takes the solver's secrets (a dict of secure arrays) and
returns them changed. Nothing in a plan depends on data, so the traffic does not, and a checkpoint
is the dict and a number (`models.checkpoints`).

`newton`     a Hessian over all rows per step, factorised by Cholesky; few steps, many rounds.
`sampled`    the Hessian of a random sample of rows, at the sample's own optimum, is the model for
             a few steps on all rows. Its error shrinks by about 2 √(d / sample) per pass. Sources:
             Erdogdu, Montanari, "Convergence rates of sub-sampled Newton methods", NIPS 2015.
`accelerated` Böhning's bound as the model and Nesterov's momentum; converges from anywhere.
`minibatch`  one preconditioned stochastic step per batch of rows, with steps that shrink as 1/k.

Newton steps are accepted only if the next step, by the same model, would be shorter (the natural
monotonicity test; Deuflhard, "Newton methods for nonlinear problems", 2004); else the step is
halved. The test is one comparison of shared numbers, and nothing opens.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from engine import field
from models.logistic_link import MODERATE, Precision
from models.logistic_problem import DAMPING, MODEL, STATE, Problem

Secrets = dict[str, Any]
Action = Callable[[Secrets], Awaitable[Secrets]]

_SIZE = 32
"""Fractional bits of squared lengths of steps: lengths up to 46,000 compare."""
_BATCH = 24
_SPLITTING = 0.1
_SPLITS = 15
_WITHIN = MODERATE - 4
_LINEAR = 32


# --- models of the loss ---

def hessian_model(problem: Problem, cholesky: bool) -> Action:
    """The Hessian at `base`, ready for steps."""
    async def action(s):
        return {**s, **await _prepared(problem, await problem.hessian(s['base']), cholesky)}
    return action


def bound_model(problem: Problem) -> Action:
    """Böhning's bound, ready for steps."""
    async def action(s):
        return {**s, **await _prepared(problem, await problem.bound(), False)}
    return action


async def _prepared(problem, curvature, cholesky):
    mpc, size = problem.mpc, problem.size
    curvature = curvature + np.diag(np.full(size, DAMPING))
    out = {}
    if problem.l1:
        out['curvature'] = curvature
        curvature = curvature + np.diag(np.full(size, _SPLITTING))
    inverse = mpc.solve(curvature, mpc.array(np.eye(size), MODEL)) if cholesky else \
        await _newton_schulz(mpc, curvature, 0 if problem.weight is None else 6)
    await inverse.ready()
    return {**out, 'inverse': inverse}


async def _newton_schulz(mpc, h, more):
    """Inverse of a positive definite H with eigenvalues from `DAMPING` (Schulz 1933)."""
    size = h.shape[0]
    trace = mpc.matrix_product(np.ones(size, np.int64), h * np.eye(size, dtype=np.int64)).sum()
    y = mpc.reciprocal(trace, MODEL) * np.eye(size, dtype=np.int64)
    eye = mpc.array(2 * np.eye(size), MODEL)
    for _ in range(inverse_steps(size) + more):
        y = mpc.matrix_product(y, eye - mpc.matrix_product(h, y, MODEL), MODEL)
        if size > 64:
            await y.ready()
    return y


def inverse_steps(size: int) -> int:
    """Steps of the Newton-Schulz iteration for a curvature of so many weights."""
    return int(np.ceil(np.log2((size / 4 + 2) / DAMPING))) + 4


async def _step(problem, s, state, gradient):
    """(s, step): where the model's minimum lies from `state`, to be subtracted."""
    mpc = problem.mpc
    if not problem.l1:
        return s, mpc.matrix_product(s['inverse'], gradient, STATE)
    d = problem.size - 1
    linear = mpc.matrix_product(s['curvature'], state, _LINEAR) \
        - gradient.with_frac(_LINEAR)
    dual = s.get('dual')
    z, dual = state, mpc.array(np.zeros(d + 1), STATE) if dual is None else dual
    limit = problem.l1 / _SPLITTING
    for _ in range(_SPLITS):
        pull = mpc.multiply(z - dual, _SPLITTING, _LINEAR)
        moved = mpc.matrix_product(s['inverse'], linear + pull, STATE) + dual
        shrunk = soft_threshold(mpc, moved[:d], limit)
        z = mpc.concatenate([shrunk, moved[d:]])
        dual = moved - z
    await z.ready()
    return {**s, 'dual': dual}, state - z


def soft_threshold(mpc, x, limit: float):
    """x moved towards 0 by `limit`, and exactly 0 within; 12 rounds, 157.5 bytes for m = 4."""
    outside = mpc.negative(mpc.stack([x + limit, limit - x]))
    units = round(limit * (1 << x.frac))

    def kernel(below, above, x):
        return field.add(field.mul(below, field.affine(x, 1, units)),
                         field.mul(above, field.affine(x, 1, -units)))
    return mpc.product('clip', [outside[0], outside[1], x], kernel, x.shape, 0, x.frac)


# --- guarded steps ---

def measure(problem: Problem, precision: Precision) -> Action:
    """Take the step that is known, if any, and find the next one there; one pass.

    What changes the loss (other rows, a more precise logistic function) must begin with this: steps
    of different losses do not compare.
    """
    async def action(s):
        base = target(problem.mpc, s) if 'step' in s else s['base']
        gradient = await problem.gradient(base, precision)
        fresh = {k: v for k, v in s.items() if k != 'scale'}
        return await _with_step(problem, {**fresh, 'base': base, 'gradient': gradient})
    return action


def remodelled(problem: Problem) -> Action:
    """The step at `base` by a new model, from the gradient that is known."""
    async def action(s):
        return await _with_step(problem, s)
    return action


async def _with_step(problem, s):
    s, step = await _step(problem, s, s['base'], s['gradient'])
    return {**s, 'step': step, 'size': _squared(problem.mpc, step),
            'scale': s.get('scale', problem.mpc.array(np.ones(()), 20))}


def move(problem: Problem, precision: Precision) -> Action:
    """Try the step; take it, or halve it; one pass."""
    async def action(s):
        mpc = problem.mpc
        there = target(mpc, s)
        gradient = await problem.gradient(there, precision)
        s, step = await _step(problem, s, there, gradient)
        size = _squared(mpc, step)
        better = mpc.less(size, s['size'])
        scale = s['scale']
        chosen = {'base': there, 'gradient': gradient, 'step': step, 'size': size,
                  # After a step that failed the next ones grow back to full length.
                  'scale': mpc.multiply(scale, 0.5) + 0.5}
        kept = {**s, 'scale': mpc.multiply(scale, 0.5)}
        out = {**s, **{k: mpc.select(better, v, kept[k]) for k, v in chosen.items()}}
        await out['base'].ready()
        return out
    return action


def target(mpc, s: Secrets, final: bool = False):
    """Where the next step leads; the `final` one of an l1 penalty keeps its exact zeros."""
    if final and 'dual' in s:
        return s['base'] - s['step']
    return s['base'] - mpc.multiply(s['step'], s['scale'], STATE)


def _squared(mpc, step):
    return mpc.matrix_product(step, step, _SIZE)


# --- steps by the series, which is right for moderate log-odds only ---

def fence(part: Problem) -> Action:
    """Note, before steps by the series, where they start and whether log-odds are moderate there.

    They are when all but one in a thousand rows of the sample are well within its range. 25 rounds
    for t = 1: the rows are compared with the range, and then their number with the limit.
    """
    async def action(s):
        mpc, start, outside = part.mpc, target(part.mpc, s) if 'step' in s else s['base'], []
        raw = part.raw(start)
        for rows in part.design.pieces():
            odds = mpc.matrix_product(part.design.block(rows), raw, 20)
            outside.append(mpc.negative(mpc.stack([odds + _WITHIN, _WITHIN - odds])).sum())
            await outside[-1].ready()
        moderate = mpc.less(mpc.stack(outside).sum(), part.design.rows // 1000 + 1)
        return {**s, 'start': start, 'moderate': moderate}
    return action


def unless_fenced(problem: Problem) -> Action:
    """Go back to where the fence was if the log-odds were not moderate there; one round."""
    async def action(s):
        mpc = problem.mpc
        kept = {k: v for k, v in s.items() if k not in ('start', 'moderate')}
        return {**kept, 'base': mpc.select(s['moderate'], s['base'], s['start']),
                'step': s['moderate'] * s['step']}
    return action


# --- accelerated gradient ---

def nesterov(problem: Problem, k: int, precision: Precision) -> Action:
    """Step k of the accelerated method (Nesterov 1983); one pass."""
    async def action(s):
        mpc = problem.mpc
        ahead = s.get('ahead', s['base'])
        s, step = await _step(problem, s, ahead, await problem.gradient(ahead, precision))
        state = ahead - step
        out = {**s, 'base': state, 'step': step * 0, 'size': _squared(mpc, step),
               'scale': mpc.array(np.ones(()), 20),
               'ahead': state + mpc.multiply(state - s['base'], k / (k + 3), STATE)}
        await out['base'].ready()
        return out
    return action


# --- mini-batches ---

def stochastic_pass(problem: Problem, batch_rows: int, first: int) -> Action:
    """One pass in batches of rows as they come, a step per batch; `first` numbers its first step.

    State and raw weights move together: (θ, Aθ) -= η S (slope, θ) with S = (P Aᵀ, P Λ) over
    A (P Aᵀ, P Λ). A batch takes two rounds for the logistic function, by its series, one for the
    slope and one for the step.
    """
    async def action(s):
        mpc, design = problem.mpc, problem.design
        both = mpc.concatenate([s['base'], problem.raw(s['base'])])
        back = mpc.matrix_product(s['inverse'], problem.affine.T, MODEL)
        shrink = mpc.multiply(s['inverse'], np.broadcast_to(problem.penalty, s['inverse'].shape),
                              MODEL)
        half = mpc.concatenate([back, shrink], axis=1)
        matrix = mpc.concatenate([half, mpc.matrix_product(problem.affine, half, MODEL)])
        matrix = matrix.with_frac(_BATCH)
        size, k = problem.size, first
        for rows in design.pieces():
            for start in range(rows.start, rows.stop, batch_rows):
                batch = slice(start, min(start + batch_rows, rows.stop))
                k += 1
                slope = problem.slope(design.block(batch), batch, both[size:], 'series', 20)
                both = _batch_step(mpc, matrix, slope, both, size,
                                   step_length(k) / (batch.stop - batch.start), step_length(k))
                await both.ready()
        return {**{k: v for k, v in s.items() if k != 'step'}, 'base': both[:size]}
    return action


def step_length(k: int) -> float:
    """Length of the k-th stochastic step, k = 1, 2, …: 1 / k after a few cautious ones."""
    return 1.0 / (k + 4)


def _batch_step(mpc, matrix, slope, both, size, of_slope, of_state):
    """both - matrix (of_slope·slope, of_state·state), truncated once; one round."""
    bits = STATE - slope.frac + 14
    by_slope, by_state = round(of_slope * (1 << bits)), round(of_state * (1 << 14))
    shift = _BATCH + STATE + 14 - STATE

    def kernel(matrix, slope, both):
        moved = np.concatenate([field.affine(slope, by_slope),
                                field.affine(both[:size], by_state)])
        step = field.matmul(matrix, moved[:, None])[:, 0]
        return field.sub(field.affine(both, 1 << shift), step)
    return mpc.product('matmul', [matrix, slope, both], kernel, both.shape, shift, STATE,
                       work=8 * size * size)
