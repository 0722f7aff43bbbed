"""Manifests of statistics for three banks, and a node's home in which their jobs come and go."""

from pathlib import Path
from typing import Any

from fakes.consortium import NOW, identity
from parties.config import NoiseBudget
from parties.identity import Directory
from parties.lifecycle import State
from parties.manifest import Manifest
from parties.stats import world
from parties.stats.keeping import admit_release, commit
from parties.stats.own import register_digest
from parties.stats.proposal import statistics_manifest
from parties.store import Store

BANKS = ("bank-a", "bank-b", "bank-c")
COMPUTE = ("c-one", "c-two", "c-three", "c-four")
NAMES = ("regulator", *COMPUTE, *BANKS, "environment", "registry")
IDENTITIES = {name: identity(name) for name in NAMES}
DIRECTORY = Directory({name: who.public_hex for name, who in IDENTITIES.items()})
REGISTER = ["R1", "R2", "R3"]

FUND_FLOW = {
    "title": "Use", "delivery": "d1", "receiver": "regulator", "banks": [*BANKS], "quorum": 2,
    "regions": ["east", "west"], "periods": ["2025Q1", "2025Q2"],
}  # fmt: skip
GREEN = {
    "title": "Green", "delivery": "d1", "receiver": "regulator", "period": "2025", "loans": 5,
    "kinds": dict.fromkeys(BANKS, "large"), "companies": 4, "carbon_holder": "environment",
}  # fmt: skip
RELATED = {
    "title": "Groups", "delivery": "d1", "receiver": "regulator", "period": "2025Q1",
    "banks": [*BANKS], "companies": 3, "register": register_digest(REGISTER), "loans": 4,
    "guarantees": 2, "edges": {"registry": {"rows": 3, "threshold": 50, "largest": 100}},
    "limit": 10, "bands": [5], "top": [2, 20], "listed": True,
}  # fmt: skip
TRACING = {
    "title": "Tracing", "delivery": "d1", "receiver": "regulator", "period": "2025Q1",
    "banks": [*BANKS], "quorum": 2, "regions": ["east", "west"], "start": "2025-01-01", "days": 90,
    "payments": 4, "loans": 2, "accounts": 3, "groups": {"registry": 2}, "own": True,
}  # fmt: skip
TABLE = {
    "title": "Loans", "delivery": "d1", "receiver": "regulator", "period": "2025", "quorum": 2,
    "banks": [*BANKS], "file": "loans", "amount": "balance", "rows": 5, "distinct": True,
    "dimensions": [{"name": "region", "categories": ["east", "west"]}], "percentiles": [50],
    "attribute": {"holder": "registry", "companies": 4, "dimension": {
        "name": "industry", "categories": ["farm", "mill"]}},
}  # fmt: skip
ALL = {"fund-flow": FUND_FLOW, "green-finance": GREEN, "related-loans": RELATED,
       "fund-tracing": TRACING, "joint-table": TABLE}  # fmt: skip


def manifest_of(
    program: str = "fund-flow", compute: Any = COMPUTE, verified: bool = False, **changes: Any
) -> Manifest:
    return statistics_manifest(
        program, {**ALL[program], **changes}, initiator="regulator", compute=compute,
        parties={name: (key, "127.0.0.1") for name, key in DIRECTORY.items()},
        measurement="ab" * 32, now=NOW, seconds=600, approve_seconds=60,
        verified=verified,
    )  # fmt: skip


class Home:
    """A node's home with a database, in which jobs can be proposed and ended."""

    def __init__(self, path: Path, party: str, **budget: float) -> None:
        self.path, self.party, self.store = path, party, Store(path / "node.db")
        self.budget = NoiseBudget(**budget)

    def admit(self, manifest: Manifest) -> dict[str, bool]:
        self.store.add_job(manifest.job_id, manifest.sha256(), manifest.document())
        checks = admit_release(
            self.store, self.path / "jobs", self.party, manifest, self.budget
        )
        return {check.name: check.passed for check in checks}

    def end(self, manifest: Manifest, committed: bool, state: State = State.FINISHED) -> None:
        folder = self.path / "jobs" / manifest.job_id
        folder.mkdir(parents=True)
        if committed:
            commit(folder, BANKS)
        self.store.set_state(manifest.job_id, state)


def write(folder: Path, stem: str, **columns: Any) -> None:
    world.write_table(folder / f"{stem}.csv", columns)
