"""The programs a node knows how to run, by the name and version that a manifest states.

A manifest never names a module: what can run is what is listed here, in code that every
organisation reviewed, and nothing else. An entry also says what a job of the program looks like:
what the initiator brings and what the others bring, whether tables are joined, which roles parties
may have, and what a worker reads and leaves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from parties.errors import LocalError
from parties.manifest import Role

Kind = Literal["table", "list", "keys", "applicants", "submission", "none"]


@dataclass(frozen=True)
class Program:
    """Where a program's parts are found (`module:name`), and what its manifests look like.

    `parameters` is a class with `from_json(document)`. `bring` returns the arguments of the
    coroutine that only this party knows (see `parties.holdings`); `keep` stores what the
    coroutine leaves under "keep", if a program leaves shares for later jobs. `stated` returns what
    a manifest has to say of its outputs and disclosure, a `parties.stated.Stated`, from the rest of
    the manifest and the models that a node holds; ValueError if nothing fits it. A program with
    `checkpoints` keeps the steps of its trainings, and an interrupted job of it can be resumed.
    With `optional` parties other than the initiator may bring nothing. `verified`: it runs in
    verified mode. A program that `serves` takes requests while it runs: lines of the node go to the
    `take` of what it brings as `requests` (`parties.session_work`).

    Parties with the role `input` bring submissions. `links` returns the arguments with which the
    coroutine reaches the parties that do not compute, and `outside` is what those run instead;
    `check` says which roles and inputs of a manifest do not follow from its parameters.
    """

    version: str
    module: str
    function: str
    stated: str
    parameters: str = "models.parameters:CreditParameters"
    bring: str = "parties.holdings:bring_table"
    keep: str | None = None
    checkpoints: bool = False
    initiator: Kind = "table"
    others: Kind = "table"
    join: bool = True
    roles: frozenset[Role] = frozenset({"compute"})
    optional: bool = False
    verified: bool = False
    serves: bool = False
    links: str | None = None
    outside: str | None = None
    check: str | None = None

    def kinds(self, initiates: bool, role: Role = "compute") -> tuple[Kind, ...]:
        """What a party of a job may bring."""
        if role != "compute" and role in self.roles:
            return ("submission",) if role == "input" else ("none",)
        if initiates:
            return (self.initiator,)
        return (self.others, "none") if self.optional else (self.others,)

    def load(self) -> Any:
        """The coroutine function; imported only when a worker runs it."""
        return getattr(import_module(self.module), self.function)

    def read_parameters(self, document: Mapping[str, Any]) -> Any:
        """The manifest's parameters as the program's own type; ValueError if they do not fit."""
        return imported(self.parameters).from_json(document)


def imported(place: str) -> Any:
    """What is found at `module:name`."""
    module, name = place.split(":")
    return getattr(import_module(module), name)


Programs = Mapping[str, Program]

CREDIT, SCORE, STATE = "credit-model", "model-score", "model-state"
SESSION = "model-session"
COMMON = "common-businesses"
PUBLISH, UPDATE, QUERY = "pir-publish", "pir-update", "pir-query"
UPLIFT = "uplift-study"

FUND_FLOW, GREEN_FINANCE, RELATED_LOANS = "fund-flow", "green-finance", "related-loans"
FUND_TRACING, JOINT_TABLE = "fund-tracing", "joint-table"


def _statistics(function: str, terms: str, keep: str | None = None) -> Program:
    """A program of `protocols.stats.programs`."""
    return Program(
        "1",
        "protocols.stats.programs",
        function,
        "parties.stats.stated:stated",
        parameters=f"parties.stats.terms:{terms}",
        bring="parties.stats.inside:bring",
        keep=keep,
        initiator="none",
        others="none",
        join=False,
        verified=True,
        roles=frozenset({"compute", "input", "output"}),
        links="parties.stats.inside:links",
        outside="parties.stats.outside:run",
        check="parties.stats.stated:problem",
    )


PROGRAMS: Programs = {
    CREDIT: Program(
        "2",
        "models.credit",
        "credit_program",
        "parties.proposal:credit_stated",
        bring="parties.model_work:bring_credit",
        keep="parties.model_work:keep_model",
        checkpoints=True,
        verified=True,
    ),
    SCORE: Program(
        "1",
        "models.serving",
        "score_program",
        "parties.model_proposal:score_stated",
        parameters="parties.model_terms:ScoreParameters",
        bring="parties.model_work:bring_score",
        initiator="applicants",
        others="none",
    ),
    SESSION: Program(
        "1",
        "models.session",
        "session_program",
        "parties.model_proposal:session_stated",
        parameters="parties.model_terms:SessionParameters",
        bring="parties.session_work:bring_session",
        initiator="applicants",
        others="none",
        serves=True,
    ),
    STATE: Program(
        "1",
        "models.serving",
        "state_program",
        "parties.model_proposal:state_stated",
        parameters="parties.model_terms:StateParameters",
        bring="parties.model_work:bring_state",
        keep="parties.model_work:keep_state",
        initiator="none",
        others="none",
        join=False,
    ),
    UPLIFT: Program(
        "1",
        "models.uplift",
        "uplift_program",
        "parties.study.proposal:stated",
        parameters="models.uplift_parameters:UpliftParameters",
        checkpoints=True,
    ),
    COMMON: Program(
        "1",
        "protocols.join_program",
        "join_program",
        "parties.join_learned:stated",
        parameters="parties.join_terms:JoinParameters",
        bring="parties.holdings:bring_join",
        keep="parties.list_work:keep_shares",
        optional=True,
        verified=True,
    ),
    PUBLISH: Program(
        "1",
        "protocols.pir_program",
        "publish_program",
        "parties.list_proposal:records_stated",
        parameters="parties.list_terms:PublishParameters",
        bring="parties.list_work:bring_publish",
        keep="parties.list_work:keep_shares",
        initiator="list",
        others="none",
        join=False,
        verified=True,
    ),
    UPDATE: Program(
        "1",
        "protocols.pir_program",
        "update_program",
        "parties.list_proposal:records_stated",
        parameters="parties.list_terms:UpdateParameters",
        bring="parties.list_work:bring_update",
        keep="parties.list_work:keep_shares",
        initiator="list",
        others="none",
        join=False,
        verified=True,
    ),
    QUERY: Program(
        "1",
        "protocols.pir_program",
        "query_program",
        "parties.list_proposal:query_stated",
        parameters="parties.list_terms:QueryParameters",
        bring="parties.list_work:bring_query",
        initiator="keys",
        others="none",
        join=False,
        verified=True,
    ),
    FUND_FLOW: _statistics("fund_flow_program", "FundFlowTerms"),
    GREEN_FINANCE: _statistics("green_finance_program", "GreenFinanceTerms"),
    RELATED_LOANS: _statistics(
        "related_loans_program", "RelatedLoansTerms", "parties.list_work:keep_shares"
    ),
    FUND_TRACING: _statistics("fund_tracing_program", "FundTracingTerms"),
    JOINT_TABLE: _statistics("joint_table_program", "JointTableTerms"),
}


def find(programs: Programs, name: str, version: str) -> Program:
    """The program of that name and version; LocalError if this node does not have it."""
    program = programs.get(name)
    if program is None or program.version != version:
        known = ", ".join(f"{n} {p.version}" for n, p in programs.items())
        raise LocalError(
            "unknown_program",
            f"program {name} {version} is not installed here (installed: {known})",
            "install the version that the manifest names, or propose an installed one",
        )
    return program
