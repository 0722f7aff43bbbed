"""A party that is killed, stopped, gone or refused: all others say so, in time, and end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from engine_kit import base_port, free_addresses
from forked_kit import start

from engine.cluster import run_cluster
from engine.credentials import write_authority

ROOT = Path(__file__).resolve().parents[1]
SILENCE = "9"
"""Idle deadline where a party falls silent; the others must be quicker than that when busy."""

PROGRAM = """
    import asyncio
    import json
    import os
    import signal
    import sys

    import numpy as np

    from engine import frames, mpc
    from engine.errors import EngineError

    where, how = sys.argv[1:]

    def strike():
        if mpc.pid != 2:
            return
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        if how == "raise":
            raise ValueError("a value that must stay here")
        for link in mpc._links.values():  # part of a frame, then nothing
            head = frames.header(frames.ARRAY, 0, 1 << 40, 0, 1000, link._session)
            link._transport.write(link._channel.encode(head + bytes(100)))
            link.send = lambda *rest: None
            link._transport.write_eof()  # after all of it: ending at once could reset the line

    async def main():
        print("ready", flush=True)
        sys.stdin.readline()
        if where == "connect":
            strike()
        async with mpc:
            mpc.step = where
            x = mpc.input(mpc.SecInt(32)(mpc.pid + 1))
            a = mpc.input(mpc.array(np.full((300, 300), 1e-3)), senders=0)
            await mpc.output(a[0])
            if where == "computing":
                b = a
                for k in range(40):
                    b = a @ b
                strike()
                await mpc.output(b)
            if where == "elsewhere":
                strike()
                await asyncio.Event().wait()
            for k in range(100_000):
                if where == "shutdown":
                    strike()
                    return
                if k == 5:
                    strike()
                if where == "scalars":
                    x = [y * y - y for y in x]
                    await mpc.output(mpc.sum(x))
                else:
                    await mpc.output(a[0] * a[1])
    try:
        mpc.run(main())
    except EngineError as error:
        print(json.dumps(error.as_dict()), flush=True)
        sys.exit(3)
    print("done", flush=True)
"""


class Parties:
    """One process per party of a program; all begin together."""

    def __init__(self, folder: Path, program: str, arguments, options=(), m: int = 3,
                 each=lambda i: ()):
        path = folder / "program.py"
        path.write_text(textwrap.dedent(program))
        hosts = [part for host, port in free_addresses(m) for part in ("-P", f"{host}:{port}")]
        self.processes = [
            start(path, [*hosts, "-I", str(i), "--no-log", *options, *each(i), *arguments], folder)
            for i in range(m)]

    def __enter__(self):
        for process in self.processes:
            assert process.stdout.readline() == "ready\n", process.communicate()
        for process in self.processes:
            process.stdin.write("\n")
            process.stdin.flush()
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.communicate()

    def errors(self, *which, timeout=60):
        """What the structured errors of these parties say."""
        results = []
        for i in which:
            out, err = self.processes[i].communicate(timeout=timeout)
            assert self.processes[i].returncode == 3, (i, out, err)
            assert "must stay here" not in out + err
            results.append(json.loads(out.splitlines()[-1]))
        return results


@pytest.mark.parametrize("where", ["arrays", "scalars", "computing", "elsewhere", "shutdown"])
@pytest.mark.parametrize("how", ["kill", "half a frame"])
def test_a_party_that_is_gone_is_named_by_all_others(tmp_path, where, how):
    with Parties(tmp_path, PROGRAM, [where, how]) as parties:
        errors = parties.errors(0, 1)
    for error in errors:
        assert (error["code"], error["party"]) == ("peer-lost", 2)
        assert error["step"] == where and error["cause"] and error["remedy"]
    if how != "kill":
        assert any("in the middle of a frame" in e["cause"] for e in errors)


@pytest.mark.parametrize("where", ["arrays", "scalars", "shutdown"])
def test_a_party_that_is_stopped_is_named_after_the_idle_deadline(tmp_path, where):
    with Parties(tmp_path, PROGRAM, [where, "stop"], ["--idle-deadline", SILENCE]) as parties:
        for error in parties.errors(0, 1):
            assert (error["code"], error["party"]) == ("peer-silent", 2)
            assert error["remedy"]


CHAIN = """
    import json
    import os
    import signal
    import sys

    from engine import mpc
    from engine.errors import EngineError

    async def main():
        print("ready", flush=True)
        sys.stdin.readline()
        async with mpc:
            x = mpc.input(mpc.array([1.0]), senders=0)
            await mpc.output(x)
            if mpc.pid == 1:
                os.kill(os.getpid(), signal.SIGSTOP)
            # Party 2 waits for party 1, then 0 and 3 for party 2.
            own = await mpc.output(x, receivers=2)
            await mpc.output(mpc.input(mpc.array([1.0 if own is None else own[0]]), senders=2))
    try:
        mpc.run(main())
    except EngineError as error:
        print(json.dumps(error.as_dict()), flush=True)
        sys.exit(3)
"""


def test_a_party_that_only_waits_for_the_silent_one_is_not_named(tmp_path):
    """The deadlines of 0 and 3, who wait for party 2, come long before that of party 2."""
    with Parties(tmp_path, CHAIN, [], ["-T", "1"], m=4, each=lambda i: (
            "--idle-deadline", SILENCE if i in (0, 3) else "60")) as parties:
        errors = parties.errors(0, 2, 3)
    assert {e["party"] for e in errors} == {1}
    assert any("from party 2, which answers; party 1 does not" in e["cause"] for e in errors)


@pytest.mark.parametrize("verified", [False, True])
def test_of_parties_that_all_answer_the_one_that_waits_for_nobody_is_named(verified):
    async def program(mpc):
        mpc.idle_deadline = 1.0 if mpc.pid in (0, 3) else 30.0
        mpc._liveness.close()
        mpc.watch_peers()
        x = mpc.input(mpc.array([1.0]), senders=0)
        await mpc.output(x)
        if mpc.pid == 2:
            await mpc.receive_frame(1, 0, 1 << 40, 0, "what party 1 never sends")
        return await mpc.output(mpc.input(x, senders=2))
    errors = run_cluster(program, 4, verified=verified, raw_errors=True)
    first = next(e for e in (errors[0], errors[3]) if e.code == "peer-silent")
    if verified:  # nobody is accused on the word of another
        assert first.party in (1, 2)
    else:
        assert first.party == 1
        assert "party 2 says that it waits for party 1" in first.cause


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_party_that_never_connects_is_named_after_the_connect_deadline(tmp_path, how):
    with Parties(tmp_path, PROGRAM, ["connect", how], ["--connect-deadline", "5"]) as parties:
        for error in parties.errors(0, 1):
            assert (error["code"], error["party"]) == ("connect-timeout", 2)


def test_an_error_of_the_program_is_told_to_all(tmp_path):
    with Parties(tmp_path, PROGRAM, ["arrays", "raise"]) as parties:
        for error in parties.errors(0, 1):
            assert (error["code"], error["party"]) == ("program-failed", 2)


ENDLESS = """
    import asyncio
    import json
    import sys

    from engine import mpc
    from engine.errors import EngineError

    async def main():
        print("ready", flush=True)
        sys.stdin.readline()
        async with mpc:
            if "wait" in sys.argv:
                await asyncio.Event().wait()
            while True:
                await mpc.output(mpc.input(mpc.array([1.0]), senders=0))
    try:
        mpc.run(main())
    except EngineError as error:
        print(json.dumps(error.as_dict()), flush=True)
        sys.exit(3)
"""


ENDED = """
    import json
    import sys

    from engine import mpc
    from engine.errors import EngineError

    async def helper(x):
        return await mpc.output(x * x)  # the last one

    async def main():
        print("ready", flush=True)
        sys.stdin.readline()
        async with mpc:
            x = mpc.input(mpc.SecInt(32)(4), senders=0)
            await mpc.output(x)
            if mpc.pid != 1:
                await helper(x)
    try:
        mpc.run(main())
    except EngineError as error:
        print(json.dumps(error.as_dict()), flush=True)
        sys.exit(3)
"""


def test_a_peer_that_has_ended_is_not_waited_for_in_scalar_arithmetic(tmp_path):
    """Long before the idle deadline, and with the place of the program."""
    line = 1 + textwrap.dedent(ENDED).splitlines().index(
        "    return await mpc.output(x * x)  # the last one")
    with Parties(tmp_path, ENDED, ["scalars"]) as parties:
        errors = parties.errors(0, 2)
    assert {e["code"] for e in errors} == {"program-divergence"}
    assert {e["party"] for e in errors} == {1}
    cause = f"has ended its program, this party (0) at scalar arithmetic (program.py:{line})"
    assert any(cause in e["cause"] or cause.replace("(0)", "(2)") in e["cause"] for e in errors)


@pytest.mark.parametrize("what", ["compute", "wait"])
def test_the_job_ends_at_its_deadline(tmp_path, what):
    """Given to one party only: the others hear of it."""
    with Parties(tmp_path, ENDLESS, [what],
                 each=lambda i: ("--job-deadline", "1") if i == 1 else ()) as parties:
        for error in parties.errors(0, 1, 2):
            assert error["code"] == "deadline" and error["remedy"]


def test_a_wrong_certificate_stops_everybody(tmp_path):
    """Party 2 brings a certificate of another authority."""
    write_authority(tmp_path / ".config", 3)
    other = tmp_path / "other"
    other.mkdir()
    write_authority(other / ".config", 3)
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(ENDLESS))
    hosts = [part for host, port in free_addresses(3) for part in ("-P", f"{host}:{port}")]
    processes = [subprocess.Popen(
        [sys.executable, program, *hosts, "-I", str(i), "--ssl", "--connect-deadline", "5",
         "--no-log"], cwd=other if i == 2 else tmp_path, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}) for i in range(3)]
    try:
        errors = []
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        for process in processes:
            errors.append(json.loads(process.communicate(timeout=60)[0].splitlines()[-1]))
    finally:
        for process in processes:
            process.kill()
    # Parties 0 and 1 dial party 2 and see its certificate.
    assert [e["party"] for e in errors[:2]] == [2, 2]
    assert "wrong-certificate" in {e["code"] for e in errors[:2]}
    assert errors[2]["code"] in ("certificate-refused", "connect-timeout")


# --- the processes that -M starts ---

FAMILY = """
    import os
    import pathlib
    import signal
    import sys

    from engine import mpc

    async def main():
        async with mpc:
            pathlib.Path(f"pid{mpc.pid}").write_text(str(os.getpid()))
            for k in range(100_000):
                await mpc.output(mpc.input(mpc.array([1.0]), senders=0))
                victim = {"child": 2, "parent": 0}[sys.argv[1]]
                if k == 5 and mpc.pid == victim:
                    os.kill(os.getpid(), getattr(signal, sys.argv[2]))
    if sys.argv[1] == "early" and mpc.pid == 2:
        sys.exit(7)
    mpc.run(main())
"""


def family(tmp_path, *arguments):
    """Run three local parties; returns exit status, errors, and the process ids."""
    keys = tmp_path / "tmp"
    keys.mkdir()
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(FAMILY))
    port = base_port(3)
    done = subprocess.run(
        [sys.executable, program, "-M3", "-B", str(port), "--no-log", "--idle-deadline", SILENCE,
         *arguments], cwd=tmp_path, timeout=100, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(keys)})
    assert not list(keys.glob("sepc-*")), "private keys were left behind"
    pids = [int(p.read_text()) for p in sorted(tmp_path.glob("pid*"))]
    return done.returncode, done.stderr, pids


def gone(pid: int) -> bool:
    """Whether a process has ended (it may still wait for its parent to notice)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


@pytest.mark.parametrize("signal_name", ["SIGKILL", "SIGSTOP"])
def test_no_local_party_outlives_a_failed_run(tmp_path, signal_name):
    status, err, pids = family(tmp_path, "child", signal_name)
    assert status == 1 and "(party 2)" in err
    assert len(pids) == 3 and all(gone(pid) for pid in pids)


def test_local_parties_end_when_the_first_one_is_killed(tmp_path):
    status, _, pids = family(tmp_path, "parent", "SIGKILL")
    assert status == -signal.SIGKILL and len(pids) == 3
    limit = time.monotonic() + 60
    while not all(gone(pid) for pid in pids):
        assert time.monotonic() < limit, "a child is still running"
        os.sched_yield()


def test_a_local_party_that_ends_before_connecting_is_named_at_once(tmp_path):
    status, err, _ = family(tmp_path, "early", "none")
    assert status == 1
    assert "peer-ended (party 2)" in err and "exit status 7" in err
