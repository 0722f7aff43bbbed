"""The manifest of a job of regulator statistics, from its parameters and who computes."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from parties.errors import LocalError
from parties.manifest import (
    MAX_PARTIES,
    Manifest,
    Party,
    ProgramName,
    Role,
    highest_threshold,
)
from parties.programs import PROGRAMS
from parties.proposal import refuse_too_few
from parties.stats.stated import stated, stated_inputs
from parties.stats.terms import TERMS


def statistics_manifest(
    program: str,
    parameters: Mapping[str, Any],
    *,
    initiator: str,
    compute: Sequence[str],
    parties: Mapping[str, tuple[str, str]],
    measurement: str,
    now: float,
    seconds: int,
    approve_seconds: int,
    verified: bool = False,
) -> Manifest:
    """`parties` gives public key and host by name. The initiator computes if `compute` names it.

    Raises LocalError for parameters that do not fit, for a party that nobody knows, for too few
    compute parties, and for too many parties.
    """
    if verified:
        refuse_too_few(len(compute))
    try:
        terms = TERMS[program].from_json(parameters)
        terms.query()
    except ValueError as exc:
        raise LocalError("config", str(exc), "correct the configuration") from None
    roles: dict[str, Role] = dict.fromkeys(compute, "compute")
    for name in terms.senders:
        if name in roles:
            raise LocalError(
                "config",
                f"{name} is asked for data and computes",
                "have it bring its data through a node of another name",
            )
        roles[name] = "input"
    roles.setdefault(initiator, "output")
    if len(roles) > MAX_PARTIES:
        raise LocalError(
            "config",
            f"{len(roles)} parties would take part, and a manifest has at most {MAX_PARTIES}",
            "have institutions bring their data together, or ask fewer of them",
        )
    unknown = sorted(set(roles) - set(parties))
    if unknown:
        raise LocalError(
            "unknown_party",
            f"{', '.join(unknown)} is not in the directory of parties",
            "name parties as node.json does",
        )
    bare = Manifest(
        format="sepc-manifest/1",
        job_id=f"{program}-{secrets.token_hex(8)}",
        program=ProgramName(name=program, version=PROGRAMS[program].version),
        measurement=measurement,
        parameters=dict(parameters),
        initiator=initiator,
        parties=tuple(
            Party(name=n, public_key=parties[n][0], host=parties[n][1], port=None, role=role)
            for n, role in roles.items()
        ),
        threshold=highest_threshold(len(compute), verified),
        verified=verified,
        inputs=stated_inputs(terms, tuple(roles), approve_seconds),
        outputs={},
        join=None,
        disclosure=(),
        created=int(now),
        expires=int(now) + seconds,
    )
    return stated(bare).said_in(bare)
