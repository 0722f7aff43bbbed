"""Columns in blocks: normalised, aggregated and read, against plain Python on the same rows."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parties.data import ColumnSource, DataError, load_table
from parties.data.aggregate import parse
from protocols.identifiers import CREDIT_ALPHABET, credit_check_character

ROWS = 60


def _code(i: int) -> str:
    body = "9131" + "".join(CREDIT_ALPHABET[(i // 31**k) % 31] for k in range(13))
    return body + credit_check_character(body)


def _csv(path: Path, header: list[str], rows: list[list[Any]]) -> Path:
    lines = [header, *rows]
    path.write_text("\n".join(",".join(map(str, line)) for line in lines) + "\n", encoding="utf-8")
    return path


def _parquet(path: Path, query: str) -> Path:
    duckdb.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    return path


def _problems(*arguments: Any, **options: Any) -> dict[str, Any]:
    with pytest.raises(DataError) as caught:
        ColumnSource(*arguments, **options)
    return {f.rule: f for f in caught.value.findings}


# --- blocks ---

@pytest.mark.parametrize("kind", ["csv", "parquet", "sql"])
def test_blocks_are_the_table_in_its_order(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(1)
    values = np.round(rng.normal(size=(ROWS, 7)), 3)
    values[3, 2] = values[10, 6] = np.nan
    order = rng.permutation(ROWS)
    rows = [[f"c{order[i]:03d}", *("" if math.isnan(v) else v for v in row)]
            for i, row in enumerate(values)]
    names = [f"x{k}" for k in range(7)]
    place: Any = _csv(tmp_path / "firms.csv", ["id", *names], rows)
    if kind == "parquet":
        place = _parquet(tmp_path / "firms.parquet", f"SELECT * FROM '{place}'")
    if kind == "sql":
        place = _database(tmp_path / "firms.db", ["id", *names], rows)
    with ColumnSource(place, "id") as source:
        assert (source.name, source.rows, source.features) == ("firms", ROWS, tuple(names))
        found = np.concatenate(list(source.blocks(3)), axis=1)
        # A table without a primary key has no order of its own: it is sorted by the key.
        where = np.argsort(order) if kind == "sql" else np.arange(ROWS)
        assert source.ids.tolist() == [f"C{order[i]:03d}" for i in where]
        assert np.array_equal(found, values[where], equal_nan=True)
        assert np.array_equal(source.read(2, 1), values[where, 2:3], equal_nan=True)
        assert source.read(7, 0).shape == (ROWS, 0)
        for first, count in ((0, 8), (-1, 2), (8, 0)):
            with pytest.raises(ValueError, match="7 features"):
                source.read(first, count)
        table = source.table()
    assert np.array_equal(np.stack([*table.columns.values()], 1), values[where], equal_nan=True)


def test_identifiers_and_values_of_many_row_groups_stay_together(tmp_path: Path) -> None:
    path = tmp_path / "big.parquet"
    query = "SELECT 'k' || i AS id, i AS x, -i AS y FROM range(40000) t(i)"
    duckdb.execute(f"COPY ({query}) TO '{path}' "
                   "(FORMAT parquet, ROW_GROUP_SIZE 2048)")
    with ColumnSource(path, "id") as source:
        assert source.ids.tolist() == [f"K{i}" for i in range(40_000)]
        block = source.read(0, 2)
        assert np.array_equal(block, np.stack([np.arange(40_000), -np.arange(40_000)], 1))


def test_a_file_that_changes_is_refused(tmp_path: Path) -> None:
    path = _csv(tmp_path / "a.csv", ["id", "x"], [[f"c{i}", i] for i in range(ROWS)])
    with ColumnSource(path, "id") as source:
        source.read(0, 1)
        _csv(path, ["id", "x"], [[f"c{i}", i] for i in range(ROWS + 1)])
        with pytest.raises(DataError, match="changed while it was in use"):
            source.read(0, 1)


def test_chosen_features_and_label(tmp_path: Path) -> None:
    rows = [[f"c{i}", "text", i % 2, i, -i] for i in range(ROWS)]
    path = _csv(tmp_path / "a.csv", ["id", "note", "bad", "x", "y"], rows)
    assert set(_problems(path, "id", "bad")) == {"not-a-number"}
    with ColumnSource(path, "id", "bad", features=["y"]) as source:
        assert source.features == ("y",)
        assert source.label is not None and source.label.tolist() == [0, 1] * (ROWS // 2)
    assert _problems(path, "id", features=["z", "x"])["column-missing"].column == "z"


def test_columns_by_name_are_read_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a model asks for them; the label of a table that is opened without it is no feature."""
    columns = ", ".join(f"(i * {k}) % 97 AS x{k}" for k in range(1, 8))
    file = _parquet(tmp_path / "t.parquet", f"SELECT 'c' || i AS id, {columns}, i % 2 AS bad "
                    "FROM range(80) t(i)")
    with ColumnSource(file, "id", closed=["bad"]) as source:
        asked = []
        read = source.read
        monkeypatch.setattr(source, "read", lambda *a: asked.append(a) or read(*a))
        monkeypatch.setattr(source, "step", lambda: 3)
        assert [*source.columns] == [f"x{k}" for k in range(1, 8)]
        for name, values in source.table().columns.items():
            np.testing.assert_array_equal(source.columns[name], values)
        del asked[:]
        for k in (1, 2, 3, 7, 7, 2):
            assert source.columns[f"x{k}"][5] == (5 * k) % 97
        assert asked == [(0, 3), (6, 1), (1, 3)]
        assert "x1" not in repr(source.columns) and len(source.columns) == 7
        with pytest.raises(KeyError):
            source.columns["bad"]
    with ColumnSource(file, "id", features=()) as source:
        assert (source.features, source.rows) == ((), 80)


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "spill"))
    (tmp_path / "spill").mkdir()
    path = _csv(tmp_path / "a.csv", ["id", "x"], [[f"c{i}", i] for i in range(ROWS)])
    with ColumnSource(path, "id"):
        assert [*(tmp_path / "spill").iterdir()]
    assert not [*(tmp_path / "spill").iterdir()]
    assert _problems(path, "firm")
    assert not [*(tmp_path / "spill").iterdir()]


# --- identifiers ---

def test_profiles_change_reject_and_count(tmp_path: Path) -> None:
    codes = [_code(i) for i in range(ROWS)]
    spelt = [codes[0].lower(), f"{codes[1][:8]}-{codes[1][8:]}", *codes[2:]]
    path = _csv(tmp_path / "a.csv", ["code", "x"], [[c, i] for i, c in enumerate(spelt)])
    with ColumnSource(path, "code", profile="credit-code") as source:
        assert source.ids.tolist() == codes
        report = source.report
    assert (report.rows, report.changed["separators"], report.changed["case"]) == (ROWS, 1, 1)
    assert load_table(path, "code", profile="credit-code").ids.tolist() == codes
    wrong = codes[5][:-1] + ("0" if codes[5][-1] != "0" else "1")
    spelt[5] = wrong
    path = _csv(path, ["code", "x"], [[c, i] for i, c in enumerate(spelt)])
    finding = _problems(path, "code", profile="credit-code")["identifier-malformed"]
    assert (finding.rows, finding.count, finding.column) == ([6], 1, "code")
    assert "check-character: 1" in finding.problem and wrong not in str(finding)


def test_duplicates_after_normalisation(tmp_path: Path) -> None:
    rows = [[f"c{i}", i] for i in range(ROWS)] + [["C7", 1], [" c7 ", 2]]
    path = _csv(tmp_path / "a.csv", ["id", "x"], rows)
    finding = _problems(path, "id")["identifier-repeated"]
    assert (finding.rows, finding.count) == ([ROWS + 1, ROWS + 2], 2)
    assert "aggregation" in finding.expected


def test_repeats_are_found_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parties.data.reader._PIECE", 8)
    keys = [f"c{i % 23}" for i in range(ROWS)]
    path = _csv(tmp_path / "a.csv", ["id", "x"], [[k, i] for i, k in enumerate(keys)])
    finding = _problems(path, "id")["identifier-repeated"]
    assert (finding.rows, finding.count) == ([24, 25, 26, 27, 28], ROWS - 23)


def test_composite_keys_with_a_profile_each(tmp_path: Path) -> None:
    rows = [[_code(i // 2), "Shop A" if i % 2 else "shop-b", i] for i in range(ROWS)]
    path = _csv(tmp_path / "a.csv", ["code", "shop", "x"], rows)
    with ColumnSource(path, ["code", "shop"], profile=["credit-code", "text"]) as source:
        assert source.id_name == "code+shop"
        assert source.ids[1] == f"18:{_code(0)}6:shop a"
        assert source.features == ("x",)
    wrong = _problems(path, ["code", "shop"], profile=["credit-code"] * 3)
    assert "3 profiles for 2 key columns" in wrong[""].problem
    assert "there is no profile tax" in _problems(path, "code", profile="tax")[""].problem


# --- aggregation ---

RULES = {"n": "count", "s": "sum", "m": "max", "l": "latest:day"}
CELL = st.one_of(st.none(), st.integers(-1000, 1000))
DAY = st.one_of(st.none(), st.integers(1, 28))


@settings(max_examples=10,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(st.integers(0, 12), CELL, CELL, CELL, CELL, DAY),
                     min_size=55, max_size=90))
def test_aggregation_is_what_plain_python_gives(tmp_path: Path, rows: list[tuple]) -> None:
    lines = [[f"c{k}" if i % 2 else f" C{k}", *("" if v is None else v for v in cells),
              "" if day is None else f"2024-02-{day:02d}"]
             for i, (k, *cells, day) in enumerate(rows)]
    path = _csv(tmp_path / "a.csv", ["id", "n", "s", "m", "l", "day"], lines)
    # The rules on empty and constant columns are not what is tested here.
    lines.append(["spare", 7, 7, 7, 7, ""])
    lines.append(["spare2", 8, 8, 8, 8, ""])
    lines.append(["spare2", 8, 8, 8, 8, ""])
    _csv(path, ["id", "n", "s", "m", "l", "day"], lines)
    with ColumnSource(path, "id", aggregate=RULES) as source:
        assert source.features == ("n", "s", "m", "l")
        found, ids = source.read(0, 4), source.ids.tolist()
    groups: dict[str, list[list[Any]]] = {}
    for name, *cells in lines:
        groups.setdefault(name.strip().upper(), []).append(cells)
    assert ids == [*groups]
    for i, members in enumerate(groups.values()):
        known = [[int(m[c]) for m in members if m[c] != ""] for c in range(3)]
        last = max((cells[4], r) for r, cells in enumerate(members))[1]
        expected = [len(known[0]), sum(known[1]) if known[1] else math.nan,
                    max(known[2], default=math.nan),
                    math.nan if members[last][3] == "" else members[last][3]]
        assert np.array_equal(found[i], np.array(expected, float), equal_nan=True), (i, members)


def test_aggregation_reads_dates_of_any_kind(tmp_path: Path) -> None:
    day = "DATE '2024-01-01' + i::INT"
    days = {"a": day, "b": f"strftime({day}, '%Y%m%d')", "c": f"strftime({day}, '%Y%m%d')::INT",
            "d": f"strftime({day}, '%Y/%m/%d')"}
    for name, sql in days.items():
        path = _parquet(tmp_path / f"{name}.parquet",
                        f"SELECT 'c' || (i % 60) AS id, i AS x, {sql} AS day FROM range(120) t(i) "
                        "ORDER BY i DESC")
        with ColumnSource(path, "id", aggregate="x=latest:day") as source:
            assert source.read(0, 1)[:, 0].tolist() == [*range(119, 59, -1)]


def test_aggregation_must_be_complete_and_fit(tmp_path: Path) -> None:
    rows = [[f"c{i % 55}", i, i, "2024-13-01" if i == 2 else "2024-01-01"] for i in range(ROWS)]
    path = _csv(tmp_path / "a.csv", ["id", "x", "y", "day"], rows)
    finding = _problems(path, "id", aggregate="x=latest:day")
    assert finding["aggregation-missing"].column == "y"
    assert "5 rows repeat" in finding["aggregation-missing"].problem
    assert (finding["not-a-date"].rows, finding["not-a-date"].column) == ([3], "day")
    assert _problems(path, "id", aggregate="z=sum")["aggregation-column"].column == "z"
    for text in ("x", "x=mean", "x=latest", "x=sum:day", "=sum"):
        with pytest.raises(DataError, match="is not understood"):
            parse(text)


def test_aggregated_rows_are_checked_and_named(tmp_path: Path) -> None:
    rows = [[f"c{i // 2}", 1 if i in (70, 71) else 0, i, 1e308] for i in range(120)]
    rows[10][2] = "ten"
    path = _csv(tmp_path / "a.csv", ["id", "bad", "x", "y"], rows)
    found = _problems(path, "id", "bad", aggregate="bad=sum,x=max,y=sum")
    assert (found["not-a-number"].rows, found["not-a-number"].column) == ([11], "x")
    # The business of rows 71 and 72 has the label 2; sums of 1e308 overflow for everybody.
    assert (found["label-wrong"].rows, found["label-wrong"].count) == ([71], 1)
    assert (found["infinite"].rows, found["infinite"].count) == ([1, 3, 5, 7, 9], 60)


# --- databases ---

def _database(path: Path, header: list[str], rows: list[list[Any]], kinds: str = "") -> str:
    with sqlite3.connect(path) as db:
        columns = kinds or ", ".join(f'"{n}" {"TEXT" if n == "id" else "REAL"}' for n in header)
        db.execute(f"CREATE TABLE firms({columns})")
        marks = ",".join("?" * len(header))
        db.executemany(f"INSERT INTO firms VALUES({marks})",
                       [[None if v == "" else v for v in row] for row in rows])
    db.close()
    return f"sqlite:///{path}#firms"


def test_a_database_in_blocks_with_loose_types(tmp_path: Path,
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parties.data.database.BLOCK_CELLS", 50)
    rows = [[i, 7 * 10**12 + i, i / 8 if i % 3 else "", f"2024-01-{i % 28 + 1:02d}", i]
            for i in range(ROWS)]
    url = _database(tmp_path / "a.db", ["n", "id", "x", "day", "count"], rows,
                    "n INTEGER PRIMARY KEY DESC, id BIGINT, x NUMERIC, day DATE, count INTEGER")
    with ColumnSource(url, "id", features=["x", "count"]) as source:
        assert source.ids.tolist() == [str(7 * 10**12 + i) for i in range(ROWS)]
        expected = [[np.nan if not i % 3 else i / 8, i] for i in range(ROWS)]
        assert np.array_equal(source.read(0, 2), np.array(expected), equal_nan=True)
    with sqlite3.connect(tmp_path / "a.db") as db:
        db.execute("UPDATE firms SET x = 'secretvalue' WHERE n = 40")
    db.close()
    finding = _problems(url, "id", features=["x"])["not-a-number"]
    assert (finding.column, finding.rows, finding.count) == ("x", [41], 1)
    assert "secretvalue" not in str(finding)


def test_views_repeats_and_labels_of_a_database(tmp_path: Path) -> None:
    rows = [[f"c{i % 55}", i % 2, i] for i in range(ROWS)]
    url = _database(tmp_path / "a.db", ["id", "bad", "x"], rows)
    with sqlite3.connect(tmp_path / "a.db") as db:
        db.execute("CREATE VIEW seen AS SELECT id, max(bad) AS bad, sum(x) AS x FROM firms "
                   "GROUP BY id")
    db.close()
    with ColumnSource(url.replace("#firms", "#seen"), "id", "bad") as view, \
            ColumnSource(url, "id", "bad", aggregate="bad=max,x=sum") as source:
        assert view.ids.tolist() == source.ids.tolist()
        assert np.array_equal(view.read(0, 1), source.read(0, 1))
        assert view.label is not None and source.label is not None
        assert np.array_equal(view.label, source.label)


@pytest.mark.parametrize(("url", "problem"), [
    ("sqlite:///{folder}/a.db", "names no table"),
    ("sqlite:///{folder}/none.db#firms", "the database is not there"),
    ("sqlite:///{folder}/a.db#none", "there is no such table"),
    ("sqlite:///{folder}/text.db#firms", r"cannot be read \(DatabaseError\)"),
    ("nosuch://user:geheim@host/db#firms", "driver is not installed"),
    ("a b://#firms", "the URL cannot be read"),
])
def test_databases_that_cannot_be_read(tmp_path: Path, url: str, problem: str) -> None:
    _database(tmp_path / "a.db", ["id", "x"], [[f"c{i}", i] for i in range(ROWS)])
    (tmp_path / "text.db").write_text("no database at all, whatever its name says" * 9)
    with pytest.raises(DataError, match=problem) as caught:
        ColumnSource(url.format(folder=tmp_path), "id")
    assert "geheim" not in str(caught.value)
    assert not (tmp_path / "none.db").exists()
