"""The parameters of a table of any dimensions, as manifests state them."""

from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from parties.manifest import PartyName, Strict
from parties.programs import JOINT_TABLE
from parties.stats.base import BankTerms, Delivery, Name, Names, NoisyTerms, PeriodTerms, Rows

if TYPE_CHECKING:
    from protocols.stats.ledger import Query
    from protocols.stats.submission import Expected


class DimensionTerms(Strict):
    """One way in which rows are classified; without `total` nothing is added up over it."""

    name: Name
    categories: Names
    total: bool = True


class AttributeTerms(Strict):
    """A dimension that another party knows by company, of at most so many companies."""

    holder: PartyName
    dimension: DimensionTerms
    companies: Rows


class JointTableTerms(NoisyTerms, BankTerms, PeriodTerms):
    """A table of any dimensions; see `protocols.stats.joint_table.TableParameters`.

    `file` names what is counted, and the institutions' files.
    """

    file: Delivery
    dimensions: Annotated[tuple[DimensionTerms, ...], Field(min_length=1, max_length=4)]
    amount: Name
    rows: Rows
    attribute: AttributeTerms | None = None
    by_institution: bool = False
    distinct: bool = False
    variance: bool = False
    percentiles: Annotated[tuple[int, ...], Field(max_length=9)] = ()
    periods_per_year: Annotated[int, Field(ge=0, le=366)] = 0
    unit: Name = "yuan"

    @property
    def tag_holder(self) -> str | None:
        """The party with the further dimension, or else the first institution, where companies
        matter."""
        if self.attribute is not None:
            return self.attribute.holder
        return self.banks[0] if self.distinct else None

    @cached_property
    def protocol(self) -> Any:
        """`TableParameters`."""
        from protocols.stats.joint_table import Attribute, TableParameters
        from protocols.stats.spec import Dimension

        def made(terms: DimensionTerms) -> Any:
            return Dimension(terms.name, terms.categories, terms.total)

        attribute = None
        if self.attribute is not None:
            asked = self.attribute
            attribute = Attribute(asked.holder, made(asked.dimension), asked.companies)
        return TableParameters(
            self.banks, tuple(map(made, self.dimensions)), self.amount, self.rows, attribute,
            self.by_institution, self.distinct, self.variance, self.percentiles,
            self.periods_per_year, unit=self.unit, period=self.period_name, noise=self.perturbation,
            **self._common(),
        )  # fmt: skip

    def parts(self, job: str) -> dict[str, list["Expected"]]:
        """Rows of the institutions, and the companies of the further dimension."""
        found: dict[str, list[Expected]] = self.protocol.expected(job)
        return found

    def meanings(self) -> dict[str, tuple[tuple[str, ...], str]]:
        """The table."""
        spec = self.protocol.joint(self.banks)
        by = ", ".join(d.name for d in spec.dimensions)
        more = [f"number and {self.amount} of the rows"]
        more += ["their companies"] * self.distinct + ["the sums of squares"] * self.variance
        more += [f"{len(self.percentiles)} percentiles"] * bool(self.percentiles)
        what = f"learns a table of {self.file} by {by}: {', '.join(more)}, {self._shown(spec)}"
        return {"table": ((self.receiver,), what)}

    def query(self) -> "Query":
        """The table; other files are other rows."""
        spec = self.protocol.joint(self.banks)
        population = {"period": (self.period_name,)}
        if any(d.name == "period" for d in spec.dimensions):
            population = {}
        return self._query(f"{JOINT_TABLE}:{self.file}", spec, population=population)
