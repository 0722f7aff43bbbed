"""The rules of disclosure control, and what a withheld cell is told to be withheld for.

Defaults are those of ACRO (Green, Ritchie, Smith 2021) and the handbook of Hundepool et al.,
"Statistical Disclosure Control" (2012), chapter 4.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

VERSION = '1'

SHOWN, MINIMUM, DOMINANCE, P_RATIO, SECONDARY = range(5)
"""What is opened of every cell: it is shown, or the first rule that withholds it."""

REASONS = {
    SHOWN: 'shown', MINIMUM: 'minimum-cell', DOMINANCE: 'dominance', P_RATIO: 'p-ratio',
    SECONDARY: 'secondary',
}


@dataclass(frozen=True)
class Rules:
    """Thresholds; public, and part of the manifest.

    minimum    a cell with fewer rows (or, of a measure of kind `count`, a smaller value) is
               withheld
    zeros      whether zeros are disclosive: if not, a cell of exactly zero rows may be shown; if
               so, it never is, whatever the minimum
    dominance  (n, k): withheld if the n largest contributions make more than k per cent
    p_ratio    withheld if the total less the two largest contributions is within p per cent of the
               largest (with `zeros`, also if it is exactly p per cent, so a total of zero is
               withheld)
    floor      least width, in units, to which an attacker may narrow a withheld amount; at least
               p per cent of the amount in any case
    rounding   multiple to which shown values are rounded; 0 or 1 for none
    """

    minimum: int = 10
    zeros: bool = True
    dominance: tuple[int, int] = (2, 90)
    p_ratio: int = 10
    floor: int = 1
    rounding: int = 0

    def __post_init__(self) -> None:
        n, k = self.dominance
        if not 0 <= self.minimum < 1 << 20:
            raise ValueError(f'minimum cell {self.minimum}: expected 0 to 2^20')
        if n not in (1, 2, 3, 4) or not 0 < k <= 100:
            raise ValueError(f'dominance {self.dominance}: expected 1 to 4 contributions and a '
                             'percentage')
        if not 0 <= self.p_ratio <= 100:
            raise ValueError(f'p-ratio {self.p_ratio}: expected a percentage')
        if not 1 <= self.floor < 1 << 40:
            raise ValueError(f'floor {self.floor}: expected 1 to 2^40')
        if not 0 <= self.rounding <= 1000:
            raise ValueError(f'rounding to multiples of {self.rounding}: expected 0 to 1000')

    @property
    def least(self) -> int:
        """The smallest number of rows of a cell that may be shown, zero aside."""
        return max(self.minimum, int(self.zeros))

    @property
    def largest(self) -> int:
        """How many of the largest contributions of a cell the rules look at: 2 or 4."""
        return 2 if self.dominance[0] <= 2 else 4

    def describe(self) -> dict[str, Any]:
        """The rules as they stand in the release record."""
        return {'version': VERSION, **asdict(self), 'dominance': list(self.dominance)}
