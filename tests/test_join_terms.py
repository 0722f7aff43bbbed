"""Joins in manifests: what they may say, and the sentences about who learns what in every mode."""

from typing import Any

import pytest
from fakes.consortium import DIRECTORY, MEASUREMENT, NOW

from parties.join_learned import disclosures, told
from parties.join_terms import reveals, task_of
from parties.learned import learned, learned_zh
from parties.manifest import Inputs, Join, Manifest, Nothing
from parties.policy import Holdings, decide
from parties.programs import PROGRAMS
from parties.proposal import common_manifest

TABLE = Inputs(rows=500, padded=True, table="firms", id_column="code", features=(), label=None)
HELD = TABLE.model_copy(update={"rows": 420, "padded": False})


def job(
    owners: str = "bfgt", verified: bool = False, parties: str = "bfgt", **join: Any
) -> Manifest:
    """A job of the parties with these initials, of which `owners` bring a table."""
    names = [name for name in sorted(DIRECTORY) if name[0] in parties]
    return common_manifest(
        Join.model_validate({"mode": "shared", "helpers": {}, "same_order": True, **join}),
        inputs={name: TABLE if name[0] in owners else Nothing() for name in names},
        keys=dict(DIRECTORY),
        measurement=MEASUREMENT,
        now=NOW,
        seconds=600,
        verified=verified,
    )


def failed(manifest: Manifest, party: str = "fintech") -> dict[str, str]:
    brings = HELD if isinstance(manifest.inputs.get(party), Inputs) else Nothing()
    own = Holdings(party, DIRECTORY, MEASUREMENT, brings, PROGRAMS)
    return {c.name: c.reason for c in decide(manifest, "bank", own, NOW).failed}


EVERY_MODE = {
    "shared": job(),
    "counts": job(counts=("common", "each"), receivers=("bank", "telecom")),
    "orders": job(same_order=False),
    "inner": job(kind="inner", required=("fintech",)),
    "bound": job(kind="inner", bound=90, verified=True),
    "full": job(kind="full", parties="bft"),
    "size": job(mode="reveal-size", receivers=("telecom",)),
    "identifiers": job("bft", mode="reveal-identifiers", receivers=("bank", "fintech")),
    "two owners": job("bf", mode="reveal-identifiers", receivers=("fintech",)),
    "two owners, verified": job("bf", True, mode="reveal-size", receivers=("bank",)),
    "ecdh": job("bf", parties="bf", mode="ecdh", receivers=("bank",), proved=True),
}


@pytest.mark.parametrize("mode", EVERY_MODE)
def test_every_mode_is_approved_and_says_who_learns_what(mode: str) -> None:
    manifest = EVERY_MODE[mode]
    for party in manifest.names[1:]:
        assert failed(manifest, party) == {}, party
    english, chinese = learned(manifest), learned_zh(manifest)
    for party in manifest.names:
        assert len(english[party]) == len(chinese[party]) >= 1
        assert all(line.isascii() for line in english[party])
    assert manifest.disclosure == disclosures(manifest)
    assert len(manifest.disclosure) == 2 * len(told(manifest))
    # The protocols' own account of who learns something.
    task = task_of(manifest)
    account = (task.intersection if task.by_intersection else task.plan).disclosures(manifest.names)
    knowing = {one.party for one in told(manifest) if one.party}
    opened = {p for output in manifest.outputs.values() for p in output.receivers}
    assert knowing == opened | set(account)


def said(mode: str, party: str) -> str:
    return " ".join(one.en for one in told(EVERY_MODE[mode]) if one.party == party)


def test_the_sentences_are_exact() -> None:
    assert said("shared", "bank") == ""
    assert said("shared", "telecom") == (
        "learns, as a helper, how many businesses bank and fintech have in common, not which. "
        "learns, as a helper, how many businesses bank and government have in common, not which. "
        "learns, as a helper, how many of bank's businesses fintech and government both have, not "
        "which."
    )
    assert "both" not in said("orders", "telecom")
    assert "bank and fintech have in common" in said("inner", "government")
    assert said("two owners", "government").count("learns") == 1
    assert said("two owners", "telecom") == ""
    verified = {p: said("two owners, verified", p) for p in ("government", "telecom")}
    assert all("as a helper" in line for line in verified.values())
    assert "which of its own businesses bank and fintech all have" in said("ecdh", "bank")
    assert said("ecdh", "fintech") == ""
    everybody = [one.en for one in told(EVERY_MODE["bound"]) if one.party is None]
    assert any("more than 90 common businesses" in line for line in everybody)
    assert any("at most 500" in line for line in everybody)


def test_an_owner_whose_list_is_revealed_is_asked_and_a_helper_is_not() -> None:
    for mode, manifest in EVERY_MODE.items():
        asked = {n for n in manifest.names if reveals(manifest, manifest.inputs[n])}
        nothing = mode in ("shared", "orders", "bound", "full")
        assert asked == (set() if nothing else set(manifest.tables)), mode


@pytest.mark.parametrize(
    ("path", "value", "failing"),
    [
        (("disclosure",), ["Nobody learns anything."], {"disclosure"}),
        (("outputs",), {}, {"outputs"}),
        (("outputs", "identifiers", "receivers"), ["bank", "fintech", "telecom"], {"outputs"}),
        (("outputs", "identifiers", "meaning"), "Nothing.", {"outputs"}),
        (("join", "receivers"), ["telecom"], {"outputs", "disclosure"}),
        (("join", "receivers"), ["government"], {"join"}),
        (("join", "helpers", "fintech"), ["telecom"], {"join"}),
        (("join", "mode"), "ecdh", {"join"}),
        (("join", "kind"), "full", {"join"}),
        (("inputs", "telecom", "profile"), ["phone"], {"join"}),
        (("inputs", "fintech", "rows"), 419, {"inputs", "disclosure"}),
        (("inputs", "bank"), {"kind": "none"}, {"inputs", "join"}),
        (("parameters",), {"x": 1}, {"program"}),
    ],
)
def test_what_does_not_follow_is_refused(path: Any, value: Any, failing: Any) -> None:
    document = EVERY_MODE["identifiers"].document()
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert set(failed(Manifest.read(document))) == failing


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mode": "ecdh", "receivers": ("bank",)}, "two owners alone"),
        ({"mode": "reveal-size"}, "nobody receives"),
        ({"bound": 3}, "bound"),
        ({"counts": ("common",)}, "receivers"),
        ({"kind": "inner", "required": ("bank",)}, "required"),
        ({"parties": "bft", "verified": True}, "verified"),
        ({"owners": "b"}, "at least one other"),
    ],
)
def test_what_nobody_can_run_is_no_manifest(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        job(**options)
