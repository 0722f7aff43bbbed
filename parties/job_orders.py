"""`sepc job propose` and `sepc job result`: what happens beside the running node.

A manifest is put together here, from the node's own table and the offers of others, and given to
the node, which proposes it. Results lie in the job's folder, which the operator can read.
"""

import csv
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from parties import canonical
from parties.config import NodeConfig
from parties.control import order
from parties.errors import LocalError, RemoteProtocolError
from parties.manifest import Input, Inputs, Join, Manifest, Nothing, explain
from parties.measurement import measurement
from parties.offers import Offer, make_offer, read_json, read_offer
from parties.programs import COMMON, PROGRAMS
from parties.proposal import PROGRAM, common_manifest, credit_manifest

RESULT_FILE = "result.json"
IDENTIFIERS = "identifiers"


@dataclass(frozen=True)
class Wanted:
    """What an operator asks for. `join` holds fields of `manifest.Join`; `features` are those of
    the own table, None for all; `parties` take part, by default everybody in the directory.
    `options` are parameters of the program, which win over those of the file `parameters`."""

    program: str
    table: str
    offers: tuple[Path, ...]
    bound: int | None = None
    features: tuple[str, ...] | None = None
    parties: tuple[str, ...] = ()
    join: Mapping[str, Any] = field(default_factory=dict)
    parameters: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    verified: bool = False
    seconds: int = 3600


def compose(home: Path, wanted: Wanted) -> Manifest:
    """The manifest of what is wanted; LocalError for what nobody could run."""
    config = NodeConfig.load(home)
    known = PROGRAMS.get(wanted.program)
    if known is None or wanted.program not in (COMMON, PROGRAM):
        raise LocalError(
            "unknown_program",
            f"no job of {wanted.program} can be put together from tables",
            f"name {COMMON} or {PROGRAM}, or give a manifest",
        )
    if wanted.verified and not known.verified:
        raise LocalError(
            "not_verifiable",
            f"the program {wanted.program} does not run in verified mode",
            "leave out --verified, or take another program",
        )
    mode = wanted.join.get("mode", "shared")
    labelled = wanted.program == PROGRAM
    # What is revealed are businesses; features belong to a shared result.
    features = wanted.features if mode == "shared" else ()
    own = make_offer(home, wanted.table, wanted.bound, features, labelled)
    offers = [read_offer(path) for path in wanted.offers]
    inputs = _inputs(config, own, offers, wanted.parties, mode)
    if not labelled:
        inputs = {n: _without_label(i, mode) for n, i in inputs.items()}
    _check_profiles(inputs)
    common: dict[str, Any] = {
        "keys": config.directory,
        "measurement": measurement(),
        "now": time.time(),
        "seconds": wanted.seconds,
        "host": config.host,
        "hosts": config.hosts,
        "verified": wanted.verified,
    }
    try:
        if wanted.program == COMMON:
            join = Join.model_validate(
                {"mode": mode, "helpers": {}, "same_order": True, **wanted.join}
            )
            return common_manifest(join, inputs=inputs, **common)
        tables = {name: i for name, i in inputs.items() if isinstance(i, Inputs)}
        same_order = bool(wanted.join.get("same_order", True))
        return credit_manifest(
            inputs=tables, parameters=_parameters(wanted), same_order=same_order, **common
        )
    except ValidationError as exc:
        raise LocalError("manifest", explain(exc), "correct the options") from None
    except (ValueError, RemoteProtocolError) as exc:
        raise LocalError("manifest", str(exc), "correct the options") from None


def _inputs(
    config: NodeConfig, own: Offer, offers: Sequence[Offer], parties: Sequence[str], mode: str
) -> dict[str, Input]:
    """What everybody brings, the initiator first; who offers nothing helps."""
    tables = {offer.party: offer.inputs for offer in (own, *offers)}
    default = tables if mode == "ecdh" else config.directory
    names = sorted({*parties, *tables} if parties else {*default})
    unknown = [name for name in names if name not in config.directory]
    if unknown or len(tables) != len(offers) + 1 or not set(tables) <= set(names):
        raise LocalError(
            "offer",
            f"{', '.join(unknown)} is not in the directory of parties"
            if unknown
            else "two offers are of one party, or of a party that does not take part",
            "give one offer of each other party that brings a table",
        )
    ordered = [config.name, *(name for name in names if name != config.name)]
    return {name: tables.get(name, Nothing()) for name in ordered}


def _without_label(inputs: Input, mode: str) -> Input:
    if not isinstance(inputs, Inputs):
        return inputs
    features = inputs.features if mode == "shared" else ()
    return inputs.model_copy(update={"label": None, "features": features})


def _check_profiles(inputs: Mapping[str, Input]) -> None:
    profiles = {i.profile for i in inputs.values() if isinstance(i, Inputs)}
    if len(profiles) > 1:
        raise LocalError(
            "profiles",
            "the tables compare identifiers by different profiles: "
            + "; ".join(", ".join(profile) for profile in sorted(profiles)),
            "agree on one, and register the tables with it (sepc data add --replace)",
        )


def _parameters(wanted: Wanted) -> dict[str, Any]:
    document = {} if wanted.parameters is None else read_json(wanted.parameters, "parameters")
    try:
        parameters = PROGRAMS[wanted.program].read_parameters({**document, **wanted.options})
    except (ValueError, TypeError) as exc:
        remedy = "correct the options, or the file of parameters"
        raise LocalError("parameters", str(exc), remedy) from None
    agreed: dict[str, Any] = parameters.to_json()
    return agreed


def result(home: Path, job_id: str, out: Path | None, seconds: float | None) -> dict[str, Any]:
    """Wait until a job has ended here, and return what this party received of it.

    With `out` the identifiers, if it received some, go into a CSV file instead. Raises LocalError
    with the reason if the job did not end well.
    """
    done = order(home, {"command": "outcome", "job_id": job_id, "seconds": seconds}, None)
    received = canonical.parse((home / "jobs" / job_id / RESULT_FILE).read_bytes())
    outputs: dict[str, Any] = received["outputs"]
    if out is not None:
        if IDENTIFIERS not in outputs:
            raise LocalError(
                "no_identifiers",
                f"this party received no identifiers of the job {job_id}",
                "leave out --out",
            )
        identifiers = outputs.pop(IDENTIFIERS)
        try:
            handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([["identifier"], *([one] for one in identifiers)])
        except OSError as exc:
            raise LocalError("out", f"{out}: {exc.strerror}", "name a new file") from None
        outputs |= {"file": str(out), "rows_common": len(identifiers)}
    return {**done, "outputs": outputs, "steps": received["steps"]}
