"""Keyed lists at a node: terms, quotas and versions; what a hostile peer cannot do."""

import contextlib
import datetime
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from fakes.consortium import DIRECTORY, MEASUREMENT, NOW, identity

from parties import list_terms
from parties.errors import LocalError, RemoteProtocolError
from parties.identity import Directory
from parties.learned import learned, learned_zh
from parties.list_keeping import admit, complete, files_of, held_after, query_details, take_over
from parties.list_orders import quotas_of
from parties.list_proposal import publish_manifest, query_manifest
from parties.list_terms import Held, HeldVersion, usable
from parties.manifest import KeyedList, Keys, Manifest, Nothing
from parties.policy import Holdings, decide
from parties.programs import PROGRAMS
from parties.store import Store
from protocols.identifiers import PROFILES
from protocols.pir_table import SEVERITIES

DAY = datetime.date(2026, 3, 1)
TERMS = KeyedList(name="fraud", capacity=500, payload=32, columns=("reason",), profile="plain")


def common(initiator: str, **more: Any) -> dict[str, Any]:
    return {
        "initiator": initiator,
        "parties": {name: (key, "127.0.0.1") for name, key in DIRECTORY.items()},
        "measurement": MEASUREMENT,
        "now": NOW,
        "seconds": 600,
        **more,
    }


def published(owner: str = "government", number: int = 1, name: str = "fraud") -> HeldVersion:
    terms = TERMS.model_copy(update={"name": name})
    version = held_after(publish_manifest(terms, number, **common(owner)), {})
    assert version is not None
    return version


def held(*versions: HeldVersion) -> Held:
    return {(v.owner, v.terms.name): (v,) for v in versions}


def failed(manifest: Manifest, party: str, here: Held, brings: Any = None) -> dict[str, str]:
    own = Holdings(party, DIRECTORY, MEASUREMENT, brings or Nothing(), PROGRAMS, here)
    return {c.name: c.reason for c in decide(manifest, manifest.initiator, own, NOW).failed}


def changed(manifest: Manifest, *path: Any, value: Any) -> Manifest:
    document = manifest.document()
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return Manifest.read(document)


# --- policy ---


def test_a_query_of_held_lists_is_approved_by_everybody() -> None:
    versions = held(published(), published("telecom", name="late"))
    asked = query_manifest([v for (v,) in versions.values()], 3, None, **common("bank"))
    assert failed(asked, "government", versions) == {}
    assert failed(asked, "bank", versions, Keys(count=3)) == {}
    assert set(failed(asked, "bank", versions, Keys(count=4))) == {"inputs"}
    assert asked.outputs["records"].receivers == ("bank",)


@pytest.mark.parametrize(
    ("here", "says"),
    [
        (held(), "does not hold the list fraud of government"),
        (held(published(number=2)), "holds version 2 .* names version 1"),
        (held(published()), "of another manifest"),
    ],
)
def test_all_parties_must_hold_the_version_that_is_asked(here: Held, says: str) -> None:
    asked = query_manifest([published()], 1, None, **common("bank"))
    problem = failed(asked, "fintech", here)
    assert set(problem) == {"lists"}
    assert re.search(says, problem["lists"])


def test_shares_fit_the_parties_that_hold_them_only() -> None:
    version = published()
    other = common("bank")
    del other["parties"]["telecom"]
    problem = failed(query_manifest([version], 1, None, **other), "fintech", held(version))
    assert "among other parties" in problem["lists"]


def test_a_list_is_its_publishers_whatever_a_manifest_says() -> None:
    """Another party that publishes a list of the same name gets a list of its own."""
    victim = published()
    attack = publish_manifest(TERMS, 2, **common("bank"))
    assert failed(attack, "fintech", held(victim)) == {}
    made = held_after(attack, held(victim))
    assert made is not None and (made.owner, made.terms.name) == ("bank", "fraud")
    update = publish_manifest(TERMS, 2, victim, **common("bank"))
    assert "no list fraud of bank" in failed(update, "fintech", held(victim))["lists"]
    # Nor can it say that it proposes for the owner.
    own = Holdings("fintech", DIRECTORY, MEASUREMENT, Nothing(), PROGRAMS, held(victim))
    forged = publish_manifest(TERMS, 2, **common("government"))
    assert [c.name for c in decide(forged, "bank", own, NOW).failed] == ["proposer"]


@pytest.mark.parametrize("name", ["../etc", "a/b", "..", ".x", "A", "", "a" * 64, "a\0b", "/a"])
def test_a_list_name_is_never_a_path(name: str) -> None:
    manifest = publish_manifest(TERMS, 1, **common("bank"))
    with pytest.raises(RemoteProtocolError, match="bad_manifest"):
        changed(manifest, "inputs", "bank", "name", value=name)


def test_files_of_a_job_are_in_folders_of_jobs(tmp_path: Path) -> None:
    version = published()
    asked = query_manifest([version], 1, None, **common("bank"))
    for path in files_of(asked, "fintech", tmp_path, held(version)).values():
        assert Path(path).parent == tmp_path / version.job_id
    assert files_of(publish_manifest(TERMS, 1, **common("bank")), "fintech", tmp_path, {}) == {}


@pytest.mark.parametrize(
    ("path", "value", "check"),
    [
        (("inputs", "government", "capacity"), 10**9, "lists"),
        (("inputs", "government", "profile"), "none", "lists"),
        (("inputs", "fintech"), {"kind": "keys", "count": 1}, "inputs"),
        (("parameters",), {"number": 0}, "program"),
        (("parameters",), {"number": 1, "more": 1}, "program"),
        (("parameters",), {"number": "1"}, "program"),
    ],
)
def test_publications_that_are_refused(path: Any, value: Any, check: str) -> None:
    manifest = changed(publish_manifest(TERMS, 1, **common("government")), *path, value=value)
    assert check in failed(manifest, "bank", {})


def test_versions_only_go_up_and_updates_fit_their_publication() -> None:
    first = published()
    for number in (1, 0):
        manifest = changed(
            publish_manifest(TERMS, 1, **common("government")),
            "parameters",
            value={"number": number},
        )
        assert failed(manifest, "bank", held(first))
    update = publish_manifest(TERMS, 2, first, **common("government"))
    assert failed(update, "bank", held(first)) == {}
    second = held_after(update, held(first))
    assert second is not None
    assert (second.number, second.published_by) == (2, first.job_id)
    assert failed(publish_manifest(TERMS, 3, second, **common("government")), "bank",
                  held(second)) == {}  # fmt: skip
    assert "another publication" in failed(update, "bank", held(published()))["lists"]
    wider = TERMS.model_copy(update={"payload": 64})
    manifest = publish_manifest(wider, 2, first, **common("government"))
    assert "other terms" in failed(manifest, "bank", held(first))["lists"]


def test_verified_mode_asks_lists_that_were_published_in_it() -> None:
    plain = published()
    made = publish_manifest(TERMS, 1, **common("government", verified=True))
    assert (made.verified, made.threshold) == (True, 1)
    assert failed(made, "bank", {}) == {}
    checked = held_after(made, {})
    assert checked is not None and checked.verified and not plain.verified

    def refusal(version: HeldVersion, verified: bool) -> dict[str, str]:
        asked = query_manifest([version], 1, None, **common("bank", verified=verified))
        return failed(asked, "fintech", held(version))
    assert refusal(checked, True) == refusal(checked, False) == refusal(plain, False) == {}
    assert "not published in verified mode" in refusal(plain, True)["lists"]
    update = publish_manifest(TERMS, 2, plain, **common("government", verified=True))
    assert "publish it anew with --verified" in failed(update, "bank", held(plain))["lists"]
    spoilt = held_after(publish_manifest(TERMS, 2, checked, **common("government")), held(checked))
    assert spoilt is not None and not spoilt.verified


def test_shares_fit_computations_with_their_threshold_only() -> None:
    keys = {**DIRECTORY, "fifth": identity("fifth").public_hex}
    five = {"parties": {name: (key, "127.0.0.1") for name, key in keys.items()}}
    version = held_after(publish_manifest(TERMS, 1, **{**common("government"), **five}), {})
    assert version is not None and version.threshold == 2
    asked = query_manifest([version], 1, None, **{**common("bank", verified=True), **five})
    own = Holdings("fintech", Directory(keys), MEASUREMENT, Nothing(), PROGRAMS, held(version))
    [problem] = [c for c in decide(asked, "bank", own, NOW).failed]
    assert "threshold 2, the manifest has 1" in problem.reason


def test_a_node_of_before_goes_on(tmp_path: Path) -> None:
    keys = {**DIRECTORY, "fifth": identity("fifth").public_hex}
    five = {"parties": {name: (key, "127.0.0.1") for name, key in keys.items()}}
    of_five = held_after(publish_manifest(TERMS, 1, **{**common("telecom"), **five}), {})
    assert of_five is not None
    old = published()
    store = Store(tmp_path / "node.db")
    store.lists.add(old)
    store.lists.add(of_five)
    store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "node.db")) as database:
        for column in ("threshold", "verified"):
            database.execute(f"alter table lists drop column {column}")
        database.commit()
    store = Store(tmp_path / "node.db")
    made = publish_manifest(TERMS, 2, **common("government", verified=True))
    new = held_after(made, store.lists.held())
    assert new is not None
    store.lists.add(new)
    # The new columns are the last ones here, which they are not in a database made now.
    assert store.lists.held() == {
        ("government", "fraud"): (old, new),
        ("telecom", "fraud"): (of_five,),
    }
    store.close()


def test_a_list_is_named_once_in_a_query() -> None:
    twice = query_manifest([published()] * 2, 1, None, **common("bank"))
    version = published()
    assert "lists" in failed(twice, "fintech", held(version))
    with pytest.raises(ValueError, match="lists"):
        list_terms.QueryParameters.from_json({"lists": [], "severity": None})


def test_constants_are_those_of_the_protocols() -> None:
    assert set(list_terms.PROFILES) == set(PROFILES)
    assert list_terms.SEVERITIES == SEVERITIES


# --- quotas and versions in the node's database ---


def test_quotas_are_counted_per_list_and_kept_over_a_restart(tmp_path: Path) -> None:
    one, two = published(), published(name="late")
    both = query_manifest([one, two], 2, None, **common("bank"))
    store = Store(tmp_path / "node.db")
    for version in (one, two):
        store.lists.add(version)
    assert admit(store.lists, "telecom", both, DAY) is None
    assert admit(store.lists, "government", both, DAY).passed is False  # type: ignore[union-attr]
    store.lists.set_quotas("fraud", {"bank": 3})
    store.lists.set_quotas("late", {"*": 9})
    check = admit(store.lists, "government", both, DAY)
    assert check is not None and check.passed and "1 queries left" in check.reason
    store.close()
    store = Store(tmp_path / "node.db")
    check = admit(store.lists, "government", both, DAY)
    assert check is not None and not check.passed
    assert "2 queries asked, 1 left" in check.reason
    # Nothing was counted for the other list of a query that was refused.
    assert store.lists.left("late", "bank", DAY) == 7
    by_other = query_manifest([one], 1, 3, **common("fintech"))
    assert admit(store.lists, "government", by_other, DAY).passed is False  # type: ignore[union-attr]
    own = query_manifest([one], 50, 3, **common("government"))
    assert admit(store.lists, "government", own, DAY) is None
    store.close()


def test_a_query_is_told_by_number_only() -> None:
    asked = query_manifest([published()], 7, 12, **common("bank"))
    assert query_details(asked) == {
        "asker": "bank",
        "lists": ["government/fraud"],
        "count": 7,
        "answer": "decision",
    }
    assert query_details(publish_manifest(TERMS, 1, **common("bank"))) is None


def test_shares_that_nobody_can_ask_are_deleted(tmp_path: Path) -> None:
    store = Store(tmp_path / "node.db")
    base = published()
    take_over(store.lists, tmp_path, base)
    versions = [base]
    for number in (2, 3, 4):
        here = store.lists.held()
        update = publish_manifest(TERMS, number, versions[-1], **common("government"))
        version = held_after(update, here)
        assert version is not None
        versions.append(version)
        for v in versions:
            (tmp_path / v.job_id).mkdir(exist_ok=True)
        (tmp_path / version.job_id / "shares.npz").touch()
        (tmp_path / base.job_id / "shares.npz").touch()
        take_over(store.lists, tmp_path, version)
    there = [(tmp_path / v.job_id / "shares.npz").exists() for v in versions]
    assert there == [True, False, True, True], "the publication, and the last two updates"
    assert store.lists.held()["government", "fraud"] == tuple(versions[-2:])
    anew = [published(number=n) for n in (5, 6)]
    for version in anew:
        take_over(store.lists, tmp_path, version)
    assert not (tmp_path / base.job_id / "shares.npz").exists()
    assert store.lists.held()["government", "fraud"] == tuple(anew)
    store.close()


def test_a_publication_that_failed_half_way_leaves_the_one_before(tmp_path: Path) -> None:
    """At a party that holds a newer version, and at one that does not."""
    store = Store(tmp_path / "node.db")
    numbers = [published(number=n) for n in (1, 2, 3, 4)]
    for version in numbers[:1]:
        take_over(store.lists, tmp_path, version)
        store.lists.complete(version.job_id)
    lacking = store.lists.held()
    first = usable(lacking["government", "fraud"])
    for version in numbers[1:]:
        take_over(store.lists, tmp_path, version)
    here = store.lists.held()
    # Whatever fails how often: the complete one stays, and the two newest.
    assert [v.number for v in here["government", "fraud"]] == [1, 3, 4]
    assert usable(here["government", "fraud"]) == first
    for asked, refusing in ((first, None), (numbers[3], lacking)):
        query = query_manifest([asked], 1, None, **common("bank"))
        assert failed(query, "fintech", here) == {}
        if refusing:
            assert "names version 4" in failed(query, "telecom", refusing)["lists"]
    # The next publication goes on from either, with a number of its own.
    update = publish_manifest(TERMS, 5, first, **common("government"))
    for holding in (here, lacking):
        assert failed(update, "fintech", holding) == {}
        made = held_after(update, holding)
        assert made is not None and made.published == first.manifest
        take_over(store.lists, tmp_path, made) if holding is here else None
    store.lists.complete(update.job_id)
    # What has been replaced everywhere is asked no more.
    query = query_manifest([first], 1, None, **common("bank"))
    assert "holds version 5" in failed(query, "fintech", store.lists.held())["lists"]
    store.close()


def test_a_version_is_complete_when_all_others_have_signed(tmp_path: Path) -> None:
    store = Store(tmp_path / "node.db")
    manifest = publish_manifest(TERMS, 1, **common("government"))
    version = held_after(manifest, {})
    assert version is not None
    take_over(store.lists, tmp_path, version)
    for name in ("bank", "government", "telecom"):
        (one,) = store.lists.held()["government", "fraud"]
        assert not one.complete
        store.add_receipt(manifest.job_id, name, b"signed")
        complete(store, manifest, "fintech")
    (one,) = store.lists.held()["government", "fraud"]
    assert one.complete
    store.close()


def test_what_is_learned_of_lists() -> None:
    asked = query_manifest([published()], 7, None, **common("bank"))
    english, chinese = learned(asked), learned_zh(asked)
    assert any("for each of 7 keys" in line for line in english["bank"])
    assert "bank asked 7 keys" in english["telecom"][-1]
    assert all(len(english[name]) == len(chinese[name]) for name in english)
    made = learned(publish_manifest(TERMS, 1, **common("government")))
    assert "published a list fraud of at most 500 records" in made["bank"][-1]


@pytest.mark.parametrize(
    ("quota", "askers", "expected"),
    [
        (None, [], None),
        (5, [], {"*": 5}),
        (5, ["bank", "telecom=2"], {"bank": 5, "telecom": 2}),
        (None, ["bank=1"], {"bank": 1}),
    ],
)
def test_quotas_as_they_are_said(quota: Any, askers: list[str], expected: Any) -> None:
    assert quotas_of(quota, askers) == expected


def test_quotas_that_say_nothing() -> None:
    for askers in (["bank"], ["bank=many"]):
        with pytest.raises(LocalError, match="quota"):
            quotas_of(None, askers)
