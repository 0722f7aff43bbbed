"""Regulator statistics as jobs: data comes from outside, results go there.

How messages travel is not known here: `Exchange` has a coroutine that brings what the input parties
have sent, and one that takes a message to a party outside.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from protocols.stats import fund_flow, fund_tracing, green_finance, joint_table, related_loans
from protocols.stats.handed import pack
from protocols.stats.release import Record
from protocols.stats.submission import Expected
from protocols.steps import Progress

COLLECT, DELIVER = 'collect', 'deliver'
FRAC = 20
"""Fractional bits of an institution's own indicators."""


@dataclass(frozen=True)
class Exchange:
    """A program's dealings with the parties outside.

    `expected` is what is to come, by part; `fetch` returns this party's messages by part and
    sender, None for those that did not come in time; `deliver` takes messages by party. `receiver`
    is who gets the release, a compute party or one outside. `taken` is told which institutions
    count, before anything of their data opens, and may raise.
    """

    job: str
    manifest: str
    expected: dict[str, list[Expected]]
    record: Record
    receiver: str
    fetch: Callable[[], Awaitable[dict[str, dict[str, bytes | None]]]]
    deliver: Callable[[dict[str, bytes]], Awaitable[None]]
    taken: Callable[[tuple[str, ...]], None]


async def fund_flow_program(mpc, *, parties: list[str], parameters: Any, progress: Progress,
                            exchange: Exchange) -> dict[str, Any]:
    """`fund_flow`; `parameters.protocol` is its `FundFlowParameters`."""
    return await _run(mpc, fund_flow.fund_flow, parties, parameters, progress, exchange,
                      part='cells')


async def green_finance_program(mpc, *, parties: list[str], parameters: Any, progress: Progress,
                                exchange: Exchange) -> dict[str, Any]:
    """`green_finance`; an institution gets its own indicators and score (float, 6)."""
    return await _run(mpc, green_finance.green_finance, parties, parameters, progress, exchange)


async def related_loans_program(mpc, *, parties: list[str], parameters: Any, progress: Progress,
                                exchange: Exchange, known: Any, before: Any) -> dict[str, Any]:
    """`related_loans`; a bank gets a bit for each of its loans, and `keep` stays here."""
    return await _run(mpc, related_loans.related_loans, parties, parameters, progress, exchange,
                      known=known, before=before)


async def fund_tracing_program(mpc, *, parties: list[str], parameters: Any, progress: Progress,
                               exchange: Exchange) -> dict[str, Any]:
    """`fund_tracing`; a bank gets the flags of its loans, if the manifest says so."""
    return await _run(mpc, fund_tracing.fund_tracing, parties, parameters, progress, exchange)


async def joint_table_program(mpc, *, parties: list[str], parameters: Any, progress: Progress,
                              exchange: Exchange) -> dict[str, Any]:
    """`joint_table`; nothing but the table opens to anybody."""
    return await _run(mpc, joint_table.joint_table, parties, parameters, progress, exchange)


async def _run(mpc, program, parties, parameters, progress, exchange, part=None, **more):
    progress(COLLECT, 'start')
    messages = await exchange.fetch()
    progress(COLLECT, 'done')
    outside = exchange.receiver not in parties
    found = await program(
        mpc, parameters=parameters.protocol, job=exchange.job,
        messages=messages if part is None else messages[part], record=exchange.record,
        receivers=None if outside else parties.index(exchange.receiver), outside=outside,
        taken=exchange.taken, progress=progress, **more)
    progress(DELIVER, 'start')
    public, own = found['public'], found.get('own', {})
    letters = {}
    for name in dict.fromkeys(e.institution for each in exchange.expected.values() for e in each):
        said = {'accepted': name not in public['refused'], 'reason': public['refused'].get(name)}
        frac = FRAC if program is green_finance.green_finance else 0
        letters[name] = ({'own': (own[name], frac)} if name in own else {}, said)
    if outside:
        letters[exchange.receiver] = found['sealed'], public
    await exchange.deliver({
        name: pack(shares, said, exchange.manifest, mpc.geometry, mpc.pid)
        for name, (shares, said) in letters.items()})
    progress(DELIVER, 'done')
    return {'steps': found['steps'], 'outputs': found['outputs'], 'keep': found.get('keep')}
