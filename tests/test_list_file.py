"""The owner's list: read from a file, checked, kept and compared."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parties.errors import LocalError
from parties.list_entries import difference, joined, read_entries, without, write_entries
from parties.list_file import Columns, raw_keys, read_list
from parties.list_keys import checked_keys
from protocols.pir_table import Entries, Record


def rows(*lines: str) -> str:
    return "\n".join(["id,severity,category,date,reason,court", *lines]) + "\n"


def test_a_list_is_read_from_csv_and_parquet(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(rows("a 1 ,3,17,2024-02-29,late,", "b,0,0,,,x").replace("a 1 ", " a1 "))
    columns = Columns("id", payload=("reason", "court"))
    entries = read_list(path, columns, "plain")
    assert entries.keys == ["A1", "B"]
    assert entries.payload == [b"late\x1f", b"\x1fx"]
    assert np.asarray(entries.date).astype(str).tolist() == ["2024-02-29", "1900-01-01"]
    import duckdb

    parquet = tmp_path / "list.parquet"
    duckdb.sql(f"COPY (FROM '{path}') TO '{parquet}'")
    again = read_list(parquet, columns, "plain")
    put, gone = difference(entries, again)
    assert (put.keys, gone) == ([], [])
    assert raw_keys(path, None) == [" a1 ", "b"]
    assert read_list(path, Columns("id", severity="x", category="x", date="x"), "plain").keys


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a,3,1,2024-01-01,r,c", "1 repeated"),
        (",3,1,2024-01-01,r,c", "1 missing"),
        ("b,64,1,2024-01-01,r,c", "severity: 1 values"),
        ("b,x,1,2024-01-01,r,c", "severity: 1 values"),
        ("b,1,-1,2024-01-01,r,c", "category: 1 values"),
        ("b,1,1,soon,r,c", "date: 1 values"),
        ("b,1,1,2024-01-01," + "x" * 70 + ",c", "1 records have more than 64 bytes"),
        ("b,1,1,2024-01-01,r\x1f,c", "control characters"),
        ("b,1", "cannot be read"),
    ],
)
def test_what_cannot_go_onto_a_list(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(rows("a,1,1,2024-01-01,r,c", line))
    with pytest.raises(LocalError, match=says):
        read_list(path, Columns("id", payload=("reason", "court")), "plain")


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(rows("a,1,1,2024-01-01,r,c"))
    for columns in (Columns("key"), Columns("id", payload=("none",))):
        with pytest.raises(LocalError, match="has no column"):
            read_list(path, columns, "plain")


def test_keys_that_are_none_are_counted_not_shown() -> None:
    with pytest.raises(LocalError, match=r"1 of 2 keys are not keys \(number 2\)") as caught:
        checked_keys(["91350100M000100Y43", "91350100M000100Y44"], "credit-code")
    assert "Y44" not in str(caught.value)
    assert checked_keys([" abc "], "plain") == ["ABC"]


keyed = st.dictionaries(
    st.text("ABC", min_size=1, max_size=3),
    st.builds(Record, st.integers(0, 3), st.integers(0, 2),
              st.just(datetime.date(2024, 1, 1)), st.sampled_from([b"", b"x", b"yy"])),
    max_size=8,
)  # fmt: skip


def plain(entries: Entries) -> dict[str, tuple[int, int, bytes]]:
    severity, category = np.asarray(entries.severity), np.asarray(entries.category)
    return {
        key: (int(severity[i]), int(category[i]), entries.payload[i])
        for i, key in enumerate(entries.keys)
    }


@settings(max_examples=80)
@given(keyed, keyed)
def test_a_difference_leads_from_one_list_to_the_other(before: Any, after: Any) -> None:
    old, new = Entries.of(before), Entries.of(after)
    put, gone = difference(old, new)
    assert plain(joined(without(old, [*gone, *put.keys]), put)) == plain(new)
    assert set(put.keys) == {k for k, r in after.items() if before.get(k) != r}
    assert set(gone) == set(before) - set(after)


def test_a_list_is_kept_as_it_was(tmp_path: Path) -> None:
    records = {"Ä1": Record(63, 4095, datetime.date(2024, 1, 1), b"x" * 64), "B": Record(
        0, 0, datetime.date(1900, 1, 1))}  # fmt: skip
    path = tmp_path / "entries.npz"
    write_entries(path, Entries.of(records))
    assert path.stat().st_mode & 0o777 == 0o600
    put, gone = difference(Entries.of(records), read_entries(path))
    assert (put.keys, gone) == ([], [])
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(LocalError, match="list_lost"):
        read_entries(path)
