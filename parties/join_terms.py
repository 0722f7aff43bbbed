"""What manifests say about joins: the task of a job that finds common businesses, and the checks.

The sentences about who learns what (`parties.join_learned`) and the receivers of the outputs follow
from the task alone, and nodes compare them with those of a proposed manifest.
"""

from engine.errors import EngineError
from parties.manifest import Inputs, Join, Manifest, Parameters, join_helpers
from parties.programs import COMMON
from protocols.join_task import JoinTask


class JoinParameters(Parameters):
    """There are none: a manifest says everything about a join in its section `join`."""


def task_of(manifest: Manifest) -> JoinTask:
    """The task of a job that finds common businesses; ValueError if nobody could run it."""
    join, names, tables = manifest.join, manifest.compute, manifest.tables
    if join is None:
        raise ValueError("the manifest states no join")
    owners = [name for name in names if name in tables]
    try:
        return JoinTask(
            m=len(names),
            verified=manifest.verified,
            mode=join.mode,
            owners=tuple(names.index(name) for name in owners),
            rows=tuple(tables[name].rows for name in owners),
            widths=tuple(len(tables[name].features) for name in owners),
            receivers=tuple(names.index(name) for name in join.receivers),
            counts=join.counts,
            kind=join.kind,
            required=tuple(names.index(name) for name in join.required),
            bound=join.bound,
            same_order=join.same_order,
            size_only=join.size_only,
            proved=join.proved,
        )
    except EngineError as exc:
        raise ValueError(exc.cause) from None


def helpers_of(manifest: Manifest, task: JoinTask) -> dict[str, tuple[str, ...]]:
    """By owner, who helps in its join with the initiator."""
    names = manifest.compute
    return {names[p]: tuple(names[h] for h in pair) for p, pair in task.helpers.items()}


def join_problem(manifest: Manifest) -> str | None:
    """Why nobody should take part in the join that a manifest states; None if it is in order."""
    join, tables = manifest.join, manifest.tables
    if join is None:
        return None
    profiles = {inputs.profile for inputs in tables.values()}
    if len(profiles) > 1:
        shown = "; ".join(f"{name}: {', '.join(i.profile)}" for name, i in tables.items())
        return f"the parties compare identifiers by different profiles ({shown})"
    if manifest.program.name != COMMON:
        return _of_model(manifest, join)
    if any(inputs.label is not None for inputs in tables.values()):
        return "the join of common businesses has no label"
    try:
        expected = helpers_of(manifest, task_of(manifest))
    except ValueError as exc:
        return str(exc)
    return None if join.helpers == expected else _WRONG_HELPERS


def _of_model(manifest: Manifest, join: Join) -> str | None:
    """A model is trained on the rows of the initiator, which four parties have."""
    stated = Join(mode="shared", helpers=join.helpers, same_order=join.same_order)
    if join != stated:
        return "a model takes a shared left join, from which nothing opens"
    if len(manifest.names) != 4:
        return f"a model takes the tables of exactly four parties, not {len(manifest.names)}"
    return None if join.helpers == join_helpers(manifest.names) else _WRONG_HELPERS


def reveals(manifest: Manifest, own: object) -> bool:
    """Whether anybody learns something of the list of a party that brings `own`, if only a size."""
    if manifest.program.name != COMMON or not isinstance(own, Inputs):
        return False
    return bool(task_of(manifest).outputs)


_WRONG_HELPERS = "the helpers are not the ones that the order of the parties gives"
