"""Joins across institutions on shared keyed tags of companies or accounts.

The institutions and the holder of company data have a key in common that no compute party has, and
turn company numbers into 62-bit tags with it. All rows are then sorted by tag together, those that
describe before those that ask.

`attach`: one holder describes all companies, sorts them by tag, and shares, besides the tags, the
*differences* of neighbouring tags and attributes. Running sums of the differences give, at every
row, tag and attributes of the last company before it, locally; one test for equality says whether
it is the row's own. `described`: many describe, each what is its own, in any order; attributes come
to the rows by a scan. Repeated tags among the rows need nothing special in either.

Revealed: nothing but the comparisons of the sort (`engine.sorting`). Different companies get equal
tags with probability below n² 2^-63: 10^-7 for a million.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.array import SecureArray, constant
from protocols.tags import Packed


def company_tags(ids, key: bytes) -> npt.NDArray[np.int64]:
    """62-bit tags of normalised identifiers under a key that no compute party has."""
    return (Packed(ids).tags(key)[:, 0] >> np.uint64(2)).astype(np.int64)


def reference(tags, attributes) -> npt.NDArray[np.int64]:
    """What the holder shares (n, 2 + k): tags in order, and the differences of tags and attributes.
    """
    tags, attributes = np.asarray(tags, np.int64), np.asarray(attributes, np.int64)
    attributes = attributes[:, None] if attributes.ndim == 1 else attributes
    order = np.argsort(tags)
    tags, attributes = tags[order], attributes[order]
    if (np.diff(tags) == 0).any():
        raise ValueError('a company is twice in the reference table, expected every one once')
    # Padded in front, because differences start from zero.
    steps = np.diff(np.column_stack([tags, attributes]), axis=0, prepend=0)
    return np.column_stack([tags, steps])


async def attach(mpc, tags: SecureArray, columns: SecureArray, companies: SecureArray, *,
                 fixed_shape: bool = False) -> tuple[SecureArray, SecureArray, SecureArray]:
    """Rows with the attributes of their companies.

    `tags` (n,) and `columns` (n, c) are those of the rows, `companies` (k, 2 + a) is what
    `reference` made. Returns (columns, attributes, found) of n + k rows in the order of their tags:
    attributes and found are zero for a row whose company is not there; the k rows of companies are
    zero in all. Besides the sort (two comparisons for one, since tags fill a word): one equality
    and a + 1 products per row.
    """
    n, c = columns.shape
    k, width = companies.shape
    one = constant(mpc, np.ones((n, 1), np.int64))
    rows = mpc.concatenate([tags.reshape(n, 1), constant(mpc, np.zeros((n, width - 1), np.int64)),
                            one, columns], 1)
    first = mpc.concatenate([companies, constant(mpc, np.zeros((k, 1 + c), np.int64))], 1)
    table = await mpc.sort_rows(mpc.concatenate([first, rows]), 0, fixed_shape=fixed_shape)
    latest = table[:, 1:width].cumsum(0)
    found = table[:, width] * (table[:, 0] == latest[:, 0])
    return table[:, width + 1:], found.reshape(n + k, 1) * latest[:, 1:], found


async def described(mpc, tags: SecureArray, table: SecureArray, *, bits: int = 61,
                    fixed_shape: bool = False) -> tuple[SecureArray, SecureArray, SecureArray]:
    """What a table (k, 1 + a) of tag and attributes says of tags (n,), in the order of the tags.

    Tags are below 2^bits, at most 61. Returns (numbers, attributes (n, a), found): equal tags have
    equal numbers from 0 to n + k - 1, different tags different ones; attributes are those of the
    table's first row of the tag, and zero, as is found, where there is none. One sort of n + k rows
    (two comparisons for one, unless the tags are short), one comparison per row, a scan of
    n + k rows (`engine.scan`) with a + 2 products for one, two moves of the table.
    """
    n, (k, width) = tags.shape[0], table.shape
    asks = np.r_[np.zeros(k, np.int64), np.ones(n, np.int64)]
    tag = mpc.concatenate([table[:, 0], tags])
    ordering = await mpc.ordering(2 * tag + asks, bits + 1, fixed_shape)
    told = mpc.concatenate([table[:, 1:], constant(mpc, np.ones((k, 1), np.int64))], 1)
    told = mpc.concatenate([told, constant(mpc, np.zeros((n, width), np.int64))])
    rows = ordering.sort(mpc.concatenate([tag.reshape(n + k, 1), told], 1))
    first = constant(mpc, np.ones(1, np.int64))
    starts = mpc.concatenate([first, mpc.less(rows[:-1, 0], rows[1:, 0])])
    # What the first row of a tag says, which is nothing if that row asks itself.
    said = (1 - starts).reshape(-1, 1) * mpc.last_marked(rows[:, 1:], starts)
    numbers = starts.cumsum() - 1
    back = ordering.restore(mpc.concatenate([numbers.reshape(-1, 1), said], 1))[k:]
    return back[:, 0], back[:, 1:width], back[:, width]
