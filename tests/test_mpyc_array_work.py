"""MPyC's secure arrays: the engine does the work, at its costs and in its modes."""

from __future__ import annotations

import numpy as np
import pytest
from mpyc_kit import run_mpyc

from engine import costs, frames
from engine._mpyc import sectypes
from engine.array import SecureArray
from engine.errors import LocalProtocolError
from engine.field import P
from engine.mpyc_arrays import accelerated
from engine.shamir import lagrange

X = np.array([[3, -4, 0], [1 << 20, -(1 << 19), 7]])
Y = np.array([[-2, 5, 1], [9, 0, 7]])


def measured_by_the_engine(program, m=4):
    """Per operation name: rounds, and bytes over all parties."""
    meters = []

    async def run(mpc):
        meters.append(mpc.meter)
        await program(mpc)

    run_mpyc(run, m)
    total: dict[str, list[int]] = {}
    for meter in meters:
        for path, cost in meter.paths.items():
            entry = total.setdefault(path[-1], [0, 0])
            entry[0], entry[1] = entry[0] + cost.rounds, entry[1] + cost.bytes_sent
    return {name: (rounds // m, sent) for name, (rounds, sent) in total.items() if rounds}


@pytest.mark.parametrize("m, t", [(3, 1), (4, 1), (5, 2)])
@pytest.mark.parametrize("name, fn, size", [
    ("multiply", lambda mpc, a: a * a, 60), ("matmul", lambda mpc, a: a @ a.T, 36),
    ("less_than", lambda mpc, a: a < 1, 60), ("equal", lambda mpc, a: a == 1, 60),
    ("truncate", lambda mpc, a: a * 0.3, 60),
    ("random_bits", lambda mpc, a: mpc.np_random_bits(mpc.SecFxp(48), 60), 60)])
def test_operations_cost_what_the_engines_cost(name, fn, size, m, t):
    async def program(mpc):
        a = mpc.input(mpc.SecFxp(48).array(np.arange(60).reshape(6, 10) / 4), senders=0)
        await mpc.output(fn(mpc, a))

    measured = measured_by_the_engine(program, m)
    assert measured[name] == tuple(costs.COSTS[name](size, m, t))
    assert measured["input"] == tuple(costs.share(60, m, t))
    assert measured["output"] == tuple(costs.open_all(size, m, t))
    assert set(measured) == {name, "input", "output"}


def test_nothing_is_sent_as_mpyc_sends_it(monkeypatch):
    async def program(mpc):
        monkeypatch.setattr(type(mpc), "_send_message", None)
        a = mpc.input(mpc.SecFxp(64).array(Y / 2), senders=0)
        b = (a * a < 3) * a + a @ np.eye(3)
        return await mpc.output(np.amax(b, axis=1) / (1 + np.sum(a * a, keepdims=True)[0]))

    for result in run_mpyc(program):
        a = Y / 2
        b = (a * a < 3) * a + a
        np.testing.assert_allclose(result, b.max(1) / (1 + (a * a).sum()), atol=1e-6)


def test_both_kinds_of_arrays_live_side_by_side():
    async def program(mpc):
        theirs = mpc.input(mpc.SecInt(32).array(X), senders=0)
        ours = mpc.input(mpc.array(X), senders=0)
        assert isinstance(ours, SecureArray) and accelerated(theirs)
        return [await mpc.output(v) for v in (theirs * theirs, ours * ours)]

    for theirs, ours in run_mpyc(program):
        assert (theirs == ours).all() and (ours == X * X).all()


def test_verified_mode_covers_accelerated_arrays():
    async def program(mpc):
        a = mpc.input(mpc.SecFxp(64).array(np.array([1.5, -2.25, 1e9])), senders=0)
        return [await mpc.output(v) for v in (a * 2.5, a < 0, a[:2] * a[:2])]

    for scaled, negative, square in run_mpyc(program, 4, 1, verified=True):
        np.testing.assert_allclose(scaled, [3.75, -5.625, 2.5e9], atol=1e-8)
        assert negative.tolist() == [0, 1, 0]
        np.testing.assert_allclose(square, [2.25, 5.0625], atol=1e-8)


def test_the_threshold_is_set_before_the_start():
    async def program(mpc):
        with pytest.raises(LocalProtocolError, match="late-threshold"):
            mpc.threshold = 0
        mpc.threshold = mpc.geometry.t
        assert mpc.threshold == 1

    run_mpyc(program, 3)
    assert sectypes.runtime is not None


def test_what_opens_of_a_product_does_not_tell_its_factors():
    """An inverse opens r·x. Without a sharing of zero the polynomial's roots would be those of the
    factors' lines, and a party that knows a point of x's line could work out x."""
    shares, own = {}, {}

    def tap(source, target, frame, payload):
        if started and frame.kind == frames.SCALAR and len(payload) == 16:
            shares[source] = int.from_bytes(payload.tobytes(), "little")
        return [(frame, payload)]
    started = []

    async def inverse(mpc):
        x = mpc.input(mpc.SecInt(32)(20), senders=2)
        own[mpc.pid] = int((await mpc.gather(x)).value)
        await mpc.transfer(0)
        started.append(mpc.pid)
        await mpc.gather(mpc.reciprocal(x))
    run_mpyc(inverse, 4, tap=tap)
    points = {p + 1: s for p, s in list(shares.items())[:3]}
    # g = a X² + b X + c through three of the shares.
    c, *_ = interpolated = [combined(points, at) for at in (0, 1, P - 1)]
    a = ((interpolated[1] + interpolated[2]) * pow(2, -1, P) - c) % P
    b = (interpolated[1] - a - c) % P
    root = pow((b * b - 4 * a * c) % P, (P + 1) // 4, P)
    places = [(-b + sign * root) * pow(2 * a, -1, P) % P for sign in (1, -1)]
    guesses = [own[0] * -r * pow(1 - r, -1, P) % P for r in places]
    assert 20 not in guesses


def combined(points, at):
    """The value of the polynomial through the points."""
    weights = lagrange(list(points), at % P)
    return sum(w * s for w, s in zip(weights, points.values(), strict=True)) % P
