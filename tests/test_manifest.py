"""A manifest means one thing, and what is not understood is not approved."""

import math
from typing import Any

import pytest
from fakes.consortium import NAMES, manifest

from engine.shamir import largest_threshold
from parties import canonical
from parties.errors import LocalError, RemoteProtocolError
from parties.identity import Directory, Identity, check_party_name
from parties.learned import learned, learned_zh
from parties.manifest import Manifest, highest_threshold, join_helpers
from parties.measurement import measure, measurement


def test_canonical_bytes_do_not_depend_on_order_or_spacing() -> None:
    assert (
        canonical.canonical({"b": 1, "a": [True, None, "é"]})
        == b'{"a":[true,null,"\xc3\xa9"],"b":1}'
    )
    assert canonical.sha256({"a": 1, "b": 2}) == canonical.sha256({"b": 2, "a": 1})


@pytest.mark.parametrize("value", [math.nan, math.inf, {1: 2}, {"a": {2: 3}}, b"bytes", {1, 2}])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        canonical.canonical(value)


@pytest.mark.parametrize("data", [b'{"b":1,"a":2}', b'{"a": 1}', b'{"a":1,"a":1}', b'"\\u00e9"'])
def test_only_canonical_bytes_are_read(data: bytes) -> None:
    with pytest.raises(ValueError, match="canonical"):
        canonical.parse(data)


def test_the_hash_survives_the_wire_and_sees_every_change() -> None:
    first = manifest()
    again = Manifest.read(canonical.parse(canonical.canonical(first.document())))
    assert again == first
    assert again.sha256() == first.sha256()
    for field, value in [
        ("measurement", "00" * 32),
        ("parameters", {"max_bins": 10, "iv_threshold": 0.03}),
        ("expires", first.expires + 1),
        ("disclosure", []),
        ("job_id", first.job_id + "0"),
    ]:
        assert Manifest.read({**first.document(), field: value}).sha256() != first.sha256()


def test_the_order_of_parties_and_features_is_part_of_it() -> None:
    document = manifest().document()
    document["inputs"]["telecom"]["features"].reverse()
    assert Manifest.read(document).sha256() != manifest().sha256()


def spoiled(*path: Any, value: Any) -> dict[str, Any]:
    document = manifest().document()
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return document


@pytest.mark.parametrize(
    "document",
    [
        spoiled("extra", value=1),
        spoiled("format", value="sepc-manifest/2"),
        spoiled("threshold", value=2),
        spoiled("threshold", value="1"),
        spoiled("threshold", value=True),
        spoiled("measurement", value="AB" * 32),
        spoiled("parties", 1, "name", value="bank"),
        spoiled("parties", 1, "name", value="a/b"),
        spoiled("parties", 1, "public_key", value=manifest().parties[0].public_key),
        spoiled("parties", 1, "port", value=70_000),
        spoiled("inputs", "telecom", "label", value="default"),
        spoiled("inputs", "telecom", "rows", value=0),
        spoiled("inputs", "telecom", "features", value=["a", "a"]),
        spoiled("inputs", "eve", value=manifest().document()["inputs"]["bank"]),
        spoiled("outputs", "auc", "receivers", value=["eve"]),
        spoiled("outputs", "auc", "meaning", value=""),
        spoiled("join", "helpers", "telecom", value=["bank", "fintech"]),
        spoiled("join", "helpers", "telecom", value=["telecom", "fintech"]),
        spoiled("join", "helpers", "telecom", value=["fintech", "fintech"]),
        spoiled("join", "helpers", "bank", value=["fintech", "telecom"]),
        spoiled("parameters", value=[1]),
        spoiled("initiator", value="eve"),
        spoiled("initiator", value="fintech"),
        spoiled("parties", 0, "role", value="input"),
        spoiled("parties", 3, "role", value="helper"),
        spoiled("inputs", "telecom", "kind", value="other"),
        spoiled("inputs", "telecom", value={"kind": "none", "rows": 1}),
        spoiled("expires", value=0),
        [],
        None,
    ],
)
def test_a_manifest_that_is_not_understood_is_refused(document: Any) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Manifest.read(document)
    assert caught.value.code == "bad_manifest"
    assert "zz" not in caught.value.cause


def test_a_refusal_repeats_no_value() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Manifest.read(spoiled("inputs", "telecom", "rows", value="SECRET"))
    assert "inputs.telecom.table.rows" in caught.value.cause
    assert "SECRET" not in caught.value.cause


@pytest.mark.parametrize("compute", range(4, 12))
def test_thresholds_are_those_of_the_engine(compute: int) -> None:
    for verified in (False, True):
        assert highest_threshold(compute, verified) == largest_threshold(compute, verified)


def test_every_join_has_the_two_others_as_helpers() -> None:
    assert join_helpers(NAMES) == {
        "fintech": ("government", "telecom"),
        "government": ("telecom", "fintech"),
        "telecom": ("fintech", "government"),
    }


def test_what_is_learned_follows_from_the_manifest() -> None:
    sentences, chinese = learned(manifest()), learned_zh(manifest())
    assert set(sentences) == set(chinese) == set(NAMES)
    received = sum(line.startswith("Outputs: ") for line in sentences["bank"])
    assert received == len(manifest().outputs)
    assert not any("helper" in line for line in sentences["bank"])
    helper = " ".join(sentences["telecom"])
    assert "Everybody learns which features" in helper and "bank learns" not in helper
    assert "of bank with fintech and of bank with government" in helper
    assert "overlap" in helper
    separate = manifest(join={**manifest().document()["join"], "same_order": False})
    assert "overlap" not in " ".join(learned(separate)["telecom"])
    assert all(len(sentences[name]) == len(chinese[name]) for name in NAMES)


def test_the_measurement_sees_files_names_and_versions() -> None:
    files, versions = [("a.py", b"1"), ("b.py", b"2")], [("numpy", "2.0")]
    base = measure(files, versions)
    assert measure(reversed(files), versions) == base
    assert measure([("a.py", b"2"), ("b.py", b"1")], versions) != base
    assert measure([("a.py", b"1"), ("c.py", b"2")], versions) != base
    assert measure(files, [("numpy", "2.1")]) != base
    assert measure(files[:1], versions) != base
    assert measurement() == measurement()


def test_an_identity_is_private_and_never_replaced(tmp_path: Any) -> None:
    made = Identity.create("bank", tmp_path)
    key = tmp_path / "identity.key"
    assert key.stat().st_mode & 0o777 == 0o600
    loaded = Identity.load("bank", tmp_path)
    assert loaded.public_hex == made.public_hex
    with pytest.raises(LocalError, match="identity_exists"):
        Identity.create("bank", tmp_path)
    key.chmod(0o644)
    with pytest.raises(LocalError, match="identity_exposed"):
        Identity.load("bank", tmp_path)


def test_a_signature_is_for_one_purpose_and_one_party(tmp_path: Any) -> None:
    who = Identity.create("bank", tmp_path)
    directory = Directory({"bank": who.public_hex})
    signature = who.sign(b"one", b"message")
    assert directory.verify("bank", b"one", b"message", signature)
    assert not directory.verify("bank", b"two", b"message", signature)
    assert not directory.verify("bank", b"one", b"other", signature)
    assert not directory.verify("eve", b"one", b"message", signature)
    assert not directory.verify("bank", b"one", b"message", "no signature")


@pytest.mark.parametrize("name", ["", "a/b", "a+", "#", "..", "a b", "x" * 65])
def test_a_name_is_a_topic_level_and_a_folder(name: str) -> None:
    with pytest.raises(LocalError, match="party_name"):
        check_party_name(name)
