"""The rules of primary suppression on shares: which cells may not be shown for their own sake.

Comparisons are exact integer comparisons, all of them in one batch. Nothing opens.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.array import SecureArray
from protocols.stats.cells import Cells
from protocols.stats.rules import DOMINANCE, MINIMUM, P_RATIO, Rules
from protocols.stats.spec import TableSpec


@dataclass
class Primary:
    """Shared bits per cell: whether it is too small, withheld at all, and the code of the rule."""

    small: SecureArray
    withheld: SecureArray
    code: SecureArray


def primary(mpc, spec: TableSpec, rules: Rules, cells: Cells) -> Primary:
    """Which cells the rules withhold; `cells` are those of the extended table.

    Amounts need totals below 2^56 units, and the largest `rules.largest` contributions. 11 rounds
    for the comparisons (t = 1), one for each two bits that are combined.
    """
    shape = cells.shape
    low, high = [], []  # negative where the rule holds
    counted = [cells.rows, *[cells.measures[m.name].total for m in spec.measures
                             if m.kind == 'count']]
    for number in counted:
        low.append(number - rules.least)
    n, k = rules.dominance
    for m in spec.amounts:
        amount = cells.measures[m.name]
        total, top = amount.total, amount.top
        assert top is not None
        high.append(k * total - 100 * top[:n].sum(0))
    for m in spec.amounts:
        amount = cells.measures[m.name]
        total, top = amount.total, amount.top
        assert top is not None
        high.append(100 * (total - top[0] - top[1]) - rules.p_ratio * top[0] - int(rules.zeros))
    # Zeros that may be shown: small, but not below one.
    zero = [] if rules.zeros or not rules.minimum else [number - 1 for number in counted]
    bits = mpc.negative(mpc.stack([*low, *high, *zero]))
    small = [bits[j] for j in range(len(low))]
    if zero:
        start = len(low) + len(high)
        small = [s - bits[start + j] for j, s in enumerate(small)]
    dominated = [bits[len(low) + j] for j in range(len(spec.amounts))]
    near = [bits[len(low) + len(spec.amounts) + j] for j in range(len(spec.amounts))]
    small = either(small)
    code = small * MINIMUM
    withheld = small
    if spec.amounts:
        dominated, near = either(dominated), either(near)
        both = dominated * near
        later = DOMINANCE * dominated + P_RATIO * (near - both)
        code = code + (1 - small) * later
        magnitude = dominated + near - both
        withheld = either([small, magnitude])
    return Primary(small, withheld.reshape(shape), code.reshape(shape))


def either(bits: list[SecureArray]) -> SecureArray:
    """The logical or of shared bits; a round for each two."""
    while len(bits) > 1:
        pairs = [a + b - a * b for a, b in zip(bits[::2], bits[1::2], strict=False)]
        bits = pairs + (bits[-1:] if len(bits) % 2 else [])
    return bits[0]
