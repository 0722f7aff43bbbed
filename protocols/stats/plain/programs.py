"""Fund-flow and green-finance figures in the clear, on the pooled loans of all institutions."""

from __future__ import annotations

from typing import Any

import numpy as np

from protocols.stats.fund_flow import FundFlowParameters
from protocols.stats.green_finance import FIGURES, INDICATORS, GreenParameters
from protocols.stats.plain.tables import PlainTable, table


def fund_flow_table(parameters: FundFlowParameters, loans: dict[str, dict[str, Any]]) -> PlainTable:
    """The twin of `fund_flow`: `loans` maps each accepted institution to its own columns."""
    spec = parameters.joint(tuple(loans))
    dimensions = {d.name: d for d in spec.dimensions}
    columns: dict[str, list[Any]] = {name: [] for name in (*dimensions, 'owner', 'balance', 'flag')}
    for k, (name, own) in enumerate(loans.items()):
        score = np.asarray(own['scores'], float) @ np.asarray(parameters.weights)
        n = len(own['outstanding'])
        columns['region'] += list(own['region'])
        columns['period'] += list(own['period'])
        if 'institution' in columns:
            columns['institution'] += [name] * n
        columns['owner'] += [k] * n
        columns['balance'] += list(own['outstanding'])
        columns['flag'] += list(score >= parameters.threshold - 1e-12)
    cell = spec.cell([d.codes(columns[d.name]) for d in spec.dimensions])
    balance, flag = np.array(columns['balance'], np.int64), np.array(columns['flag'], np.int64)
    return table(spec, parameters.rules, cell,
                 {'outstanding': balance, 'flagged': balance * flag, 'flagged_loans': flag},
                 None if parameters.by_institution else np.array(columns['owner']))


def green_indicators(parameters: GreenParameters, sums, loans, intensities: dict[str, int]
                     ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(indicators (institutions, 5), scores, bands): the twin of `green_finance`.

    `sums` are the figures per institution, `loans` its green loans as (company, balance) pairs.
    """
    rows, there = [], []
    for own, lent in zip(sums, loans, strict=True):
        f = dict(zip(FIGURES, own, strict=True))
        known = [(balance, intensities[c]) for c, balance in lent if c in intensities]
        covered = sum(b for b, _ in known)
        there.append([bool(below) for below in (
            f['all_balance'], f['green_before'], f['new_loans'], f['green_balance'], covered)])
        rows.append([_over(f['green_balance'], f['all_balance']),
                     _over(f['green_balance'] - f['green_before'], f['green_before']),
                     _over(f['new_green'], f['new_loans']),
                     1 - _over(f['green_overdue'], f['green_balance']),
                     _over(sum(b * i for b, i in known), covered)])
    indicators = np.array(rows)
    scores = np.zeros(len(rows))
    for j, name in enumerate(INDICATORS):
        s = parameters.scales[name]
        points = (indicators[:, j] - s.worst) / (s.best - s.worst)
        scores += s.weight * np.clip(points, 0, 1) * np.array(there)[:, j]
    higher = (scores[None, :] > scores[:, None]).sum(1)
    ends = np.ceil(np.array(parameters.bands[:-1]) * len(rows) - 1e-9)
    return indicators, scores, (higher[:, None] >= ends).sum(1)


def _over(a, b):
    return a / b if b else 0.0
