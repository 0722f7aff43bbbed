"""What travels on the bus in a real run: control messages only, the same for any data."""

import base64
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.broker import RECORD
from fakes.runs import ROOT, DemoRun, wait_until_none_left

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]

ROWS = 80
NAMES = ("bank", "fintech", "government", "telecom")
MEASURED = re.compile(
    r'"(seconds|peak_rss_mb|rounds|bytes_per_party|multiplications|sequence)":[0-9.e-]+')
COMMAND = (sys.executable, str(ROOT / "tests" / "fakes" / "recorded.py"))


def write_tables(folder: Path, seed: int) -> list[list[str]]:
    """Four small tables of one shape; returns all rows as text."""
    folder.mkdir()
    draw = np.random.default_rng(seed)
    businesses = [f"{number:018d}" for number in draw.choice(10**15, 100, replace=False)]
    risk = dict(zip(businesses, draw.normal(size=100), strict=True))
    rows: list[list[str]] = []
    for name in NAMES:
        lines = []
        for who in draw.choice(businesses, ROWS, replace=False):
            values = [f"{risk[str(who)] + draw.normal():.9f}" for _ in range(2)]
            label = [str(int(risk[str(who)] + draw.normal() > 0.5))] if name == "bank" else []
            lines.append([str(who), *label, *values])
        header = ["company_id", *(["default"] if name == "bank" else []), f"{name}_a", f"{name}_b"]
        text = "\n".join(",".join(line) for line in [header, *lines])
        (folder / f"{name}.csv").write_text(text + "\n")
        rows += lines
    return rows


def recorded(folder: Path, seed: int) -> tuple[list[list[str]], list[dict[str, Any]]]:
    """The data of a run, and every message of it."""
    rows = write_tables(folder / f"data-{seed}", seed)
    out = folder / f"run-{seed}"
    run = DemoRun([*COMMAND, str(folder / f"data-{seed}"), str(out)], out)
    status, document = run.finish()
    assert status == 0, (document, run.narration)
    wait_until_none_left(out)
    lines = (out / RECORD).read_text(encoding="utf-8").splitlines()
    return rows, [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    folder = tmp_path_factory.mktemp("bus")
    return [recorded(folder, seed) for seed in (1, 2)]


def test_no_message_holds_data_or_an_unkeyed_hash_of_an_identifier(runs: list[Any]) -> None:
    for rows, messages in runs:
        # Without what was measured: of so many digits some would be a value's by chance.
        traffic = "\n".join(
            m["topic"] + MEASURED.sub(r'"\1":0', m["payload"]) for m in messages).lower()
        raw = traffic.encode("latin-1")
        assert len(messages) > 50
        assert '"kind":"receipt"' in traffic and '"kind":"proposal"' in traffic
        for identifier, *values in rows:
            assert identifier not in traffic
            for value in values:
                assert len(value) == 1 or value.lstrip("-")[:9] not in traffic
            for name in ("md5", "sha1", "sha256", "sha512", "blake2b", "blake2s", "sha3_256"):
                digest = hashlib.new(name, identifier.encode()).digest()
                assert digest.hex()[:24] not in traffic
                assert base64.b64encode(digest)[:24].lower() not in raw
                assert digest[:12] not in raw


def shape(messages: list[dict[str, Any]]) -> dict[str, list[tuple[str, str, int]]]:
    """By sender: topic, kind and size of each message in order.

    Sizes are taken without the numbers whose length depends on the run: the measured cost in
    receipts, and sequence numbers, of which every attempt to reach the broker takes two. Repeated
    births are counted once.
    """
    result: dict[str, list[tuple[str, str, int]]] = {}
    births: set[str] = set()
    for message in messages:
        payload = message["payload"]
        if payload in births:
            continue
        envelope = json.loads(payload)
        if envelope["kind"] == "presence":
            births.add(payload)
        entry = (message["topic"], envelope["kind"], len(MEASURED.sub(r'"\1":0', payload)))
        result.setdefault(envelope["sender"], []).append(entry)
    return result


def test_the_messages_of_two_runs_differ_in_nothing_but_content(runs: list[Any]) -> None:
    first, second = (shape(messages) for _, messages in runs)
    assert first.keys() == second.keys() == set(NAMES)
    for party in NAMES:
        assert first[party] == second[party]
