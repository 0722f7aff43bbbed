"""The plaintext twin of `models.scorecard`: points from WOE values and weights in the clear."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.parameters import Scaling
from models.scorecard import Scorecard


def plain_scorecard(
    features: Sequence[str],
    woe: npt.ArrayLike,
    weights: npt.ArrayLike,
    intercept: float,
    scaling: Scaling | None = None,
) -> Scorecard:
    """The card of WOE (features, bins), weights of the WOE columns and intercept; halves round up.
    """
    scaling = scaling or Scaling()
    points = -scaling.factor * np.asarray(weights)[:, None] * np.asarray(woe)
    base = scaling.offset - scaling.factor * intercept
    return Scorecard(
        tuple(features),
        np.floor(points + 0.5).astype(np.int64),
        int(np.floor(base + 0.5)),
        scaling,
    )
