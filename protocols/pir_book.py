"""An owner's own side of a list for anonymous query: the table it shares, and what changed since.

The layout of the tables is that of `protocols.pir_table`. Nothing here is a message.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import numpy as np

from engine import field
from protocols.pir_table import TABLES, Entries, Layout, Places, Words, hashed, place

_SEEDS = 20


class Book:
    """An owner's own copy of one published list, with the changes since. It never leaves its owner.

    Keys are expected in normalised form. `seed` keys the hash. It may be known to everybody who
    asks: it was drawn at random and says nothing about the keys. Give the seed and the entries as
    published to go on with a list after a restart; changes since are then put in again.
    """

    def __init__(self, entries: Entries, layout: Layout, seed: bytes | None = None):
        if len(entries.keys) > layout.capacity:
            raise ValueError(f'{len(entries.keys)} records for a list of at most '
                             f'{layout.capacity}; publish it with a larger capacity')
        if len(set(entries.keys)) != len(entries.keys):
            raise ValueError(f'{len(entries.keys) - len(set(entries.keys))} keys are there twice')
        self.layout = layout
        records = entries.encode(layout)
        for _ in range(1 if seed else _SEEDS):
            self.seed = seed or secrets.token_bytes(32)
            tags, places = hashed(entries.keys, self.seed, layout)
            order = np.argsort(tags)
            if not (tags[order][1:] == tags[order][:-1]).any():
                table = place(places[order], layout.rows * layout.columns)
                if table is not None:
                    break
        else:
            raise ValueError(f'{len(entries.keys)} keys found no places')
        self._tags, self._records, self._table = tags[order], records[order], table
        self._first = places[order, 0]
        self._count = self._count_published = len(entries.keys)
        self._changes: dict[int, tuple[Places, Words | None]] = {}

    def __repr__(self) -> str:
        return f'Book({self._count} records, {len(self._changes)} changes)'

    def sub_table(self, k: int) -> Words:
        """Field elements (rows, columns · width) of a sub-table as published; zero where empty."""
        layout = self.layout
        items = self._table[k]
        filled = items >= 0
        cells = np.zeros((len(items), layout.width, 2), np.uint64)
        cells[filled, 0, 0] = self._tags[items[filled]]
        cells[filled, 1:] = self._records[items[filled]]
        return cells.reshape(layout.rows, layout.columns * layout.width, 2)

    def put(self, entries: Entries) -> None:
        """Add records, or change those whose keys are in the list."""
        tags, places = self._hashed(entries.keys)
        records = entries.encode(self.layout)
        new = len({int(t) for t in tags if self._now(int(t)) is None})
        if self._count + new > self.layout.capacity:
            raise ValueError(f'{self._count + new} records for a list of at most '
                             f'{self.layout.capacity}; publish it with a larger capacity')
        for tag, where, record in zip(tags, places, records, strict=True):
            self._change(int(tag), where, record)
        self._count += new

    def remove(self, keys: Sequence[str]) -> None:
        """Take keys off the list; ValueError if some are not in it."""
        tags, places = self._hashed(keys)
        missing = sum(self._now(int(t)) is None for t in tags)
        if missing:
            raise ValueError(f'{missing} of {len(keys)} keys to remove are not in the list')
        for tag, where in zip(tags, places, strict=True):
            self._change(int(tag), where, None)
        self._count -= len(set(tags.tolist()))

    def updates(self) -> Words:
        """Field elements (3, rows, width) of the table of changes.

        Raises ValueError when there are more changes than fit (`Layout.updates`), or, with
        probability of about 1/(24 rows^5), when they do not fit together: publish the list anew.
        (Whoever knows the seed and chooses keys that get onto the list can provoke the latter.)
        """
        layout, changes = self.layout, self._changes
        if len(changes) > layout.updates:
            raise ValueError(f'{len(changes)} changes since the list was published, room for '
                             f'{layout.updates}; publish it anew')
        out = np.zeros((TABLES, layout.rows, layout.width, 2), np.uint64)
        where = np.array([p // layout.columns for p, _ in changes.values()], np.int64)
        table = place(where.reshape(-1, TABLES), layout.rows)
        if table is None:
            raise ValueError('the changes since the list was published do not fit together; '
                             'publish it anew')
        tags = list(changes)
        for k, row in zip(*np.nonzero(table >= 0), strict=True):
            tag = tags[table[k, row]]
            record, published = changes[tag][1], self._published(tag)
            zero = np.zeros((layout.record, 2), np.uint64)
            out[k, row, 0, 0] = tag
            out[k, row, 1:] = field.sub(zero if record is None else record,
                                        zero if published is None else published)
        return out

    def _hashed(self, keys):
        tags, places = hashed(keys, self.seed, self.layout)
        at = np.minimum(np.searchsorted(self._tags, tags), max(0, self._count_published - 1))
        if self._count_published and ((self._tags[at] == tags)
                                      & (self._first[at] != places[:, 0])).any():
            raise ValueError('the tag of another key, by a chance of 2^-62 per pair; publish the '
                             'list anew')
        return tags, places

    def _published(self, tag):
        place = int(np.searchsorted(self._tags, np.uint64(tag)))
        found = place < len(self._tags) and int(self._tags[place]) == tag
        return self._records[place] if found else None

    def _now(self, tag):
        return self._changes[tag][1] if tag in self._changes else self._published(tag)

    def _change(self, tag, places, record):
        published = self._published(tag)
        same = record is published if record is None or published is None \
            else np.array_equal(record, published)
        if same:
            self._changes.pop(tag, None)
        else:
            self._changes[tag] = places, record
