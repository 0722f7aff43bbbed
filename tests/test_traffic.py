"""What the parties send each other does not depend on the data, only on its public shape."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from engine_kit import OF_PROGRAMS, secret

from engine import arithmetic, field
from engine.cluster import run_cluster
from engine.runtime import Runtime


def traffic(program, data, m, t):
    """{(source, target): [(operation, kind, tag, length), ...]} of a run on some data."""
    seen = defaultdict(list)

    def tap(source, target, frame, payload):
        if frame.kind in OF_PROGRAMS:
            seen[source, target].append((frame.operation, frame.kind, frame.tag, frame.length))
        return [(frame, payload)]

    async def party(mpc):
        return await program(mpc, data)

    run_cluster(party, m, t, tap=tap)
    # Which of two independent operations sends first is up to the scheduler.
    return {pair: sorted(sent) for pair, sent in seen.items()}


async def arithmetic_program(mpc, x):
    a, b = secret(mpc, x), secret(mpc, x[::-1], 1 % mpc.geometry.m)
    k = secret(mpc, np.rint(x).astype(int), mpc.geometry.m - 1)
    results = [a * b, a @ b, a * k + 1, a[2:] * 0.125, (a + b).mean(), a.cumsum(),
               mpc.outer(a, b).sum(0)]
    a[0] = b[1]
    await mpc.output([*results, a])
    await mpc.output(k, 0)


async def comparison_program(mpc, x):
    a = secret(mpc, x)
    bits = [a < 0, a == x[0], a >= a[::-1], mpc.to_bits(a, 8)[:, 0]]
    await mpc.output([*bits, mpc.argmax(a), mpc.maximum(a, 0.5), mpc.where(a < 1, a, -a)])
    await mpc.open_negative(a)


async def numeric_program(mpc, x):
    a = secret(mpc, np.abs(x) + 0.5)
    await mpc.output([mpc.log(a), mpc.rsqrt(a), mpc.sqrt(a), a / a[::-1], mpc.sigmoid(a),
                      mpc.exp(a), mpc.softmax(a)])


async def table_program(mpc, x):
    table = secret(mpc, np.column_stack([x, x]))
    ranked = await mpc.sort_rows(table, fixed_shape=True)
    narrow = await mpc.sort_rows(table, key_bits=40, fixed_shape=True)
    own = field.encode(x, 20) if mpc.pid == 0 else None
    holders = tuple(range(mpc.geometry.t + 1))
    held = mpc.deal_additive(own, 0, holders, x.shape, 20)
    index = np.argsort(x) if held.held else None
    await mpc.output([mpc.shuffle(table), ranked, narrow, held.take(index, len(x)).to_shared()])


RNG = np.random.default_rng(9)
DATA = [np.zeros(12), RNG.normal(0, 3, 12), np.array([1e6, -1e6] * 6)]


@pytest.mark.parametrize("program, m, t", [
    (arithmetic_program, 4, 1), (arithmetic_program, 5, 2), (comparison_program, 4, 1),
    (comparison_program, 3, 1), (numeric_program, 4, 1), (table_program, 4, 1)])
def test_the_same_frames_whatever_the_data(program, m, t):
    data = DATA[:3] if m == 4 else DATA[:2]
    first, *others = (traffic(program, x, m, t) for x in data)
    assert first and all(other == first for other in others)


def test_large_arrays_travel_in_the_same_pieces(monkeypatch):
    monkeypatch.setattr(arithmetic, "_PIECE", 32)
    monkeypatch.setattr(Runtime, "frame_bytes", 256)
    runs = [traffic(arithmetic_program, x, 4, 1)
            for x in (np.zeros(100), RNG.normal(size=100))]
    assert runs[0] == runs[1]
    assert max(length for sent in runs[0].values() for *_, length in sent) == 256


def test_another_shape_is_another_traffic():
    assert traffic(arithmetic_program, np.zeros(12), 4, 1) \
        != traffic(arithmetic_program, np.zeros(13), 4, 1)


def test_the_only_number_that_a_late_party_changes_is_the_time():
    """A party that is slow to issue its operations sends the same frames."""
    async def slow(mpc, x):
        a = secret(mpc, x)
        if mpc.pid == 1:
            await a.ready()
        b = a * a
        if mpc.pid == 2:
            await b.ready()
        c = (b[1:] + 1.0).sum() * b
        await mpc.output([c, c < 0])

    async def quick(mpc, x):
        a = secret(mpc, x)
        b = a * a
        c = (b[1:] + 1.0).sum() * b
        await mpc.output([c, c < 0])

    assert traffic(slow, np.ones(5), 4, 1) == traffic(quick, np.ones(5), 4, 1)
