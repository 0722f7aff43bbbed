"""The operator's commands about lists: publish one, set its quotas, ask.

The node makes the manifests: it knows the directory, the code and the versions of lists. What it
brings comes from the command: the name of a staged file in its own folder, or the asked keys.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from parties import canonical
from parties.errors import LocalError
from parties.holdings import Order
from parties.identity import check_party_name
from parties.list_keys import checked_keys
from parties.list_proposal import publish_manifest, query_manifest
from parties.list_store import EVERYBODY
from parties.list_terms import MAX_LISTS, HeldVersion, Versions, usable
from parties.manifest import KeyedList, Keys, ListName, Manifest, Strict
from parties.measurement import measurement
from parties.proposal import refuse_too_few

if TYPE_CHECKING:
    from parties.node import Node

STAGED = "staged"

Quota = Annotated[int, Field(ge=0)]
Seconds = Annotated[int, Field(ge=10, le=24 * 3600)]


class _Publish(Strict):
    """`after` is the number of the version that the staged list was made from, 0 for none."""

    terms: KeyedList
    staged: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    after: Annotated[int, Field(ge=0)]
    update: bool
    quotas: dict[str, Quota] | None
    seconds: Seconds
    verified: bool


class _Quotas(Strict):
    name: ListName
    quotas: dict[str, Quota]


class _Query(Strict):
    lists: Annotated[tuple[str, ...], Field(min_length=1, max_length=MAX_LISTS)]
    keys: Annotated[tuple[str, ...], Field(min_length=1)]
    severity: int | None
    seconds: Seconds
    verified: bool


class ListCommands:
    """Commands about lists, of one node."""

    def __init__(self, node: "Node") -> None:
        self._node = node

    async def show(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The lists held here, with the quotas of this node's own."""
        node = self._node
        lists = []
        for versions in node.store.lists.held().values():
            version = versions[-1]
            own = version.owner == node.name
            lists.append(
                {
                    "owner": version.owner,
                    "number": version.number,
                    "manifest": version.manifest,
                    "job_id": version.job_id,
                    "published_by": version.published_by,
                    **version.terms.model_dump(mode="json"),
                    "verified": version.verified,
                    "complete": version.complete,
                    "answers": usable(versions).number,
                    "quotas": node.store.lists.quotas(version.terms.name) if own else None,
                }
            )
        return {"lists": lists}

    async def set_quotas(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Say how often each party may ask one of this node's lists per day."""
        wanted = _Quotas.model_validate_json(canonical.canonical(fields))
        if (self._node.name, wanted.name) not in self._node.store.lists.held():
            raise LocalError(
                "unknown_list",
                f"{self._node.name} has published no list {wanted.name}",
                "publish it first, with --data",
            )
        self._set_quotas(wanted.name, wanted.quotas)
        return {"list": wanted.name, "quotas": wanted.quotas}

    def _set_quotas(self, name: str, quotas: dict[str, int]) -> None:
        node = self._node
        for asker in quotas:
            if asker != EVERYBODY and check_party_name(asker) not in node.directory:
                raise LocalError(
                    "unknown_party",
                    f"{asker} is not in the directory of parties",
                    "name parties as node.json does",
                )
        node.store.lists.set_quotas(name, quotas)
        node.audit.append("quotas", list=name, quotas=quotas)

    async def publish(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Share the staged list, as a new publication or as changes; returns when all hold it."""
        node = self._node
        wanted = _Publish.model_validate_json(canonical.canonical(fields))
        name = wanted.terms.name
        versions = node.store.lists.held().get((node.name, name))
        held = versions[-1] if versions else None
        if wanted.after != (held.number if held else 0):
            raise LocalError(
                "list_changed",
                f"another version of the list {name} was published in the meantime",
                "give the command again",
            )
        if wanted.quotas is not None:
            self._set_quotas(name, wanted.quotas)
        manifest = publish_manifest(
            wanted.terms,
            self._next_number(name, wanted.after),
            held if wanted.update else None,
            **self._common(wanted.seconds, wanted.verified),
        )
        order = Order(wanted.terms, staged=node.home / STAGED / wanted.staged)
        job = await node.propose(manifest, order)
        await node.outcome(job, everybody=True)
        return {
            "job_id": manifest.job_id,
            "manifest_sha256": manifest.sha256(),
            "list": f"{node.name}/{name}",
            "version": wanted.after + 1,
        }

    async def query(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Ask lists for keys; the answer is in the file `result`, in the order of the keys."""
        wanted = _Query.model_validate_json(canonical.canonical(fields))
        asked = [self._named(name) for name in dict.fromkeys(wanted.lists)]
        profiles = {versions[-1].terms.profile for versions in asked}
        if len(profiles) > 1:
            raise LocalError(
                "profiles",
                f"the lists compare keys by different profiles: {', '.join(sorted(profiles))}",
                "ask them one by one",
            )
        keys = await asyncio.to_thread(checked_keys, wanted.keys, profiles.pop())
        brings = Keys(count=len(keys))
        order = Order(brings, keys=tuple(keys))
        complete, newest = ([choose(v) for v in asked] for choose in (usable, _newest))
        try:
            manifest, chosen = await self._ask(complete, wanted, order), complete
        except LocalError as exc:
            # A party may have heard of a publication's end what this node has not.
            if newest == complete or exc.code != "refused" or "lists: " not in exc.cause:
                raise
            manifest, chosen = await self._ask(newest, wanted, order), newest
        return {
            "job_id": manifest.job_id,
            "manifest_sha256": manifest.sha256(),
            "lists": [
                {
                    "list": f"{v.owner}/{v.terms.name}",
                    "version": v.number,
                    "columns": list(v.terms.columns),
                }
                for v in chosen
            ],
        }

    async def _ask(
        self, versions: Sequence[HeldVersion], wanted: _Query, order: Order
    ) -> Manifest:
        """Ask these versions; the job's manifest once it has ended well."""
        count = len(order.keys or ())
        common = self._common(wanted.seconds, wanted.verified)
        manifest: Manifest = query_manifest(versions, count, wanted.severity, **common)
        job = await self._node.propose(manifest, order)
        await self._node.outcome(job)
        return manifest

    def _next_number(self, name: str, after: int) -> int:
        """A number that no earlier publication of this node's list had, also not a failed one: some
        party may hold it."""
        used = [after]
        for record in self._node.store.jobs():
            manifest = record.manifest
            terms = manifest["inputs"].get(self._node.name, {})
            if manifest["initiator"] == self._node.name and terms.get("name") == name:
                used.append(int(manifest["parameters"].get("number", 0)))
        return max(used) + 1

    def _common(self, seconds: int, verified: bool) -> dict[str, Any]:
        """What all manifests of this node have in common: everybody in the directory computes.

        Raises LocalError where these are too few for verified mode.
        """
        node = self._node
        if verified:
            refuse_too_few(len(node.directory))
        return {
            "initiator": node.name,
            "parties": {
                name: (key, node.config.hosts.get(name, node.config.host))
                for name, key in node.directory.items()
            },
            "measurement": measurement(),
            "now": time.time(),
            "seconds": seconds,
            "verified": verified,
        }

    def _named(self, name: str) -> Versions:
        """The versions of the list called `name`, or `owner/name`."""
        held = self._node.store.lists.held()
        found = [v for (o, n), v in held.items() if name in (n, f"{o}/{n}")]
        if len(found) == 1:
            return found[0]
        if found:
            owners = ", ".join(f"{versions[-1].owner}/{name}" for versions in found)
            raise LocalError("ambiguous_list", f"several lists are called so: {owners}", "name one")
        raise LocalError(
            "unknown_list",
            f"this node holds no list {name[:100]}",
            "see sepc pir list, or have its owner publish it",
        )


def _newest(versions: Versions) -> HeldVersion:
    return versions[-1]
