"""An agreed standard for a table: a TOML file of column types, ranges, units and code lists.

All parties that use one standard can compare `Standard.sha256`. A unit cannot be seen in the
values; it is part of the agreement and is shown beside the column wherever values are.
"""

from __future__ import annotations

import datetime
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from parties import canonical
from parties.data.check import SHOWN_ROWS, DataError, Finding
from parties.data.reader import Reader
from parties.manifest import Column, Strict, explain

FORMAT = "sepc-schema/1"
_GROUP = 32
Bound = Annotated[int | float, Field(allow_inf_nan=False)] | datetime.date
Number = Annotated[int | float, Field(allow_inf_nan=False)]
NUMERIC = ("number", "integer", "boolean")


class Rules(Strict):
    """What one column must be.

    `min` and `max` bound numbers and dates, inclusively; `codes` lists all values that may occur;
    `special` values stand for something else than a measurement and are exempt from range, code
    list and whole numbers; `missing` is the largest share of missing values.
    """

    type: Literal["number", "integer", "boolean", "date", "text"]
    unit: str | None = None
    meaning: str | None = None
    min: Bound | None = None
    max: Bound | None = None
    codes: tuple[Number | str, ...] | None = None
    special: tuple[Number, ...] = ()
    missing: Annotated[float, Field(ge=0, le=1)] = 1.0
    unique: bool = False
    required: bool = True

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        dates = [isinstance(b, datetime.date) for b in (self.min, self.max) if b is not None]
        if dates and (self.type in ("text", "boolean") or any(dates) != (self.type == "date")):
            raise ValueError(f"min and max do not fit the type {self.type}")
        if self.codes is not None and self.type in ("boolean", "date"):
            raise ValueError(f"codes do not fit the type {self.type}")
        texts = [isinstance(code, str) for code in self.codes or ()]
        if texts and any(texts) != (self.type == "text"):
            raise ValueError(f"codes do not fit the type {self.type}")
        if self.special and self.type not in NUMERIC:
            raise ValueError(f"special values do not fit the type {self.type}")
        return self

    @property
    def demand(self) -> str:
        """Range and unit in signs, for a table of columns."""
        low = "" if self.min is None else f"{self.min} ≤ "
        high = "" if self.max is None else f" ≤ {self.max}"
        bounds = f"{low}x{high}" if low or high else ""
        return " · ".join(part for part in (bounds, self.unit) if part)


class Standard(Strict):
    """The agreed columns; `extra` says whether a table may have others."""

    format: Literal["sepc-schema/1"]
    title: str = ""
    version: str = ""
    min_rows: Annotated[int, Field(ge=0)] = 0
    extra: bool = True
    columns: dict[Column, Rules]

    @classmethod
    def load(cls, path: str | Path) -> Standard:
        """The standard in a TOML file; DataError if it is not one."""
        path = Path(path)
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
            # Through JSON, whose strictness admits arrays for tuples and texts for dates.
            return cls.model_validate_json(json.dumps(document, default=_iso))
        except (OSError, UnicodeDecodeError) as error:
            problem = f"the schema cannot be read ({type(error).__name__})"
        except tomllib.TOMLDecodeError as error:
            problem = f"the schema is not TOML ({error})"
        except (ValidationError, TypeError) as error:
            problem = f"the schema is not valid ({explain(error)})"
        raise DataError(
            [Finding(path.name, problem, f"a TOML file of the format {FORMAT}", "see docs/data.md")]
        )

    def sha256(self) -> str:
        """The hash that stands for this exact agreement."""
        return canonical.sha256(self.model_dump(mode="json"))

    def check(self, reader: Reader) -> Iterator[Finding]:
        """What in the table breaks the standard, with counts and row numbers."""
        if reader.rows < self.min_rows:
            yield Finding(
                reader.name,
                f"{reader.rows} rows",
                f"at least {self.min_rows} rows",
                "bring the rows that are missing",
                rule="few-rows",
                limit=f"≥ {self.min_rows}",
            )
        for name, rules in self.columns.items():
            if rules.required and name not in reader.names:
                yield Finding(
                    reader.name,
                    "the column is not there",
                    "every column that the agreed standard requires",
                    "add or rename the column",
                    column=name,
                    rule="column-missing",
                )
        for name in reader.names:
            if not self.extra and name not in self.columns:
                yield Finding(
                    reader.name,
                    "the standard does not know the column",
                    "only columns of the agreed standard",
                    "remove the column, or agree on it",
                    column=name,
                    rule="column-extra",
                )
        present = [name for name in self.columns if name in reader.names]
        for first in range(0, len(present), _GROUP):
            yield from self._check_columns(reader, present[first : first + _GROUP])

    def _check_columns(self, reader: Reader, names: list[str]) -> Iterator[Finding]:
        tests = [(n, test) for n in names for test in _tests(reader, n, self.columns[n])]
        missing = [f"count(*) - count(*) FILTER (WHERE {reader.known(name)})" for name in names]
        counted = [
            f"count(*) FILTER (WHERE {where}), min(row, {SHOWN_ROWS}) FILTER (WHERE {where})"
            for _, (_, where, _, _) in tests
        ]
        result = list(reader.one(f"SELECT {', '.join(missing + counted)} FROM cells"))
        for name, count in zip(names, result[: len(names)], strict=True):
            yield from self._missing(reader, name, count)
        pairs = iter(result[len(names) :])
        for (name, (rule, _, problem, limit)), count in zip(tests, pairs, strict=False):
            rows = next(pairs)
            if count:
                yield Finding(
                    reader.name,
                    problem,
                    f"{self.columns[name].type}: {limit}",
                    "correct the values, or agree on another standard",
                    column=name,
                    rule=rule,
                    limit=limit,
                    rows=[row + 1 for row in rows],
                    count=count,
                )
        for name in names:
            if self.columns[name].unique:
                yield from _unique(reader, name)

    def _missing(self, reader: Reader, name: str, count: int) -> Iterator[Finding]:
        allowed = self.columns[name].missing
        if count > allowed * reader.rows:
            yield Finding(
                reader.name,
                f"the value is missing in {count} of {reader.rows} rows",
                f"at most {allowed:.2%} of the rows",
                "fill in the values, or agree on another share",
                column=name,
                rule="missing",
                limit=f"≤ {allowed:.2%}",
                rows=[int(r) + 1 for r in _first(reader, f"NOT {reader.known(name)}")],
                count=count,
            )


def _tests(reader: Reader, name: str, rules: Rules) -> Iterator[tuple[str, str, str, str]]:
    """(rule, condition in SQL, problem, limit) for every way a cell can break the rules."""
    number, text = reader.number(name), f"trim({reader.text(name)})"
    value = {"date": reader.date(name), "text": text}.get(rules.type, number)
    exempt = f" AND {number} NOT IN ({_list(rules.special)})" if rules.special else ""
    if rules.type == "boolean":
        where = f"({reader.unfit(name, number)} OR {number} NOT IN (0, 1)){exempt}"
        yield ("not-boolean", where, "the value is neither 0 nor 1", "0, 1")
        return
    if rules.type != "text":
        kind = "not-a-date" if rules.type == "date" else "not-a-number"
        noun = "date" if rules.type == "date" else "number"
        yield (kind, reader.unfit(name, value), f"the value is not a {noun}", noun)
    if rules.type in NUMERIC:
        yield ("infinite", f"isinf({number})", "the value is infinite", "finite")
    if rules.type == "integer":
        where = f"{value} <> floor({value}) AND NOT isinf({value}){exempt}"
        yield ("not-integer", where, "the value is not a whole number", "integer")
    for rule, sign, bound, wrong in (
        ("below", "≥", rules.min, "<"),
        ("above", "≤", rules.max, ">"),
    ):
        if bound is not None:
            where = f"{value} {wrong} {_literal(bound)}{exempt}"
            yield (rule, where, f"the value is {rule} the agreed range", f"{sign} {bound}")
    if rules.codes is not None:
        where = f"{value} NOT IN ({_list(rules.codes)}){exempt}"
        shown = ", ".join(map(str, rules.codes[:12])) + (", …" if len(rules.codes) > 12 else "")
        yield ("code", where, "the value is not in the agreed list", shown)


def _unique(reader: Reader, name: str) -> Iterator[Finding]:
    text = f"trim({reader.text(name)})"
    where = (
        f"row IN (SELECT row FROM (SELECT row, {text} AS t, row_number() OVER (PARTITION BY {text} "
        "ORDER BY row) AS n FROM cells) WHERE n > 1 AND t IS NOT NULL)"
    )
    known, different = reader.one(f"SELECT count({text}), count(DISTINCT {text}) FROM cells")
    if known > different:
        yield Finding(
            reader.name,
            "the value occurs in an earlier row already",
            "every value once",
            "remove the repeated rows",
            column=name,
            rule="repeated",
            rows=[int(r) + 1 for r in _first(reader, where)],
            count=known - different,
        )


def _first(reader: Reader, where: str) -> list[int]:
    """The first few rows that fulfil a condition."""
    rows: list[int] = reader.one(f"SELECT min(row, {SHOWN_ROWS}) FROM cells WHERE {where}")[0]
    return rows


def _list(values: tuple[int | float | str, ...]) -> str:
    return ", ".join(map(_literal, values)) or "NULL"


def _literal(value: int | float | str | datetime.date) -> str:
    if isinstance(value, datetime.date):
        return f"TIMESTAMP '{value.isoformat()}'"
    if isinstance(value, str):
        return "'" + value.strip().replace("'", "''") + "'"
    return f"CAST({value!r} AS DOUBLE)"


def _iso(value: object) -> str:
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise TypeError(f"a value of the type {type(value).__name__}")
