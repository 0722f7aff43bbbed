"""Every check of the policy fails for its own reason and no other."""

from dataclasses import replace
from typing import Any

import pytest
from fakes.consortium import DIRECTORY, MEASUREMENT, NOW, identity, inputs, manifest

from parties.errors import RemoteProtocolError
from parties.identity import Directory
from parties.manifest import Manifest
from parties.policy import Holdings, decide
from parties.programs import PROGRAMS
from parties.room import Room

OWN = Holdings("telecom", DIRECTORY, MEASUREMENT, inputs("telecom"), PROGRAMS)


def changed(*path: Any, value: Any) -> Manifest:
    document = manifest().document()
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return Manifest.read(document)


def test_a_manifest_that_says_what_is_so_is_approved() -> None:
    decision = decide(manifest(), "bank", OWN, NOW)
    assert decision.approved, decision.failed
    assert len(decision.checks) >= 10
    assert all(check.reason for check in decision.checks)


@pytest.mark.parametrize(
    ("agreed", "failing", "says"),
    [
        (changed("measurement", value="00" * 32), "measurement", "measures"),
        (changed("threshold", value=0), "threshold", "expected 1"),
        (changed("program", "version", value="3"), "program", "not installed"),
        (changed("program", "name", value="other"), "program", "not installed"),
        (changed("parameters", value={"max_bins": 1}), "program", "max_bins"),
        (changed("parameters", value={"backdoor": 1}), "program", "backdoor"),
        (changed("parameters", value={"max_bins": [1]}), "program", "max_bins"),
        (changed("parties", 3, "role", value="output"), "roles", "telecom"),
        (changed("join", value=None), "join", "joins"),
        (changed("inputs", "telecom", "rows", value=301), "inputs", "rows"),
        (changed("inputs", "telecom", "id_column", value="x"), "inputs", "id_column"),
        (changed("inputs", "telecom", "features", value=["telecom_a", "x"]), "inputs", "features"),
        (
            changed("inputs", "telecom", "features", value=["telecom_b", "telecom_a"]),
            "inputs",
            "order",
        ),
        (changed("outputs", "iv", "receivers", value=["bank", "fintech"]), "outputs", "fintech"),
        (changed("outputs", "iv", "receivers", value=[]), "outputs", "nobody"),
        (changed("outputs", "features", "receivers", value=["bank"]), "outputs", "everybody"),
        (changed("join", "helpers", value={}), "join", "helpers"),
        (changed("join", "kind", value="full"), "join", "shared left join"),
        (changed("inputs", "fintech", "profile", value=["phone"]), "join", "profiles"),
        (
            changed("parties", 3, "public_key", value=identity("telecom").public_hex),
            "named",
            "not its own",
        ),
        (
            changed("parties", 2, "public_key", value=identity("government").public_hex),
            "parties",
            "government",
        ),
    ],
)
def test_each_difference_fails_its_own_check(agreed: Manifest, failing: str, says: str) -> None:
    decision = decide(agreed, "bank", OWN, NOW)
    assert failing in [check.name for check in decision.failed]
    # A wrong key of our own also makes us unknown to ourselves; nothing else may fail with it.
    assert {check.name for check in decision.failed} <= {failing, "parties"}
    assert any(says in check.reason for check in decision.failed)


def test_who_brings_no_table_also_changes_how_many_features_are_spoken_of() -> None:
    decision = decide(changed("inputs", "fintech", value={"kind": "none"}), "bank", OWN, NOW)
    found = {check.name: check.reason for check in decision.failed}
    assert found.keys() == {"inputs", "outputs"}
    assert "takes table" in found["inputs"] and "of the 6 features" in found["outputs"]


def test_verified_mode_is_for_programs_that_can() -> None:
    agreed = changed("verified", value=True)
    assert decide(agreed, "bank", OWN, NOW).approved
    cannot = {name: replace(program, verified=False) for name, program in PROGRAMS.items()}
    (failed,) = decide(agreed, "bank", replace(OWN, programs=cannot), NOW).failed
    assert failed.name == "verified"
    assert "credit-model does not run in verified mode" in failed.reason
    # Seven parties may stand for threshold 3 in the default mode, for 2 in this one.
    with pytest.raises(RemoteProtocolError, match="verified mode with threshold 1"):
        Manifest.read({**agreed.document(), "parties": agreed.document()["parties"][:3],
                       "inputs": {n: inputs(n).model_dump() for n in agreed.names[:3]}})


@pytest.mark.parametrize(
    ("rows", "says"), [(299, "more than the 299 rows"), (300, None), (301, None)]
)
def test_padding_hides_fewer_rows_and_no_more(rows: int, says: str | None) -> None:
    stated = {**inputs("telecom").model_dump(mode="json"), "rows": rows, "padded": True}
    failed = decide(changed("inputs", "telecom", value=stated), "bank", OWN, NOW).failed
    assert [check.name for check in failed] == (["inputs"] if says else [])
    assert all(says in check.reason and "300" not in check.reason for check in failed if says)


@pytest.mark.parametrize(("now", "says"), [(NOW + 601, "expired"), (NOW - 90_000, "24 hours")])
def test_a_manifest_is_approved_in_its_time(now: int, says: str) -> None:
    (failed,) = decide(manifest(), "bank", OWN, now).failed
    assert failed.name == "expiry"
    assert says in failed.reason


def test_a_node_runs_so_many_jobs_at_a_time() -> None:
    over: set[str] = set()
    room = Room(2, over.__contains__)
    assert [room.admit(job).passed for job in ("a", "b", "c", "a")] == [True, True, False, True]
    assert "2 jobs are under way here, expected fewer than 2" in room.admit("c").reason
    over.add("b")
    assert room.admit("c").passed and not room.admit("d").passed
    room.enter("d")  # a person has approved it, whether or not there is room
    over.add("c")
    assert not room.admit("e").passed
    over.add("d")
    assert room.admit("e").passed


def test_only_the_initiator_proposes() -> None:
    (failed,) = decide(manifest(), "fintech", OWN, NOW).failed
    assert failed.name == "proposer"


def test_a_node_that_is_not_named_does_not_approve() -> None:
    eve = identity("eve")
    directory = Directory({**DIRECTORY, "eve": eve.public_hex})
    outsider = replace(OWN, party="eve", directory=directory)
    failed = {check.name for check in decide(manifest(), "bank", outsider, NOW).failed}
    assert failed == {"named", "inputs"}


def test_every_check_is_made_even_after_one_failed() -> None:
    agreed = changed("measurement", value="00" * 32)
    decision = decide(agreed, "fintech", OWN, NOW + 10_000)
    assert {check.name for check in decision.failed} == {"proposer", "measurement", "expiry"}
