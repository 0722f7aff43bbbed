"""Scores by a kept model as they are asked for, one request after the other: a scoring session.

Model and tables are loaded once. Then party 0 tells the others, whenever it has applicants, how
many; each request is a join and a score of its own, exactly as `serving.score_program` makes it, so
that requests cannot be linked. A party believes party 0 about when and how many, within what was
agreed: every party counts by itself and ends when all scores are used, and none goes on for more
than a minute after the agreed time without a request. Party 0 says every few seconds that it is
still there, so that each wait for it has the engine's deadline.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from engine.errors import RemoteProtocolError
from models.serving import Scorer, sizes
from models.store import ModelStore
from protocols.steps import Progress, Steps
from protocols.tags import Packed

AT_ONCE = 100
"""Applicants of one request at most."""
_QUIET = 10.0
"""Seconds after which party 0 says that it is still there, when there is no request."""
_SLACK = 60.0
"""Seconds by which the others let an idle session go on: they hear of the end from party 0."""
_NOTHING, _END = 0, -1


@dataclass(frozen=True)
class Request:
    """Applicants to score: their identifiers, and the asker's own features of them."""

    number: int
    ids: Any
    columns: Mapping[str, np.ndarray]

    def __repr__(self) -> str:
        return f'Request({self.number})'


class Requests(Protocol):
    """Where requests come from and answers go. At other parties than 0 only `counted` is called."""

    closed: bool
    """Whether the asker has ended the session."""

    async def next(self, seconds: float, left: int) -> Request | None:
        """A request of at most so many applicants; None after so many seconds, or when closed."""

    def opened(self) -> None:
        """All parties are ready for requests."""

    def counted(self, applicants: int) -> None:
        """So many applicants are about to be scored."""

    def answered(self, request: Request, outputs: Mapping[str, Any]) -> None:
        """The "scores" and "reasons" of a request."""


async def session_program(mpc, *, parties: Any, parameters: Any, progress: Progress,
                          store: ModelStore, identity: str, reasons: int, most: int, idle: float,
                          ends: float, ids: Any, columns: Mapping[str, np.ndarray],
                          requests: Requests) -> dict[str, Any]:
    """Score applicants of party 0 until `most` are scored, nobody asks for `idle` seconds, the
    asker closes the session, or `ends` (`time.time()`) is near.

    `ids` and `columns` are the party's table, at party 0 nothing. Outputs at party 0: "scores" and
    "reasons" of all applicants in the order in which they were asked; none elsewhere. To everybody
    opens how many rows each table has and, when it is made, how many applicants a request has; to
    a join's helpers, of each request, how many the other partner knows. About 50 rounds a request,
    and traffic that grows with the tables. Raises RemoteProtocolError `bad-request` for a word of
    party 0 that was not agreed on.
    """
    steps = Steps(mpc, progress)
    with steps.step('load'):
        scorer = Scorer(mpc, store, identity, reasons)
        words = None if mpc.pid == 0 else scorer.pack(columns)
        listed = Packed([] if mpc.pid == 0 else ids)
        rows = await sizes(mpc, len(listed))
    outputs: dict[str, list[Any]] = {'scores': [], 'reasons': []}
    left, asked = most, time.monotonic()
    requests.opened()
    with steps.step('serve'):
        while left:
            request = None
            if mpc.pid == 0:
                word, request = await _asked(requests, _wait(idle, asked, ends), left)
                await _tell(mpc, word)
            else:
                word = _checked(await _tell(mpc, None), left, idle, asked)
            if word == _END:
                break
            if word == _NOTHING:
                continue
            requests.counted(word)
            left -= word
            matched = await scorer.match([word, *rows[1:]], request.ids if request else listed)
            own = scorer.pack(request.columns) if request else words
            answer = await scorer.score(matched, own)
            if request is not None:
                requests.answered(request, answer)
                for name, values in answer.items():
                    outputs[name] += values
            asked = time.monotonic()
    return {'steps': steps.costs, 'outputs': outputs if mpc.pid == 0 else {}}


async def _asked(requests, seconds, left):
    """Party 0's next word, and the request that it announces if there is one."""
    if not seconds:
        return _END, None
    request = await requests.next(seconds, left)
    if request is None:
        return (_END if requests.closed else _NOTHING), None
    return len(request.ids), request


def _wait(idle, asked, ends):
    """Seconds that party 0 may wait for a request before it says something; 0: the time is over."""
    left = min(asked + idle - time.monotonic(), ends - time.time())
    return max(0.0, min(_QUIET, left))


async def _tell(mpc, word):
    """Party 0's word, at every party; one round."""
    given = None if word is None else np.array([word])
    sent = [mpc.send_private(given, 0, party, (1,), np.int64)
            for party in range(1, mpc.geometry.m)]
    heard = [one for one in [await one for one in sent] if one is not None]
    return int(heard[0][0]) if heard else word


def _checked(word, left, idle, asked):
    """The word, if it is one that party 0 may say now."""
    if not _END <= word <= min(left, AT_ONCE):
        cause = f'a request of {word} applicants, expected at most {min(left, AT_ONCE)}'
    elif word == _NOTHING and time.monotonic() > asked + idle + _SLACK:
        cause = f'the session goes on without a request for more than {idle:g} s'
    else:
        return word
    raise RemoteProtocolError('bad-request', cause, party=0, remedy='ask that party what it runs')
