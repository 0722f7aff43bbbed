"""Small worlds of accounts at several banks, and fund tracing run over them."""

from __future__ import annotations

from typing import Any

import numpy as np
from stats_kit import GEOMETRY, RECORD, codes_of

from engine.cluster import run_cluster
from protocols.stats.fund_tracing import flags_of, fund_tracing
from protocols.stats.handed import pack, put_together
from protocols.stats.plain.fund_tracing import Traced, fund_tracing_table
from protocols.stats.rules import Rules
from protocols.stats.submission import prepare
from protocols.stats.tracing_data import TracingParameters, bank_rows, group_rows_of

KEY = b"t" * 32
OPEN = Rules(minimum=0, zeros=False, dominance=(4, 100), p_ratio=0)
"""Rules that withhold nothing."""


def consortium(banks: Any = ("a", "b", "c"), **changes: Any) -> TracingParameters:
    """A few banks, days and rows."""
    given: dict[str, Any] = {
        "days": 6, "hops": 2, "window": 4, "rule": "latest",
        "payments": 14, "loans": 5, "accounts": 5, "amount_bits": 20,
        "period": "2025Q1", "rules": OPEN, **changes,
    }  # fmt: skip
    return TracingParameters(tuple(banks), given.pop("regions", ("east", "west")), **given)


def random_rows(p: TracingParameters, seed: int) -> dict[str, Any]:
    """By bank the columns of its tables: few accounts and companies, so that payments meet; the
    names of accounts are the same at all banks, and some payees are at no bank of the manifest."""
    rng, rows = np.random.default_rng(seed), {}
    names = [f"A{k}" for k in range(p.accounts)]
    others = [*p.banks, "elsewhere"]
    for bank in p.banks:
        n, k = int(rng.integers(0, p.payments + 1)), int(rng.integers(0, p.loans + 1))
        told = int(rng.integers(0, len(names) + 1))
        rows[bank] = {
            "payments": {"payer": rng.choice(names, n), "payee_bank": rng.choice(others, n),
                         "payee": rng.choice(names, n), "day": rng.integers(0, p.days, n),
                         "amount": rng.integers(0, 100, n)},
            "loans": {"account": rng.choice(names, k), "region": rng.choice(p.regions, k),
                      "day": rng.integers(0, p.days, k), "amount": rng.integers(0, 120, k),
                      "company": [f"C{c}" for c in rng.integers(0, 6, k)]},
            "accounts": {"account": rng.permutation(names)[:told],
                         "company": [f"C{c}" for c in rng.integers(0, 6, told)],
                         "restricted": rng.integers(0, 2, told)},
        }  # fmt: skip
    return rows


GROUPS = {"company": ["C1", "C2", "C4"], "group": ["G", "G", "H"]}


def matrices(p: TracingParameters, rows: dict[str, Any]) -> dict[str, dict[str, np.ndarray]]:
    """What is shared, by part and sender."""
    found: dict[str, dict[str, np.ndarray]] = {part: {} for part in p.forms}
    for bank, own in rows.items():
        for part, matrix in bank_rows(p, bank, KEY, **own).items():
            found[part][bank] = matrix
    if p.groups:
        found["groups"] = {p.groups: group_rows_of(p, KEY, GROUPS)}
    return found


def run(p: TracingParameters, shared: dict[str, Any], missing: Any = (), outside: bool = False,
        verified: bool = False, **options: Any) -> list[Any]:
    """Results at all parties; `missing` are (part, sender) that do not come."""
    messages = {part: {e.institution: prepare(shared[part][e.institution], e, GEOMETRY)
                       for e in each if (part, e.institution) not in missing}
                for part, each in p.expected("job").items()}

    async def program(mpc: Any) -> Any:
        own = {part: {name: m[mpc.pid] for name, m in each.items()}
               for part, each in messages.items()}
        return await fund_tracing(mpc, parameters=p, job="job", messages=own, record=RECORD,
                                  receivers=1, outside=outside, **options)

    return run_cluster(program, verified=verified)


def check(p: TracingParameters, rows: dict[str, Any], results: list[Any]) -> Traced:
    """The results are those of the twin over the banks in `rows`; returns the twin."""
    twin = fund_tracing_table(p, rows, GROUPS if p.groups else None)
    assert [r["outputs"] == {} for r in results] == [True, False, True, True]
    same(p, results[1]["outputs"], twin, tuple(rows))
    for bank in rows if p.own else ():
        assert flags_at(results, bank) == twin.flags(bank)
    return twin


def same(p: TracingParameters, document: Any, twin: Traced, names: tuple[str, ...]) -> None:
    """A document shows what the twin's table shows."""
    spec = p.joint(names)
    assert document["record"]["institutions"] == list(names)
    np.testing.assert_array_equal(codes_of(document, spec), twin.table.code)
    for cell, place in zip(document["cells"], np.ndindex(*spec.extended), strict=True):
        if cell["status"] == "shown":
            assert cell["values"] == {"rows": twin.table.rows[place],
                                      "amount": twin.table.totals["amount"][place]}
        else:
            assert cell["values"] == {}


def flags_at(results: list[Any], bank: str) -> dict[str, list[int]]:
    """What a bank puts together from all compute parties."""
    messages = [pack({"own": (r["own"][bank], 0)}, {}, "job", GEOMETRY, party)
                for party, r in enumerate(results)]
    return flags_of(put_together(messages, "job", GEOMETRY)[1]["own"])
