"""Secure join with shared output: common rows of several owners, and nobody learns which.

For the initiator O1 and a partner O2 the two other parties help: H and Q. O1 and O2 tag their
identifiers with a keyed hash under their pairwise key, which H and Q lack, and send the tags to H
in secret random orders of public sizes (the initiator's list has two slots of padding). H sees
pseudonyms only, finds the matching positions and tells Q. The partner's columns, in its secret
order, are an additive sharing between H and Q (one summand is a key expansion); both apply the
positions, then turn the rows into Shamir shares for everybody, with fresh randomness. Rows without
a partner become zero rows, so a column of ones is the shared match bit. The initiator's rows keep
the order that it drew for this job.

Revealed: H and Q learn which positions of two secretly ordered lists match, that is, the
size of the match; since a party helps in two joins of the same order, also how far these overlap.
No identifier and no value. Two colluding parties are outside the model (t = 1). Linear cost,
symmetric cryptography only.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine import field
from protocols.tags import Packed


def helpers(partner: int) -> tuple[int, int]:
    """(H, Q) for the join of party `partner` (1, 2 or 3) with the initiator, party 0."""
    first = partner % 3 + 1
    return first, first % 3 + 1


@dataclass(frozen=True)
class _Link:
    """What one join leaves at a party: its own order (at the partner), the positions (at H, Q)."""

    own_order: npt.NDArray[np.int64] | None
    positions: npt.NDArray[np.int64] | None


class SecureJoin:
    """The joined rows of four parties; `columns` brings features in, block by block.

    `slots` is the public number of joined rows (the initiator's, padded), `rows` the public number
    of rows per party.
    """

    def __init__(self, mpc, rows: list[int], slots: int):
        if mpc.geometry.m != 4 or mpc.geometry.t != 1:
            raise ValueError(
                f'join with shared output: got {mpc.geometry.m} parties with threshold '
                f'{mpc.geometry.t}, expected 4 with threshold 1')
        self.mpc, self.rows, self.slots = mpc, rows, slots
        self._order: npt.NDArray[np.int64] | None = None
        self._links: dict[int, _Link] = {}

    async def match(self, ids, order: npt.NDArray[np.int64] | None) -> None:
        """Tag, match and agree on the positions for every partner.

        `ids` are this party's identifiers (unique, normalised); `order` at the initiator gives, for
        every slot, the row that goes there or -1 for padding. Three rounds for all partners.
        """
        mpc, pid = self.mpc, self.mpc.pid
        if len(ids) > self.rows[pid]:
            raise ValueError(f'{len(ids)} rows, but the manifest states at most {self.rows[pid]}')
        if pid == 0:
            self._order = _checked_order(order, len(ids), self.slots)
        packed = Packed(ids)
        pending = {}
        for partner in range(1, 4):
            h, q = helpers(partner)
            mine, own = None, None
            if pid in (0, partner):
                key = mpc.randomness.pair_secret(partner if pid == 0 else 0, b'join-tags')
                own = self._order if pid == 0 else _shuffled(len(ids), self.rows[partner])
                mine = _tags(packed, own, key)
            left = mpc.send_private(mine, 0, h, (self.slots, 2))
            right = mpc.send_private(mine, partner, h, (self.rows[partner], 2))
            pending[partner] = (own if pid == partner else None, left, right)
        for partner, (own, left, right) in pending.items():
            h, q = helpers(partner)
            left, right = await left, await right
            found = _positions(left, right) if pid == h else None
            passed = await mpc.send_private(found, h, q, (self.slots,), np.int64)
            self._links[partner] = _Link(own, found if pid == h else passed)

    def columns(self, owner: int, values: npt.NDArray | None, width: int):
        """Columns of one owner on the joined rows, as shared integers of shape (slots, width).

        `values` (at the owner) is an integer array (rows, width) in the owner's own row order.
        Two rounds; per element 16 bytes from the owner and 64 from the helpers together.
        """
        mpc = self.mpc
        if owner == 0:
            mine = _arranged(values, self._order, self.slots) if mpc.pid == 0 else None
            return mpc.deal(mine, 0, (self.slots, width), 0)
        link = self._links[owner]
        rows = self.rows[owner]
        mine = _arranged(values, link.own_order, rows) if mpc.pid == owner else None
        held = mpc.deal_additive(mine, owner, helpers(owner), (rows, width), 0)
        return held.take(link.positions, self.slots).to_shared()


def _tags(packed, order, key) -> npt.NDArray[np.uint64]:
    """Keyed 128-bit tags of the identifiers in a given order; padding gets random tags."""
    tags, real = np.empty((len(order), 2), np.uint64), order >= 0
    tags[real] = packed.tags(key)[order[real]]
    padding = secrets.token_bytes(16 * int((~real).sum()))
    tags[~real] = np.frombuffer(padding, np.uint64).reshape(-1, 2)
    return tags


def _positions(left, right) -> npt.NDArray[np.int64]:
    """For every left tag the position of the equal right tag, or -1."""
    if not len(right):
        return np.full(len(left), -1)
    # Both lists in order of the first word: the search then runs through memory once.
    order, mine = np.argsort(right[:, 0]), np.argsort(left[:, 0])
    place = np.searchsorted(right[order, 0], left[mine, 0])
    candidate = order[np.minimum(place, len(right) - 1)]
    # Distinct 128-bit tags agree in 64 bits with negligible probability; the check keeps it exact.
    equal = (right[candidate] == left[mine]).all(axis=1)
    positions = np.empty(len(left), np.int64)
    positions[mine] = np.where(equal, candidate, -1)
    return positions


def _shuffled(rows: int, padded: int) -> npt.NDArray[np.int64]:
    """A secret random order of rows and padding (-1)."""
    slots = np.full(padded, -1, np.int64)
    slots[:rows] = np.arange(rows)
    return slots[np.argsort(np.frombuffer(secrets.token_bytes(8 * padded), np.uint64))]


def _arranged(values, order, slots):
    """The owner's integer columns as field elements in slot order; padding is zero."""
    if len(order) != slots:
        raise ValueError(f'{len(order)} slots, expected {slots}')
    values = np.asarray(values)
    picked = np.zeros((slots, *values.shape[1:]), values.dtype)
    picked[order >= 0] = values[order[order >= 0]]
    return field.encode(picked, 0)


def _checked_order(order, rows, slots):
    order = np.asarray(order, np.int64)
    used = np.sort(order[order >= 0])
    if order.shape != (slots,) or not np.array_equal(used, np.arange(rows)):
        raise ValueError('the order of the initiator must place each of its rows in one slot')
    return order


def training_slots(rows: int, test_share: float) -> tuple[int, int]:
    """Public numbers of training and test slots for the initiator's rows.

    A stratified split may put one row more or less on either side; one slot of padding on each
    keeps the numbers independent of the data.
    """
    train = round((1 - test_share) * rows)
    return train + 1, rows - train + 1


def split_order(training: npt.NDArray[np.bool_], slots: tuple[int, int]) -> npt.NDArray[np.int64]:
    """Secret order with the training rows in the first part and the others in the second."""
    parts = []
    for rows, size in zip((np.flatnonzero(training), np.flatnonzero(~training)), slots,
                          strict=True):
        if len(rows) > size:
            raise ValueError(f'{len(rows)} rows for {size} slots of one part of the split')
        parts.append(np.append(rows, -1)[_shuffled(len(rows), size)])
    return np.concatenate(parts)
