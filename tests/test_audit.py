"""The audit log shows whatever is done to it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.consortium import IDENTITIES

from parties.audit import AuditLog, verify_log
from parties.errors import LocalError

BANK = IDENTITIES["bank"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    log = AuditLog(tmp_path / "audit.jsonl", BANK)
    for number in range(5):
        log.append("sent", kind="progress", count=number)
    return tmp_path / "audit.jsonl"


def test_a_log_verifies_and_goes_on_after_a_restart(path: Path) -> None:
    AuditLog(path, BANK).append("node_started")
    entries = verify_log(path, BANK.public_hex)
    assert [entry["number"] for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert entries[1]["previous"] == entries[0]["hash"]
    assert entries[-1]["event"] == "node_started"
    assert path.stat().st_mode & 0o777 == 0o600


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    return lambda data: b"".join(line + b"\n" for line in change(data.splitlines()))


@pytest.mark.parametrize(
    ("tamper", "entry"),
    [
        (lambda data: data.replace(b'"count":2', b'"count":7'), 3),
        (lines(lambda all_: all_[1:]), 1),
        (lines(lambda all_: all_[:2] + all_[3:]), 3),
        (lines(lambda all_: [all_[0], all_[2], all_[1], *all_[3:]]), 2),
        (lines(lambda all_: [*all_, all_[-1]]), 6),
        (lines(lambda all_: [*all_, b"{}"]), 6),
        (lines(lambda all_: [*all_, b"[]"]), 6),
        (lambda data: data[:-20], 5),
    ],
)
def test_tampering_shows_and_is_located(
    path: Path, tamper: Callable[[bytes], bytes], entry: int
) -> None:
    path.write_bytes(tamper(path.read_bytes()))
    with pytest.raises(LocalError, match=f"entry {entry} ") as caught:
        verify_log(path, BANK.public_hex)
    assert caught.value.code == "audit_broken"


def test_nobody_else_can_write_a_party_s_log(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl", IDENTITIES["telecom"])
    log.append("job", state="finished")
    with pytest.raises(LocalError, match="not signed by the party"):
        verify_log(tmp_path / "audit.jsonl", BANK.public_hex)


def test_a_node_does_not_continue_a_broken_log(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(LocalError, match="audit_broken"):
        AuditLog(path, BANK)
