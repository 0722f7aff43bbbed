"""Weights of a kept model that another training starts from, by the names of features.

The weights that a party keeps are those of WOE columns as they are, and WOE is in log-odds however
a feature is binned: so neither the bins nor the rows, the scaling of points or the standardisation
of the two trainings need agree. The optimum is the same wherever a training starts. Nothing opens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.errors import LocalProtocolError
from models.store import ModelStore


@dataclass(frozen=True)
class WarmStart:
    """A kept model's `features`, and the shared `weights` (d + 1,) of them and the intercept."""

    features: tuple[str, ...]
    weights: Any

    @classmethod
    def load(cls, mpc, store: ModelStore, identity: str, parties: Sequence[str],
             brought: Sequence[str]) -> WarmStart:
        """The model of that identity, for a job of `parties` on the features `brought`.

        Raises LocalProtocolError `other-parties`, `other-features` (the job does not bring all that
        the model uses) and those of `ModelStore.load`.
        """
        record = store.find(identity)
        record, arrays = store.load(mpc, record.name, record.version, identity=identity)
        where = f'version {record.version} of model {record.name}'
        trained, features = record.lineage['parties'], tuple(record.card['features'])
        if list(trained) != list(parties):
            raise LocalProtocolError(
                'other-parties', f'{where} was trained by {", ".join(trained)}, expected '
                f'{", ".join(parties)} in this order',
                remedy='start from another model, or from none')
        if missing := [name for name in features if name not in brought]:
            raise LocalProtocolError(
                'other-features', f'{where} uses {", ".join(missing)}, which no party brings as a '
                'feature', remedy='bring all features of the model, or start from another, or none')
        return cls(features, arrays['weights'])

    def of(self, mpc, names: Sequence[str]) -> Any:
        """Shared weights (len(names) + 1,) of features and intercept: zero for features that the
        model does not use; those that it uses beside are left out."""
        zero, intercept = len(self.features) + 1, len(self.features)
        places = [self.features.index(name) if name in self.features else zero for name in names]
        nothing = mpc.array(np.zeros(1), self.weights.frac)
        return mpc.concatenate([self.weights, nothing]).take([*places, intercept])
