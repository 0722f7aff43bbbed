"""The way of a request through a session: a node's side, the worker's desk, the pipe between."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest
from fakes.runs import ROOT
from test_model_quota import common, model

from parties.errors import LocalError
from parties.manifest import Manifest
from parties.model_proposal import session_manifest
from parties.model_rows import wrong
from parties.session_work import Desk
from parties.sessions import OpenSession

CARD = {"columns": ["a", "b"], "profiles": ["plain"]}
TABLE = (["A1", "A2"], {"a": np.array([1.0, 2.0]), "b": np.array([np.nan, 4.0])})


def session(tmp_path: Any, most: int = 5) -> Manifest:
    return session_manifest(model(tmp_path, scores_per_day=9), most, 3, 60, **common())


def desk(table: Any = TABLE) -> tuple[Desk, list[dict[str, Any]]]:
    made, said = Desk(CARD, table), []
    made.report = lambda event, **fields: said.append({"event": event, **fields})
    return made, said


def run(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await scene()

    asyncio.run(limited())


def test_the_desk_takes_requests_in_order_and_refuses_what_cannot_be_scored() -> None:
    async def scene() -> None:
        made, said = desk()
        new = {"ids": ["new"], "columns": {"a": [None], "b": [2]}}
        lines: list[dict[str, Any]] = [
            {"applicant": "A2"}, {"applicant": "A9"}, {"applicant": ""},
            {"ids": ["X", "X"], "columns": {"a": [1, 2], "b": [1, 2]}},
            {"ids": ["X", "Y"], "columns": {"a": [1, 2]}},
            {"ids": ["X", "Y"], "columns": {"a": [1, 2], "b": [1]}},
            {"ids": ["X", "Y", "Z"], "columns": {"a": [1, 2, 3], "b": [1, 2, 3]}}, new,
        ]  # fmt: skip
        for number, fields in enumerate(lines):
            made.take(json.dumps({"request": number, **fields}).encode())
        first = await made.next(5, 2)
        assert first is not None and first.ids.tolist() == ["A2"]
        assert {k: v.tolist() for k, v in first.columns.items()} == {"a": [2.0], "b": [4.0]}
        made.answered(first, {"scores": [600], "reasons": [["bank.a"]]})
        second = await made.next(5, 2)
        assert second is not None and second.number == 7 and second.ids.tolist() == ["NEW"]
        assert np.isnan(second.columns["a"][0]) and second.columns["b"] == [2]
        answer, *errors = said
        assert answer["answer"]["scores"] == [600] and answer["request"] == 0
        assert [e["request"] for e in errors] == [1, 2, 3, 4, 5, 6]
        assert errors[0]["error"]["cause"] == "there is no row of this applicant"
        assert errors[-1]["error"]["code"] == "quota-exceeded"
        assert "3 applicants asked, at most 2" in errors[-1]["error"]["cause"]
        assert "A9" not in repr(errors) and "'Z'" not in repr(errors)
        assert await made.next(0, 2) is None and not made.closed
        made.take(b'{"close":true}')
        assert await made.next(5, 2) is None and made.closed

    run(scene)


def test_an_asker_without_a_table_gives_values() -> None:
    async def scene() -> None:
        made, said = desk(wrong("the table is gone", "bring it back"))
        made.take(b'{"request":1,"applicant":"A1"}')
        made.take(b'{"request":2,"ids":["A1"],"columns":{"a":[1],"b":[2]}}')
        found = await made.next(5, 1)
        assert found is not None and found.number == 2
        assert said[0]["error"]["cause"] == "the table is gone"

    run(scene)


def test_answers_reach_who_asked_and_requests_are_counted(tmp_path: Any) -> None:
    async def scene() -> None:
        lines: list[dict[str, Any]] = []
        counted: list[tuple[int, int]] = []
        open_session = OpenSession(session(tmp_path), lambda *both: counted.append(both))

        async def send(line: str) -> None:
            lines.append(json.loads(line))

        with pytest.raises(LocalError, match="not_open"):
            await open_session.ask({"applicant": "A1"}, 5)
        open_session.serve(send)
        open_session.heard({"state": "open"})
        asking = [asyncio.create_task(open_session.ask({"applicant": a}, 5)) for a in ("A1", "A2")]
        while len(lines) < 2:
            await asyncio.sleep(0)
        open_session.heard({"state": "scored", "applicants": 2})
        open_session.heard({"state": "scored", "applicants": 1})
        assert counted == [(2, 2), (1, 3)] and open_session.left == 2
        # In another order than they were asked; one that nobody waits for is dropped.
        error = wrong("there is no row", "look").as_dict()
        open_session.heard({"state": "answer", "request": 2, "error": error})
        for number in (9, 1):
            open_session.heard({"state": "answer", "request": number, "answer": {"x": number}})
        assert await asking[0] == {"x": 1}
        with pytest.raises(LocalError, match="there is no row"):
            await asking[1]
        with pytest.raises(LocalError, match="no_answer"):
            await open_session.ask({"applicant": "A1"}, 0)
        last = asyncio.create_task(open_session.ask({"applicant": "A1"}, 5))
        while len(lines) < 4:
            await asyncio.sleep(0)
        open_session.end()
        assert await last is None and await open_session.ask({"applicant": "A1"}, 5) is None

    run(scene)


def test_lines_pass_the_lifeline_until_it_ends() -> None:
    program = (
        "import os, threading\n"
        "from parties.lifeline import on_end_of_input\n"
        "on_end_of_input(lambda: os._exit(7), lambda line: print(len(line), flush=True))\n"
        "threading.Event().wait(30)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    out, _ = child.communicate(b"abc\n" + b"x" * 300_000 + b"\n\nnot whole", timeout=30)
    assert out.split() == [b"3", b"300000", b"0"] and child.returncode == 7
