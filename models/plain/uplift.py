"""The plaintext twin of the uplift study: the same subsets, bins, split and penalty on pooled rows.

It needs everybody's rows in one place, so it serves tests and demonstrations; a real job never runs
it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from models.plain.credit import check_classes, common_rows
from models.plain.evaluation import ks
from models.plain.logistic import fit_logistic
from models.plain.woe import woe_table
from models.uplift_parameters import UpliftParameters
from models.uplift_tables import Opened, subsets
from protocols.binning import fit_breaks
from protocols.split import training_mask
from protocols.table import PartyTable

Floats = npt.NDArray[np.float64]


def plain_uplift(tables: Sequence[PartyTable], parameters: UpliftParameters) -> Opened:
    """What the study opens, of the tables of all parties, the initiator's first."""
    initiator, partners = tables[0], [t.name for t in tables[1:]]
    if initiator.label is None:
        raise ValueError("the first table has no label")
    places = common_rows(tables)
    own = places[initiator.name]
    train = training_mask(
        initiator.ids, initiator.label, parameters.test_share, parameters.split_seed
    )[own]
    label = initiator.label[own]
    check_classes(label, train)
    encoded: dict[str, list[Floats]] = {}
    for table in tables:
        kept = encoded.setdefault(table.name, [])
        for values in table.columns.values():
            mine = values[places[table.name]]
            breaks = fit_breaks(values, parameters.max_bins)
            bins = woe_table(mine[train], label[train], parameters.max_bins, breaks)
            if bins.iv >= parameters.iv_threshold:
                kept.append(bins.encode(mine))
    scores = []
    for names in subsets(partners):
        columns = [c for name in (initiator.name, *names) for c in encoded[name]]
        matrix = np.column_stack(columns) if columns else np.zeros((label.size, 0))
        model = fit_logistic(matrix[train], label[train], parameters.l2)
        scores.append(model.log_odds(matrix[~train]))
    return opened_of(label[~train] == 1, scores, parameters.points)


def opened_of(bad: npt.NDArray[np.bool_], scores: Sequence[Floats], points: int) -> Opened:
    """The figures of several scores of the same rows."""
    positives, negatives = int(bad.sum()), int((~bad).sum())
    above = []
    for score in scores:
        # Twice the number of rows of the other class that a row outranks, ties counting half.
        everybody = rankdata(score)
        among = np.zeros(bad.size)
        among[bad], among[~bad] = rankdata(score[bad]), rankdata(score[~bad])
        outranked = everybody - among
        above.append(2 * np.where(bad, outranked, positives - outranked))
    placed = np.column_stack(above)
    curves = []
    for score in scores:
        order = np.argsort(-score, kind="stable")
        ends = np.floor(np.arange(points + 1) * bad.size / points).astype(int)
        counts = np.column_stack([bad[order], ~bad[order]]).cumsum(0)
        curves.append(np.vstack([np.zeros((1, 2)), counts])[ends].astype(np.float64))
    return Opened(
        bad=positives,
        good=negatives,
        sums=placed[bad].sum(0),
        moments_bad=placed[bad].T @ placed[bad],
        moments_good=placed[~bad].T @ placed[~bad],
        ks=np.array([ks(bad, score) for score in scores]),
        curves=curves,
    )
