"""Agreed standards: every rule finds exactly the rows that break it, and repeats no value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from parties.data import ColumnSource, DataError, Finding
from parties.data.reader import Reader
from parties.data.standard import Standard

ROWS = 60
HEAD = 'format = "sepc-schema/1"\n'


def _standard(path: Path, text: str) -> Standard:
    (path / "standard.toml").write_text(HEAD + text, encoding="utf-8")
    return Standard.load(path / "standard.toml")


def _table(path: Path, columns: dict[str, list[Any]]) -> Path:
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(),
                                                                        strict=True))]
    (path / "firms.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path / "firms.csv"


def _found(place: Path, standard: Standard) -> dict[tuple[str | None, str], Finding]:
    with Reader(place) as reader:
        found = list(standard.check(reader))
    assert len({(f.column, f.rule) for f in found}) == len(found)
    return {(f.column, f.rule): f for f in found}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_every_rule_counts_the_rows_that_break_it(tmp_path: Path, kind: str) -> None:
    numbers = np.arange(ROWS, dtype=float)
    numbers[4] = -999
    place = _table(tmp_path, {
        "n": ["" if i == 7 else numbers[i] for i in range(ROWS)],
        "half": [i + 0.5 * (i in (8, 9)) for i in range(ROWS)],
        "flag": [2 if i == 11 else i % 2 for i in range(ROWS)],
        "day": [f"2024-{1 + i % 12:02d}-15" for i in range(ROWS)],
        "region": ["O'Hara" if i == 20 else "north" if i % 2 else "south" for i in range(ROWS)],
        "class": [i % 4 for i in range(ROWS)],
        "number": [f"k{i % 58}" for i in range(ROWS)],
        "spare": [1] * ROWS,
    })
    if kind == "parquet":
        duckdb.execute(f"COPY (SELECT * FROM '{place}') TO '{tmp_path}/firms.parquet'")
        place = tmp_path / "firms.parquet"
    rules = """
        title = "Figures"
        min_rows = 61
        extra = false
        columns.n = { type = "number", min = 1, max = 57.5, special = [-999], missing = 0.01 }
        columns.half = { type = "integer" }
        columns.flag = { type = "boolean" }
        columns.day = { type = "date", min = 2024-02-01, max = 2024-11-30 }
        columns.region = { type = "text", codes = ["north", "south"] }
        columns.class = { type = "integer", codes = [0, 1, 2] }
        columns.number = { type = "text", unique = true }
        columns.gone = { type = "number" }
        columns.optional = { type = "number", required = false }
    """
    found = _found(place, _standard(tmp_path, rules))
    expected = {
        (None, "few-rows"): ([], 0),
        ("n", "below"): ([1], 1),
        ("n", "above"): ([59, 60], 2),
        ("n", "missing"): ([8], 1),
        ("half", "not-integer"): ([9, 10], 2),
        ("flag", "not-boolean"): ([12], 1),
        ("day", "below"): ([1, 13, 25, 37, 49], 5),
        ("day", "above"): ([12, 24, 36, 48, 60], 5),
        ("region", "code"): ([21], 1),
        ("class", "code"): ([4, 8, 12, 16, 20], 15),
        ("number", "repeated"): ([59, 60], 2),
        ("gone", "column-missing"): ([], 0),
        ("spare", "column-extra"): ([], 0),
    }
    assert {key: (f.rows, f.count) for key, f in found.items()} == expected
    assert "O'Hara" not in " ".join(map(str, found.values()))


def test_types_are_checked_cell_by_cell(tmp_path: Path) -> None:
    place = _table(tmp_path, {
        "x": ["1e3" if i == 1 else "inf" if i == 2 else "secret" if i == 3 else "NA" if i == 4
              else i for i in range(ROWS)],
        "d": ["2024-02-30" if i == 5 else "202402" if i == 6 else "" if i == 7 else "2024/3/1"
              for i in range(ROWS)],
        "b": ["true" if i == 8 else 1 for i in range(ROWS)],
    })
    found = _found(place, _standard(tmp_path, """
        columns.x = { type = "number" }
        columns.d = { type = "date", missing = 0.0 }
        columns.b = { type = "boolean" }
    """))
    assert {key: f.rows for key, f in found.items()} == {
        ("x", "not-a-number"): [4], ("x", "infinite"): [3], ("d", "not-a-date"): [6],
        ("d", "missing"): [8], ("b", "not-boolean"): [9]}
    assert "secret" not in str(found["x", "not-a-number"])


def test_a_job_refuses_what_breaks_the_standard(tmp_path: Path) -> None:
    place = _table(tmp_path, {"id": [f"c{i}" for i in range(ROWS)], "x": [*range(ROWS)],
                              "note": ["text"] * ROWS, "day": ["2024-01-01"] * ROWS})
    text = 'columns.x = { type = "number", max = MAX }\ncolumns.note = { type = "text" }\n' \
           'columns.day = { type = "date" }'
    with ColumnSource(place, "id", schema=_standard(tmp_path, text.replace("MAX", "59"))) as good:
        # What the standard calls text or dates is no feature, and need not be a number.
        assert good.features == ("x",)
    with pytest.raises(DataError) as caught:
        ColumnSource(place, "id", schema=_standard(tmp_path, text.replace("MAX", "50")))
    finding, = caught.value.findings
    assert (finding.column, finding.count, finding.rule) == ("x", 9, "above")


def test_the_hash_is_of_the_agreement_and_not_of_its_spelling(tmp_path: Path) -> None:
    one = _standard(tmp_path, 'columns.x = { type = "number", min = 0 }')
    other = _standard(tmp_path, '# said otherwise\n[columns.x]\nmin = 0\ntype = "number"')
    assert one.sha256() == other.sha256()
    assert one.sha256() != _standard(tmp_path, 'columns.x = { type = "number" }').sha256()


@pytest.mark.parametrize("text", [
    'columns.x = { type = "money" }',
    'columns.x = { type = "number", minimum = 0 }',
    'columns.x = { type = "text", min = 0 }',
    'columns.x = { type = "date", min = 0 }',
    'columns.x = { type = "number", min = 2024-01-01 }',
    'columns.x = { type = "integer", codes = ["a"] }',
    'columns.x = { type = "text", special = [1] }',
    'columns.x = { type = "number", missing = 2.0 }',
    'columns.x = { type = "number", max = nan }',
    'columns = 1',
    'columns.x = {',
])
def test_what_is_no_standard_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"standard.toml.*the schema is not"):
        _standard(tmp_path, text)
    with pytest.raises(DataError, match="cannot be read"):
        Standard.load(tmp_path / "none.toml")
