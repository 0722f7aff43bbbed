"""The joint credit model, as the parties run it: join, WOE/IV, logistic regression, evaluation.

One label owner (party 0, the initiator) and three partners. Rows of the initiator that some partner
lacks stay in the computation with a shared zero weight, features below the IV threshold with a
shared zero scale, so neither the traffic nor anything opened depends on who matched or what was
selected. To the initiator open: IV per feature, the number of joint rows, and the figures of both
models on the hold-out rows. Weights, WOE, counts and single scores never open.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from engine.errors import LocalProtocolError
from models.evaluation import evaluate_scores
from models.logistic import LogisticRegression
from models.parameters import CreditParameters
from models.store import Checkpoints
from protocols.binning import bin_index, fit_breaks, one_hot
from protocols.join import SecureJoin, split_order, training_slots
from protocols.split import training_mask
from protocols.table import PartyTable
from protocols.woe import bin_counts, encode_woe, woe_iv

STEPS = ('join', 'woe_iv', 'train_joint', 'train_bank', 'evaluate', 'open')
_BLOCK_ELEMENTS = 3 << 20
_POINTS, _ODDS, _PDO = 600.0, 20.0, 20.0


async def credit_program(mpc, *, parties: list[str], table: PartyTable,
                         inputs: dict[str, list[str]], rows: dict[str, int],
                         parameters: CreditParameters,
                         progress: Callable[[str, str], None],
                         join: Mapping[str, Any] | None = None,
                         checkpoints: Checkpoints | None = None) -> dict[str, Any]:
    """Run the program at this party; `parties[i]` is MPC party i, `parties[0]` the initiator.

    `table` is anything with `ids`, `label` and `columns` as `PartyTable` has them; `join` holds
    options of `SecureJoin`, which keep its rows those of a left join. With `checkpoints` both
    trainings keep their steps there, and go on from those they find.

    Returns {"steps": {step: cost}, "outputs": {...}}; outputs are empty except at the initiator.
    """
    run = _Run(mpc, parties, table, inputs, rows, parameters, progress, join)
    run.checkpoints = checkpoints
    with run.step('join'):
        await run.join()
    with run.step('woe_iv'):
        await run.encode()
    with run.step('train_joint'):
        joint = await run.train('joint', range(len(run.features)))
    with run.step('train_bank'):
        bank = await run.train('bank', range(len(inputs[parties[0]])))
    with run.step('evaluate'):
        figures = await run.evaluate({'joint': joint, 'bank': bank})
    with run.step('open'):
        outputs = await run.open(figures)
    return {'steps': run.costs, 'outputs': outputs}


class _Run:
    """State of one run at one party."""

    def __init__(self, mpc, parties, table, inputs, rows, parameters, progress, join=None) -> None:
        self.mpc, self.parties, self.table = mpc, parties, table
        self.inputs, self.parameters, self.progress = inputs, parameters, progress
        self.rows = [rows[p] for p in parties]
        self.features = [f'{p}.{c}' for p in parties for c in inputs[p]]
        self.slots = training_slots(self.rows[0], parameters.test_share)
        self.options = join or {}
        self.checkpoints: Checkpoints | None = None
        self.costs: dict[str, dict[str, float]] = {}

    @contextlib.contextmanager
    def step(self, name):
        """Meter a step, and report its start and end."""
        self.mpc.step = name
        self.mpc.floor = self.mpc.meter.depth  # steps follow each other
        self.progress(name, 'start')
        with self.mpc.meter.open_section(name), self.mpc.meter.measure() as cost:
            yield
        self.costs[name] = {'seconds': cost.seconds, 'rounds': cost.rounds,
                            'bytes_per_party': cost.bytes_sent,
                            'multiplications': cost.multiplications}
        self.progress(name, 'done')

    @property
    def _initiator(self):
        return self.mpc.pid == 0

    async def join(self):
        """Match identifiers; share the weight of every row and its class."""
        mpc, table = self.mpc, self.table
        order = None
        if self._initiator:
            training = training_mask(table.ids, table.label, self.parameters.test_share,
                                     self.parameters.split_seed)
            order = split_order(training, self.slots)
        self.joined = SecureJoin(mpc, self.rows, sum(self.slots), **self.options)
        await self.joined.match(table.ids, order)
        match = [self.joined.presence(p) for p in range(1, 4)]
        own = np.column_stack([table.label, 1 - table.label]) if self._initiator else None
        classes = self.joined.columns(0, own, 2)
        # A row counts when all three partners have it: (n, 2) indicators of bad and good.
        self.classes = classes * (match[0] * match[1] * match[2])
        await self._check_common_rows()

    async def _check_common_rows(self):
        """Open the numbers of common rows to the initiator, who stops a job that cannot work."""
        train, test = self.classes[:self.slots[0]].sum(0), self.classes[self.slots[0]:].sum(0)
        missing = (self.mpc.concatenate([train, test]) < 1).sum()
        opened = await self.mpc.output(self.mpc.stack([train.sum(), test.sum(), missing]), 0)
        if not self._initiator:
            return
        self.common_rows = [int(n) for n in opened[:2]]
        if opened[2]:
            raise LocalProtocolError(
                'too-few-common-rows', f'{sum(self.common_rows)} rows are common to all parties, '
                'and the training or the test part of them lacks a class', party=0, step='join',
                remedy='bring tables with more rows in common')

    async def encode(self):
        """WOE-encode all features in blocks, and learn the shared IVs."""
        mpc = self.mpc
        train = self.slots[0]
        training = self.classes[:train]
        totals = training.sum(0)
        bins = self.parameters.max_bins + 1
        width = max(1, _BLOCK_ELEMENTS // (bins * max(sum(self.slots), *self.rows)))
        encoded, information = [], []
        for party, name in enumerate(self.parties):
            columns = self.inputs[name]
            for start in range(0, len(columns), width):
                block = columns[start:start + width]
                indicators = self.joined.columns(party, self._indicators(party, block, bins),
                                                 len(block) * bins)
                counts = bin_counts(indicators[:train], training)
                woe, iv = woe_iv(mpc, counts.reshape(len(block), bins, 2), totals)
                encoded.append(encode_woe(mpc, indicators, woe))
                information.append(iv)
                if len(encoded) > 1:
                    await encoded[-2].ready()
        # Rows without weight must be zero throughout: the initiator's own columns are not yet.
        weight = self.classes.sum(1).reshape(-1, 1)
        own = -(-len(self.inputs[self.parties[0]]) // width)
        encoded = [weight * x if k < own else x for k, x in enumerate(encoded)]
        partners = mpc.concatenate(encoded[own:], axis=1)
        masked = weight * partners
        self.columns = mpc.concatenate([*encoded[:own], masked, weight], axis=1)
        self.information = mpc.concatenate(information)
        self.selected = 1 - (self.information < self.parameters.iv_threshold)
        await self.columns.ready()
        await self.selected.ready()

    def _indicators(self, party, block, bins):
        if self.mpc.pid != party:
            return None
        limit = self.parameters.max_bins
        hot = []
        for column in block:
            values = self.table.columns[column]
            hot.append(one_hot(bin_index(values, fit_breaks(values, limit), limit), bins))
        return np.concatenate(hot, axis=1)

    async def train(self, name, chosen):
        """(model, columns): a model on some of the features, trained on the training slots."""
        chosen = list(chosen)
        columns = self.columns.take([*chosen, len(self.features)], axis=1)
        model = LogisticRegression(C=1 / self.parameters.l2, solver='accelerated',
                                   max_iter=self.parameters.iterations, monitor='none')
        await model.fit(self.mpc, columns[:self.slots[0]], self.classes[:self.slots[0], 0],
                        selected=self.selected.take(chosen),
                        checkpoint=self.checkpoints and self.checkpoints.of(name))
        return model, columns

    async def evaluate(self, models):
        """{name: secret figures} of the models on the test slots."""
        test = slice(self.slots[0], None)
        scores = [model.decision_function(self.mpc, columns[test])
                  for model, columns in models.values()]
        figures = await evaluate_scores(self.mpc, scores, self.classes[test],
                                        points=self.parameters.roc_points,
                                        edges=_histogram_edges()[1])
        for figure in figures:
            await figure.ready()
        return dict(zip(models, figures, strict=True))

    async def open(self, figures):
        """Open the agreed figures to the initiator."""
        information = await self.mpc.output(self.information, 0)
        opened = {name: await f.open(self.mpc, 0) for name, f in figures.items()}
        if not self._initiator:
            return {}
        train, test = self.common_rows
        outputs = {'rows_joint': train + test, 'rows_joint_train': train, 'rows_joint_test': test,
                   'iv': dict(zip(self.features, information.tolist(), strict=True)),
                   'auc': {}, 'ks': {}, 'roc': {}, 'lift': {}, 'scores': {}}
        for name, figure in opened.items():
            outputs['auc'][name], outputs['ks'][name] = figure['auc'], figure['ks']
            outputs['roc'][name] = _roc(figure['curve'])
            outputs['lift'][name] = _lift(figure['curve'], self.parameters.bands)
            outputs['scores'][name] = _scores(figure['histogram'])
        return outputs


def _histogram_edges():
    """Score points and the log-odds of bad that they stand for, in ascending log-odds."""
    points = np.arange(420, 701, 20)
    factor = _PDO / math.log(2)
    odds = -(points - _POINTS) / factor - math.log(_ODDS)
    return points, odds[::-1]


def _roc(curve):
    bad, good = curve[:, 0], curve[:, 1]
    return {'fpr': (good / max(1, good[-1])).tolist(), 'tpr': (bad / max(1, bad[-1])).tolist()}


def _lift(curve, bands):
    places = np.round(np.linspace(0, len(curve) - 1, bands + 1)).astype(int)
    steps = np.diff(curve[places], axis=0)
    bad_total, all_rows = int(curve[-1, 0]), int(curve[-1].sum())
    base = bad_total / max(1, all_rows)
    table, seen = [], 0
    for band, (bad, good) in enumerate(steps.tolist(), start=1):
        rows, seen = bad + good, seen + bad
        rate = bad / rows if rows else 0.0
        table.append({'band': band, 'rows': rows, 'bad': bad, 'bad_rate': rate,
                      'lift': rate / base if base else 0.0,
                      'cum_bad_share': seen / max(1, bad_total)})
    return table


def _scores(histogram):
    points, _ = _histogram_edges()
    step = int(points[1] - points[0])
    edges = [int(points[0]) - step, *points.tolist(), int(points[-1]) + step]
    ascending = histogram[::-1]
    return {'edges': edges, 'good': ascending[:, 1].tolist(), 'bad': ascending[:, 0].tolist()}
