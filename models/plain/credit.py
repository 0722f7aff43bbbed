"""The plaintext twin of the joint credit model: the same bins, split and penalty on pooled rows.

It needs everybody's rows in one place, so it serves tests, accuracy reports and demonstrations
on one machine; a real job never runs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.parameters import CreditParameters
from models.plain.evaluation import auc, ks, lift, roc
from models.plain.logistic import fit_logistic
from models.plain.woe import woe_table
from protocols.binning import fit_breaks
from protocols.split import training_mask
from protocols.table import PartyTable

Floats = npt.NDArray[np.float64]


def plain_credit(tables: Sequence[PartyTable], parameters: CreditParameters) -> dict[str, Any]:
    """Train and evaluate the joint model and the initiator's own on the rows common to all.

    ``bank`` in the result stands for the initiator's features alone.  Features are named
    ``party.column``.
    """
    initiator = _initiator(tables)
    assert initiator.label is not None
    places = common_rows(tables)
    own = places[initiator.name]
    train = training_mask(
        initiator.ids, initiator.label, parameters.test_share, parameters.split_seed
    )[own]
    label = initiator.label[own]
    _check_classes(label, train)

    information: dict[str, float] = {}
    encoded: dict[str, Floats] = {}
    for table in tables:
        rows = places[table.name]
        for column, values in table.columns.items():
            # An owner fits its bins on all its rows: it does not know which of them match.
            breaks = fit_breaks(values, parameters.max_bins)
            bins = woe_table(values[rows][train], label[train], parameters.max_bins, breaks)
            feature = f"{table.name}.{column}"
            information[feature] = bins.iv
            if bins.iv >= parameters.iv_threshold:
                encoded[feature] = bins.encode(values[rows])

    result: dict[str, Any] = {
        "rows_joint": int(label.size),
        "rows_joint_train": int(train.sum()),
        "rows_joint_test": int((~train).sum()),
        "iv": information,
        "selected": list(encoded),
        **{key: {} for key in ("auc", "ks", "roc", "lift", "weights", "intercept")},
    }
    for name, features in (
        ("joint", list(encoded)),
        ("bank", [f for f in initiator.features if f in encoded]),
    ):
        columns = (
            np.column_stack([encoded[f] for f in features])
            if features
            else (np.zeros((label.size, 0)))
        )
        model = fit_logistic(columns[train], label[train], parameters.l2)
        held_out, score = label[~train], model.log_odds(columns[~train])
        result["auc"][name] = auc(held_out, score)
        result["ks"][name] = ks(held_out, score)
        result["roc"][name] = roc(held_out, score, parameters.roc_points)
        result["lift"][name] = lift(held_out, score, parameters.bands)
        result["weights"][name] = dict(zip(features, model.weights.tolist(), strict=True))
        result["intercept"][name] = model.intercept
    return result


def common_rows(tables: Sequence[PartyTable]) -> dict[str, npt.NDArray[np.int64]]:
    """For each party the positions of the rows that all parties hold, in the initiator's order."""
    initiator = _initiator(tables)
    where = {t.name: {i: row for row, i in enumerate(t.ids)} for t in tables}
    common = [i for i in initiator.ids if all(i in positions for positions in where.values())]
    return {
        name: np.array([positions[i] for i in common], dtype=np.int64)
        for name, positions in where.items()
    }


def _initiator(tables: Sequence[PartyTable]) -> PartyTable:
    owners = [t for t in tables if t.label is not None]
    if len(owners) != 1:
        raise ValueError(
            f"{len(owners)} tables have a label ({', '.join(t.name for t in owners) or 'none'}), "
            "expected exactly one"
        )
    return owners[0]


def _check_classes(label: npt.NDArray[np.int8], train: npt.NDArray[np.bool_]) -> None:
    for part, name in ((label[train], "training"), (label[~train], "test")):
        if not 0 < part.sum() < part.size:
            raise ValueError(
                f"the {part.size} common {name} rows hold {part.sum()} bad ones, expected some "
                "bad and some good: too few rows are common to all parties"
            )
