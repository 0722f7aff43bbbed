"""The rules by which features are selected; part of a manifest."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

REASONS = ("kept", "excluded", "missing", "iv", "p_value", "correlation", "vif", "stepwise")
"""Why a feature stayed or went: its place is the code that the shares hold."""


def chi_limit(p: float) -> float:
    """The chi-square statistic (one degree of freedom) whose p-value is p."""
    return NormalDist().inv_cdf(1 - p / 2) ** 2


@dataclass(frozen=True, kw_only=True)
class SelectionRules:
    """Rules in the order in which they apply; None leaves one out.

    ``exclude``: names that the business rules out; ``missing_max``: largest share of missing rows;
    ``iv_min``: smallest information value; ``p_max``: largest p-value of the univariate logistic
    regression on the feature's WOE; ``correlation_max``: largest |correlation| with a feature of
    higher IV; ``vif_max``: largest variance inflation factor, by at most ``vif_steps`` removals;
    ``stepwise``: `forward`, or `both` (which also removes again), by ``criterion`` `aic`, or `p`
    with p-value ``stepwise_p``, in at most ``stepwise_steps`` additions and removals.
    """

    exclude: tuple[str, ...] = ()
    missing_max: float = 0.95
    iv_min: float | None = 0.02
    p_max: float | None = None
    correlation_max: float | None = 0.7
    vif_max: float | None = 10.0
    vif_steps: int = 10
    stepwise: str | None = None
    criterion: str = "aic"
    stepwise_p: float = 0.05
    stepwise_steps: int = 30

    def __post_init__(self) -> None:
        for name, low, high in (
            ("missing_max", 0, 1), ("iv_min", 0, 100), ("p_max", 1e-6, 1),
            ("correlation_max", 0, 1), ("vif_max", 1, 4096), ("vif_steps", 0, 10_000),
            ("stepwise_p", 1e-6, 1), ("stepwise_steps", 1, 10_000),
        ):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ValueError(f"rule {name} is {value!r}, expected {low} to {high}")
        if self.stepwise not in (None, "forward", "both"):
            raise ValueError(f"rule stepwise is {self.stepwise!r}, expected 'forward' or 'both'")
        if self.criterion not in ("aic", "p"):
            raise ValueError(f"rule criterion is {self.criterion!r}, expected 'aic' or 'p'")

    @property
    def enter(self) -> float:
        """The chi-square statistic from which a feature enters stepwise."""
        if self.criterion == "aic":
            return 2.0
        return chi_limit(self.stepwise_p)

    @property
    def leave(self) -> float | None:
        """The statistic below which a feature leaves again, None if none ever does."""
        return self.enter if self.stepwise == "both" else None
