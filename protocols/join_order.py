"""Orders of rows at their owner: secret ones, padded to public sizes; what each slot holds.

An order is an array of row numbers, one per slot, with -1 for a slot of padding. It never leaves
its owner.
"""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import field
from engine.errors import LocalProtocolError
from engine.permutation import random_order

Order = npt.NDArray[np.int64]
_ROWS = 1 << 18
"""Rows that are encoded at a time: bounds temporary memory."""


def permutation(count: int) -> Order:
    """A uniformly random permutation from the operating system's generator."""
    return random_order(lambda k: np.frombuffer(secrets.token_bytes(8 * k), np.uint64), count)


def shuffled(rows: int, slots: int) -> Order:
    """A secret random order of `rows` rows and padding."""
    order = np.full(slots, -1, np.int64)
    order[:rows] = np.arange(rows)
    return order[permutation(slots)]


def checked_order(order: npt.ArrayLike | None, rows: int, slots: int) -> Order:
    """The initiator's order, if it places each of its rows in one slot; LocalProtocolError
    `bad-order` otherwise."""
    given = np.asarray(order, np.int64)
    used = np.sort(given[given >= 0])
    if given.shape != (slots,) or not np.array_equal(used, np.arange(rows)):
        raise LocalProtocolError(
            'bad-order', f'an order of {given.size} slots with {used.size} rows, expected {slots} '
            f'slots that hold each of {rows} rows once: the order of the initiator must place each '
            'of its rows in one slot', remedy='use shuffled() or split_order()')
    return given


def arranged(values: npt.ArrayLike | None, order: Order, rows: int,
             width: int) -> npt.NDArray[np.uint64]:
    """The owner's integer columns (rows, width) as field elements in slot order, shape
    (slots, width, 2); padding is zero.

    Raises LocalProtocolError `wrong-shape`, and OverflowError, ValueError or TypeError for values
    that are no integers.
    """
    given: npt.NDArray[Any] = np.asarray(values)
    if given.shape != (rows, width):
        raise LocalProtocolError(
            'wrong-shape', f'columns of shape {given.shape}, expected ({rows}, {width}): one row '
            'per identifier', remedy='give the columns in the order of the identifiers')
    out = np.zeros((len(order), width, 2), np.uint64)
    for start in range(0, len(order), _ROWS):
        part = order[start:start + _ROWS]
        if rows:
            out[start:start + _ROWS][part >= 0] = field.encode(given[part[part >= 0]], 0)
    return out


def training_slots(rows: int, test_share: float) -> tuple[int, int]:
    """Public numbers of training and test slots for the initiator's rows.

    A stratified split may put one row more or less on either side; one slot of padding on each
    keeps the numbers independent of the data.
    """
    train = round((1 - test_share) * rows)
    return train + 1, rows - train + 1


def split_order(training: npt.NDArray[np.bool_], slots: tuple[int, int]) -> Order:
    """Secret order with the training rows in the first part and the others in the second."""
    parts = []
    for rows, size in zip((np.flatnonzero(training), np.flatnonzero(~training)), slots,
                          strict=True):
        if len(rows) > size:
            raise ValueError(f'{len(rows)} rows for {size} slots of one part of the split')
        parts.append(np.append(rows, -1)[shuffled(len(rows), size)])
    return np.concatenate(parts)
