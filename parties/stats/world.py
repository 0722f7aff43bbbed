"""Generated data for `sepc stats --demo`: banks, a registry, an environment agency. Fixed seed.

What it shows is how the system works; it says nothing about real banks.
"""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np

SEED = 20260701
REGIONS = ("north", "east", "south", "west", "centre")
QUARTERS = ("2025Q1", "2025Q2", "2025Q3", "2025Q4")
COMPUTE = ("regulator", "data-centre", "clearing-house", "auditor")
COMPANIES_PER_BANK = 40


def banks(count: int) -> tuple[str, ...]:
    """Names of banks: letters, or numbers where there are more than 26."""
    if count <= len(ascii_lowercase):
        return tuple(f"bank-{letter}" for letter in ascii_lowercase[:count])
    return tuple(f"bank-{number:02d}" for number in range(1, count + 1))


def write_table(path: Path, columns: Mapping[str, Iterable[Any]]) -> None:
    """A CSV file of mode 0600."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def fund_flow(homes: Mapping[str, Path], names: tuple[str, ...]) -> dict[str, Any]:
    """Loans of each bank over four quarters, some with violations; the configuration."""
    for k, bank in enumerate(names):
        rng = np.random.default_rng([SEED, k])
        n = 600 * (1 + k % 3)
        quarter = rng.integers(0, len(QUARTERS), n)
        region = rng.choice(len(REGIONS), n, p=(0.3, 0.3, 0.2, 0.15, 0.05))
        flags = {}
        for j, name in enumerate(("securities", "property", "deposits", "back_flow")):
            share = (0.01 + 0.015 * (region == 1)) * (1 + 0.4 * quarter) * (0.5 + 0.3 * j)
            flags[name] = (rng.random(n) < share).astype(int)
        write_table(homes[bank] / "data" / "fund-flow" / "loans.csv", {
            "region": [REGIONS[r] for r in region],
            "period": [QUARTERS[q] for q in quarter],
            "outstanding": np.minimum(rng.lognormal(13, 1.2, n), 10**9).astype(int),
            **flags,
        })  # fmt: skip
    return {
        "title": "Use of credit funds",
        "delivery": "2025-annual",
        "banks": names,
        "regions": REGIONS,
        "periods": QUARTERS,
        "quorum": len(names) - 1,
    }


def green_finance(homes: Mapping[str, Path], names: tuple[str, ...]) -> dict[str, Any]:
    """Loans of each bank, and the carbon intensities of an environment agency."""
    rng = np.random.default_rng([SEED, 100])
    count = COMPANIES_PER_BANK * len(names)
    companies = [f"G{number:05d}" for number in range(count)]
    write_table(homes["environment"] / "data" / "green-finance" / "carbon.csv", {
        "company": companies[: count * 3 // 4],
        "intensity": rng.integers(20, 600, count * 3 // 4),
    })  # fmt: skip
    for k, bank in enumerate(names):
        rng = np.random.default_rng([SEED, 101 + k])
        n = 300 + 40 * (k % 6)
        balance = rng.lognormal(13, 1, n).astype(int)
        green = (rng.random(n) < 0.08 + 0.04 * (k % 6)).astype(int)
        new = (rng.random(n) < 0.25).astype(int)
        write_table(homes[bank] / "data" / "green-finance" / "loans.csv", {
            "company": rng.choice(companies, n),
            "balance": balance,
            "before": (balance * (1 - new) * rng.uniform(0.9, 1.15, n)).astype(int),
            "green": green,
            "new": new,
            "overdue": (rng.random(n) < 0.02).astype(int),
        })  # fmt: skip
    return {
        "title": "Green finance",
        "delivery": "2025-annual",
        "period": "2025",
        "kinds": {bank: ("large", "small")[k % 2] for k, bank in enumerate(names)},
        "loans": 200,
        "companies": count,
        "carbon_holder": "environment",
        "rules": {"dominance": [2, 95], "p_ratio": 1},
    }


def related_loans(
    homes: Mapping[str, Path], folder: Path, names: tuple[str, ...]
) -> dict[str, Any]:
    """Stakes of a registry, loans and guarantees of the banks, for two quarters."""
    companies = [f"R{number:05d}" for number in range(COMPANIES_PER_BANK * len(names))]
    stakes = 10 * len(names), 10 * len(names) // 3
    write_table(folder / "companies.csv", {"company": companies})
    for name in ("registry", *names):
        write_table(
            homes[name] / "data" / "related-loans" / "companies.csv", {"company": companies}
        )
    for q, quarter in enumerate(QUARTERS[:2]):
        rng = np.random.default_rng([SEED, 200 + q])
        edges = stakes[q]
        write_table(homes["registry"] / "data" / "related-loans" / quarter / "edges.csv", {
            "first": rng.choice(companies, edges),
            "second": rng.choice(companies, edges),
            "weight": rng.integers(10, 101, edges),
        })  # fmt: skip
        for k, bank in enumerate(names):
            rng = np.random.default_rng([SEED, 210 + k, q])
            n = 60 - 40 * q
            here = homes[bank] / "data" / "related-loans" / quarter
            write_table(here / "loans.csv", {
                "company": rng.choice(companies, n),
                "lent": rng.lognormal(7, 1, n).astype(int),
                "repaid": (rng.random(n) < 0.3) * q * 500,
            })  # fmt: skip
            write_table(here / "guarantees.csv", {
                "guarantor": rng.choice(companies, 5), "debtor": rng.choice(companies, 5),
            })  # fmt: skip
    return {
        "title": "Loans to groups of related companies",
        "banks": names,
        "loans": 64,
        "guarantees": 8,
        "edges": {"registry": {"rows": stakes[0] + 4, "threshold": 50, "largest": 100}},
        "limit": 20_000,
        "bands": [2_000, 5_000, 20_000],
        "top": [10, 300_000],
        "listed": True,
        "stop_early": True,
        "rules": {"minimum": 3},
    }


def joint_table(homes: Mapping[str, Path], names: tuple[str, ...]) -> dict[str, Any]:
    """Loans of each bank, companies at several banks, and the industries of a registry."""
    rng, industries = np.random.default_rng([SEED, 300]), ("farming", "milling", "retail")
    companies = [f"J{number:05d}" for number in range(COMPANIES_PER_BANK * len(names))]
    write_table(homes["registry"] / "data" / "joint-table" / "attribute.csv", {
        "company": companies, "industry": rng.choice(industries, len(companies), p=(0.1, 0.3, 0.6)),
    })  # fmt: skip
    for k, bank in enumerate(names):
        rng = np.random.default_rng([SEED, 301, k])
        n = 300 + 50 * (k % 4)
        write_table(homes[bank] / "data" / "joint-table" / "loans.csv", {
            "company": rng.choice(companies, n),
            "region": rng.choice(REGIONS, n, p=(0.3, 0.3, 0.2, 0.15, 0.05)),
            "balance": np.minimum(rng.lognormal(13, 1.2, n), 10**9).astype(int),
        })  # fmt: skip
    industry = {"name": "industry", "categories": industries}
    return {
        "title": "Loans by industry and region",
        "delivery": "2025-annual",
        "period": "2025",
        "banks": names,
        "file": "loans",
        "dimensions": [{"name": "region", "categories": REGIONS}],
        "amount": "balance",
        "rows": 512,
        "attribute": {"holder": "registry", "dimension": industry, "companies": len(companies)},
        "distinct": True,
        "percentiles": [50],
        "quorum": len(names) - 1,
    }
