"""The identifiers of a table's rows, normalised by agreed profiles, a block of rows at a time.

What stays in memory is one text per business and, where rows repeat, one number per row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from parties.data.check import DataError, Finding
from parties.data.reader import Reader
from protocols.identifiers import PROFILES, Identifiers, Report, composite, normalise


@dataclass(frozen=True, eq=False)
class Keys:
    """Whose each row is.

    `ids` are the different identifiers in the order of their first rows, object (businesses,).
    `group` is each row's position in `ids`, -1 where a row has none, int32 (rows,). `found` says
    what normalisation did; its own `ids` are left empty, since they would be one text per row.
    """

    names: tuple[str, ...]
    profiles: tuple[str, ...]
    ids: npt.NDArray[np.object_]
    group: npt.NDArray[np.int32]
    found: Identifiers

    @property
    def name(self) -> str:
        """What the key is called: its columns, joined by +."""
        return "+".join(self.names)

    @property
    def first(self) -> npt.NDArray[np.int64]:
        """The first row of every business."""
        where = np.full(len(self.ids), -1, np.int64)
        rows = np.flatnonzero(self.group >= 0)[::-1]
        where[self.group[rows]] = rows
        return where

    @property
    def report(self) -> Report:
        """Counts of rows: how many each rule changed or rejected, missing, repeated."""
        found = self.found
        return Report(
            len(self.group),
            found.missing.size,
            found.duplicates.size,
            dict(found.changed),
            {rule: rows.size for rule, rows in found.rejected.items()},
        )

    def __repr__(self) -> str:
        # A default repr would print identifiers into logs and tracebacks.
        return f"Keys({self.name!r}, rows={len(self.group)}, businesses={len(self.ids)})"


def profiles_for(names: Sequence[str], profile: str | Sequence[str]) -> tuple[str, ...]:
    """One profile per key column, given one for all or one each; DataError if that fails."""
    profiles = (profile,) if isinstance(profile, str) else tuple(profile)
    if len(profiles) == 1:
        profiles *= len(names)
    unknown = [p for p in profiles if p not in PROFILES]
    if unknown or len(profiles) != len(names):
        raise DataError(
            [
                Finding(
                    "profile",
                    f"there is no profile {', '.join(unknown)}"
                    if unknown
                    else f"{len(profiles)} profiles for {len(names)} key columns",
                    f"one profile, or one per key column, of {', '.join(PROFILES)}",
                    "name the agreed profile of each key column",
                )
            ]
        )
    return profiles


def read_keys(reader: Reader, names: Sequence[str], profiles: Sequence[str]) -> Keys:
    """The keys of all rows; the columns `names` must exist."""
    index: dict[str, int] = {}
    groups: list[npt.NDArray[np.int32]] = []
    parts: list[tuple[int, Identifiers]] = []
    repeated: list[npt.NDArray[np.int64]] = []
    start = 0
    for block in reader.texts(names):
        columns = {
            name: normalise(cells, profile)
            for name, profile, cells in zip(names, profiles, block, strict=True)
        }
        found = composite(columns) if len(columns) > 1 else next(iter(columns.values()))
        group, again = _numbered(found.ids.tolist(), index)
        repeated.append(again + start)
        groups.append(group)
        parts.append((start, replace(found, ids=np.empty(0, dtype=object))))
        start += len(group)
    return Keys(
        tuple(names),
        tuple(profiles),
        np.array([*index], dtype=object),
        _joined(groups, np.int32),
        _merged(parts, repeated),
    )


def _numbered(
    ids: list[str], index: dict[str, int]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """The number of each identifier in `index` (new ones get the next, '' gets -1), and the
    positions of those that were there before."""
    known = len(index)
    new = dict(zip(ids, range(known, known + len(ids)), strict=True))
    if len(new) == len(ids) and "" not in new and new.keys().isdisjoint(index):
        index |= new
        return np.arange(known, known + len(ids), dtype=np.int32), np.empty(0, np.int64)
    numbers = [index.setdefault(i, len(index)) if i else -1 for i in ids]
    group = np.array(numbers, np.int32)
    # Numbers rise where an identifier is new, and only there.
    before = np.maximum.accumulate(np.concatenate(([known - 1], group)))[:-1]
    return group, np.flatnonzero((group >= 0) & (group <= before))


def _merged(
    parts: Sequence[tuple[int, Identifiers]], repeated: Sequence[npt.NDArray[np.int64]]
) -> Identifiers:
    changed: dict[str, int] = {}
    rejected: dict[str, list[npt.NDArray[np.int64]]] = {}
    for start, part in parts:
        for rule, count in part.changed.items():
            changed[rule] = changed.get(rule, 0) + count
        for rule, rows in part.rejected.items():
            rejected.setdefault(rule, []).append(rows + start)
    return Identifiers(
        np.empty(0, dtype=object),
        _joined([part.missing + start for start, part in parts], np.int64),
        {rule: _joined(rows, np.int64) for rule, rows in rejected.items()},
        _joined(repeated, np.int64),
        changed,
    )


def _joined(parts: Sequence[npt.NDArray], kind: type) -> npt.NDArray:
    return np.concatenate(parts) if parts else np.empty(0, kind)
