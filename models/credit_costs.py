"""Predicted cost of a credit job, step by step: rounds, and payload bytes over all parties.

Of what the manifest says alone, for m = 4, t = 1 in the default mode. Bytes are exact, since
nothing that a job sends depends on data; rounds are at most those stated, as the selection begins
some things before others are done, and a training's passes are the number that the parameters give.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields

from engine import costs
from engine.costs import Prediction, sequence
from engine.shamir import Geometry
from models.checkpoints import restore_cost
from models.credit import PASSES
from models.credit_encode import BLOCK_COPIES, SHARE_OF_PASSES, block_width
from models.credit_outputs import band_edges, score_edges
from models.evaluation_costs import calibration_cost, evaluate_cost, figures_cost, psi_cost
from models.logistic import PASSES as USUAL
from models.logistic import SCORING, sample_size
from models.logistic_costs import scores_cost, training_cost
from models.logistic_design import MEMORY, block_rows
from models.parameters import CreditParameters, Scaling
from models.scorecard import reasons_cost
from protocols.binning_merge import woe_cost
from protocols.correlation import correlation_cost, drop_collinear_cost, drop_correlated_cost
from protocols.costs import products, total
from protocols.join_costs import join_cost
from protocols.join_order import training_slots
from protocols.join_plan import JoinPlan
from protocols.stepwise import stepwise_cost
from protocols.woe import FRAC

M, T = 4, 1
_TAGGED = 2
"""Rounds of matching."""
_COUNTED = frozenset((
    'max_bins', 'min_share', 'prebins', 'special_values', 'breaks', 'min_bin_rows', 'table_minimum',
    'min_class_rows', 'exclude', 'missing_max', 'iv_threshold', 'correlation_max', 'vif_max',
    'vif_steps', 'stepwise', 'stepwise_p', 'max_features', 'open_iv', 'test_share', 'l2',
    'split_seed', 'iterations', 'roc_points', 'bands', 'scaling', 'open_card', 'examples',
    'reasons', 'model', 'scores_per_day', 'memory'))
"""Parameters whose part in the cost is known, be it none; of others their default alone."""


def credit_costs(parameters: CreditParameters, rows: Sequence[int], features: Sequence[int],
                 same_order: bool = True, checkpoints: bool = True) -> dict[str, Prediction]:
    """By step of `credit_program`; `rows` and `features` are those that each party brings.

    With `checkpoints`, as nodes run it, parties ask each other for those of an interrupted job.

    Raises ValueError that names an option for which there is no formula.
    """
    p, usual = parameters, CreditParameters()
    counted = {one.name: one.name in _COUNTED or getattr(p, one.name) == getattr(usual, one.name)
               for one in fields(p)}
    counted |= {'binning': not p.bin_rules.merges, 'solver': p.solver in ('sampled', 'accelerated')}
    for name, known in counted.items():
        if not known:
            raise ValueError(f'there is no formula for jobs with the parameter {name} = '
                             f'{getattr(p, name)!r}')
    job = _Job(p, list(rows), list(features), same_order)
    train, bank = job.training(job.card), job.training(features[0])
    useful = costs.less_than(features[0], M, T)
    asked = [restore_cost(M, T)] * checkpoints
    return {'join': job.join(), 'woe_iv': job.encode(),
            'select': sequence(M, *asked, job.select()),
            'train_joint': sequence(M, *asked, train),
            # Which features are useful is there before the standardisation asks.
            'train_bank': sequence(M, *asked, total(bank.rounds, bank, useful)),
            'evaluate': job.evaluate(), 'scorecard': job.scorecard(), 'open': job.open()}


def credit_work(parameters: CreditParameters, rows: Sequence[int],
                features: Sequence[int]) -> tuple[int, int]:
    """(elements of the matrix that passes of the trainings read, multiply-adds of the Gram matrix
    and of the Hessians), at one party; for estimates of time."""
    job = _Job(parameters, list(rows), list(features), True)
    sizes = (job.card + 1, features[0] + 1)
    hessians = 2 if parameters.solver == 'sampled' else 0
    return job.train * job.passes * sum(sizes), job.train * (job.d + 1)**2 + sum(
        hessians * min(job.train, sample_size(size)) * size**2 for size in sizes)


def held_bytes(parameters: CreditParameters, rows: Sequence[int], features: Sequence[int]) -> int:
    """Bytes of features that a party holds at a time: the encoded matrix with the columns that are
    trained on, and blocks of shared indicators; at most `parameters.memory`, if that is a number.
    """
    job = _Job(parameters, list(rows), list(features), True)
    most = max(job.slots, *rows)
    width = min(block_width(most, job.bins, parameters.memory), max(features))
    columns = job.d + job.card + features[0] + 3
    held = 16 * (rows[0] * columns + BLOCK_COPIES * width * job.bins * most)
    return held if parameters.memory is None else min(held, parameters.memory)


class _Job:
    """The public shapes of a job, and what its steps cost."""

    def __init__(self, parameters, rows, features, same_order):
        self.p, self.rows, self.features = parameters, rows, features
        self.d, self.bins = sum(features), parameters.bin_rules.bins
        self.train, self.test = training_slots(rows[0], parameters.test_share)
        self.slots = self.train + self.test
        self.plan = JoinPlan(M, rows, self.slots, same_order=same_order)
        self.card = parameters.card_size(self.d)
        self.examples = min(parameters.examples, self.test)
        self.passes = parameters.iterations or (
            PASSES if parameters.solver == 'sampled' else USUAL[parameters.solver])
        scaling = Scaling.preset(parameters.scaling)
        self.edges, self.bands = len(score_edges(scaling)[1]), len(band_edges(scaling))

    def join(self):
        """Matching, bits of all partners, classes, and whether both parts have enough of them."""
        made = self._joined({0: 2})
        counted = products(4 * self.slots, M, T, rounds=3)
        return sequence(M, made, counted, costs.less_than(4, M, T), costs.less_than(1, M, T),
                        costs.product(2, M, T), costs.open_all(3, M, T, receivers=1))

    def encode(self):
        """Indicators, counts, WOE, and the columns; blocks do not wait for each other."""
        width = block_width(max(self.slots, *self.rows), self.bins, self.p.memory)
        blocks = {party: [min(width, count - start) for start in range(0, count, width)]
                  for party, count in enumerate(self.features)}
        shared = self._joined({party: [k * self.bins for k in each]
                               for party, each in blocks.items()})
        matched = self._joined({})
        parts = []
        for k in [k for each in blocks.values() for k in each]:
            cells, whole = k * self.bins, k * self.slots
            parts += [woe_cost(k, self.bins, M, T), costs.less_than(cells, M, T),
                      products(3 * cells + 2 * whole, M, T)]
        # WOE is there before the contributions to the information value.
        chain = woe_cost(1, self.bins, M, T).rounds - 1
        return Prediction(shared.rounds - _TAGGED + 1 + chain + 3,
                          shared.total_bytes - matched.total_bytes + total(0, *parts).total_bytes)

    def select(self):
        """The rules one after the other; of some the beginning does not wait for the one before."""
        p, d, rules = self.p, self.d, self.p.rules
        parts = [total(13, costs.less_than(2 * d, M, T), products(2 * d, M, T))]
        if any(x is not None for x in (rules.correlation_max, rules.vif_max, rules.stepwise)):
            # The sums of one block are in the cost of the correlation, but for the label's.
            blocks, square = self._pieces(d + 1), (d + 1) ** 2
            sums = products((blocks - 1) * square + blocks * (d + 1), M, T)
            parts = [total(0, *parts, sums), correlation_cost(d + 1, M, T)]
        if rules.correlation_max is not None:
            parts.append(drop_correlated_cost(d, M, T))
        if rules.vif_max is not None:
            parts.append(drop_collinear_cost(d, p.vif_steps, M, T))
        if rules.stepwise is not None:
            parts.append(stepwise_cost(d, rules.stepwise_steps, M, T, enter=rules.enter,
                                       leave=rules.leave))
        return sequence(M, *parts, costs.open_all(d, M, T))

    def training(self, features):
        """A model on so many features."""
        return training_cost(self.train, features + 1, self.p.solver, self.passes, M, T,
                             block_rows(features + 1, self._memory))

    def evaluate(self):
        """Both models on the rows held out; calibration and PSI go on beside the figures."""
        scored = scores_cost(2 * self.test, M, T)
        figures = evaluate_cost(self.test, 2, FRAC + SCORING, self.p.roc_points, self.edges, M, T)
        beside = [calibration_cost(self.test, self.bands, M, T),
                  sequence(M, scores_cost(self.train, M, T),
                           psi_cost(self.train, self.test, self.bands, M, T))]
        last = figures_cost(self.test, self.p.roc_points, self.edges, M, T).rounds
        longer = max(0, *[cost.rounds - last for cost in beside])
        return sequence(M, scored, figures, total(longer, *beside))

    def scorecard(self):
        """Whole points, the best of each feature, and scores and reasons of the examples."""
        card, bins, rows = self.card, self.bins, self.examples
        cells, turns = card * bins, math.ceil(math.log2(bins))
        best = sequence(M, costs.less_than(card * (bins - 1), M, T),
                        costs.product(2 * card * (bins - 1), M, T))
        parts = [costs.truncate(card + 1, M, T), costs.product(cells, M, T),
                 costs.to_bits(cells + 1, M, T, 24), Prediction(turns * best.rounds,
                                                               best.total_bytes)]
        if rows:
            shown = reasons_cost(rows, card, min(self.p.reasons, card), M, T)
            # What each feature gives is there before the best that it can give.
            parts += [total(shown.rounds - 1, shown, costs.product(rows, M, T))]
        return sequence(M, *parts)

    def open(self):
        """All outputs, to the initiator."""
        p, card, d = self.p, self.card, self.d
        limited = (p.vif_max is not None) + (p.stepwise is not None)
        record = d * (1 + p.open_iv) + limited
        figures = 2 + 2 * (p.roc_points + 1) + 2 * (self.edges + 1)
        sizes = [record, figures, figures, 3 * (self.bands + 1) + 1, 2]
        sizes += [card * self.bins + 1] * p.open_card
        sizes += [self.examples * (1 + min(p.reasons, card))] * (self.examples > 0)
        return sequence(M, *[costs.open_all(n, M, T, receivers=1) for n in sizes])

    @property
    def _memory(self):
        return MEMORY if self.p.memory is None else self.p.memory // SHARE_OF_PASSES

    def _pieces(self, columns):
        """Blocks in which a design of so many columns is read over the training rows."""
        return -(-self.train // block_rows(columns, self._memory))

    def _joined(self, widths):
        """Matching, the partners' bits, and columns; the initiator's bits are not asked for."""
        found = join_cost(self.plan, Geometry(M, T), widths)
        own = costs.share(self.slots, M, T).total_bytes
        return Prediction(found.rounds, found.total_bytes - own)
