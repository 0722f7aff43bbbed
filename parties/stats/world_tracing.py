"""Generated payments for `sepc stats trace --demo`: loans, what is done with them, and other trade.

Most borrowers pay suppliers. Some pay a broker or a developer, some do so over one or two others,
some have a friend pay the money back. Fixed seed; it says nothing about real banks.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from parties.stats import world

START, DAYS = date(2025, 1, 1), 90
COMPANIES_PER_BANK = 50
"""Companies that have no account of a restricted sector; for every 15 of them there is one that has
one."""
LOANS, TRADE = 60, 250
"""Loans of each bank, and payments out of its accounts that have nothing to do with them."""
_WAYS = ("supplier", "restricted", "detour", "back", "kept")
_ODDS = (0.5, 0.15, 0.1, 0.15, 0.1)

Rows = list[tuple[Any, ...]]


class _Economy:
    """Companies with an account each, at a random bank, and the payments between them."""

    def __init__(self, seed: int, banks: tuple[str, ...]) -> None:
        self.rng = np.random.default_rng([seed, 300])
        self.banks, self.companies = banks, COMPANIES_PER_BANK * len(banks)
        self.restricted = self.companies // 15
        self.bank = self.rng.integers(0, len(banks), self.companies + self.restricted)
        self.payments: dict[str, Rows] = {bank: [] for bank in banks}

    def pay(self, payer: int, payee: int, day: int, amount: int) -> None:
        """A payment, if its day is one of those asked about."""
        if day < DAYS:
            self.payments[self.banks[self.bank[payer]]].append(
                (account(payer), self.banks[self.bank[payee]], account(payee), text(day), amount)
            )

    def others(self, count: int) -> list[int]:
        """Companies of no restricted sector."""
        return [int(c) for c in self.rng.choice(self.companies, count, replace=False)]

    def spend(self, borrower: int, day: int, amount: int) -> None:
        """What a borrower does with a loan."""
        way = str(self.rng.choice(_WAYS, p=_ODDS))
        first, second = (day + int(d) for d in np.cumsum(self.rng.integers(1, 8, 2)))
        broker = self.companies + int(self.rng.integers(self.restricted))
        part = int(amount * self.rng.uniform(0.4, 1))
        friend = next(c for c in self.others(2) if c != borrower)
        if way == "supplier":
            self.pay(borrower, friend, first, part)
        elif way == "restricted":
            self.pay(borrower, broker, first, part)
        elif way in ("detour", "back"):
            self.pay(borrower, friend, first, part)
            self.pay(friend, broker if way == "detour" else borrower, second, part)


def account(company: int) -> str:
    """A company's account."""
    return f"62{company:08d}"


def text(day: int) -> str:
    """A day as it stands in the files."""
    return (START + timedelta(days=day)).isoformat()


def fund_tracing(homes: Mapping[str, Path], banks: tuple[str, ...]) -> dict[str, Any]:
    """Payments, loans and accounts of each bank, and groups of a registry; the configuration."""
    economy = _Economy(world.SEED, banks)
    rng, loans = economy.rng, {}
    for k, bank in enumerate(banks):
        clients = np.flatnonzero(economy.bank[: economy.companies] == k)
        made: Rows = []
        for borrower, amount in zip(
            rng.choice(clients, LOANS).tolist(), rng.lognormal(13, 0.6, LOANS).tolist(), strict=True
        ):
            day = int(rng.integers(0, DAYS - 10))
            region = world.REGIONS[borrower % len(world.REGIONS)]
            made.append((account(borrower), region, text(day), int(amount), name(borrower)))
            economy.spend(borrower, day, int(amount))
        loans[bank] = made
    for _ in range(TRADE * len(banks)):
        payer, payee = economy.others(2)
        economy.pay(payer, payee, int(rng.integers(0, DAYS)), int(rng.lognormal(11, 1)))
    held = []
    for k, bank in enumerate(banks):
        folder = homes[bank] / "data" / "fund-tracing"
        _write(folder, "loans", ("account", "region", "day", "amount", "company"), loans[bank])
        columns = ("payer", "payee_bank", "payee", "day", "amount")
        _write(folder, "payments", columns, economy.payments[bank])
        clients = np.flatnonzero(economy.bank == k)
        told = [(account(c), name(c), int(c >= economy.companies)) for c in clients.tolist()]
        held.append(len(told))
        _write(folder, "accounts", ("account", "company", "restricted"), told)
    pairs = [(name(c), f"group-{c // 2}") for c in range(60)]
    _write(homes["registry"] / "data" / "fund-tracing", "groups", ("company", "group"), pairs)
    return {
        "title": "Where credit funds went",
        "delivery": "2025Q1",
        "period": "2025Q1",
        "banks": banks,
        "regions": world.REGIONS,
        "start": START.isoformat(),
        "days": DAYS,
        "hops": 3,
        "window": 30,
        "payments": max(512, *map(len, economy.payments.values())),
        "loans": 64,
        "accounts": max(128, *held),
        "groups": {"registry": 64},
        "own": True,
        "rules": {"minimum": 3},
    }


def name(company: int) -> str:
    """A company."""
    return f"T{company:05d}"


def _write(folder: Path, stem: str, columns: tuple[str, ...], rows: Rows) -> None:
    cells = zip(*rows, strict=True) if rows else ([] for _ in columns)
    world.write_table(folder / f"{stem}.csv", dict(zip(columns, cells, strict=True)))
