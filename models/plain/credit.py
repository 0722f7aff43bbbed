"""The plaintext twin of the joint credit model: the same bins, split and penalty on pooled rows.

It needs everybody's rows in one place, so it serves tests, accuracy reports and demonstrations
on one machine; a real job never runs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from models.credit_outputs import band_edges, segment_table
from models.parameters import CreditParameters, Scaling
from models.plain.binning import job_breaks
from models.plain.evaluation import auc, calibration, ks, lift, psi, roc
from models.plain.logistic import PlainLogisticRegression, fit_logistic
from models.plain.scorecard import plain_scorecard
from models.plain.selection import FeatureSelector, wald
from models.plain.woe import closed_bins, woe_iv, woe_table
from models.row_columns import segment_indicators, training_weights
from models.selection_rules import chi_limit
from protocols.split import training_mask
from protocols.table import PartyTable

Floats = npt.NDArray[np.float64]


def plain_credit(tables: Sequence[PartyTable], parameters: CreditParameters) -> dict[str, Any]:
    """Train and evaluate the joint model and the initiator's own on the rows common to all.

    ``bank`` in the result stands for the initiator's features alone.  Features are named
    ``party.column``; ``breaks`` are the inner edges of their bins, ``bin_tables`` by feature the
    counts (bins, 2) of those that open, and which of their bins stay closed; ``inference``, if
    asked for, are the Wald statistics of the joint model, the intercept's last; ``segments``, if
    asked for, the rows of `models.credit_outputs.segment_table`.
    """
    initiator = _initiator(tables)
    assert initiator.label is not None
    places = common_rows(tables)
    own = places[initiator.name]
    training = training_mask(
        initiator.ids, initiator.label, parameters.test_share, parameters.split_seed
    )
    train = training[own]
    label = initiator.label[own]
    check_classes(label, train)
    weight = None
    if parameters.sample_weight is not None:
        given = initiator.columns[parameters.sample_weight.partition(".")[2]]
        weight = training_weights(parameters.sample_weight, given, training)[own][train]

    rules = parameters.bin_rules
    information: dict[str, float] = {}
    limits: dict[str, list[float]] = {}
    encoded: dict[str, Floats] = {}
    counts: list[Floats] = []
    values_of: dict[str, Floats] = {}
    opened: dict[str, tuple[Floats, npt.NDArray[np.bool_]]] = {}
    for table in tables:
        rows = places[table.name]
        for column, values in table.columns.items():
            feature = f"{table.name}.{column}"
            if feature == parameters.sample_weight:
                continue
            breaks = job_breaks(rules, feature, values, rows[train], label[train])
            known = values[rows][train]
            bins = woe_table(known, label[train], rules.max_bins, breaks, rules.special_values)
            cells, information[feature] = np.column_stack([bins.bad, bins.good]), bins.iv
            size = cells.sum(1)
            if feature in parameters.bin_tables:
                # What stays closed counts as one bin.
                closed = closed_bins(cells, parameters.table_minimum, zeros_disclosive=False)
                opened[feature] = (cells, closed)
                cells = np.vstack([cells * ~closed[:, None], cells[closed].sum(0)])
                woe, terms = woe_iv(*cells.T)
                information[feature] = float(terms.sum())
                size = np.where(closed, cells[-1].sum(), size)
                bins = replace(bins, woe=np.where(closed, woe[-1], woe[:-1]))
            bins = replace(bins, woe=np.where(size < parameters.min_bin_rows, 0.0, bins.woe))
            limits[feature] = breaks.tolist()
            encoded[feature] = bins.encode(values[rows])
            values_of[feature] = bins.woe
            counts.append(cells)
    names = list(encoded)
    columns = np.column_stack(list(encoded.values()))
    selector = FeatureSelector(rules=parameters.rules).fit(
        columns[train],
        label[train],
        counts=counts,
        missing=[rules.missing] * len(names),
        names=names,
    )
    useful = [
        name
        for name, cells in zip(names, counts, strict=True)
        if name in initiator.features and _passes(cells, information[name], parameters)
    ]
    selected = [name for name, kept in zip(names, selector.kept_, strict=True) if kept]

    result: dict[str, Any] = {
        "rows_joint": int(label.size),
        "rows_joint_train": int(train.sum()),
        "rows_joint_test": int((~train).sum()),
        "iv": information,
        "breaks": limits,
        "bin_tables": opened,
        "selected": selected,
        "reasons": dict(zip(names, selector.reason_, strict=True)),
        **{key: {} for key in ("auc", "ks", "roc", "lift", "weights", "intercept")},
    }
    scores: dict[str, Floats] = {}
    for name, features in (("joint", selected), ("bank", useful)):
        chosen = columns[:, [names.index(f) for f in features]]
        model = fit_logistic(
            chosen[train],
            label[train],
            parameters.l2,
            parameters.l1_ratio,
            parameters.class_weight,
            weight,
        )
        held_out, score = label[~train], model.log_odds(chosen[~train])
        result["auc"][name] = auc(held_out, score)
        result["ks"][name] = ks(held_out, score)
        result["roc"][name] = roc(held_out, score, parameters.roc_points)
        result["lift"][name] = lift(held_out, score, parameters.bands)
        result["weights"][name] = dict(zip(features, model.weights.tolist(), strict=True))
        result["intercept"][name] = model.intercept
        scores[name] = score
        if name == "joint":
            if parameters.inference:
                fitted = PlainLogisticRegression(
                    C=1 / parameters.l2,
                    l1_ratio=parameters.l1_ratio,
                    class_weight=parameters.class_weight,
                ).fit(chosen[train], label[train], weight)
                result["inference"] = vars(fitted.inference())
            woe = np.array([values_of[f] for f in features])
            scaling = Scaling.preset(parameters.scaling)
            card = plain_scorecard(features, woe, *model.raw, scaling)
            result["card"] = card.to_json()
            edges = band_edges(scaling)
            result["psi"] = psi(model.log_odds(chosen[train]), score, edges)
            result["calibration"] = calibration(held_out, score, edges)
    if parameters.segment_by is not None:
        segments = _segments(tables, places, parameters)[~train]
        result["segments"] = _by_segment(label[~train], scores, segments, parameters)
    return result


def _segments(
    tables: Sequence[PartyTable],
    places: dict[str, npt.NDArray[np.int64]],
    parameters: CreditParameters,
) -> npt.NDArray[np.int64]:
    """Indicators (rows, segments) of the common rows."""
    assert parameters.segment_by is not None
    owner, _, column = parameters.segment_by.partition(".")
    [table] = [t for t in tables if t.name == owner]
    values = table.columns[column]
    return segment_indicators(parameters.segment_by, values, parameters.segment_values)[
        places[owner]
    ]


def _by_segment(
    label: npt.NDArray[np.int8],
    scores: dict[str, Floats],
    segments: npt.NDArray[np.int64],
    parameters: CreditParameters,
) -> list[dict[str, Any]]:
    """What a job opens of the figures by segment, from the rows held out."""
    counts = np.column_stack([segments[label == k].sum(0) for k in (1, 0)])
    opened: list[dict[str, Any]] = []
    for k, closed in enumerate(closed_bins(counts, parameters.segment_minimum)):
        if closed:
            opened.append({"suppressed": "minimum-cell"})
            continue
        rows = segments[:, k] == 1
        bad, good = (int(n) for n in counts[k])
        figures = {
            key: [figure(label[rows], score[rows]) for score in scores.values()]
            for key, figure in (("auc", auc), ("ks", ks))
        }
        opened.append({"bad": bad, "good": good, **figures})
    return segment_table(parameters.segment_values, opened, list(scores))


def common_rows(tables: Sequence[PartyTable]) -> dict[str, npt.NDArray[np.int64]]:
    """For each party the positions of the rows that all parties hold, in the initiator's order."""
    initiator = _initiator(tables)
    where = {t.name: {i: row for row, i in enumerate(t.ids)} for t in tables}
    common = [i for i in initiator.ids if all(i in positions for positions in where.values())]
    return {
        name: np.array([positions[i] for i in common], dtype=np.int64)
        for name, positions in where.items()
    }


def _passes(cells: Floats, iv: float, parameters: CreditParameters) -> bool:
    """Whether a feature passes the screen of single variables."""
    if parameters.univariate_p is None:
        return iv >= parameters.iv_threshold
    return wald(*cells.T) >= chi_limit(parameters.univariate_p)


def _initiator(tables: Sequence[PartyTable]) -> PartyTable:
    owners = [t for t in tables if t.label is not None]
    if len(owners) != 1:
        raise ValueError(
            f"{len(owners)} tables have a label ({', '.join(t.name for t in owners) or 'none'}), "
            "expected exactly one"
        )
    return owners[0]


def check_classes(label: npt.NDArray[np.int8], train: npt.NDArray[np.bool_]) -> None:
    """ValueError where the training or the test part of the common rows lacks a class."""
    for part, name in ((label[train], "training"), (label[~train], "test")):
        if not 0 < part.sum() < part.size:
            raise ValueError(
                f"the {part.size} common {name} rows hold {part.sum()} bad ones, expected some "
                "bad and some good: too few rows are common to all parties"
            )
