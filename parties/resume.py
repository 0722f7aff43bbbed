"""Going on with an interrupted job: a new one of the same work, with fresh keys and randomness.

The new job's manifest names the first interrupted one, and differs from it in nothing that is
computed (`Manifest.work_sha256`), so every party's checks and approvals are those of any job. Its
workers keep and find their checkpoints in the first job's folder. Tables are joined and encoded
anew, by the merged bins and with the features of the interrupted job, which are kept as shares; the
parties tell each other which steps of each training they have, and go on from the last that all
have.
"""

import secrets
from collections.abc import Mapping

from parties.errors import LocalError
from parties.lifecycle import TERMINAL, State
from parties.manifest import Continues, Manifest
from parties.programs import Programs, find
from parties.store import JobRecord, Store

INTERRUPTED = frozenset({State.FAILED, State.CANCELLED, State.EXPIRED})


def continuation(
    record: JobRecord, programs: Programs, now: float, seconds: int | None
) -> Manifest:
    """The manifest that goes on with a job; it expires `seconds` after `now`.

    By default after as long as the job was given at first. Raises LocalError `not_interrupted`, or
    `no_checkpoints` for a program that keeps none.
    """
    before = Manifest.read(record.manifest)
    if record.state not in INTERRUPTED:
        raise LocalError(
            "not_interrupted",
            f"the job {record.job_id} is {record.state}",
            "only a job that failed, was cancelled or expired can be resumed",
        )
    if not find(programs, before.program.name, before.program.version).checkpoints:
        raise LocalError(
            "no_checkpoints",
            f"the program {before.program.name} keeps no checkpoints",
            "propose the job again",
        )
    first = before.continues or Continues(
        job_id=before.job_id, manifest_sha256=record.manifest_sha256
    )
    prefix = before.job_id.rpartition("-")[0][:40] or "job"
    return before.model_copy(
        update={
            "job_id": f"{prefix}-{secrets.token_hex(8)}",
            "created": int(now),
            "expires": int(now) + (seconds or before.expires - before.created),
            "continues": first,
        }
    )


def interrupted_work(store: Store, manifest: Manifest) -> Mapping[tuple[str, str], str]:
    """The work of the job that a manifest continues, if it was interrupted here and rests now."""
    before = manifest.continues
    record = None if before is None else store.job(before.job_id)
    if before is None or record is None or record.state not in INTERRUPTED:
        return {}
    for other in store.jobs():
        continues = other.manifest.get("continues") or {}
        if (
            other.job_id != manifest.job_id
            and continues.get("job_id") == before.job_id
            and other.state not in TERMINAL
        ):
            return {}
    work = Manifest.read(record.manifest).work_sha256()
    return {(record.job_id, record.manifest_sha256): work}
