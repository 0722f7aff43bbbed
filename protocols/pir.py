"""Anonymous query: what does a list say about a key, without anybody learning which key.

An owner deals its table (`protocols.pir_table`) to the parties once. Whoever asks deals, for each
sub-table, an indicator u of the row and one, v, of the column of its key's place, and the key's
tag. The parties compute v · (u @ table) on their shares, of degree 3, and bring it back to degree t
in one round (`engine.query.collapse`): six candidate rows, three places in the published table and
three in the table of changes. Whether a candidate's tag is the asked one is a comparison on shares.
The records, times these bits, are added up and open to the asker alone.

| step | rounds | bytes in all per query and list, m = 4, t = 1 |
|---|---|---|
| deal the query | 1 | 32 · (1 + 3 · (rows + columns)) |
| candidates | 1 | 192 · 6 · width |
| compare tags | 10 | 222 · 6 |
| open the record to the asker | 1 | 32 · (width - 1) |

A query of several lists, or a batch of queries, takes the same 13 rounds; a batch is one matrix
product. `decide` replaces the last step by a product, a comparison and an opening (25 rounds in
all). Where three factors do not open (m < 3t + 1, or verified mode) the row product is brought back
first: one more round, and a message of the size of all columns. `protocols.pir_costs` has
the formulas for both modes.

**Who learns what** (semi-honest parties, up to t of them together):
- The asker: the present record of each asked key in each list, or that there is none; with
  `decide` only whether some list has the key at or above the severity. Nothing of other records,
  nor whether an answer comes from a change, nor where it was in the table.
- All parties, the owner among them: that this party asked so many queries of these lists, and, with
  `decide`, the severity. Not the keys, and not whether they were found. Traffic depends on the
  layouts and the number of queries alone.
- Of a list: everybody learns its capacity, payload size and hash seed, and when it was updated. An
  update deals the whole table of changes, so neither the keys nor their number nor places show.
  (Public places would show the keys: identifiers can be enumerated, and the seed is known to all
  who may ask.)

**A deviating asker** could deal vectors that are not indicators and get sums of records in one
query. Its tag must match the sum of their tags, so only records that it could ask for one by one.
For m >= 4, t = 1 the others check the indicators before they compare tags (`check_indicators`) and
stop; so quotas count what was really asked. Other deployments trust the asker in this. Wrong
answers: 6 · 2^-62 per query of an absent key.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine import field
from engine.array import SecureArray
from engine.query import (
    can_collapse,
    check_indicators,
    collapse,
    open_expression,
    open_nonzero,
)
from protocols.pir_book import Book
from protocols.pir_table import (
    CANDIDATES,
    TABLES,
    Layout,
    Record,
    decode,
    hashed,
    severity_head,
)

BATCH = 256
"""Queries that are answered together; more are asked in turn."""
_BLAS_FROM = 24  # queries from which a row product is one large matrix product
_THIN = 8


@dataclass(eq=False)
class SharedList:
    """One party's view of a published list; `book` only at its owner."""

    layout: Layout
    owner: int
    seed: bytes
    tables: list[SecureArray]
    changes: SecureArray
    book: Book | None

    def __repr__(self) -> str:
        return f'SharedList(owner={self.owner}, {self.layout})'


async def publish(mpc, owner: int, layout: Layout, book: Book | None = None) -> SharedList:
    """Share a list; `book` is given at its owner only, and must have this layout.

    Three rounds; 32 bytes per element of the table in all (`Layout.elements`), however many records
    there are. Opens the hash seed to all parties, nothing else. In verified mode everybody also
    proves tags and heads to be within a word (19 rounds and 329 bytes for each): those are compared
    with masks that would not hide what larger ones, at the asked place, say of the place.
    """
    if mpc.pid == owner and (book is None or book.layout != layout):
        raise ValueError('the owner publishes a book of the layout that all parties state')
    words = np.zeros(8, np.int64) if book is None else np.frombuffer(book.seed, '<u4')
    seed = await mpc.output(mpc.input(mpc.array(words.astype(np.int64)), senders=owner))
    tables = []
    for k in range(TABLES):
        values = book.sub_table(k) if book is not None else None
        table = mpc.deal(values, owner, (layout.rows, layout.columns * layout.width), 0)
        cells = _within_words(mpc, table.reshape(layout.rows, layout.columns, layout.width))
        table = cells.reshape(table.shape)
        # One sub-table at a time: dealing takes memory of several times its size.
        await table.ready()
        tables.append(table)
    shared = SharedList(layout, owner, seed.astype('<u4').tobytes(), tables,
                        _deal_changes(mpc, owner, layout, book), book)
    await shared.changes.ready()
    return shared


def update(mpc, shared: SharedList) -> None:
    """Share what the owner has changed in its book since the list was published.

    One round (and in verified mode a proof, as `publish`), 32 bytes per element of the table of
    changes: its size and traffic are those of the
    layout, whatever has changed. Reveals that the list was updated. Raises ValueError at the owner
    when the list must be published anew.
    """
    shared.changes = _deal_changes(mpc, shared.owner, shared.layout, shared.book)


def _deal_changes(mpc, owner, layout, book):
    values = book.updates() if book is not None else None
    return _within_words(mpc, mpc.deal(values, owner, (TABLES, layout.rows, layout.width), 0))


def _within_words(mpc, cells):
    """Rows along the last axis, tag and head first, that nothing uses before these are proven."""
    if not mpc.geometry.verified:
        return cells
    return mpc.concatenate([mpc.proven(cells[:, :, :2]), cells[:, :, 2:]], 2)


async def ask(mpc, lists: Sequence[SharedList], asker: int, count: int,
              keys: Sequence[str] | None = None) -> list[list[Record | None]] | None:
    """The record of each of `count` keys in each list, at the asker; None elsewhere.

    `keys`, normalised like the lists', are given at the asker only. 13 rounds per `BATCH` queries.
    """
    answers: list[list[Record | None]] = []
    for size, part in _batches(mpc, asker, count, keys):
        rows, bits = await _matches(mpc, lists, asker, size, part)
        widths = [s.layout.width for s in lists]
        shape = size, sum(widths) - len(widths)
        opened = await open_expression(mpc, 'open_record', [bits, rows], _selector(widths), shape,
                                       2 * mpc.geometry.t, asker)
        if opened is not None:
            ends = np.cumsum([s.layout.record for s in lists])
            answers += [[decode(values, s.layout) for values, s in
                         zip(np.split(row, ends[:-1]), lists, strict=True)] for row in opened]
    return answers if mpc.pid == asker else None


async def decide(mpc, lists: Sequence[SharedList], asker: int, count: int, severity: int,
                 keys: Sequence[str] | None = None) -> list[bool] | None:
    """For each of `count` keys whether any list has it at or above a severity, at the asker.

    None elsewhere. The severity is public. 25 rounds per `BATCH` queries.
    """
    answers: list[bool] = []
    least = severity_head(severity)
    for size, part in _batches(mpc, asker, count, keys):
        rows, bits = await _matches(mpc, lists, asker, size, part)
        select = _selector([s.layout.width for s in lists], heads=True)
        heads = mpc.product('matmul', [bits, rows], select, (size, len(lists)), 0, 0)
        hits = (1 - mpc.less(heads, least)).sum(1)
        opened = await open_nonzero(mpc, hits, asker)
        if opened is not None:
            answers += opened.tolist()
    return answers if mpc.pid == asker else None


def _batches(mpc, asker, count, keys):
    if mpc.pid == asker and (keys is None or len(keys) != count):
        raise ValueError(f'{0 if keys is None else len(keys)} keys for {count} queries')
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        yield size, keys[start:start + size] if mpc.pid == asker and keys is not None else None


async def _matches(mpc, lists, asker, count, keys):
    """(candidate rows, match bits) for some queries of all lists.

    Rows are flat: per list the six candidates' elements, the tag first.
    """
    layouts = [s.layout for s in lists]
    values = _selectors(keys, lists) if keys is not None else None
    query = mpc.deal(values, asker, (count, sum(y.selectors for y in layouts)), 0)
    check = _check(mpc, query, layouts, asker) if can_check(mpc) else None
    tables = [x for s in lists for x in (*s.tables, s.changes)]
    rows = _candidates(mpc, query, tables, layouts, count)
    ends = np.cumsum([0, *[CANDIDATES * y.width for y in layouts]])
    tags = [end + j * y.width for end, y in zip(ends[:-1], layouts, strict=True)
            for j in range(CANDIDATES)]
    asked = [s for s in _starts(layouts) for _ in range(CANDIDATES)]
    if check is not None:
        # It takes the same round as the candidates. The masks of a comparison are for tags only:
        # they would not hide what other vectors select.
        await check
    return rows, mpc.equal(rows[:, tags], query[:, asked])


def _starts(layouts):
    """Where each list's selectors begin in a query; the first one is the tag."""
    return [int(x) for x in np.cumsum([0, *[y.selectors for y in layouts]])[:-1]]


def _selectors(keys, lists):
    """The asker's vectors: per list the tag, then per sub-table indicators of row and column."""
    parts = []
    for s in lists:
        layout = s.layout
        tags, places = hashed(keys, s.seed, layout)
        part = np.zeros((len(keys), layout.selectors, 2), np.uint64)
        part[:, 0, 0] = tags
        starts = 1 + (layout.rows + layout.columns) * np.arange(TABLES)
        each = np.arange(len(keys))[:, None]
        part[each, starts + places // layout.columns, 0] = 1
        part[each, starts + layout.rows + places % layout.columns, 0] = 1
        parts.append(part)
    return np.concatenate(parts, 1)


def _check(mpc, query, layouts, asker):
    """A future of the check that a query holds indicators."""
    inside = [start + i for start, y in zip(_starts(layouts), layouts, strict=True)
              for i in range(1, y.selectors)]
    sizes = [n for y in layouts for _ in range(TABLES) for n in (y.rows, y.columns)]
    return check_indicators(mpc, query[:, inside], sizes, asker)


def can_check(mpc) -> bool:
    """Whether the parties can check what an asker deals."""
    return mpc.geometry.t == 1 and mpc.geometry.m >= 4


def _candidates(mpc, query, tables, layouts, count):
    """Shares of the six candidate rows of each list, (count, sum of 6 · width)."""
    degree = 3 * mpc.geometry.t
    shape = count, sum(CANDIDATES * y.width for y in layouts)
    work = 4 * count * sum(y.elements for y in layouts)

    def by_rows(q, *shares):
        return np.concatenate(list(_row_products(q, shares, layouts)), 1)

    def by_columns(q, products):
        return _column_products(q, iter(_split(products, layouts)), layouts)

    if can_collapse(mpc, degree):
        return collapse(mpc, 'pir_rows', [query, *tables], lambda q, *shares: _column_products(
            q, _row_products(q, shares, layouts), layouts), shape, degree, work)
    middle = count, sum(TABLES * (y.columns + 1) * y.width for y in layouts)
    products = mpc.product('matmul', [query, *tables], by_rows, middle, 0, 0, work=work)
    return mpc.product('matmul', [query, products], by_columns, shape, 0, 0,
                       work=4 * math.prod(middle))


def _row_products(q, shares, layouts):
    """u @ table and u @ changes for every list and sub-table in turn."""
    for i, (start, y) in enumerate(zip(_starts(layouts), layouts, strict=True)):
        *parts, changes = shares[(TABLES + 1) * i:(TABLES + 1) * (i + 1)]
        for k, part in enumerate(parts):
            u = q[:, start + 1 + k * (y.rows + y.columns):][:, :y.rows]
            yield _rows_of(u, part)
            yield _rows_of(u, changes[k])


def _rows_of(u, table):
    """u @ table: one large product, or passes over the table for a few queries at a time."""
    if len(u) >= _BLAS_FROM:
        return field.matmul(u, table)
    passes = [field.matmul(table.transpose(1, 0, 2), np.ascontiguousarray(
        u[i:i + _THIN].transpose(1, 0, 2))).transpose(1, 0, 2) for i in range(0, len(u), _THIN)]
    return np.concatenate(passes)


def _split(products, layouts):
    """What `_row_products` gave, from one array."""
    widths = [n for y in layouts for _ in range(TABLES) for n in (y.columns * y.width, y.width)]
    return np.split(products, np.cumsum(widths)[:-1], 1)


def _column_products(q, products, layouts):
    """The candidates: per list the rows v · (u @ table), and u @ changes, of the sub-tables."""
    out = []
    for start, y in zip(_starts(layouts), layouts, strict=True):
        for k in range(TABLES):
            v = q[:, start + 1 + k * (y.rows + y.columns) + y.rows:][:, :y.columns]
            cells = next(products).reshape(len(q), y.columns, y.width, 2)
            out += [field.total(field.mul(v[:, :, None], cells), 1), next(products)]
    return np.concatenate(out, 1)


def _selector(widths, heads=False):
    """fn(bits, rows): per list the records of its candidates times their match bits, added up.

    With `heads` only the first element of each record.
    """
    def select(bits, rows):
        out, start = [], 0
        for i, width in enumerate(widths):
            cells = rows[:, start:start + CANDIDATES * width]
            start += CANDIDATES * width
            cells = cells.reshape(len(rows), CANDIDATES, width, 2)[:, :, 1:2 if heads else None]
            own = bits[:, CANDIDATES * i:CANDIDATES * (i + 1), None]
            out.append(field.total(field.mul(own, cells), 1))
        return np.concatenate(out, 1)
    return select
