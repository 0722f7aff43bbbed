"""The manifests of jobs on tables, from the shapes of the parties' tables and an agreed time."""

import secrets
from collections.abc import Collection, Mapping
from typing import Any

from models.binning_rules import MERGED
from models.parameters import CreditParameters
from parties.errors import LocalError
from parties.join_learned import stated as common_stated
from parties.join_terms import helpers_of, task_of
from parties.manifest import (
    Input,
    Inputs,
    Join,
    Manifest,
    Output,
    Party,
    ProgramName,
    highest_threshold,
    join_helpers,
)
from parties.programs import COMMON, PROGRAMS
from parties.programs import CREDIT as PROGRAM
from parties.stated import Stated


def credit_manifest(
    *,
    inputs: Mapping[str, Inputs],
    keys: Mapping[str, str],
    parameters: Mapping[str, Any],
    measurement: str,
    now: float,
    seconds: int,
    host: str = "127.0.0.1",
    hosts: Mapping[str, str] | None = None,
    verified: bool = False,
    same_order: bool = True,
    program: str = PROGRAM,
    version: str = PROGRAMS[PROGRAM].version,
) -> Manifest:
    """A manifest that expires `seconds` after `now`; the first party of `inputs` initiates.

    `hosts` are those of parties whose host is not `host`. Raises ValueError for breaks, bin tables,
    segments or weights of a column that nobody brings, and for receivers that are no parties.
    """
    names = tuple(inputs)
    _known(parameters.get("breaks", {}), inputs, "breaks are given for")
    bare = Manifest(
        format="sepc-manifest/1",
        job_id=f"credit-{secrets.token_hex(8)}",
        program=ProgramName(name=program, version=version),
        measurement=measurement,
        parameters=dict(parameters),
        initiator=names[0],
        parties=_parties(names, keys, hosts or {}, host),
        threshold=highest_threshold(len(names), verified),
        verified=verified,
        inputs=dict(inputs),
        outputs={},
        join=Join(mode="shared", helpers=join_helpers(names), same_order=same_order),
        disclosure=(),
        created=int(now),
        expires=int(now) + seconds,
    )
    return credit_stated(bare).said_in(bare)


def credit_stated(manifest: Manifest, models: object = None) -> Stated:
    """What the manifest of a credit job has to say; ValueError as `receivers` has it."""
    parameters, initiator = manifest.parameters, manifest.initiator
    disclosure = (
        "No identifier opens to anybody, and no row's score but those of the stated examples.",
        f"{_shared(parameters)} stay secret-shared and never open{_but(parameters)}; the "
        "points of an opened card are products of weights and WOE values, rounded to whole "
        "numbers.",
        *_of_weights(initiator, parameters),
        *_of_rows(initiator, parameters),
        *_of_start(parameters),
        "Of each feature open its information value and why it stayed or went."
        if parameters.get("open_iv", True)
        else "Of each feature opens why it stayed or went; its information value stays "
        "secret-shared.",
        *_of_bins(initiator, parameters),
        "Every party keeps its shares of the model, for jobs that score with it; every node "
        f"takes part in scoring at most {_scores(parameters)} applicants a day.",
        "Helpers in a join see which positions of two secretly ordered lists match.",
    )
    return Stated(_outputs(manifest), disclosure)


def common_manifest(
    join: Join,
    *,
    inputs: Mapping[str, Input],
    keys: Mapping[str, str],
    measurement: str,
    now: float,
    seconds: int,
    host: str = "127.0.0.1",
    hosts: Mapping[str, str] | None = None,
    verified: bool = False,
) -> Manifest:
    """Find common businesses as `join` says; its helpers are filled in here.

    The first party of `inputs` initiates; those that bring nothing help. Raises ValueError for what
    nobody could run.
    """
    names = tuple(inputs)
    bare = Manifest(
        format="sepc-manifest/1",
        job_id=f"common-{secrets.token_hex(8)}",
        program=ProgramName(name=COMMON, version=PROGRAMS[COMMON].version),
        measurement=measurement,
        parameters={},
        initiator=names[0],
        parties=_parties(names, keys, hosts or {}, host),
        threshold=highest_threshold(len(names), verified),
        verified=verified,
        inputs=dict(inputs),
        outputs={},
        join=join.model_copy(update={"helpers": {}}),
        disclosure=(),
        created=int(now),
        expires=int(now) + seconds,
    )
    helpers = helpers_of(bare, task_of(bare))
    helped = bare.model_copy(update={"join": join.model_copy(update={"helpers": helpers})})
    return Manifest.read(common_stated(helped).said_in(helped).document())


def _parties(
    names: tuple[str, ...], keys: Mapping[str, str], hosts: Mapping[str, str], host: str
) -> tuple[Party, ...]:
    return tuple(
        Party(name=n, public_key=keys[n], host=hosts.get(n, host), port=None) for n in names
    )


def refuse_too_few(parties: int) -> None:
    """LocalError where so many compute parties cannot run in verified mode."""
    if parties < 4:
        raise LocalError(
            "too_few_parties",
            f"verified mode with {parties} compute parties",
            "compute among 4 at least, or leave out --verified",
        )


def _of_bins(initiator: str, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """What a manifest says about the bins, where not each owner alone makes those of its features.
    """
    if parameters.get("breaks"):
        return ("The bins of some features are those that the manifest states.",)
    if not _merged(parameters):
        return ()
    return (
        "Bins are merged by the label, on shares. Which edges stay opens to the owner of the "
        "feature alone, and tells it roughly between which of its values the bad rate of the "
        f"joint training rows of {initiator} changes.",
    )


def _merged(parameters: Mapping[str, Any]) -> bool:
    return parameters.get("binning", CreditParameters.binning) in MERGED


def _scores(parameters: Mapping[str, Any]) -> int:
    return int(parameters.get("scores_per_day", CreditParameters.scores_per_day))


def _shared(parameters: Mapping[str, Any]) -> str:
    """What never opens of the model."""
    weights = "" if parameters.get("inference") else "Weights, "
    return f"{weights}WOE values and bin counts"


def _of_weights(initiator: str, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """What a manifest says about weights that open."""
    if not parameters.get("inference"):
        return ()
    said = f"The weights of the joint model open to {initiator}, with their standard errors."
    if parameters.get("open_card", CreditParameters.open_card):
        said += " With the points of the card they give it the WOE of each bin, roughly."
    return (said,)


def _of_rows(initiator: str, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """What a manifest says about weights of rows."""
    column = parameters.get("sample_weight")
    if not column:
        return ()
    return (
        f"The training part's rows are weighted by {column} of {initiator} in both trainings and "
        "in the errors of their weights, and in nothing else; the weights of rows stay "
        "secret-shared.",
    )


def _of_start(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """What a manifest says about the kept model that a training starts from."""
    identity = parameters.get("start_from")
    if not identity:
        return ()
    return (
        f"The joint training starts from the shared weights of the kept model {identity[:16]}, "
        "which do not open. If it ends before it has converged, what opens of the new model tells "
        "of the kept one's weights too.",
    )


def _but(parameters: Mapping[str, Any]) -> str:
    """Which of the counts open after all."""
    tables, column = parameters.get("bin_tables"), parameters.get("segment_by")
    opened = [f"the bin tables of {len(tables)} stated features"] if tables else []
    opened += [f"the counts of the stated values of {column}"] if column else []
    return f", but for {' and '.join(opened)}" if opened else ""


def _known(
    features: Collection[str],
    inputs: Mapping[str, Inputs],
    what: str,
    who: str = "no party brings",
) -> None:
    brought = {f"{name}.{column}" for name, i in inputs.items() for column in i.features}
    if unknown := sorted(set(features) - brought):
        raise ValueError(f"{what} {', '.join(unknown)}, which {who}")


def receivers(
    parameters: Mapping[str, Any], inputs: Mapping[str, Inputs]
) -> dict[str, frozenset[str]]:
    """The receivers of the outputs of a credit job of which its parameters say who gets them.

    Raises ValueError for columns that nobody brings, or not the one who should, and receivers that
    are no parties.
    """
    read = CreditParameters.from_json(parameters)
    tables, initiator = read.bin_tables, next(iter(inputs), "")
    _known(tables, inputs, "bin tables shall open of")
    segments, weights = ([c] if c else [] for c in (read.segment_by, read.sample_weight))
    _known(segments, inputs, "segments shall be those of")
    own = {name: i for name, i in inputs.items() if name == initiator}
    _known(weights, own, "rows shall be weighted by", f"{initiator} does not bring")
    named = frozenset(party for parties in tables.values() for party in parties)
    if unknown := sorted(named - set(inputs)):
        raise ValueError(f"bin tables shall open to {', '.join(unknown)}, expected parties")
    return {"bin_tables": named}


def features_of(
    inputs: Mapping[str, Inputs], parameters: Mapping[str, Any]
) -> dict[str, int]:
    """How many features each party brings: its columns but for the weights of rows."""
    weight = parameters.get("sample_weight")
    return {
        name: sum(f"{name}.{column}" != weight for column in i.features)
        for name, i in inputs.items()
    }


def opened(parameters: Mapping[str, Any]) -> set[str]:
    """Names of the outputs of a credit job with these parameters."""
    left_out = {
        "breaks": not _merged(parameters),
        "bin_tables": not parameters.get("bin_tables"),
        "iv": not parameters.get("open_iv", True),
        "segments": not parameters.get("segment_by"),
        "inference": not parameters.get("inference"),
        "card": not parameters.get("open_card", True),
        "examples": parameters.get("examples", 5) == 0,
    }
    return {name for name in _MEANINGS if not left_out.get(name)}


def _outputs(manifest: Manifest) -> dict[str, Output]:
    names, initiator = manifest.names, manifest.initiator
    parameters: Mapping[str, Any] = manifest.parameters
    said = {
        "features": sum(features_of(manifest.tables, parameters).values()),
        "n": parameters.get("examples", 5),
        "minimum": parameters.get("table_minimum", CreditParameters.table_minimum),
        "rows": parameters.get("min_class_rows", CreditParameters.min_class_rows),
        "column": parameters.get("segment_by"),
        "segments": len(parameters.get("segment_values", ())),
        "least": parameters.get("segment_minimum", CreditParameters.segment_minimum),
    }
    everybody = dict.fromkeys(("features", "breaks"), frozenset(names))
    known = {**everybody, **receivers(parameters, manifest.tables)}
    return {
        name: Output(
            receivers=tuple(n for n in names if n in known.get(name, (initiator,))),
            meaning=meaning.format(initiator=initiator, **said),
        )
        for name, meaning in _MEANINGS.items()
        if name in opened(parameters)
    }


_MEANINGS = {
    "features": "Everybody learns which features the scorecard uses.",
    "breaks": "Every party learns, of its own features alone, where their bins begin and end, "
    "which follows from the defaults of {initiator}'s businesses.",
    "bin_tables": "A party that the parameter bin_tables names for a feature learns how many "
    "defaulted and other rows of the training part each of its bins has. Bins with fewer than "
    "{minimum} of either stay closed, and so do others that would give them away; empty ones "
    "open as empty.",
    "rows_joint": "{initiator} learns how many of its businesses are in all parties' data, in the "
    "training part and in the test part. If either part has fewer than {rows} defaulted or other "
    "ones, the job stops and all parties learn that alone.",
    "iv": "{initiator} learns one number, the information value, for each of the {features} "
    "features.",
    "selection": "{initiator} learns for each of the {features} features whether it stayed, or "
    "which rule removed it.",
    "converged": "{initiator} learns of both models whether their training converged.",
    "auc": "{initiator} learns the AUC on the test part, of the joint model and of the model on "
    "its own features.",
    "ks": "{initiator} learns the KS on the test part, of both models.",
    "roc": "{initiator} learns the numbers of good and bad rows of both models at fixed shares of "
    "the test part.",
    "lift": "{initiator} learns rows and defaults in each of the score bands of the test part, for "
    "both models.",
    "scores": "{initiator} learns histograms of the scores of good and bad businesses, for both "
    "models.",
    "calibration": "{initiator} learns for ranges of the joint score how many defaults the model "
    "expects in the test part.",
    "stability": "{initiator} learns one number, how far the scores of the training part and of "
    "the test part differ (PSI).",
    "segments": "{initiator} learns for each of the {segments} stated values of {column} the rows "
    "and the defaults of the test part that have it, and AUC and KS of both models there. Values "
    "with fewer than {least} defaulted or other rows stay closed, and so do others that would give "
    "them away.",
    "inference": "{initiator} learns the weights of the joint model, with standard errors, "
    "p-values and confidence bounds.",
    "card": "{initiator} learns the scorecard: whole points for each bin of its features, and the "
    "base points.",
    "examples": "{initiator} learns score and reason codes of {n} of its businesses of the test "
    "part.",
}
