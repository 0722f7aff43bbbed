"""No randomness is used twice: within a session, in either mode, or in a session started again."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from engine_kit import secret

from engine.cluster import run_cluster
from engine.handshake import Session
from engine.operation import _LABEL
from engine.prss import Randomness
from engine.shamir import Geometry
from engine.verified_select import select_rows


async def every_operation(mpc):
    x = secret(mpc, np.linspace(-2, 2, 40).reshape(20, 2))
    k = secret(mpc, np.arange(20), 1)
    results = [x * x, x.T @ x, mpc.truncate(x, 3, 17), x < 0, k == 3, mpc.to_bits(k, 8),
               mpc.random_bits((9,)), mpc.sigmoid(x), mpc.log(x * x + 1.0), 1 / (x * x + 1.0),
               mpc.rsqrt(x * x + 1.0), mpc.exp(x), mpc.softmax(x[:, 0]), mpc.argmax(k),
               mpc.sqrt(x * x)]
    results.append(mpc.shuffle(x))
    if mpc.geometry.m < 7:  # the sort is slow among seven, and a shuffle and comparisons
        results += [await mpc.sort_rows(x), mpc.random_permutation(7)]
    results.append(mpc.input(mpc.array(np.arange(3)), 0, bits=20))
    if not mpc.geometry.verified:
        own = np.zeros((5, 2), np.uint64) if mpc.pid == 0 else None
        held = mpc.deal_additive(own, 0, (0, 1), (5,), 0)
        results.append(held.permute().hand_over((1, 2)).to_shared())
        await mpc.send_private(np.arange(5) if mpc.pid == 0 else None, 0, 1, (5,), np.int64)
    elif mpc.geometry.t == 1:
        index = np.array([3, -1, 0]) if mpc.pid in (1, 3) else None
        results.append(select_rows(mpc, x, (1, 3), index, 3))
    await mpc.open_negative(x[:, 0])
    await mpc.output(results)
    await mpc.output(await mpc.random_integers(10, 5))


@pytest.mark.parametrize("m, t, verified", [
    (3, 1, False), (4, 1, False), (5, 2, False), (4, 1, True), (7, 2, True)])
def test_no_party_expands_a_name_twice_under_a_key(monkeypatch, m, t, verified):
    """A mask is a keystream; a name that came twice would be one mask on two values."""
    drawn: Counter = Counter()

    def recording(method):
        def record(self, key, name, count, *args):
            # What a party draws for itself alone hides nothing from anybody.
            if method.__name__ == "of_set" or key != self.pid:
                # The arrays here are short: nothing is drawn in more than one part.
                assert args[1:] in ((), (0,))
                drawn[self.pid, method.__name__, key, name] += 1
            return method(self, key, name, count, *args)
        return record
    for method in (Randomness.of_set, Randomness.of_pair):
        monkeypatch.setattr(Randomness, method.__name__, recording(method))
    run_cluster(every_operation, m, t, verified=verified)
    assert len(drawn) > 500
    repeated = {(kind, _LABEL.unpack(name)) for (_, kind, _, name), n in drawn.items() if n > 1}
    assert not repeated


def keys_of(sessions):
    """Set and pair keys of parties that have shaken hands, by party."""
    taken = set()
    for a in sessions:
        for b in sessions:
            if a.pid < b.pid:
                pid, key, sealed = b.greet(a.hello(), None, taken)
                _, same, answer = a.greet(b.hello(), b.pid, taken)
                assert (pid, key) == (a.pid, same)
                a.accept_keys(b.pid, key, sealed)
                b.accept_keys(a.pid, key, answer)
    return [{*s.set_keys.values(), *s.pair_keys.values()} for s in sessions]


def test_a_session_started_again_has_other_keys():
    """The same job, with the same session, program and job keys, as after a crash or a retry."""
    private = [X25519PrivateKey.generate() for _ in range(4)]
    approved = [k.public_key().public_bytes_raw() for k in private]

    def start():
        return keys_of([Session(i, Geometry(4, 1), bytes(32), bytes(32), private=private[i],
                                approved=approved) for i in range(4)])
    for first, again in zip(start(), start(), strict=True):
        assert len(first) == 6 and not first & again
