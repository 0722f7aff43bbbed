"""One row per identifier: rows that repeat one are aggregated by their owner, as agreed.

A partner may know several rows of one business, such as one per loan. The manifest names for each
of its columns how they become one: `count` (rows that have a value), `sum` and `max` (of the values
that are there; missing where there is none), or `latest` (the value of the row with the greatest
time, even if it is missing there; of rows with one time the last, rows without a time come first).
NaN is a missing value. All of it happens at the owner, before anything is tagged or shared. Tables
in DuckDB are aggregated there, by the same rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from engine.errors import LocalProtocolError

AGGREGATIONS = ('count', 'sum', 'max', 'latest')


def aggregate(ids: Sequence[str], columns: Mapping[str, npt.NDArray],
              agreed: Mapping[str, str] | None, when: npt.NDArray | None = None
              ) -> tuple[npt.NDArray[np.object_], dict[str, npt.NDArray]]:
    """(identifiers, columns) with each identifier once, in the order of first occurrence.

    `columns` are number arrays of one value per row; `agreed` says how each becomes one value;
    `when` gives the times for `latest`, as numbers or datetimes. Integers stay integers. Raises
    LocalProtocolError `repeated-identifiers` where identifiers repeat and nothing was agreed for a
    column, `bad-aggregation` for what is no aggregation, `wrong-shape` for what are no columns of
    numbers, and `overflow` for a sum of integers beyond 63 bits.
    """
    agreed = agreed or {}
    _check(columns, agreed, when, len(ids))
    place: dict[str, int] = {}
    group = np.fromiter((place.setdefault(text, len(place)) for text in ids), np.int64, len(ids))
    groups = len(place)
    missing = [name for name in columns if name not in agreed]
    if groups < len(ids) and missing:
        raise LocalProtocolError(
            'repeated-identifiers', f'{len(ids) - groups} of {len(ids)} identifiers repeat, and '
            f'no aggregation is agreed for {", ".join(missing)}',
            remedy=f'agree on one of {", ".join(AGGREGATIONS)} per column, or keep one row per '
            'identifier')
    unique = np.empty(groups, object)
    unique[:] = list(place)
    if groups == len(ids):
        # Nothing repeats: every aggregate but a count is the value itself.
        return unique, {name: _known(values).astype(np.int64) if agreed.get(name) == 'count'
                        else np.array(values) for name, values in columns.items()}
    by_group = np.argsort(group, kind='stable')
    starts = np.searchsorted(group[by_group], np.arange(groups))
    ends = np.append(starts[1:], len(ids))
    last = None
    if when is not None:
        in_time = np.lexsort((_times(when), group))
        last = in_time[ends - 1]
    reduced = {}
    for name, values in columns.items():
        kind, values = agreed[name], np.asarray(values)
        if kind == 'count':
            reduced[name] = np.add.reduceat(_known(values)[by_group].astype(np.int64), starts)
        elif kind == 'latest':
            reduced[name] = values[last]
        else:
            reduced[name] = _reduced(kind, values[by_group], starts, name)
    return unique, reduced


def _known(values):
    """Which values are there."""
    values = np.asarray(values)
    return ~np.isnan(values) if values.dtype.kind == 'f' else np.ones(values.shape, bool)


def _times(when):
    """Times as sortable numbers, missing ones first."""
    when = np.asarray(when)
    if when.dtype.kind in 'mM':
        return when.view(np.int64)  # NaT is the smallest
    return np.where(_known(when), when, -np.inf) if when.dtype.kind == 'f' else when


def _reduced(kind, values, starts, name):
    """Sum or greatest value of every stretch."""
    if values.dtype.kind == 'f':
        known = ~np.isnan(values)
        function, neutral = (np.add, 0.0) if kind == 'sum' else (np.maximum, -np.inf)
        result = function.reduceat(np.where(known, values, neutral), starts)
        return np.where(np.logical_or.reduceat(known, starts), result, np.nan)
    if kind == 'max':
        return np.maximum.reduceat(values, starts)
    if np.add.reduceat(np.abs(values.astype(np.float64)), starts).max() >= 2.0**63:
        raise LocalProtocolError('overflow', f'a sum in column {name} needs more than 63 bits',
                                 remedy='agree on another aggregation or unit')
    return np.add.reduceat(values.astype(np.int64), starts)


def _check(columns, agreed, when, rows):
    for name, kind in agreed.items():
        if kind not in AGGREGATIONS or name not in columns:
            raise LocalProtocolError(
                'bad-aggregation', f'{kind!r} for column {name}, expected one of '
                f'{", ".join(AGGREGATIONS)} for one of {", ".join(columns)}',
                remedy='correct the manifest')
        if kind == 'latest' and when is None:
            raise LocalProtocolError('bad-aggregation', f'the latest {name} without times',
                                     remedy='name the column of times')
    for name, values in [*columns.items(), *([] if when is None else [('times', when)])]:
        if np.shape(values) != (rows,) or np.asarray(values).dtype.kind not in 'biufmM':
            raise LocalProtocolError(
                'wrong-shape', f'{name} of shape {np.shape(values)} and type '
                f'{np.asarray(values).dtype}, expected ({rows},) numbers',
                remedy='give one number per identifier')
