"""What a manifest of regulator statistics must state, by its parameters, and whether it does.

Nodes compare (`problem`, `stated`), so a manifest cannot promise less than its program opens.
"""

from parties.manifest import Input, Manifest, Nothing, Output, Part, Sentence, Submission
from parties.stated import Stated
from parties.stats.base import Terms
from parties.stats.terms import terms_of

DISCLOSURE = (
    "Institutions share their data with the compute parties; nobody sees a record of another.",
    "The rules are applied to shares; what they withhold never opens, to anybody.",
    "Everybody sees who was asked; who computes sees whose data was refused, in which check.",
)


def stated_inputs(terms: Terms, names: tuple[str, ...], approve_seconds: int) -> dict[str, Input]:
    """What each party brings, by the parameters."""
    due: dict[str, list[Part]] = {}
    for part, each in terms.parts("").items():
        for e in each:
            made = Part(name=part, rows=e.rows, columns=e.columns)
            due.setdefault(e.institution, []).append(made)
    optional = terms.senders
    return {
        name: Submission(parts=tuple(due[name]), optional=optional[name], seconds=approve_seconds)
        if name in due
        else Nothing()
        for name in names
    }


def stated(manifest: Manifest, models: object = None) -> Stated:
    """What opens to whom, by the parameters; ValueError if they do not fit."""
    outputs = {
        name: Output(receivers=receivers, meaning=_sentence(receivers, what))
        for name, (receivers, what) in terms_of(manifest).meanings().items()
    }
    return Stated(outputs, DISCLOSURE)


def _sentence(receivers: tuple[str, ...], what: str) -> Sentence:
    who = receivers[0] if len(receivers) == 1 else f"The {len(receivers)} institutions"
    return f"{who} {what}."[:500]


def problem(manifest: Manifest) -> str | None:
    """Which roles or inputs of a manifest do not follow from its parameters; None if all do."""
    try:
        terms = terms_of(manifest)
    except ValueError as exc:
        return f"the parameters are not valid: {exc}"
    roles = {party.name: party.role for party in manifest.parties}
    senders = terms.senders
    for name in senders:
        if roles.get(name) != "input":
            return f"{name} is asked for data, but has the role {roles.get(name)}, expected input"
    for name, role in roles.items():
        if role == "input" and name not in senders:
            return f"{name} has the role input, but is asked for nothing"
        if role == "output" and name != terms.receiver:
            return f"{name} has the role output, but receives nothing"
    if terms.receiver != manifest.initiator:
        return f"the release goes to {terms.receiver}, expected the initiator"
    if roles[terms.receiver] == "input":
        return f"{terms.receiver} brings data and receives the release"
    seconds = {i.seconds for i in manifest.inputs.values() if isinstance(i, Submission)}
    if len(seconds) != 1:
        return "the time for approvals is not the same for all input parties"
    if manifest.inputs != stated_inputs(terms, manifest.names, seconds.pop()):
        return "the inputs are not those that follow from the parameters"
    return None
