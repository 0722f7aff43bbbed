"""What the parties of a join send each other depends on the public sizes only, in every mode."""

from __future__ import annotations

from collections import defaultdict
from hashlib import blake2b, sha256

import numpy as np
import pytest
from engine_kit import OF_PROGRAMS
from join_kit import Case, names

from engine import field
from engine.cluster import run_cluster

DEPLOYMENTS = {"four": (4, {}), "three": (3, {}), "verified": (4, {"verified": True})}
KINDS = {
    "left": {}, "left, own orders": {"same_order": False}, "inner": {"kind": "inner"},
    "inner, bound": {"kind": "inner", "bound": 3}, "full": {"kind": "full"},
    "full, own orders": {"kind": "full", "same_order": False},
}
ROWS = 8
TABLES = [
    [names(*range(8)), names(*range(7, -1, -1)), names(*range(8)), names(*range(8))],
    [names(*range(8)), names(*range(10, 16)), names(*range(20, 28)), names(30)],
    [names(1), [], names(*range(1, 4)), names(1, 2)],
]


def traffic(case, m, **more):
    """({direction: frames without their contents}, all contents)."""
    seen, wire = defaultdict(list), []

    def tap(source, target, frame, payload):
        if frame.kind in OF_PROGRAMS:
            seen[source, target].append((frame.operation, frame.kind, frame.tag, frame.length))
            wire.append(payload.tobytes())
        return [(frame, payload)]

    run_cluster(case.program, m, tap=tap, **more)
    # Which of two independent operations sends first is up to the scheduler.
    return {pair: sorted(sent) for pair, sent in seen.items()}, wire


def padded(ids, options):
    """A case whose public sizes are eight rows each, whatever the parties hold."""
    class Public(Case):
        rows = property(lambda self: [ROWS] * len(self.ids))
    return Public(ids, options)


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_frames_whatever_the_keys_and_matches(kind, deployment):
    m, more = DEPLOYMENTS[deployment]
    # A size that opens is a result: two tables with the same number of rows in common.
    tables = TABLES[1:] if kind == "inner, bound" else TABLES
    if kind == "inner":
        tables = [[names(*range(a, a + 5)), *[names(a, a + 1, b, b + 3)] * (m - 1)]
                  for a, b in ((0, 10), (40, 60))]
    runs = [traffic(padded(ids[:m], KINDS[kind]), m, **more) for ids in tables]
    assert runs[0][0] and all(run[0] == runs[0][0] for run in runs)


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_no_frame_holds_an_identifier_a_hash_of_one_or_a_value(deployment):
    m, more = DEPLOYMENTS[deployment]
    case = padded(TABLES[0][:m], {"kind": "full"})
    _, wire = traffic(case, m, **more)
    everything = b"--".join(wire)
    for name in case.ids[0]:
        raw = name.encode()
        for secret in (raw, blake2b(raw, digest_size=16).digest(), sha256(raw).digest()[:16]):
            assert secret not in everything
    for party in range(m):
        for value in field.encode(case.values(party).ravel(), 0):
            assert value.tobytes() not in everything
    # Positions and bits would be mostly zero bytes.
    for payload in wire:
        if len(payload) >= 64:
            assert np.mean(np.frombuffer(payload, np.uint8) == 0) < 0.2


def test_large_tables_travel_in_the_same_pieces(monkeypatch):
    from engine.runtime import Runtime
    monkeypatch.setattr(Runtime, "frame_bytes", 64)
    for more in ({}, {"verified": True}):
        runs = [traffic(padded(ids, {}), 4, **more)[0] for ids in TABLES]
        assert runs[0] == runs[1] == runs[2]
