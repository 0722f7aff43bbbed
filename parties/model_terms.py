"""What manifests say about kept models, and what a node compares before it takes part.

A model belongs to the party that initiated its training: only that party has applicants scored with
it, or moves it from one state to the next, and every other party's node sees to that. Shares of a
model lie below `models/` in each node's home; `identity` is the same at all parties.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from models.model_states import TRANSITIONS
from parties.manifest import Hex32, Manifest, Parameters
from parties.programs import CREDIT, SCORE, SESSION, STATE

MODELS = "models"
SCORED = "model_scored"
DESTROYED = "deleted"
NewState = Literal["approved", "live", "retired", "deleted"]


class ScoreParameters(Parameters):
    """Score applicants with this model, and name so many reasons."""

    identity: Hex32
    reasons: Annotated[int, Field(ge=1, le=20)]


class SessionParameters(ScoreParameters):
    """Score applicants as they are asked for; end after `idle` seconds without a request."""

    idle: Annotated[int, Field(ge=10, le=24 * 3600)]


class StateParameters(Parameters):
    """Move this model to a state; `deleted` destroys its shares at every party."""

    identity: Hex32
    state: NewState


@dataclass(frozen=True)
class HeldModel:
    """One version of a model in this node's store; `parties` are in the order of the training.

    `in_session`: a scoring session with it is open at this node, or about to be.
    """

    identity: str
    name: str
    version: int
    state: str
    parties: tuple[str, ...]
    manifest_hash: str
    digest: str
    destroyed: bool
    record: Mapping[str, Any]
    in_session: bool = False

    @property
    def owner(self) -> str:
        """The party that may use it."""
        return self.parties[0]

    @property
    def scores_per_day(self) -> int:
        """How many applicants may be scored with it per day, as its training's manifest says."""
        return int(self.record["card"].get("scores_per_day", 0))


Models = Mapping[str, HeldModel]
"""By identity."""


def held_models(home: Path) -> dict[str, HeldModel]:
    """The models in a node's home, by name and version."""
    found = []
    for path in (home / MODELS).glob("*/*/model.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        found.append(
            HeldModel(
                identity=record["identity"],
                name=record["name"],
                version=record["version"],
                state=record["state"],
                parties=tuple(record["lineage"]["parties"]),
                manifest_hash=record["manifest_hash"],
                digest=record["digest"],
                destroyed=not (path.parent / "shares.npz").exists(),
                record=record,
            )
        )
    return {m.identity: m for m in sorted(found, key=lambda m: (m.name, m.version))}


def models_problem(manifest: Manifest, models: Models) -> str | None:
    """Why this node cannot take part in a job on a model; None if it can, or for other jobs."""
    rules: dict[str, Callable[[Manifest, Models], str | None]] = {
        CREDIT: _start_problem,
        SCORE: partial(_score_problem, ScoreParameters),
        SESSION: partial(_score_problem, SessionParameters),
        STATE: _state_problem,
    }
    rule = rules.get(manifest.program.name)
    return rule(manifest, models) if rule else None


def model_event(manifest: Manifest, models: Models) -> tuple[str, dict[str, Any]] | None:
    """What the audit log says of a finished job on models: the event and its details.

    Not of a session, whose requests it names one by one.
    """
    if manifest.program.name == CREDIT:
        made = [m for m in models.values() if m.manifest_hash == manifest.sha256()]
        return ("model_kept", _details(made[0])) if made else None
    if manifest.program.name not in (SCORE, STATE):
        return None
    model = models.get(str(manifest.parameters["identity"]))
    if model is None:
        return None
    if manifest.program.name == SCORE:
        count = getattr(manifest.inputs[manifest.initiator], "count", 0)
        return SCORED, scored(manifest, models, count)
    state = StateParameters.from_json(manifest.parameters).state
    if state != DESTROYED:
        return f"model_{state}", _details(model)
    return "model_destroyed", {**_details(model), "shares_destroyed": model.destroyed}


def scored(manifest: Manifest, models: Models, applicants: int) -> dict[str, Any]:
    """What the audit log says of so many applicants that are scored: never who, or a score."""
    model = models.get(str(manifest.parameters["identity"]))
    about = {} if model is None else _details(model)
    return {**about, "asker": manifest.initiator, "applicants": applicants}


def _details(model: HeldModel) -> dict[str, Any]:
    return {
        "model": model.name,
        "version": model.version,
        "identity": model.identity,
        "digest": model.digest,
    }


def _known(manifest: Manifest, model: HeldModel) -> str | None:
    if model.parties != manifest.compute:
        return f"{model.name} was trained among other parties, or in another order of them"
    if manifest.initiator != model.owner:
        return f"the model is {model.owner}'s, not {manifest.initiator}'s"
    return None


def _start_problem(manifest: Manifest, models: Models) -> str | None:
    identity = manifest.parameters.get("start_from")
    if identity is None:
        return None
    model = models.get(str(identity))
    if model is None or model.destroyed:
        return f"this node holds no shares of the model {str(identity)[:16]} to start from"
    # Every party of the job reads the reason: only those that trained the model know its features.
    if (problem := _known(manifest, model)) is not None:
        return problem
    weight = manifest.parameters.get("sample_weight")
    brought = {f"{name}.{c}" for name, i in manifest.tables.items() for c in i.features} - {weight}
    if missing := [name for name in model.record["card"]["features"] if name not in brought]:
        return (
            f"version {model.version} of model {model.name} uses {', '.join(missing)}, which no "
            "party brings as a feature"
        )
    return None


def _score_problem(
    terms: type[ScoreParameters], manifest: Manifest, models: Models
) -> str | None:
    identity = terms.from_json(manifest.parameters).identity
    model = models.get(identity)
    if model is None:
        return f"this node holds no model {identity[:16]}"
    if model.state != "live" or model.destroyed:
        state = DESTROYED if model.destroyed else model.state
        return f"version {model.version} of model {model.name} is {state} here, expected live"
    return _known(manifest, model)


def _state_problem(manifest: Manifest, models: Models) -> str | None:
    wanted = StateParameters.from_json(manifest.parameters)
    model = models.get(wanted.identity)
    if model is None:
        # What is not here need not be destroyed.
        missing = f"this node holds no model {wanted.identity[:16]}"
        return None if wanted.state == DESTROYED else missing
    problem = _known(manifest, model)
    if problem is None and model.in_session:
        problem = (
            "a scoring session with the model is open here, or proposed: close it, or cancel its "
            "job, first"
        )
    if problem is not None or wanted.state == DESTROYED:
        return problem
    what = f"version {model.version} of model {model.name}"
    if wanted.state not in TRANSITIONS[model.state]:
        allowed = ", ".join(TRANSITIONS[model.state]) or "nothing"
        return f"{what} is {model.state}, cannot become {wanted.state} (expected {allowed})"
    live = [m for m in models.values() if m.name == model.name and m.state == "live"]
    if wanted.state == "live" and live:
        return f"version {live[0].version} of model {model.name} is live: retire it first"
    return None
