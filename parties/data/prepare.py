"""A table checked against the terms on which a job reads it.

The data check and the source of a job's columns both come through here, so what the check accepts
a job accepts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from parties.data.aggregate import Aggregator, Rule, check_rules, parse
from parties.data.check import (
    Finding,
    check_feature,
    check_identifiers,
    check_label,
    check_names,
    check_row_count,
    not_a_number,
)
from parties.data.keys import Keys, profiles_for, read_keys
from parties.data.reader import Reader
from parties.data.standard import NUMERIC, Standard

Aggregates = str | Mapping[str, str] | None
_BLOCK_BYTES = 16 << 20


@dataclass(frozen=True)
class Terms:
    """What the parties agreed for one table: key columns with a profile each, label column,
    aggregation per column, standard, and the features to take (None: all numeric columns; none
    where only the identifiers matter)."""

    key: tuple[str, ...]
    profiles: tuple[str, ...]
    label: str | None
    rules: Mapping[str, Rule]
    standard: Standard | None
    features: tuple[str, ...] | None
    closed: tuple[str, ...] = ()
    """Columns that are never features, whatever else is said."""

    @classmethod
    def of(
        cls,
        key: str | Sequence[str],
        label: str | None = None,
        *,
        profile: str | Sequence[str] = "plain",
        aggregate: Aggregates = None,
        schema: str | Path | Standard | None = None,
        features: Sequence[str] | None = None,
        closed: Sequence[str] = (),
    ) -> Terms:
        """Terms as they are written in a configuration; DataError if they are not understood."""
        names = (key,) if isinstance(key, str) else tuple(key)
        return cls(
            names,
            profiles_for(names, profile),
            label,
            parse(aggregate),
            Standard.load(schema) if isinstance(schema, str | Path) else schema,
            None if features is None else tuple(features),
            tuple(closed),
        )

    def is_feature(self, name: str) -> bool:
        """Whether a column of the table is a feature on these terms."""
        dates = {rule.by for rule in self.rules.values()}
        if name in (self.label, *self.key, *self.closed) or name in dates:
            return False
        if self.features is not None:
            return name in self.features
        rules = self.standard.columns.get(name) if self.standard else None
        return rules is None or rules.type in NUMERIC


class Prepared:
    """A table on its terms: identifiers, label, features, and all that is wrong with it.

    `keys` is None where a key column is missing, `label` where there is none that could be used.
    Values can be read where there are no `findings`.
    """

    def __init__(self, reader: Reader, terms: Terms) -> None:
        self.reader, self.terms = reader, terms
        self.keys: Keys | None = None
        self.label: npt.NDArray[np.int8] | None = None
        self.features: tuple[str, ...] = ()
        self._aggregator: Aggregator | None = None
        self.findings: list[Finding] = [*self._check()]

    def values(self, names: Sequence[str]) -> npt.NDArray[np.float64]:
        """Columns as an array (businesses, len(names)), NaN for missing."""
        if self._aggregator is None:
            return self.reader.numbers(names)
        return self._aggregator.numbers(names)

    def step(self) -> int:
        """How many columns to look at together."""
        return max(1, _BLOCK_BYTES // max(8 * self.reader.rows, 1))

    def _check(self) -> Iterator[Finding]:
        reader, terms, name = self.reader, self.terms, self.reader.name
        wrong = list(check_names(name, reader.names))
        yield from wrong
        if wrong:
            return
        yield from check_row_count(name, reader.rows)
        if terms.standard:
            yield from terms.standard.check(reader)
        self.features = tuple(n for n in reader.names if terms.is_feature(n))
        for column in terms.features or ():
            if column not in reader.names:
                yield _no_column(reader, column)
        absent = [n for n in terms.key if n not in reader.names]
        for column in absent:
            yield _no_identifier(reader, column)
        if not absent:
            yield from self._check_keys()
        found = list(self._check_columns(suspects=bool(absent)))
        yield from found
        if not self.features and terms.features != ():
            yield Finding(
                name,
                "there is no feature column",
                "at least one numeric column besides identifier and label",
                "add the columns that describe the businesses",
                rule="no-feature",
            )

    def _check_keys(self) -> Iterator[Finding]:
        reader, terms = self.reader, self.terms
        self.keys = keys = read_keys(reader, terms.key, terms.profiles)
        unique = not terms.rules
        found = list(
            check_identifiers(reader.name, keys.name, keys.found, terms.profiles, unique=unique)
        )
        found += check_rules(reader, keys, terms.rules, self._used())
        yield from found
        if terms.rules and not found:
            self._aggregator = Aggregator(reader, keys, terms.rules)

    def _used(self) -> list[str]:
        """Features and label, in the order of the table."""
        features = {*self.features, self.terms.label}
        return [n for n in self.reader.names if n in features]

    def _check_columns(self, *, suspects: bool) -> Iterator[Finding]:
        reader, label = self.reader, self.terms.label
        origin = self.keys.first if self.keys and self._aggregator else None
        names, step = self._used(), self.step()
        for first in range(0, len(names), step):
            part = names[first : first + step]
            failing = self._failing(part)
            for name, values in zip(part, self.values(part).T, strict=True):
                failed = failing.get(name, np.empty(0, np.int64))
                if suspects and failed.size == reader.rows:
                    continue  # probably the identifier under another name: one finding is enough
                if origin is not None and failed.size:
                    yield not_a_number(reader.name, name, failed)
                elif name != label:
                    yield from check_feature(reader.name, name, values, failed, origin)
                else:
                    problems = list(check_label(reader.name, name, values, failed, origin))
                    self.label = None if problems else values.astype(np.int8)
                    yield from problems

    def _failing(self, names: Sequence[str]) -> dict[str, npt.NDArray[np.int64]]:
        """The rows of those columns in which something is not a number."""
        reader = self.reader
        names = [n for n in names if not reader.numeric(n)]
        if not names:
            return {}
        unfit = {n: reader.unfit(n, reader.number(n)) for n in names}
        counts = reader.one(
            "SELECT " + ", ".join(f"count(*) FILTER (WHERE {u})" for u in unfit.values())
            + " FROM cells"
        )
        return {n: reader.positions(unfit[n]) for n, c in zip(names, counts, strict=True) if c}


def _no_column(reader: Reader, name: str) -> Finding:
    return Finding(
        reader.name,
        "the column is not there",
        "the columns that were asked for",
        "add or rename the column",
        column=name,
        rule="column-missing",
    )


def _no_identifier(reader: Reader, id_name: str) -> Finding:
    shown = ", ".join(reader.names[:8]) + (", …" if len(reader.names) > 8 else "")
    return Finding(
        reader.name,
        f"there is no identifier column (the file has: {shown})",
        f"a column {id_name}",
        "rename the identifier column, or name it with --id",
        column=id_name,
        rule="column-missing",
    )
