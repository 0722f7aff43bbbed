"""A table that is larger than the memory it may take: columns come in blocks, the table never."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

ROWS, COLUMNS, MEMORY_MIB = 300_000, 120, 128
CHILD = """
import json, sys
import numpy as np
from parties.data import ColumnSource
def peak():
    line = next(x for x in open('/proc/self/status') if x.startswith('VmHWM'))
    return int(line.split()[1]) / 1024
before = peak()
with ColumnSource(sys.argv[1], 'id', memory_mib=int(sys.argv[2])) as source:
    sums, rows = [], source.rows
    for block in source.blocks(4):
        sums += block.sum(axis=0).tolist()
        del block
print(json.dumps({'rows': rows, 'sums': sums, 'mib': peak() - before}))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_peak_memory_is_a_setting_and_not_the_table(tmp_path: Path) -> None:
    path = tmp_path / "wide.parquet"
    cells = ", ".join(f"(i * {k + 7}) % 1000 AS x{k}" for k in range(COLUMNS))
    duckdb.execute(
        f"COPY (SELECT 'c' || i AS id, {cells} FROM range({ROWS}) t(i)) TO '{path}' "
        "(FORMAT parquet, ROW_GROUP_SIZE 30000)"
    )
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), str(MEMORY_MIB)],
        capture_output=True, text=True, timeout=240, check=False, cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["rows"] == ROWS
    # i * a mod 1000 runs through whole periods: 300 of them.
    expected = [300 * sum(i * (k + 7) % 1000 for i in range(1000)) for k in range(COLUMNS)]
    assert found["sums"] == expected
    table_mib = ROWS * COLUMNS * 8 / 2**20
    assert found["mib"] < MEMORY_MIB + 96 < table_mib
    print(f"peak {found['mib']:.0f} MiB above start, table {table_mib:.0f} MiB")
