"""A party alone without ``-M``: as in MPyC, all is computed where it is called."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from mpyc_kit import run_mpyc
from test_mpyc_programs import ENGINE, MPYC, PARTIES, PROGRAMS, run

from engine.cluster import run_cluster
from engine.operation import Operation


def at_once(program):
    """`program` for a cluster of one party, driven without a loop: it may wait for nothing."""

    async def alone(mpc):
        mpc.options.no_async = True
        coroutine = program(mpc)
        with pytest.raises(StopIteration) as ended:
            coroutine.send(None)
        return ended.value.value
    return alone


async def of_arrays(mpc):
    """Operations of every kind, on few numbers and on more than a kernel computes at once."""
    rng = np.random.default_rng(5)
    found = []
    for n in (7, 200_000):
        u = rng.uniform(-3, 3, n)
        k = rng.integers(-9, 9, n)
        x, y = mpc.input(mpc.array(u), 0), mpc.input(mpc.array(k), 0, bits=5)
        ordered = np.sort(k)
        for secret, expected in [
                (x * x, u * u), (x * 0.25, u / 4), (x < 1, u < 1), (y == 3, k == 3),
                (y - (x > 0), k - (u > 0)), (mpc.stack([y, y], 1).sum(1), 2 * k),
                (mpc.to_bits(y + 9, 5)[:, 0], (k + 9) % 2), (mpc.shuffle(y).sum(), k.sum()),
                (mpc.sigmoid(x), 1 / (1 + np.exp(-u))), (mpc.reciprocal(x + 4), 1 / (u + 4)),
                (mpc.outer(x[:9], x[:9]) @ x[:9], np.outer(u[:9], u[:9]) @ u[:9]),
                (await mpc.sort(y), ordered), (mpc.max(y), k.max())]:
            assert secret.known
            found.append(np.allclose(await mpc.output(secret), expected, atol=1e-3))
        found.append((await mpc.open_negative(x)).tolist() == (u < 0).tolist())
    bits = mpc.random_bits((6,))
    found.append(not (await mpc.output(bits * (1 - bits))).any())
    return found


@pytest.mark.parametrize("verified", [False, True])
def test_operations_of_the_engine_wait_for_nothing(verified):
    [found] = run_cluster(at_once(of_arrays), 1, verified=verified)
    assert all(found) and len(found) == 29


def test_operations_of_mpycs_types_wait_for_nothing():
    async def program(mpc):
        secint, secfxp = mpc.SecInt(32), mpc.SecFxp(32)
        a, b = mpc.input([secint(-7), secint(4)], 0)
        c = secfxp.array(np.arange(60_000) / 8)
        values = mpc.seclist([3, 1, 2], secint)
        values.sort()
        values[secint(1)] = a
        with pytest.raises(ValueError, match="not in list"):
            values.index(secint(99))  # an error where it is made
        assert (await mpc.output(c * c))[9] == 81 / 64
        return await mpc.output([a * b, a < b, *mpc.to_bits(b, 3), mpc.max(a, b), *values])

    assert run_mpyc(at_once(program), 1) == [[-28, 1, 0, 0, 1, 4, 1, -7, 3]]


def test_an_error_ends_nothing():
    """It comes out where it is made, and the next computation begins as if nothing had been."""
    async def program(mpc):
        for _ in range(2):
            with pytest.raises(OverflowError):
                mpc.input(mpc.array([9.0]), 0, bits=3)
            with pytest.raises(ZeroDivisionError):
                async with mpc:
                    mpc.issue_value(Operation(mpc, "failing"), [], failing)
        async with mpc:
            return (await mpc.output(mpc.array([2.0]) * 2)).tolist()

    async def failing(op):
        raise ZeroDivisionError
    assert run_cluster(at_once(program), 1) == [[4.0]]


@pytest.mark.parametrize("name", sorted(PARTIES))
def test_programs_print_what_they_print_with_mpyc(name, tmp_path):
    stock = tmp_path / "stock.py"
    stock.write_text((PROGRAMS / f"mpyc_{name}.py").read_text().replace(ENGINE, MPYC))
    assert run(PROGRAMS / f"mpyc_{name}.py") == run(stock) != ""


NOTEBOOK = """
    import asyncio

    async def cells():
        from engine import mpc
        secint = mpc.SecInt(32)
        mpc.run(mpc.start())
        x = mpc.input(secint(5), 0)
        print(mpc.run(mpc.output([x < 7, x == 5])))
        a = secint.array(__import__("numpy").arange(5))
        print(mpc.run(mpc.output(a * a)).tolist())
        values = mpc.seclist([3, 1, 2], secint)
        values.sort()
        values.append(x)
        print(mpc.run(mpc.output(list(values))))
        try:
            mpc.statistics.mean([])
        except ValueError as exc:
            print(exc)
        mpc.run(mpc.shutdown())
        print(mpc.run(mpc.output(x + 1)))
        mpc.run(mpc.start())
        print(mpc.run(mpc.output(x * 3)))
        mpc.run(mpc.shutdown())

    asyncio.run(cells())
"""


def test_cells_of_a_notebook_do_what_they_do_with_mpyc(tmp_path):
    """`mpc.run` where a loop runs already; with ``-M1`` neither can."""
    printed = {}
    for line in (ENGINE, MPYC):
        file = tmp_path / "cells.py"
        file.write_text(textwrap.dedent(NOTEBOOK).replace(ENGINE.strip(), line.strip()))
        printed[line] = run(file)
        asynchronous = subprocess.run([sys.executable, file, "--no-log", "-M1"], timeout=100,
                                      capture_output=True, text=True, check=False)
        refusal = "loop-runs" if line == ENGINE else "await wasn't used with future"
        assert asynchronous.returncode and refusal in asynchronous.stderr
    assert printed[ENGINE] == printed[MPYC] and printed[ENGINE].count("\n") == 6
