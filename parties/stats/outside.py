"""The worker of a party that does not compute: it shares data, and takes results.

The data is read, shared with randomness of this process, and kept at the desk (`link.py`) until
every compute party has fetched its message. A compute party gets its own message and no other's.
"""

import asyncio
import base64
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.shamir import Geometry
from parties.errors import LocalError
from parties.manifest import Manifest
from parties.stats.base import Terms
from parties.stats.inside import as_json, joined, record_of
from parties.stats.keeping import commit
from parties.stats.link import KEY_BYTES, Absent, Desk, Dial
from parties.stats.own import matrices
from parties.stats.terms import (
    FundTracingTerms,
    GreenFinanceTerms,
    JointTableTerms,
    RelatedLoansTerms,
)
from parties.worker import Job
from protocols.stats.handed import put_together

RELEASE_LIMIT, OWN_LIMIT = 1 << 28, 1 << 16
"""Most bytes of a message with a release, and of one with an institution's own figures besides its
shares: 16 for each row that it shared at most."""
GRACE_SECONDS = 5.0
"""How long after a job's expiry a result may still come."""
Progress = Callable[[str, str], None]


async def run(
    folder: Path,
    job: Job,
    manifest: Manifest,
    parameters: Terms,
    key: bytes,
    progress: Progress,
) -> dict[str, Any]:
    """Returns {"steps", "outputs"} like a program, when all compute parties have handed over."""
    own = next(peer for peer in job.outside if peer.name == job.party)
    certificates = [base64.b64decode(text) for text in job.certificates]
    compute = dict(zip(manifest.compute, certificates, strict=True))
    certificate = base64.b64decode(own.certificate)
    rows = sum(e.rows for each in parameters.parts("").values() for e in each
               if e.institution == job.party)  # fmt: skip
    limit = RELEASE_LIMIT if job.party == parameters.receiver else OWN_LIMIT + 16 * rows
    desk = Desk(certificate, key, compute, _others(manifest, job), limit)
    if job.party == parameters.tag_holder:
        desk.key = secrets.token_bytes(KEY_BYTES)
    steps: dict[str, dict[str, float]] = {}
    async with desk.open(own.host, own.port):
        if manifest.role(job.party) == "input":
            began = time.monotonic()
            tags = desk.key or await _tags(parameters, manifest, job, Dial(key, certificate))
            desk.messages = await asyncio.to_thread(
                _messages, parameters, manifest, job, tags or bytes(KEY_BYTES)
            )
            progress("load", "done")
            progress("submit", "start")
            # From here on a release with this data binds this party.
            commit(folder, None)
            desk.ready.set()
            steps["submit"] = {
                "seconds": time.monotonic() - began,
                "rounds": 0,
                "bytes_per_party": sum(map(len, desk.messages.values())),
                "multiplications": 0,
            }
        else:
            progress("load", "done")
            commit(folder, None)
            progress("submit", "start")
        await _all_results(desk, manifest)
        progress("submit", "done")
    geometry = Geometry(len(manifest.compute), manifest.threshold, manifest.verified)
    messages = [desk.results[name] for name in manifest.compute]
    public, opened = await asyncio.to_thread(put_together, messages, manifest.sha256(), geometry)
    if job.party == parameters.receiver:
        outputs = _release(parameters, manifest, public, opened)
    else:
        outputs = _own(parameters, public, opened)
    return {"steps": steps, "outputs": outputs}


def _others(manifest: Manifest, job: Job) -> dict[str, bytes]:
    """Certificates of the other institutions, which may ask for the key of tags; not of a receiver.
    """
    return {
        peer.name: base64.b64decode(peer.certificate)
        for peer in job.outside
        if peer.name != job.party and manifest.role(peer.name) == "input"
    }


async def _all_results(desk: Desk, manifest: Manifest) -> None:
    """Wait until every compute party has handed over, a little beyond the job's expiry at most."""
    seconds = max(0.0, manifest.expires - time.time()) + GRACE_SECONDS
    try:
        async with asyncio.timeout(seconds):
            await desk.all_results.wait()
    except TimeoutError:
        missing = [name for name in manifest.compute if name not in desk.results]
        raise LocalError(
            "deadline",
            f"no result from {', '.join(missing)} by the end of the job",
            "have their worker.log checked, then propose again with more time",
            party=missing[0],
            step="receive",
        ) from None


async def _tags(parameters: Terms, manifest: Manifest, job: Job, dial: Dial) -> bytes | None:
    """The key of tags, from the party that draws it; None where there are no tags."""
    if parameters.tag_holder is None:
        return None
    # Its holder begins when it knows which parties take part.
    known = manifest.created + max(manifest.optional.values(), default=0)
    seconds = max(0.0, known - time.time()) + parameters.submit_seconds
    try:
        holder = next(p for p in job.outside if p.name == parameters.tag_holder)
        key = await dial.fetch_key(holder, seconds)
        if len(key) == KEY_BYTES:
            return key
    except (Absent, StopIteration):
        pass
    raise LocalError(
        "no_key",
        f"{parameters.tag_holder} gave no key for the tags",
        "have its worker.log checked, then propose again",
        party=parameters.tag_holder,
        step="load",
    )


def _messages(parameters: Terms, manifest: Manifest, job: Job, tags: bytes) -> dict[str, bytes]:
    """By compute party: this party's shares of all its parts."""
    from protocols.stats.submission import prepare

    own = matrices(parameters, job.party, Path(job.files["data"]), tags)
    geometry = Geometry(len(manifest.compute), manifest.threshold, manifest.verified)
    parts = [
        prepare(own[part], e, geometry)
        for part, each in parameters.parts(manifest.job_id).items()
        for e in each
        if e.institution == job.party
    ]
    return {
        name: joined([part[pid] for part in parts]) for pid, name in enumerate(manifest.compute)
    }


def _own(parameters: Terms, public: dict[str, Any], opened: dict[str, Any]) -> dict[str, Any]:
    """What an institution learns: whether its data counts, and its own figures."""
    from protocols.stats.green_finance import INDICATORS

    result = {"accepted": public["accepted"], "reason": public["reason"]}
    if "own" not in opened:
        return result
    values = as_json(opened["own"])
    if isinstance(parameters, GreenFinanceTerms):
        return {**result, "own": dict(zip((*INDICATORS, "score"), values, strict=True))}
    if isinstance(parameters, FundTracingTerms):
        from protocols.stats.fund_tracing import flags_of

        return {**result, "own": flags_of(values)}
    assert isinstance(parameters, RelatedLoansTerms)
    name = "near_limit" if parameters.hops else "over_limit"
    return {**result, "own": {name: [int(v) for v in values]}}


def _release(
    parameters: Terms, manifest: Manifest, public: dict[str, Any], opened: dict[str, Any]
) -> dict[str, Any]:
    """The release at a regulator that only receives."""
    from protocols.stats import fund_flow, fund_tracing, green_finance, joint_table, related_loans

    record = record_of(manifest, parameters)
    if isinstance(parameters, GreenFinanceTerms):
        return green_finance.published(parameters.protocol, record, public, opened)
    if isinstance(parameters, RelatedLoansTerms):
        return related_loans.published(parameters.protocol, record, public, opened)
    if isinstance(parameters, FundTracingTerms):
        return fund_tracing.published(parameters.protocol, record, public, opened)
    if isinstance(parameters, JointTableTerms):
        return joint_table.published(parameters.protocol, record, public, opened)
    return fund_flow.published(parameters.protocol, record, public, opened)
