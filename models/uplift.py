"""The uplift study as the parties run it: a model for every subset of partners, on the same rows.

Party 0 is the initiator and owns the label. Rows are joined and features encoded once; then a
logistic regression is trained on the features of the initiator and of each subset of partners, and
all are evaluated on the rows held out. Only rows that all parties have count, in all models alike,
so that the figures differ by the features and by nothing else.

To the initiator open: the numbers of joint rows; per model AUC (as the sum of placements), KS and a
curve at agreed points; and over all models sums of products of placements, from which
`models.uplift_tables` has the intervals. Weights, WOE, IV, counts and single scores never open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from models.checkpoints import Checkpoints, settled
from models.credit_encode import CreditTable
from models.evaluation import figures_of, ranked
from models.logistic import LogisticRegression
from models.uplift_parameters import UpliftParameters
from models.uplift_tables import subsets
from protocols.steps import Progress, Steps
from protocols.table import PartyTable

STEPS = ('join', 'woe_iv', 'train_subsets', 'evaluate', 'open')


async def uplift_program(mpc, *, parties: list[str], table: PartyTable,
                         inputs: dict[str, list[str]], rows: dict[str, int],
                         parameters: UpliftParameters, progress: Progress,
                         join: Mapping[str, Any] | None = None,
                         checkpoints: Checkpoints | None = None) -> dict[str, Any]:
    """Run the program at this party; `parties[i]` is MPC party i, `parties[0]` the initiator.

    `join` holds options of `SecureJoin`.

    Returns {"steps": {step: cost}, "outputs": {...}}; outputs are empty except at the initiator:
    `rows_joint`, `rows_joint_train`, `rows_joint_test`, `bad`, `good` (held out), and of the models
    in the order of `subsets` `sums`, `moments_bad`, `moments_good`, `ks`, `curves`.
    Raises LocalProtocolError `too-few-common-rows`.
    """
    steps = Steps(mpc, progress)
    joined = CreditTable(mpc, parties, table, inputs, rows, parameters, join, checkpoints)
    with steps.step('join'):
        await joined.match()
    with steps.step('woe_iv'):
        await joined.encode()
    with steps.step('train_subsets'):
        async def decide():
            return {'useful': 1 - (joined.terms.sum(1) < parameters.iv_threshold)}
        useful = (await settled(checkpoints, mpc, 'selection', decide))['useful']
        scores = []
        for k, names in enumerate(subsets(parties[1:])):
            checkpoint = checkpoints and checkpoints.of(f'subset-{k}')
            scores.append(await _score(mpc, joined, parameters, names, useful, checkpoint))
        joined.design.close()
    with steps.step('evaluate'):
        figures = await evaluate_together(mpc, scores, joined.classes[joined.train:],
                                          parameters.points)
    with steps.step('open'):
        outputs = await _open(mpc, joined, figures)
    return {'steps': steps.costs, 'outputs': outputs}


async def _score(mpc, joined, parameters, names, useful, checkpoint):
    """Log-odds of the rows held out, by a model on the features of party 0 and the named ones."""
    owners = {0, *(joined.parties.index(name) for name in names)}
    places = [k for k, owner in enumerate(joined.owners) if owner in owners]
    design = await joined.design.take([*places, len(joined.features)])
    model = LogisticRegression(C=1 / parameters.l2, solver='accelerated',
                               max_iter=parameters.iterations, monitor='none')
    await model.fit(mpc, design.first(joined.train), joined.classes[:joined.train, 0],
                    selected=useful.take(places), checkpoint=checkpoint)
    scores = await model.scores(mpc, design, joined.train)
    # One model's columns at a time: `memory` has room for them beside the encoded matrix.
    design.close()
    return scores


async def evaluate_together(mpc, scores, classes, points: int) -> dict[str, Any]:
    """Shared figures of k scores of the same rows with classes (n, 2) [bad, good] bits.

    {"sums" (k,), "moments_bad" (k, k), "moments_good" (k, k), "ks" (k,), "curves" (k, points + 1,
    2)}, as in `models.uplift_tables.Opened`. The scores are sorted in the rounds of one sort;
    opens, besides its comparisons, the places of the rows in fresh random orders.
    """
    n = classes.shape[0]
    places = mpc.array(np.arange(n).reshape(n, 1))
    tables = await ranked(mpc, scores, mpc.concatenate([classes, places], axis=1))
    own = [figures_of(mpc, key, rows[:, :2], scores[0].frac, points, np.zeros(1))
           for key, rows in tables]
    for figures in own:
        await figures.ready()
    placed = [await _in_order(mpc, rows[:, 2], placements(mpc, key, rows[:, :2]))
              for key, rows in tables]
    bad, good = (mpc.stack([one[:, side] for one in placed], axis=1) for side in (0, 1))
    return {'sums': bad.sum(0), 'moments_bad': bad.T @ bad, 'moments_good': good.T @ good,
            'ks': mpc.stack([figures.ks for figures in own]),
            'curves': mpc.stack([figures.curve for figures in own])}


def placements(mpc, key, ranked):
    """(n, 2) doubled placements of rows in ascending order of `key` (n,), riskiest first.

    Of a bad row the good rows behind it, twice, and those of the same key once, in the first
    column; of a good row the bad rows before it in the second; 0 elsewhere. About 2 log2 n rounds
    and a comparison per row.
    """
    bad, good = ranked[:, 0], ranked[:, 1]
    ends = mpc.less(key[:-1], key[1:])
    one = mpc.array(np.ones(1, np.int64))
    above = mpc.stack([bad.cumsum(), good.cumsum()], axis=1)
    totals = above[-1]
    below = totals - above + ranked
    before = mpc.last_marked(above, mpc.concatenate([ends, one]))
    after = mpc.last_marked(below[::-1], mpc.concatenate([one, ends])[::-1])[::-1]
    counts = mpc.stack([totals[1] + after[:, 1] - before[:, 1],
                        totals[0] + before[:, 0] - after[:, 0]], axis=1)
    return ranked * counts


async def _in_order(mpc, place, values):
    """Rows brought to where their secret places say: shuffled, so that the places may open."""
    moved = mpc.shuffle(mpc.concatenate([place.reshape(-1, 1), values], axis=1))
    opened = np.asarray(await mpc.output(moved[:, 0])).astype(np.int64)
    return moved[:, 1:].take(np.argsort(opened), axis=0)


async def _open(mpc, joined, figures):
    totals = joined.classes[joined.train:].sum(0)
    names = list(figures)
    opened = await mpc.output([totals, *(figures[name] for name in names)], 0)
    if mpc.pid != 0:
        return {}
    train, test = joined.common_rows
    bad, good = (int(v) for v in opened[0])
    return {'rows_joint': train + test, 'rows_joint_train': train, 'rows_joint_test': test,
            'bad': bad, 'good': good,
            **{name: np.asarray(value).tolist()
               for name, value in zip(names, opened[1:], strict=True)}}
