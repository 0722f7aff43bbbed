"""A worker's part in a scoring session: requests from its node, the asker's own rows, answers.

A request is a line of JSON on the worker's standard input, which nobody but its node can write to:
`{"request": 1, "applicant": ID}` for a business of the asker's own table, or `ids` and the asker's
`columns` (null where unknown) in place of `applicant`; `{"close": true}` ends the session. What
cannot be scored is answered with an error, and the session goes on. Identifiers and answers go
through the two pipes only, and to no file.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.session import AT_ONCE, Request
from models.store import ModelStore
from parties.errors import LocalError
from parties.list_keys import checked_keys
from parties.manifest import Applicants, Manifest
from parties.model_rows import own_rows, unknown_applicant, wrong
from parties.model_terms import MODELS, SessionParameters

CLOSING = 15.0
"""Seconds before the manifest expires in which a session ends in order."""

Rows = tuple[Sequence[str], Mapping[str, Any]]


def bring_session(
    party: str, manifest: Manifest, parameters: SessionParameters, files: Mapping[str, str],
    keys: Any,
) -> dict[str, Any]:  # fmt: skip
    """The model and the desk for everybody; its own table for any party but the asker, whose rows
    the desk looks up."""
    home = Path(files["home"])
    store = ModelStore(home / MODELS)
    card = store.find(parameters.identity).card
    asks = party == manifest.initiator
    brings = manifest.inputs[manifest.initiator]
    assert isinstance(brings, Applicants)
    ids, columns = ([], {}) if asks else own_rows(home, card)
    return {
        "store": store,
        "identity": parameters.identity,
        "reasons": parameters.reasons,
        "most": brings.count,
        "idle": parameters.idle,
        "ends": manifest.expires - CLOSING,
        "ids": np.array(ids, dtype=object),
        "columns": columns,
        "requests": Desk(card, _table(home, card) if asks else _NO_TABLE),
    }


def _table(home: Path, card: Mapping[str, Any]) -> Rows | LocalError:
    """The asker's own rows; or why there are none, for whoever asks by identifier."""
    try:
        return own_rows(home, card)
    except LocalError as exc:
        return exc


_NO_TABLE: Rows = ([], {})


class Desk:
    """`models.session.Requests`, between a node's lines and a session program.

    `card` is what is public of the model, `table` the asker's own rows. `report` sends an event to
    the node; the worker sets it before the program starts.
    """

    def __init__(self, card: Mapping[str, Any], table: Rows | LocalError) -> None:
        self.closed = False
        self.report: Callable[..., None] = lambda event, **_: None
        self._columns, self._profiles = tuple(card["columns"]), tuple(card["profiles"])
        self._table = table
        self._places = {} if isinstance(table, LocalError) else _places(table[0])
        self._waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._began = 0.0

    def take(self, line: bytes) -> None:
        """A line from the node; call it in the event loop."""
        self._waiting.put_nowait(json.loads(line))

    async def next(self, seconds: float, left: int) -> Request | None:
        """A request that can be scored, in the order in which they came."""
        try:
            async with asyncio.timeout(seconds):
                while not self.closed:
                    fields = await self._waiting.get()
                    self._began = time.monotonic()
                    if "close" in fields:
                        self.closed = True
                    elif request := self._accepted(fields, left):
                        return request
        except TimeoutError:
            pass
        return None

    def opened(self) -> None:
        """Tell the node."""
        self.report("session", state="open")

    def counted(self, applicants: int) -> None:
        """Have the node record it: the asker's does so before it has the answer."""
        self.report("session", state="scored", applicants=applicants)

    def answered(self, request: Request, outputs: Mapping[str, Any]) -> None:
        """Give scores and reasons to the node, for whoever asked."""
        seconds = round(time.monotonic() - self._began, 4)
        self.report("session", state="answer", request=request.number, answer={
            **outputs, "compute_seconds": seconds})  # fmt: skip

    def _accepted(self, fields: Mapping[str, Any], left: int) -> Request | None:
        number = int(fields["request"])
        try:
            ids, columns = self._rows(fields)
            if len(ids) > min(left, AT_ONCE):
                raise LocalError(
                    "quota-exceeded",
                    f"{len(ids)} applicants asked, at most {min(left, AT_ONCE)} can be scored now: "
                    f"{left} are left of the session, and a request has at most {AT_ONCE}",
                    "ask for fewer, or open another session",
                    step="quota",
                )
        except LocalError as exc:
            self.report("session", state="answer", request=number, error=exc.as_dict())
            return None
        return Request(number, np.array(ids, dtype=object), columns)

    def _rows(self, fields: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
        if len(self._profiles) > 1:
            raise wrong(
                "the model's businesses have identifiers of several columns", "train it anew"
            )
        [profile] = self._profiles
        if "applicant" not in fields:
            ids = checked_keys(fields["ids"], profile)
            if len(set(ids)) != len(ids) or not ids:
                raise wrong("no applicant, or one more than once", "give each business once")
            return ids, self._given(fields["columns"], len(ids))
        [asked] = checked_keys([fields["applicant"]], profile)
        if isinstance(self._table, LocalError):
            raise self._table
        place = self._places.get(asked)
        if place is None:
            raise unknown_applicant()
        return [asked], {name: self._table[1][name][[place]] for name in self._columns}

    def _given(self, columns: Mapping[str, Any], count: int) -> dict[str, Any]:
        if set(columns) != set(self._columns) or any(len(c) != count for c in columns.values()):
            raise wrong(
                f"the columns are not {', '.join(self._columns) or 'none at all'}, with a value "
                f"for each of {count} applicants",
                "give every feature of the card that this party owns; leave unknown values empty",
            )
        return {name: np.array(values, dtype=float) for name, values in columns.items()}


def _places(ids: Sequence[str]) -> dict[str, int]:
    return {one: place for place, one in enumerate(ids)}
