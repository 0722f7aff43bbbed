"""What manifests say about published lists: the parameters of the jobs on them, and the checks.

A list belongs to the party that published it: its owner is the initiator of that job, whatever the
job says, so nobody can replace the list of another. A version of a list is named by its owner, its
name, a number that only grows, and the hash of the manifest of the job that made it; every party
of a query compares that with what it holds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from parties.manifest import (
    Hex32,
    JobId,
    KeyedList,
    Keys,
    ListName,
    Manifest,
    Parameters,
    PartyName,
    Strict,
)
from parties.programs import PUBLISH, QUERY, UPDATE

PROFILES = ("plain", "credit-code", "registration-number", "company-number", "phone", "text")
"""Ways to compare keys, those of `protocols.identifiers` (which a node need not load to decide)."""
SEVERITIES = 64
MAX_CAPACITY = 20_000_000
MAX_LISTS = 32
"""Lists that one owner may have at a node, and lists of one query."""

Number = Annotated[int, Field(ge=1, le=2**53)]


class PublishParameters(Parameters):
    """Publish a list, as version `number` of it."""

    number: Number


class UpdateParameters(Parameters):
    """Share the changes since the list was published by the job of manifest `published`."""

    number: Number
    published: Hex32


class ListVersion(Strict):
    """One version of a list; `manifest` is the hash of the manifest that made it."""

    owner: PartyName
    name: ListName
    number: Number
    manifest: Hex32


class QueryParameters(Parameters):
    """Ask these lists; with a severity only whether one of them has the key at or above it."""

    lists: Annotated[tuple[ListVersion, ...], Field(min_length=1, max_length=MAX_LISTS)]
    severity: Annotated[int, Field(ge=0, lt=SEVERITIES)] | None


@dataclass(frozen=True)
class HeldVersion:
    """A version of a list whose shares this node holds.

    `job_id` and `manifest` are those of the job that made the version, `published_by` and
    `published` those of the job that published the list (the same, unless it was an update).
    `parties` are names and public keys in MPC order: shares fit those parties in that order only,
    and computations with their `threshold`. `verified`: it was published, and changed, in verified
    mode. `complete`: all of them have signed that they hold it, as far as this node has heard.
    """

    owner: str
    number: int
    job_id: JobId
    manifest: Hex32
    published_by: JobId
    published: Hex32
    terms: KeyedList
    parties: tuple[tuple[str, str], ...]
    threshold: int
    verified: bool
    complete: bool

    @property
    def reference(self) -> ListVersion:
        """How a query's manifest names it."""
        return ListVersion(
            owner=self.owner, name=self.terms.name, number=self.number, manifest=self.manifest
        )


Versions = tuple[HeldVersion, ...]
Held = Mapping[tuple[str, str], Versions]
"""By owner and name: the versions that a node holds, the newest last."""


def usable(versions: Versions) -> HeldVersion:
    """The version to ask: the newest that everybody holds. A publication that failed half way
    leaves a newer one at some parties; where no version is known to be complete, the newest."""
    complete = [version for version in versions if version.complete]
    return (complete or list(versions))[-1]


def base_of(versions: Versions, published: str) -> HeldVersion | None:
    """The newest version that goes back to the publication of that manifest."""
    found = [version for version in versions if version.published == published]
    return found[-1] if found else None


def members(manifest: Manifest) -> tuple[tuple[str, str], ...]:
    """Names and public keys of the compute parties, in MPC order."""
    return tuple((p.name, p.public_key) for p in manifest.parties if p.role == "compute")


def lists_problem(manifest: Manifest, held: Held) -> str | None:
    """Why this node cannot take part in a job on lists; None if it can, or if it is another job."""
    rules: dict[str, Callable[[Manifest, Held], str | None]] = {
        PUBLISH: _publish_problem,
        UPDATE: _update_problem,
        QUERY: _query_problem,
    }
    rule = rules.get(manifest.program.name)
    return rule(manifest, held) if rule else None


def _publish_problem(manifest: Manifest, held: Held) -> str | None:
    owner, terms = manifest.initiator, _terms(manifest)
    if terms is None:
        return f"{owner} brings no list"
    if terms.profile not in PROFILES:
        return f"identifier profile {terms.profile}, expected one of {', '.join(PROFILES)}"
    if terms.capacity > MAX_CAPACITY:
        return f"capacity {terms.capacity}, at most {MAX_CAPACITY} is taken here"
    own = [name for party, name in held if party == owner]
    if terms.name not in own and len(own) >= MAX_LISTS:
        return f"this node holds {len(own)} lists of {owner} already, which is the most"
    return _number_problem(manifest, terms, held)


def _update_problem(manifest: Manifest, held: Held) -> str | None:
    owner, terms = manifest.initiator, _terms(manifest)
    if terms is None:
        return f"{owner} brings no list"
    versions = held.get((owner, terms.name), ())
    if not versions:
        return f"this node holds no list {terms.name} of {owner}: publish it anew"
    published = UpdateParameters.from_json(manifest.parameters).published
    before = base_of(versions, published)
    if before is None or before.parties != members(manifest):
        return (
            f"this node holds another publication of the list {terms.name} of {owner}: "
            "publish it anew"
        )
    if before.terms != terms:
        return f"the list {terms.name} was published with other terms: publish it anew"
    unfit = _mode_problem(manifest, before)
    if unfit is not None:
        return unfit
    return _number_problem(manifest, terms, held)


def _number_problem(manifest: Manifest, terms: KeyedList, held: Held) -> str | None:
    versions = held.get((manifest.initiator, terms.name), ())
    number = manifest.parameters.get("number")
    if versions and isinstance(number, int) and number <= versions[-1].number:
        return (
            f"the manifest makes version {number} of the list {terms.name}, this node holds "
            f"version {versions[-1].number} of it"
        )
    return None


def _query_problem(manifest: Manifest, held: Held) -> str | None:
    query = QueryParameters.from_json(manifest.parameters)
    if not isinstance(manifest.inputs[manifest.initiator], Keys):
        return f"{manifest.initiator} asks for no keys"
    names = [(version.owner, version.name) for version in query.lists]
    if len(set(names)) != len(names):
        return "a list is named twice"
    profiles = set()
    for version in query.lists:
        what = f"the list {version.name} of {version.owner}"
        versions = held.get((version.owner, version.name), ())
        if not versions:
            return f"this node does not hold {what}"
        own = named(versions, version)
        current = usable(versions)
        if own is None or own.number < current.number:
            # What the owner has replaced everywhere is not asked any more.
            more = "" if current.number != version.number else ", of another manifest"
            return (
                f"this node holds version {current.number} of {what}{more}; the manifest names "
                f"version {version.number}"
            )
        if own.parties != members(manifest):
            return f"{what} was published among other parties, or in another order of them"
        unfit = _mode_problem(manifest, own)
        if unfit is not None:
            return unfit
        profiles.add(own.terms.profile)
    return "the lists compare keys by different profiles" if len(profiles) > 1 else None


def _mode_problem(manifest: Manifest, held: HeldVersion) -> str | None:
    """Why a job cannot go on from the shares of a version: their degree, or who may have spoilt
    them."""
    what = f"the list {held.terms.name} of {held.owner}"
    if held.threshold != manifest.threshold:
        return (
            f"{what} was published with threshold {held.threshold}, the manifest has "
            f"{manifest.threshold}: publish it anew in this mode"
        )
    if manifest.verified and not held.verified:
        # Its hash seed was opened without checks: whoever spoilt that hides every record.
        return f"{what} was not published in verified mode: publish it anew with --verified"
    return None


def named(versions: Versions, reference: ListVersion) -> HeldVersion | None:
    """The version that a query's manifest names, if it is held."""
    found = [version for version in versions if version.reference == reference]
    return found[0] if found else None


def _terms(manifest: Manifest) -> KeyedList | None:
    inputs = manifest.inputs[manifest.initiator]
    return inputs if isinstance(inputs, KeyedList) else None
