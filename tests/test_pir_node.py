"""`sepc pir publish` and `sepc pir query` on four nodes, a broker and workers as real processes."""

import contextlib
import json
import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.fleet import NAMES, Fleet

from parties.audit import verify_log

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]

FRAUD = {f"91FRAUD{i:03d}": (i % 64, i % 5, f"2024-01-{1 + i % 28:02d}", f"case {i}")
         for i in range(60)}  # fmt: skip
LATE = {f"91LATE{i:03d}": (i % 10, 1, "", "") for i in range(40)} | {
    "91FRAUD007": (50, 2, "2025-05-05", "")
}
SECRET = "91ASKED-AND-NOWHERE-ELSE"


def write(path: Path, records: dict[str, tuple[int, int, str, str]]) -> Path:
    lines = [",".join([key, *map(str, record)]) for key, record in records.items()]
    path.write_text("\n".join(["key,severity,category,date,reason", *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Four nodes and two lists of two owners; the quotas are those of the tests below."""
    folder = tmp_path_factory.mktemp("pir")
    modules = {name: "fakes.same_day" for name in NAMES} | {"fintech": "fakes.dying"}
    with Fleet(folder / "run", modules=modules) as fleet:
        fraud = write(folder / "fraud.csv", FRAUD)
        made = fleet.sepc(
            "government", "pir", "publish", "--list", "fraud", "--data", fraud,
            "--payload", "reason", "--asker", "bank=100", "--asker", "fintech=2",
        )  # fmt: skip
        assert (made["list"], made["version"], made["published"]) == ("government/fraud", 1, "anew")
        assert (made["records"], made["changes"]) == (60, None)
        late = write(folder / "late.csv", LATE)
        fleet.sepc("telecom", "pir", "publish", "--list", "late", "--data", late, "--quota", 50)
        yield fleet


def ask(fleet: Fleet, name: str, lists: str, *keys: str, severity: int | None = None) -> Any:
    """The answers to some keys: one record per list, or whether there is a hit."""
    file = fleet.homes[name].parent / "keys.txt"
    file.write_text("\n".join(keys) + "\n")
    more = () if severity is None else ("--severity", severity)
    document = fleet.sepc(name, "pir", "query", "--list", lists, "--file", file, *more)
    file.unlink()
    assert [one["key"] for one in document["answers"]] == list(keys)
    if severity is not None:
        return [one["hit"] for one in document["answers"]]
    return [list(one["records"].values()) for one in document["answers"]]


def fraud(key: str) -> dict[str, Any]:
    severity, category, date, reason = FRAUD[key]
    payload = {"reason": reason}
    return {"severity": severity, "category": category, "date": date, "payload": payload}


def audit(fleet: Fleet, name: str) -> list[dict[str, Any]]:
    directory = json.loads((fleet.homes[name] / "node.json").read_text())["directory"]
    return verify_log(fleet.homes[name] / "audit.jsonl", directory[name])


def test_lists_of_two_owners_are_asked_at_once(fleet: Fleet) -> None:
    found = ask(fleet, "bank", "fraud,late", "91fraud007", "91LATE003", SECRET)
    late = {"severity": 50, "category": 2, "date": "2025-05-05", "payload": {}}
    assert found == [
        [fraud("91FRAUD007"), late],
        [None, {"severity": 3, "category": 1, "date": None, "payload": {}}],
        [None, None],
    ]
    keys = ("91FRAUD007", "91FRAUD005", SECRET)
    assert ask(fleet, "bank", "government/fraud,late", *keys, severity=50) == [True, False, False]


def test_shares_and_lists_lie_where_they_belong(fleet: Fleet) -> None:
    for name in NAMES:
        shares = list(fleet.homes[name].glob("jobs/*/shares.npz"))
        assert len(shares) >= 2
        entries = list(fleet.homes[name].glob("jobs/*/entries.npz"))
        assert bool(entries) == (name in ("government", "telecom"))
        for path in [*shares, *entries, fleet.homes[name] / "node.sock"]:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert not list((fleet.homes[name] / "staged").glob("*"))


def test_an_asker_that_is_not_named_is_refused(fleet: Fleet) -> None:
    refused = fleet.attempt("telecom", "pir", "query", "--list", "fraud", "--key", "91FRAUD007")
    error = refused["error"]
    assert (error["code"], error["party"]) == ("refused", "government")
    assert "quota: 1 queries asked, 0 left" in error["cause"]


def test_a_quota_ends_and_a_restart_of_the_owner_does_not_renew_it(fleet: Fleet) -> None:
    # The shares of every list and what was asked today are read from disk.
    assert ask(fleet, "fintech", "fraud", "91FRAUD001", "91NONE")[0] == [fraud("91FRAUD001")]
    fleet.stop("government")
    fleet.start("government")
    refused = fleet.attempt("fintech", "pir", "query", "--list", "fraud,late", "--key", "91NONE")
    assert "quota: 1 queries asked, 0 left" in refused["error"]["cause"]


def test_changes_are_shared_without_publishing_anew(fleet: Fleet) -> None:
    folder = fleet.homes["bank"].parent
    changed = {"91FRAUD004": (63, 1, "2026-01-01", "worse")}
    files = (
        "--add", write(folder / "add.csv", {"91NEW": (9, 9, "2026-01-02", "new")}),
        "--change", write(folder / "change.csv", changed),
        "--remove", write(folder / "remove.csv", {"91FRAUD005": FRAUD["91FRAUD005"]}),
    )  # fmt: skip
    made = fleet.sepc(
        "government", "pir", "publish", "--list", "fraud", "--payload", "reason", *files
    )
    assert (made["published"], made["changes"], made["version"]) == ("changes", 3, 2)
    assert made["records"] == 60
    found = ask(fleet, "bank", "fraud", "91NEW", "91FRAUD004", "91FRAUD005", "91FRAUD006")
    worse = {"severity": 63, "category": 1, "date": "2026-01-01", "payload": {"reason": "worse"}}
    assert found[1:] == [[worse], [None], [fraud("91FRAUD006")]]
    assert found[0][0]["payload"] == {"reason": "new"}


def test_a_publication_that_fails_half_way_leaves_the_version_before(fleet: Fleet) -> None:
    """A party is killed when all others hold the new version; then the next publication."""
    late = {**LATE, "91LATE777": (7, 7, "", "")}
    file = write(fleet.homes["bank"].parent / "later.csv", late)
    words = ("pir", "publish", "--list", "late", "--data", file, "--anew")
    (fleet.homes["fintech"] / "die").touch()
    error = fleet.attempt("telecom", *words)["error"]
    assert (error["code"], error["party"]) == ("worker_lost", "fintech")
    (fleet.homes["fintech"] / "die").unlink()
    shown = {name: fleet.sepc(name, "pir", "list")["lists"][-1] for name in NAMES}
    assert {name: one["number"] for name, one in shown.items()} == {
        "bank": 2, "fintech": 1, "government": 2, "telecom": 2}  # fmt: skip
    assert {one["answers"] for one in shown.values()} == {1}
    found = ask(fleet, "bank", "late", "91LATE003", "91LATE777")
    assert [one[0] and one[0]["severity"] for one in found] == [3, None]
    made = fleet.sepc("telecom", *words[:-1])
    assert (made["version"], made["published"]) == (3, "anew")
    assert fleet.sepc("telecom", "pir", "list")["lists"][-1]["answers"] == 3


def test_in_verified_mode(fleet: Fleet) -> None:
    refused = fleet.attempt(
        "bank", "pir", "query", "--list", "fraud", "--key", "91FRAUD007", "--verified"
    )
    assert refused["error"]["code"] == "refused"
    assert "not published in verified mode" in refused["error"]["cause"]
    made = fleet.sepc(
        "bank", "pir", "publish", "--list", "checked", "--verified", "--quota", 9,
        "--data", write(fleet.homes["bank"].parent / "checked.csv", FRAUD),
    )  # fmt: skip
    assert (made["verified"], made["published"]) == (True, "anew")
    words = ("--list", "checked", "--key", "91FRAUD007", "--verified")
    document = fleet.sepc("telecom", "pir", "query", *words)
    [record] = document["answers"][0]["records"].values()
    assert (record["severity"], document["verified"]) == (7, True)


def test_mistakes_are_named_before_anything_runs(fleet: Fleet) -> None:
    folder = fleet.homes["bank"].parent
    here = write(folder / "here.csv", {"91FRAUD004": FRAUD["91FRAUD004"]})
    for arguments, code, says in [
        (("publish", "--list", "fraud", "--add", here), "list_data", "already in the list"),
        (("publish", "--list", "other", "--add", here), "unknown_list", "nothing to change"),
        (("publish", "--list", "fraud"), "nothing", "no data"),
        (("publish", "--list", "fraud", "--asker", "eve=1"), "unknown_party", "eve"),
        (("publish", "--list", "../x", "--data", here), "command", "terms.name"),
        (("query", "--list", "none", "--key", "x"), "unknown_list", "none"),
        (("query", "--list", "fraud"), "keys", "what to ask"),
        (("query", "--list", "fraud", "--key", " "), "list_data", "1 of 1 keys"),
    ]:
        error = fleet.attempt("government", "pir", *arguments)["error"]
        assert error["code"] == code, error
        assert says in error["cause"], error
        assert error["remedy"], error
    assert not list((fleet.homes["government"] / "staged").glob("*"))


def test_the_lists_are_shown(fleet: Fleet) -> None:
    shown = {f"{o['owner']}/{o['name']}": o for o in fleet.sepc("telecom", "pir", "list")["lists"]}
    assert set(shown) == {"bank/checked", "government/fraud", "telecom/late"}
    assert [shown[name]["verified"] for name in sorted(shown)] == [True, False, False]
    assert shown["telecom/late"]["quotas"] == {"*": 50}
    assert shown["government/fraud"]["quotas"] is None


def test_the_doctor_finds_nothing_wrong(fleet: Fleet) -> None:
    found = fleet.sepc("fintech", "node", "doctor")
    assert found["healthy"], found
    tried = [(one["check"], one["party"]) for one in found["findings"]]
    others = [name for name in NAMES if name != "fintech"]
    each = ("answer", "clock", "code", "connection", "connection")
    assert tried == [("broker", None), ("broker rights", None)] + [
        (check, name) for name in others for check in each
    ]
    status = fleet.sepc("fintech", "node", "status")
    assert set(status["parties"].values()) == {"online"}


def test_no_asked_key_is_found_in_any_file(fleet: Fleet) -> None:
    """After the other tests: whatever was written on the way is there by now."""
    for name in NAMES:
        for path in fleet.homes[name].rglob("*"):
            if path.is_file():
                assert SECRET.encode() not in path.read_bytes(), path
        queries = [e["details"] for e in audit(fleet, name) if e["event"] == "query"]
        asked_by_bank = [q for q in queries if q["asker"] == "bank"]
        assert asked_by_bank[0]["count"] == 3
        assert asked_by_bank[0]["lists"] == ["government/fraud", "telecom/late"]
        assert {q["answer"] for q in asked_by_bank} == {"records", "decision"}
        counted = sum(q["count"] for q in queries if q["asker"] == "fintech")
        assert counted == 2, "refused queries were not made"
    run = fleet.homes["bank"].parents[1]
    for path in (run / "processes.log", run / "broker.log"):
        assert not path.exists() or SECRET.encode() not in path.read_bytes()


def test_a_party_that_lacks_a_version_says_so(fleet: Fleet) -> None:
    """A node whose lists are gone; the job ends before any worker starts."""
    fleet.stop("fintech")
    found = fleet.attempt("bank", "node", "doctor")
    assert [one["party"] for one in found["findings"] if not one["passed"]] == ["fintech"]
    with contextlib.closing(sqlite3.connect(fleet.homes["fintech"] / "node.db")) as database:
        database.execute("delete from lists")
        database.commit()
    fleet.start("fintech")
    error = fleet.attempt("bank", "pir", "query", "--list", "late", "--key", "91LATE001")["error"]
    assert (error["code"], error["party"]) == ("refused", "fintech")
    assert "does not hold the list late of telecom" in error["cause"]
