"""What an input party shares, from the files in its node's folder.

`data/<program>/<delivery>/`, or `data/<program>/` where there is no such folder, holds CSV or
Parquet files of fixed names (docs/statistics.md). Errors name file and column and count rows; they
go to every party of a job, so they repeat no value.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from parties.errors import LocalError
from parties.manifest import Manifest, Submission
from parties.stats.base import Terms
from parties.stats.files import File
from parties.stats.keeping import data_folder
from parties.stats.terms import (
    FundFlowTerms,
    FundTracingTerms,
    GreenFinanceTerms,
    JointTableTerms,
    RelatedLoansTerms,
    terms_of,
)

Matrices = dict[str, npt.NDArray[np.int64]]
_NO_KEY = bytes(32)


def submission(manifest: Manifest, party: str, home: Path) -> Submission:
    """What the manifest asks of this party, if its data can be shared; LocalError otherwise."""
    terms = terms_of(manifest)
    matrices(terms, party, data_folder(home, manifest.program.name, terms.delivery), _NO_KEY)
    stated = manifest.inputs[party]
    assert isinstance(stated, Submission)
    return stated


def digest(home: Path, manifest: Manifest) -> str:
    """A digest of all files of this party's data; it never leaves the node."""
    folder = data_folder(home, manifest.program.name, terms_of(manifest).delivery)
    whole = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file():
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            whole.update(f"{path.name} {content}\n".encode())
    return whole.hexdigest()


def matrices(terms: Terms, party: str, folder: Path, key: bytes) -> Matrices:
    """The matrices that a party shares, by part; LocalError for what cannot be shared.

    `key` makes the tags of companies and accounts where a program joins by them.
    """
    try:
        if isinstance(terms, FundFlowTerms):
            return _fund_flow(terms, folder)
        if isinstance(terms, GreenFinanceTerms):
            return _green(terms, party, folder, key)
        if isinstance(terms, FundTracingTerms):
            return _tracing(terms, party, folder, key)
        if isinstance(terms, JointTableTerms):
            return _table(terms, party, folder, key)
        assert isinstance(terms, RelatedLoansTerms)
        return _related(terms, party, folder)
    except ValueError as exc:
        raise _wrong(folder, str(exc)) from None


def _fund_flow(terms: FundFlowTerms, folder: Path) -> Matrices:
    from protocols.stats.fund_flow import INDICATORS, bank_cells

    loans = File(folder, "loans")
    scores = [loans.numbers(name.replace("-", "_"), optional=True) for name in INDICATORS]
    cells = bank_cells(
        terms.protocol,
        region=loans.texts("region"),
        period=loans.texts("period"),
        outstanding=loans.whole("outstanding"),
        scores=np.column_stack(scores),
    )
    return {"cells": cells}


def _green(terms: GreenFinanceTerms, party: str, folder: Path, key: bytes) -> Matrices:
    from protocols.stats.green_finance import loan_rows
    from protocols.stats.joins import company_tags, reference

    found: Matrices = {}
    if party == terms.carbon_holder:
        carbon = File(folder, "carbon")
        ids = carbon.identifiers("company")
        if len(ids) > terms.companies:
            raise ValueError(f"{len(ids)} companies, but at most {terms.companies} are agreed")
        spare = [f"\0{i}" for i in range(terms.companies - len(ids))]
        intensity = np.zeros(terms.companies, np.int64)
        intensity[: len(ids)] = carbon.whole("intensity")
        found["carbon"] = reference(company_tags([*ids, *spare], key), intensity)
    if party not in terms.kinds:
        return found
    loans = File(folder, "loans")
    balance, before = loans.whole("balance"), loans.whole("before", optional=True)
    green, new, overdue = (loans.bits(name) for name in ("green", "new", "overdue"))
    products = [balance, balance * green, before * green, balance * new, balance * new * green,
                balance * overdue * green]  # fmt: skip
    found["sums"] = np.array([[len(balance), *[int(x.sum()) for x in products]]], np.int64)
    ids, kept = loans.identifiers("company", repeated=True), green > 0
    chosen = [company for company, is_green in zip(ids, kept, strict=True) if is_green]
    tags = company_tags(chosen, key) if chosen else np.zeros(0, np.int64)
    found["loans"] = loan_rows(terms.protocol, tags, balance[kept])
    return found


def _related(terms: RelatedLoansTerms, party: str, folder: Path) -> Matrices:
    from protocols.stats.forms import padded

    place = register(terms, folder)
    found: Matrices = {}
    shapes = {part: (e.rows, e.columns) for part, each in terms.parts("").items() for e in each
              if e.institution == party}  # fmt: skip

    def companies(file: File, name: str) -> npt.NDArray[np.int64]:
        numbers = [place.get(i, -1) for i in file.identifiers(name, repeated=True)]
        unknown = sum(n < 0 for n in numbers)
        if unknown:
            raise ValueError(f"{file.name}, column {name}: {unknown} are not in the register")
        return np.array(numbers, np.int64)

    for part, shape in shapes.items():
        if part == "loans":
            file = File(folder, "loans")
            amounts = [file.whole("lent"), file.whole("repaid", optional=True)]
            columns = [companies(file, "company"), *amounts]
        elif part == "guarantees":
            if not File.there(folder, "guarantees"):
                found[part] = padded([], shape, part)
                continue
            file = File(folder, "guarantees")
            columns = [companies(file, "guarantor"), companies(file, "debtor")]
        else:
            file = File(folder, "edges")
            columns = [companies(file, "first"), companies(file, "second"), file.whole("weight")]
        found[part] = padded(np.column_stack(columns), shape, f"rows in {file.name}")
    return found


def _tracing(terms: FundTracingTerms, party: str, folder: Path, key: bytes) -> Matrices:
    from protocols.stats.tracing_data import bank_rows, group_rows_of

    def names(file: File, *columns: str) -> dict[str, Any]:
        return {column: file.identifiers(column, repeated=True) for column in columns}

    def dated(file: File) -> dict[str, Any]:
        days = file.days("day", terms.start, terms.days)
        return {"day": days, "amount": file.whole("amount")}

    found: Matrices = {}
    if party in terms.groups:
        groups = names(File(folder, "groups"), "company", "group")
        found["groups"] = group_rows_of(terms.protocol, key, groups)
    if party not in terms.banks:
        return found
    payments, accounts = File(folder, "payments"), File(folder, "accounts")
    loans: dict[str, Any] = {c: [] for c in ("account", "region", "day", "amount", "company")}
    if File.there(folder, "loans"):
        file = File(folder, "loans")
        loans = {**names(file, "account", "company"), "region": file.texts("region"), **dated(file)}
    return found | bank_rows(
        terms.protocol, party, key, loans=loans,
        payments={
            **names(payments, "payer", "payee"),
            "payee_bank": payments.texts("payee_bank"),
            **dated(payments),
        },
        accounts={
            **names(accounts, "account", "company"), "restricted": accounts.bits("restricted"),
        },
    )  # fmt: skip


def _table(terms: JointTableTerms, party: str, folder: Path, key: bytes) -> Matrices:
    from protocols.stats.joint_table import attribute_rows, institution_rows

    found: Matrices = {}
    if terms.attribute is not None and party == terms.attribute.holder:
        name = terms.attribute.dimension.name
        known = File(folder, "attribute")
        ids, categories = known.identifiers("company"), known.texts(name)
        found["attribute"] = attribute_rows(terms.protocol, key, ids, categories)
    if party in terms.banks:
        file, p = File(folder, terms.file), terms.protocol
        found["rows"] = institution_rows(
            p, key, columns={d.name: file.texts(d.name) for d in p.dimensions},
            amount=file.whole(terms.amount),
            companies=file.identifiers("company", repeated=True) if p.tagged else (),
        )  # fmt: skip
    return found


def register(terms: RelatedLoansTerms, folder: Path) -> dict[str, int]:
    """Numbers by company from the register that everybody has."""
    base = folder if File.there(folder, "companies") else folder.parent
    ids = File(base, "companies").identifiers("company")
    if (len(ids), register_digest(ids)) != (terms.companies, terms.register_digest):
        raise ValueError("the register of companies is not the one that the manifest names")
    return {company: number for number, company in enumerate(ids)}


def register_digest(ids: Sequence[str]) -> str:
    """The digest of a list of companies, in its order."""
    return hashlib.sha256("\n".join(["sepc-register", *ids]).encode()).hexdigest()


def public_edges(terms: RelatedLoansTerms, folder: Path) -> npt.NDArray[np.int64]:
    """The edges (m, 2) that all parties know; LocalError if this party knows others."""
    try:
        place = register(terms, folder)
        file = File(folder, "edges")
        ends = [file.identifiers(name, repeated=True) for name in ("first", "second")]
        if edges_digest(*ends) != terms.public_edges:
            raise ValueError("the edges are not those that the manifest names")
        numbers = [[place.get(i, -1) for i in end] for end in ends]
        if min(map(min, numbers), default=0) < 0:
            raise ValueError(f"{file.name}: a company is not in the register")
    except ValueError as exc:
        raise _wrong(folder, str(exc)) from None
    return np.array(numbers, np.int64).T.reshape(-1, 2)


def edges_digest(first: Sequence[str], second: Sequence[str]) -> str:
    """The digest of edges that all parties know, in their order."""
    lines = [f"{a}\t{b}" for a, b in zip(first, second, strict=True)]
    return hashlib.sha256("\n".join(["sepc-edges", *lines]).encode()).hexdigest()


def _wrong(folder: Path, cause: str) -> LocalError:
    return LocalError(
        "own_data",
        f"the party's own data cannot be shared: {cause}"[:500],
        f"put right the files in data/{folder.name}, or agree on other terms",
        step="load",
    )
