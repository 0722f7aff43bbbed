"""The table behind an anonymous query: layout, records as field elements, places of keys.

A list maps keys (normalised identifiers) to records. It becomes a cuckoo table of three sub-tables
of a public size: a key has one place in each, given by a keyed hash, and its row lies in one of the
three. So whoever asks for a key selects one place per sub-table. A row is a 62-bit tag of the key,
a head (presence, severity, category, date, length and the first two bytes of the payload) and the
rest of the payload, 15 bytes per field element. The size depends on the stated capacity only.

**Failures.** At 88 % load keys with three places each fit (the threshold is 91.8 %); an unlucky
seed is replaced by another one, up to 20 times. For n keys the likeliest obstruction is four of
them with the same three places: 2.64^9 / (24 n^5), below 2^-25 from 100 keys on. Two keys of equal
tags are found by the owner and avoided likewise. A key that is *absent* is taken for a present one
if its tag is that of a row at one of its own places: 6 · 2^-62 per query.

**Updates** live in a small table beside, one place per row coordinate and sub-table, which holds
differences: new record minus published record, so that adding what both tables say about a key
gives its present record (zero if it was removed). Sources: Pagh, Rodler, "Cuckoo hashing", J.
Algorithms 2004; thresholds: Fountoulakis, Panagiotou, 2010.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

TABLES = 3
CANDIDATES = 2 * TABLES
"""Rows that may be a key's: its places in the published table and in the table of changes."""
LOAD = 0.88
"""Largest share of the places that hold a row."""
PAYLOAD_LIMIT = 64
SEVERITIES, CATEGORIES, DATES = 1 << 6, 1 << 12, 1 << 20
EPOCH = datetime.date(1900, 1, 1)
"""Day 0 of a record's date, which may lie at most 2^20 - 1 days later."""

_TAGS = (1 << 62) - 1
_PIECE, _HEAD_BYTES = 15, 2
_PRESENT, _SEVERITY, _CATEGORY, _DATE, _LENGTH = 61, 55, 43, 23, 16
_ROUNDS = 2000
_SQUARENESS = 2
"""Rows per column: more rows leave more room for updates, at 6 % more traffic per query."""

Words = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """The public shape of a list: at most `capacity` records of at most `payload` bytes each."""

    capacity: int
    payload: int = PAYLOAD_LIMIT

    def __post_init__(self) -> None:
        if self.capacity < 1:
            raise ValueError(f'capacity {self.capacity}, expected at least 1')
        if not 0 <= self.payload <= PAYLOAD_LIMIT:
            raise ValueError(f'payload of {self.payload} bytes, expected 0 to {PAYLOAD_LIMIT}')

    @property
    def columns(self) -> int:
        """Columns of a sub-table."""
        return max(4, math.isqrt(math.ceil(self.capacity / (TABLES * LOAD * _SQUARENESS))))

    @property
    def rows(self) -> int:
        """Rows of a sub-table."""
        return max(16, math.ceil(self.capacity / (TABLES * LOAD * self.columns)))

    @property
    def record(self) -> int:
        """Field elements of a record: the head, and what the payload needs besides."""
        return 1 + math.ceil(max(0, self.payload - _HEAD_BYTES) / _PIECE)

    @property
    def width(self) -> int:
        """Field elements of a row: a tag and a record."""
        return 1 + self.record

    @property
    def elements(self) -> int:
        """Field elements of the whole table, updates included."""
        return TABLES * self.rows * (self.columns + 1) * self.width

    @property
    def updates(self) -> int:
        """Keys that can differ from what was published until the list is published anew."""
        return self.rows

    @property
    def selectors(self) -> int:
        """Field elements that ask for one key: its tag, and an indicator of row and of column."""
        return 1 + TABLES * (self.rows + self.columns)


@dataclass(frozen=True)
class Record:
    """What a list says about a key."""

    severity: int
    category: int
    date: datetime.date
    payload: bytes = b''

    def __repr__(self) -> str:
        # A default repr would print a record into logs and tracebacks.
        return 'Record(...)'


def severity_head(severity: int) -> int:
    """The least head of a record of at least this severity (below 2^62)."""
    if not 0 <= severity < SEVERITIES:
        raise ValueError(f'severity {severity}, expected 0 to {SEVERITIES - 1}')
    return 1 << _PRESENT | severity << _SEVERITY


@dataclass(frozen=True, eq=False)
class Entries:
    """Keys with their records, as columns: integers, datetime64 or dates, and bytes."""

    keys: Sequence[str]
    severity: npt.ArrayLike
    category: npt.ArrayLike
    date: npt.ArrayLike
    payload: Sequence[bytes]

    @classmethod
    def of(cls, records: dict[str, Record]) -> Entries:
        """A few records given one by one."""
        rows = list(records.values())
        return cls(list(records), [r.severity for r in rows], [r.category for r in rows],
                   np.array([r.date for r in rows], 'datetime64[D]'), [r.payload for r in rows])

    def __repr__(self) -> str:
        return f'Entries({len(self.keys)} keys)'

    def encode(self, layout: Layout) -> Words:
        """The records as field elements, shape (n, layout.record, 2).

        Raises ValueError for a column of another length and for values out of range.
        """
        n = len(self.keys)
        days = np.asarray(self.date, 'datetime64[D]') - np.datetime64(EPOCH)
        lengths = np.fromiter(map(len, self.payload), np.int64, len(self.payload))
        columns = [('severity', np.asarray(self.severity), SEVERITIES),
                   ('category', np.asarray(self.category), CATEGORIES),
                   ('date, in days since 1900,', days.astype(np.int64), DATES),
                   ('payload length', lengths, layout.payload + 1)]
        for name, column, limit in columns:
            if column.shape != (n,):
                raise ValueError(f'{name}: {column.shape} values for {n} keys')
            if column.size and column.dtype.kind not in 'iu':
                raise ValueError(f'{name}: got values of type {column.dtype}, expected integers')
            outside = int(((column < 0) | (column >= limit)).sum())
            if outside:
                raise ValueError(f'{name}: {outside} values outside 0..{limit - 1}')
        padded = np.zeros((n, _HEAD_BYTES + _PIECE * (layout.record - 1)), np.uint8)
        if layout.payload and n:
            raw = b''.join(p.ljust(layout.payload, b'\0') for p in self.payload)
            padded[:, :layout.payload] = np.frombuffer(raw, np.uint8).reshape(n, layout.payload)
        head = np.uint64(1 << _PRESENT) | padded[:, 0].astype(np.uint64) \
            | padded[:, 1].astype(np.uint64) << np.uint64(8)
        shifts = (_SEVERITY, _CATEGORY, _DATE, _LENGTH)
        for (_, column, _), shift in zip(columns, shifts, strict=True):
            head |= column.astype(np.uint64) << np.uint64(shift)
        words = np.zeros((n, layout.record, 16), np.uint8)
        words[:, 1:, :_PIECE] = padded[:, _HEAD_BYTES:].reshape(
            n, layout.record - 1, _PIECE)
        elements = words.view(np.uint64)
        elements[:, 0, 0] = head
        return elements


def decode(elements: Iterable[int], layout: Layout) -> Record | None:
    """The record of opened field elements; None if they are zero: there is no record.

    Raises ValueError where no record looks like that.
    """
    head, *rest = (int(e) for e in elements)
    if not head and not any(rest):
        return None
    length = head >> _LENGTH & 0x7f
    if head >> _PRESENT != 1 or length > layout.payload or any(r >> 8 * _PIECE for r in rest):
        raise ValueError('an answer that is neither a record nor zero: the list was damaged')
    payload = (head & 0xffff).to_bytes(_HEAD_BYTES, 'little') \
        + b''.join(r.to_bytes(_PIECE, 'little') for r in rest)
    date = EPOCH + datetime.timedelta(days=head >> _DATE & DATES - 1)
    return Record(head >> _SEVERITY & SEVERITIES - 1, head >> _CATEGORY & CATEGORIES - 1, date,
                  payload[:length])


def hashed(keys: Sequence[str], seed: bytes, layout: Layout) -> tuple[Words, Places]:
    """Tags (n,), from 1 to 2^62 - 1, and places (n, 3) of keys in the sub-tables."""
    raw = b''.join(blake2b(k.encode(), digest_size=32, key=seed).digest() for k in keys)
    words = np.frombuffer(raw, '<u8').reshape(len(keys), 1 + TABLES)
    tags = words[:, 0] % np.uint64(_TAGS) + np.uint64(1)
    return tags, (words[:, 1:] % np.uint64(layout.rows * layout.columns)).astype(np.int64)


def place(choices: Places, size: int) -> Places | None:
    """A cuckoo table (3, size) of item numbers, -1 for an empty place; None if they do not fit.

    Items without a place all take one of theirs at once; whom that turns out tries another of its
    own, at random.
    """
    table = np.full(TABLES * size, -1)
    at = choices + size * np.arange(TABLES)
    rng = np.random.default_rng()
    homeless, turn = np.arange(len(choices)), np.zeros(len(choices), np.int64)
    for _ in range(_ROUNDS):
        if not len(homeless):
            return table.reshape(TABLES, size)
        wanted = at[homeless, turn[homeless]]
        before = table[wanted]
        table[wanted] = homeless
        won = table[wanted] == homeless
        turned_out = before[won]
        homeless = np.concatenate([homeless[~won], turned_out[turned_out >= 0]])
        turn[homeless] = (turn[homeless] + rng.integers(1, TABLES, len(homeless))) % TABLES
    return None
