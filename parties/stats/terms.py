"""The parameters of regulator statistics, as manifests state them.

From them everything else about a manifest follows: the shapes of what the input parties share, who
receives what, and the entry for the ledgers (`parties.stats.stated` compares).
"""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, ValidationError

from parties import canonical
from parties.manifest import Hex32, Manifest, PartyName, Strict, explain
from parties.programs import FUND_FLOW, GREEN_FINANCE, RELATED_LOANS

if TYPE_CHECKING:
    from protocols.stats.ledger import Query
    from protocols.stats.submission import Expected

MAX_SECONDS = 100

Name = Annotated[str, Field(min_length=1, max_length=100)]
Names = Annotated[tuple[Name, ...], Field(min_length=1, max_length=1000)]
Delivery = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
Bits = Annotated[int, Field(ge=1, le=40)]
Rows = Annotated[int, Field(ge=1, le=1 << 24)]
Amount = Annotated[int, Field(ge=0, lt=1 << 53)]


class RuleTerms(Strict):
    """The rules of disclosure control, as `protocols.stats.rules` has them."""

    minimum: int = 10
    zeros: bool = True
    dominance: tuple[int, int] = (2, 90)
    p_ratio: int = 10
    floor: int = 1
    rounding: int = 0


class NoiseTerms(Strict):
    """Noise, as `protocols.stats.perturb` has it."""

    kind: Literal["laplace", "gaussian"]
    epsilon: float = 0.0
    rho: float = 0.0


class Terms(Strict):
    """What all these programs have in common.

    `delivery` names a state of the institutions' data: an institution never submits other data
    under a name that it has used. `receiver` is who gets the release. Compute parties wait
    `submit_seconds` for the data; at least `quorum` institutions must count, or all.
    """

    title: Name
    delivery: Delivery
    receiver: PartyName
    submit_seconds: Annotated[int, Field(ge=1, le=MAX_SECONDS)] = 60
    quorum: Annotated[int, Field(ge=1)] | None = None
    rules: RuleTerms = RuleTerms()
    amount_bits: Bits = 36

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The parameters of a manifest; ValueError that names the field and repeats no value."""
        try:
            found = cls.model_validate_json(canonical.canonical(dict(document)))
        except ValidationError as exc:
            raise ValueError(explain(exc)) from None
        if found.quorum is not None and found.quorum > len(found.institutions):
            raise ValueError(f"a quorum of {found.quorum} of {len(found.institutions)}")
        for each in found.parts("").values():
            if any(e.rows * e.columns > 1 << 26 for e in each):
                raise ValueError("an institution would share more than 2^26 numbers")
        return found

    @property
    def institutions(self) -> tuple[str, ...]:
        """Who is asked for data, and may be refused."""
        raise NotImplementedError

    @cached_property
    def protocol(self) -> Any:
        """The parameters as the MPC program takes them."""
        raise NotImplementedError

    def parts(self, job: str) -> dict[str, list["Expected"]]:
        """What is to be shared, by part: one entry for each sender."""
        raise NotImplementedError

    def meanings(self) -> dict[str, tuple[tuple[str, ...], str]]:
        """Outputs: receivers, and what they learn."""
        raise NotImplementedError

    def query(self) -> "Query":
        """The table as ledgers describe it."""
        raise NotImplementedError

    @property
    def period(self) -> str:
        """The period that the record names."""
        raise NotImplementedError

    @property
    def senders(self) -> dict[str, bool]:
        """All input parties, and whether the job can do without each."""
        optional = self.quorum is not None and self.quorum < len(self.institutions)
        names = [e.institution for each in self.parts("").values() for e in each]
        return {name: optional and name in self.institutions for name in dict.fromkeys(names)}

    def _common(self) -> dict[str, Any]:
        from protocols.stats.rules import Rules

        return {
            "rules": Rules(**self.rules.model_dump()),
            "amount_bits": self.amount_bits,
            "quorum": self.quorum,
        }

    def _query(self, source: str, spec: Any, **options: Any) -> "Query":
        from protocols.stats.ledger import query

        rules = self._common()["rules"]
        return query(source, self.delivery, self.institutions, spec, rules, **options)


class FundFlowTerms(Terms):
    """Violation statistics; see `protocols.stats.fund_flow.FundFlowParameters`."""

    banks: Annotated[tuple[PartyName, ...], Field(min_length=1, max_length=200)]
    regions: Names
    periods: Names
    by_institution: bool = False
    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    threshold: float = 1.0
    largest_cell: Rows = 1 << 20
    noise: NoiseTerms | None = None
    unit: Name = "yuan"

    @property
    def institutions(self) -> tuple[str, ...]:
        """The banks."""
        return self.banks

    @cached_property
    def protocol(self) -> Any:
        """`FundFlowParameters`."""
        from protocols.stats.fund_flow import FundFlowParameters
        from protocols.stats.perturb import Noise

        noise = Noise(**self.noise.model_dump()) if self.noise else None
        return FundFlowParameters(
            self.banks, self.regions, self.periods, self.by_institution, weights=self.weights,
            threshold=self.threshold, largest_cell=self.largest_cell, noise=noise, unit=self.unit,
            **self._common(),
        )  # fmt: skip

    def parts(self, job: str) -> dict[str, list["Expected"]]:
        """One part: the cells."""
        return {"cells": self.protocol.expected(job)}

    def meanings(self) -> dict[str, tuple[tuple[str, ...], str]]:
        """The table."""
        by = "region, institution and period" if self.by_institution else "region and period"
        what = (
            f"learns a table by {by}: loans, outstanding and flagged amounts, flagged loans, as "
            f"far as the rules show them"
        )
        return {"table": ((self.receiver,), what)}

    def query(self) -> "Query":
        """Region by period, or with institutions."""
        spec = self.protocol.joint(self.banks)
        return self._query(FUND_FLOW, spec, noise=self.protocol.noise)

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


class GreenFinanceTerms(Terms):
    """Green finance; see `protocols.stats.green_finance.GreenParameters`."""

    kinds: Annotated[dict[PartyName, Name], Field(min_length=1, max_length=200)]
    loans: Rows
    companies: Rows
    carbon_holder: PartyName
    scales: dict[str, ScaleTerms] | None = None
    bands: Annotated[tuple[float, ...], Field(min_length=1, max_length=20)] = (0.2, 0.5, 0.8, 1.0)
    largest_rows: Rows = 1 << 20
    unit: Name = "yuan"
    period_name: Annotated[Name, Field(alias="period")]

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

    @property
    def period(self) -> str:
        """The period."""
        return self.period_name


class EdgeTerms(Strict):
    """What a holder of edges shares."""

    rows: Rows
    threshold: Amount = 1
    largest: Amount = 1


class RelatedLoansTerms(Terms):
    """Related loans; see `protocols.stats.related_loans.RelatedParameters`.

    `register` is the digest of the list of companies that everybody has, `public_edges` that of the
    edges where all know them, `follows` the manifest of the job of the period before.
    """

    banks: Annotated[tuple[PartyName, ...], Field(min_length=1, max_length=200)]
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
    follows: Hex32 | None = None
    unit: Name = "thousand yuan"
    period_name: Annotated[Name, Field(alias="period")]

    @property
    def institutions(self) -> tuple[str, ...]:
        """The banks."""
        return self.banks

    @cached_property
    def protocol(self) -> Any:
        """`RelatedParameters`."""
        from protocols.stats.related_loans import Edges, RelatedParameters

        return RelatedParameters(
            self.banks, self.companies, self.loans, self.guarantees, self.limit, self.bands,
            {k: Edges(**e.model_dump()) for k, e in self.edges.items()}, self.top,
            self.public_edges is not None, self.listed, self.stop_early, unit=self.unit,
            period=self.period_name, **self._common(),
        )  # fmt: skip

    def parts(self, job: str) -> dict[str, list["Expected"]]:
        """Loans and guarantees of the banks, and the edges of each holder."""
        found: dict[str, list[Expected]] = self.protocol.expected(job)
        return found

    def meanings(self) -> dict[str, tuple[tuple[str, ...], str]]:
        """Table, and what else the receiver gets; bits to the banks."""
        what = "learns how many groups of related companies owe how much, as far as the rules show"
        if self.top:
            what += f", whether the {self.top[0]} largest groups together exceed their limit"
        if self.listed:
            what += ", and of each group over the limit its companies and what it owes"
        own = "each learn, of each loan that they share, whether its borrower's group is over it"
        return {"table": ((self.receiver,), what), "own": (self.banks, own)}

    def query(self) -> "Query":
        """Groups by exposure."""
        population = {"period": (self.period_name,)}
        return self._query(RELATED_LOANS, self.protocol.spec, population=population)

    @property
    def period(self) -> str:
        """The period."""
        return self.period_name


TERMS: dict[str, type[Terms]] = {
    FUND_FLOW: FundFlowTerms,
    GREEN_FINANCE: GreenFinanceTerms,
    RELATED_LOANS: RelatedLoansTerms,
}


def terms_of(manifest: Manifest) -> Terms:
    """The parameters of a manifest of one of these programs; ValueError if they do not fit."""
    return TERMS[manifest.program.name].from_json(manifest.parameters)
