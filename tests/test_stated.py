"""What a manifest says of its outputs, of every program: nodes make it themselves and compare."""

from collections.abc import Callable
from typing import Any

import pytest
from fakes import statistics_jobs
from fakes.consortium import DIRECTORY, MEASUREMENT, NAMES, NOW, inputs, manifest

from models.uplift_parameters import UpliftParameters
from parties.identity import Directory
from parties.list_keeping import held_after
from parties.list_proposal import publish_manifest, query_manifest
from parties.manifest import Join, KeyedList, Manifest
from parties.model_proposal import score_manifest, session_manifest, state_manifest
from parties.model_terms import HeldModel
from parties.policy import Holdings, decide
from parties.programs import PROGRAMS
from parties.proposal import common_manifest
from parties.study.proposal import uplift_manifest

ABOUT: dict[str, Any] = {"measurement": MEASUREMENT, "now": NOW, "seconds": 600}
WHO: dict[str, Any] = {"parties": {n: (key, "127.0.0.1") for n, key in DIRECTORY.items()}, **ABOUT}
TABLES: dict[str, Any] = {"inputs": {n: inputs(n) for n in NAMES}, "keys": dict(DIRECTORY), **ABOUT}
UNLABELLED = {n: i.model_copy(update={"label": None}) for n, i in TABLES["inputs"].items()}
COUNTED = Join(mode="shared", helpers={}, same_order=True, counts=("common",), receivers=("bank",))

MODEL = HeldModel(identity="12" * 32, name="sme", version=1, state="live", parties=NAMES,
                  manifest_hash="34" * 32, digest="56" * 32, destroyed=False,
                  record={"card": {"scores_per_day": 5}})  # fmt: skip
LIST = KeyedList(name="fraud", capacity=50, payload=3, columns=("reason",), profile="plain")
VERSION = held_after(publish_manifest(LIST, 1, initiator="bank", **WHO), {})
assert VERSION is not None

MANIFESTS = {
    "credit-model": manifest(),
    "model-score": score_manifest(MODEL, 3, 4, **WHO),
    "model-session": session_manifest(MODEL, 3, 4, 60, **WHO),
    "model-state": state_manifest(MODEL, "retired", **WHO),
    "uplift-study": uplift_manifest(parameters=UpliftParameters().to_json(), **TABLES),
    "common-businesses": common_manifest(COUNTED, **{**TABLES, "inputs": UNLABELLED}),
    "pir-publish": publish_manifest(LIST, 2, initiator="bank", **WHO),
    "pir-update": publish_manifest(LIST, 2, VERSION, initiator="bank", **WHO),
    "pir-query": query_manifest([VERSION], 3, None, initiator="telecom", **WHO),
    **{name: statistics_jobs.manifest_of(name) for name in statistics_jobs.ALL},
}


def failed(proposed: Manifest, party: str, held: Manifest) -> dict[str, str]:
    """What the node of a party that holds what the manifest `held` says has against another."""
    directory = Directory({one.name: one.public_key for one in held.parties})
    own = Holdings(party, directory, held.measurement, held.inputs[party], PROGRAMS,
                   lists={("bank", "fraud"): (VERSION,)}, models={MODEL.identity: MODEL})
    return {c.name: c.reason for c in decide(proposed, held.initiator, own, NOW).failed}


def reworded(document: Any) -> tuple[str, str]:
    name, said = list(document["outputs"].items())[-1]
    expected, said["meaning"] = said["meaning"], "Nobody learns anything."
    return "outputs", f"{name} means something else, expected: {expected}"[:500]


def dropped(document: Any) -> tuple[str, str]:
    name, said = document["outputs"].popitem()
    return "outputs", f"{name} is missing, expected: {said['meaning']}"[:500]


def to_others(document: Any) -> tuple[str, str]:
    name, said = list(document["outputs"].items())[-1]
    said["receivers"] = []
    return "outputs", f"{name} goes to nobody, expected "


def added(document: Any) -> tuple[str, str]:
    opened = ", ".join(sorted(document["outputs"])) or "nothing"
    document["outputs"]["more"] = {"receivers": [document["initiator"]], "meaning": "All."}
    return "outputs", f"more does not open by this program, expected {opened}"


def other_sentence(document: Any) -> tuple[str, str]:
    expected, document["disclosure"][-1] = document["disclosure"][-1], "Nothing opens."
    k = len(document["disclosure"])
    return "disclosure", f"sentence {k} is another, expected: {expected}"[:500]


def fewer_sentences(document: Any) -> tuple[str, str]:
    expected = document["disclosure"].pop()
    k = len(document["disclosure"]) + 1
    return "disclosure", f"sentence {k} is missing, expected: {expected}"[:500]


def more_sentences(document: Any) -> tuple[str, str]:
    due = len(document["disclosure"])
    document["disclosure"].append("All is well.")
    return "disclosure", f"{due + 1} sentences, expected the first {due} alone"


def test_every_program_is_here() -> None:
    assert MANIFESTS.keys() == PROGRAMS.keys()
    silent = {name for name, agreed in MANIFESTS.items() if not agreed.outputs}
    assert silent == {"model-state", "pir-publish", "pir-update"}


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_follows_is_approved_by_every_node(program: str) -> None:
    agreed = MANIFESTS[program]
    for party in agreed.names:
        assert failed(agreed, party, agreed) == {}, party


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("change", [reworded, dropped, to_others, added, other_sentence,
                                    fewer_sentences, more_sentences])  # fmt: skip
def test_what_does_not_is_refused_by_every_node(
    program: str, change: Callable[[Any], tuple[str, str]]
) -> None:
    agreed = MANIFESTS[program]
    if not agreed.outputs and change in (reworded, dropped, to_others):
        return  # nothing opens that could be described otherwise
    document = agreed.document()
    check, says = change(document)
    proposed = Manifest.read(document)
    for party in agreed.names:
        found = failed(proposed, party, agreed)
        assert found.keys() == {check}, party
        assert found[check].startswith(says), found


@pytest.mark.parametrize(("program", "parameters"), [
    ("credit-model", {"inference": True}),  # an output more
    ("credit-model", {"open_card": False}),  # one less
    ("credit-model", {"examples": 6}),  # another number in the words
    ("model-score", {"reasons": 5}),
    ("pir-query", {"severity": 1}),
])  # fmt: skip
def test_parameters_cannot_change_without_the_words(program: str, parameters: Any) -> None:
    agreed = MANIFESTS[program]
    changed = agreed.model_copy(update={"parameters": {**agreed.parameters, **parameters}})
    for party in agreed.names:
        assert "outputs" in failed(changed, party, agreed)


def test_the_quota_of_the_model_that_is_held_counts_and_not_what_the_asker_says() -> None:
    record = {"card": {"scores_per_day": 5000}}
    proposed = score_manifest(HeldModel(**{**vars(MODEL), "record": record}), 3, 4, **WHO)
    for party in NAMES:
        found = failed(proposed, party, MANIFESTS["model-score"])
        assert found.keys() == {"disclosure"} and "At most 5 applicants" in found["disclosure"]


def test_a_change_of_state_says_the_same_wherever_the_model_was() -> None:
    approved = HeldModel(**{**vars(MODEL), "state": "approved"})
    proposed = state_manifest(approved, "retired", **WHO)
    for party in NAMES:
        assert failed(proposed, party, MANIFESTS["model-state"]) == {}
