"""The node's own socket, founding a node, and the commands at the command line."""

import asyncio
import json
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from parties.audit import AuditLog
from parties.cli import app
from parties.config import NodeConfig
from parties.control import SOCKET, order, serve
from parties.errors import LocalError
from parties.identity import Identity


async def obey(command: dict[str, Any]) -> dict[str, Any]:
    """Repeats what it hears."""
    if command.get("command") == "crash":
        raise RuntimeError("value-of-a-key")
    if command.get("command") == "fail":
        raise LocalError("nope", "it cannot be", "do not", party="bank")
    return {"heard": command}


def serving(home: Path, work: Callable[[], Any]) -> Any:
    """The result of `work` in a thread, while a node listens."""

    async def run() -> Any:
        async with serve(home, obey), asyncio.timeout(20):
            return await asyncio.to_thread(work)

    return asyncio.run(run())


def raw(home: Path, data: bytes) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(home / SOCKET))
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        answer: dict[str, Any] = json.loads(line.makefile("rb").readline())
        return answer


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("h")


def test_a_command_and_its_answer(home: Path) -> None:
    command = {"command": "repeat", "text": "名单" * 10_000}

    def work() -> dict[str, Any]:
        assert stat.S_IMODE((home / SOCKET).stat().st_mode) == 0o600
        return order(home, command)

    assert serving(home, work) == {"heard": command}
    assert not (home / SOCKET).exists()


def test_an_error_keeps_its_fields(home: Path) -> None:
    with pytest.raises(LocalError) as caught:
        serving(home, lambda: order(home, {"command": "fail"}))
    assert caught.value.as_dict() == {
        "code": "nope", "party": "bank", "step": None, "cause": "it cannot be", "remedy": "do not",
    }  # fmt: skip


def test_a_defect_is_told_without_what_it_says(home: Path) -> None:
    with pytest.raises(LocalError, match="node_error: RuntimeError") as caught:
        serving(home, lambda: order(home, {"command": "crash"}))
    assert "value" not in str(caught.value.as_dict())


@pytest.mark.parametrize("data", [b"\n", b"[]\n", b"{", b"\xff\n", b"[" * 100_000 + b"\n"])
def test_what_is_no_command_is_refused(home: Path, data: bytes) -> None:
    assert serving(home, lambda: raw(home, data))["error"]["code"] == "command"


def test_one_node_per_home(home: Path) -> None:
    def second() -> None:
        asyncio.run(_enter(home))

    with pytest.raises(LocalError, match="already_running"):
        serving(home, second)


async def _enter(home: Path) -> None:
    async with serve(home, obey):
        pass


def test_a_socket_that_a_dead_node_left_is_replaced(home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(home / SOCKET))
    assert serving(home, lambda: order(home, {"command": "x"}))["heard"] == {"command": "x"}


def test_a_long_path_is_no_hindrance(home: Path) -> None:
    deep = home / ("x" * 120)
    deep.mkdir()
    assert serving(deep, lambda: order(deep, {"command": "x"}))["heard"] == {"command": "x"}


def test_a_node_that_does_not_run_is_named(home: Path) -> None:
    with pytest.raises(LocalError, match="node_unreachable") as caught:
        order(home, {"command": "status"})
    assert "sepc node up" in caught.value.remedy


# --- at the command line ---


def sepc(*words: object) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, [*map(str, words), "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_a_node_is_founded_and_changed(home: Path) -> None:
    there = home / "bank"
    status, made = sepc("node", "init", "--home", there, "--name", "bank",
                        "--broker", "broker.example:8883")  # fmt: skip
    assert status == 0, made
    assert stat.S_IMODE((there / "node.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(there.stat().st_mode) == 0o700
    other = Identity.create("telecom", home).public_hex
    listing = home / "directory.json"
    listing.write_text(json.dumps({"telecom": other}))
    status, again = sepc("node", "init", "--home", there, "--directory", listing,
                         "--approval", "person")  # fmt: skip
    assert status == 0, again
    assert again["public_key"] == made["public_key"]
    config = NodeConfig.load(there)
    assert config.directory == {"telecom": other, "bank": made["public_key"]}
    assert (config.approval, config.broker.port) == ("person", 8883)
    assert again["broker_password_digest"] == made["broker_password_digest"]


@pytest.mark.parametrize(
    "words",
    [
        ("--name", "bank"),
        ("--broker", "h:1"),
        ("--name", "a/b", "--broker", "h:1"),
        ("--name", "bank", "--broker", "h"),
        ("--name", "bank", "--broker", "h:99999"),
        ("--name", "bank", "--broker", "h:1", "--approval", "maybe"),
        ("--name", "bank", "--broker", "h:1", "--directory", "/dev/null"),
    ],
)
def test_a_node_is_not_founded_without_what_it_needs(home: Path, words: tuple[str, ...]) -> None:
    status, document = sepc("node", "init", "--home", home / "x", *words)
    assert (status, bool(document["error"]["remedy"])) == (1, True), document
    assert not (home / "x" / "node.json").exists()


def test_the_log_is_shown_and_a_change_of_it_named(home: Path) -> None:
    sepc("node", "init", "--home", home, "--name", "bank", "--broker", "h:1")
    assert sepc("audit", "verify", "--home", home)[1]["error"]["code"] == "audit"
    log = AuditLog(home / "audit.jsonl", Identity.load("bank", home))
    log.append("query", job_id="pir-query-1", count=3)
    log.append("job", job_id="pir-query-2")
    status, whole = sepc("audit", "verify", "--home", home)
    assert (status, whole["entries"], whole["whole"]) == (0, 2, True)
    _, shown = sepc("audit", "show", "--home", home, "--event", "query")
    assert [entry["details"]["count"] for entry in shown["entries"]] == [3]
    _, shown = sepc("audit", "show", "--home", home, "--job", "pir-query-2")
    assert [entry["event"] for entry in shown["entries"]] == ["job"]
    path = home / "audit.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"count":3', b'"count":1'))
    status, broken = sepc("audit", "verify", "--home", home)
    assert (status, broken["error"]["code"]) == (1, "audit_broken")


def test_commands_need_a_running_node(home: Path) -> None:
    for words in (("node", "status"), ("job", "list"), ("job", "show", "j"), ("pir", "list")):
        status, document = sepc(*words, "--home", home)
        assert (status, document["error"]["code"]) == (1, "node_unreachable")
