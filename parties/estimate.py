"""What a job will take: rounds and bytes from the cost formulas, and from them seconds and memory.

Rounds and bytes are those that the meter will show, or at most those where the manifest cannot
know better, or those on average where the random order of a sort decides. Seconds are a projection:
the rounds wait for the network, the bytes of one party go through its line, and the work takes
processor time as measured (`docs/benchmarks.md`, two cores). Of a credit job the document also has
rounds and bytes of each step.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from engine.costs import Prediction
from engine.shamir import Geometry
from parties.errors import LocalError
from parties.join_terms import task_of
from parties.list_terms import QueryParameters
from parties.manifest import KeyedList, Keys, Manifest
from parties.programs import (
    COMMON,
    CREDIT,
    FUND_FLOW,
    FUND_TRACING,
    GREEN_FINANCE,
    JOINT_TABLE,
    PUBLISH,
    QUERY,
    RELATED_LOANS,
    UPDATE,
)

_WORKER_MB = 180.0
_LINE_SECONDS, _GROUP_SECONDS, _PLACE_SECONDS = 0.3e-6, 150e-6, 1e-6
_BYTE_SECONDS, _LOOKUP_SECONDS = 12e-9, 0.1e-9
"""Processor seconds of one party: per identifier, per identifier without a helper, per place that
is filled in a list's table, per byte sent, per key and byte of a list's table."""
_RELEASE_SECONDS, _ROW_MB = 1.5, 1e-3
"""Processor seconds of one party for the rules of a published table besides its bytes; memory per
row of the largest table that is sorted."""
_ELEMENT_SECONDS, _GRAM_SECONDS = 40e-9, 1e-9
_SORTED_MB = 3.9e-3
"""Of a training, processor seconds of one party besides its bytes: per element of the matrix and
pass, per multiply-add of a Gram matrix or Hessian. Memory per row held out, while it is sorted."""


@dataclass(frozen=True)
class Network:
    """Round-trip time in seconds, and what a party can send, in bytes per second."""

    round_trip: float = 0.001
    bytes_per_second: float = 125e6


@dataclass(frozen=True)
class _Work:
    cost: Prediction
    processor_seconds: float
    memory_mb: float
    bound: bool = False
    average: bool = False
    steps: Mapping[str, Prediction] = field(default_factory=dict)


def estimate(
    manifest: Manifest, lists: Mapping[tuple[str, str], KeyedList], network: Network
) -> dict[str, Any]:
    """The document of `sepc job estimate`; `lists` are the terms of published lists, by owner and
    name. Raises LocalError for a job whose program has no formula."""
    work = {
        COMMON: _common, PUBLISH: _publish, UPDATE: _publish, QUERY: _query,
        FUND_FLOW: _fund_flow, FUND_TRACING: _fund_tracing, GREEN_FINANCE: _green_finance,
        RELATED_LOANS: _related_loans, JOINT_TABLE: _joint_table, CREDIT: _credit,
    }  # fmt: skip
    if manifest.program.name not in work:
        raise LocalError(
            "no_estimate",
            f"there is no formula for jobs of {manifest.program.name}",
            f"estimate a job of {', '.join(work)}",
        )
    default = (FUND_FLOW, FUND_TRACING, GREEN_FINANCE, RELATED_LOANS, JOINT_TABLE, CREDIT)
    if manifest.verified and manifest.program.name in default:
        raise LocalError("no_estimate", "this program has formulas for the default mode only")
    found = work[manifest.program.name](manifest, lists)
    parties = len(manifest.compute)
    each = found.cost.total_bytes / parties
    waiting = found.cost.rounds * network.round_trip / 2 + each / network.bytes_per_second
    processor = found.processor_seconds + each * _BYTE_SECONDS
    steps = {
        name: {"rounds": cost.rounds, "bytes_per_party": round(cost.total_bytes / parties)}
        for name, cost in found.steps.items()
    }
    return {
        "job_id": manifest.job_id,
        "program": manifest.program.name,
        "parties": parties,
        "threshold": manifest.threshold,
        "verified": manifest.verified,
        "rounds": found.cost.rounds,
        "bytes": found.cost.total_bytes,
        "bytes_per_party": round(each),
        "at_most": found.bound,
        "on_average": found.average,
        **({"steps": steps} if steps else {}),
        "seconds": {
            "network": round(waiting, 3),
            "processor_per_party": round(processor, 3),
            "about": round(waiting + processor, 3),
        },
        "peak_rss_mb": round(found.memory_mb),
        "network": {
            "round_trip_ms": network.round_trip * 1000,
            "mbit_per_second": network.bytes_per_second * 8 / 1e6,
        },
    }


def _common(manifest: Manifest, lists: Any) -> _Work:
    from protocols.join_task_costs import join_task_cost

    try:
        task = task_of(manifest)
    except ValueError as exc:
        raise LocalError("manifest", str(exc), "correct the manifest") from None
    geometry = Geometry(task.m, manifest.threshold, manifest.verified)
    cost = join_task_cost(task, geometry)
    rows = max(task.rows)
    if task.mode == "ecdh":
        seconds, memory = _GROUP_SECONDS * sum(task.rows) / 2, _WORKER_MB + rows * 400e-6
        return _Work(cost, seconds, memory, bound=True)
    size = task.rows[0] if task.bound is None else task.bound
    if task.plan.kind == "full":
        size = sum(task.rows)
    kept = 16 * size * (len(task.rows) + 2 * sum(task.widths)) * (task.mode == "shared")
    # Lists, tags and bits; then what is kept, twice while blocks become one table.
    memory = _WORKER_MB + (400 * rows + 2 * kept) / 1e6
    seconds = _LINE_SECONDS * sum(task.rows)
    return _Work(cost, seconds, memory, bound=task.kind == "inner" and task.bound is None)


def _credit(manifest: Manifest, lists: Any) -> _Work:
    from models.credit_costs import credit_costs, credit_work, held_bytes
    from models.parameters import CreditParameters
    from protocols.join_order import training_slots

    tables = [manifest.tables.get(name) for name in manifest.names]
    rows = [table.rows for table in tables if table]
    features = [len(table.features) for table in tables if table]
    if len(rows) != 4 or manifest.join is None:
        raise LocalError("manifest", "a model takes four parties' tables", "correct the manifest")
    try:
        parameters = CreditParameters.from_json(manifest.parameters)
    except ValueError as exc:
        raise LocalError("manifest", str(exc), "correct the manifest") from None
    try:
        steps = credit_costs(parameters, rows, features, manifest.join.same_order)
    except ValueError as exc:
        raise LocalError("no_estimate", str(exc), "estimate it without that") from None
    elements, sums = credit_work(parameters, rows, features)
    seconds = _ELEMENT_SECONDS * elements + _GRAM_SECONDS * sums
    held = held_bytes(parameters, rows, features)
    held_out = training_slots(rows[0], parameters.test_share)[1]
    return _Work(
        Prediction(
            sum(cost.rounds for cost in steps.values()),
            sum(cost.total_bytes for cost in steps.values()),
        ),
        seconds,
        _WORKER_MB + held / 1e6 + _SORTED_MB * held_out,
        bound=True,
        steps=steps,
    )


def _publish(manifest: Manifest, lists: Any) -> _Work:
    from protocols.pir_costs import publish_cost, update_cost
    from protocols.pir_table import TABLES, Layout

    terms = manifest.inputs[manifest.initiator]
    if not isinstance(terms, KeyedList):
        raise LocalError("manifest", "the initiator brings no list", "correct the manifest")
    layout = Layout(terms.capacity, terms.payload)
    mode = len(manifest.compute), manifest.threshold, manifest.verified
    places = TABLES * layout.rows * layout.columns
    table = 16 * places * layout.width / 1e6
    cost = update_cost if manifest.program.name == UPDATE else publish_cost
    return _Work(cost(layout, *mode), _PLACE_SECONDS * places, _WORKER_MB + 8 * table)


def _query(manifest: Manifest, lists: Mapping[tuple[str, str], KeyedList]) -> _Work:
    from protocols.pir import BATCH
    from protocols.pir_costs import decision_cost, query_cost
    from protocols.pir_table import TABLES, Layout

    query = QueryParameters.from_json(manifest.parameters)
    asked = manifest.inputs[manifest.initiator]
    count = asked.count if isinstance(asked, Keys) else 0
    try:
        terms = [lists[v.owner, v.name] for v in query.lists]
    except KeyError as exc:
        raise LocalError(
            "unknown_list", f"this node does not hold the list {exc.args[0]}", "see sepc pir list"
        ) from None
    layouts = [Layout(one.capacity, one.payload) for one in terms]
    cost = query_cost if query.severity is None else decision_cost
    mode = len(manifest.compute), manifest.threshold, manifest.verified
    parts = [min(BATCH, count - first) for first in range(0, count, BATCH)]
    costs = [cost(layouts, part, *mode) for part in parts]
    table = sum(16 * TABLES * y.rows * y.columns * y.width for y in layouts)
    total = Prediction(sum(c.rounds for c in costs), sum(c.total_bytes for c in costs))
    seconds = _LOOKUP_SECONDS * (4 + count) * table
    return _Work(total, seconds, _WORKER_MB + 8 * table / 1e6, bound=count > BATCH)


def _fund_flow(manifest: Manifest, lists: Any) -> _Work:
    from protocols.stats.job_costs import fund_flow_cost

    parameters, cost = _statistics(manifest, fund_flow_cost)
    cells = parameters.form.shape[0] * len(parameters.institutions)
    return _Work(cost, _RELEASE_SECONDS, _WORKER_MB + _ROW_MB * cells)


def _fund_tracing(manifest: Manifest, lists: Any) -> _Work:
    from protocols.stats.job_costs import fund_tracing_cost

    parameters, cost = _statistics(manifest, fund_tracing_cost)
    rows = len(parameters.banks) * sum(form.shape[0] for form in parameters.forms.values())
    return _Work(cost, _RELEASE_SECONDS, _WORKER_MB + 2 * _ROW_MB * rows, average=True)


def _green_finance(manifest: Manifest, lists: Any) -> _Work:
    from protocols.stats.job_costs import green_finance_cost

    parameters, cost = _statistics(manifest, green_finance_cost)
    count = len(parameters.institutions)
    rows = count * parameters.loans + parameters.companies
    # Rows of loans have a column for each institution, and are there two or three times at once.
    memory = _WORKER_MB + _ROW_MB * rows + 48e-6 * rows * (5 + count)
    return _Work(cost, _RELEASE_SECONDS, memory, average=True)


def _related_loans(manifest: Manifest, lists: Any) -> _Work:
    from protocols.stats.related_costs import related_loans_cost

    follows = manifest.parameters.get("follows") is not None
    parameters, cost = _statistics(manifest, partial(related_loans_cost, follows=follows))
    count, n = len(parameters.banks), parameters.companies
    edges = sum(each.rows for each in parameters.edges.values()) + n * follows
    edges = 0 if parameters.public else 2 * (edges + count * parameters.guarantees)
    memory = _WORKER_MB + 2 * _ROW_MB * (max(edges, count * parameters.loans) + n)
    early = parameters.stop_early and not parameters.public
    return _Work(cost, _RELEASE_SECONDS, memory, bound=early, average=True)


def _joint_table(manifest: Manifest, lists: Any) -> _Work:
    from protocols.stats.table_costs import joint_table_cost

    parameters, cost = _statistics(manifest, joint_table_cost)
    rows = len(parameters.institutions) * parameters.rows
    rows += parameters.attribute.companies if parameters.attribute else 0
    return _Work(cost, _RELEASE_SECONDS, _WORKER_MB + 2 * _ROW_MB * rows, average=True)


def _statistics(manifest: Manifest, formula: Any) -> tuple[Any, Prediction]:
    """Parameters and cost of a job of regulator statistics, if all data counts."""
    from parties.stats.terms import terms_of

    try:
        terms = terms_of(manifest)
        parameters = terms.protocol
    except ValueError as exc:
        raise LocalError("manifest", str(exc), "correct the manifest") from None
    outside = terms.receiver not in manifest.compute
    return parameters, formula(parameters, len(manifest.compute), manifest.threshold, outside)
