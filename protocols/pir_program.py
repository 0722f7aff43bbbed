"""Anonymous query as jobs: publish a list, share its changes, ask.

What runs here is measured and approved by every party; where shares lie between jobs, and who may
ask how often, is for the layer above. `parties[i]` is MPC party i in all of them. Each returns
{"steps": {step: cost}, "outputs": {...}} and, under "keep", arrays of shares for later jobs.
Who learns what, rounds and bytes are those of `protocols.pir`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from protocols.pir import ask, decide, publish, update
from protocols.pir_book import Book
from protocols.pir_store import keep, resume
from protocols.pir_table import Entries, Layout, Record
from protocols.steps import Progress, Steps

Arrays = Mapping[str, np.ndarray]


async def publish_program(mpc, *, parties: Sequence[str], parameters: Any, progress: Progress,
                          owner: str, layout: Layout, book: Book | None) -> dict[str, Any]:
    """Share a list; `book` at its owner only. Nothing opens but the hash seed.

    "keep" holds this party's part of the list, as `protocols.pir_store.keep` gives it.
    """
    steps = Steps(mpc, progress)
    with steps.step('publish'):
        shared = await publish(mpc, parties.index(owner), layout, book)
        kept = await keep(mpc, shared)
    return {'steps': steps.costs, 'outputs': {}, 'keep': kept}


async def update_program(mpc, *, parties: Sequence[str], parameters: Any, progress: Progress,
                         published: Arrays, book: Book | None) -> dict[str, Any]:
    """Share what has changed since a list was published; `book` at its owner only.

    `published` is what `publish_program` left. "keep" holds the new table of changes alone. Nothing
    opens.
    """
    steps = Steps(mpc, progress)
    with steps.step('update'):
        shared = resume(mpc, published, book)
        update(mpc, shared)
        changes = await shared.changes.ready()
    return {'steps': steps.costs, 'outputs': {}, 'keep': {'changes': changes}}


async def query_program(mpc, *, parties: Sequence[str], parameters: Any, progress: Progress,
                        lists: Sequence[Arrays], asker: str, count: int, severity: int | None,
                        keys: Sequence[str] | None) -> dict[str, Any]:
    """Ask all `lists` for `count` keys at once; `keys`, normalised, at the asker only.

    To the asker open, in the order of its keys: "records", for each key one record or None per
    list; or, when `severity` is given, "hits", for each key whether some list has it at or above
    that severity. Others get no outputs.
    """
    steps = Steps(mpc, progress)
    outputs: dict[str, Any] = {}
    with steps.step('query'):
        shared = [resume(mpc, arrays) for arrays in lists]
        who = parties.index(asker)
        if severity is None:
            records = await ask(mpc, shared, who, count, keys)
            if records is not None:
                outputs = {'records': [[r and _document(r) for r in row] for row in records]}
        else:
            hits = await decide(mpc, shared, who, count, severity, keys)
            if hits is not None:
                outputs = {'hits': hits}
    return {'steps': steps.costs, 'outputs': outputs}


def rehearse() -> None:
    """Publish and ask a made-up list among four parties in this process, so that all is loaded."""
    from engine.cluster import run_cluster

    layout = Layout(100)

    async def program(mpc):
        book = Book(Entries.of({}), layout) if mpc.pid == 0 else None
        shared = await publish(mpc, 0, layout, book)
        await ask(mpc, [shared], 0, 1, ['nobody'] if mpc.pid == 0 else None)

    run_cluster(program, m=4)


def _document(record: Record) -> dict[str, Any]:
    """A record for JSON; the payload in hexadecimal digits."""
    return {'severity': record.severity, 'category': record.category,
            'date': record.date.isoformat(), 'payload': record.payload.hex()}
