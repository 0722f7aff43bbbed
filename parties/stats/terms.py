"""The parameters of regulator statistics, as manifests state them.

From them everything else about a manifest follows: the shapes of what the input parties share, who
receives what, and the entry for the ledgers (`parties.stats.stated` compares).
"""

from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from parties.manifest import Hex32, Manifest, PartyName, Strict
from parties.programs import FUND_FLOW, FUND_TRACING, GREEN_FINANCE, JOINT_TABLE, RELATED_LOANS
from parties.stats.base import Amount, BankTerms, Name, Names, NoisyTerms, PeriodTerms, Rows, Terms
from parties.stats.table_terms import JointTableTerms

if TYPE_CHECKING:
    from protocols.stats.ledger import Query
    from protocols.stats.submission import Expected


class FundFlowTerms(NoisyTerms, BankTerms):
    """Violation statistics; see `protocols.stats.fund_flow.FundFlowParameters`."""

    regions: Names
    periods: Names
    by_institution: bool = False
    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    threshold: float = 1.0
    largest_cell: Rows = 1 << 20
    unit: Name = "yuan"
    periods_per_year: Annotated[int, Field(ge=0, le=366)] = 0

    @cached_property
    def protocol(self) -> Any:
        """`FundFlowParameters`."""
        from protocols.stats.fund_flow import FundFlowParameters

        return FundFlowParameters(
            self.banks, self.regions, self.periods, self.by_institution, weights=self.weights,
            threshold=self.threshold, largest_cell=self.largest_cell, noise=self.perturbation,
            unit=self.unit, periods_per_year=self.periods_per_year, **self._common(),
        )  # fmt: skip

    def parts(self, job: str) -> dict[str, list["Expected"]]:
        """One part: the cells."""
        return {"cells": self.protocol.expected(job)}

    def meanings(self) -> dict[str, tuple[tuple[str, ...], str]]:
        """The table."""
        by = "region, institution and period" if self.by_institution else "region and period"
        what = (
            f"learns a table by {by}: loans, outstanding and flagged amounts, flagged loans, "
            f"{self._shown(self.protocol.joint(self.banks))}"
        )
        return {"table": ((self.receiver,), what)}

    def query(self) -> "Query":
        """Region by period, or with institutions."""
        spec = self.protocol.joint(self.banks)
        return self._query(FUND_FLOW, spec)

    @property
    def period(self) -> str:
        """From the first period to the last."""
        first, last = self.periods[0], self.periods[-1]
        return first if first == last else f"{first} – {last}"


class ScaleTerms(Strict):
    """Points of an indicator, and its weight."""

    worst: float
    best: float
    weight: float


class GreenFinanceTerms(PeriodTerms):
    """Green finance; see `protocols.stats.green_finance.GreenParameters`."""

    kinds: Annotated[dict[PartyName, Name], Field(min_length=1, max_length=200)]
    loans: Rows
    companies: Rows
    carbon_holder: PartyName
    scales: dict[str, ScaleTerms] | None = None
    bands: Annotated[tuple[float, ...], Field(min_length=1, max_length=20)] = (0.2, 0.5, 0.8, 1.0)
    largest_rows: Rows = 1 << 20
    unit: Name = "yuan"

    @property
    def institutions(self) -> tuple[str, ...]:
        """The institutions that are evaluated."""
        return tuple(self.kinds)

    @cached_property
    def protocol(self) -> Any:
        """`GreenParameters`."""
        from protocols.stats.green_finance import GreenParameters, Scale

        chosen: dict[str, Any] = {}
        if self.scales is not None:
            chosen["scales"] = {k: Scale(**s.model_dump()) for k, s in self.scales.items()}
        return GreenParameters(
            self.kinds, self.loans, self.companies, self.carbon_holder, bands=self.bands,
            largest_rows=self.largest_rows, unit=self.unit, period=self.period_name,
            **chosen, **self._common(),
        )  # fmt: skip

    @property
    def tag_holder(self) -> str:
        """The holder of the carbon table."""
        return self.carbon_holder

    def parts(self, job: str) -> dict[str, list["Expected"]]:
        """Sums and loans of the institutions, and the carbon table."""
        return dict(zip(("sums", "loans", "carbon"), self.protocol.expected(job), strict=True))

    def meanings(self) -> dict[str, tuple[tuple[str, ...], str]]:
        """Table and bands to the receiver, its own figures to each institution."""
        return {
            "table": (
                (self.receiver,),
                "learns balances by kind of institution, as far as the rules show them, and the "
                f"ranking band, of {len(self.bands)}, of each institution",
            ),
            "own": (self.institutions, "each learn their own five indicators and their score"),
        }

    def query(self) -> "Query":
        """Balances by kind."""
        from protocols.stats.green_finance import table_of

        spec = table_of(self.protocol, self.institutions)
        population = {"period": (self.period_name,)}
        return self._query(GREEN_FINANCE, spec, population=population)


class EdgeTerms(Strict):
    """What a holder of edges shares."""

    rows: Rows
    threshold: Amount = 1
    largest: Amount = 1


class RelatedLoansTerms(BankTerms, PeriodTerms):
    """Related loans; see `protocols.stats.related_loans.RelatedParameters`.

    `register` is the digest of the list of companies that everybody has, `public_edges` that of the
    edges where all know them, `follows` the manifest of the job of the period before.
    """

    companies: Annotated[int, Field(ge=2, le=10_000_000)]
    register_digest: Annotated[Hex32, Field(alias="register")]
    loans: Rows
    guarantees: Annotated[int, Field(ge=0, le=1 << 24)] = 0
    edges: dict[PartyName, EdgeTerms] = Field(default_factory=dict)
    public_edges: Hex32 | None = None
    limit: Amount
    bands: tuple[Amount, ...] = ()
    top: tuple[Annotated[int, Field(ge=1, le=1000)], Amount] | None = None
    listed: bool = False
    stop_early: bool = False
    hops: Annotated[int, Field(ge=0, le=16)] = 0
    follows: Hex32 | None = None
    unit: Name = "thousand yuan"

    @model_validator(mode="after")
    def _edges_of_all_periods(self) -> Self:
        if self.hops and self.follows is not None and self.public_edges is None:
            raise ValueError(
                "hops and follows: edges of earlier periods are not kept, expected a question of "
                "its own with all edges, or public ones"
            )
        return self

    @cached_property
    def protocol(self) -> Any:
        """`RelatedParameters`."""
        from protocols.stats.related_loans import Edges, RelatedParameters

        return RelatedParameters(
            self.banks, self.companies, self.loans, self.guarantees, self.limit, self.bands,
            {k: Edges(**e.model_dump()) for k, e in self.edges.items()}, self.top,
            self.public_edges is not None, self.listed, self.stop_early, unit=self.unit,
            period=self.period_name, hops=self.hops, **self._common(),
        )  # fmt: skip

    def parts(self, job: str) -> dict[str, list["Expected"]]:
        """Loans and guarantees of the banks, and the edges of each holder."""
        found: dict[str, list[Expected]] = self.protocol.expected(job)
        return found

    def meanings(self) -> dict[str, tuple[tuple[str, ...], str]]:
        """Table, and what else the receiver gets; bits to the banks."""
        what = "learns how many groups of related companies owe how much, as far as the rules show"
        units, listed = "groups", "of each group over the limit its companies and what it owes"
        own = "each learn, of each loan that they share, whether its borrower's group is over it"
        if self.hops:
            near = f"at most {self.hops} edges from a borrower that exceeds the limit"
            what = f"learns how many companies owe how much, those {near} apart, as far as the " \
                "rules show"
            units, listed = "borrowers", f"of each company {near} what it owes"
            own = f"each learn, of each loan that they share, whether its borrower is {near}"
        if self.top:
            what += f", whether the {self.top[0]} largest {units} together exceed their limit"
        if self.listed:
            what += f", and {listed}"
        return {"table": ((self.receiver,), what), "own": (self.banks, own)}

    def query(self) -> "Query":
        """Groups by exposure."""
        population = {"period": (self.period_name,)}
        return self._query(RELATED_LOANS, self.protocol.spec, population=population)


class FundTracingTerms(BankTerms, PeriodTerms):
    """Fund tracing; see `protocols.stats.tracing_data.TracingParameters`.

    `start` is the first of `days` days. `groups` is {holder: companies at most} of the party that
    says which companies belong together, if one does.
    """

    regions: Names
    start: Annotated[date, Field(ge=date(1900, 1, 1), lt=date(3000, 1, 1))]
    days: Annotated[int, Field(ge=1, le=3660)]
    hops: Annotated[int, Field(ge=1, le=10)] = 3
    window: Annotated[int, Field(ge=0, le=3660)] = 30
    rule: Literal["latest", "tainted-first"] = "tainted-first"
    percent: tuple[Annotated[int, Field(ge=1, le=100)], Annotated[int, Field(ge=1, le=100)]] = (
        10, 10,
    )  # fmt: skip
    payments: Rows
    loans: Rows
    accounts: Rows
    groups: Annotated[dict[PartyName, Rows], Field(max_length=1)] = Field(default_factory=dict)
    by_institution: bool = False
    own: bool = False
    unit: Name = "yuan"

    @property
    def tag_holder(self) -> str:
        """The holder of groups, or the first bank where there is none."""
        return next(iter(self.groups), self.banks[0])

    @cached_property
    def protocol(self) -> Any:
        """`TracingParameters`."""
        from protocols.stats.tracing_data import TracingParameters

        holder, companies = next(iter(self.groups.items()), (None, 0))
        return TracingParameters(
            self.banks, self.regions, self.days, self.hops, self.window, self.payments, self.loans,
            self.accounts, self.rule, self.percent, holder, companies, self.by_institution,
            self.own, unit=self.unit, period=self.period_name, **self._common(),
        )  # fmt: skip

    def parts(self, job: str) -> dict[str, list["Expected"]]:
        """Payments, loans and accounts of the banks, and the companies of groups."""
        found: dict[str, list[Expected]] = self.protocol.expected(job)
        return found

    def meanings(self) -> dict[str, tuple[tuple[str, ...], str]]:
        """The table; flags to the banks, if they get such."""
        by = "region and institution" if self.by_institution else "region"
        what = (
            f"learns by {by} number and amount of loans, of those of which {self.percent[0]} % "
            f"reach restricted accounts within {self.hops} payments, and of those of which "
            f"{self.percent[1]} % come back to the borrower or a related company, as far as the "
            "rules show them"
        )
        found: dict[str, tuple[tuple[str, ...], str]] = {"table": ((self.receiver,), what)}
        if self.own:
            found["own"] = (self.banks, "each learn which of their own loans are flagged, and how")
        return found

    def query(self) -> "Query":
        """Region by flow, or with institutions; the rows are those of certain days, whatever the
        period is called."""
        spec = self.protocol.joint(self.banks)
        first = self.start.toordinal()
        days = tuple(date.fromordinal(first + k).isoformat() for k in range(self.days))
        return self._query(FUND_TRACING, spec, population={"day": days})


TERMS: dict[str, type[Terms]] = {
    FUND_FLOW: FundFlowTerms,
    GREEN_FINANCE: GreenFinanceTerms,
    RELATED_LOANS: RelatedLoansTerms,
    FUND_TRACING: FundTracingTerms,
    JOINT_TABLE: JointTableTerms,
}


def terms_of(manifest: Manifest) -> Terms:
    """The parameters of a manifest of one of these programs; ValueError if they do not fit."""
    return TERMS[manifest.program.name].from_json(manifest.parameters)
