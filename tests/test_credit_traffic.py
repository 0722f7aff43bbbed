"""What travels between the MPC workers in a credit job: shares only, in one shape for any data.

(The bus is captured in test_demo_bus.py.)
"""

import hashlib
from collections import defaultdict

import numpy as np
import pytest
from engine_kit import OF_PROGRAMS

from engine import field
from engine.cluster import run_cluster
from models.credit import credit_program
from models.parameters import CreditParameters
from protocols.table import PartyTable

ROWS, COLUMNS = 60, 2
NAMES = ['bank', 'fintech', 'government', 'telecom']


def tables(seed):
    rng = np.random.default_rng(seed)
    everyone = np.array([f'9131{v:014d}' for v in rng.choice(10**13, 66, replace=False)], object)
    risk = rng.normal(size=66)
    result = []
    for name in NAMES:
        rows = rng.choice(66, ROWS, replace=False)
        columns = {f'{name}_{k}': risk[rows] + rng.normal(size=ROWS) for k in range(COLUMNS)}
        if seed % 2:
            columns[f'{name}_0'][:9] = np.nan
        label = (risk[rows] + rng.normal(size=ROWS) > 0.6).astype(np.int8)
        bank = name == 'bank'
        result.append(PartyTable(name, 'company_id', everyone[rows], columns,
                                 'default' if bank else None, label if bank else None))
    return result


def captured(seed):
    """Frames per direction, and the bank's result."""
    parties = tables(seed)
    frames = defaultdict(list)

    def tap(source, target, frame, payload):
        if frame.kind in OF_PROGRAMS:
            frames[source, target].append(
                (frame.kind, frame.tag, frame.operation, payload.tobytes()))
        return [(frame, payload)]

    async def program(mpc):
        return await credit_program(
            mpc, parties=NAMES, table=parties[mpc.pid],
            inputs={t.name: list(t.columns) for t in parties}, rows={n: ROWS for n in NAMES},
            parameters=CreditParameters(min_class_rows=1, max_bins=4, iterations=2, roc_points=5,
                                        bands=5, vif_steps=2, max_features=3, examples=2,
                                        reasons=2),
            progress=lambda step, state: None)
    results = run_cluster(program, 4, tap=tap)
    assert 0 < results[0]['outputs']['auc']['joint'] <= 1
    assert [set(r['outputs']) for r in results[1:]] == [{'features'}] * 3
    return parties, frames


@pytest.fixture(scope='module')
def runs():
    return [captured(seed) for seed in (1, 2)]


def contained(needles, traffic):
    """Those of some byte strings, of eight bytes or more, that occur in the traffic."""
    heads = np.frombuffer(b''.join(needle[:8] for needle in needles), np.uint64)
    ordered, seen = np.sort(heads), set()
    for first in range(8):
        words = np.frombuffer(traffic, np.uint64, (len(traffic) - first) // 8, first)
        places = np.minimum(np.searchsorted(ordered, words), len(ordered) - 1)
        seen.update(words[ordered[places] == words].tolist())
    return [needle for needle, head in zip(needles, heads.tolist(), strict=True)
            if head in seen and needle in traffic]


def test_no_frame_holds_an_identifier_a_value_or_an_unkeyed_hash(runs):
    for parties, frames in runs:
        # Payloads apart from each other: nothing can match across two frames.
        traffic = b'\xff--frame--\xff'.join(p for sent in frames.values() for *_, p in sent)
        assert len(traffic) > 10**6
        needles = []
        for table in parties:
            for identifier in table.ids:
                raw = identifier.encode()
                needles.append(raw)
                for name in ('md5', 'sha1', 'sha256', 'blake2b', 'blake2s', 'sha3_256'):
                    needles.append(hashlib.new(name, raw).digest()[:8])
                needles.append(hashlib.blake2b(raw, digest_size=16).digest()[:8])
            for values in table.columns.values():
                known = values[~np.isnan(values)]
                for value, share in zip(known, field.encode(known, 20), strict=True):
                    needles += [value.tobytes(), share.tobytes()]
        assert not contained(needles, traffic)
        # What is there is found, wherever it lies.
        middle = len(traffic) // 2
        planted = [traffic[middle + k:middle + k + 9 + k] for k in range(8)]
        assert contained([*needles, *planted], traffic) == planted


def test_labels_and_indicators_travel_only_as_shares(runs):
    """A column of 0/1 field elements in clear would be mostly zero bytes; shares are random."""
    for _, frames in runs:
        for sent in frames.values():
            for _, _, _, payload in sent:
                if len(payload) >= 256 and len(payload) % 16 == 0:
                    zeros = np.mean(np.frombuffer(payload, np.uint8) == 0)
                    assert zeros < 0.2


def test_same_shape_gives_the_same_traffic(runs):
    (_, first), (_, second) = runs
    assert first.keys() == second.keys()
    for direction in first:
        by_operation = []
        for frames in (first, second):
            sent = defaultdict(list)
            for kind, tag, operation, payload in frames[direction]:
                sent[operation].append((kind, tag, len(payload)))
            by_operation.append(sent)
        # Operations that do not wait for each other may leave in either order; the rounds of one
        # operation may not.
        assert by_operation[0] == by_operation[1]
        for sent in by_operation[0].values():
            assert len(sent) == len({(kind, tag) for kind, tag, _ in sent})
