"""What has been published already, and whether one more table may be: no differencing.

Two tables over overlapping rows can be subtracted, or have their withheld cells solved for
together, and no rule that looks at one table alone sees it. Every party keeps a ledger of the
public descriptions of releases and decides by itself, from these alone:

* a table over other rows (another source, disjoint categories of some dimension, no institution in
  common) is allowed;
* exactly the same table of the same delivery of the data is allowed again: it opens the same;
* tables with noise over overlapping rows are allowed while the budget lasts;
* anything else over overlapping rows is refused, whatever it measures: the number of rows is part
  of every table.

Pure functions; a ledger is JSON lines, and whoever calls keeps them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from protocols.stats.perturb import Noise
from protocols.stats.rules import Rules
from protocols.stats.spec import TableSpec


@dataclass(frozen=True)
class Query:
    """The public description of a table.

    `population` maps each dimension by which the rows were chosen, such as the period, to the
    categories that were kept; a dimension that is not there was not used to choose. `version` is a
    digest of the delivery of the data (of all input commitments). `terms` is everything else that
    the figures depend on, such as thresholds: the same table with another threshold is another one.
    """

    source: str
    version: str
    institutions: tuple[str, ...]
    population: dict[str, tuple[str, ...]]
    table: dict[str, Any]
    rules: dict[str, Any]
    noise: dict[str, Any] | None = None
    terms: dict[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """One line of a ledger."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, separators=(',', ':'))


def query(source: str, version: str, institutions: Iterable[str], spec: TableSpec, rules: Rules,
          population: dict[str, tuple[str, ...]] | None = None,
          noise: Noise | None = None, terms: dict[str, Any] | None = None) -> Query:
    """The description of a table; its own dimensions choose rows by their categories too."""
    chosen = {d.name: d.categories for d in spec.dimensions}
    for name, categories in (population or {}).items():
        chosen[name] = tuple(c for c in categories if name not in chosen or c in chosen[name])
    return Query(source, version, tuple(sorted(institutions)),
                 {name: tuple(sorted(c)) for name, c in chosen.items()}, asdict(spec),
                 rules.describe(), asdict(noise) if noise else None, terms or {})


def parse(lines: Iterable[str]) -> list[Query]:
    """A ledger from its lines; raises ValueError naming the first that is damaged."""
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            fields['institutions'] = tuple(fields['institutions'])
            fields['population'] = {k: tuple(v) for k, v in fields['population'].items()}
            found.append(Query(**fields))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ValueError(f'line {number} of the ledger is damaged; restore it from a copy: '
                             'without it no table may be published') from None
    return found


@dataclass(frozen=True)
class Budget:
    """How much noise-protected tables may reveal together over overlapping rows."""

    epsilon: float = 1.0
    delta: float = 1e-6


@dataclass(frozen=True)
class Decision:
    """Whether a table may be published, why, and the entries (from 0) that speak against it."""

    allowed: bool
    reason: str
    conflicts: list[int] = field(default_factory=list)
    spent: float = 0.0


def decide(ledger: list[Query], new: Query, budget: Budget | None = None) -> Decision:
    """Whether a table may be published after those of the ledger; see the module."""
    budget = budget or Budget()
    related = [k for k, old in enumerate(ledger) if overlap(old, new)]
    if any(_same(ledger[k], new) for k in related) and new.noise is None:
        return Decision(True, 'the same table has been published before')
    noisy = [k for k in related if ledger[k].noise is not None]
    exact = [k for k in related if ledger[k].noise is None]
    if exact:
        return Decision(False, 'differencing: a table over overlapping rows has been published; '
                        'form what you need from its shown cells, or ask about other rows', exact)
    if new.noise is None:
        if noisy:
            return Decision(False, 'differencing: tables with noise over overlapping rows have '
                            'been published; an exact one would undo it', noisy)
        return Decision(True, 'no table over these rows has been published')
    spent = epsilon([*[ledger[k] for k in noisy], new], budget.delta)
    if spent > budget.epsilon + 1e-9:
        return Decision(False, f'budget: these tables together would spend epsilon {spent:.4g} of '
                        f'{budget.epsilon:g}', noisy, spent)
    return Decision(True, 'within the budget', spent=spent)


def overlap(a: Query, b: Query) -> bool:
    """Whether two tables may count the same rows."""
    if a.source != b.source or not set(a.institutions) & set(b.institutions):
        return False
    return all(set(a.population[name]) & set(b.population[name])
               for name in a.population.keys() & b.population.keys())


def _same(a, b):
    return a.line() == b.line()


def epsilon(queries: list[Query], delta: float) -> float:
    """What tables with noise over the same rows spend together.

    A row is in one cell of each table and changes its number of rows and every measure: Laplace
    epsilons add up, and so do the rho of zero-concentrated differential privacy, which are worth
    rho + 2 sqrt(rho ln(1/delta)) (Bun, Steinke, TCC 2016).
    """
    pure = concentrated = 0.0
    for q in queries:
        figures = 1 + len(q.table['measures'])
        assert q.noise is not None
        pure += figures * q.noise['epsilon'] if q.noise['kind'] == 'laplace' else 0.0
        concentrated += figures * q.noise['rho'] if q.noise['kind'] == 'gaussian' else 0.0
    if concentrated:
        pure += concentrated + 2 * math.sqrt(concentrated * math.log(1 / delta))
    return pure
