"""`sepc job` on real nodes: common businesses in every mode, approvals, refusals, calling off."""

import contextlib
import csv
import json
import stat
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.fleet import NAMES, Fleet

from parties.join_learned import disclosures
from parties.manifest import Manifest
from parties.world import credit_codes

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]

CODES = credit_codes(np.random.default_rng(5), 200).tolist()
OWN = {
    "bank": CODES[:80],
    "fintech": CODES[20:100],
    "government": CODES[50:140],
    "telecom": [*CODES[60:70], *CODES[150:200]],
}
DOUBLES = 5
"""Rows of fintech that repeat a business."""


def common(*names: str) -> set[str]:
    return set.intersection(*(set(OWN[name]) for name in names))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Four nodes, a registered table each; fintech's has several rows of some businesses."""
    folder = tmp_path_factory.mktemp("join")
    with Fleet(folder / "run") as fleet:
        for name, codes in OWN.items():
            lines = ["code,month,turnover,staff"]
            # Written differently by everybody; the agreed profile makes them equal.
            spelt = str.lower if name == "telecom" else str
            rows = [*codes, *codes[:DOUBLES]] if name == "fintech" else codes
            for i, code in enumerate(rows):
                lines.append(f"{spelt(code)},2024-{1 + i // 80:02d},{i + 0.5},{i % 7}")
            file = folder / f"{name}.csv"
            file.write_text("\n".join(lines) + "\n")
            more = (
                "--aggregate", "turnover=sum,staff=latest:month", "--features", "turnover,staff",
            ) if name == "fintech" else ()  # fmt: skip
            fleet.sepc(name, "data", "add", "firms", file, "--key", "code",
                       "--profile", "credit-code", *more)  # fmt: skip
        yield fleet


def offers(fleet: Fleet, *names: str, features: str = "none", bound: int | None = None) -> Any:
    """Options of `sepc job propose`: a file of what each party offers."""
    words = []
    for name in names:
        file = fleet.homes[name].parent / f"{name}.offer.json"
        more = () if bound is None else ("--bound", bound)
        offer = fleet.sepc(name, "data", "offer", "firms", "--features", features, *more)
        file.write_text(json.dumps(offer))
        words += ["--offer", file]
    return words


def propose(fleet: Fleet, *words: object) -> str:
    proposed = fleet.sepc("bank", "job", "propose", "--table", "firms", "--features", "none",
                          *words)  # fmt: skip
    job_id: str = proposed["job_id"]
    return job_id


ASKED: defaultdict[str, set[str]] = defaultdict(set)
"""The jobs that each node has asked its operator about: of two proposed one after the other, the
second may be the first to be checked."""


def waiting(fleet: Fleet, name: str, job_id: str) -> None:
    """Return when a node asks its operator about a job."""
    while job_id not in ASKED[name]:
        ASKED[name].add(fleet.events(name, "waiting")["job_id"])
    shown = {one["job_id"]: one["state"] for one in fleet.sepc(name, "job", "list")["jobs"]}
    assert shown[job_id] == "waiting for approval"


def outputs(fleet: Fleet, name: str, job_id: str) -> Any:
    return fleet.sepc(name, "job", "result", job_id)["outputs"]


def test_a_shared_result_opens_the_agreed_counts_only(fleet: Fleet) -> None:
    """Registered tables of four owners, aggregated, padded, in verified mode."""
    three = offers(fleet, *NAMES[1:], features="staff,turnover", bound=120)
    job_id = propose(fleet, *three, "--bound", 100, "--count", "common", "--count", "each",
                     "--receiver", "bank", "--receiver", "telecom", "--verified")  # fmt: skip
    for name in NAMES[1:]:
        waiting(fleet, name, job_id)
        fleet.sepc(name, "job", "approve", job_id)
    each = {name: len(common("bank", name)) for name in NAMES[1:]}
    expected = {"rows_common": len(common(*NAMES)), "rows_each": each}
    assert outputs(fleet, "bank", job_id) == outputs(fleet, "telecom", job_id) == expected
    # Also: wait until these two have ended, and kept their shares.
    assert outputs(fleet, "government", job_id) == outputs(fleet, "fintech", job_id) == {}
    shown = fleet.sepc("fintech", "job", "show", job_id)
    assert shown["manifest"]["verified"] and shown["manifest"]["inputs"]["bank"]["padded"]
    aggregate = shown["manifest"]["inputs"]["fintech"]["aggregate"]
    assert aggregate == {"turnover": "sum", "staff": "latest:month"}
    for name in NAMES:
        with np.load(fleet.homes[name] / "jobs" / job_id / "shares.npz") as kept:
            assert kept["presence0"].shape == (100, 1, 2)
            assert [kept[f"columns{p}"].shape for p in (1, 2, 3)] == [(100, 4, 2)] * 3


def test_identifiers_are_revealed_when_their_owners_have_said_so(fleet: Fleet) -> None:
    three = offers(fleet, "fintech", "telecom")
    job_id = propose(fleet, *three, "--mode", "reveal-identifiers", "--receiver", "telecom",
                     "--party", "bank")  # fmt: skip
    for name in ("fintech", "telecom"):
        waiting(fleet, name, job_id)
    # Who proposed it is not asked, and who is not in it has nothing to approve.
    for name in ("bank", "government"):
        refused = fleet.attempt(name, "job", "approve", job_id)
        assert refused["error"]["code"] == "not_waiting"
    said = " ".join(fleet.sepc("telecom", "job", "show", job_id)["learned"]["telecom"])
    assert "which of its own businesses bank, fintech and telecom all have" in said
    for name in ("fintech", "telecom"):
        fleet.sepc(name, "job", "approve", job_id)
    out = fleet.homes["telecom"].parent / "common.csv"
    done = fleet.sepc("telecom", "job", "result", job_id, "--out", out)
    rows = [*csv.DictReader(out.open())]
    assert {row["identifier"] for row in rows} == common("bank", "fintech", "telecom")
    assert done["outputs"] == {"file": str(out), "rows_common": len(rows)}
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert outputs(fleet, "bank", job_id) == {}
    seen = fleet.sepc("telecom", "audit", "show", "--job", job_id)["entries"]
    assert "operator_approved" in [entry["event"] for entry in seen]


def test_two_owners_without_a_helper(fleet: Fleet) -> None:
    job_id = propose(fleet, *offers(fleet, "fintech"), "--mode", "ecdh", "--receiver", "bank")
    waiting(fleet, "fintech", job_id)
    before = fleet.sepc("fintech", "job", "estimate", job_id)
    assert (before["parties"], before["bytes"], before["at_most"]) == (2, 64 * 80 + 16 * 80, True)
    fleet.sepc("fintech", "job", "approve", job_id)
    assert set(outputs(fleet, "bank", job_id)["identifiers"]) == common("bank", "fintech")
    assert outputs(fleet, "fintech", job_id) == {}


def test_a_job_that_waits_can_be_called_off(fleet: Fleet) -> None:
    words = [*offers(fleet, "fintech"), "--mode", "reveal-size", "--receiver", "bank"]
    first, second = propose(fleet, *words), propose(fleet, *words)
    waiting(fleet, "fintech", first)
    assert fleet.sepc("bank", "job", "cancel", first)["state"] == "cancelled"
    error = fleet.attempt("fintech", "job", "result", first)["error"]
    assert (error["code"], error["party"]) == ("cancelled", "bank")
    # The other owner may call it off as well; then it ends everywhere.
    waiting(fleet, "fintech", second)
    fleet.sepc("fintech", "job", "cancel", second)
    error = fleet.attempt("bank", "job", "result", second)["error"]
    assert (error["code"], error["party"]) == ("cancelled", "fintech")
    assert fleet.attempt("bank", "job", "approve", second)["error"]["code"] == "not_waiting"


def test_mistakes_are_named_before_anything_is_proposed(fleet: Fleet) -> None:
    one = offers(fleet, "fintech")
    base = ("job", "propose", "--table", "firms", "--features", "none")
    for words, code, says in [
        ((*base, "--bound", 79), "too_many_rows", "80 businesses, more than the bound 79"),
        ((*base, *one, *one), "offer", "two offers are of one party"),
        ((*base, *one, "--mode", "reveal-size"), "manifest", "nobody receives"),
        ((*base, *one, "--mode", "ecdh", "--receiver", "bank", "--verified"), "manifest",
         "verified mode"),
        ((*base, *one, "--party", "bank", "--party", "fintech"), "manifest", "expected 4 or 3"),
        ((*base, *one, "--receiver", "eve", "--count", "common"), "manifest", "not a party"),
        (("job", "propose", "--table", "none"), "data_unknown", "no table none"),
        (("job", "propose"), "manifest", "say what to propose"),
    ]:  # fmt: skip
        error = fleet.attempt("bank", *words)["error"]
        assert error["code"] == code, error
        assert says in error["cause"], error


@contextlib.contextmanager
def draft(fleet: Fleet, **changes: Any) -> Iterator[Path]:
    """A manifest between bank and fintech with something changed in it."""
    file = fleet.homes["bank"].parent / "draft.json"
    propose(fleet, *offers(fleet, "fintech", bound=90), "--save", file)
    document = json.loads(file.read_text())
    for path, value in changes.items():
        place: Any = document
        *parents, last = path.split("__")
        for key in parents:
            place = place[key]
        place[last] = value
    if changes.keys() & {"inputs__fintech__rows", "inputs__fintech__table"}:
        document["disclosure"] = disclosures(Manifest.read(document))
    file.write_text(json.dumps(document))
    yield file
    file.unlink()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"inputs__fintech__rows": 79}, "holds more than the 79 rows that the manifest states"),
        ({"inputs__fintech__profile": ["plain"]}, "profile"),
        ({"inputs__fintech__features": ["month"]}, "not among those that jobs may read"),
        ({"inputs__fintech__table": "firm"}, "no table firm is registered"),
        ({"disclosure": ["Nobody learns anything."]}, "disclosure: sentence 1 is another"),
        ({"join__mode": "reveal-size", "join__receivers": ["bank"]}, "join: the helpers"),
    ],
)
def test_what_the_other_owner_did_not_agree_to_is_refused(
    fleet: Fleet, change: dict[str, Any], says: str
) -> None:
    with draft(fleet, **change) as file:
        job_id = fleet.sepc("bank", "job", "propose", file)["job_id"]
        error = fleet.attempt("bank", "job", "result", job_id)["error"]
        assert says in error["cause"], error
        assert "80" not in error["cause"]
