"""The operator's commands about models: move one to another state, score applicants."""

import time
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from parties import canonical
from parties.errors import LocalError
from parties.holdings import Order
from parties.list_commands import STAGED, Seconds
from parties.list_keeping import today
from parties.manifest import Applicants, Hex32, Strict
from parties.measurement import measurement
from parties.model_proposal import score_manifest, state_manifest
from parties.model_terms import HeldModel, NewState, held_models

if TYPE_CHECKING:
    from parties.node import Node


class _Change(Strict):
    identity: Hex32
    state: NewState
    seconds: Seconds


class _Score(Strict):
    identity: Hex32
    staged: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    count: Annotated[int, Field(ge=1, le=100_000)]
    reasons: Annotated[int, Field(ge=1, le=20)]
    seconds: Seconds


class ModelCommands:
    """Commands about models, of one node."""

    def __init__(self, node: "Node") -> None:
        self._node = node

    async def change(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Have every party move a model to a state; returns when all have signed that they did."""
        wanted = _Change.model_validate_json(canonical.canonical(fields))
        model = self.own(wanted.identity)
        manifest = state_manifest(model, wanted.state, **self.common(model, wanted.seconds))
        job = await self._node.propose(manifest)
        await self._node.outcome(job, everybody=True)
        return {
            "job_id": manifest.job_id,
            "manifest_sha256": manifest.sha256(),
            "model": model.name,
            "version": model.version,
            "state": wanted.state,
            "parties": list(manifest.names),
        }

    async def score(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Score the staged applicants; scores and reasons are in the job's `result.json`.

        Returns with it how many more may be scored on this day, by this node's count.
        """
        wanted = _Score.model_validate_json(canonical.canonical(fields))
        model = self.own(wanted.identity)
        manifest = score_manifest(
            model, wanted.count, wanted.reasons, **self.common(model, wanted.seconds)
        )
        staged = self._node.home / STAGED / wanted.staged
        order = Order(Applicants(count=wanted.count), staged=staged)
        job = await self._node.propose(manifest, order)
        await self._node.outcome(job)
        return {
            "job_id": manifest.job_id,
            "manifest_sha256": manifest.sha256(),
            "left_today": self.left_today(model),
        }

    def own(self, identity: str) -> HeldModel:
        """The model of that identity, if it is this node's to use; LocalError otherwise."""
        model = held_models(self._node.home).get(identity)
        if model is None:
            raise LocalError(
                "unknown_model", "this node holds no such model", "see sepc model list"
            )
        if model.owner != self._node.name:
            raise LocalError(
                "not_owner",
                f"the model {model.name} is {model.owner}'s",
                f"have {model.owner} give the command",
                party=self._node.name,
            )
        return model

    def left_today(self, model: HeldModel) -> int:
        """How many more applicants may be scored with a model today, by this node's count."""
        return self._node.store.scores.left(model, self._node.name, today())

    def common(self, model: HeldModel, seconds: int) -> dict[str, Any]:
        """What all manifests of jobs on a model state alike; LocalError if a party of its training
        is no longer in the directory."""
        node = self._node
        strangers = [name for name in model.parties if name not in node.directory]
        if strangers:
            raise LocalError(
                "unknown_party",
                f"{', '.join(strangers)} is not in the directory of parties",
                "train a model among the present parties",
            )
        return {
            "parties": {
                name: (node.directory[name], node.config.hosts.get(name, node.config.host))
                for name in model.parties
            },
            "measurement": measurement(),
            "now": time.time(),
            "seconds": seconds,
        }
