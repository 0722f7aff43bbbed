"""The data check: one table, before any job, as a document for its owner alone.

`findings` are what a job would refuse (the same rules, from `prepare.py`) and what breaks the
agreed standard: `ok` is whether there are none. `notices` are what a person should look at:
constants, outliers, suspected codes, drift; no job refuses them.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from parties.data import columns, drift
from parties.data.check import DataError, Finding, check_names
from parties.data.location import Location
from parties.data.prepare import Prepared, Terms
from parties.data.reader import MEMORY_MIB, Reader

FORMAT = "sepc-data-check/1"
MOSTLY_MISSING = 0.95
MANY_OUTLIERS = 0.01
_PERIOD = re.compile(r"(?P<column>.+?)\s*<\s*(?P<day>\d{4}-\d{2}-\d{2})")
_NUMERIC = ("number", "integer", "boolean")


def check_table(
    place: str | Path | Location,
    terms: Terms,
    *,
    reference: str | Path | Location | None = None,
    memory_mib: int = MEMORY_MIB,
) -> dict[str, Any]:
    """The document. `terms` may have no key: then nothing is said about identifiers and jobs.

    `reference` is another table, or `COLUMN<YYYY-MM-DD`: the rows before that day are then what
    the later ones are compared with. Raises DataError if a table cannot be read at all.
    """
    with Reader(place, memory_mib=memory_mib, keys=terms.key) as reader:
        wrong = list(check_names(reader.name, reader.names))
        if wrong:
            raise DataError(wrong)
        reader.stage()
        prepared = Prepared(reader, terms) if terms.key else None
        if prepared:
            findings = prepared.findings
        else:
            findings = list(terms.standard.check(reader)) if terms.standard else []
        compared = _Reference.of(reference, reader, memory_mib)
        try:
            described = [*_describe(reader, terms, compared)]
        finally:
            if compared:
                compared.close()
        keys = prepared.keys if prepared else None
        repeated = _repeated_rows(reader)
        notices = [*_notices(described, reader.rows, {f.column: f.rule for f in findings})]
        if repeated:
            notices.insert(0, {"column": None, "rule": "rows-repeated", "count": repeated})
        return {
            "format": FORMAT,
            "name": reader.location.stem,
            "location": reader.location.shown,
            "checked": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "rows": reader.rows,
            "ok": not findings,
            "findings": [asdict(finding) for finding in findings],
            "notices": notices,
            "identifiers": None
            if keys is None
            else {
                "columns": list(keys.names),
                "profiles": list(keys.profiles),
                "businesses": len(keys.ids),
                **asdict(keys.report),
            },
            "aggregation": {column: str(rule) for column, rule in terms.rules.items()},
            "label": terms.label if terms.label in reader.names else None,
            "features": list(prepared.features) if prepared else None,
            "repeated_rows": repeated,
            "standard": None
            if terms.standard is None
            else {
                "title": terms.standard.title,
                "version": terms.standard.version,
                "sha256": terms.standard.sha256(),
            },
            "reference": compared.document() if compared else None,
            "columns": described,
            "rules": {
                "outlier_fence_iqr": columns.FENCE,
                "mostly_missing": MOSTLY_MISSING,
                "many_outliers": MANY_OUTLIERS,
                "drift_investigate": drift.INVESTIGATE,
                "drift_shifted": drift.SHIFTED,
            },
        }


class _Reference:
    """What the table is compared with: another table, or its own rows before a day."""

    def __init__(self, reader: Reader, other: Reader | None, column: str, day: str) -> None:
        self._reader, self._other, self._column, self._day = reader, other, column, day
        if other:
            other.stage()
            self.rows, self.kept = other.rows, np.ones(reader.rows, bool)
            self._where, self._own = "true", "true"
            return
        cell = reader.date(column)
        self._where, self._own = (f"{cell} {s} TIMESTAMP '{day}'" for s in ("<", ">="))
        self._before, self.kept = np.zeros(reader.rows, bool), np.zeros(reader.rows, bool)
        self._before[reader.positions(self._where)] = True
        self.kept[reader.positions(self._own)] = True
        self.rows = int(self._before.sum())
        if not self.rows or not self.kept.any():
            raise _no_reference(f"{'no' if not self.rows else 'every'} row lies before the day")

    @classmethod
    def of(
        cls, given: str | Path | Location | None, reader: Reader, memory_mib: int
    ) -> _Reference | None:
        if given is None:
            return None
        period = _PERIOD.fullmatch(str(given)) if isinstance(given, str) else None
        if not period:
            return cls(reader, Reader(given, memory_mib=memory_mib), "", "")
        if period["column"] not in reader.names:
            raise _no_reference("the column of the reference period is not there")
        try:
            datetime.date.fromisoformat(period["day"])
        except ValueError:
            raise _no_reference("the reference period ends at no day") from None
        return cls(reader, None, period["column"], period["day"])

    def close(self) -> None:
        if self._other:
            self._other.close()

    def document(self) -> dict[str, Any]:
        where = self._other.location.shown if self._other else f"{self._column} < {self._day}"
        return {"location": where, "rows": self.rows, "compared_rows": int(self.kept.sum())}

    def has(self, name: str) -> bool:
        """Whether the column can be compared; the period's own column moves by definition."""
        return name in self._other.names if self._other else name != self._column

    def numbers(self, name: str, values: npt.NDArray[np.float64]) -> float | None:
        if self._other:
            reference = self._other.numbers([name])[:, 0]
        else:
            reference, values = values[self._before], values[self.kept]
        reference, values = (v[~np.isinf(v)] for v in (reference, values))
        return drift.of_numbers(reference, values) if reference.size and values.size else None

    def codes(self, name: str) -> float | None:
        reference = _counts(self._other or self._reader, name, self._where)
        values = _counts(self._reader, name, self._own)
        return drift.of_codes(reference, values) if reference and values else None


def _no_reference(problem: str) -> DataError:
    expected = "another table, or COLUMN<YYYY-MM-DD with rows before and since that day"
    return DataError([Finding("reference", problem, expected, "name another reference")])


def _describe(
    reader: Reader, terms: Terms, compared: _Reference | None
) -> Iterator[dict[str, Any]]:
    agreed = terms.standard.columns if terms.standard else {}
    kinds = columns.kinds(reader, {name: rules.type for name, rules in agreed.items()})
    for name in reader.names:
        rules = agreed.get(name)
        kind, known = kinds[name]["kind"], kinds[name]["known"]
        entry: dict[str, Any] = {
            "name": name,
            "kind": "identifier" if name in terms.key else kind,
            "role": _role(name, terms),
            "unit": rules.unit if rules else None,
            "meaning": rules.meaning if rules else None,
            "demand": rules.demand if rules else None,
            "missing": reader.rows - known,
            "missing_share": (reader.rows - known) / reader.rows if reader.rows else 0.0,
            "not_numbers": kinds[name]["not_numbers"],
        }
        index = None
        if name in terms.key:
            entry["distinct"] = columns.of_codes(reader, name)["distinct"]
        elif kind in _NUMERIC:
            values = reader.numbers([name])[:, 0]
            entry |= columns.of_numbers(values, rules.special or None if rules else None)
            if compared and compared.has(name):
                index = compared.numbers(name, values)
        elif kind == "date":
            entry |= columns.of_dates(reader, name)
        else:
            entry |= columns.of_codes(reader, name)
            # Text that is different in nearly every row has no distribution to compare.
            if compared and compared.has(name) and entry["distinct"] <= reader.rows / 2:
                index = compared.codes(name)
        if index is not None:
            entry["drift"] = {"psi": index, "band": drift.band(index)}
        yield entry


def _role(name: str, terms: Terms) -> str | None:
    if not terms.key:
        return None
    if name in terms.key:
        return "key"
    return "label" if name == terms.label else "feature" if terms.is_feature(name) else "unused"


def _notices(
    described: list[dict[str, Any]], rows: int, refused: dict[str | None, str]
) -> Iterator[dict[str, Any]]:
    """What a person should look at, in the order of the columns."""
    for column in described:
        name, known = column["name"], rows - column["missing"]

        def notice(rule: str, count: int, limit: str = "", name: str = name) -> dict[str, Any]:
            return {"column": name, "rule": rule, "count": count, "limit": limit}

        if not known:
            if refused.get(name) != "empty":
                yield notice("empty", rows)
            continue
        if column.get("distinct") == 1 and refused.get(name) != "constant":
            yield notice("constant", known)
        if column["missing_share"] > MOSTLY_MISSING:
            yield notice("mostly-missing", column["missing"], f"> {MOSTLY_MISSING:.0%}")
        if column["kind"] == "mixed":
            yield notice("mixed", column["not_numbers"])
        outliers = column.get("outliers")
        if outliers and outliers["low"] + outliers["high"] > MANY_OUTLIERS * known:
            yield notice("outliers", outliers["low"] + outliers["high"], f"> {MANY_OUTLIERS:.0%}")
        if column.get("special") and not column["special_agreed"]:
            values = ", ".join(f"{s['value']:g}" for s in column["special"])
            yield notice("special", sum(s["count"] for s in column["special"]), values)
        if "drift" in column and column["drift"]["band"] != "stable":
            index = f"PSI {column['drift']['psi']:.3f}"
            yield notice(f"drift-{column['drift']['band']}", 0, index)


def _repeated_rows(reader: Reader) -> int:
    """Rows that equal an earlier one in every column."""
    cells = ", ".join(reader.column(name) for name in reader.names)
    different = reader.one(f"SELECT count(DISTINCT hash({cells})) FROM cells")[0]
    return reader.rows - int(different)


def _counts(reader: Reader, name: str, where: str) -> dict[str | None, int]:
    text = f"trim({reader.text(name)})"
    return dict(reader.all(f"SELECT {text}, count(*) FROM cells WHERE {where} GROUP BY 1"))
