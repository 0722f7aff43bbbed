"""One row per business: what becomes of several rows with the same identifier.

The parties agree per column on `count` (rows that have a value), `sum`, `max`, or `latest:DATE`
(the value in the row with the greatest date in the column DATE, even if it is missing there; of
rows with one date the last in the table; rows without a date come first). Sums and maxima are
over the values that are there, and missing where there is none. DuckDB aggregates, in the
owner's own process, before anything is shared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from parties.data.check import SHOWN_ROWS, DataError, Finding
from parties.data.keys import Keys
from parties.data.reader import Reader

HOW = ("count", "sum", "max", "latest")


@dataclass(frozen=True)
class Rule:
    """How one column is aggregated; `by` is the date column of `latest`."""

    how: str
    by: str | None = None

    def __str__(self) -> str:
        return f"{self.how}:{self.by}" if self.by else self.how


Aggregation = Mapping[str, Rule]


def parse(agreed: str | Mapping[str, str] | None) -> dict[str, Rule]:
    """Rules from `column=sum,other=latest:month` or the same as a mapping; DataError if one is not
    understood."""
    if not agreed:
        return {}
    if isinstance(agreed, str):
        pairs = [part.strip().rpartition("=") for part in agreed.split(",")]
        agreed = {column: rule for column, _, rule in pairs}
    rules = {}
    for column, text in agreed.items():
        how, _, by = text.partition(":")
        if not column or how not in HOW or (how == "latest") != bool(by):
            raise DataError(
                [
                    Finding(
                        "aggregation",
                        f"the rule {text!r} is not understood",
                        "count, sum, max or latest:DATE, where DATE is a column of dates",
                        "write column=rule, and a comma between columns",
                        column=column or None,
                    )
                ]
            )
        rules[column] = Rule(how, by or None)
    return rules


class Aggregator:
    """Reads aggregated columns: one value per business, in the order of `keys.ids`.

    The columns that the rules name must exist. Needs 4 bytes per row, and a byte per row and date
    column, inside of DuckDB's limit.
    """

    def __init__(self, reader: Reader, keys: Keys, rules: Aggregation) -> None:
        self._reader, self._rules, self._businesses = reader, rules, len(keys.ids)
        reader.run("CREATE OR REPLACE TABLE groups(row BIGINT, g INTEGER)")
        reader.insert("groups", {"row": np.arange(len(keys.group)), "g": keys.group})
        self._latest = {
            rule.by: f"last{i}"
            for i, rule in enumerate(dict.fromkeys(r for r in rules.values() if r.by))
            if rule.by
        }
        for by, table in self._latest.items():
            dates = f"SELECT row, g, {reader.date(by)} AS d FROM cells JOIN groups USING (row)"
            greatest = f"SELECT g, max(d) AS d FROM ({dates}) GROUP BY g"
            reader.run(
                f"CREATE OR REPLACE TABLE {table} AS SELECT max(a.row) AS row, a.g "
                f"FROM ({dates}) a JOIN ({greatest}) b ON a.g = b.g "
                "AND a.d IS NOT DISTINCT FROM b.d GROUP BY a.g"
            )

    def numbers(self, names: Sequence[str]) -> npt.NDArray[np.float64]:
        """Columns as an array (businesses, len(names)), NaN for missing; a column without a rule
        must have one row per business."""
        out = np.empty((self._businesses, len(names)))
        by_table: dict[str, list[int]] = {}
        for i, name in enumerate(names):
            rule = self._rules.get(name)
            table = self._latest[rule.by] if rule and rule.by else "groups"
            by_table.setdefault(table, []).append(i)
        for table, columns in by_table.items():
            cells = ", ".join(f"{self._cell(names[i])} AS v{i}" for i in columns)
            group, *values = self._reader.arrays(
                f"SELECT g, {cells} FROM cells JOIN {table} USING (row) WHERE g >= 0 GROUP BY g"
            )
            for i, column in zip(columns, values, strict=True):
                out[group, i] = np.ma.filled(column.astype(np.float64), np.nan)
        return out

    def _cell(self, name: str) -> str:
        rule, value = self._rules.get(name, Rule("max")), self._reader.number(name)
        if rule.how == "count":
            return f"count(*) FILTER (WHERE {self._reader.known(name)})"
        if rule.how != "sum":
            return f"max({value})"
        # Compensated, so the order of rows changes no more than the last bit. Of finite numbers
        # it is NaN only if the sum overflows: that must be found, and not pass for missing.
        return f"CASE WHEN isnan(fsum({value})) THEN CAST('inf' AS DOUBLE) ELSE fsum({value}) END"


def check_rules(
    reader: Reader, keys: Keys, rules: Aggregation, used: Sequence[str]
) -> Iterable[Finding]:
    """Every rule fits the table, and where rows share an identifier every column of `used` has
    one."""
    missing = {name: None for name in rules if name not in reader.names}
    missing |= {r.by: None for r in rules.values() if r.by and r.by not in reader.names}
    for name in missing:
        yield Finding(
            reader.name,
            "an agreed aggregation names a column that is not there",
            "columns of the table",
            "correct the aggregation or the table",
            column=name,
            rule="aggregation-column",
        )
    if missing:
        return
    if rules and keys.found.duplicates.size:
        for name in used:
            if name not in rules:
                yield Finding(
                    reader.name,
                    f"{keys.found.duplicates.size} rows repeat an identifier, and no aggregation "
                    "is agreed for this column",
                    "count, sum, max or latest:DATE for every column",
                    "agree on an aggregation for this column, or leave the column out",
                    column=name,
                    rule="aggregation-missing",
                )
    for by in dict.fromkeys(r.by for r in rules.values() if r.by):
        condition = reader.unfit(by, reader.date(by))
        count, rows = reader.one(
            f"SELECT count(*), min(row, {SHOWN_ROWS}) FROM cells WHERE {condition}"
        )
        if count:
            yield Finding(
                reader.name,
                "the value is not a date",
                "dates such as 2024-03-31, 2024-03 or 20240331",
                "correct the dates or leave them empty",
                column=by,
                rule="not-a-date",
                rows=[row + 1 for row in rows],
                count=count,
            )
