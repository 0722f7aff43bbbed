"""The tables of an uplift study from what it opened: arithmetic on public figures.

AUCs of models on the same rows depend on each other; their covariance (DeLong, DeLong,
Clarke-Pearson, Biometrics 44, 1988) follows from the second moments of placements. The placement
of a bad row is the share of good rows ranked as less risky, that of a good row the share of bad
rows ranked as riskier, ties counting half. So a difference of two AUCs, and any weighted sum such
as a Shapley value, has an interval of its own, narrower than two intervals side by side suggest.

KS is the gap of two cumulative shares at the threshold where it is largest; its interval is that
of a difference of two proportions there, read from the opened curve at its nearest point. As the
threshold was chosen on the same rows, KS leans to the high side, as everywhere.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Z = 1.959963984540054
"""Half the width of a 95 % interval, in standard errors."""


@dataclass(frozen=True)
class Opened:
    """What the study opened of k models on `bad` bad and `good` good rows.

    `sums` (k,) and `moments_bad`, `moments_good` (k, k): sums, and sums of products, of doubled and
    unnormalised placements (2·good·share for bad rows, 2·bad·share for good ones). `ks` (k,),
    `curves` k times (points + 1, 2).
    """

    bad: int
    good: int
    sums: Floats
    moments_bad: Floats
    moments_good: Floats
    ks: Floats
    curves: Sequence[Floats]


def subsets(partners: Sequence[str]) -> list[tuple[str, ...]]:
    """All subsets of the partners, from none to all, in the order of the parties."""
    return [
        chosen
        for size in range(len(partners) + 1)
        for chosen in itertools.combinations(partners, size)
    ]


def auc_covariance(opened: Opened) -> tuple[Floats, Floats]:
    """(AUC (k,), their covariance (k, k)). A class of one row gives no covariance: zeros."""
    bad, good = opened.bad, opened.good
    auc = np.asarray(opened.sums, float) / (2 * bad * good)
    spread = np.zeros((len(auc), len(auc)))
    for moments, rows, other in (
        (opened.moments_bad, bad, good),
        (opened.moments_good, good, bad),
    ):
        if rows > 1:
            central = np.asarray(moments, float) / (4 * other**2) - rows * np.outer(auc, auc)
            spread += central / (rows - 1) / rows
    return auc, spread


def uplift_table(initiator: str, partners: Sequence[str], opened: Opened) -> dict[str, Any]:
    """{"subsets": [...], "partners": [...]}: figures of every model, and what partners add.

    Each figure is {"value", "low", "high"}, with a 95 % interval. Of a partner: its Shapley value
    (its average gain over all orders in which partners may come), its gain when it comes first and
    when it comes last.
    """
    chosen = subsets(partners)
    auc, covariance = auc_covariance(opened)
    rows = []
    for k, names in enumerate(chosen):
        error = math.sqrt(max(0.0, covariance[k, k]))
        low, high = _ks_interval(opened.ks[k], opened.curves[k])
        rows.append(
            {
                "parties": [initiator, *names],
                "auc": _figure(auc[k], error, 0.0, 1.0),
                "ks": {"value": float(opened.ks[k]), "low": low, "high": high},
                "gain": _sum(_unit(len(chosen), {k: 1.0, 0: -1.0 if k else 0.0}), auc, covariance)
                if k
                else None,
            }
        )
    values = []
    for partner in partners:
        weights = contrasts(partners, partner)
        values.append(
            {"party": partner, **{n: _sum(w, auc, covariance) for n, w in weights.items()}}
        )
    return {"subsets": rows, "partners": values}


def contrasts(partners: Sequence[str], partner: str) -> Mapping[str, Floats]:
    """Weights on the AUCs of all subsets whose sums are a partner's values."""
    chosen, count = subsets(partners), len(partners)
    place = {names: k for k, names in enumerate(chosen)}
    shapley = np.zeros(len(chosen))
    for names in chosen:
        if partner in names:
            without = tuple(n for n in names if n != partner)
            share = math.factorial(len(without)) * math.factorial(count - len(names))
            weight = share / math.factorial(count)
            shapley[place[names]] += weight
            shapley[place[without]] -= weight
    everybody = tuple(partners)
    others = tuple(n for n in partners if n != partner)
    return {
        "shapley": shapley,
        "first": _unit(len(chosen), {place[(partner,)]: 1.0, place[()]: -1.0}),
        "last": _unit(len(chosen), {place[everybody]: 1.0, place[others]: -1.0}),
    }


def _unit(size: int, entries: Mapping[int, float]) -> Floats:
    out = np.zeros(size)
    for k, value in entries.items():
        out[k] += value
    return out


def _sum(weights: Floats, auc: Floats, covariance: Floats) -> dict[str, float]:
    error = math.sqrt(max(0.0, float(weights @ covariance @ weights)))
    return _figure(float(weights @ auc), error, -1.0, 1.0)


def _figure(value: float, error: float, least: float, most: float) -> dict[str, float]:
    return {
        "value": float(value),
        "low": float(max(least, value - Z * error)),
        "high": float(min(most, value + Z * error)),
    }


def _ks_interval(value: float, curve: Floats) -> tuple[float, float]:
    totals = np.maximum(1, curve[-1])
    shares = curve / totals
    best = int(np.argmax(np.abs(shares[:, 0] - shares[:, 1])))
    error = math.sqrt(float((shares[best] * (1 - shares[best]) / totals).sum()))
    return max(0.0, float(value) - Z * error), min(1.0, float(value) + Z * error)
