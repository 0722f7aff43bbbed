"""What a node knows survives its restart."""

import json
import stat
from pathlib import Path

from fakes.consortium import IDENTITIES, NOW, manifest

from parties.envelope import Envelope, seal
from parties.lifecycle import State
from parties.store import Store


def envelope(sequence: int, sender: str = "telecom") -> Envelope:
    data = seal(
        IDENTITIES[sender], recipient="bank", sequence=sequence, kind="progress", body={}, now=NOW
    )
    return Envelope.model_validate_json(data)


def test_sequence_numbers_are_never_used_twice(tmp_path: Path) -> None:
    store = Store(tmp_path / "node.db")
    assert [store.next_sequence("bank") for _ in range(3)] == [1, 2, 3]
    assert store.next_sequence("telecom") == 1
    store.close()
    again = Store(tmp_path / "node.db")
    assert again.next_sequence("bank") == 4
    again.close()


def test_accepted_messages_are_remembered(tmp_path: Path) -> None:
    store = Store(tmp_path / "node.db")
    first = envelope(7)
    assert not store.known_message(first.id)
    store.accept(first)
    store.accept(first)
    store.accept(envelope(3))
    store.accept(envelope(2, "fintech"))
    store.close()
    again = Store(tmp_path / "node.db")
    assert again.known_message(first.id)
    assert again.last_sequences() == {"telecom": 7, "fintech": 2}
    again.close()


def test_a_job_is_kept_with_its_state_and_error(tmp_path: Path) -> None:
    agreed = manifest()
    store = Store(tmp_path / "node.db")
    assert store.job(agreed.job_id) is None
    store.add_job(agreed.job_id, agreed.sha256(), agreed.document())
    store.set_state(agreed.job_id, State.APPROVED)
    # A proposal that is delivered again does not set the job back.
    store.add_job(agreed.job_id, "00" * 32, {})
    store.close()
    again = Store(tmp_path / "node.db")
    record = again.job(agreed.job_id)
    assert record is not None
    assert (record.state, record.manifest_sha256) == (State.APPROVED, agreed.sha256())
    assert record.manifest == agreed.document()
    assert [job.job_id for job in again.unfinished()] == [agreed.job_id]
    again.set_state(agreed.job_id, State.FAILED, {"code": "peer_lost"})
    assert again.unfinished() == []
    assert again.job(agreed.job_id).error == {"code": "peer_lost"}  # type: ignore[union-attr]
    again.close()


def test_the_first_receipt_counts(tmp_path: Path) -> None:
    store = Store(tmp_path / "node.db")
    store.add_receipt("credit-1", "telecom", b"one")
    store.add_receipt("credit-1", "telecom", b"two")
    store.add_receipt("credit-1", "bank", json.dumps({"a": 1}).encode())
    assert store.receipts("credit-1") == {"bank": b'{"a": 1}', "telecom": b"one"}
    assert store.receipts("credit-2") == {}
    store.close()


def test_the_database_is_private(tmp_path: Path) -> None:
    Store(tmp_path / "node.db").close()
    assert stat.S_IMODE((tmp_path / "node.db").stat().st_mode) == 0o600
