"""Applicants scored per day: every node counts for itself, refuses beyond, forgets nothing."""

import datetime
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.consortium import DIRECTORY, MEASUREMENT, NAMES, NOW, inputs

from parties.learned import learned, learned_zh
from parties.manifest import Manifest
from parties.model_orders import listed
from parties.model_proposal import score_manifest, session_manifest, state_manifest
from parties.model_quota import admit_scores
from parties.model_terms import HeldModel, held_models
from parties.policy import Holdings, decide
from parties.programs import PROGRAMS
from parties.proposal import credit_manifest
from parties.store import Store

DAY = datetime.date(2026, 3, 1)


def model(home: Path, **card: Any) -> HeldModel:
    """A live model in a node's home; `card` may state a quota."""
    folder = home / "models" / "sme" / "1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shares.npz").touch()
    record = {"identity": "ab" * 32, "name": "sme", "version": 1, "state": "live",
              "manifest_hash": "cd" * 32, "digest": "ef" * 32, "lineage": {"parties": list(NAMES)},
              "card": {"features": ["bank.a"], **card}}  # fmt: skip
    (folder / "model.json").write_text(json.dumps(record))
    return held_models(home)["ab" * 32]


def common() -> dict[str, Any]:
    return {
        "parties": {name: (key, "127.0.0.1") for name, key in DIRECTORY.items()},
        "measurement": MEASUREMENT, "now": NOW, "seconds": 600,
    }  # fmt: skip


def asked(held: HeldModel, count: int) -> Manifest:
    return score_manifest(held, count, 3, **common())


def admitted(store: Store, held: HeldModel, count: int, day: datetime.date = DAY) -> Any:
    return admit_scores(store.scores, {held.identity: held}, asked(held, count), day)


def test_every_node_counts_for_itself_and_over_a_restart(tmp_path: Path) -> None:
    held = model(tmp_path, scores_per_day=5)
    stores = {name: Store(tmp_path / f"{name}.db") for name in ("bank", "telecom")}
    for store in stores.values():
        check = admitted(store, held, 3)
        assert check.passed and "2 applicants left on 2026-03-01" in check.reason
    stores["telecom"].close()
    stores["telecom"] = Store(tmp_path / "telecom.db")
    check = admitted(stores["telecom"], held, 3)
    assert not check.passed and check.name == "quota"
    assert "3 applicants asked, 2 left on 2026-03-01 of 5 per day" in check.reason
    # What was refused counts nothing; another node knows nothing of it.
    assert admitted(stores["telecom"], held, 2).passed
    assert stores["bank"].scores.left(held, "bank", DAY) == 2
    assert not admitted(stores["telecom"], held, 1).passed
    assert admitted(stores["telecom"], held, 5, DAY + datetime.timedelta(1)).passed
    back = admitted(stores["telecom"], held, 1)
    assert not back.passed and "after those of 2026-03-02" in back.reason
    for store in stores.values():
        store.close()


def test_another_model_has_a_quota_of_its_own(tmp_path: Path) -> None:
    held = model(tmp_path, scores_per_day=1)
    other = HeldModel(**{**vars(held), "identity": "12" * 32})
    store = Store(tmp_path / "node.db")
    assert admitted(store, held, 1).passed and admitted(store, other, 1).passed
    assert not admitted(store, held, 1).passed
    store.close()


@pytest.mark.parametrize("card", [{}, {"scores_per_day": 0}])
def test_a_model_of_which_no_quota_was_agreed_scores_nobody(tmp_path: Path, card: Any) -> None:
    held = model(tmp_path, **card)
    store = Store(tmp_path / "node.db")
    check = admitted(store, held, 1)
    assert not check.passed and "0 left" in check.reason
    store.close()


def test_other_jobs_are_not_counted(tmp_path: Path) -> None:
    held = model(tmp_path, scores_per_day=1)
    store = Store(tmp_path / "node.db")
    retire = state_manifest(held, "retired", **common())
    assert admit_scores(store.scores, {held.identity: held}, retire, DAY) is None
    assert store.scores.left(held, "bank", DAY) == 1
    store.close()


def test_the_quota_is_said_where_it_is_agreed_and_where_it_is_used(tmp_path: Path) -> None:
    parameters = {"scores_per_day": 77}
    training = credit_manifest(
        inputs={name: inputs(name) for name in NAMES}, keys=dict(DIRECTORY),
        parameters=parameters, measurement=MEASUREMENT, now=NOW, seconds=600,
    )  # fmt: skip
    assert any("at most 77 applicants a day" in s for s in training.disclosure)
    held = model(tmp_path, scores_per_day=77)
    scoring = asked(held, 2)
    assert any("At most 77 applicants" in s for s in scoring.disclosure)
    own = Holdings("telecom", DIRECTORY, MEASUREMENT, scoring.inputs["telecom"], PROGRAMS,
                   models={held.identity: held})  # fmt: skip
    assert decide(scoring, "bank", own, NOW).approved
    assert "2 applicants" in learned(scoring)["telecom"][-1]
    assert listed(tmp_path)["models"][0]["scores_per_day"] == 77


def test_a_session_counts_at_once_and_holds_the_model_where_it_is(tmp_path: Path) -> None:
    held = model(tmp_path, scores_per_day=6)
    store = Store(tmp_path / "node.db")
    session = session_manifest(held, 5, 3, 60, **common())
    check = admit_scores(store.scores, {held.identity: held}, session, DAY)
    assert check is not None and "1 applicants left" in check.reason
    assert not admitted(store, held, 2).passed
    store.close()
    own = Holdings("telecom", DIRECTORY, MEASUREMENT, session.inputs["telecom"], PROGRAMS,
                   models={held.identity: held})  # fmt: skip
    assert decide(session, "bank", own, NOW).approved
    busy = replace(own, models={held.identity: replace(held, in_session=True)})
    for state in ("retired", "deleted"):
        change = state_manifest(held, state, **common())
        assert decide(change, "bank", own, NOW).approved
        [problem] = decide(change, "bank", busy, NOW).failed
        assert "session with the model is open here" in problem.reason
    draft = replace(own, models={held.identity: replace(held, state="draft")})
    assert [check.name for check in decide(session, "bank", draft, NOW).failed] == ["models"]
    assert any("none is given back" in sentence for sentence in session.disclosure)
    assert "had at most 5 applicants scored" in learned(session)["telecom"][-1]
    assert "it saw when, how many each time, and how many rows" in learned(session)["telecom"][-1]
    assert "至多5家" in learned_zh(session)["telecom"][-1]
