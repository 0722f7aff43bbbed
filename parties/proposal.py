"""The manifests of jobs on tables, from the shapes of the parties' tables and an agreed time."""

import secrets
from collections.abc import Mapping
from typing import Any

from parties.join_learned import disclosures, outputs_of
from parties.join_terms import helpers_of, task_of
from parties.manifest import (
    Input,
    Inputs,
    Join,
    Manifest,
    Output,
    Party,
    ProgramName,
    join_helpers,
)
from parties.programs import COMMON, PROGRAMS

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
    hosts: Mapping[str, str] | None = None,
    verified: bool = False,
    same_order: bool = True,
    program: str = PROGRAM,
    version: str = PROGRAMS[PROGRAM].version,
) -> Manifest:
    """A manifest that expires `seconds` after `now`; the first party of `inputs` initiates.

    `hosts` are those of parties whose host is not `host`.
    """
    names = tuple(inputs)
    return Manifest(
        format="sepc-manifest/1",
        job_id=f"credit-{secrets.token_hex(8)}",
        program=ProgramName(name=program, version=version),
        measurement=measurement,
        parameters=dict(parameters),
        initiator=names[0],
        parties=_parties(names, keys, hosts or {}, host),
        threshold=_threshold(len(names), verified),
        verified=verified,
        inputs=dict(inputs),
        outputs=_outputs(names[0], sum(len(i.features) for i in inputs.values())),
        join=Join(mode="shared", helpers=join_helpers(names), same_order=same_order),
        disclosure=(
            "No identifier and no single row's score opens to anybody, the initiator included.",
            "Weights, WOE values and bin counts stay secret-shared and never open.",
            "Of each feature only its information value opens.",
            "Helpers in a join see which positions of two secretly ordered lists match.",
        ),
        created=int(now),
        expires=int(now) + seconds,
    )


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
        threshold=_threshold(len(names), verified),
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
    said = {"outputs": outputs_of(helped), "disclosure": disclosures(helped)}
    return Manifest.read(helped.model_copy(update=said).document())


def _parties(
    names: tuple[str, ...], keys: Mapping[str, str], hosts: Mapping[str, str], host: str
) -> tuple[Party, ...]:
    return tuple(
        Party(name=n, public_key=keys[n], host=hosts.get(n, host), port=None) for n in names
    )


def _threshold(parties: int, verified: bool) -> int:
    return (parties - 1) // (3 if verified else 2)


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
