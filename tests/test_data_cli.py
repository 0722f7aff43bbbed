"""`sepc data` as a user runs it: exactly one document, status 0 only when all is done and well."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from parties.cli import app
from parties.data.registry import Entry, Registry
from parties.errors import LocalError

ROWS = 60


@pytest.fixture
def firms(tmp_path: Path) -> Path:
    lines = ["id,day,x", *(f"c{i % 55},2024-01-{i % 28 + 1:02d},{i}" for i in range(ROWS))]
    (tmp_path / "firms.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path / "firms.csv"


def _run(*arguments: object) -> tuple[int, Any]:
    done = CliRunner().invoke(app, ["data", *map(str, arguments), "--json"])
    lines = done.stdout.splitlines()
    assert len(lines) == 1, done.output
    return done.exit_code, json.loads(lines[0])


def test_add_list_check_remove(tmp_path: Path, firms: Path) -> None:
    home = tmp_path
    status, added = _run("add", "monthly", firms, "--home", home, "--key", "id",
                         "--aggregate", "x=latest:day", "--profile", "plain")
    assert status == 0
    assert added == {"name": "monthly", "location": str(firms), "key": ["id"],
                     "profile": ["plain"], "label": None, "aggregate": {"x": "latest:day"},
                     "schema_file": None, "features": None}
    assert _run("list", "--home", home) == (0, {"tables": [added]})
    status, document = _run("check", "monthly", "--home", home)
    assert (status, document["ok"], document["features"]) == (0, True, ["x"])
    assert document["identifiers"]["businesses"] == 55
    with Registry.load(home).find("monthly").open() as source:
        assert source.read(0, 1)[:5, 0].tolist() == [55, 1, 2, 3, 4]
        assert source.rows == 55
    assert _run("remove", "monthly", "--home", home) == (0, {"removed": "monthly"})
    assert _run("list", "--home", home) == (0, {"tables": []})
    assert firms.exists()


def test_violations_give_the_document_and_status_1(tmp_path: Path, firms: Path) -> None:
    (tmp_path / "s.toml").write_text('format = "sepc-schema/1"\n[columns.x]\ntype = "number"\n'
                                     "max = 50\n[columns.day]\ntype = \"date\"\n")
    page = tmp_path / "page.html"
    status, document = _run("check", firms, "--schema", tmp_path / "s.toml", "--html", page,
                            "--reference", "day<2024-01-15", "--language", "zh")
    assert (status, document["ok"]) == (1, False)
    assert [(f["column"], f["rule"], f["count"]) for f in document["findings"]] == [
        ("x", "above", 9)]
    assert '<html lang="zh-CN">' in page.read_text(encoding="utf-8")
    status, document = _run("check", firms, "--key", "id")
    assert status == 1
    assert {f["rule"] for f in document["findings"]} == {"identifier-repeated", "not-a-number"}
    assert _run("check", firms)[0] == 0
    status, document = _run("check", firms, "--html", tmp_path / "no" / "page.html")
    assert (status, document["error"]["code"]) == (1, "html")


@pytest.mark.parametrize(("arguments", "code"), [
    (["add", "monthly", "{firms}", "--key", "firm"], "data"),
    (["add", "monthly", "{firms}", "--key", "id", "--profile", "tax"], "data"),
    (["add", "monthly", "{firms}", "--key", "id", "--aggregate", "x=mean"], "data"),
    (["add", "monthly", "{firms}", "--key", "id", "--aggregate", "x=latest:month"], "data"),
    (["add", "monthly", "{firms}", "--key", "id", "--schema", "none.toml"], "data"),
    (["add", "monthly", "none.csv", "--key", "id"], "data"),
    (["add", "monthly", "{firms}", "--key", "id,"], "data_option"),
    (["add", "4 rooms", "{firms}", "--key", "id"], "data_name"),
    (["add", "taken", "{firms}", "--key", "id"], "data_exists"),
    (["check", "unheard"], "data_unknown"),
    (["remove", "unheard"], "data_unknown"),
])
def test_mistakes_are_named_and_change_nothing(
    tmp_path: Path, firms: Path, arguments: list[str], code: str
) -> None:
    Registry(tables={"taken": Entry(location=str(firms), key=("id",))}).save(tmp_path)
    before = (tmp_path / "data.json").read_bytes()
    status, document = _run(*(a.format(firms=firms) for a in arguments), "--home", tmp_path)
    assert (status, document["error"]["code"]) == (1, code)
    assert document["error"]["cause"] and document["error"]["remedy"]
    assert (tmp_path / "data.json").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_the_registry_is_private_and_replaced_as_a_whole(
    tmp_path: Path, firms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = os.umask(0)
    try:
        assert _run("add", "a", firms, "--home", tmp_path, "--key", "id")[0] == 0
    finally:
        os.umask(old)
    path = tmp_path / "data.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(LocalError, match="No space left"):
        Registry().save(tmp_path)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.json", "firms.csv"]
    for text in ("{", '{"format": "2"}', '{"tables": {"a": {"location": "x", "key": []}}}'):
        path.write_text(text)
        assert _run("list", "--home", tmp_path)[1]["error"]["code"] == "data_registry"
    assert _run("add", "b", firms, "--home", tmp_path / "none", "--key", "id")[0] == 1


def test_passwords_stay_in_the_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(tmp_path / "a.db") as db:
        db.execute("CREATE TABLE firms(id TEXT, x REAL)")
        db.executemany("INSERT INTO firms VALUES(?, ?)", [(f"c{i}", i) for i in range(ROWS)])
    db.close()
    url = f"sqlite:///{tmp_path}/a.db#firms"
    monkeypatch.chdir(tmp_path)
    added = _run("add", "firms", "sqlite:///a.db#firms", "--home", tmp_path, "--key", "id")[1]
    assert added["location"] == url  # a relative path is kept as an absolute one
    assert _run("check", "firms", "--home", tmp_path)[1]["rows"] == ROWS
    entry = Entry(location="postgresql+psycopg://bank:geheim@db/credit?sslpassword=geheim#firms",
                  key=("id",))
    Registry(tables={"remote": entry}).save(tmp_path)
    status, document = _run("list", "--home", tmp_path)
    assert (status, document["tables"][0]["location"]) == (
        0, "postgresql+psycopg://bank:***@db/credit#firms")
    assert "geheim" not in repr(entry) and b"geheim" in (tmp_path / "data.json").read_bytes()


def test_the_command_itself(tmp_path: Path, firms: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "parties.cli", "data", "check", str(firms), "--key", "id"],
        capture_output=True, text=True, timeout=120, check=False, cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 1 and done.stderr == ""
    assert "firms: 60 rows, 3 columns" in done.stdout
    assert "id: identifier repeated, 5 rows" in done.stdout
