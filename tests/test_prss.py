"""Correlated randomness: who knows which key, and what the parties' draws add up to."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections import Counter

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from engine_kit import secret
from hypothesis import given, settings
from hypothesis import strategies as st
from test_shamir import degree

from engine import field, masking, prss
from engine.cluster import make_runtimes, run_cluster
from engine.field import P
from engine.masking import MaskPlan
from engine.operation import Operation
from engine.prss import Randomness, derive, expand
from engine.shamir import Geometry, reconstruct

KEY = bytes(range(16))
SIZES = [(3, 1), (4, 1), (5, 1), (5, 2)]


def parties(m, t):
    """Randomness of m parties with keys as a session deals them."""
    g = Geometry(m, t)
    sets = [bytes([1, k]) * 16 for k in range(len(g.sets))]
    return g, [Randomness(i, {k: sets[k] for k in g.sets_of(i)},
                          {j: bytes([2, min(i, j), max(i, j), 0]) * 8 for j in range(m) if j != i},
                          bytes([3, i]) * 16) for i in range(m)]


def test_expansion_is_deterministic_and_a_prefix():
    whole = expand(KEY, b"name", 1000)
    assert whole.dtype == np.uint64 and len(set(whole.tolist())) == 1000
    for count in (0, 1, 2, 3, 999):
        np.testing.assert_array_equal(expand(KEY, b"name", count), whole[:count])


def test_expansion_beyond_one_piece(monkeypatch):
    whole = expand(KEY, b"name", 1001)
    monkeypatch.setattr(prss, "_ZEROS", memoryview(bytes(1 << 10)))
    np.testing.assert_array_equal(expand(KEY, b"name", 1001), whole)


def test_expansion_in_parts():
    whole = expand(KEY, b"name", 1001)
    for start, count in ((0, 10), (5, 40), (300, 401), (500, 1), (77, 0)):
        np.testing.assert_array_equal(expand(KEY, b"name", count, start=start),
                                      whole[2 * start:2 * start + count])


@given(st.lists(st.binary(max_size=40), min_size=2, max_size=6, unique=True))
@settings(max_examples=40)
def test_different_names_give_disjoint_keystreams(names):
    streams = [set(expand(KEY, name, 500).tolist()) for name in names]
    assert len(set.union(*streams)) == 500 * len(names)


def test_different_keys_and_purposes_give_different_streams():
    assert expand(KEY, b"x", 4).tolist() != expand(bytes(16), b"x", 4).tolist()
    derived = {derive(KEY, b"set"), derive(KEY, b"pair"), derive(KEY, b"set", b"x"),
               derive(bytes(16), b"set")}
    assert len(derived) == 4
    _, (one, _, _) = parties(3, 1)
    assert one.pair_secret(1, b"a") != one.pair_secret(1, b"b") != one.pair_secret(2, b"b")


def test_labels_do_not_run_into_each_other():
    assert derive(KEY, b"a", b"bc") != derive(KEY, b"ab", b"c")


@pytest.mark.parametrize("m, t", SIZES)
def test_keys_are_known_exactly_to_their_sets(m, t):
    g, all_parties = parties(m, t)
    for k, members in enumerate(g.sets):
        draws = []
        for party in all_parties:
            if party.pid in members:
                draws.append(party.of_set(k, b"n", 8).tolist())
            else:
                with pytest.raises(KeyError):
                    party.of_set(k, b"n", 8)
        assert all(d == draws[0] for d in draws)
    for a, b in itertools.permutations(all_parties, 2):
        assert a.of_pair(b.pid, b"n", 8).tolist() == b.of_pair(a.pid, b"n", 8).tolist()
        assert a.pair_secret(b.pid, b"n") == b.pair_secret(a.pid, b"n")
        assert a.of_pair(a.pid, b"n", 8).tolist() != b.of_pair(b.pid, b"n", 8).tolist()


@pytest.mark.parametrize("m, t", SIZES)
def test_shares_of_a_random_value_lie_on_a_polynomial_of_degree_t(m, t):
    g, all_parties = parties(m, t)
    shares, total = {}, 0
    for party in all_parties:
        shares[party.pid] = sum(
            g.set_value(k, party.pid) * int(draw) for k in g.sets_of(party.pid)
            for [draw] in [field.to_ints(field.uniform(
                party.of_set(k, b"r", 2).reshape(1, 2)))]) % P
    for k, members in enumerate(g.sets):
        total += int(field.to_ints(field.uniform(
            all_parties[members[0]].of_set(k, b"r", 2).reshape(1, 2)))[0])
    assert degree(shares) == t
    assert reconstruct(shares) == total % P


@pytest.mark.parametrize("m, t", SIZES)
@pytest.mark.parametrize("shift", [0, 20, 63])
def test_masked_opening_of_degree_2t(m, t, shift):
    """What the parties of one product send lies on one polynomial of degree at most 2t, whose
    value is z + offset + Σ r_A with masks of the stated length; what they take away afterwards is
    a sharing of degree t of Σ (r_A >> shift) and the constant."""
    async def main():
        runtimes = make_runtimes(m, t)
        g = runtimes[0].geometry
        z = {i: 7 * (i + 1) ** (2 * t) % P for i in range(m)}
        shares, rests, masks = {}, {}, {}
        for rt in runtimes:
            op = Operation(rt, "multiply", (1,))
            plan = MaskPlan(g, rt.pid, tuple(range(m)), shift, 2 * t)
            own, rest = plan.start(op, lambda lo, hi, i=rt.pid: field.table([z[i]]), 0, 1, 0, True)
            shares[rt.pid], rests[rt.pid] = (int(field.to_ints(v)[0]) for v in (own, rest))
            for k in g.sets_of(rt.pid):
                mask = int(field.to_ints(op.of_set(k, b"mask", 2).reshape(1, 2))[0])
                masks.setdefault(k, set()).add(mask % 2**plan.bits)
        for rt in runtimes:
            rt.close()
        assert degree(shares) == 2 * t
        assert all(len(known) == 1 for known in masks.values())
        hidden = sum(sum(known) for known in masks.values())
        taken = sum(mask >> shift for known in masks.values() for mask in known)
        assert degree(rests) == t
        assert reconstruct(rests) == (int(field.to_ints(plan.constant)[0]) - taken) % P
        z0 = 0 if t else 7
        offset = int(field.to_ints(plan.offset)[0])
        assert reconstruct(shares) == (z0 + offset + hidden) % P
        assert bool(offset) == bool(shift)

    asyncio.run(main())


def test_masks_are_drawn_in_blocks_that_do_not_overlap(monkeypatch):
    """A sender draws masks and coefficients, another party the same masks alone."""
    drawn = []
    monkeypatch.setattr(masking, "_BLOCK", 8)

    async def main():
        runtimes = make_runtimes(4, 1)
        g, rests = runtimes[0].geometry, []
        for sends in (True, False):
            op = Operation(runtimes[0], "multiply", (20,))
            op.id = 5
            real, names = op.runtime.randomness.of_set, Counter()

            def watch(index, name, count, out, start, names=names, real=real):
                names.update((index, name, start + k) for k in range(-(-count // 2)))
                return real(index, name, count, out, start)
            monkeypatch.setattr(op.runtime.randomness, "of_set", watch)
            plan = MaskPlan(g, 0, (0, 1, 2), 20, 2)
            _, rest = plan.start(op, lambda lo, hi: np.zeros((hi - lo, 2), np.uint64), 0, 20, 0,
                                 sends)
            monkeypatch.undo()
            monkeypatch.setattr(masking, "_BLOCK", 8)
            rests.append(rest)
            drawn.append(names)
        for rt in runtimes:
            rt.close()
        np.testing.assert_array_equal(*rests)

    asyncio.run(main())
    assert [sum(names.values()) for names in drawn] == [3 * 20 * 2, 3 * 20]
    assert all(max(names.values()) == 1 for names in drawn)
    assert set(drawn[1]) < set(drawn[0])


@pytest.mark.parametrize("m", [4, 5])
def test_every_draw_of_a_run_has_its_own_name(m, monkeypatch):
    """No party expands one (key, name) for two purposes, in a run that uses everything."""
    used = Counter()

    def watch(method):
        real = getattr(Randomness, method)

        def draw(self, which, name, count, out=None, start=0):
            used[method, self.pid, which, name, start] += 1
            more = () if method == "of_pair" else (out, start)
            return real(self, which, name, count, *more)
        monkeypatch.setattr(Randomness, method, draw)

    watch("of_set")
    watch("of_pair")

    async def program(mpc):
        x = secret(mpc, np.linspace(0.5, 2, 6))
        table = mpc.shuffle(mpc.stack([x, x], axis=1))
        ranked = await mpc.sort_rows(table)
        await mpc.output([x * x, x < 1.0, x == 1.0, mpc.log(x), mpc.sigmoid(x), 1 / x, ranked])

    run_cluster(program, m)
    for (method, pid, which, name, _), times in used.items():
        # What a party deals to itself it draws once as giver and once as receiver.
        to_itself = which == pid if method == "of_pair" else b"bits" in name
        assert times == 1 or (times == 2 and m == 5 and to_itself), name


@pytest.mark.parametrize("count", [1, 2, 3, 4095, 8191, 8192, 8193, 9000])
def test_short_and_long_keystreams_are_those_of_counter_mode(count):
    key, name = bytes(range(16)), b"a draw"
    nonce = hashlib.blake2b(name, digest_size=12).digest() + bytes(4)
    stream = Cipher(algorithms.AES(key), modes.CTR(nonce)).encryptor()
    expected = np.frombuffer(stream.update(bytes(8 * count)), np.uint64)
    np.testing.assert_array_equal(expand(key, name, count), expected)
    out = np.zeros((count, 1), np.uint64)
    assert expand(key, name, count, out) is out
    np.testing.assert_array_equal(out[:, 0], expected)
