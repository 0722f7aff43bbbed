"""Programs written for MPyC: the same output with the engine as with MPyC itself.

The programs in `programs/mpyc_*.py` are in MPyC's style and know nothing of the engine but the line
that imports `mpc`. Each runs as separate parties over loopback, and once more with that line as
MPyC has it.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from engine_kit import base_port
from mpyc_kit import run_mpyc

from engine._mpyc import mpyc_runtime
from engine.runtime import Runtime

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ROOT / "tests" / "programs"
ENGINE, MPYC = "from engine import mpc\n", "from mpyc.runtime import mpc\n"

PARTIES = {
    "chains": 4, "coroutines": 3, "elgamal": 3, "floats": 1, "gifts": 4, "oblivious": 3,
    "pictures": 4, "qubits": 3, "ridge": 4, "simplex": 3, "sorting": 3, "statistics": 1,
    "survival": 3, "tableaux": 4, "tree": 3, "votes": 4,
}
"""How many parties run each program; those that are slow over a network run alone."""

VERIFIED = {"chains", "gifts", "ridge"}
"""Programs that run in verified mode; more of MPyC's types do in `test_mpyc_verified.py`."""


def run(path: Path, *options: str) -> str:
    """What the first party prints, after all parties have ended well."""
    port = base_port(4)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", path, "--no-log", "-B", str(port), *options], text=True,
        capture_output=True, timeout=200, cwd=path.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SEPC_QUIET": ""})
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


@pytest.mark.parametrize("name", sorted(PARTIES))
def test_programs_print_what_they_print_with_mpyc(name, tmp_path):
    source = (PROGRAMS / f"mpyc_{name}.py").read_text()
    assert source.count(ENGINE) == 1
    stock = tmp_path / "stock.py"
    stock.write_text(source.replace(ENGINE, MPYC))
    expected = run(stock, "-M1")
    assert expected
    mode = ["--verified"] if name in VERIFIED else []
    assert run(PROGRAMS / f"mpyc_{name}.py", f"-M{PARTIES[name]}", *mode) == expected


def test_every_program_is_run():
    assert sorted(PARTIES) == sorted(p.stem[5:] for p in PROGRAMS.glob("mpyc_*.py"))


# --- who imports what first ---

LIBRARY = """
    from mpyc.runtime import mpc
    from mpyc.seclists import seclist

    secint = mpc.SecInt(20)

    @mpc.coroutine
    async def doubled(x):
        await mpc.returnType(type(x))
        return 2 * await mpc.gather(x)

    async def largest(values):
        return await mpc.output(mpc.max(seclist(values, secint)))
"""
USER = """
    import sys
    {first}
    import library
    {then}
    from mpyc.statistics import mean

    async def main():
        await mpc.start()
        x = mpc.input(library.secint(mpc.pid + 3))
        print(len(x), await library.largest(x), await mpc.output(mean([library.doubled(x[0])] * 3)),
              await mpc.output(mpc.SecInt(24)(6) * 7), library.mpc.pid, sys.argv[1:])
        a = mpc.SecFxp(32).array(__import__('numpy').array([0.5, 1.5]))
        print((await library.mpc.output(a * a)).tolist() , 'multiply' in
              [p[-1] for p in mpc.meter.paths])
        await library.mpc.shutdown()

    mpc.run(main())
"""
ORDERS = {
    "the engine first": ("from engine import mpc", ""),
    "a library that imports mpyc.runtime first": ("", "from engine import mpc"),
    "parts of mpyc first": ("import mpyc.random; from mpyc import asyncoro, mpctools",
                            "from engine import mpc"),
    "only the engine's package first": ("import engine", "from engine import mpc"),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("m", [1, 3])
def test_mpyc_may_be_imported_before_or_after_the_engine(order, m, tmp_path):
    first, then = ORDERS[order]
    (tmp_path / "library.py").write_text(textwrap.dedent(LIBRARY))
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(USER.format(first=first, then=then)))
    lines = run(program, f"-M{m}", "own", "-x").splitlines()
    assert lines[0] == f"{m} {m + 2} 6 42 0 ['own', '-x']"
    value, by_engine = lines[1].rsplit(" ", 1)
    assert by_engine == "True" and [round(v, 3) for v in eval(value)] == [0.25, 2.25]


def test_one_party_computes_without_a_start(tmp_path):
    """As in MPyC without options: the runtime is there, `start` or not."""
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent("""
        from engine import mpc
        secint = mpc.SecInt()
        print(mpc.run(mpc.output(mpc.prod([secint(a) for a in (2, 3, 7)]))))
        print(mpc.run(mpc.output(mpc.seclist([3, 1, 2], secint)[secint(0)])))
    """))
    assert run(program) == "42\n3\n"


def test_the_threshold_of_the_program_counts(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent("""
        from engine import mpc
        mpc.threshold = 0
        async def main():
            async with mpc:
                print(mpc.threshold, await mpc.output(mpc.sum(mpc.input(mpc.SecInt()(2)))))
        mpc.run(main())
    """))
    assert run(program, "-M3") == "0 6\n"


# --- names ---

def test_every_public_name_of_mpycs_runtime_is_there():
    async def program(mpc):
        theirs = {n for n in dir(mpyc_runtime.Runtime) if not n.startswith("_")}
        assert theirs <= set(dir(mpc)) and len(theirs) > 150
        assert {"parties", "options", "pid", "threshold", "start_time"} <= set(dir(mpc))
        assert [p.pid for p in mpc.parties] == [0]

    run_mpyc(program, 1)


SHARED = {
    "all": lambda mpc, x: mpc.all(x), "any": lambda mpc, x: mpc.any(x),
    "max": lambda mpc, x: mpc.max(x), "min": lambda mpc, x: mpc.min(x),
    "prod": lambda mpc, x: mpc.prod(x), "argmax": lambda mpc, x: mpc.argmax(x),
    "argmin": lambda mpc, x: mpc.argmin(x),
}


@pytest.mark.parametrize("name", SHARED)
def test_functions_of_both_take_both_kinds_of_arguments(name):
    async def program(mpc):
        import numpy as np
        bits = [1, 0, 1]
        scalars = [mpc.SecInt()(b) for b in bits]
        ours = SHARED[name](mpc, mpc.array(np.array(bits)))
        theirs = SHARED[name](mpc, scalars)
        theirs = theirs[0] if isinstance(theirs, tuple) else theirs
        return int(await mpc.output(ours)), int(await mpc.output(theirs))

    for ours, theirs in run_mpyc(program, 3):
        assert ours == theirs
    assert functools.reduce(lambda c, k: c or name in vars(k), Runtime.__mro__, False)
