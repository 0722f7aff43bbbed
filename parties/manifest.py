"""The job manifest: everything that the parties agree on before a job runs.

One document, the same bytes for everybody; `Manifest.sha256` is what approvals, progress and
receipts refer to and what the MPC connections are bound to. Models are strict: a field that is
not known, or of another type, makes the manifest invalid, because a reader that skips what it
does not understand would approve what it has not read.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from parties import canonical
from parties.errors import RemoteProtocolError
from parties.identity import PARTY_NAME
from protocols.join_plan import helpers as helpers_of

PartyName = Annotated[str, Field(pattern=rf"^{PARTY_NAME.pattern}$")]
Column = Annotated[str, Field(min_length=1, max_length=200)]
Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
JobId = Annotated[str, Field(pattern=r"^[a-z0-9-]{8,64}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Sentence = Annotated[str, Field(min_length=1, max_length=500)]
TableName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$")]
ProfileName = Annotated[str, Field(pattern=r"^[a-z-]{1,64}$")]
ListName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Role = Literal["compute", "input", "output"]
MAX_PARTIES = 64


class Strict(BaseModel):
    """Base of everything that is read from a peer: exact types, no extra fields, immutable."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Parameters(Strict):
    """What a manifest says to a program, read from JSON."""

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The parameters of a manifest; ValueError that names the field and repeats no value."""
        try:
            # Lists of JSON are tuples here, which strict models only take from JSON itself.
            return cls.model_validate_json(canonical.canonical(dict(document)))
        except ValidationError as exc:
            raise ValueError(explain(exc)) from None


class ProgramName(Strict):
    """Which program runs, by its entry in the registry of programs."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
    version: Annotated[str, Field(pattern=r"^[0-9a-z.]{1,32}$")]


class Party(Strict):
    """A party and what it does. Its port may be left open: then its approval states it.

    Parties with the role `compute` run the MPC program; one that only brings inputs (`input`) or
    only receives outputs (`output`) does not. Which roles a job may have is the program's to say.
    """

    name: PartyName
    public_key: Hex32
    host: Annotated[str, Field(min_length=1, max_length=255)]
    port: Port | None
    role: Role = "compute"


class Inputs(Strict):
    """One party puts in a table: its shape, never a value of it.

    `rows` is its public number of businesses; with `padded` it holds at most so many, and padding
    hides how many. `table` is the name under which its owner registered it (None: the table of its
    `node.json`). `profile` says how identifiers are compared, one profile per column of the key or
    one for all; `aggregate` what becomes of several rows of one business, by column.
    """

    kind: Literal["table"] = "table"
    rows: Annotated[int, Field(ge=1)]
    padded: bool = False
    table: TableName | None = None
    id_column: Column
    profile: Annotated[tuple[ProfileName, ...], Field(min_length=1, max_length=16)] = ("plain",)
    features: tuple[Column, ...]
    label: Column | None
    aggregate: dict[Column, Annotated[str, Field(min_length=1, max_length=220)]] = {}

    def problem(self, held: "Inputs") -> str | None:
        """Why a table of the shape `held` is not what is stated here; None if it is."""
        if self.padded and held.rows > self.rows:
            # How many there are is what padding hides.
            most = f"the {self.rows} rows that the manifest states"
            return f"rows: the table here holds more than {most}"
        if not self.padded and held.rows != self.rows:
            return f"rows: the manifest says {self.rows}, this node holds {held.rows}"
        for name in ("table", "id_column", "label", "profile", "aggregate"):
            said, here = getattr(self, name), getattr(held, name)
            if said != here:
                return f"{name}: the manifest says {_shown(said)}, this node holds {_shown(here)}"
        if self.features != held.features:
            return (
                f"the {len(self.features)} features of the manifest are not the "
                f"{len(held.features)} that this node holds, in their order"
            )
        return None


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, dict):
        return ", ".join(f"{name}={rule}" for name, rule in value.items()) or "none"
    return str(value)


class KeyedList(Strict):
    """One party puts in a keyed list: its public name and shape, whatever it holds.

    At most `capacity` records with at most `payload` bytes each, in which the values of `columns`
    are written one after the other. Keys are compared by the identifier profile `profile`.
    """

    kind: Literal["list"] = "list"
    name: ListName
    capacity: Annotated[int, Field(ge=1)]
    payload: Annotated[int, Field(ge=0, le=64)]
    columns: Annotated[tuple[Column, ...], Field(max_length=16)]
    profile: Annotated[str, Field(min_length=1, max_length=64)]


class Keys(Strict):
    """One party asks: how many keys, never which."""

    kind: Literal["keys"] = "keys"
    count: Annotated[int, Field(ge=1, le=100_000)]


class Applicants(Strict):
    """One party has applicants scored: how many, never who."""

    kind: Literal["applicants"] = "applicants"
    count: Annotated[int, Field(ge=1, le=100_000)]


class Part(Strict):
    """One matrix of integers that an input party shares."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9 _-]{1,100}$")]
    rows: Annotated[int, Field(ge=1, le=1 << 24)]
    columns: Annotated[int, Field(ge=1, le=1 << 24)]


class Submission(Strict):
    """A party shares matrices of agreed shapes with the compute parties, and computes nothing.

    If it is `optional`, the job goes on without it when it refuses, fails, or has not approved
    `seconds` after the manifest was created.
    """

    kind: Literal["submission"] = "submission"
    parts: Annotated[tuple[Part, ...], Field(min_length=1, max_length=8)]
    optional: bool
    seconds: Annotated[int, Field(ge=1, le=24 * 3600)]


class Nothing(Strict):
    """A party puts in nothing; it computes, or receives."""

    kind: Literal["none"] = "none"


Input = Annotated[
    Inputs | KeyedList | Keys | Applicants | Submission | Nothing, Field(discriminator="kind")
]
"""What a party brings. Another kind is another class here, and a reader in `holdings.py`."""


class Output(Strict):
    """Who receives one output, and in one sentence what they learn from it."""

    receivers: tuple[PartyName, ...]
    meaning: Sentence


class Join(Strict):
    """How rows are matched, and who is told what about the matches.

    `mode`: what comes out stays shared between the parties (`shared`), or named `receivers` learn
    how many businesses all owners have in common (`reveal-size`), or which of their own those are
    (`reveal-identifiers`). `ecdh` does either for two owners alone, without a helper: the size with
    `size_only`; with `proved` the one that answers proves that it used one key throughout.

    `helpers`: for each owner that joins the initiator, those that match pseudonyms: two of four
    parties (the first matches, the second is told the positions), one of three, none in `ecdh`.
    With `same_order` a list has one secret order in all joins, so that a party which helps in two
    of them also sees how far their matches overlap.

    In a shared join `kind` says which rows come out, `required` which owners a row of an inner join
    must have (empty: all), `bound` is the public number of rows to which an inner join is padded,
    and `counts` what opens to the `receivers`: `common`, how many businesses all (required) owners
    have, and `each`, how many of the initiator's every other owner has.
    """

    mode: Literal["shared", "reveal-size", "reveal-identifiers", "ecdh"]
    helpers: dict[PartyName, Annotated[tuple[PartyName, ...], Field(max_length=2)]]
    same_order: bool
    kind: Literal["left", "inner", "full"] = "left"
    required: tuple[PartyName, ...] = ()
    bound: Annotated[int, Field(ge=1)] | None = None
    counts: tuple[Literal["common", "each"], ...] = ()
    receivers: tuple[PartyName, ...] = ()
    size_only: bool = False
    proved: bool = False


class Continues(Strict):
    """The interrupted job whose checkpoints a job goes on from; always the first of a row."""

    job_id: JobId
    manifest_sha256: Hex32


class Manifest(Strict):
    """The agreement itself. With a label or a join, the initiator is the first party.

    With `verified` the parties check each other's shares while they compute (`docs/verified.md`).
    """

    format: Literal["sepc-manifest/1"]
    job_id: JobId
    program: ProgramName
    measurement: Hex32
    parameters: dict[str, JsonValue]
    initiator: PartyName
    parties: Annotated[tuple[Party, ...], Field(min_length=1, max_length=MAX_PARTIES)]
    threshold: Annotated[int, Field(ge=0)]
    verified: bool = False
    inputs: dict[PartyName, Input]
    outputs: dict[str, Output]
    join: Join | None
    disclosure: tuple[Sentence, ...]
    created: Annotated[int, Field(ge=0)]
    expires: Annotated[int, Field(ge=0)]
    continues: Continues | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = self.names
        keys = {party.public_key for party in self.parties}
        if len(set(names)) != len(names) or len(keys) != len(names):
            raise ValueError("a party, or a party's key, is listed twice")
        if self.initiator not in names:
            raise ValueError("the initiator is not a party of the job")
        if names[: len(self.compute)] != self.compute:
            raise ValueError("parties that compute are listed before those that do not")
        if 2 * self.threshold >= len(self.compute):
            raise ValueError(
                f"threshold {self.threshold} needs more than {len(self.compute)} compute parties"
            )
        if self.verified and 3 * self.threshold >= len(self.compute):
            raise ValueError(
                f"verified mode with threshold {self.threshold} needs more than "
                f"{3 * self.threshold} compute parties"
            )
        if set(self.inputs) != set(names):
            raise ValueError("inputs must be stated for exactly the parties of the job")
        for name, inputs in self.inputs.items():
            if isinstance(inputs, Inputs):
                _check_columns(name, inputs, names[0] == self.initiator == name)
        for party in self.parties:
            if isinstance(self.inputs[party.name], Submission) != (party.role == "input"):
                raise ValueError("exactly the parties with the role input share submissions")
        for output, entry in self.outputs.items():
            if not set(entry.receivers) <= set(names):
                raise ValueError(f"a receiver of {output} is not a party of the job")
        if self.join is not None:
            _check_join(self.join, self.initiator, names)
        if self.expires <= self.created:
            raise ValueError("the manifest expires before it was created")
        return self

    @classmethod
    def read(cls, value: Any) -> "Manifest":
        """A manifest from a peer's JSON value; RemoteProtocolError if it is not a valid one."""
        try:
            return cls.model_validate_json(canonical.canonical(value))
        except (ValidationError, ValueError) as exc:
            raise RemoteProtocolError(
                "bad_manifest",
                f"the manifest is not valid: {explain(exc)}",
                "propose a manifest of the format sepc-manifest/1",
            ) from None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all parties; those of `compute` come first."""
        return tuple(party.name for party in self.parties)

    @property
    def compute(self) -> tuple[str, ...]:
        """Names of the parties that run the MPC program: index i is MPC party i."""
        return tuple(party.name for party in self.parties if party.role == "compute")

    @property
    def optional(self) -> dict[str, int]:
        """Parties that the job can do without, and seconds until it no longer waits for them."""
        return {
            name: i.seconds
            for name, i in self.inputs.items()
            if isinstance(i, Submission) and i.optional
        }

    @property
    def tables(self) -> dict[str, Inputs]:
        """The shapes of the tables, by the parties that bring one."""
        return {name: i for name, i in self.inputs.items() if isinstance(i, Inputs)}

    def role(self, name: str) -> Role:
        """What a party does."""
        return self.parties[self.names.index(name)].role

    def document(self) -> dict[str, Any]:
        """The manifest as a JSON value."""
        return self.model_dump(mode="json")

    def sha256(self) -> str:
        """The hash that stands for this exact agreement."""
        return canonical.sha256(self.document())

    def work_sha256(self) -> str:
        """The hash of what is computed, by whom and on what: a job's and of those continuing it."""
        document = self.document()
        for field in ("job_id", "created", "expires", "continues"):
            del document[field]
        for party in document["parties"]:
            del party["port"]
        return canonical.sha256(document)


def _check_columns(party: str, inputs: Inputs, may_label: bool) -> None:
    columns = [inputs.id_column, *inputs.features]
    columns += [inputs.label] if inputs.label else []
    if len(set(columns)) != len(columns):
        raise ValueError(f"a column of {party} is listed twice")
    if inputs.label and not may_label:
        raise ValueError(f"the label is the initiator's, the first party's, not {party}'s")


def _check_join(join: Join, initiator: str, names: tuple[str, ...]) -> None:
    if initiator != names[0]:
        raise ValueError("with a join the initiator is the first party")
    for owner, helpers in join.helpers.items():
        strangers = set(helpers) - set(names)
        if owner not in names[1:] or strangers or {owner, initiator} & set(helpers):
            raise ValueError(f"the helpers in the join of {owner} are not two other parties")
        if len(set(helpers)) != len(helpers):
            raise ValueError(f"the join of {owner} needs two different helpers")
    for party in (*join.required, *join.receivers):
        if party not in names:
            raise ValueError("a required owner or a receiver of the join is not a party of the job")


def join_helpers(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Who helps in the join of the first party with each of the others."""
    if len(names) not in (3, 4):
        return {}
    return {
        owner: tuple(names[i] for i in helpers_of(k, m=len(names)))
        for k, owner in enumerate(names[1:], 1)
    }


def highest_threshold(compute: int, verified: bool = False) -> int:
    """The threshold of a job among so many compute parties; with 0 nothing is hidden from them."""
    return (compute - 1) // (3 if verified else 2)


def explain(exc: Exception) -> str:
    """A validation error in one line that names fields but repeats no value of the document."""
    if not isinstance(exc, ValidationError):
        return str(exc)
    problems = exc.errors(include_url=False, include_input=False, include_context=False)
    first = problems[0]
    where = ".".join(str(part) for part in first["loc"]) or "document"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{where}: {first['msg']}{more}"
