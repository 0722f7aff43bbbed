"""The life of a job at one node, as a table of pure transitions.

Everything that decides which state follows which is in `TABLE`; there is no I/O, so the table
can be tested completely and the diagram in `docs/lifecycle.md` is drawn from it
(`python -m parties.lifecycle` writes that file). Messages may be delivered more than once and
may arrive after the end, so what is late or repeated maps a state to itself; what could only be
a bug of the node itself is not in the table and raises LocalError.
"""

import sys
from enum import StrEnum
from pathlib import Path

from parties.errors import LocalError


class State(StrEnum):
    """Where a job stands."""

    NEW = "new"
    PROPOSED = "proposed"
    APPROVED = "approved"
    READY = "ready"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Event(StrEnum):
    """What can happen to it."""

    PROPOSE = "propose"
    APPROVE = "approve"
    REFUSE = "refuse"
    PEER_APPROVED = "peer_approved"
    PEER_REFUSED = "peer_refused"
    ALL_APPROVED = "all_approved"
    START = "start"
    WORKER_DONE = "worker_done"
    WORKER_FAILED = "worker_failed"
    NODE_FAILED = "node_failed"
    PEER_FAILED = "peer_failed"
    PEER_LOST = "peer_lost"
    CANCEL = "cancel"
    DEADLINE = "deadline"


MEANING: dict[State, str] = {
    State.NEW: "no proposal has arrived yet",
    State.PROPOSED: "the manifest is known here; this node has not decided",
    State.APPROVED: "this node approved and waits for the others",
    State.READY: "every party approved the same manifest",
    State.RUNNING: "the node's MPC worker is running",
    State.FINISHED: "the worker reached the end and the receipt is signed",
    State.FAILED: "this node, its worker or a peer could not go on",
    State.REFUSED: "a party did not approve",
    State.CANCELLED: "the initiator or this node's operator called it off",
    State.EXPIRED: "the manifest's expiry came before the end",
}
TERMINAL = frozenset({State.FINISHED, State.FAILED, State.REFUSED, State.CANCELLED, State.EXPIRED})
_OPEN = (State.PROPOSED, State.APPROVED, State.READY, State.RUNNING)
_BEFORE_RUN = (State.PROPOSED, State.APPROVED, State.READY)


def _table() -> dict[tuple[State, Event], State]:
    table = {
        (State.NEW, Event.PROPOSE): State.PROPOSED,
        (State.PROPOSED, Event.APPROVE): State.APPROVED,
        (State.PROPOSED, Event.REFUSE): State.REFUSED,
        (State.APPROVED, Event.ALL_APPROVED): State.READY,
        (State.READY, Event.START): State.RUNNING,
        (State.RUNNING, Event.WORKER_DONE): State.FINISHED,
        (State.RUNNING, Event.WORKER_FAILED): State.FAILED,
        (State.READY, Event.WORKER_FAILED): State.FAILED,
    }
    for state in _OPEN:
        table[state, Event.NODE_FAILED] = State.FAILED
        table[state, Event.PEER_FAILED] = State.FAILED
        table[state, Event.PEER_LOST] = State.FAILED
        table[state, Event.CANCEL] = State.CANCELLED
        table[state, Event.DEADLINE] = State.EXPIRED
        # Peers decide while this node is still deciding; a redelivery changes nothing.
        table[state, Event.PEER_APPROVED] = state
        table[state, Event.PROPOSE] = state
    for state in _BEFORE_RUN:
        table[state, Event.PEER_REFUSED] = State.REFUSED
    # A peer that approved and then refuses is not to be computed with.
    table[State.RUNNING, Event.PEER_REFUSED] = State.FAILED
    for state in TERMINAL:
        for event in Event:
            table[state, event] = state
    return table


TABLE: dict[tuple[State, Event], State] = _table()


def transition(state: State, event: Event) -> State:
    """The state after `event`; LocalError if a correct node could not see that event there."""
    try:
        return TABLE[state, event]
    except KeyError:
        raise LocalError(
            "lifecycle",
            f"event {event} cannot happen to a job that is {state}",
            "this is a defect of the node: please report it with the audit log",
        ) from None


def mermaid() -> str:
    """The table as a Mermaid state diagram; transitions that change nothing are left out."""
    arrows: dict[tuple[State, State], list[Event]] = {}
    for (state, event), after in TABLE.items():
        if state is not after:
            arrows.setdefault((state, after), []).append(event)
    lines = ["stateDiagram-v2", "    [*] --> new"]
    lines += [
        f"    {before} --> {after}: {', '.join(events)}"
        for (before, after), events in arrows.items()
    ]
    lines += [f"    {state} --> [*]" for state in State if state in TERMINAL]
    return "\n".join(lines)


def page() -> str:
    """The whole of `docs/lifecycle.md`."""
    states = "\n".join(f"| `{state}` | {MEANING[state]} |" for state in State)
    return (
        "# The life of a job\n\n"
        "Drawn from the table in `parties/lifecycle.py`; do not edit, run\n"
        "`python -m parties.lifecycle` instead. Every node keeps its own state of a job. Messages\n"
        "that come twice, or after the end, change nothing and are not drawn.\n\n"
        f"```mermaid\n{mermaid()}\n```\n\n"
        f"| state | meaning |\n|---|---|\n{states}\n"
    )


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/lifecycle.md")
    target.write_text(page(), encoding="utf-8")
