"""The command line of MPC programs: MPyC's options, and what protects the connections."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from engine_kit import base_port

from engine.credentials import ENVIRONMENT, write_authority
from engine.errors import LocalProtocolError
from engine.program import setup

ROOT = Path(__file__).resolve().parents[1]

PROGRAM = """
    import sys

    from engine import mpc

    async def main():
        async with mpc:
            links = mpc._links.values()
            kind = {type(link._channel).__name__ for link in links}
            proven = all(link.number == peer for peer, link in mpc._links.items())
            x = mpc.input(mpc.array([mpc.pid + 1.0]))
            total = await mpc.output(sum(x[1:], x[0]))
            print(mpc.pid, *kind, proven, mpc.geometry.verified, float(total[0]),
                  sys.flags.optimize, sys.argv[1:], flush=True)
    mpc.run(main())
"""


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(PROGRAM))
    return path


def run(program, *options, python=(), **environment):
    """Exit status, standard output, standard error."""
    done = subprocess.run(
        [sys.executable, *python, program, *options, "--no-log"], cwd=program.parent, timeout=100,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def base():
    return "-B", str(base_port(4))


@pytest.mark.parametrize("options, expected", [
    ((), "0 TlsChannel True False 6.0 0 []\n"),
    (("--plain",), "0 PlainChannel False False 6.0 0 []\n"),
    (("--own", "x"), "0 TlsChannel True False 6.0 0 ['--own', 'x']\n")])
def test_local_parties(program, options, expected):
    """-M: TLS with certificates that prove every party's number, made for this run."""
    assert run(program, "-M3", *base(), *options) == (0, expected, "")


def test_verified_mode_is_an_option(program):
    assert run(program, "-M4", *base(), "--verified") == (
        0, "0 TlsChannel True True 10.0 0 []\n", "")


def test_local_parties_with_an_authority(program):
    write_authority(program.parent / ".config", 3)
    assert run(program, "-M3", *base(), "--ssl") == (0, "0 TlsChannel True False 6.0 0 []\n", "")


def test_options_of_python_reach_all_parties_and_output_goes_to_files(program):
    """As in MPyC: -O for all, and --output-file appends to one file per further party."""
    status, out, err = run(program, "-M3", *base(), "--output-file", python=["-O"])
    assert (status, out, err) == (0, "0 TlsChannel True False 6.0 1 []\n", "")
    for i in (1, 2):
        text = (program.parent / f"party3_{i}.log").read_text()
        assert f"-I {i}" in text and f"{i} TlsChannel True False 6.0 1 []" in text


@pytest.mark.parametrize("kind", ["separate", "ini file"])
def test_parties_that_are_started_one_by_one(program, kind):
    """-I (with -M, or with -C): no certificates in common, so TLS without proof."""
    port = base_port(3)
    options = ["-M3", "-B", str(port)]
    if kind == "ini file":
        folder = program.parent / ".config"
        folder.mkdir()
        (folder / "three.ini").write_text("".join(
            f"[Party {i}]\nhost = localhost\nport = {port + i}\n" for i in range(3)))
        options = ["-C", "three.ini"]
    processes = [subprocess.Popen(
        [sys.executable, program, *options, "-I", str(i), "--no-log"], cwd=program.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
        for i in range(3)]
    try:
        for i, process in enumerate(processes):
            out, _ = process.communicate(timeout=100)
            assert out == f"{i} TlsChannel False False 6.0 0 []\n"
    finally:
        for process in processes:
            process.kill()


def test_versions_and_help(program):
    assert run(program, "-V")[:2] == (0, "MPyC 0.11\n")
    status, out, _ = run(program, "-H")
    assert status == 0 and "--ssl" in out and "--plain" in out


def test_an_index_starts_this_party_only(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["program.py", "-M4", "-I2"])
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: pytest.fail("a party was started"))
    assert setup().pid == 2


@pytest.mark.parametrize("content", [
    {}, {"party_0.crt": "x", "party_1.crt": "", "party_0.key": ""}])
def test_a_damaged_folder_of_certificates_is_said_so(tmp_path, monkeypatch, content):
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["program.py", "-M2", "-I0"])
    with pytest.raises(LocalProtocolError, match="bad-credentials"):
        setup()
