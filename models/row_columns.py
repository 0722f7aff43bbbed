"""What a job takes from columns beside features and label: weights of rows, and their segments.

Both are made at the column's owner, and checked before anything of it is shared: afterwards nobody
can look, but for what `light_classes` finds on shares. Errors name the column and say what was
expected; they repeat and count no value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import LocalProtocolError

LARGEST_WEIGHT = 64.0
"""How many times the mean a weight may be."""


def training_weights(name: str, values: npt.ArrayLike,
                     training: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Weights (rows,) of an owner's rows: those of the training part of mean 1, the others 0.

    Scaled so, the penalty means the same whatever the column's unit. Raises LocalProtocolError
    `bad-weights` unless all `values` (rows,) are numbers of at least 0, and of those of the
    training part some are positive and none is over 64 times their mean.
    """
    given = np.asarray(values, dtype=np.float64)
    trained = given[training]
    mean = trained.mean() if trained.size else 0.0
    for wrong, problem, expected in (
            (not np.isfinite(given).all(), 'a missing or infinite value', 'a number in every row'),
            ((given < 0).any(), 'a negative value', 'numbers of at least 0'),
            (not mean > 0, 'only zeros in the training part', 'some positive numbers there'),
            (trained.max(initial=0.0) > LARGEST_WEIGHT * mean,
             f'a value over {LARGEST_WEIGHT:g} times the mean of the training part',
             'none so large; cap the column')):
        if wrong:
            raise LocalProtocolError(
                'bad-weights', f'the column of weights {name} holds {problem}, expected {expected}',
                step='join', remedy='correct the column, or name another as sample_weight')
    return np.where(training, given / mean, 0.0)


def light_classes(mpc: Any, classes: Any, weights: Any, least: int) -> Any:
    """Shared bits: whether rows of a class weigh as if they were fewer than `least`; none opens.

    `classes` are shared indicators (rows, k), `weights` shared fixed point (rows,) from 0 to 64.
    Rows of weights w count as (Σ w)² / Σ w² rows of the same weight (Kish, Survey Sampling, 1965),
    within a hundredth, and as none if Σ w is below a half. Bits (2 k,), of which the first k say
    the former. Cost: products of n and 2 k elements, a truncation of 2 k, products of k, and a
    comparison of 2 k values, each after the other.
    """
    rows, frac = len(weights), weights.frac
    powers = mpc.stack([weights, weights * weights], axis=1)
    sums = mpc.matrix_product(classes.T, powers, frac)
    # Both sides divided by the number of rows, or they would not fit.
    root = mpc.multiply(sums[:, 0], rows**-0.5, frac)
    squares = mpc.multiply(sums[:, 1], 0.99 * least / rows, frac)
    return mpc.concatenate([root * root - squares, sums[:, 0] - 0.5]) < 0


def segment_indicators(name: str, values: npt.ArrayLike,
                       stated: Sequence[float | None]) -> npt.NDArray[np.int64]:
    """Indicators (rows, segments) of an owner's rows; a segment is a value, None a missing one.

    Raises LocalProtocolError `unknown-segment` unless every row is in one of those `stated`: rows
    left out would be what the segments' figures leave of the whole's.
    """
    given = np.asarray(values, dtype=np.float64)
    found = np.stack([np.isnan(given) if value is None else given == value for value in stated],
                     axis=1)
    if not found.any(axis=1).all():
        raise LocalProtocolError(
            'unknown-segment', f'the column {name} holds a value that is none of the {len(stated)} '
            'segments of the manifest, expected one of them in every row', step='join',
            remedy='state all values of the column in segment_values, null for missing ones')
    return found.astype(np.int64)
