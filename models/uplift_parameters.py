"""What an uplift study may be told; part of the signed manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from models.binning_rules import BinningRules


@dataclass(frozen=True, kw_only=True)
class UpliftParameters:
    """Parameters of the study, checked on construction.

    ``max_bins`` quantile bins per feature (a missing-value bin comes on top); features with an
    information value of at least ``iv_threshold`` enter the models that may use them;
    ``test_share`` of the initiator's rows are held out, chosen by ``split_seed``; ``l2`` is the
    ridge penalty on the standardised weights; ``iterations`` of each training; ``points`` of the
    curve that opens for each model; ``min_class_rows`` and ``memory`` as `CreditParameters` has
    them.
    """

    max_bins: int = 10
    iv_threshold: float = 0.02
    test_share: float = 0.3
    l2: float = 1.0
    split_seed: int = 20260701
    iterations: int = 24
    points: int = 50
    min_class_rows: int = 5
    memory: int | None = None

    # What `models.credit_encode` asks besides: every bin counts, no table opens, no single row is
    # shown, and rows have no weights and no segments.
    min_bin_rows = 0
    bin_tables: ClassVar[dict[str, tuple[str, ...]]] = {}
    examples = 0
    sample_weight = None
    segment_by = None
    segment_values = ()

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and str(field.type).endswith("None"):
                continue
            low, high = _RANGES[field.name]
            whole = str(field.type).startswith("int")
            right_type = isinstance(value, int if whole else (int, float))
            if not right_type or isinstance(value, bool) or not low <= value <= high:
                kind = "a whole number" if whole else "a number"
                raise ValueError(
                    f"parameter {field.name} is {value!r}, expected {kind} from {low} to {high}"
                )
            if not whole:
                # 1 and 1.0 must give the same manifest.
                object.__setattr__(self, field.name, float(value))

    @property
    def bin_rules(self) -> BinningRules:
        """The rules of binning."""
        return BinningRules(max_bins=self.max_bins)

    def to_json(self) -> dict[str, Any]:
        """A plain dict for the manifest; ``from_json`` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> UpliftParameters:
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
    "points": (5, 1000),
    "min_class_rows": (1, 10_000),
    "memory": (1 << 20, 1 << 44),
}
