"""Common businesses as a job: every mode against Python sets, its cost, and what it keeps."""

from __future__ import annotations

import functools
from collections import defaultdict

import numpy as np
import pytest
from engine_kit import OF_PROGRAMS
from join_kit import names, ordered

from engine.cluster import run_cluster
from engine.errors import LocalProtocolError
from engine.shamir import Geometry
from protocols.column_source import FixedColumns
from protocols.join_program import join_program, resume_join
from protocols.join_task import JoinTask
from protocols.join_task_costs import join_task_cost

IDS = [names(*range(9)), names(4, 5, 6, 7, 8, 9, 20), names(*range(3, 14)), names(8, 7, 1)]
PARTIES = ['bank', 'fintech', 'government', 'telecom']


class Floats:
    """A party's features: its number and the row's, and some that are missing."""

    def __init__(self, party, width):
        rows = np.arange(len(IDS[party]))[:, None]
        self.values = rows - 1.25 * party + np.arange(width) * 0.5
        self.values[::3, :1] = np.nan

    def read(self, first, count):
        return self.values[:, first:first + count]


def task_of(m=4, owners=(0, 1, 2, 3), slack=2, width=0, mode='shared', verified=False, **more):
    owners = owners[:m]
    return JoinTask(m=m, verified=verified, mode=mode, owners=owners,
                    rows=tuple(len(IDS[p]) + slack for p in owners),
                    widths=(width,) * len(owners), **more)


async def party(mpc, task):
    owns = mpc.pid in task.owners
    width = task.widths[task.owners.index(mpc.pid)] if owns else 0
    return await join_program(
        mpc, parties=PARTIES[:task.m], parameters=None, progress=lambda step, state: None,
        task=task, ids=np.array(IDS[mpc.pid], object) if owns else None,
        source=Floats(mpc.pid, width) if width else None)


def common(owners):
    return functools.reduce(set.intersection, (set(IDS[p]) for p in owners))


def cost_of(results):
    """Rounds (the longest party's) and bytes of all steps."""
    steps = [[*r['steps'].values()] for r in results]
    return (max(sum(s['rounds'] for s in own) for own in steps),
            sum(s['bytes_per_party'] for own in steps for s in own))


REVEALED = [
    task_of(mode='reveal-size', receivers=(0, 2)),
    task_of(mode='reveal-size', receivers=(3,), verified=True),
    task_of(mode='reveal-identifiers', receivers=(0,)),
    task_of(mode='reveal-identifiers', receivers=(0,), same_order=False),
    task_of(mode='reveal-identifiers', receivers=(1, 2)),
    task_of(mode='reveal-identifiers', receivers=(0, 3), verified=True),
    task_of(3, mode='reveal-identifiers', receivers=(0, 1, 2)),
    task_of(owners=(0, 2), mode='reveal-identifiers', receivers=(2,)),
    task_of(owners=(0, 3), mode='reveal-size', receivers=(0, 1)),
    task_of(owners=(0, 2), mode='reveal-identifiers', receivers=(0, 2), verified=True),
    task_of(3, (0, 2), mode='reveal-size', receivers=(1,)),
    task_of(2, mode='ecdh', receivers=(0,)),
    task_of(2, mode='ecdh', receivers=(0, 1), proved=True),
    task_of(2, mode='ecdh', receivers=(1,), size_only=True),
]


@pytest.mark.parametrize('task', REVEALED, ids=lambda t: f'{t.mode}-{t.m}-{t.owners}')
def test_named_receivers_learn_what_python_finds_and_nobody_else(task):
    results = run_cluster(lambda mpc: party(mpc, task), task.m, verified=task.verified)
    expected = common(task.owners)
    for pid, result in enumerate(results):
        assert not result['keep']
        if pid not in task.receivers:
            assert result['outputs'] == {}
        elif task.reveals_size:
            assert result['outputs'] == {'rows_common': len(expected)}
        else:
            own = [x for x in IDS[pid] if x in expected]
            assert result['outputs'] == {'identifiers': own}
    geometry = Geometry(task.m, (task.m - 1) // 2, task.verified)
    predicted, (rounds, total) = join_task_cost(task, geometry), cost_of(results)
    assert total == predicted.total_bytes
    assert rounds == predicted.rounds if task.mode != 'ecdh' else rounds <= predicted.rounds


SHARED = [
    task_of(width=5, receivers=(0, 3), counts=('common', 'each')),
    task_of(width=1, verified=True, kind='full', receivers=(1,), counts=('common',)),
    task_of(kind='inner', width=2, required=(1, 2), bound=8, receivers=(2,), counts=('common',)),
    task_of(3, kind='inner', width=1),
    task_of(3, width=2, same_order=False),
]


@pytest.mark.parametrize('task', SHARED, ids=lambda t: f'{t.kind}-{t.m}')
def test_a_shared_result_is_kept_and_goes_on_in_a_later_session(task):
    results = run_cluster(lambda mpc: party(mpc, task), task.m, verified=task.verified)

    async def later(mpc):
        bits, columns = resume_join(mpc, results[mpc.pid]['keep'])
        both = [*bits.values(), *(x for pair in columns.values() for x in pair)]
        return np.concatenate(await mpc.output(both), axis=1)

    opened = run_cluster(later, task.m)[0]
    np.testing.assert_array_equal(ordered(opened[opened.any(axis=1)]), expected_rows(task))
    wanted = {}
    joint = common([0, *(task.required or task.owners[1:])])
    for output in task.outputs:
        wanted[output] = len(joint) if output == 'rows_common' else \
            {PARTIES[p]: len(common((0, p))) for p in task.owners[1:]}
    for pid, result in enumerate(results):
        assert result['outputs'] == {o: v for o, v in wanted.items() if pid in task.outputs[o]}
    size = int(results[0]['keep']['place'][3])
    predicted = join_task_cost(task, Geometry(task.m, 1, task.verified), size)
    rounds, total = cost_of(results)
    assert total == predicted.total_bytes
    if task.kind != 'inner':  # where the step of matching ends while places are still computed
        assert rounds == predicted.rounds


def expected_rows(task):
    """Presence of all owners, then values and known bits of each, as `later` opens them."""
    everybody = sorted(set().union(*(IDS[p] for p in task.owners)))
    kept = {'left': IDS[0], 'full': everybody,
            'inner': sorted(common([0, *(task.required or task.owners[1:])]))}[task.kind]
    rows = []
    for name in kept:
        row = [float(name in IDS[p]) for p in task.owners]
        for p, width in zip(task.owners, task.widths, strict=True):
            if width:
                values = Floats(p, width).values[IDS[p].index(name)] if name in IDS[p] else \
                    np.full(width, np.nan)
                known = ~np.isnan(values)
                row += [*np.where(known, values, 0), *known]
        rows.append(row)
    return ordered(np.array(rows, float))


def test_values_that_fixed_point_cannot_hold_are_refused_without_being_named():
    wide = Floats(0, 3)
    wide.values[4, 1] = -2.0 ** 42
    with pytest.raises(LocalProtocolError, match='feature 1 ') as caught:
        FixedColumns(wide).read(0, 6)
    assert '4398046511104' not in str(caught.value)


@pytest.mark.parametrize(('more', 'says'), [
    ({'mode': 'ecdh', 'receivers': (0,)}, 'two owners alone'),
    ({'m': 2, 'mode': 'ecdh', 'receivers': (0,), 'verified': True}, 'verified'),
    ({'m': 3, 'verified': True}, 'expected 4'),
    ({'m': 2}, 'expected 4 or 3'),
    ({'owners': (1, 2)}, 'the initiator'),
    ({'counts': ('common',)}, 'receivers'),
    ({'receivers': (0,)}, 'counts'),
    ({'kind': 'inner', 'counts': ('common',), 'receivers': (0,)}, 'everybody learns'),
    ({'mode': 'reveal-size'}, 'nobody receives'),
    ({'mode': 'reveal-size', 'receivers': (0,), 'width': 1}, 'features'),
    ({'mode': 'reveal-size', 'receivers': (0,), 'size_only': True}, 'ecdh'),
    ({'mode': 'reveal-identifiers', 'receivers': (3,), 'owners': (0, 1)}, 'owns no list'),
    ({'mode': 'reveal-size', 'receivers': (0,), 'kind': 'full'}, 'shared result'),
    ({'bound': 3}, 'bound'),
    ({'mode': 'both'}, 'mode'),
])
def test_a_task_that_nobody_can_run_is_refused(more, says):
    with pytest.raises((ValueError, LocalProtocolError), match=says):
        task_of(**more)


TRAFFIC = [
    task_of(slack=6, mode='reveal-identifiers', receivers=(1, 2)),
    task_of(slack=6, mode='reveal-size', receivers=(3,), verified=True),
    task_of(slack=6, width=5, receivers=(0,), counts=('common', 'each')),
    task_of(3, slack=6, kind='full', receivers=(2,), counts=('common',)),
    task_of(2, slack=6, mode='ecdh', receivers=(0, 1)),
]


@pytest.mark.parametrize('task', TRAFFIC, ids=lambda t: f'{t.mode}-{t.m}')
def test_the_frames_are_the_same_whatever_the_lists_hold(task, monkeypatch):
    def frames_of():
        seen = defaultdict(list)

        def tap(source, target, frame, payload):
            if frame.kind in OF_PROGRAMS:
                seen[source, target].append((frame.operation, frame.kind, frame.tag, frame.length))
            return [(frame, payload)]
        run_cluster(lambda mpc: party(mpc, task), task.m, verified=task.verified, tap=tap)
        return {pair: sorted(sent) for pair, sent in seen.items()}

    as_they_are = frames_of()
    others = [names(*range(100 * p, 100 * p + len(own))) for p, own in enumerate(IDS)]
    monkeypatch.setitem(globals(), 'IDS', others)
    assert frames_of() == as_they_are
    monkeypatch.setitem(globals(), 'IDS', [names(*range(len(own) + 4)) for own in others])
    assert frames_of() == as_they_are
