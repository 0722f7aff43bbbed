"""A node's part in jobs of regulator statistics: the ledger, before it approves; files afterwards.

A release is entered into the ledger before the node approves. What it binds the node to is known
later: a worker writes `committed.json` into its job's folder before anything of the data can open,
at a compute party with the institutions that count, and the node takes that over into its database.
Jobs that ended without it have opened nothing and bind nobody.
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parties.config import NoiseBudget
from parties.lifecycle import TERMINAL
from parties.list_keeping import SHARES_FILE
from parties.list_terms import members
from parties.manifest import Manifest
from parties.messages import Check

if TYPE_CHECKING:
    from parties.store import Store

COMMITTED_FILE = "committed.json"
EARLIER_FILE = "earlier.json"
STATISTICS = ("fund-flow", "green-finance", "related-loans", "fund-tracing", "joint-table")


def data_folder(home: Path, program: str, delivery: str) -> Path:
    """Where a party's data for a program lies: of this delivery if there is such a folder."""
    folder = home / "data" / program
    return folder / delivery if (folder / delivery).is_dir() else folder


def commit(folder: Path, institutions: tuple[str, ...] | None) -> None:
    """Note in a job's folder, on disk when this returns, that its release binds this party."""
    unfinished = folder / f"{COMMITTED_FILE}.part"
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({"institutions": institutions}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, folder / COMMITTED_FILE)


def admit_release(
    store: "Store", jobs: Path, party: str, manifest: Manifest, budget: NoiseBudget
) -> list[Check]:
    """Enter a release into the ledger, if that lets it pass; no checks for other jobs."""
    if manifest.program.name not in STATISTICS:
        return []
    from parties.stats.own import digest
    from parties.stats.terms import terms_of

    remember(store, jobs)
    terms, role = terms_of(manifest), manifest.role(party)
    checks = [_ledger(store, manifest, terms, budget)]
    if role == "input":
        same = store.releases.delivered(
            manifest.program.name, terms.delivery, digest(jobs.parent, manifest)
        )
        reason = f"the data of delivery {terms.delivery} is " + (
            "what this party delivers under this name" if same else
            "no longer what this party delivered under this name: ask for another delivery"
        )  # fmt: skip
        checks.append(Check(name="delivery", passed=same, reason=reason))
    follows = getattr(terms, "follows", None)
    if follows is not None and role == "compute":
        checks.append(_follows(store, jobs, manifest, follows))
    if all(check.passed for check in checks):
        store.releases.add(manifest.job_id, terms.query().line())
    return checks


def remember(store: "Store", jobs: Path) -> None:
    """Enter into the ledger what workers have committed this node to."""
    for job_id, _, counted in store.releases.entries():
        committed = jobs / job_id / COMMITTED_FILE
        if counted is None and committed.exists():
            store.releases.bind(job_id, committed.read_text(encoding="utf-8"))


def _ledger(store: "Store", manifest: Manifest, terms: Any, budget: NoiseBudget) -> Check:
    from protocols.stats.ledger import Budget, decide, parse

    line, binding = terms.query().line(), []
    for job_id, earlier, counted in store.releases.entries():
        if job_id == manifest.job_id:
            continue
        record = store.job(job_id)
        still_open = record is not None and record.state not in TERMINAL
        if still_open and earlier == line:
            reason = f"the same table is being computed in {job_id}"
            return Check(name="ledger", passed=False, reason=reason)
        if still_open or counted is not None:
            binding.append(earlier)
    decision = decide(parse(binding), terms.query(), Budget(budget.epsilon, budget.delta))
    return Check(name="ledger", passed=decision.allowed, reason=decision.reason[:500])


def _follows(store: "Store", jobs: Path, manifest: Manifest, follows: str) -> Check:
    """Whether this node holds the shares that an earlier job of the same kind has kept."""
    for record in store.jobs():
        if record.manifest_sha256 != follows:
            continue
        before = Manifest.read(record.manifest)
        same = ("companies", "register", "banks", "unit", "public_edges")
        differ = [k for k in same if before.parameters.get(k) != manifest.parameters.get(k)]
        if before.program != manifest.program or members(before) != members(manifest) or differ:
            reason = "the job that it follows was another one, or of other parties"
        elif before.threshold != manifest.threshold or before.verified < manifest.verified:
            reason = "the job that it follows ran in another mode, or with another threshold"
        elif not (jobs / record.job_id / SHARES_FILE).exists():
            reason = "the job that it follows has left no shares here"
        else:
            reason = "this node holds the shares of the period before"
            return Check(name="follows", passed=True, reason=reason)
        return Check(name="follows", passed=False, reason=reason)
    reason = "the job that it follows is not known here"
    return Check(name="follows", passed=False, reason=reason)


def release_files(manifest: Manifest, home: Path, store: "Store") -> dict[str, str]:
    """What a job's worker reads: the party's data, earlier shares, an earlier release."""
    if manifest.program.name not in STATISTICS:
        return {}
    from parties.stats.terms import terms_of

    terms, jobs = terms_of(manifest), home / "jobs"
    files = {"data": str(data_folder(home, manifest.program.name, terms.delivery))}
    line = terms.query().line()
    for _, earlier, counted in store.releases.entries():
        if earlier == line and counted is not None and "counted" not in files:
            path = jobs / manifest.job_id / EARLIER_FILE
            path.write_text(counted, encoding="utf-8")
            files["counted"] = str(path)
    follows = getattr(terms, "follows", None)
    if follows is not None:
        for record in store.jobs():
            if record.manifest_sha256 == follows:
                files["before"] = str(jobs / record.job_id / SHARES_FILE)
    return files
