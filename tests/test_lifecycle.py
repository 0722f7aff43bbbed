"""The table of transitions, and the picture of it."""

from pathlib import Path

import pytest

from parties.errors import LocalError
from parties.lifecycle import MEANING, TABLE, TERMINAL, Event, State, mermaid, page, transition

ROOT = Path(__file__).parent.parent


def test_the_drawn_lifecycle_is_the_table() -> None:
    drawn = (ROOT / "docs" / "lifecycle.md").read_text(encoding="utf-8")
    assert drawn == page(), "run: python -m parties.lifecycle"
    assert all(f"`{state}`" in drawn for state in State)


def test_a_job_that_goes_well() -> None:
    state = State.NEW
    for event in (
        Event.PROPOSE,
        Event.PEER_APPROVED,
        Event.APPROVE,
        Event.PEER_APPROVED,
        Event.ALL_APPROVED,
        Event.START,
        Event.WORKER_DONE,
    ):
        state = transition(state, event)
    assert state is State.FINISHED


@pytest.mark.parametrize("state", sorted(TERMINAL))
@pytest.mark.parametrize("event", Event)
def test_nothing_happens_after_the_end(state: State, event: Event) -> None:
    assert transition(state, event) is state


@pytest.mark.parametrize(("state", "event"), sorted(TABLE))
def test_redelivery_changes_nothing_more(state: State, event: Event) -> None:
    """What a peer says twice has the effect of saying it once."""
    remote = (Event.PROPOSE, Event.PEER_APPROVED, Event.PEER_REFUSED, Event.PEER_FAILED)
    if event in remote:
        once = transition(state, event)
        assert transition(once, event) is once


@pytest.mark.parametrize("state", sorted(set(State) - TERMINAL - {State.NEW}))
@pytest.mark.parametrize(
    "event", [Event.PEER_FAILED, Event.PEER_LOST, Event.NODE_FAILED, Event.CANCEL, Event.DEADLINE]
)
def test_an_open_job_can_always_end(state: State, event: Event) -> None:
    assert transition(state, event) in TERMINAL - {State.FINISHED}


def test_only_all_approvals_lead_to_a_worker() -> None:
    before = {s for (s, _), after in TABLE.items() if after is State.RUNNING and s is not after}
    assert before == {State.READY}
    ways = {(s, e) for (s, e), after in TABLE.items() if after is State.READY and s is not after}
    assert ways == {(State.APPROVED, Event.ALL_APPROVED)}


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (State.NEW, Event.APPROVE),
        (State.PROPOSED, Event.START),
        (State.APPROVED, Event.WORKER_DONE),
        (State.RUNNING, Event.APPROVE),
    ],
)
def test_what_cannot_happen_is_our_own_defect(state: State, event: Event) -> None:
    with pytest.raises(LocalError, match=f"{event} cannot happen to a job that is {state}"):
        transition(state, event)


def test_every_state_is_explained_and_drawn() -> None:
    assert set(MEANING) == set(State)
    diagram = mermaid()
    assert all(str(state) in diagram for state in State)
