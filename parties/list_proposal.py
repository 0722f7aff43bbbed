"""The manifests of jobs on lists: publish, update, query."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from parties.list_terms import HeldVersion, QueryParameters
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
from parties.stated import Stated

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
    bare = _manifest(
        UPDATE if before is not None else PUBLISH, parameters=parameters, brings=terms, **common
    )
    return records_stated(bare).said_in(bare)


def records_stated(manifest: Manifest, models: object = None) -> Stated:
    """What the manifest of a job that shares records has to say."""
    kept = "Records stay secret-shared; traffic depends on the stated capacity alone."
    return Stated({}, (kept, EVERYBODY_SEES))


def query_manifest(
    asked: Sequence[HeldVersion], count: int, severity: int | None, **common: Any
) -> Manifest:
    """Ask lists for `count` keys: their records, or whether one has it at or above a severity."""
    bare = _manifest(
        QUERY,
        parameters={
            "lists": [v.reference.model_dump(mode="json") for v in asked],
            "severity": severity,
        },
        brings=Keys(count=count),
        **common,
    )
    return query_stated(bare).said_in(bare)


def query_stated(manifest: Manifest, models: object = None) -> Stated:
    """What the manifest of a query has to say; ValueError if it asks for no keys."""
    query, initiator = QueryParameters.from_json(manifest.parameters), manifest.initiator
    brings = manifest.inputs[initiator]
    if not isinstance(brings, Keys):
        raise ValueError(f"{initiator} asks for no keys")
    lists = ", ".join(f"{v.name} of {v.owner}" for v in query.lists)
    name, what = "records", f"its record in {lists}, or that there is none"
    if query.severity is not None:
        name, what = "hits", f"whether it has severity {query.severity} or more in {lists}"
    meaning = f"{initiator} learns for each of {brings.count} keys {what}."
    outputs = {name: Output(receivers=(initiator,), meaning=meaning[:500])}
    seen = "Everybody sees that these queries are made: by whom, how many, to which lists."
    return Stated(outputs, (seen, EVERYBODY_SEES))


def _manifest(
    program: str,
    *,
    brings: Input,
    initiator: str,
    parties: Mapping[str, tuple[str, str]],
    parameters: dict[str, Any],
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
        outputs={},
        join=None,
        disclosure=(),
        created=int(now),
        expires=int(now) + seconds,
    )
