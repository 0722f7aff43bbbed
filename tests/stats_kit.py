"""Tables of the regulator's statistics: specifications, random loans, shared columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine import field, outside
from engine.cluster import run_cluster
from engine.shamir import Geometry
from protocols.stats.forms import CellForm
from protocols.stats.green_finance import INDICATORS
from protocols.stats.programs import FRAC
from protocols.stats.release import Record, release
from protocols.stats.rules import REASONS, Rules
from protocols.stats.spec import Dimension, Measure, TableSpec

GEOMETRY = Geometry(4, 1)
RECORD = Record("loans", "2020", ("a", "b"), "hash", ("a", "b"), "code")
LOANS = Measure("loans", bits=30)
FLAGGED = Measure("flagged", "count")


def spec_of(*sizes: int, measures: tuple[Measure, ...] = (LOANS,), cases: int = 0) -> TableSpec:
    """A table of dimensions of these sizes; with `cases`, so many such tables that share no total.
    """
    dimensions = [Dimension(f"d{j}", tuple(f"c{k}" for k in range(n)))
                  for j, n in enumerate(sizes)]
    if cases:
        dimensions.insert(0, Dimension("case", tuple(map(str, range(cases))), total=False))
    return TableSpec(tuple(dimensions), measures)


def random_loans(spec: TableSpec, n: int, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(cells, columns): cells of very different sizes, amounts of very different magnitude."""
    rng = np.random.default_rng(seed)
    weight = rng.gamma(0.8, size=spec.cells) + 1e-3
    cell = rng.choice(spec.cells, n, p=weight / weight.sum())
    values = {}
    for m in spec.measures:
        amounts = np.minimum(rng.lognormal(7, 1.8, n), (1 << m.bits) - 1).astype(np.int64)
        amounts[rng.random(n) < 0.05] = 0
        values[m.name] = amounts if m.kind == "amount" else rng.integers(0, 2, n)
    return cell, values


def secret(mpc: Any, values: Any, owner: int = 0) -> Any:
    """A shared integer array that `owner` puts in."""
    values = np.asarray(values, np.int64)
    return mpc.input(mpc.array(values if mpc.pid == owner else np.zeros_like(values)), owner)


def shared_cells(mpc: Any, spec: TableSpec, cell: Any, values: Any, largest: int = 2) -> Any:
    """The cells of rows, added up by their owner and shared."""
    form = CellForm(spec, 1 << 20, largest)
    return form.cells(secret(mpc, form.encode(cell, values)))


def released(spec: TableSpec, rules: Rules, cell: Any, values: Any, **options: Any) -> Any:
    """The published document of rows, at party 0 of four."""

    async def program(mpc: Any) -> Any:
        cells = shared_cells(mpc, spec, cell, values, rules.largest)
        return await release(mpc, spec, rules, cells, RECORD, **options)

    return run_cluster(program)[0]


def codes_of(document: dict[str, Any], spec: TableSpec) -> np.ndarray:
    """The statuses of a document as codes, in the shape of the extended table."""
    code = {name: number for number, name in REASONS.items()}
    return np.array([code[c["status"]] for c in document["cells"]]).reshape(spec.extended)


def own_figures(shares: dict[int, Any], geometry: Geometry) -> dict[str, float] | None:
    """At an institution: its own figures from the shares of the compute parties; None if these do
    not fit each other."""
    opened = outside.opened(shares, geometry)
    if opened is None:
        return None
    values = field.decode_float(opened, FRAC)
    return dict(zip((*INDICATORS, "score"), values.tolist(), strict=True))
