"""MPyC's own types in verified mode: MPyC's results, predicted costs, and no lie that passes."""

from __future__ import annotations

import numpy as np
import pytest
from adversary import Attack, attacked, frames_of
from mpyc_kit import at_party, run_mpyc

from engine import checked_fields, frames, mpyc_arrays, mpyc_checked
from engine._mpyc import fingroups
from engine.costs_verified import predict
from engine.errors import EngineError, LocalProtocolError
from engine.public_values import encode
from engine.shamir import Geometry


async def integers(mpc):
    secint = mpc.SecInt(32)
    x = mpc.input(secint(3 * mpc.pid - 4))
    a, b, c, d = x
    values = [a * b + c, mpc.prod(x), a < b, a == c, d // 2, mpc.max(x), mpc.argmin(x)[0],
              mpc.if_else(c < d, a, d), mpc.in_prod(x, x), d % 4, abs(a), *mpc.sorted(x)]
    return [int(v) for v in await mpc.output(values)]


async def fractions(mpc):
    secfxp = mpc.SecFxp(32, 16)
    a, b, *_ = mpc.input(secfxp(mpc.pid + 1.5))
    values = [a * b, a / b, a < b, 1 / b]
    return [round(v, 2) for v in await mpc.output(values)]


async def wide(mpc):
    secint = mpc.SecInt(128)
    x = mpc.input(secint(10**18 * (mpc.pid - 1)))
    array = secint.array(np.array([10**20, -3], object))
    return [*await mpc.output([x[2] * x[3], x[0] < x[1]]),
            *(await mpc.output(array * array)).tolist()]


async def small_fields(mpc):
    f101, bit, byte = mpc.SecFld(101), mpc.SecFld(2), mpc.SecFld(2**8)
    a = mpc.input(f101(7 + mpc.pid))
    b = mpc.input(bit(mpc.pid % 2))
    c = mpc.input(byte(3 + mpc.pid), senders=1)
    d = mpc.input(f101.array(np.array([100, 2])), senders=2)
    found = [await mpc.output(v) for v in (a[0] * a[1], 1 / a[3], a[2] == a[2], b[0] + b[1],
                                           b[1] * b[3], b[0] * b[1], c * c, c**254 * c)]
    return [int(v) for v in found] + (await mpc.output(d * d)).value.tolist()


async def lists(mpc):
    secint = mpc.SecInt(16)
    x = mpc.seclist([5, 1, 4, 2], secint)
    at = mpc.input(secint(2), senders=3)
    drawn = mpc.random.random_permutation(secint, [0, 1, 2, 3])
    values = [x[at], mpc.find(mpc.to_bits(x[1]), 0), *mpc.unit_vector(at, 4),
              *mpc.to_bits(x[0])[:3]]
    return [await mpc.output(values), sorted(await mpc.output(drawn))]


async def statistics(mpc):
    secint, secfxp = mpc.SecInt(16), mpc.SecFxp(32)
    x = [secint(v) for v in (4, 1, 1)]
    y = mpc.input([secfxp(v) for v in (2.0, 4.0, 6.0)], senders=0)
    values = [mpc.statistics.mean(x), mpc.statistics.median(x), mpc.statistics.mode(x)]
    spread = [mpc.statistics.variance(y), mpc.statistics.mean(y)]
    return await mpc.output(values) + [round(v, 2) for v in await mpc.output(spread)]


async def conversions(mpc):
    x = mpc.input(mpc.SecInt(16)(9), senders=1)
    y = mpc.convert([x, x * 2], mpc.SecFld(101))
    z = mpc.convert(y, mpc.SecFxp(32))
    return [int(v) for v in await mpc.output([y[0] * y[1], y[0]])] + await mpc.output(z)


async def floats(mpc):
    secflt = mpc.SecFlt(16)
    x = mpc.input(secflt(2.5), senders=0)
    mine = await mpc.output([x, x - x], receivers=[1, 2])
    return [mine == ([2.5, 0.0] if mpc.pid in (1, 2) else [None, None]),
            await mpc.output(x * 2)]


async def groups(mpc):
    group = fingroups.QuadraticResidues(l=14)
    g, secgrp = group.generator, mpc.SecGrp(group)
    zn = mpc.SecFld(modulus=int(group.order))
    x = mpc.input(zn(11), senders=2)
    secret = mpc.input(secgrp(g), senders=1)
    return [await secgrp.repeat_public(g, x) == g^11,
            await mpc.output(secgrp.repeat(g, x)) == g^11,
            await mpc.output(secret @ secret) == g^2,
            await secgrp.repeat_public(g, mpc.SecInt(4)(5)) == g^5]


async def powers(mpc):
    """Points of a curve; an exponent in a small field; a group whose order is no prime."""
    curve, cycles = fingroups.EllipticCurve("Ed25519", "extended"), fingroups.SymmetricGroup(5)
    small, cycle = fingroups.QuadraticResidues(p=7), cycles((1, 2, 3, 4, 0))
    k = mpc.input(mpc.SecInt(8)(-3), senders=3)
    found = []
    for group, g, exponent, value in (
            (curve, curve.generator, mpc.SecFld(int(curve.order))(2**200 + 5), 2**200 + 5),
            (curve, curve.generator, k, -3), (cycles, cycle, k, -3),
            (small, small.generator, mpc.SecFld(3)(2), 2)):
        secgrp = mpc.SecGrp(group)
        found += [await mpc.output(secgrp.repeat(g, exponent)) == group.repeat(g, value),
                  await secgrp.repeat_public(g, exponent) == group.repeat(g, value)]
    return found


async def told(mpc):
    return await mpc.transfer({"from": mpc.pid}), await mpc.transfer(mpc.pid, senders=2)


EXPECTED = {
    integers: [6, 40, 1, 0, 2, 5, 0, -4, 46, 1, 4, -4, -1, 2, 5],
    fractions: [3.75, 0.6, 1.0, 0.4],
    wide: [2 * 10**36, 1, 10**40, 9],
    small_fields: [56, pow(10, -1, 101), 1, 1, 1, 0, 16, 1, 1, 4],
    lists: [[4, 1, 0, 0, 1, 0, 1, 0, 1], [0, 1, 2, 3]],
    statistics: [2, 1, 1, 4.0, 4.0],
    conversions: [61, 9, 9.0, 18.0],
    floats: [True, 5.0],
    groups: [True] * 4,
    powers: [True] * 8,
    told: ([{"from": p} for p in range(4)], 2),
}
NAMED = pytest.mark.parametrize("program", EXPECTED, ids=lambda p: p.__name__)


@NAMED
def test_programs_in_mpycs_style_give_what_mpyc_gives(program):
    for result in run_mpyc(program, 4, verified=True):
        assert result == EXPECTED[program]


@pytest.mark.parametrize("m, t", [(3, 0), (5, 1), (7, 2)])
def test_other_deployments(m, t):
    async def program(mpc):
        x = mpc.input([mpc.SecInt(32)(-5), mpc.SecInt(32)(3)], senders=m - 1)
        y = mpc.input(mpc.SecFld(101)(7), senders=0)
        return await mpc.output([x[0] * x[1], x[0] < x[1]]), int(await mpc.output(1 / y))
    for result in run_mpyc(program, m, t, verified=True):
        assert result == ([-15, 1], 29)


@pytest.mark.parametrize("verified", [False, True], ids=["default", "verified"])
def test_empty_arrays_open(verified):
    async def program(mpc):
        x = mpc.input(mpc.SecFld(101).array(np.array([1, 2])), senders=0)
        return (await mpc.output(x[:0])).value.shape
    assert run_mpyc(program, 4, verified=verified) == [(0,)] * 4


# --- costs ---

@pytest.mark.parametrize("m, t", [(4, 1), (7, 2)])
def test_messages_over_other_fields_cost_what_the_formulas_say(m, t):
    n, meters = 5, []

    async def program(mpc):
        meters.append(mpc.meter)
        field = mpc.SecFld(2**16 + 1)
        x = mpc.input([field(k) for k in range(n)], senders=1)
        y = mpc.schur_prod(x, x)
        await mpc.output(y, receivers=[0, 2])
    run_mpyc(program, m, t, verified=True)
    formulas = {"field_input": checked_fields.input_cost(n, 3, m, t),
                "field_multiply": checked_fields.multiply_cost(n, 3, m, t),
                "field_output": checked_fields.output_cost(n, 3, m, t, 2)}
    for name, formula in formulas.items():
        costs = [cost for meter in meters for path, cost in meter.paths.items() if path[-1] == name]
        assert len(costs) == m
        assert {c.rounds for c in costs} == {formula.rounds}
        assert sum(c.bytes_sent for c in costs) == formula.total_bytes
        assert {c.predicted_total_bytes for c in costs} == {formula.total_bytes}


def test_scalars_over_the_engines_field_are_the_engines_operations():
    seen = []

    async def program(mpc):
        seen.append(mpc.meter)
        x = mpc.input([mpc.SecInt()(k) for k in range(5)], senders=1)
        await mpc.output(mpc.schur_prod(x, x))
    run_mpyc(program, 4, verified=True)
    for name in ("input", "multiply", "output"):
        costs = [cost for meter in seen for path, cost in meter.paths.items() if path[-1] == name]
        cost = predict(name, 5, Geometry(4, 1, verified=True))
        assert sum(c.bytes_sent for c in costs) == cost.total_bytes


def test_what_is_masked_opens_without_the_word_of_all():
    """A remainder opens masked numbers, over the engine's field and another; so do random bits."""
    seen = []

    async def program(mpc):
        seen.append(mpc.meter)
        x, y = mpc.SecInt(32)(77), mpc.SecInt(128)(77)
        values = [x % 2, y % 2, *mpc.random_bits(mpc.SecInt(32), 2)]
        opened = await mpc.output(values[0]), await mpc.output(values[1:2])
        assert await mpc.eq_public(x, 77), "meant to be known, so no masked opening"
        return [int(opened[0]), int(opened[1][0])]

    assert run_mpyc(program, 4, verified=True) == [[1, 1]] * 4
    g = Geometry(4, 1, verified=True)
    per_opening = {"open_masked": predict("open_masked", 1, g), "output": predict("output", 1, g),
                   "field_open_masked": checked_fields.output_cost(1, 21, 4, 1, 4, masked=True),
                   "field_output": checked_fields.output_cost(1, 21, 4, 1, 4)}
    sizes = [per_opening[n].total_bytes for n in per_opening]
    assert sizes[0] < sizes[1] and sizes[2] < sizes[3], "what is masked needs no seals"
    for name, formula in per_opening.items():
        costs = [cost for meter in seen for path, cost in meter.paths.items() if path[-1] == name]
        assert len(costs) == 4 and costs[0].calls >= 1, name
        assert {c.rounds for c in costs} == {formula.rounds * costs[0].calls}
        assert sum(c.bytes_sent for c in costs) == costs[0].predicted_total_bytes


# --- cheaters ---

async def products(mpc):
    x = mpc.input([mpc.SecInt(32)(k) for k in (6, -7)], senders=1)
    return await mpc.output([x[0] * x[1], x[0] < x[1]])


async def wide_products(mpc):
    x = mpc.input([mpc.SecInt(128)(k) for k in (6, -7)], senders=1)
    return await mpc.output([x[0] * x[1], x[1] + 1])


async def remainders(mpc):
    """Masked openings of MPyC's own protocols."""
    x = mpc.input([mpc.SecInt(32)(k) for k in (6, -7)], senders=1)
    return await mpc.output([x[0] % 4, x[1] % 2])


async def shared_power(mpc):
    group = fingroups.QuadraticResidues(l=14)
    x = mpc.input(mpc.SecFld(modulus=int(group.order))(11), senders=1)
    power = await mpc.output(mpc.SecGrp(group).repeat(group.generator, x))
    return [power == group.generator^11]


async def bits(mpc):
    x = mpc.input([mpc.SecFld(2)(k) for k in (1, 1)], senders=1)
    return [int(v) for v in await mpc.output([x[0] * x[1], x[0] + x[1]])]


ATTACKED = {products: [-42, 0], wide_products: [-42, -6], bits: [1, 0], remainders: [2, 1],
            shared_power: [True]}


@pytest.mark.parametrize("kind", ["wrong", "random", "equivocate", "drop", "replay", "truncate"])
@pytest.mark.parametrize("program", ATTACKED, ids=lambda p: p.__name__)
def test_whatever_a_party_sends_the_result_is_right_or_everything_stops(program, kind):
    for cheater in (1, 2):  # the owner of the inputs, and another
        sent = frames_of(at_party(program), cheater, verified=True)
        places = 1 if kind == "drop" else 3
        for k in range(places):
            at = 3 + (2 * k + 1) * (sent - 3) // (2 * places)  # keys are compared before
            attack = Attack(kind, at, onwards=k == 1)
            for result in attacked(at_party(program), attack, cheater, verified=True):
                assert isinstance(result, EngineError) or result == ATTACKED[program], (at, sent)


@pytest.mark.parametrize("program", ATTACKED, ids=lambda p: p.__name__)
def test_every_wrong_share_of_a_product_is_found(program):
    codes = set()
    sent = frames_of(at_party(program), 2, verified=True)
    for at in range(3, sent):
        results = attacked(at_party(program), Attack("wrong", at), 2, verified=True)
        assert all(isinstance(r, EngineError) or r == ATTACKED[program] for r in results)
        codes |= {r.code for r in results if isinstance(r, EngineError)}
        # Of few bits, one more may also be no element of the field.
        if "cheating-detected" in codes or (program is products and at > 40):
            break
    assert "cheating-detected" in codes


def test_in_the_default_mode_a_wrong_share_falsifies_the_result():
    count = 0

    def tap(source, target, frame, payload):
        nonlocal count
        if source == 2 and frame.kind == frames.SCALAR:
            payload = payload.copy()
            payload[0] ^= 1
            count += 1
        return [(frame, payload)]
    results = run_mpyc(wide_products, 4, tap=tap, raw_errors=True)
    assert count and any(r != ATTACKED[wide_products] for r in results)


def stopped(program, tap=None):
    """The errors of all parties."""
    results = run_mpyc(program, 4, tap=tap, raw_errors=True, verified=True, idle_deadline=2)
    assert all(isinstance(r, EngineError) for r in results), results
    return results


def test_an_owner_that_tells_two_parties_different_inputs_is_found():
    """The number that everybody compares: 17 bytes of an element of SecInt(128)'s field."""
    async def program(mpc):
        return await mpc.output(mpc.input(mpc.SecInt(128)(4), senders=1) + 1)

    def tap(source, target, frame, payload):
        if (source, target) == (1, 3) and frame.kind == frames.ARRAY and frame.tag >> 16 == 1:
            payload = payload.copy()
            payload[0] ^= 1
        return [(frame, payload)]
    assert "cheating-detected" in {e.code for e in stopped(program, tap)}


def test_what_is_outside_of_the_field_does_not_come_in():
    """A "bit" that is no bit but an element of the larger field that holds shares of bits."""
    async def program(mpc):
        bit = mpc.SecFld(2)
        x = bit(0)
        if mpc.pid == 1:
            x.share = bit.field(2)
        return await mpc.output(mpc.input(x, senders=1) * bit(1))
    errors = stopped(program)
    assert {(e.code, e.party) for e in errors[2:]} >= {("cheating-detected", 1)}


def test_a_transferred_value_is_the_same_to_all():
    async def program(mpc):
        return await mpc.transfer(1000 + mpc.pid)

    def tap(source, target, frame, payload):
        if (source, target) == (2, 1) and frame.kind == frames.SCALAR:
            payload = np.frombuffer(encode(7), np.uint8)
            frame = frame._replace(length=len(payload))
        return [(frame, payload)]
    errors = stopped(program, tap)
    assert "cheating-detected" in {e.code for e in errors}
    assert run_mpyc(program, 4, tap=tap)[1] == [1000, 1001, 7, 1003]  # nobody compares


def test_a_published_power_must_be_that_of_the_share():
    """The same wrong element of the group to everybody. In a small group the right one might be it:
    the generator, if the share is 1."""
    group = fingroups.QuadraticResidues(l=64)

    async def program(mpc):
        x = mpc.input(mpc.SecFld(modulus=int(group.order))(11), senders=2)
        return await mpc.SecGrp(group).repeat_public(group.generator, x)

    def tap(source, target, frame, payload):
        if source == 2 and frame.kind == frames.SCALAR:
            payload = np.frombuffer(encode(group.generator), np.uint8)
            frame = frame._replace(length=len(payload))
        return [(frame, payload)]
    assert "cheating-detected" in {e.code for e in stopped(program, tap)}
    assert run_mpyc(program, 4, tap=tap)[0] != group.generator^11


# --- ranges of inputs ---

def test_inputs_of_mpycs_types_are_proven_to_be_in_range(monkeypatch):
    def program(stype, value):
        async def run(mpc):
            return await mpc.output(mpc.input(stype(mpc)(value), senders=1) + 1)
        return run
    async def bounded(mpc):
        return mpc.input(mpc.SecInt(32)(5), senders=1, bits=20)
    options = {"verified": True, "check_inputs": 20}
    assert run_mpyc(program(lambda mpc: mpc.SecInt(32), 5), 4, **options) == [6] * 4
    with pytest.raises(LocalProtocolError, match="OverflowError at party 1"):
        run_mpyc(program(lambda mpc: mpc.SecInt(32), 1 << 25), 4, **options)
    with pytest.raises(TypeError, match="bits bound a secure array"):
        run_mpyc(bounded, 4, verified=True)
    with pytest.raises(LocalProtocolError, match="SecInt128 cannot be proven"):
        run_mpyc(program(lambda mpc: mpc.SecInt(128), 5), 4, **options)
    monkeypatch.setattr(mpyc_checked, "refuse_outside", lambda values, bits: None)
    with pytest.raises(EngineError, match="out-of-range"):
        run_mpyc(program(lambda mpc: mpc.SecInt(32), 1 << 25), 4, **options)


def test_inputs_of_accelerated_arrays_are_proven_too(monkeypatch):
    monkeypatch.setattr(mpyc_arrays, "refuse_outside", lambda values, bits: None)

    async def program(mpc):
        x = mpc.input(mpc.SecInt(32).array(np.array([3, 1 << 25])), senders=1)
        return await mpc.output(x)
    with pytest.raises(EngineError, match="out-of-range"):
        run_mpyc(program, 4, verified=True, check_inputs=20)
