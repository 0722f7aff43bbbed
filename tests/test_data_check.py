"""Whatever is wrong with the parties' files is said at once, before anything starts."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import numpy as np
import pytest

from parties.data import DataError, Finding, load_folder, load_table

ROWS = 60
NAMES = ("bank", "fintech", "government", "telecom")


def _lines(party: str, rows: int = ROWS) -> list[list[str]]:
    header = ["company_id", "default", "amount"] if party == "bank" else ["company_id", "amount"]
    lines = [header]
    for i in range(rows):
        label = [str(i % 2)] if party == "bank" else []
        lines.append([f"C{i:03d}", *label, str(i * 1.5)])
    return lines


def _with(lines: list[list[str]], column: list[str]) -> list[list[str]]:
    return [[*line, cell] for line, cell in zip(lines, column, strict=True)]


def _write(path: Path, lines: list[list[str]]) -> Path:
    path.write_text("\n".join(",".join(line) for line in lines) + "\n", encoding="utf-8")
    return path


def _write_parquet(path: Path, query: str) -> None:
    duckdb.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        _write(tmp_path / f"{name}.csv", _lines(name))
    return tmp_path


def _findings(folder: Path) -> list[Finding]:
    with pytest.raises(DataError) as caught:
        load_folder(folder, "company_id", "default")
    return caught.value.findings


def _only(folder: Path) -> Finding:
    findings = _findings(folder)
    assert len(findings) == 1, [str(f) for f in findings]
    return findings[0]


def test_a_good_folder(folder: Path) -> None:
    (folder / "README.md").write_text("not data")
    tables = load_folder(folder, "company_id", "default")
    assert [t.name for t in tables] == ["bank", "fintech", "government", "telecom"]
    assert tables[0].label is not None and tables[0].label.dtype == np.int8
    assert tables[0].label.sum() == ROWS / 2
    assert tables[1].label is None
    assert list(tables[0].columns) == ["amount"]
    assert tables[0].ids[:2].tolist() == ["C000", "C001"]


def test_the_label_owner_comes_first(folder: Path) -> None:
    (folder / "bank.csv").rename(folder / "zeta.csv")
    assert load_folder(folder, "company_id", "default")[0].name == "zeta"


def test_parquet_and_csv_give_the_same_table(tmp_path: Path) -> None:
    lines = _lines("bank")
    lines[3][2] = ""
    csv = _write(tmp_path / "bank.csv", lines)
    parquet = tmp_path / "bank.parquet"
    _write_parquet(parquet, f"SELECT * FROM read_csv('{csv}')")
    a = load_table(csv, "company_id", "default")
    b = load_table(parquet, "company_id", "default")
    assert a.ids.tolist() == b.ids.tolist()
    assert np.isnan(a.columns["amount"][2])
    assert np.array_equal(a.columns["amount"], b.columns["amount"], equal_nan=True)
    assert a.label is not None and b.label is not None
    assert np.array_equal(a.label, b.label)


def test_ways_to_write_missing_and_delimiters(tmp_path: Path) -> None:
    lines = _lines("telecom")
    for row, text in enumerate(["", "NA", "n/a", "NaN", "null", " None ", '"7,5"'], 1):
        lines[row][1] = text
    text = "\ufeff" + "\r\n".join(";".join(line) for line in lines)
    path = tmp_path / "telecom.csv"
    path.write_text(text.replace('"7,5"', '" 7.5 "'), encoding="utf-8", newline="")
    values = load_table(path, "company_id").columns["amount"]
    assert np.isnan(values[:6]).all()
    assert values[6] == 7.5


def test_identifiers_are_normalised(tmp_path: Path) -> None:
    lines = _lines("telecom")
    lines[1][0] = " \uff21b\uff11\u3000"
    lines[2][0] = "007"
    ids = load_table(_write(tmp_path / "telecom.csv", lines), "company_id").ids
    assert ids[:2].tolist() == ["AB1", "007"]


def test_bad_identifiers_are_counted_and_never_shown(folder: Path) -> None:
    lines = _lines("telecom")
    lines[1][0] = ""
    lines[2][0] = "SECRET 1"
    lines[3][0] = "SECRET\u200b2"
    lines[4][0] = "S" * 65
    for row in range(10, 20):
        lines[row][0] = "c030"
    _write(folder / "telecom.csv", lines)
    with pytest.raises(DataError) as caught:
        load_folder(folder, "company_id", "default")
    missing, malformed, repeated = caught.value.findings
    assert (missing.rows, missing.count) == ([1], 1)
    assert (malformed.rows, malformed.count) == ([2, 3, 4], 3)
    # Rows 10 to 19 repeat one identifier, and row 31 had it before.
    assert (repeated.rows, repeated.count) == ([11, 12, 13, 14, 15], 10)
    assert all(f.file == "telecom.csv" and f.column == "company_id" for f in (missing, repeated))
    text = str(caught.value) + json.dumps(caught.value.as_dict())
    assert "SECRET" not in text and "C030" not in text.upper()
    assert "rows 11, 12, 13, 14, 15, … (10 rows)" in text


def test_every_problem_of_every_file_is_reported(folder: Path) -> None:
    bank = _with(_lines("bank"), ["flat", *["5"] * ROWS])
    bank[4][1], bank[5][1] = "", "2"
    bank[6][2] = "inf"
    _write(folder / "bank.csv", bank)
    telecom = _with(_lines("telecom"), ["gone", *["NA"] * ROWS])
    telecom[7][1] = "1.5 yuan"
    _write(folder / "telecom.csv", telecom)
    found = {(f.file, f.column): f for f in _findings(folder) if "missing" not in f.problem}
    assert found["bank.csv", "default"].rows == [5]
    assert found["bank.csv", "amount"].rows == [6]
    assert "constant in all 60 rows" in found["bank.csv", "flat"].problem
    assert "not a number" in found["telecom.csv", "amount"].problem
    assert found["telecom.csv", "amount"].rows == [7]
    assert "empty in all 60 rows" in found["telecom.csv", "gone"].problem
    assert len(found) == 5


def test_a_single_value_beside_missing_ones_is_not_constant(folder: Path) -> None:
    lines = _with(_lines("telecom"), ["seen", "", *["1"] * (ROWS - 1)])
    _write(folder / "telecom.csv", lines)
    assert load_folder(folder, "company_id", "default")


def test_label_of_one_class(folder: Path) -> None:
    lines = [[i, "1" if row else d, a] for row, (i, d, a) in enumerate(_lines("bank"))]
    _write(folder / "bank.csv", lines)
    assert "every label is 1" in _only(folder).problem


def test_label_nowhere_or_twice(folder: Path) -> None:
    with pytest.raises(DataError, match="column loss: the label column is in none of the files"):
        load_folder(folder, "company_id", "loss")
    _write(folder / "telecom.csv", _lines("bank"))
    finding = _only(folder)
    assert "bank.csv, telecom.csv" in finding.problem


def test_identifier_column_absent(folder: Path) -> None:
    lines = _lines("telecom")
    lines[0][0] = "firm"
    _write(folder / "telecom.csv", lines)
    finding = _only(folder)
    assert finding.file == "telecom.csv"
    assert finding.expected == "a column company_id"
    assert "firm, amount" in finding.problem


def test_number_of_files(folder: Path) -> None:
    (folder / "telecom.csv").unlink()
    finding = _only(folder)
    assert "3 CSV or Parquet files" in finding.problem
    assert "exactly 4 parties" in finding.expected
    for name in ("telecom", "police"):
        _write(folder / f"{name}.csv", _lines(name))
    assert "5 CSV or Parquet files" in _only(folder).problem


def test_no_folder_and_empty_folder(tmp_path: Path) -> None:
    assert "the folder is not there" in _only(tmp_path / "none").problem
    assert "0 CSV or Parquet files" in _only(tmp_path).problem


def test_file_names_are_party_names(folder: Path) -> None:
    (folder / "telecom.csv").rename(folder / "Tele Com.csv")
    assert _only(folder).file == "Tele Com.csv"


def test_two_files_of_one_party(folder: Path) -> None:
    (folder / "telecom.csv").unlink()
    _write_parquet(folder / "fintech.parquet", f"SELECT * FROM '{folder / 'fintech.csv'}'")
    assert _only(folder).problem == "2 files for the party fintech"


def test_too_few_rows(folder: Path) -> None:
    _write(folder / "telecom.csv", _lines("telecom", 49))
    assert (_only(folder).problem, _only(folder).expected) == ("49 rows", "at least 50 rows")


def test_column_names(folder: Path) -> None:
    lines = [[*line, line[-1], line[-1]] for line in _lines("telecom")]
    lines[0] = ["company_id", "amount", "amount", ""]
    _write(folder / "telecom.csv", lines)
    first, second = _findings(folder)
    assert first.problem == "column number 4 has no name"
    assert (second.column, second.problem) == ("amount", "the column name occurs 2 times")


def test_no_feature_column(folder: Path) -> None:
    _write(folder / "telecom.csv", [line[:1] for line in _lines("telecom")])
    assert "no feature column" in _only(folder).problem


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b"company_id,amount\nC1,\xb2\xe2\xca\xd4\n" * 60, "not UTF-8"),
        (b"company_id,amount\nC1,1\nC2,secretvalue,3\n", "line 3 does not fit"),
    ],
)
def test_unreadable_csv(folder: Path, content: bytes, problem: str) -> None:
    (folder / "telecom.csv").write_bytes(content)
    finding = _only(folder)
    assert problem in finding.problem
    assert "secretvalue" not in str(finding)


def test_unreadable_parquet_and_odd_types(folder: Path) -> None:
    (folder / "telecom.csv").unlink()
    (folder / "telecom.parquet").write_bytes(b"PAR1 nonsense PAR1")
    assert "cannot be read" in _only(folder).problem
    _write_parquet(
        folder / "telecom.parquet",
        "SELECT 'C' || i AS company_id, DATE '2020-01-01' + i::INT AS day, i % 2 = 0 AS even "
        "FROM range(60) AS t(i)",
    )
    finding = _only(folder)
    assert (finding.column, finding.count) == ("day", 60)


def test_absent_file_and_wrong_kind(tmp_path: Path) -> None:
    for name, problem in (("x.csv", "not there"), ("x.xlsx", "unknown kind"), ("d.csv", "a file")):
        path = tmp_path / name
        if name == "x.xlsx":
            path.write_bytes(b"1")
        if name == "d.csv":
            path.mkdir()
        with pytest.raises(DataError, match=problem):
            load_table(path, "company_id")
