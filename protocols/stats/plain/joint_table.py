"""A table over the rows of many institutions in the clear, by pandas: the twin of `joint_table`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from protocols.stats.joint_table import COMPANIES, TableParameters
from protocols.stats.plain.tables import PlainTable, codes


def joint_table_of(parameters: TableParameters, rows: Mapping[str, Mapping[str, Any]],
                   known: Mapping[str, str] | None = None) -> tuple[PlainTable, pd.DataFrame]:
    """The table, and its rows: `rows` are columns by accepted institution (dimensions, `amount`,
    `company`), `known` the attribute by company. Rows of unknown companies do not count."""
    p, spec = parameters, parameters.joint(tuple(rows))
    frame = pd.concat([pd.DataFrame(own).assign(institution=name) for name, own in rows.items()])
    if p.attribute:
        frame[p.attribute.dimension.name] = frame.company.map(known or {})
        frame = frame.dropna(subset=p.attribute.dimension.name)
    places = [d.codes(frame[d.name]) for d in spec.dimensions]
    for axis, (n, whole) in enumerate(zip(spec.shape, spec.extended, strict=True)):
        if whole > n:
            # Every row counts once more, in the total.
            places = [np.concatenate([x, x]) for x in places]
            places[axis][len(places[axis]) // 2:] = n
            frame = pd.concat([frame, frame])
    frame = frame.assign(cell=np.ravel_multi_index(tuple(places), spec.extended))
    cells, k = int(np.prod(spec.extended)), p.rules.largest
    by = frame.groupby('cell').amount
    count = by.size().reindex(range(cells), fill_value=0).to_numpy()
    total = by.sum().reindex(range(cells), fill_value=0).to_numpy()
    each = frame.groupby(['cell', 'company']).amount.sum() if p.distinct else frame.set_index(
        'cell').amount
    top = np.zeros((k, cells), np.int64)
    for cell, own in each.groupby(level=0):
        best = np.sort(own.to_numpy())[::-1][:k]
        top[:len(best), cell] = best
    totals = {p.amount: total.reshape(spec.extended)}
    if p.distinct:
        found = frame.groupby('cell').company.nunique().reindex(range(cells), fill_value=0)
        totals[COMPANIES] = found.to_numpy().reshape(spec.extended)
    shaped = {p.amount: top.reshape(k, *spec.extended)}
    rows_ = count.reshape(spec.extended)
    return PlainTable(rows_, totals, shaped,
                      codes(spec, p.rules, rows_, totals, shaped)), frame
