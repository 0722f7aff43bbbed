"""`sepc stats ... --demo`: a regulator, three more that compute, and banks, on this machine.

Everything is as in a deployment (a broker, a node and a worker per party, signed manifests) but the
distance; the data is generated. Every party has a node process, and a worker process while a job
runs, so the number of banks decides what the machine needs; that is checked before anything starts.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parties.demo.fleet import Fleet
from parties.demo.setup import Run, make_homes, new_folder
from parties.errors import LocalError
from parties.programs import FUND_FLOW, FUND_TRACING, GREEN_FINANCE, JOINT_TABLE, RELATED_LOANS
from parties.stats import orders, world, world_tracing
from parties.stats.base import MAX_SECONDS

OTHERS = {
    FUND_FLOW: (),
    GREEN_FINANCE: ("environment",),
    RELATED_LOANS: ("registry",),
    FUND_TRACING: ("registry",),
    JOINT_TABLE: ("registry",),
}
BANKS, MOST_BANKS = 6, 50
_NODE_MB, _WORKER_MB, _COMPUTE_MB = 75, 110, 250
"""Memory of a node, of a worker, and what a worker takes besides that computes; what processes have
in common is not counted for each."""


def run_demo(
    program: str, out: Path | None, language: str, verified: bool = False, banks: int = BANKS
) -> dict[str, Any]:
    """Run it; returns what the command prints. No process is left afterwards.

    LocalError for a number of `banks` that is too small, or too large for this machine.
    """
    check_banks(program, banks, available_mb())
    run = make_homes(new_folder(out), {name: {} for name in _parties(program, banks)})
    configs = _prepare(program, run, world.banks(banks))
    return asyncio.run(_run(program, run, configs, language, verified))


def _parties(program: str, banks: int) -> tuple[str, ...]:
    return (*world.COMPUTE, *world.banks(banks), *OTHERS[program])


def check_banks(program: str, banks: int, available: int | None) -> None:
    """Whether so many banks can be run with so many megabytes (None: unknown); LocalError."""
    if not 2 <= banks <= MOST_BANKS:
        raise LocalError(
            "options",
            f"{banks} banks were asked for, expected 2 to {MOST_BANKS}",
            "say another number with --banks",
            step="setup",
        )
    names = _parties(program, banks)
    needed = len(names) * (_NODE_MB + _WORKER_MB) + len(world.COMPUTE) * _COMPUTE_MB
    if available is not None and needed > available:
        raise LocalError(
            "memory",
            f"the {2 * len(names)} processes of {len(names)} parties need about {needed} MB, and "
            f"{available} MB are free here",
            "ask for fewer with --banks, or free some memory",
            step="setup",
        )


def available_mb() -> int | None:
    """Memory that new processes can have without swapping; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        [kilobytes] = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
        return int(kilobytes) // 1024
    except (OSError, ValueError, IndexError):
        return None


def _prepare(program: str, run: Run, banks: tuple[str, ...]) -> list[Path]:
    """The data in its owners' homes, and the regulator's configurations, one per period."""
    count = len(banks)
    common = {
        "compute": world.COMPUTE,
        # Each bank's processes wait for the others' on the few cores of one machine.
        "seconds": max(600, 60 * count),
        "approve_seconds": max(60, 5 * count),
        "submit_seconds": min(MAX_SECONDS, max(60, 3 * count)),
    }
    if program == RELATED_LOANS:
        fields = world.related_loans(run.homes, run.folder, banks)
        terms = [{**fields, "period": q, "delivery": q} for q in world.QUARTERS[:2]]
    elif program == GREEN_FINANCE:
        terms = [world.green_finance(run.homes, banks)]
    elif program == FUND_TRACING:
        terms = [world_tracing.fund_tracing(run.homes, banks)]
    elif program == JOINT_TABLE:
        terms = [world.joint_table(run.homes, banks)]
    else:
        terms = [world.fund_flow(run.homes, banks)]
    paths = []
    for fields in terms:
        path = run.folder / f"{program}-{fields['delivery']}.json"
        path.write_text(json.dumps({**fields, **common}, indent=2) + "\n", encoding="utf-8")
        paths.append(path)
    return paths


async def _run(
    program: str, run: Run, configs: Sequence[Path], language: str, verified: bool
) -> dict[str, Any]:
    fleet = Fleet(run, lambda party, event: None)
    try:
        await fleet.start()
        documents: list[dict[str, Any]] = []
        for config in configs:
            follows = documents[-1]["job_id"] if documents else None
            out = run.folder / ("release" if len(configs) == 1 else f"release-{len(documents) + 1}")
            document = await asyncio.to_thread(
                orders.release, run.homes[world.COMPUTE[0]], program, config, out, language,
                follows, verified,
            )  # fmt: skip
            documents.append({**document, "config": str(config)})
    except BaseExceptionGroup as exc:
        ours = exc.subgroup(LocalError)
        raise (ours or exc).exceptions[0] from None
    finally:
        await asyncio.shield(fleet.stop())
    found = documents[0] if len(documents) == 1 else {"periods": documents}
    return {**found, "folder": str(run.folder)}
