"""Selection of features on shares: which feature stays, and why, is a secret until it is opened.

The pipeline of the field for some hundred features: business exclusions, missing rate, information
value, univariate logistic regression, correlation filter, variance inflation, stepwise. Every rule
is applied to all features with shared bits, so that neither traffic nor anything opened depends on
what a rule has decided; its twin is `models.plain.selection`. What opens, and to whom, is for the
caller to say: the bits, or also the rule that a feature failed, or also named values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.logistic_design import Design
from models.selection_rules import REASONS, SelectionRules, chi_limit
from protocols.correlation import FRAC, correlation, drop_collinear, drop_correlated
from protocols.stepwise import stepwise
from protocols.woe import woe_terms

_SHARE_UNIT = 10_000
REVEAL = ("kept", "reason", "values")
_HELD = ("kept", "code", "iv", "missing", "wald")
_INCOMPLETE = "incomplete "


@dataclass
class Selection:
    """A selection on shares: `kept` (d,) bits, `code` (d,) places in `REASONS`, the values behind
    it (`iv`, `missing` rows, `wald`), and per rule that has a limited number of steps whether
    one was missing.
    """

    names: list[str]
    kept: Any
    code: Any
    iv: Any
    missing: Any
    wald: Any
    incomplete: dict[str, Any]

    def arrays(self) -> dict[str, Any]:
        """Its shares by name, for a checkpoint; `of_arrays` reads them."""
        held = {key: getattr(self, key) for key in _HELD if getattr(self, key) is not None}
        return held | {_INCOMPLETE + name: bit for name, bit in self.incomplete.items()}

    @classmethod
    def of_arrays(cls, names: list[str], arrays: Mapping[str, Any]) -> Selection:
        """The selection among features of those names that `arrays` came from."""
        incomplete = {key.removeprefix(_INCOMPLETE): bit for key, bit in arrays.items()
                      if key.startswith(_INCOMPLETE)}
        held: dict[str, Any] = {key: arrays.get(key) for key in _HELD}
        return cls(list(names), **held, incomplete=incomplete)

    async def open(self, mpc, receivers, *, reveal: str = 'reason',
                   values: tuple[str, ...] = ()) -> list[dict[str, Any]] | None:
        """The selection record at the receivers, None elsewhere: one row per feature.

        `reveal` = 'kept' opens one bit per feature; 'reason' the rule that it failed; 'values' also
        the `values` named, of 'iv', 'missing' and 'wald'. One round. With it opens, for every rule
        with a limited number of steps, whether one was missing.
        """
        if reveal not in REVEAL or not set(values) <= {'iv', 'missing', 'wald'}:
            raise ValueError(f'reveal {reveal!r} of values {values}, expected one of {REVEAL} and '
                             "some of 'iv', 'missing', 'wald'")
        columns = {'kept': self.kept} if reveal == 'kept' else {'code': self.code}
        if reveal == 'values':
            columns |= {v: getattr(self, v) for v in values if getattr(self, v) is not None}
        d, flags = len(self.names), list(self.incomplete.items())
        opened = await mpc.output([*columns.values(), *(bit for _, bit in flags)], receivers)
        if opened is None or opened[0] is None:
            return None
        found = dict(zip(columns, opened, strict=False))
        missing_steps = [name for (name, _), bit in zip(flags, opened[len(columns):], strict=True)
                         if bit]
        rows = []
        for k in range(d):
            row: dict[str, Any] = {'feature': self.names[k]}
            if 'code' in found:
                row['reason'] = REASONS[int(found['code'][k])]
                row['kept'] = row['reason'] == 'kept'
            else:
                row['kept'] = bool(found['kept'][k])
            row |= {v: found[v][k].item() for v in values if v in found}
            rows.append(row | ({'incomplete': missing_steps} if missing_steps else {}))
        return rows


async def select_features(mpc, design: Design, label, counts, *, names, missing: int,
                          rules: SelectionRules | None = None, terms=None) -> Selection:
    """Apply the rules to shared features; nothing is revealed.

    `design` of [X, m] holds the d WOE-encoded columns, which are zero as `label` (n,) (1 for bad)
    is in rows whose shared bit m is 0; `counts` (d, bins, 2) [bad, good] with the missing values in
    bin `missing`; `terms` what `woe_terms` makes of the counts, if that is known.
    Up to 2^20 rows, which are read once. Rounds and bytes are those of the parts: `woe_cost`,
    `correlation_cost` (its d^2 products for the Gram matrix once per block of the design),
    `drop_correlated_cost`, `drop_collinear_cost` and `stepwise_cost`, and some 60 rounds for the
    rules on counts. They follow from the shapes and the rules alone.
    """
    rules = rules or SelectionRules()
    d = design.columns - 1
    totals = counts.sum(1)
    woe, terms = terms or woe_terms(mpc, counts, totals)
    iv, empty = terms.sum(1), counts[:, missing].sum(1)
    alive = mpc.array(np.array([n not in rules.exclude for n in names], np.int64))
    code = REASONS.index('excluded') * (1 - alive)
    incomplete: dict[str, Any] = {}

    def stay(reason, after):
        nonlocal alive, code
        code = code + REASONS.index(reason) * (alive - after)
        alive = after
    limit = round(_SHARE_UNIT * rules.missing_max)
    stay('missing', alive * (1 - (limit * totals.sum(1) < _SHARE_UNIT * empty)))
    if rules.iv_min is not None:
        stay('iv', alive * (1 - (iv < rules.iv_min)))
    statistic = None
    if rules.p_max is not None:
        statistic, significant = wald(mpc, counts, woe, rules.p_max)
        stay('p_value', alive * significant)
    needs_matrix = (rules.correlation_max, rules.vif_max, rules.stepwise)
    if any(rule is not None for rule in needs_matrix) and d > 0:
        sums, gram = await design.with_label(label)
        total = sums[-1]
        matrix = correlation(mpc, sums[:-1], gram, total)
        await matrix.ready()
        features = matrix[:d, :d]
        if rules.correlation_max is not None:
            stay('correlation',
                 drop_correlated(mpc, features, iv, alive, rules.correlation_max))
            await alive.ready()
        if rules.vif_max is not None:
            after, incomplete['vif'] = await drop_collinear(mpc, features, alive, rules.vif_max,
                                                            rules.vif_steps)
            stay('vif', after)
        if rules.stepwise is not None:
            inside = mpc.array(np.zeros(d, np.int64))
            after, incomplete['stepwise'] = await stepwise(
                mpc, matrix, inside, alive, total, steps=rules.stepwise_steps, enter=rules.enter,
                leave=rules.leave)
            stay('stepwise', after)
    return Selection(list(names), alive, code, iv, empty, statistic, incomplete)


def wald(mpc, counts, woe, p_max: float):
    """(statistic, significant): Wald's chi-square (d,) of the univariate logistic regressions on
    the features' WOE, from the counts alone, and bits whether the p-value is at most `p_max`.

    The slope on a feature's own WOE is 1, so the statistic is its information (the twin says more).
    About 56 rounds, two reciprocals per feature and one per bin.
    """
    bad, good = counts[:, :, 0], counts[:, :, 1]
    sizes = mpc.reciprocal(counts.sum(2), 40)
    weight = mpc.multiply(bad * good, sizes, 24)
    once = mpc.multiply(weight, woe, 24)
    total, mean = weight.sum(1), once.sum(1)
    square = mpc.multiply(once, woe, 24).sum(1)
    inverse = mpc.reciprocal(total, FRAC)
    statistic = square - mpc.multiply(mean, mpc.multiply(mean, inverse, 24), 24)
    return statistic, 1 - (statistic < chi_limit(p_max))
