"""`sepc stats ... --demo`: a regulator, three more that compute, and banks, on this machine.

Everything is as in a deployment (a broker, a node and a worker per party, signed manifests) but the
distance; the data is generated.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parties.demo.fleet import Fleet
from parties.demo.setup import Run, make_homes, new_folder
from parties.errors import LocalError
from parties.programs import FUND_FLOW, FUND_TRACING, GREEN_FINANCE, RELATED_LOANS
from parties.stats import orders, world, world_tracing

OTHERS = {
    FUND_FLOW: (),
    GREEN_FINANCE: ("environment",),
    RELATED_LOANS: ("registry",),
    FUND_TRACING: ("registry",),
}


def run_demo(
    program: str, out: Path | None, language: str, verified: bool = False
) -> dict[str, Any]:
    """Run it; returns what the command prints. No process is left afterwards."""
    folder = new_folder(out)
    run = make_homes(folder, {n: {} for n in (*world.COMPUTE, *world.BANKS, *OTHERS[program])})
    configs = _prepare(program, run)
    return asyncio.run(_run(program, run, configs, language, verified))


def _prepare(program: str, run: Run) -> list[Path]:
    """The data in its owners' homes, and the regulator's configurations, one per period."""
    common = {"compute": world.COMPUTE, "seconds": 600, "approve_seconds": 60}
    if program == RELATED_LOANS:
        fields = world.related_loans(run.homes, run.folder)
        terms = [{**fields, "period": q, "delivery": q} for q in world.QUARTERS[:2]]
    elif program == GREEN_FINANCE:
        terms = [world.green_finance(run.homes)]
    elif program == FUND_TRACING:
        terms = [world_tracing.fund_tracing(run.homes)]
    else:
        terms = [world.fund_flow(run.homes)]
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
