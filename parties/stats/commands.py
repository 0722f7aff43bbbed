"""The operator's command about regulator statistics: propose a job and wait for its release."""

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, JsonValue

from parties import canonical
from parties.errors import LocalError
from parties.manifest import PartyName, Strict
from parties.measurement import measurement

if TYPE_CHECKING:
    from parties.node import Node


class _Release(Strict):
    program: Literal[
        "fund-flow", "green-finance", "related-loans", "fund-tracing", "joint-table"
    ]
    parameters: dict[str, JsonValue]
    compute: Annotated[tuple[PartyName, ...], Field(min_length=3, max_length=16)]
    seconds: Annotated[int, Field(ge=10, le=24 * 3600)]
    approve_seconds: Annotated[int, Field(ge=1, le=24 * 3600)]
    verified: bool


class StatsCommands:
    """Commands about regulator statistics, of one node."""

    def __init__(self, node: "Node") -> None:
        self._node = node

    async def release(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Run a job; returns when its release is in the job's folder."""
        from parties.stats.proposal import statistics_manifest

        node = self._node
        wanted = _Release.model_validate_json(canonical.canonical(fields))
        if len(set(wanted.compute)) != len(wanted.compute):
            raise LocalError("config", "a compute party is named twice", "name each once")
        parties = {
            name: (key, node.config.hosts.get(name, node.config.host))
            for name, key in node.directory.items()
        }
        manifest = await asyncio.to_thread(
            statistics_manifest,
            wanted.program,
            {**wanted.parameters, "receiver": node.name},
            initiator=node.name,
            compute=wanted.compute,
            parties=parties,
            measurement=measurement(),
            now=time.time(),
            seconds=wanted.seconds,
            approve_seconds=wanted.approve_seconds,
            verified=wanted.verified,
        )
        job = await node.propose(manifest)
        await node.outcome(job)
        return {"job_id": manifest.job_id, "manifest_sha256": manifest.sha256()}
