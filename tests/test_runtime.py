"""The runtime as users run it: processes over loopback, MPyC's types, parties that fail."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest
from engine_kit import base_port, free_addresses
from forked_kit import start

from engine._mpyc import mpyc_runtime
from engine.cluster import run_cluster
from engine.connect import connect
from engine.credentials import write_authority
from engine.errors import LocalProtocolError
from engine.mpyc_arrays import MpycArrays
from engine.mpyc_bits import MpycBits
from engine.mpyc_checked import MpycChecked
from engine.program import setup
from engine.runtime import SHARED_NAMES, Runtime

ROOT = Path(__file__).resolve().parents[1]


class Outcome(NamedTuple):
    """How one party's process ended."""

    status: int
    out: str
    err: str


def run_parties(folder: Path, *programs: str, options=(), arguments=()) -> list[Outcome]:
    """Run one program per party, each a process of its own, and wait for all of them."""
    hosts = [part for host, port in free_addresses(len(programs))
             for part in ("-P", f"{host}:{port}")]
    processes = []
    try:
        for i, program in enumerate(programs):
            path = folder / f"party{i}.py"
            path.write_text(textwrap.dedent(program))
            processes.append(start(path, [*hosts, "-I", str(i), *options, *arguments], folder))
        said = [p.communicate(timeout=100) for p in processes]
        return [Outcome(p.returncode, *both) for p, both in zip(processes, said, strict=True)]
    finally:
        for process in processes:
            process.kill()


MPYC_TYPES = """
    import sys

    import numpy as np

    from engine import mpc

    import mpyc.runtime

    class Refuse:
        def __getattr__(self, name):
            raise SystemExit(f"pickle.{name} was used")

    mpyc.runtime.pickle = Refuse()
    secint, secfxp, secfld = mpc.SecInt(32), mpc.SecFxp(64), mpc.SecFld(101)

    async def main():
        async with mpc:
            x = mpc.input(secint(mpc.pid + 1))
            print(await mpc.output([mpc.sum(x), mpc.prod(x), x[0] < x[-1], mpc.max(x),
                                    mpc.min(x), mpc.argmax(x)[0], mpc.all([x[0] == 1, x[1] == 2]),
                                    mpc.any([x[0] == 5])]))
            f = mpc.input(secfxp(1.5), senders=0)
            print(await mpc.output([f * f, 1 / f]))
            print(await mpc.output(mpc.input(secfld(60), senders=1) * 2))
            ordered = mpc.seclist([3, 1, 2], secint)
            ordered.sort()
            print(await mpc.output(list(ordered)))
            bits = mpc.to_bits(x[2], 4)
            print(await mpc.output(bits), await mpc.output(mpc.from_bits(bits)))
            print(await mpc.output(mpc.statistics.median([secint(a) for a in (5, 1, 9)])))
            print(await mpc.output(mpc.statistics.mean([secfxp(a) for a in (1, 2, 6)])))
            print(0 <= await mpc.output(mpc.random.randrange(secint, 10)) < 10)
            print(sum(await mpc.output(mpc.random_bits(secint, 5))) <= 5)
            array = mpc.input(secint.array(np.array([1, 2, 3])), senders=0)
            print((await mpc.output(array * array + 1)).tolist())
            print((await mpc.output((array @ array) * (array < 3))).tolist())
            ours = mpc.input(mpc.array([1.5, 2.5]), senders=0)
            print((await mpc.output(ours < 2)).tolist(), sys.argv[1:])
    mpc.run(main())
"""
PRINTED = """\
[6, 6, 1, 3, 1, 2, 1, 0]
[2.25, 0.6667]
19
[1, 2, 3]
[1, 1, 0, 0] 3
5
3
True
True
[2, 5, 10]
[14, 14, 0]
[1, 0] ['--own', 'x']
"""


def test_mpyc_programs_run_unchanged_and_nothing_is_unpickled(tmp_path):
    outcomes = run_parties(tmp_path, *[MPYC_TYPES] * 3, options=["--no-log"],
                           arguments=["--own", "x"])
    for status, out, err in outcomes:
        assert (status, err) == (0, "")
        # Fixed-point results of MPyC vary in the last digits.
        assert re.sub(r"\d+\.\d+", lambda n: f"{float(n[0]):.4g}", out) == PRINTED


def test_local_parties_are_started_by_one_command(tmp_path):
    """-M, with the threshold and the base port from the command line; connecting twice, as MPyC's
    programs do, with other keys the second time."""
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent("""
        from engine import mpc

        async def main():
            await mpc.start()
            x = mpc.input(mpc.array([mpc.pid + 1.0]))
            print(mpc.geometry.m, mpc.geometry.t, await mpc.output(mpc.concatenate(x)))
            await mpc.shutdown()
            return mpc.concatenate(x), mpc.randomness

        async def again(x, before):
            async with mpc:
                product = mpc.SecInt()(3) * mpc.SecInt()(2)
                print(await mpc.output(x > 1.5), await mpc.output(product),
                      [k for k in mpc.geometry.sets_of(mpc.pid)
                       if before.fingerprint(k) == mpc.randomness.fingerprint(k)])
        mpc.run(again(*mpc.run(main())))
    """))
    port = base_port(3)
    done = subprocess.run([sys.executable, program, "-M3", "-T1", "-B", str(port), "--no-log"],
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, timeout=100,
                          capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (
        0, "3 1 [1. 2. 3.]\n[0 1 1] 6 []\n", "")
    alone = subprocess.run([sys.executable, program], text=True, timeout=100, capture_output=True,
                           env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (alone.returncode, alone.stderr) == (0, "")
    assert "1 0 [1.]\n" in alone.stdout and "[0] 6 []\n" in alone.stdout


@pytest.mark.parametrize("options, error", [
    (["-I", "7"], "bad-index"), (["-P", "localhost:x"], "bad-port"),
    (["-M3", "-I0", "--ssl"], "bad-credentials"),
    (["-M3", "-I0", "--ssl", "--plain"], "plain-and-tls"),
    (["-P", "a.example", "-P", "", "--plain"], "plain-not-loopback"),
    (["-P", "a.example", "-P", "localhost", "-I1"], "unproven-not-loopback"),
    (["-C", "missing.ini"], "no-config"), (["-M3", "-I0", "-T2"], "expected 0 <= 2t < m")])
def test_command_lines_that_make_no_sense_are_refused(options, error, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["program.py", *options])
    with pytest.raises((LocalProtocolError, ValueError), match=error):
        setup()


def test_addresses_from_a_configuration_file(tmp_path, monkeypatch):
    """MPyC's format: the party without a host is the own one, ports are optional."""
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config" / "three.ini").write_text(
        "[A]\nhost = a.example\nport = 7001\n[B]\nhost =\n[C]\nhost = c.example\nport =\n")
    monkeypatch.chdir(tmp_path)
    write_authority(tmp_path / ".config", 3)
    monkeypatch.setattr(sys, "argv", ["program.py", "-C", "three.ini", "--ssl", "own", "--flag"])
    mpc = setup()
    assert (mpc.pid, mpc.geometry.m, mpc.geometry.t) == (1, 3, 1)
    assert mpc.options.addresses == [("a.example", 7001), ("localhost", 11366),
                                     ("c.example", 11367)]
    assert sys.argv == ["program.py", "own", "--flag"]


def test_what_a_running_loop_and_a_closed_run_do_not_allow():
    """mpc.run as in a notebook, and starting again where somebody else had connected."""
    async def program(mpc):
        x = mpc.array([1.5])
        with pytest.raises(LocalProtocolError, match=r"loop-runs.*await instead of"):
            mpc.run(mpc.output(x * x))
        await mpc.shutdown()
        with pytest.raises(LocalProtocolError, match=r"ended.*start another run"):
            await mpc.start()
    run_cluster(program, 3)


def test_a_start_that_failed_is_no_start():
    """After a shutdown too: the connections and keys of before are not taken for new ones."""
    async def program(mpc):
        await mpc.shutdown()
        if mpc.pid == 0:
            nowhere = {"addresses": [("localhost", 1), ("a" * 70, 1)], "credentials": None,
                       "connect_deadline": 60.0, "everywhere": False, "job_deadline": None,
                       "watch": None, "connected": None, "program": bytes(32)}
            vars(mpc.options).update(nowhere)
            for _ in range(2):
                with pytest.raises(LocalProtocolError, match="bad-address"):
                    await mpc.start()
    run_cluster(program, 2)


def test_workers_compute_without_scipy():
    """It would be half of what they load; the twins in the clear have it, workers have none."""
    code = textwrap.dedent("""
        import sys
        import models.credit, models.serving, protocols.pir_program, protocols.stats.programs
        from engine.warm import compile_all
        compile_all()
        assert models.logistic_inference._tail().size
        print(sorted({"scipy.linalg", "scipy.sparse", "scipy.stats", "sklearn", "pandas"}
                     & set(sys.modules)))
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_parties_with_different_programs_do_not_start(tmp_path):
    program = """
        from engine import mpc
        mpc.run(mpc.start())
        print("started")
    """
    one, other = run_parties(tmp_path, program, program.replace("started", "also started"))
    for peer, (status, out, err) in ((1, one), (0, other)):
        assert status == 1 and "started" not in out
        assert f"different-program (party {peer})" in err


KILLED = """
    import os
    import sys

    from engine import mpc

    async def main():
        async with mpc:
            mpc.step = "middle"
            x = mpc.input(mpc.SecInt(32)(mpc.pid + 1))
            a = mpc.input(mpc.array([1.0, 2.0]), senders=0)
            for k in range(100_000):
                if k == 20 and mpc.pid == 2:
                    if "kill" in sys.argv:
                        os.kill(os.getpid(), 9)
                    raise KeyError("a value that must stay here")
                if "scalars" in sys.argv:
                    x = [y * y - y for y in x]
                    await mpc.output(mpc.sum(x))
                else:
                    a = a * a
                    await mpc.output(a)
    mpc.run(main())
"""


@pytest.mark.parametrize("kind", ["arrays", "scalars"])
def test_a_party_that_is_killed_is_named_by_the_others(tmp_path, kind):
    *others, killed = run_parties(tmp_path, *[KILLED] * 3, arguments=["kill", kind])
    assert killed.status == -signal.SIGKILL
    for status, _, err in others:
        assert status == 1
        last = err.strip().splitlines()[-1]
        assert re.fullmatch(r'engine\.errors\.PeerLost: peer-lost \(party 2\) in step "middle": .*;'
                            r' see the peer.*', last)
        assert "Exception in callback" not in err and "never retrieved" not in err


def test_the_error_of_one_party_is_told_to_the_others_without_its_message(tmp_path):
    *others, failed = run_parties(tmp_path, *[KILLED] * 3, arguments=["raise", "scalars"])
    assert failed.status == 1 and "KeyError: 'a value that must stay here'" in failed.err
    for status, _, err in others:
        assert status == 1 and "must stay here" not in err
        assert "program-failed (party 2)" in err and "raised KeyError at party 2" in err


STOPPED = """
    import asyncio
    import os
    import signal
    import sys

    from engine._mpyc import install
    from engine.errors import EngineError
    from engine.connect import connect

    async def main():
        hosts = [a for a in sys.argv[1:] if ":" in a]
        addresses = [(h, int(p)) for h, p in (a.split(":") for a in hosts)]
        pid = int(sys.argv[sys.argv.index("-I") + 1])
        mpc = await connect(pid=pid, addresses=addresses, plain=True)
        install(mpc)
        # All have arrived and, to come to the second round, loaded their kernels before the last
        # one falls silent.
        for _ in range(2):
            await mpc.output(mpc.input(mpc.array([1.0]), senders=0))
        mpc.idle_deadline = 1.0
        if pid == 2:
            print("silent", flush=True)
            os.kill(os.getpid(), signal.SIGSTOP)
        try:
            await mpc.output(mpc.input(mpc.SecInt(32)(5), senders=2))
        except EngineError as error:
            print(error.code, error.party)
    asyncio.run(main())
"""


def test_a_party_that_falls_silent_is_named_after_the_deadline(tmp_path):
    """With MPyC's scalars; for arrays see `test_damaged_frames_...`."""
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(STOPPED))
    hosts = [f"{host}:{port}" for host, port in free_addresses(3)]
    processes = [subprocess.Popen(
        [sys.executable, path, *hosts, "-I", str(i)], text=True, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)}) for i in range(3)]
    try:
        results = [p.communicate(timeout=60)[0] for p in processes[:2]]
    finally:
        for process in processes:
            process.kill()
    assert processes[2].communicate()[0] == "silent\n"
    # The party of the two that gives up first tells the other one.
    assert results == ["peer-silent 2\n"] * 2


# --- what is never done with bytes from a peer ---

def test_the_engine_has_no_pickles_and_no_eval():
    for path in (ROOT / "engine").glob("*.py"):
        source = path.read_text()
        assert not re.search(r"^\s*(import|from)\s+(pickle|marshal|shelve|dill|cloudpickle)\b",
                             source, re.M), path.name
        assert not re.search(r"(?<![.\w])(eval|exec|__import__)\(", source), path.name
        assert "allow_pickle" not in source, path.name


def test_mpyc_uses_its_portable_format():
    async def program(mpc):
        assert mpc.options.mix32_64bit and not mpc.options.no_prss

    run_cluster(program, 1)


def test_names_that_mpyc_has_too_serve_both():
    """Every name of MPyC's runtime that the engine defines again is meant to be replaced."""
    replaced = {"start", "shutdown", "input", "output", "gather", "transfer", "run"}
    ours = set(Runtime.__mro__[:Runtime.__mro__.index(mpyc_runtime.Runtime)]) - \
        {MpycBits, MpycArrays, MpycChecked}
    both = {name for c in ours for name in vars(c)
            if not name.startswith("_") and hasattr(mpyc_runtime.Runtime, name)}
    assert both == replaced | set(SHARED_NAMES)


@pytest.mark.parametrize("size", [0, 1023, 2**24 + 1])
def test_impossible_frame_sizes_are_refused(size):
    with pytest.raises(LocalProtocolError, match="frame_bytes"):
        asyncio.run(connect(pid=0, addresses=[("127.0.0.1", 1)], frame_bytes=size))
