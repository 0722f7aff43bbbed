"""Records, lists and queries that the tests of the anonymous query share."""

from __future__ import annotations

import datetime

import numpy as np

from protocols.pir import decide, publish
from protocols.pir_book import Book
from protocols.pir_table import EPOCH, PAYLOAD_LIMIT, Entries, Record


def record(rng, payload=PAYLOAD_LIMIT):
    return Record(int(rng.integers(64)), int(rng.integers(4096)),
                  EPOCH + datetime.timedelta(int(rng.integers(1 << 20))),
                  rng.bytes(int(rng.integers(payload + 1))))


def some_records(seed, count, payload=PAYLOAD_LIMIT, prefix="company"):
    rng = np.random.default_rng(seed)
    return {f"{prefix}-{i}": record(rng, payload) for i in range(count)}


def book_at(mpc, owner, records, layout):
    return Book(Entries.of(records), layout) if mpc.pid == owner else None


async def lists_of(mpc, contents, layouts):
    """One list per dictionary of records; list k belongs to party k mod m."""
    return [await publish(mpc, k % mpc.geometry.m, layout,
                          book_at(mpc, k % mpc.geometry.m, records, layout))
            for k, (records, layout) in enumerate(zip(contents, layouts, strict=True))]


def own(mpc, asker, keys):
    return keys if mpc.pid == asker else None


async def decide_some(mpc, lists, asker, count, keys):
    return await decide(mpc, lists, asker, count, 9, keys)
