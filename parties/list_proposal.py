"""The manifests of jobs on lists: publish, update, query."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from parties.list_terms import HeldVersion
from parties.manifest import (
    Input,
    KeyedList,
    Keys,
    Manifest,
    Nothing,
    Output,
    Party,
    ProgramName,
    highest_threshold,
)
from parties.programs import PROGRAMS, PUBLISH, QUERY, UPDATE

EVERYBODY_SEES = (
    "Nobody learns a key of a list but its owner, and nobody an asked key but the asker."
)


def publish_manifest(
    terms: KeyedList, number: int, before: HeldVersion | None = None, **common: Any
) -> Manifest:
    """Publish a list or, where `before` is given, share what has changed since it was published."""
    parameters: dict[str, Any] = {"number": number}
    if before is not None:
        parameters["published"] = before.published
    return _manifest(
        UPDATE if before is not None else PUBLISH,
        parameters=parameters,
        brings=terms,
        outputs={},
        disclosure=(
            "Records stay secret-shared; traffic depends on the stated capacity alone.",
            EVERYBODY_SEES,
        ),
        **common,
    )


def query_manifest(
    asked: Sequence[HeldVersion], count: int, severity: int | None, **common: Any
) -> Manifest:
    """Ask lists for `count` keys: their records, or whether one has it at or above a severity."""
    initiator: str = common["initiator"]
    lists = ", ".join(f"{v.terms.name} of {v.owner}" for v in asked)
    if severity is None:
        what = f"for each of {count} keys its record in {lists}, or that there is none"
        outputs = {"records": what}
    else:
        what = f"for each of {count} keys whether it has severity {severity} or more in {lists}"
        outputs = {"hits": what}
    return _manifest(
        QUERY,
        parameters={
            "lists": [v.reference.model_dump(mode="json") for v in asked],
            "severity": severity,
        },
        brings=Keys(count=count),
        outputs={
            name: Output(receivers=(initiator,), meaning=f"{initiator} learns {meaning}."[:500])
            for name, meaning in outputs.items()
        },
        disclosure=(
            "Everybody sees that these queries are made: by whom, how many, to which lists.",
            EVERYBODY_SEES,
        ),
        **common,
    )


def _manifest(
    program: str,
    *,
    brings: Input,
    initiator: str,
    parties: Mapping[str, tuple[str, str]],
    parameters: dict[str, Any],
    outputs: dict[str, Output],
    disclosure: tuple[str, ...],
    measurement: str,
    now: float,
    seconds: int,
    verified: bool = False,
) -> Manifest:
    """`parties` gives public key and host by name; their order is that of the names."""
    names = sorted(parties)
    return Manifest(
        format="sepc-manifest/1",
        job_id=f"{program}-{secrets.token_hex(8)}",
        program=ProgramName(name=program, version=PROGRAMS[program].version),
        measurement=measurement,
        parameters=parameters,
        initiator=initiator,
        parties=tuple(
            Party(name=n, public_key=parties[n][0], host=parties[n][1], port=None) for n in names
        ),
        threshold=highest_threshold(len(names), verified),
        verified=verified,
        inputs={name: brings if name == initiator else Nothing() for name in names},
        outputs=outputs,
        join=None,
        disclosure=disclosure,
        created=int(now),
        expires=int(now) + seconds,
    )
