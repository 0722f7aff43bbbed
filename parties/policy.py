"""What a node compares before it approves a manifest, with or without asking a person.

Every check is made, also after one has failed, and each says what it compared: the decision can
be read in the audit log, and a refusal tells the initiator everything that stands in the way.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from parties.errors import PartiesError
from parties.identity import Directory
from parties.join_terms import join_problem
from parties.list_terms import Held, lists_problem
from parties.manifest import Input, Inputs, Manifest, highest_threshold
from parties.messages import Check
from parties.model_terms import Models, models_problem
from parties.programs import COMMON, Program, Programs, find, imported
from parties.stated import Stated

MAX_JOB_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Decision:
    """The checks in the order in which they were made.

    With `person` a node whose checks all passed still waits for its operator's word.
    """

    checks: tuple[Check, ...]
    person: bool = False

    @property
    def approved(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)


@dataclass(frozen=True)
class Holdings:
    """What this node knows of itself and its surroundings.

    `inputs` is what it would bring to this job, `lists` and `models` what it holds of those,
    `interrupted` the work of jobs that ended before their end, by job and manifest hash.
    """

    party: str
    directory: Directory
    measurement: str
    inputs: Input
    programs: Programs
    lists: Held = field(default_factory=dict)
    models: Models = field(default_factory=dict)
    interrupted: Mapping[tuple[str, str], str] = field(default_factory=dict)


def decide(manifest: Manifest, sender: str, own: Holdings, now: float) -> Decision:
    """Compare a manifest proposed by `sender` with what this node holds and allows."""
    due = _due(manifest, own)
    compared = isinstance(due, Stated)
    unknown = "not compared: another check says what is wrong"
    rules: list[tuple[str, Callable[[], str | None], str]] = [
        ("proposer", lambda: _proposer(manifest, sender), "the initiator proposes its own job"),
        ("named", lambda: _named(manifest, own), f"{own.party} is a party, under its own key"),
        ("parties", lambda: _parties(manifest, own), "every party is listed here, with that key"),
        ("roles", lambda: _roles(manifest, own), "every party has a role that the program knows"),
        ("threshold", lambda: _threshold(manifest), "as high as the number of parties allows"),
        ("verified", lambda: _verified(manifest, own), "the program runs in the mode stated"),
        ("program", lambda: _program(manifest, own), "installed, and its parameters are valid"),
        ("measurement", lambda: _measurement(manifest, own), "the code installed here is the same"),
        ("inputs", lambda: _inputs(manifest, own), "they are what this node holds"),
        ("lists", lambda: _lists(manifest, own), "it fits the published lists held here"),
        ("models", lambda: _models(manifest, own), "it fits the models held here"),
        ("outputs", lambda: _outputs(manifest, own, due),
         "they are what the program opens" if compared else unknown),
        ("join", lambda: _join(manifest, own), "it can be run, and helpers are outside of it"),
        ("disclosure", lambda: _disclosure(manifest, due),
         "the sentences say what happens" if compared else unknown),
        ("continues", lambda: _continues(manifest, own), "it resumes what was agreed, or nothing"),
        ("expiry", lambda: _expiry(manifest, now), "the manifest is current"),
    ]
    checks = []
    for name, rule, passed in rules:
        problem = rule()
        reason = (problem or passed)[:500]
        checks.append(Check(name=name, passed=problem is None, reason=reason))
    return Decision(tuple(checks))


def _proposer(manifest: Manifest, sender: str) -> str | None:
    if sender != manifest.initiator:
        return f"proposed by {sender}, but the initiator is {manifest.initiator}"
    return None


def _named(manifest: Manifest, own: Holdings) -> str | None:
    for party in manifest.parties:
        if party.name == own.party:
            same = party.public_key == own.directory.get(own.party)
            return None if same else f"{own.party} is listed with a key that is not its own"
    return f"{own.party} is not a party of this job"


def _parties(manifest: Manifest, own: Holdings) -> str | None:
    for party in manifest.parties:
        if own.directory.get(party.name) != party.public_key:
            return f"{party.name} is unknown here, or known with another key"
    return None


def _installed(manifest: Manifest, own: Holdings) -> Program | None:
    try:
        return find(own.programs, manifest.program.name, manifest.program.version)
    except PartiesError:
        return None  # the check of the program says so


def _roles(manifest: Manifest, own: Holdings) -> str | None:
    program = _installed(manifest, own)
    for party in manifest.parties:
        if program is not None and party.role not in program.roles:
            return f"{party.name} has the role {party.role}, which the program does not know"
    return None


def _threshold(manifest: Manifest) -> str | None:
    parties = len(manifest.compute)
    highest = highest_threshold(parties, manifest.verified)
    if manifest.threshold != highest:
        return f"threshold {manifest.threshold}, expected {highest}"
    # Two owners may find what they have in common without shares; the check of the join says how.
    if not highest and len(manifest.names) > 1 and manifest.program.name != COMMON:
        least = 4 if manifest.verified else 3
        return f"{parties} compute parties would see all data, expected {least} or more"
    return None


def _verified(manifest: Manifest, own: Holdings) -> str | None:
    program = _installed(manifest, own)
    if manifest.verified and program is not None and not program.verified:
        return f"the program {manifest.program.name} does not run in verified mode"
    return None


def _program(manifest: Manifest, own: Holdings) -> str | None:
    try:
        program = find(own.programs, manifest.program.name, manifest.program.version)
        program.read_parameters(manifest.parameters)
    except PartiesError as exc:
        return exc.cause
    except (ValueError, TypeError) as exc:
        return f"the parameters are not valid: {exc}"
    return None


def _measurement(manifest: Manifest, own: Holdings) -> str | None:
    if manifest.measurement != own.measurement:
        return (
            f"the manifest names {manifest.measurement[:16]}…, "
            f"the code installed here measures {own.measurement[:16]}…"
        )
    return None


def _inputs(manifest: Manifest, own: Holdings) -> str | None:
    program = _installed(manifest, own)
    if program is None:
        return None
    for name, stated in manifest.inputs.items():
        kinds = program.kinds(name == manifest.initiator, manifest.role(name))
        if stated.kind not in kinds:
            return f"{name} brings {stated.kind}, the program takes {' or '.join(kinds)}"
    mine = manifest.inputs.get(own.party)
    if mine is None:
        return "the manifest states none for this party"
    if mine.kind != own.inputs.kind:
        return f"the manifest says {mine.kind}, this node holds {own.inputs.kind}"
    if isinstance(mine, Inputs) and isinstance(own.inputs, Inputs):
        return mine.problem(own.inputs)
    return None if mine == own.inputs else "they are not what this node was told to bring"


def _lists(manifest: Manifest, own: Holdings) -> str | None:
    try:
        return lists_problem(manifest, own.lists)
    except ValueError as exc:
        return f"the parameters are not valid: {exc}"


def _models(manifest: Manifest, own: Holdings) -> str | None:
    try:
        return models_problem(manifest, own.models)
    except ValueError as exc:
        return f"the parameters are not valid: {exc}"


def _due(manifest: Manifest, own: Holdings) -> Stated | str | None:
    """What the manifest has to say, or why nothing follows from it. None where another check says
    what is wrong: of a program, its parameters, the join, and lists and models held here."""
    program = _installed(manifest, own)
    rules = (_program, _lists, _models, _join)
    if program is None or any(rule(manifest, own) for rule in rules):
        return None
    try:
        due: Stated = imported(program.stated)(manifest, own.models)
    except ValueError as exc:
        return str(exc)
    return due


def _outputs(manifest: Manifest, own: Holdings, due: Stated | str | None) -> str | None:
    program = _installed(manifest, own)
    if program is not None and program.check is not None:
        problem: str | None = imported(program.check)(manifest)
        if problem is not None:
            return problem
    return due.outputs_problem(manifest) if isinstance(due, Stated) else due


def _join(manifest: Manifest, own: Holdings) -> str | None:
    program = _installed(manifest, own)
    if program is not None and program.join != (manifest.join is not None):
        return f"the program {'joins' if program.join else 'does not join'} tables"
    return join_problem(manifest)


def _disclosure(manifest: Manifest, due: Stated | str | None) -> str | None:
    # Where nothing follows from the manifest, the check of the outputs says so.
    return due.disclosure_problem(manifest) if isinstance(due, Stated) else None


def _continues(manifest: Manifest, own: Holdings) -> str | None:
    before = manifest.continues
    if before is None:
        return None
    program = _installed(manifest, own)
    if program is not None and not program.checkpoints:
        return "the program keeps no checkpoints"
    work = own.interrupted.get((before.job_id, before.manifest_sha256))
    if work is None:
        return f"{own.party} knows no interrupted job {before.job_id} of that manifest"
    if work != manifest.work_sha256():
        return f"it is not the work that was agreed for the job {before.job_id}"
    return None


def _expiry(manifest: Manifest, now: float) -> str | None:
    if manifest.expires < now:
        return f"expired {int(now - manifest.expires)} s ago"
    if manifest.expires - now > MAX_JOB_SECONDS:
        return f"expires in more than {MAX_JOB_SECONDS // 3600} hours"
    return None
