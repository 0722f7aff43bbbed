"""The joint credit model, as the parties run it: join, WOE/IV, selection, training, scorecard.

One label owner (party 0, the initiator) and three partners. Rows that some partner lacks stay in
the computation with a shared zero weight. Which features the card uses opens to everybody: they
must be supplied for every applicant; the card is then trained on as many columns as it may have at
most, so that the traffic depends on public shapes alone. Where bins are merged by the label, each
owner learns which edges of its own features stay. Bin tables of named features open to named
parties, small cells closed. To the initiator open, besides: why each feature stayed or
went, the number of joint rows, whether both trainings converged, the figures of both models on the
rows held out, calibration, PSI, the IV of every feature, if the parameters say so the figures by
segment, the card and the card's weights with their errors, and score and reason codes of a few of
its rows. WOE, other counts and weights, and other scores never open. Shares of the model stay at
each party.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from engine.errors import LocalProtocolError
from models.checkpoints import Checkpoints, settled
from models.credit_encode import CreditTable
from models.credit_outputs import (
    LEVEL,
    band_edges,
    bin_table,
    calibration_bands,
    figures,
    regression_table,
    score_edges,
    segment_table,
    stability,
)
from models.evaluation import evaluate_scores
from models.evaluation_samples import calibration, evaluate_by_segment, psi
from models.logistic import LogisticRegression
from models.logistic_design import Design
from models.logistic_inference import SecretInference, inference
from models.parameters import CreditParameters, Scaling
from models.scorecard import SecretScorecard
from models.selection import Selection, select_features
from models.selection_rules import chi_limit
from models.store import ModelStore
from models.warm_start import WarmStart
from protocols.steps import Progress, Steps
from protocols.table import PartyTable

STEPS = ('join', 'woe_iv', 'select', 'train_joint', 'train_bank', 'evaluate', 'scorecard', 'open')

TOLERANCE = 1e-3
"""Length of a training's last step, in standardised weights, below which it counts as converged:
the next one would be a tenth of it with `sampled`, and shorter with Newton's."""
PASSES = 3
"""Passes of the solver `sampled` after those over the sample; the weights are then within 10^-4 of
the optimum's."""
_MODELS = ('joint', 'bank')


async def credit_program(mpc, *, parties: list[str], table: PartyTable,
                         inputs: dict[str, list[str]], rows: dict[str, int],
                         parameters: CreditParameters, progress: Progress,
                         join: Mapping[str, Any] | None = None,
                         checkpoints: Checkpoints | None = None,
                         store: ModelStore | None = None) -> dict[str, Any]:
    """Run the program at this party; `parties[i]` is MPC party i, `parties[0]` the initiator.

    `table` is anything with `ids`, `label` and `columns` as `PartyTable` has them; `join` holds
    options of `SecureJoin`, which keep its rows those of a left join. With `checkpoints` both
    trainings keep their steps there, and go on from those they find. `store` holds the model that
    `parameters.start_from` names.

    Returns {"steps": {step: cost}, "outputs": {...}, "keep": {...}}. The outputs of the partners
    are the features of the card, the edges of their own bins where those follow from the label, and
    the bin tables that they are to receive; "keep" is what `models.serving` scores with later.
    Raises LocalProtocolError `too-few-common-rows`, `no-features`, `unknown-feature`, and those of
    `models.row_columns` and `models.warm_start`.
    """
    steps = Steps(mpc, progress)
    joined = CreditTable(mpc, parties, table, inputs, rows, parameters, join, checkpoints)
    job = _Job(mpc, joined, parameters, checkpoints)
    start = None
    if parameters.start_from is not None:
        assert store is not None
        start = WarmStart.load(mpc, store, parameters.start_from, parties, joined.features)
    with steps.step('join'):
        await joined.match()
    with steps.step('woe_iv'):
        await joined.encode()
    with steps.step('select'):
        selection, card = await job.select()
    with steps.step('train_joint'):
        joint = await job.train('joint', card.places, mpc.array(card.used), start)
        regression = await job.regression(card, joint[0]) if parameters.inference else None
    with steps.step('train_bank'):
        own = np.flatnonzero(np.array(joined.owners) == 0)
        # Not what the joint selection leaves of its features: a bank alone would use them all.
        bank = await job.train('bank', own, job.useful(selection, own))
        joined.design.close()
    with steps.step('evaluate'):
        opened = await job.evaluate(joint, bank)
        for _, design in (joint, bank):
            design.close()
    with steps.step('scorecard'):
        points = await job.scorecard(card, joint[0])
    with steps.step('open'):
        outputs = await job.open(selection, card, opened, points)
        outputs |= await job.open_converged({'joint': joint[0], 'bank': bank[0]})
        if regression is not None:
            outputs |= await job.open_regression(card, regression)
    return {'steps': steps.costs, 'outputs': outputs,
            'keep': await job.kept(card, points, joint[0], outputs)}


@dataclass(frozen=True)
class _Card:
    """Places of the features that a card is computed from, and the bits of those that it uses.

    All other places are there for the sake of a fixed shape; their weights are zero.
    """

    places: np.ndarray
    used: np.ndarray

    @property
    def kept(self) -> np.ndarray:
        """Places of the features that the card uses."""
        return self.places[self.used == 1]


class _Job:
    """The steps after the encoding."""

    def __init__(self, mpc, joined: CreditTable, parameters: CreditParameters,
                 checkpoints: Checkpoints | None) -> None:
        self.checkpoints = checkpoints
        self.mpc, self.joined, self.parameters = mpc, joined, parameters
        self.scaling = Scaling.preset(parameters.scaling)

    async def select(self) -> tuple[Selection, _Card]:
        """Apply the rules; opens to everybody which features stay."""
        found = Selection.of_arrays(self.joined.features, await settled(
            self.checkpoints, self.mpc, 'selection', self._decided))
        kept = np.asarray(await self.mpc.output(found.kept)).astype(np.int64)
        if not kept.any():
            raise LocalProtocolError(
                'no-features', f'none of {len(kept)} features passed the selection', step='select',
                remedy='state weaker rules, with few rows fewer bins, or bring other features')
        most = max(self.parameters.card_size(len(kept)), int(kept.sum()))
        others = np.flatnonzero(kept == 0)[:most - kept.sum()]
        places = np.sort(np.append(np.flatnonzero(kept), others))
        return found, _Card(places, kept[places])

    async def _decided(self) -> dict[str, Any]:
        joined, train = self.joined, self.joined.train
        found = await select_features(
            self.mpc, joined.design.first(train), joined.classes[:train, 0], joined.counts,
            names=joined.features, missing=joined.rules.missing, rules=self.parameters.rules,
            terms=(joined.woe, joined.terms))
        return found.arrays()

    def useful(self, selection: Selection, places: np.ndarray) -> Any:
        """Shared bits: which of some features pass the screen of single variables."""
        rules = self.parameters.rules
        if rules.p_max is None:
            return 1 - (selection.iv.take(places) < rules.iv_min)
        return 1 - (selection.wald.take(places) < chi_limit(rules.p_max))

    async def train(self, name: str, places: Sequence[int] | np.ndarray, selected: Any,
                    start: WarmStart | None = None) -> tuple[LogisticRegression, Design]:
        """A model on some of the features, trained on the training slots; and those features."""
        joined, parameters = self.joined, self.parameters
        design = await joined.design.take([*places, len(joined.features)])
        passes = PASSES if parameters.solver == 'sampled' else None
        model = LogisticRegression(
            C=1 / parameters.l2, l1_ratio=parameters.l1_ratio, solver=parameters.solver,
            class_weight=parameters.class_weight, max_iter=parameters.iterations or passes,
            tol=TOLERANCE, monitor='none')
        names = [joined.features[k] for k in places]
        await model.fit(self.mpc, design.first(joined.train), joined.classes[:joined.train, 0],
                        selected=selected, sample_weight=joined.weights,
                        start=start and start.of(self.mpc, names),
                        checkpoint=self.checkpoints and self.checkpoints.of(name))
        return model, design

    async def regression(self, card: _Card, model) -> SecretInference:
        """Wald statistics of the card's weights and the intercept, shared."""
        found = await inference(self.mpc, model, LEVEL)
        rows = [*np.flatnonzero(card.used), len(card.places)]
        parts = {one.name: getattr(found, one.name).take(rows) for one in fields(found)}
        return SecretInference(**parts)

    async def open_regression(self, card: _Card, regression: SecretInference) -> dict[str, Any]:
        """{"inference"} at the initiator, else empty."""
        opened = await regression.open(self.mpc, 0)
        if opened is None:
            return {}
        names = [self.joined.features[k] for k in card.kept]
        return {'inference': regression_table(names, opened)}

    async def open_converged(self, models: Mapping[str, LogisticRegression]) -> dict[str, Any]:
        """{"converged"} at the initiator, else empty: one bit per model."""
        bits = await self.mpc.output(self.mpc.stack([m.converged_ for m in models.values()]), 0)
        if bits is None:
            return {}
        return {'converged': dict(zip(models, bits.astype(bool).tolist(), strict=True))}

    async def evaluate(self, joint, bank) -> dict[str, Any]:
        """Shared figures of both models on the slots held out, and by segment, or None; calibration
        and PSI of the joint one, the latter between training and held-out rows."""
        mpc, joined, cut = self.mpc, self.joined, self.joined.train
        scores = [await model.scores(mpc, design, cut) for model, design in (joint, bank)]
        points, limits = self.parameters.roc_points, score_edges(self.scaling)[1]
        segments = None
        if self.parameters.segment_by is None:
            evaluated = await evaluate_scores(mpc, scores, joined.classes[cut:], points=points,
                                              edges=limits)
        else:
            evaluated, segments = await evaluate_by_segment(
                mpc, scores, joined.classes[cut:], joined.segments(), points=points, edges=limits,
                minimum=self.parameters.segment_minimum)
        for one in evaluated:
            await one.ready()
        edges = band_edges(self.scaling)
        sums = calibration(mpc, scores[0], joined.classes[cut:], edges)
        trained = await joint[0].scores(mpc, joint[1], 0, cut)
        counting = joined.classes.sum(1)
        index = psi(mpc, (trained, counting[:cut]), (scores[0], counting[cut:]), edges)
        await sums.ready()
        await index.ready()
        return {'figures': dict(zip(_MODELS, evaluated, strict=True)), 'segments': segments,
                'calibration': sums, 'psi': index}

    async def scorecard(self, card: _Card, model) -> dict[str, Any]:
        """The shared card of all its places, and scores and reasons of the examples."""
        mpc, joined, parameters = self.mpc, self.joined, self.parameters
        size, bins = len(card.places), joined.rules.bins
        names = [joined.features[k] for k in card.places]
        weights = model.raw_
        points = await SecretScorecard.build(
            mpc, names, joined.encoding.take(card.places, axis=0), weights[:size], weights[size],
            self.scaling)
        result: dict[str, Any] = {'card': points}
        if len(joined.examples):
            columns = (card.places[:, None] * bins + np.arange(bins)).ravel()
            shown = joined.examples.take(columns, axis=1)
            result['scores'] = points.score(mpc, shown)
            result['reasons'] = points.reasons(mpc, shown, min(parameters.reasons, size))
            await result['reasons'].ready()
        return result

    async def open(self, selection: Selection, card: _Card, evaluated, points) -> dict[str, Any]:
        """Open the agreed outputs to the initiator; elsewhere {"features"}, "breaks" where the own
        ones follow from the label, and "bin_tables" that this party receives."""
        mpc, joined = self.mpc, self.joined
        breaks = self._own_breaks()
        # Without values the record says only which rule a feature failed.
        values = ('iv',) if self.parameters.open_iv else ()
        record: Any = await selection.open(mpc, 0, reveal='values', values=values)
        opened = {name: await f.open(mpc, 0) for name, f in evaluated['figures'].items()}
        segments = evaluated['segments'] and await evaluated['segments'].open(mpc, 0)
        sums, index = await mpc.output([evaluated['calibration'],
                                        evaluated['psi'].reshape(1)], 0)
        shared = points['card']
        full = await shared.open(mpc, 0) if self.parameters.open_card else None
        shown: Any = await mpc.output([points['scores'], points['reasons']], 0) \
            if 'scores' in points else None
        features = [joined.features[k] for k in card.kept]
        everybody: dict[str, Any] = {'features': features}
        if joined.rules.merges:
            everybody['breaks'] = breaks
        if tables := await self._bin_tables():
            everybody['bin_tables'] = tables
        if not joined.initiates:
            return everybody
        train, test = joined.common_rows
        outputs = {'rows_joint': train + test, 'rows_joint_train': train, 'rows_joint_test': test,
                   **everybody,
                   'selection': record,
                   **figures(opened, self.scaling, self.parameters.bands),
                   'calibration': calibration_bands(sums, self.scaling),
                   'stability': stability(float(index[0]))}
        if segments is not None:
            outputs['segments'] = segment_table(self.parameters.segment_values, segments, _MODELS)
        if self.parameters.open_iv:
            outputs['iv'] = {row['feature']: row['iv'] for row in record}
        if full is not None:
            outputs['card'] = {
                'features': features, 'base': full.base,
                'points': full.points[card.used == 1].tolist(), 'scaling': vars(self.scaling),
                'breaks': {name: edges for name, edges in breaks.items() if name in features}}
        if shown is not None:
            outputs['examples'] = [
                {'applicant': who, 'score': int(score),
                 'reasons': [shared.features[k] for k in row.astype(int) if k >= 0]}
                for who, score, row in zip(joined.example_ids, *shown, strict=True)
                if who is not None]
        return outputs

    async def _bin_tables(self) -> dict[str, list[dict[str, Any]]]:
        """Open the tables to their receivers: those by feature that this party receives."""
        groups: dict[tuple[int, ...], list[str]] = {}
        for feature, names in self.parameters.bin_tables.items():
            receivers = tuple(sorted(map(self.joined.parties.index, names)))
            groups.setdefault(receivers, []).append(feature)
        found: dict[str, list[dict[str, Any]]] = {}
        for receivers, features in groups.items():
            opened = await self.joined.tables_of(features).open(self.mpc, list(receivers))
            if opened is not None:
                found |= {name: bin_table(opened, k) for k, name in enumerate(features)}
        return found

    def _own_breaks(self) -> dict[str, list[float]]:
        """Inner edges of the bins of this party's features."""
        party = self.joined.parties[self.mpc.pid]
        return {f'{party}.{column}': edges for column, edges in self.joined.breaks.items()}

    async def kept(self, card: _Card, points, model, outputs) -> dict[str, Any]:
        """What this party keeps: its shares of the card's features, and what it must know to score.
        """
        joined, shared = self.joined, points['card']
        rows = np.flatnonzero(card.used)
        arrays = {'points': shared.points.take(rows, axis=0), 'base': shared.base,
                  'best': shared.best.take(rows),
                  'woe': joined.encoding.take(card.kept, axis=0),
                  'weights': model.raw_.take([*rows, len(card.places)])}
        own = [(k, joined.features[k].partition('.')[2]) for k in card.kept
               if joined.owners[k] == self.mpc.pid]
        return {
            'name': self.parameters.model, 'party': self.mpc.pid,
            'arrays': {key: (await value.ready(), value.frac) for key, value in arrays.items()},
            'card': {'features': [joined.features[k] for k in card.kept],
                     'owners': [joined.owners[k] for k in card.kept],
                     'max_bins': joined.rules.max_bins,
                     'special_values': list(joined.rules.special_values),
                     'scaling': vars(self.scaling),
                     'scores_per_day': self.parameters.scores_per_day,
                     'columns': [column for _, column in own],
                     'breaks': [joined.breaks[column] for _, column in own]},
            'lineage': {'parties': joined.parties, 'rows': joined.rows,
                        'test_share': self.parameters.test_share,
                        'split_seed': self.parameters.split_seed,
                        'sample_weight': self.parameters.sample_weight,
                        'start_from': self.parameters.start_from},
            'metrics': {key: outputs[key]['joint'] for key in ('auc', 'ks') if key in outputs}}
