"""The manifests of jobs on models: score applicants, move a model to another state."""

import secrets
from collections.abc import Mapping
from typing import Any

from parties.manifest import (
    Applicants,
    Input,
    Join,
    Manifest,
    Nothing,
    Output,
    Party,
    ProgramName,
    highest_threshold,
    join_helpers,
)
from parties.model_terms import (
    DESTROYED,
    HeldModel,
    Models,
    ScoreParameters,
    SessionParameters,
    StateParameters,
)
from parties.programs import PROGRAMS, SCORE, SESSION, STATE
from parties.stated import Stated


def score_manifest(model: HeldModel, count: int, reasons: int, **common: Any) -> Manifest:
    """Score `count` applicants of the model's owner."""
    bare = _scoring(SCORE, model, count, {"reasons": reasons}, **common)
    return score_stated(bare, {model.identity: model}).said_in(bare)


def score_stated(manifest: Manifest, models: Models) -> Stated:
    """What the manifest of a scoring job has to say; ValueError if none of `models` is its."""
    asked = ScoreParameters.from_json(manifest.parameters)
    return _scoring_stated(manifest, models, asked, "")


def session_manifest(
    model: HeldModel, count: int, reasons: int, idle: int, **common: Any
) -> Manifest:
    """Score at most `count` applicants of the model's owner, whenever it asks; end when they are
    scored, or after `idle` seconds without a request."""
    bare = _scoring(SESSION, model, count, {"reasons": reasons, "idle": idle}, **common)
    return session_stated(bare, {model.identity: model}).said_in(bare)


def session_stated(manifest: Manifest, models: Models) -> Stated:
    """What the manifest of a session has to say; ValueError if none of `models` is its."""
    asked = SessionParameters.from_json(manifest.parameters)
    return _scoring_stated(
        manifest,
        models,
        asked,
        "at most ",
        "Everybody sees when a request is made, and for how many applicants; helpers in a join see "
        "of each request how many the other party knows.",
        f"The session ends when all of them are scored, after {asked.idle} seconds without a "
        "request, or when its owner closes it. All of them count on the day of its approval, and "
        "none is given back.",
    )


def _scoring(
    program: str, model: HeldModel, count: int, parameters: dict[str, Any], **common: Any
) -> Manifest:
    return _manifest(
        program,
        model,
        parameters={"identity": model.identity, **parameters},
        brings=Applicants(count=count),
        join=Join(mode="shared", helpers=join_helpers(model.parties), same_order=True),
        **common,
    )


def _scoring_stated(
    manifest: Manifest, models: Models, asked: ScoreParameters, most: str, *sentences: str
) -> Stated:
    owner = manifest.initiator
    model, brings = models.get(asked.identity), manifest.inputs[owner]
    if model is None or not isinstance(brings, Applicants):
        raise ValueError("nobody is scored, or with no model that is held here")
    who = f"each of {most or 'its '}{brings.count} applicants"
    outputs = {
        "scores": Output(
            receivers=(owner,), meaning=f"{owner} learns the score of {who}, in points."
        ),
        "reasons": Output(
            receivers=(owner,),
            meaning=f"{owner} learns for {who} which features cost it most points, at most "
            f"{asked.reasons}.",
        ),
    }
    disclosure = (
        "Nobody but the asker learns who the applicants are, or a score.",
        "Everybody learns how many rows each party's table has.",
        "Who does not know an applicant counts as having its values missing; that it does not "
        "know it does not open.",
        "Helpers in a join see how many of the applicants the other party knows.",
        f"At most {model.scores_per_day} applicants may be scored with the model per day of "
        "UTC; every party's node counts for itself.",
        *sentences,
    )
    return Stated(outputs, disclosure)


def state_manifest(model: HeldModel, state: str, **common: Any) -> Manifest:
    """Move a model to another state at every party; `deleted` destroys its shares."""
    bare = _manifest(
        STATE,
        model,
        parameters={"identity": model.identity, "state": state},
        brings=Nothing(),
        join=None,
        **common,
    )
    return state_stated(bare).said_in(bare)


def state_stated(manifest: Manifest, models: object = None) -> Stated:
    """What the manifest of a change of state has to say. Nodes may hold a model in different states
    after a job that failed, so the sentence does not name the one before."""
    state = StateParameters.from_json(manifest.parameters).state
    did = (
        "Every party destroys its shares of the model, and says so in its audit log."
        if state == DESTROYED
        else f"Every party takes the model to the state {state}."
    )
    return Stated({}, (did, "Nothing is computed and nothing opens."))


def _manifest(
    program: str,
    model: HeldModel,
    *,
    brings: Input,
    parties: Mapping[str, tuple[str, str]],
    measurement: str,
    now: float,
    seconds: int,
    **fields: Any,
) -> Manifest:
    """`parties` gives public key and host by name; their order is that of the training."""
    names = model.parties
    return Manifest(
        format="sepc-manifest/1",
        job_id=f"{program}-{secrets.token_hex(8)}",
        program=ProgramName(name=program, version=PROGRAMS[program].version),
        measurement=measurement,
        initiator=model.owner,
        parties=tuple(
            Party(name=n, public_key=parties[n][0], host=parties[n][1], port=None) for n in names
        ),
        threshold=highest_threshold(len(names)),
        inputs={name: brings if name == model.owner else Nothing() for name in names},
        outputs={},
        disclosure=(),
        created=int(now),
        expires=int(now) + seconds,
        **fields,
    )
