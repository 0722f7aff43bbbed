"""Matrix products on several threads give what they give on one."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import field, multi_modular, threads
from engine.connect import connect
from engine.rendezvous import sharing_machine


@pytest.fixture(autouse=True)
def one_thread_again():
    yield
    threads.use(1)


@given(st.integers(0, 300), st.integers(0, 90), st.sampled_from([1, 2, 8]), st.integers(1, 9))
def test_ranges_make_up_the_whole(n, least, step, count):
    ranges, lock = [], threading.Lock()

    def note(lo, hi):
        with lock:
            ranges.append((lo, hi))
    threads.use(count)
    threads.spread(n, least, step, note)
    ranges.sort()
    assert ranges[0][0] == 0 and ranges[-1][1] == n and len(ranges) <= count
    assert all(a[1] == b[0] and a[1] % step == 0 and a[1] - a[0] >= least
               for a, b in itertools.pairwise(ranges))


def test_ranges_run_at_the_same_time():
    both = threading.Barrier(2, timeout=60)
    threads.use(2)
    threads.spread(10, 1, 1, lambda lo, hi: both.wait())


def test_processor_time_of_all_threads_counts():
    def busy(lo, hi):
        until = time.thread_time() + 0.05
        while time.thread_time() < until:
            pass
    threads.use(3)
    before = threads.cpu_time(), time.thread_time()
    threads.spread(9, 1, 1, busy)
    # Reading the clocks takes time as well, a few microseconds of it between two of them.
    assert threads.cpu_time() - before[0] - (time.thread_time() - before[1]) >= 0.09


def test_an_error_comes_out_when_all_have_ended():
    ended = []

    def fail_first(lo, hi):
        if lo == 0:
            raise ZeroDivisionError
        ended.append(lo)
    threads.use(3)
    with pytest.raises(ZeroDivisionError):
        threads.spread(9, 1, 1, fail_first)
    assert sorted(ended) == [3, 6]

    def fail_last(lo, hi):
        if lo == 6:
            raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        threads.spread(9, 1, 1, fail_last)


@pytest.mark.parametrize("shape", [(301, 777, 5), (5, 6000, 31), (130, 515, 129), (2100, 2100, 1)])
def test_products_are_the_same(shape):
    n, k, m = shape
    rng = np.random.default_rng(n)
    a, b = (field.table(rng.integers(0, 2**63, x * y).astype(object)
                        * ((1 << 64) - 1)).reshape(x, y, 2) for x, y in ((n, k), (k, m)))
    columns = np.ascontiguousarray(a.swapaxes(0, 1)).swapaxes(0, 1)
    computations = [lambda: field.matmul(a, b), lambda: field.matmul(columns, b),
                    lambda: multi_modular.product(a, b)]
    expected = [compute() for compute in computations]
    for count in (2, 3, 5):
        threads.use(count)
        for compute, result in zip(computations, expected, strict=True):
            np.testing.assert_array_equal(compute(), result)


@pytest.mark.parametrize(("cores", "parties", "count"),
                         [(2, 4, 1), (8, 1, 8), (8, 4, 2), (9, 4, 2), (256, 1, 32)])
def test_parties_of_one_machine_divide_its_cores(monkeypatch, cores, parties, count):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    threads.divide_cores(parties)
    assert threads.count() == count


@pytest.mark.parametrize(("hosts", "counts"), [
    (["127.0.0.1"] * 3, [3, 3, 3]), (["localhost", "127.0.0.2", "::1"], [3, 3, 3]),
    (["bank.example", "127.0.0.1", "bank.example"], [2, 1, 2]),
    (["10.0.0.1", "10.0.0.2"], [1, 1])])
def test_parties_on_one_machine_are_known_by_their_addresses(hosts, counts):
    addresses = [(host, 9000 + k) for k, host in enumerate(hosts)]
    assert [sharing_machine(addresses, pid) for pid in range(len(hosts))] == counts


def test_a_party_alone_uses_all_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)), raising=False)

    async def alone():
        mpc = await connect(pid=0, addresses=[("127.0.0.1", 1)])
        await mpc.shutdown()
    asyncio.run(alone())
    assert threads.count() == 6
