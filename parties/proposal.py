"""The manifest of a credit job, from the shapes of the parties' tables and an agreed time."""

import secrets
from collections.abc import Mapping
from typing import Any

from parties.manifest import (
    Inputs,
    Join,
    Manifest,
    Output,
    Party,
    ProgramName,
    join_helpers,
)
from parties.programs import PROGRAMS

PROGRAM = "credit-model"


def credit_manifest(
    *,
    inputs: Mapping[str, Inputs],
    keys: Mapping[str, str],
    parameters: Mapping[str, Any],
    measurement: str,
    now: float,
    seconds: int,
    host: str = "127.0.0.1",
    program: str = PROGRAM,
    version: str = PROGRAMS[PROGRAM].version,
) -> Manifest:
    """A manifest that expires `seconds` after `now`; the first party of `inputs` initiates."""
    names = tuple(inputs)
    return Manifest(
        format="sepc-manifest/1",
        job_id=f"credit-{secrets.token_hex(8)}",
        program=ProgramName(name=program, version=version),
        measurement=measurement,
        parameters=dict(parameters),
        initiator=names[0],
        parties=tuple(Party(name=n, public_key=keys[n], host=host, port=None) for n in names),
        threshold=(len(names) - 1) // 2,
        inputs=dict(inputs),
        outputs=_outputs(names[0], sum(len(i.features) for i in inputs.values())),
        join=Join(mode="shared", helpers=join_helpers(names), same_order=True),
        disclosure=(
            "No identifier and no single row's score opens to anybody, the initiator included.",
            "Weights, WOE values and bin counts stay secret-shared and never open.",
            "Of each feature only its information value opens.",
            "Helpers in a join see which positions of two secretly ordered lists match.",
        ),
        created=int(now),
        expires=int(now) + seconds,
    )


def _outputs(initiator: str, features: int) -> dict[str, Output]:
    meanings = {
        "rows_joint": "how many of its businesses are in all parties' data, in the training part "
        "and in the test part",
        "iv": f"one number, the information value, for each of the {features} features",
        "auc": "the AUC on the test part, of the joint model and of the model on its own features",
        "ks": "the KS on the test part, of both models",
        "roc": "the numbers of good and bad rows of both models at fixed shares of the test part",
        "lift": "rows and defaults in each of ten score bands of the test part, for both models",
        "scores": "histograms of the scores of good and bad businesses, for both models",
    }
    return {
        name: Output(receivers=(initiator,), meaning=f"{initiator} learns {meaning}.")
        for name, meaning in meanings.items()
    }
