"""A published list between sessions: what a party keeps of it, and how it goes on from that.

Shares are as good in a later session as in the one that dealt them; keys and masks are new then.
All parties must keep parts of the same publication and the same update: parts of different ones
give garbage, so whoever stores them names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.array import SecureArray
from protocols.pir import SharedList
from protocols.pir_book import Book
from protocols.pir_table import TABLES, Layout


async def keep(mpc, shared: SharedList) -> dict[str, np.ndarray]:
    """This party's part of a list as arrays (for `np.savez`): shares, secret, 16 bytes an element.

    No messages. The owner's book is not part of it.
    """
    layout = shared.layout
    place = [mpc.geometry.m, mpc.geometry.t, mpc.pid, shared.owner, layout.capacity,
             layout.payload]
    kept = {'place': np.array(place), 'seed': np.frombuffer(shared.seed, np.uint8)}
    for k, table in enumerate(shared.tables):
        kept[f'table{k}'] = await table.ready()
    return {**kept, 'changes': await shared.changes.ready()}


def resume(mpc, kept: Mapping[str, Any], book: Book | None = None) -> SharedList:
    """The list of what `keep` gave, in another session of the same parties.

    Raises ValueError for the part of another party or deployment, and for a book of another list.
    """
    m, t, pid, owner, capacity, payload = (int(v) for v in kept['place'])
    if (m, t, pid) != (mpc.geometry.m, mpc.geometry.t, mpc.pid):
        raise ValueError(f'the list was kept by party {pid} of {m} with threshold {t}; this is '
                         f'party {mpc.pid} of {mpc.geometry.m} with threshold {mpc.geometry.t}')
    layout, seed = Layout(capacity, payload), kept['seed'].tobytes()
    if book is not None and (book.layout, book.seed) != (layout, seed):
        raise ValueError('the book is not that of this list: another layout or seed')
    shapes = {f'table{k}': (layout.rows, layout.columns * layout.width) for k in range(TABLES)} \
        | {'changes': (TABLES, layout.rows, layout.width)}
    arrays = []
    for name, shape in shapes.items():
        share = np.ascontiguousarray(kept[name], np.uint64)
        if share.shape != (*shape, 2):
            raise ValueError(f'{name} has shape {share.shape}, expected {(*shape, 2)}')
        arrays.append(SecureArray(mpc, shape, 0, share))
    return SharedList(layout, owner, seed, arrays[:TABLES], arrays[TABLES], book)
