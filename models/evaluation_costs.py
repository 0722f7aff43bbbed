"""Predicted cost of evaluation: rounds, and payload bytes over all parties, for m = 4, t = 1 in the
default mode. Bytes are exact: the sort has a fixed shape, so nothing depends on data."""

from __future__ import annotations

import math

from engine import costs
from engine.costs import Prediction, sequence
from engine.functions import BLOCK, WINDOW
from engine.scan import scan_sizes
from engine.sorting import usual_depth
from models.evaluation import key_bits
from protocols.binning_merge import woe_cost
from protocols.costs import products, reciprocal, total


def evaluate_cost(rows: int, scores: int, frac: int, points: int, edges: int, m: int,
                  t: int) -> Prediction:
    """`evaluate_scores` of so many `scores` with `frac` fractional bits, on so many rows."""
    every = scores * rows
    once = sequence(m, costs.less_than(every, m, t), costs.product(every, m, t))
    parts = [once, once, Prediction(2, scores * costs.shuffle(4 * rows, m, t).total_bytes)]
    # The places break ties, in a comparison of their own where both do not fit a word.
    places = key_bits(frac) + rows.bit_length() > 62
    level = [costs.less_than(every, m, t)] * places + [costs.open_negative(every, m, t)]
    parts += [sequence(m, *level)] * (usual_depth(every) if rows > 1 else 0)
    one = figures_cost(rows, points, edges, m, t)
    return sequence(m, *parts, Prediction(one.rounds, scores * one.total_bytes))


def calibration_cost(rows: int, edges: int, m: int, t: int) -> Prediction:
    """`calibration` of so many rows by so many edges."""
    waves = math.ceil(math.ceil(rows / BLOCK) / WINDOW)
    chance = Prediction(18 * waves + 1, products(15 * rows, m, t).total_bytes
                        + costs.less_than(2 * rows, m, t).total_bytes)
    return sequence(m, chance, _between(rows, edges, 3, m, t))


def psi_cost(expected: int, actual: int, edges: int, m: int, t: int) -> Prediction:
    """`psi` of samples of so many rows by so many edges."""
    counted = [_between(rows, edges, 1, m, t) for rows in (expected, actual)]
    return sequence(m, total(12, *counted), woe_cost(1, edges + 1, m, t))


def _between(rows, edges, columns, m, t):
    return Prediction(12, costs.less_than(rows * edges, m, t).total_bytes
                      + costs.product(edges * columns, m, t).total_bytes)


def figures_cost(n: int, points: int, edges: int, m: int, t: int) -> Prediction:
    """`figures_of` n rows: KS waits for its tournament, and for the inverse of the pairs."""
    depth = math.ceil(math.log2(n)) if n > 1 else 0
    compared = (n - 1) + 1 + n + (n - 1)
    scanned = 3 * sum(scan_sizes(n)) + 2 * n
    made = 1 + scanned + 2 * n + 1 + 2 * n + n + n + (n - 1) + 1
    return total(max(11 + 1 + 12 + 12 * depth, 1 + 11 + 26) + 1, costs.less_than(compared, m, t),
                 products(made, m, t), reciprocal(1, m, t), costs.truncate(1, m, t),
                 _sums_cost(n, points - 1, m, t), _sums_cost(n, edges, m, t))


def _sums_cost(n, limits, m, t):
    """`sums_up_to` of rows of two columns."""
    size = math.isqrt(n - 1) + 1
    count = -(-n // size)
    return total(24, costs.less_than(limits * (count + size), m, t),
                 products(limits * (size + 2 * size + 2 * size + 2), m, t))
