"""Private set intersection against Python sets: any sizes, both modes, and hostile messages."""

from __future__ import annotations

import functools
import re
from hashlib import blake2b, sha256

import numpy as np
import pytest
from adversary import KINDS, Attack, attacked, frames_of
from engine_kit import OF_PROGRAMS

from engine.cluster import run_cluster
from engine.errors import EngineError
from protocols import oprf, psi
from protocols.psi import Plan, intersect


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Several chunks per list, the last one partly full, in tests of a few rows."""
    monkeypatch.setattr(psi, 'CHUNK', 5)


def names(*numbers):
    return [f'公司-{i}' for i in numbers]


SETS = {
    'some': (names(*range(12)), names(*range(9, 20))),
    'all': (names(*range(11)), names(*reversed(range(11)))),
    'none': (names(*range(6)), names(*range(6, 13))),
    'one row each': (names(1), names(1)),
    'one row, none': (names(1), names(2)),
    'one empty': (names(1, 2), []),
    'both empty': ([], []),
    'very different sizes': (names(3, 50), names(*range(60))),
    'odd text': (['', 'a', 'x' * 3000, '\u200b'], ['x' * 3000, 'A', '']),
}
MODES = {'client': {}, 'proved': {'proved': True}, 'helper': {'helper': 2}}


def run(sets, plan, m=3, rows=None, **more):
    """Results of all parties; the owners hold the two sets."""
    async def program(mpc):
        ids = sets[plan.owners.index(mpc.pid)] if mpc.pid in plan.owners else None
        return await intersect(mpc, ids, plan)
    return run_cluster(program, m, **more)


def plan_for(sets, receivers, slack=(0, 0), owners=(0, 1), **more):
    return Plan(owners, (len(sets[0]) + slack[0], len(sets[1]) + slack[1]), receivers, **more)


def check(sets, plan, m=3, **more):
    common = set(sets[0]) & set(sets[1])
    for party, result in enumerate(run(sets, plan, m, **more)):
        if party not in plan.receivers:
            assert result is None
            continue
        assert result.size == len(common)
        if plan.size_only:
            assert result.rows is None
        else:
            own = sets[plan.owners.index(party)]
            assert result.rows.tolist() == [i for i, x in enumerate(own) if x in common]


@pytest.mark.parametrize('case', SETS)
@pytest.mark.parametrize('mode', MODES)
def test_identifiers(case, mode):
    check(SETS[case], plan_for(SETS[case], (0, 1), (1, 7), **MODES[mode]))


@pytest.mark.parametrize('case', SETS)
@pytest.mark.parametrize('mode', ['client', 'helper'])
def test_only_the_size(case, mode):
    check(SETS[case], plan_for(SETS[case], (1, 2), (4, 0), size_only=True, **MODES[mode]))


@pytest.mark.parametrize('receivers', [(0,), (1,), (0, 1)])
@pytest.mark.parametrize('size_only', [True, False])
@pytest.mark.parametrize('mode', ['client', 'helper'])
def test_only_receivers_learn(receivers, size_only, mode):
    plan = plan_for(SETS['some'], receivers, size_only=size_only, **MODES[mode])
    check(SETS['some'], plan)
    flipped = Plan((1, 0), plan.rows, receivers, size_only, plan.helper)
    check(SETS['some'], flipped)


@pytest.mark.parametrize('size_only', [True, False])
def test_two_parties_alone(size_only):
    check(SETS['some'], plan_for(SETS['some'], (0, 1), size_only=size_only), m=2)


def test_two_of_four_parties():
    check(SETS['some'], plan_for(SETS['some'], (1, 3), owners=(3, 1), proved=True), m=4)


def test_random_sets():
    rng = np.random.default_rng(7)
    for seed in range(3):
        sets = tuple(names(*rng.permutation(40)[:n]) for n in rng.integers(0, 40, 2))
        for mode in MODES.values():
            check(sets, plan_for(sets, (0, 1), (seed, 3), **mode))


@pytest.mark.parametrize('mode', MODES)
def test_more_rows_than_the_manifest_states_are_refused(mode):
    plan = Plan((0, 1), (3, 4), (0,), **MODES[mode])
    with pytest.raises(EngineError, match='4 rows, but the manifest states at most 3'):
        run((names(1, 2, 3, 4), names(1)), plan)


@pytest.mark.parametrize('mode', MODES)
def test_repeated_identifiers_are_refused_without_naming_them(mode):
    plan = Plan((0, 1), (5, 5), (0,), **MODES[mode])
    with pytest.raises(EngineError, match='2 of 5 identifiers repeat') as caught:
        run((names(1, 2, 3, 2, 1), names(1)), plan)
    assert '公司' not in str(caught.value)


@pytest.mark.parametrize('wrong, message', [
    ({'owners': (1, 1)}, 'two different owners'),
    ({'helper': 1}, 'a helper that is neither'),
    ({'receivers': ()}, 'one or more'),
    ({'receivers': (0, 0)}, 'each once'),
    ({'receivers': (0, 2)}, 'can only receive the size'),
    ({'receivers': (2,), 'size_only': True}, 'no receiver among the owners'),
    ({'proved': True, 'helper': 2}, 'belongs to the OPRF'),
    ({'proved': True, 'size_only': True}, 'belongs to the OPRF'),
    ({'witness': 2}, 'a fourth party'), ({'helper': 2, 'witness': 2}, 'a fourth party'),
    ({'helper': 2, 'witness': 1}, 'a fourth party'),
])
def test_plans_that_contradict_themselves(wrong, message):
    with pytest.raises(ValueError, match=message):
        Plan(**{'owners': (0, 1), 'rows': (1, 1), 'receivers': (0,), **wrong})


def test_disclosures_name_every_party_that_learns_something():
    who = ['bank', 'telecom', 'city']
    told = Plan((0, 1), (1, 1), (1,), helper=2).disclosures(who)
    assert set(told) == {'telecom', 'city'}
    assert 'which of its own identifiers bank has' in told['telecom']
    assert 'how many' in told['city'] and 'not which' in told['city']
    assert set(Plan((0, 1), (1, 1), (0,), size_only=True).disclosures(who)) == {'bank'}


def test_verified_mode_without_a_witness_is_refused():
    for more in MODES.values():
        with pytest.raises(EngineError, match='not-verifiable'):
            run(SETS['some'], plan_for(SETS['some'], (0,), **more), m=4, verified=True)


# --- two helpers that check each other ---

WITNESSED = {'helper': 2, 'witness': 3}


@pytest.mark.parametrize('case', SETS)
@pytest.mark.parametrize('size_only', [True, False])
@pytest.mark.parametrize('verified', [True, False])
def test_with_a_witness(case, size_only, verified):
    receivers = (0, 2, 3) if size_only else (0, 1)
    plan = plan_for(SETS[case], receivers, (1, 2), size_only=size_only, **WITNESSED)
    check(SETS[case], plan, 4, verified=verified)


@pytest.mark.parametrize('cheater', [2, 3])
@pytest.mark.parametrize('size_only', [True, False])
def test_a_helper_that_reports_something_else_is_found(cheater, size_only):
    plan = plan_for(SETS['some'], (0, 1), size_only=size_only, **WITNESSED)

    async def program(mpc):
        if mpc.pid == cheater:
            send = mpc.send_private

            def changed(values, sender, receiver, shape, *more):
                if sender == cheater:
                    values = values ^ np.uint64(1)
                return send(values, sender, receiver, shape, *more)
            mpc.send_private = changed
        ids = SETS['some'][plan.owners.index(mpc.pid)] if mpc.pid in plan.owners else None
        return await intersect(mpc, ids, plan)
    results = run_cluster(program, 4, verified=True, raw_errors=True)
    assert all(isinstance(r, EngineError) for r in results[:2])
    assert 'cheating-detected' in {r.code for r in results[:2]}


@pytest.mark.parametrize('owner', [0, 1])
def test_an_owner_that_tells_the_helpers_different_lists_is_found(owner):
    plan = plan_for(SETS['some'], (0, 1), **WITNESSED)

    async def program(mpc):
        send = mpc.send_private

        def changed(values, sender, receiver, shape, *more):
            if values is not None and sender == mpc.pid == owner and receiver == 3:
                values = values.copy()
                values[-1] += np.uint64(1)
            return send(values, sender, receiver, shape, *more)
        mpc.send_private = changed
        ids = SETS['some'][plan.owners.index(mpc.pid)] if mpc.pid in plan.owners else None
        return await intersect(mpc, ids, plan)
    results = run_cluster(program, 4, verified=True, raw_errors=True)
    assert all(isinstance(r, EngineError) for r in results)
    assert any('told both helpers' in str(r) for r in results)


@functools.cache
def between_helpers(size_only):
    """(program, its plan, what all parties end with) where everybody is honest."""
    sets = SETS['very different sizes']
    plan = plan_for(sets, (0, 1), size_only=size_only, **WITNESSED)

    async def program(mpc):
        ids = sets[plan.owners.index(mpc.pid)] if mpc.pid in plan.owners else None
        result = await intersect(mpc, ids, plan)
        return result and (result.size, None if size_only else result.rows.tolist())
    return program, plan, run_cluster(program, 4, verified=True)


@pytest.mark.parametrize('size_only', [True, False])
@pytest.mark.parametrize('kind', KINDS)
def test_attacks_on_the_frames_of_helpers(kind, size_only):
    program, plan, right = between_helpers(size_only)
    for cheater in plan.helpers:
        sent = frames_of(program, cheater, verified=True)
        at = sent - 1 - KINDS.index(kind) % 4  # the last ones are those of the result
        outcome = attacked(program, Attack(kind, at), cheater, verified=True)
        for pid, result in zip((p for p in range(4) if p != cheater), outcome, strict=True):
            assert isinstance(result, EngineError) or result == right[pid]


# --- what travels ---

def traffic(sets, plan):
    """(frames in order of each direction, all bytes)."""
    shapes, wire = {}, bytearray()

    def tap(source, target, frame, payload):
        if frame.kind in OF_PROGRAMS:
            shapes.setdefault((source, target), []).append((frame.kind, len(payload)))
        wire.extend(payload.tobytes())
        return [(frame, payload)]
    run(sets, plan, tap=tap)
    return shapes, bytes(wire)


@pytest.mark.parametrize('size_only', [True, False])
@pytest.mark.parametrize('mode', MODES)
def test_traffic_depends_on_public_sizes_only(size_only, mode):
    if size_only and mode == 'proved':
        pytest.skip('no proof for the size only')
    plan = Plan((0, 1), (12, 20), (0, 1), size_only, **MODES[mode])
    first, wire = traffic((names(*range(12)), names(*range(20))), plan)
    for other in ((names(*range(12)), names(*range(30, 50))), ([], []), (names(1), names(1, 2))):
        assert traffic(other, plan)[0] == first
    for name in names(*range(20)):
        raw = name.encode()
        for secret in (raw, blake2b(raw, digest_size=16).digest(), sha256(raw).digest()[:16],
                       oprf.hash_to_group([raw]).tobytes()):
            assert secret not in wire


# --- hostile parties ---

def hostile(plan, change, honest=0, m=2):
    """The error of the honest party when every array of the other one goes through `change`."""
    async def program(mpc):
        if mpc.pid != honest and mpc.pid in plan.owners:
            send = mpc.send_private

            def changed(values, sender, receiver, shape, dtype=np.uint64):
                if values is not None and mpc.pid == sender:
                    values, shape = change(np.array(values), shape)
                return send(values, sender, receiver, shape, dtype)
            mpc.send_private = changed
        return await intersect(mpc, names(*range(9)) if mpc.pid in plan.owners else None, plan)
    return run_cluster(program, m, raw_errors=True, idle_deadline=2)[honest]


def spoilt(values, shape):
    """Not group elements any more (tags and bits are left alone)."""
    if shape[-1] == 4:
        values[0] = 0
    return values, shape


def repeated(values, shape):
    if shape[-1] == 4:
        values[1] = values[0]
    return values, shape


def longer(values, shape):
    if shape[-1] == 4:
        values, shape = np.concatenate([values, values[:1]]), (shape[0] + 1, 4)
    return values, shape


@pytest.mark.parametrize('size_only', [True, False])
@pytest.mark.parametrize('receiver', [0, 1])
def test_points_that_do_not_decode(size_only, receiver):
    error = hostile(Plan((0, 1), (10, 10), (receiver,), size_only), spoilt)
    assert isinstance(error, EngineError)
    assert (error.code, error.party) == ('bad-element', 1)
    assert re.search('1 of 5 encodings', str(error))


@pytest.mark.parametrize('size_only', [True, False])
@pytest.mark.parametrize('receiver', [0, 1])
def test_wrong_lengths(size_only, receiver):
    error = hostile(Plan((0, 1), (10, 10), (receiver,), size_only), longer)
    assert isinstance(error, EngineError)
    assert error.code in ('wrong-length', 'program-divergence') and error.party == 1


@pytest.mark.parametrize('receiver', [0, 1])
def test_repeated_elements_would_mark_identifiers(receiver):
    error = hostile(Plan((0, 1), (10, 10), (receiver,), size_only=True), repeated)
    assert (error.code, error.party) == ('repeated-element', 1)


def test_a_server_with_a_second_key_fails_its_proof():
    def change(values, shape):
        if shape[-1] == 4 and shape[0] > 1:
            values[2] = oprf.multiply(values[2:3].view(np.uint8), oprf.random_scalar()
                                      ).view(np.uint64)[0]
        return values, shape
    error = hostile(Plan((0, 1), (10, 10), (0,), proved=True), change)
    assert (error.code, error.party) == ('bad-proof', 1)
    # Without the proof the element just does not match, which is why there is one.
    assert hostile(Plan((0, 1), (10, 10), (0,)), change).size < 9
