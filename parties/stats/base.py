"""What the parameters of all regulator statistics have in common."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field

from parties.manifest import Parameters, PartyName, Strict

if TYPE_CHECKING:
    from protocols.stats.ledger import Query
    from protocols.stats.perturb import Noise
    from protocols.stats.spec import TableSpec
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


_NO_FIGURES = {
    "title", "delivery", "receiver", "submit_seconds", "quorum", "rules", "periods_per_year",
}  # fmt: skip
"""Parameters on which nothing depends that opens, or that a ledger's entry states by itself."""


class Terms(Parameters):
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
        found = super().from_json(document)
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
    def tag_holder(self) -> str | None:
        """The input party that draws the key of the tags, where there are such."""
        return None

    @property
    def senders(self) -> dict[str, bool]:
        """All input parties, and whether the job can do without each."""
        optional = self.quorum is not None and self.quorum < len(self.institutions)
        names = dict.fromkeys(e.institution for each in self.parts("").values() for e in each)
        return {
            name: optional and name in self.institutions and name != self.tag_holder
            for name in names
        }

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
        terms = self.model_dump(mode="json", by_alias=True, exclude=_NO_FIGURES)
        return query(
            source, self.delivery, self.institutions, spec, rules, terms=terms, **options
        )


class BankTerms(Terms):
    """Those of programs over banks, or others that are asked for their rows."""

    banks: Annotated[tuple[PartyName, ...], Field(min_length=1, max_length=200)]

    @property
    def institutions(self) -> tuple[str, ...]:
        """The banks."""
        return self.banks


class PeriodTerms(Terms):
    """Those about one period, which the question names."""

    period_name: Annotated[Name, Field(alias="period")]

    @property
    def period(self) -> str:
        """The period."""
        return self.period_name


class NoisyTerms(Terms):
    """Those of tables to whose figures noise may be added."""

    noise: NoiseTerms | None = None

    @cached_property
    def perturbation(self) -> "Noise | None":
        """The noise as the MPC program takes it."""
        from protocols.stats.perturb import Noise

        return Noise(**self.noise.model_dump()) if self.noise else None

    def _shown(self, spec: "TableSpec") -> str:
        """The end of the sentence about a table."""
        from protocols.stats.release import noise_deviations

        shown, noise = "as far as the rules show them", self.perturbation
        if noise is None:
            return shown
        name = "epsilon" if noise.kind == "laplace" else "rho"
        sizes = [
            f"{figure} {size:,.0f}" if size >= 100 else f"{figure} {size:.3g}"
            for figure, size in noise_deviations(spec, noise).items()
        ]
        return (
            f"{shown}, with random noise ({name} {getattr(noise, name):g} for each figure; its "
            f"standard deviation in a cell: {', '.join(sizes)})"
        )

    def _query(self, source: str, spec: Any, **options: Any) -> "Query":
        return super()._query(source, spec, noise=self.perturbation, **options)
