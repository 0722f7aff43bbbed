"""A folder with one file per party, the way a demonstration or a test brings all of them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from parties.data.check import DataError, Finding
from parties.data.load import SUFFIXES, column_names, inspect_table
from protocols.table import PartyTable

# The join needs two owners, a helper and a fourth party, and each is one of the four.
PARTIES = 4
_PARTY_NAME = re.compile(r"[a-z][a-z0-9_-]*")


def load_folder(folder: str | Path, id_name: str, label_name: str) -> list[PartyTable]:
    """The parties' tables, the initiator (the label's owner) first, the others by name.

    Every ``*.csv`` and ``*.parquet`` file is a party's, and its stem is the party's name.  Raises
    ``DataError`` with everything that is wrong in any of the files.
    """
    folder = Path(folder)
    files = _party_files(folder)
    findings = _check_files(folder, files)
    tables: list[PartyTable] = []
    owners: list[str] = []
    for file in files:
        table, wrong = inspect_table(file, id_name, label_name)
        findings += wrong
        if table is not None:
            tables.append(table)
        if _has_column(file, label_name):
            owners.append(file.name)
    if files and len(owners) != 1:
        held_by = f"in {', '.join(owners)}" if owners else "in none of the files"
        findings.append(
            Finding(
                owners[0] if owners else str(folder),
                f"the label column is {held_by}",
                "the label in exactly one file: its owner starts the job",
                "remove it from the other files"
                if owners
                else "add the label to its owner's file, or name it with --label",
                column=label_name,
            )
        )
    if findings:
        raise DataError(findings)
    return sorted(tables, key=lambda t: (t.label is None, t.name))


def _party_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        problem = "this is not a folder" if folder.exists() else "the folder is not there"
        raise DataError(
            [
                Finding(
                    str(folder),
                    problem,
                    "a folder with one CSV or Parquet file per party",
                    "check the path given with --data",
                )
            ]
        )
    return sorted(
        f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and f.name[0] not in "._~"
    )


def _check_files(folder: Path, files: list[Path]) -> list[Finding]:
    findings = []
    if len(files) != PARTIES:
        names = f": {', '.join(f.name for f in files)}" if files else ""
        findings.append(
            Finding(
                str(folder),
                f"{len(files)} CSV or Parquet files{names}",
                f"exactly {PARTIES} files, one per party: this version joins the rows of exactly "
                f"{PARTIES} parties, no fewer and no more",
                "add the missing party's file"
                if len(files) < PARTIES
                else "leave one file per party in the folder",
            )
        )
    for name, count in Counter(f.stem for f in files).items():
        if count > 1:
            findings.append(
                Finding(
                    f"{name}.*",
                    f"{count} files for the party {name}",
                    "one file per party",
                    "remove all but one",
                )
            )
    for file in files:
        if not _PARTY_NAME.fullmatch(file.stem):
            findings.append(
                Finding(
                    file.name,
                    "the file name is not a party name",
                    "a lower-case letter, then lower-case letters, digits, _ or -",
                    "rename the file, for instance to telecom.csv",
                )
            )
    return findings


def _has_column(file: Path, name: str) -> bool:
    try:
        return name in column_names(file)
    except DataError:
        return False  # reported as unreadable already
