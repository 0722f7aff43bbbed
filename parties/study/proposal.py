"""The manifest of an uplift study: who takes part, and in one sentence each what opens."""

import secrets
from collections.abc import Mapping
from typing import Any

from models.uplift_parameters import UpliftParameters
from parties.manifest import (
    Inputs,
    Join,
    Manifest,
    Output,
    Party,
    ProgramName,
    highest_threshold,
    join_helpers,
)
from parties.programs import PROGRAMS, UPLIFT
from parties.stated import Stated


def uplift_manifest(
    *,
    inputs: Mapping[str, Inputs],
    keys: Mapping[str, str],
    parameters: Mapping[str, Any],
    measurement: str,
    now: float,
    seconds: int,
    host: str = "127.0.0.1",
) -> Manifest:
    """A manifest that expires `seconds` after `now`; the first party of `inputs` initiates."""
    names = tuple(inputs)
    bare = Manifest(
        format="sepc-manifest/1",
        job_id=f"uplift-{secrets.token_hex(8)}",
        program=ProgramName(name=UPLIFT, version=PROGRAMS[UPLIFT].version),
        measurement=measurement,
        parameters=dict(parameters),
        initiator=names[0],
        parties=tuple(Party(name=n, public_key=keys[n], host=host, port=None) for n in names),
        threshold=highest_threshold(len(names)),
        inputs=dict(inputs),
        outputs={},
        join=Join(mode="shared", helpers=join_helpers(names), same_order=True),
        disclosure=(),
        created=int(now),
        expires=int(now) + seconds,
    )
    return stated(bare).said_in(bare)


def stated(manifest: Manifest, models: object = None) -> Stated:
    """What the manifest of a study has to say."""
    initiator = manifest.initiator
    parameters: Mapping[str, Any] = manifest.parameters
    least = parameters.get("min_class_rows", UpliftParameters.min_class_rows)
    outputs = {
        name: Output(receivers=(initiator,), meaning=f"{initiator} learns {meaning}.")
        for name, meaning in _meanings(2 ** (len(manifest.names) - 1), least).items()
    }
    disclosure = (
        "No identifier and no single row's score opens to anybody, the initiator included.",
        "Weights, information values, WOE values and bin counts never open.",
        "Helpers in a join see which positions of two secretly ordered lists match.",
    )
    return Stated(outputs, disclosure)


def _meanings(models: int, least: int) -> dict[str, str]:
    return {
        "rows_joint": "how many of its businesses are in all parties' data, in the training part "
        "and in the test part, and how many of the latter defaulted; if either part has fewer than "
        f"{least} defaulted or other ones, the job stops and all parties learn that alone",
        "auc": f"the AUC of {models} models on the test part, one per subset of the partners",
        "ks": "the KS of the same models",
        "curves": "the numbers of good and bad rows of each model at fixed shares of the test part",
        "moments": "for each two of the models one sum over bad and one over good rows, of "
        "products of how many rows of the other class they outrank: the errors of the AUCs",
    }
