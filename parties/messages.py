"""What the bus carries: one strict model per kind of message, and the topics they go to.

Control only: nothing here has a place for rows, shares or features. Bodies are validated after
the envelope's signature, so that every complaint can name the sender.
"""

import base64
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from engine.credentials import parse
from parties import canonical
from parties.envelope import Envelope
from parties.errors import RemoteProtocolError
from parties.manifest import Hex32, Port, Sentence, Strict, explain

ROOT = "sepc/v1"
PRESENCE = "presence"

Step = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}$")]
Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


def _check_certificate(text: str) -> str:
    try:
        parse(base64.b64decode(text, validate=True))
    except ValueError:
        raise ValueError("not a certificate") from None
    return text


Certificate = Annotated[str, Field(max_length=4096), AfterValidator(_check_certificate)]
"""An X.509 certificate: DER in base64."""


def inbox_topic(recipient: str, sender: str) -> str:
    """Where `sender` writes to `recipient`; both are in the topic so that a broker's access
    rules can be one line: read what is addressed to you, write what is from you."""
    return f"{ROOT}/inbox/{recipient}/{sender}"


def presence_topic(party: str) -> str:
    """Where a party's retained presence lies."""
    return f"{ROOT}/{PRESENCE}/{party}"


def subscriptions(party: str) -> tuple[str, ...]:
    """The only topic filters a party subscribes to, or may."""
    return inbox_topic(party, "+"), presence_topic("+")


def recipient_of(topic: str) -> str | None:
    """The recipient that an envelope arriving on `topic` must name; None for a foreign topic."""
    levels = topic.split("/")
    if levels[:2] != ROOT.split("/"):
        return None
    if levels[2:3] == ["inbox"] and len(levels) == 5:
        return levels[3]
    if levels[2:3] == [PRESENCE] and len(levels) == 4:
        return PRESENCE
    return None


class Presence(Strict):
    """Retained birth, or the last will. `session` is drawn by each start of a node."""

    state: Literal["online", "offline"]
    session: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class Ping(Strict):
    """`sepc node doctor` asks a node to answer, and to meet it at a port in mutual TLS."""

    nonce: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    port: Port
    certificate: Certificate


class Pong(Strict):
    """The answer: the sender's clock and code, and where it listens for whoever asked."""

    nonce: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    time: float
    measurement: Hex32
    port: Port | None
    certificate: Certificate


class Proposal(Strict):
    """The initiator asks for approval of a manifest; its document is read by `Manifest.read`."""

    manifest: dict[str, Any]


class Approval(Strict):
    """A party agrees, and says where and with which fresh keys its worker will be met.

    `job_key` is an X25519 public key, `certificate` that of the worker's TLS connections. Both are
    of this job only, and the envelope's signature vouches for them.
    """

    job_key: Hex32
    certificate: Certificate
    host: Annotated[str, Field(min_length=1, max_length=255)]
    port: Port


class Check(Strict):
    """One thing that a node compared before deciding about a manifest."""

    name: Step
    passed: bool
    reason: Sentence


class Refusal(Strict):
    """A party does not agree; the failed checks say why."""

    checks: tuple[Check, ...]


class Progress(Strict):
    """A worker started or finished a step."""

    step: Step
    state: Literal["start", "done"]


class Error(Strict):
    """The structured error of the project."""

    code: Annotated[str, Field(min_length=1, max_length=64)]
    party: str | None
    step: str | None
    cause: Annotated[str, Field(max_length=2000)]
    remedy: Annotated[str, Field(max_length=2000)]


class Failure(Strict):
    """A party stopped its part of the job, and why."""

    error: Error


class StepCost(Strict):
    """What one step cost this party."""

    seconds: Seconds
    rounds: Count
    bytes_per_party: Count
    multiplications: Count


class Receipt(Strict):
    """A party's signed statement that it ran the job to its end.

    `outputs_sha256` commits to the outputs the party received without revealing them: it covers
    a random salt, which stays with the outputs in the party's own result file.
    """

    status: Literal["finished"]
    outputs_sha256: Hex32
    steps: dict[Step, StepCost]
    peak_rss_mb: Annotated[float, Field(ge=0)]


class Cancel(Strict):
    """The initiator calls the job off."""

    reason: Sentence


Body = (
    Presence | Ping | Pong | Proposal | Approval | Refusal | Progress | Failure | Receipt | Cancel
)

KINDS: dict[str, type[Body]] = {
    "presence": Presence,
    "ping": Ping,
    "pong": Pong,
    "proposal": Proposal,
    "approval": Approval,
    "refusal": Refusal,
    "progress": Progress,
    "failure": Failure,
    "receipt": Receipt,
    "cancel": Cancel,
}


def read_body(envelope: Envelope) -> Body:
    """The typed body of an opened envelope; RemoteProtocolError if it does not fit its kind."""
    model = KINDS.get(envelope.kind)
    if model is None:
        raise _bad(envelope, f"kind {envelope.kind} is not known")
    about_job = envelope.job_id is not None and envelope.manifest_sha256 is not None
    if about_job == (model in (Presence, Ping, Pong)):
        raise _bad(envelope, f"a {envelope.kind} message must {'not ' * about_job}name a job")
    try:
        return model.model_validate_json(canonical.canonical(envelope.body))
    except (ValidationError, ValueError) as exc:
        raise _bad(envelope, explain(exc)) from None


def _bad(envelope: Envelope, cause: str) -> RemoteProtocolError:
    return RemoteProtocolError(
        "bad_message",
        f"a message of {envelope.sender} was refused: {cause}",
        "check that both sides run the same version",
        party=envelope.sender,
    )
